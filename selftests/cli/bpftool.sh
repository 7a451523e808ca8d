#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A policy without smcpolicy: bpftool struct_ops register, show, dump and unregister,
# beside a struct_ops type of the kernel image. With the bpftool of "make bpftool":
# that of the distribution crashes.
#
# worlds: smcd

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

bpftool=$BUILD/bpftool/bpftool
links=/sys/fs/bpf/bpftool
documents=0
tool() { "$bpftool" struct_ops "$@"; }
# tool -j, its output checked at the end
json() {
	documents=$((documents + 1))
	"$bpftool" -j struct_ops "$@" > "$tmp/json.$documents" || return
	show "$tmp/json.$documents"
}
# tells REGEX COMMAND...: COMMAND succeeds and says so on stderr, where messages of bpftool go
tells() {
	"${@:2}" > "$tmp/out" 2> "$tmp/err" || { show "$tmp/out" "$tmp/err"; return 1; }
	has "$tmp/err" "$1" || { show "$tmp/out" "$tmp/err"; return 1; }
}
# fails REGEX COMMAND...: COMMAND fails, not by a signal, and says so
fails() {
	local rc=0
	"${@:2}" > "$tmp/out" 2> "$tmp/err" || rc=$?
	[ "$rc" != 0 ] && { [ "$rc" -lt 128 ] || [ "$rc" = 255 ]; } && has "$tmp/err" "$1" && return
	printf 'exit status %s\n' "$rc"
	show "$tmp/out" "$tmp/err"
	return 1
}

if [ ! -x "$bpftool" ]; then
	skip "all" "not built: make bpftool"
	done_testing
	exit
fi

# --- register ----------------------------------------------------------------------

ok "nothing registered" silent tool show
ok "register, without a place to pin the link" \
	tells '^Registered smc_ulp_ops allow_all map id [0-9]+ link id [0-9]+$' tool register "$objects/allow_all.bpf.o"
ok "... which ends with bpftool" silent tool show
ok "register" tells '^Registered smc_ulp_ops allow_all map id [0-9]+ link id [0-9]+$' \
	tool register "$objects/allow_all.bpf.o" "$links"
[[ $(< "$tmp/err") =~ map\ id\ ([0-9]+) ]] && id=${BASH_REMATCH[1]} || id=none
ok "the link is pinned" test -e "$links/allow_all"
ok "the pin holds the module" test "$(< /sys/module/smc_ulp/refcnt)" -gt 0
ok "smcpolicy knows that a policy is in force" \
	refused 1 'another policy is in force \(allow_all\)' '' load deny_all
ok "a second one is refused" fails "can't register struct_ops deny_all: Device or resource busy" \
	tool register "$objects/deny_all.bpf.o" "$links"
ok "... and not pinned" test ! -e "$links/deny_all"

# --- show and dump, beside a type of vmlinux ------------------------------------------

ok "register a type of vmlinux" tells '^Registered tcp_congestion_ops smc_ulp_test map id [0-9]+ link id [0-9]+$' \
	tool register "$BUILD/selftests/congestion.bpf.o" "$links"
ok "show: the module's" says "^$id: allow_all +smc_ulp_ops *\$" tool show
ok "show: that of vmlinux" has "$tmp/out" '^[0-9]+: smc_ulp_test +tcp_congestion_ops *$'
ok "show id" says "^$id: allow_all +smc_ulp_ops *\$" tool show id "$id"
ok "show -j name" says "^\[\{\"id\":$id,\"name\":\"allow_all\",\"kernel_struct_ops\":\"smc_ulp_ops\"\}\]\$" \
	json show name allow_all
ok "dump: the type" says '^ +"bpf_struct_ops_smc_ulp_ops": \{$' tool dump name allow_all
ok "dump: the map" has "$tmp/out" "^ +\"id\": $id,\$"
ok "dump: a callback" has "$tmp/out" \
	'"connect": "int \(struct sock \*, const struct smc_ulp_tuple \*\) allow_all_connect/prog_id:[0-9]+"'
ok "dump: the name" has "$tmp/out" '"name": "allow_all"'
ok "dump -j: both types" says '"bpf_struct_ops_smc_ulp_ops":' json dump
ok "dump -j: that of vmlinux" has "$tmp/out" '"bpf_struct_ops_tcp_congestion_ops":'
ok "map dump" says '"state": "BPF_STRUCT_OPS_STATE_READY"' "$bpftool" map dump name allow_all

# --- unregister -------------------------------------------------------------------------

ok "unregister" tells "^Unregistered smc_ulp_ops allow_all id $id\$" tool unregister name allow_all
ok "... nothing else" says '^[0-9]+: smc_ulp_test ' tool show
ok "unregister again" fails 'no struct_ops found for allow_all' tool unregister name allow_all
ok "the policy is revoked: another can be loaded" smcpolicy load deny_all
smcpolicy unload deny_all
ok "unregister a type of vmlinux" tells '^Unregistered tcp_congestion_ops smc_ulp_test id [0-9]+$' \
	tool unregister name smc_ulp_test
ok "the pins are left" rm "$links/allow_all" "$links/smc_ulp_test"
ok "nothing is registered" silent tool show

all_json() {
	python3 -c 'import json, sys
for name in sys.argv[1:]: json.load(open(name))' "$tmp"/json.*
}
ok "all of $documents documents are JSON" all_json

# --- why all this -------------------------------------------------------------------------

# 139: SIGSEGV. The policy is registered, and gone with bpftool.
rc=0
/usr/sbin/bpftool struct_ops register "$objects/allow_all.bpf.o" > "$tmp/out" 2>&1 || rc=$?
if [ "$rc" = 0 ]; then
	skip "the distribution's bpftool crashes" "it does not: its bpftool has the fix"
else
	ok "the distribution's bpftool crashes" test "$rc" = 139
fi

rmdir "$links"
ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp

done_testing
