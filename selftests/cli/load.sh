#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# load, list, show, unload, version: text and JSON, pins, and what becomes of a
# second policy.
#
# worlds: smcd none

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

release=$(< /proc/sys/kernel/osrelease)
documents=0
# json COMMAND...: like smcpolicy; its output is checked at the end, all at once
json() {
	documents=$((documents + 1))
	smcpolicy "$@" > "$tmp/json.$documents" || return
	show "$tmp/json.$documents"
}
# In the world without a device load warns, and works.
loads() {
	smcpolicy load "$@" > "$tmp/out" 2> "$tmp/err" || { show "$tmp/err"; return 1; }
	[ ! -s "$tmp/out" ] || { show "$tmp/out"; return 1; }
	if [ "$WORLD" = none ]; then
		has "$tmp/err" 'warning: there is no SMC device, so every connection stays TCP'
	else
		[ ! -s "$tmp/err" ] || { show "$tmp/err"; return 1; }
	fi
}

# --- nothing loaded -------------------------------------------------------------

ok "list: nothing" silent smcpolicy list
ok "list -j: nothing" says '^\[\]$' json -j list
ok "show: nothing" silent smcpolicy show
ok "show POLICY: its options" says '^options +allow_ports= +ports that may use SMC$' smcpolicy show by_port
ok "show -j POLICY" says '"key":"default","value":"deny","type":"enum"' json show -j by_port
ok "show -p POLICY" says '^  "name": "by_port",$' json -p show by_port
ok "version" says '^smc ulp +yes$' smcpolicy version
ok "version: module and kernel" has "$tmp/out" "^kernel +${release//+/\\+}\$"
ok "version -j" says '"kernel":"[^"]+","smc_ulp":true,' json version -j
case $WORLD in
smcd) devices='"smcd_devices":1,"smcr_devices":0' ;;
none) devices='"smcd_devices":0,"smcr_devices":0' ;;
esac
ok "version -j: devices" has "$tmp/out" "$devices"
ok "--version" says '^smcpolicy [0-9]+\.[0-9]+\.[0-9]+$' smcpolicy --version
ok "--help" says '^  unload ' smcpolicy --help

# --- one loaded ------------------------------------------------------------------

ok "load" loads allow_all
ok "the policy is pinned" test -e "$pins/allow_all/ops"
ok "the pin holds the module" test "$(< /sys/module/smc_ulp/refcnt)" -gt 0
ok "list" says '^allow_all +allow_all +in-force +host +- +-$' smcpolicy list
ok "list -j" says '"name":"allow_all","policy":"allow_all",.*"registered":true' json -j list
ok "show NAME" says '^registered +yes$' smcpolicy show allow_all
ok "show NAME: pin" has "$tmp/out" "^pin path +$pins/allow_all\$"
ok "show NAME: value of an option" has "$tmp/out" '^options +events=yes '
ok "show -j NAME" says '"pin_path":"/sys/fs/bpf/smcpolicy/allow_all"' json show -j allow_all

# --- a second one -----------------------------------------------------------------

ok "a second policy is refused: the message names the first, and how to end it" \
	refused 1 'another policy is in force \(allow_all\)' 'smcpolicy unload allow_all' load deny_all
json_refused() { exits 1 json -j load deny_all 2> /dev/null; }
ok "a second policy is refused, -j" json_refused
ok "... and the message is JSON" \
	has "$tmp/json.$documents" '\{"error":"another policy is in force \(allow_all\)","cure":"smcpolicy unload allow_all, or load --replace"\}'
ok "the same policy again is refused" refused 1 'another policy is in force' 'smcpolicy unload' load allow_all
ok "a second policy leaves no pin" test ! -e "$pins/deny_all"
ok "a second policy for run, for its own cgroup" smcpolicy run --policy deny_all -- true
ok "... leaves no cgroup" no_cgroup_left
ok "the first policy is still in force" says '^allow_all .* in-force ' smcpolicy list

# --- what attaches, beside it ---------------------------------------------------

mkdir -p "$cgroups/test"
ok "load attach --cgroup beside a policy" loads attach --cgroup "$cgroups/test" --name beside
ok "list: both" says "^beside +- +attached +- +create +$cgroups/test\$" smcpolicy list
ok "list: the first" has "$tmp/out" '^allow_all .* in-force'

ok "unload what attaches" silent smcpolicy unload beside
ok "unload" silent smcpolicy unload allow_all
ok "unload leaves nothing" nothing_left
ok "unload again is refused" \
	refused 1 'no policy allow_all is loaded' 'smcpolicy list' unload allow_all

# --- options and hooks --------------------------------------------------------------

json -j load by_port --cgroup "$cgroups/test" --attach create --attach connect --name 'my.ports' \
	--set allow_ports=6379,8080-8082 --set default=allow --set deny_addr=127.0.0.3,10.0.0.0/8 > "$tmp/out" 2> "$tmp/err" || :
ok "load -j with options" has "$tmp/out" '"name":"my\.ports"'
ok "show: options are those of the kernel" says 'allow_ports=6379,8080-8082 ' smcpolicy show my.ports
ok "show: addresses" has "$tmp/out" 'deny_addr=10\.0\.0\.0/8,127\.0\.0\.3 '
ok "show: a word" has "$tmp/out" 'default=allow '
ok "show: cgroup" has "$tmp/out" "^cgroup +$cgroups/test\$"
ok "list: hooks" says '^my_ports +by_port +in-force +cgroup +create,connect ' smcpolicy list
ok "list -j: hooks" says '"attach":\["create","connect"\]' json -j list

# The cgroup goes, and with it the attachment; the policy stays, and has nothing to decide.
rmdir "$cgroups/test"
ok "the cgroup is removed: the policy is there" says '^my_ports +by_port +gone ' smcpolicy list
ok "... and can be unloaded" silent smcpolicy unload my.ports
ok "nothing is left" nothing_left

all_json() {
	python3 -c 'import json, sys
for name in sys.argv[1:]: json.load(open(name))' "$tmp"/json.*
}
ok "all of $documents documents are JSON" all_json
ok "the module can be unloaded" rmmod smc_ulp

done_testing
