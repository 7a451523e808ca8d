#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module itself: where it refuses to be loaded, when it cannot be unloaded, and that a thousand
# connections leave nothing.
#
# worlds: smcd smcr

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

static=$BUILD/selftests/programs/static
case $WORLD in
smcd) right=$BUILD/smcd/smc_ulp.ko wrong=$BUILD/smcr/smc_ulp.ko ;;
smcr) right=$BUILD/smcr/smc_ulp.ko wrong=$BUILD/smcd/smc_ulp.ko ;;
esac
connections=1000
btf=/sys/kernel/btf

ok "modinfo: alias" says '^tcp-ulp-smc$' modinfo -F alias "$right"
ok "modinfo: depends on smc only" test "$(modinfo -F depends "$right")" = smc

# --- where it cannot be loaded -------------------------------------------------------

rmmod smc_ulp
not_loaded() { # not_loaded REGEX COMMAND...: COMMAND fails, and the kernel says why
	! kernel_says "${@:2}" || return 1
	[ ! -e /sys/module/smc_ulp ] && has "$tmp/dmesg" "smc_ulp: .*($1)" && return
	show "$tmp/dmesg"
	return 1
}
other_layout='of the loaded smc\.ko .*this module was built for .*rebuild it against this smc\.ko'
# What counts is not for which file it was built, but where that has the fields we use: the smc.ko
# of the other world usually has them in the same places.
layout() { cat "${1%/*}/src/smc_ulp_layout.gen.h"; }
if [ "$(layout "$right")" = "$(layout "$wrong")" ]; then
	ok "the one for another smc.ko with the same layout can be loaded" insmod "$wrong"
	rmmod smc_ulp
else
	ok "the one for another smc.ko with another layout" not_loaded "$other_layout" insmod "$wrong"
fi
# An smc.ko with another layout, as far as its type information says: two members have each other's
# names, or one has another name.
LC_ALL=C sed 's/bytes_to_rcv/TO_BE_SWAPPED/g; s/sndbuf_space/bytes_to_rcv/g; s/TO_BE_SWAPPED/sndbuf_space/g' \
	"$btf/smc" > "$tmp/swapped"
LC_ALL=C sed 's/fallback_rsn/fallback_xyz/g' "$btf/smc" > "$tmp/renamed"
ok "an smc.ko with another layout" \
	not_loaded "smc_connection\.(sndbuf_space|bytes_to_rcv) $other_layout" replaced "$btf/smc" "$tmp/swapped" insmod "$right"
ok "an smc.ko without a field" \
	not_loaded "smc_sock\.fallback_rsn of the loaded smc\.ko is at -1, .*rebuild it" \
	replaced "$btf/smc" "$tmp/renamed" insmod "$right"
ok "no type information of smc.ko" not_loaded 'cannot read the BTF of smc\.ko from /sys/kernel/btf' \
	hidden "$btf" insmod "$right"
ok "empty type information of smc.ko" not_loaded 'cannot read the BTF of smc\.ko from /sys/kernel/btf' \
	hidden "$btf/smc" insmod "$right"
ok "empty type information of the kernel" not_loaded 'cannot read the BTF of smc\.ko from /sys/kernel/btf' \
	hidden "$btf/vmlinux" insmod "$right"
ok "type information of another module" not_loaded 'of the loaded smc\.ko is at -1' \
	replaced "$btf/smc" "$btf/overlay" insmod "$right"
cp "$right" "$tmp/smc_ulp.ko"
objcopy --remove-section=.BTF "$tmp/smc_ulp.ko"
ok "a module without type information" not_loaded 'this module has no BTF' insmod "$tmp/smc_ulp.ko"
ok "the right one" insmod "$right"
ok "... is there for programs" grep -qw smc /proc/sys/net/ipv4/tcp_available_ulp
ok "not twice" exits 1 insmod "$right"

# --- when it cannot be unloaded ---------------------------------------------------------

used() { exits 1 rmmod smc_ulp 2>&1; }
smcpolicy load allow_all
ok "a policy is loaded: it cannot go" used
smcpolicy unload allow_all
ok "no policy: it can go" wait_for 90 rmmod smc_ulp
modprobe smc_ulp
echo 6000 > /proc/sys/net/smc_ulp/clc_timeout_ms

start "$tmp/server" "$BUILD/smcpolicy" run -- "$static" server 7001
server=$started
wait_for 300 listens 7001
ok "a socket listens: it cannot go" used
mkfifo "$tmp/in"
"$BUILD/smcpolicy" run -- "$static" client 7001 < "$tmp/in" > "$tmp/client" 2>&1 &
client=$!
exec {to}> "$tmp/in"
ok "a connection: it is up" wait_for 300 has "$tmp/client" '^done'
stop "$server"
# the server's child, which has the connection, lives on
ok "a connection: it cannot go" used
exec {to}>&-
ok "the client ends well" wait "$client"
for it in "$cgroups"/smcpolicy-run-*; do
	wait_for 90 rmdir "$it" 2> /dev/null || :
done
ok "no socket: it can go" wait_for 90 rmmod smc_ulp

# --- many connections --------------------------------------------------------------------

# Sockets of each protocol, and the contexts of the module. SLUB counts free objects of the slabs of
# each processor as in use, unless the cache was shrunk.
sockets() {
	local slab
	for slab in /sys/kernel/slab/smc_ulp_ctx /sys/kernel/slab/TCP /sys/kernel/slab/SMC; do
		[ ! -e "$slab/shrink" ] || echo 1 > "$slab/shrink"
	done
	awk '/^(INET6?_)?(SMC|TCP)/ { print $1, $3 }' /proc/net/protocols
	awk '$1 == "smc_ulp_ctx" || $1 == "SMC" { print "slab:" $1, $2 }' /proc/slabinfo
}
# no_more_than NUMBERS: of nothing is there more than sockets had said
no_more_than() {
	local what count before
	local -A now=()

	while read -r what count; do
		now[$what]=$count
	done < <(sockets)
	while read -r what before; do
		[ "${now[$what]:-0}" -le "$before" ] || {
			printf '%s: %s, before: %s\n' "$what" "${now[$what]}" "$before"
			return 1
		}
	done <<< "$1"
}

sent=/sys/kernel/tracing/events/smc/smc_tx_sendmsg
modprobe smc_ulp
echo 6000 > /proc/sys/net/smc_ulp/clc_timeout_ms
# The first connection makes what stays: link groups, listeners of smc.ko.
start "$tmp/server" "$BUILD/smcpolicy" run -- "$static" server 7001
server=$started
wait_for 300 listens 7001
churn() { "$BUILD/smcpolicy" run -- "$static" client 7001 100 "$1" < /dev/null; }
ok "connections at all" churn 2
# ... and is gone when these stay the same for a while.
before=
settled() { local last=$before; before=$(sockets); [ "$before" = "$last" ] || { nap 3; return 1; }; }
wait_for 300 settled || :
echo 'hist:keys=common_pid' > "$sent/trigger"
ok "$connections connections" churn "$connections"
ok "... were SMC" test "$(sed -n 's/^ *Hits: //p' "$sent/hist")" -ge $((2 * connections))
echo '!hist:keys=common_pid' > "$sent/trigger"
ok "... leave no sockets" wait_for 300 no_more_than "$before"
stop "$server"
ok "the module has no users" wait_for 90 module_unused
ok "no contexts" test "$(awk '$1 == "smc_ulp_ctx" { print $2 }' /proc/slabinfo)" -le 0
ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp
ok "... and is not there for programs" sh -c '! grep -qw smc /proc/sys/net/ipv4/tcp_available_ulp'

done_testing
