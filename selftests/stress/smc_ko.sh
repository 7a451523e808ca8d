#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# smc.ko below the module: what keeps it in place, that it can be unloaded and loaded again without us,
# and what happens when it is another one then.
#
# worlds: smcd smcr

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

static=$BUILD/selftests/programs/static
case $WORLD in
smcd) ours=$BUILD/smcd/smc_ulp.ko smc=$BUILD/smc-lo/smc.ko other=$BUILD/stock/smc.ko ;;
smcr) ours=$BUILD/smcr/smc_ulp.ko smc=$BUILD/stock/smc.ko other=$BUILD/smc-lo/smc.ko ;;
esac
read -r wmem < /proc/sys/net/smc/wmem
read -r rmem < /proc/sys/net/smc/rmem
rounds=2

# with FILE as smc.ko, as scripts/guest/init left it otherwise
smc_up() {
	insmod "$1"
	modprobe smc_diag
	"$BUILD/ueid" SMC-ULP
	echo "$wmem" > /proc/sys/net/smc/wmem
	echo "$rmem" > /proc/sys/net/smc/rmem
}
smc_down() {
	rmmod smc_diag
	wait_for 90 rmmod smc
}
ulp_up() {
	insmod "$ours"
	echo 6000 > /proc/sys/net/smc_ulp/clc_timeout_ms
}
ulp_down() { wait_for 90 rmmod smc_ulp; }

# sent over SMC: how many messages
sent=/sys/kernel/tracing/events/smc/smc_tx_sendmsg
hits() { sed -n 's/^ *Hits: //p' "$sent/hist"; }
# connects BY: a program's connections work, over smc or tcp
connects() {
	local server rc=0

	echo 'hist:keys=common_pid' > "$sent/trigger"
	start "$tmp/server" "$BUILD/smcpolicy" run -- "$static" server 7001
	server=$started
	wait_for 300 listens 7001
	"$BUILD/smcpolicy" run -- "$static" client 7001 100 2 < /dev/null || rc=1
	case $1 in
	smc) [ "$(hits)" -gt 0 ] || rc=1 ;;
	tcp) [ "$(hits)" = 0 ] || rc=1 ;;
	esac
	printf '%s messages over SMC\n' "$(hits)"
	echo '!hist:keys=common_pid' > "$sent/trigger"
	stop "$server"
	wait_for 90 module_unused || rc=1
	return "$rc"
}

# refused REGEX: the module cannot be loaded, and the kernel says why
refused_to_load() {
	! kernel_says insmod "$ours" || return 1
	[ ! -e /sys/module/smc_ulp ] && has "$tmp/dmesg" "smc_ulp: .*($1)" && return
	show "$tmp/dmesg"
	return 1
}

in_use() { exits 1 rmmod "$1" 2>&1; }

ok "smc.ko cannot go below smc_ulp.ko" in_use smc
ulp_down
ok "nor below smc_diag.ko" in_use smc
rmmod smc_diag
ok "idle, and without these, it can" wait_for 90 rmmod smc
ok "smc_ulp.ko needs it" refused_to_load 'Unknown symbol smc_proto'

for ((i = 1; i <= rounds; i++)); do
	smc_up "$smc"
	ulp_up
	ok "smc.ko loaded again, $i: connections over SMC" connects smc
	ok "... smc.ko cannot go" in_use smc
	ulp_down
	ok "... and can afterwards" smc_down
done

# The other build has the fields that we use at the same places, or not.
layout() { cat "${1%/*}/src/smc_ulp_layout.gen.h"; }
smc_up "$other"
if [ "$(layout "$BUILD/smcd/smc_ulp.ko")" = "$(layout "$BUILD/smcr/smc_ulp.ko")" ]; then
	ok "another build of smc.ko, with the same layout" ulp_up
	case $WORLD in
	smcd) ok "... connections fall back" connects tcp ;;
	smcr) ok "... connections over SMC" connects smc ;;
	esac
	ulp_down
else
	ok "another build of smc.ko, with another layout" refused_to_load \
		'of the loaded smc\.ko .*this module was built for .*rebuild it against this smc\.ko'
fi
smc_down

# One whose sockets are larger: proto::obj_size of its smc_proto is changed, and it works.
larger() {
	local file=$1 size=$2 section offset start at i
	local -a words

	# without its signature, which would be wrong
	objcopy --strip-debug "$smc" "$file"
	# offset in its section, and the section
	read -r offset section < <(readelf -sW "$file" | awk '$8 == "smc_proto" { print $2, $7 }')
	# " [ 1] .text PROGBITS address offset ..."
	start=$(readelf -SW "$file" | sed -n -E "s/^ *\[ *$section\] +[^ ]+ +[^ ]+ +[^ ]+ +([^ ]+) .*/\1/p")
	at=$((16#$start + 16#$offset))
	read -r -d '' -a words < <(od -An -v -t u4 -w4 -j "$at" -N 512 "$file") || :
	for ((i = 0; i < ${#words[@]}; i++)); do
		[ "${words[i]}" = "$size" ] || continue
		# a multiple of 256 more: the lowest byte stays
		printf '%b' "\\x$(printf %02x $(((size >> 8) + 1)))" |
			dd of="$file" bs=1 seek=$((at + 4 * i + 1)) conv=notrunc status=none
		return
	done
	echo "no $size in smc_proto"
	return 1
}
size=$(layout "$ours" | sed -n 's/^#define SMC_ULP_SIZE_smc_sock //p')
ok "an smc.ko with larger sockets" larger "$tmp/smc.ko" "$size"
smc_up "$tmp/smc.ko"
ok "... is not the one we were built for" refused_to_load \
	"struct smc_sock of the loaded smc\.ko has $((size + 256)) bytes, this module was built for $size; rebuild it"
smc_down

smc_up "$smc"
ulp_up
ok "the right one again: connections over SMC" connects smc
ok "nothing is left" nothing_left

done_testing
