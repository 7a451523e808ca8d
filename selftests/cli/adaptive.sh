#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The policy adaptive: what it learns of connections that are short, of TCP ones that are not, and of
# peers with which SMC does not happen; and that it keeps what it has learned.
#
# worlds: smcd
# timeout: 900

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

connections=$TOP/selftests/cli/connections.py
decline=$BUILD/demo/decline
modprobe xfrm_user	# decline has an IPsec policy
here=$cgroups/adaptive
mkdir -p "$here"

connect_in() { in_cgroup "$here" timeout 300 "$connections" "$@" > "$tmp/modes" 2>&1; }
is() { has "$tmp/modes" "^$1 client $2 server $3\$" || { show "$tmp/modes"; return 1; }; }
until_is() { # until_is MODE SPEC: connections become MODE after some
	if connect_in --until "$1" "$2" && has "$tmp/modes" '^after '; then
		return
	fi
	show "$tmp/modes"
	return 1
}
traced() { grep -Eq "$1" "$tmp/trace"; }
tracing() {
	: > "$tmp/trace.err"
	smcpolicy trace -j adaptive > "$tmp/trace" 2> "$tmp/trace.err" &
	trace=$!
	running+=("$trace")
	wait_for 60 has "$tmp/trace.err" 'tracing adaptive'
}
# A client without server here, to $decline
try_port() {
	# shellcheck disable=SC2016
	in_cgroup "$here" timeout 60 bash -c \
		'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET / HTTP/1.0\r\n\r\n" >&3 && read -r _ <&3' "$1"
}
# field NAME: of the peer with failures, in its map
field() {
	bpftool -j map dump pinned "$pins/adaptive/map_peers" |
		python3 -c 'import json, sys
for entry in json.load(sys.stdin): print(entry["formatted"]["value"][sys.argv[1]])' "$1"
}

# --- bytes per connection, in both directions ----------------------------------------------

ok "load" silent smcpolicy load adaptive --cgroup "$here" --set low_bytes=1000 --set high_bytes=20000 \
	--set samples=3 --set weight=2
ok "list: sockops" says "^adaptive +adaptive +in-force +cgroup +create,sockops +$here\$" smcpolicy list
ok "trace" tracing
ok "a service that is not known" connect_in 127.0.0.1:7301*50
ok "... may be SMC" is 127.0.0.1:7301 smc smc
ok "short connections" until_is tcp 127.0.0.1:7301*50
ok "... bring it to TCP" wait_for 30 traced '"type":"connect".*"remote_port":7301,.*"verdict":"deny","rule":"short"'
ok "between the thresholds it" connect_in 127.0.0.1:7301*5000 127.0.0.1:7301*5000 127.0.0.1:7301*5000 \
	127.0.0.1:7301*5000 127.0.0.1:7301*5000 127.0.0.1:7301*5000 127.0.0.1:7301*50
ok "... stays where it is" test "$(grep -c 'client tcp server tcp' "$tmp/modes")" = 7
ok "large connections over TCP" until_is smc 127.0.0.1:7301*200000
ok "... bring it back" connect_in 127.0.0.1:7301*5000 127.0.0.1:7301*5000 127.0.0.1:7301*5000 \
	127.0.0.1:7301*5000 127.0.0.1:7301*5000 127.0.0.1:7301*5000 127.0.0.1:7301*5000
ok "... and there it stays between the thresholds" test "$(grep -c 'client smc' "$tmp/modes")" = 7
ok "another peer" connect_in 127.0.0.2,127.0.0.2:7301*50
ok "... is another service" is 127.0.0.2:7301 smc smc
ok "short ones of that" until_is tcp 127.0.0.2,127.0.0.2:7301*50
ok "... bring that to TCP" connect_in 127.0.0.2,127.0.0.2:7301*5000 127.0.0.1:7301*5000
ok "... and not the first" is 127.0.0.1:7301 smc smc

# The server alone learns: its clients are elsewhere.
ok "other settings, and rules" silent smcpolicy load adaptive --replace --cgroup "$here" --set low_bytes=1000 \
	--set high_bytes=20000 --set samples=3 --set weight=2 \
	--set rules=<(printf 'require client port 7302 name must\nallow\n')
ok "what was learned is kept" connect_in 127.0.0.2,127.0.0.2:7301*5000
ok "... after a replacement" is 127.0.0.2:7301 tcp tcp
ok "short connections with a client that requires SMC" until_is ECONNABORTED 127.0.0.1:7302*50
ok "... are refused by the server" wait_for 30 traced '"type":"syn".*"local_port":7302,.*"verdict":"deny","rule":"short"'

# What learns of TCP comes and goes with the policy.
ok "replaced by a policy that learns nothing" silent smcpolicy load deny_all --replace --cgroup "$here"
ok "... sockops is gone" says "^deny_all +deny_all +in-force +cgroup +create +$here\$" smcpolicy list
ok "replaced again" silent smcpolicy load adaptive --replace --cgroup "$here"
ok "... sockops is there" says "^adaptive +adaptive +in-force +cgroup +create,sockops +$here\$" smcpolicy list

# --- a peer that declines ---------------------------------------------------------------------

stop "$trace"
ok "unload" silent smcpolicy unload adaptive
ok "load, for backoff" silent smcpolicy load adaptive --cgroup "$here" --set samples=1000 \
	--set backoff_ms=600000 --set backoff_max_ms=600000
ok "trace" tracing
start "$tmp/decline" "$decline" 7303
decliner=$started
wait_for 60 listens 7303
ok "a peer that declines" try_port 7303
ok "... is over TCP" wait_for 30 traced '"type":"fallback".*"remote_port":7303,'
ok "... is left alone" try_port 7303
ok "... for a while" wait_for 30 traced '"type":"connect".*"remote_port":7303,.*"verdict":"deny","rule":"backoff"'
ok "... after one failure" test "$(field failures)" = 1
stop "$trace"
ok "unload" silent smcpolicy unload adaptive

# With times that are over at once, each attempt is one; they double.
ok "load, with short times" silent smcpolicy load adaptive --cgroup "$here" --set samples=1000 \
	--set backoff_ms=1 --set backoff_max_ms=100000
fails() {
	try_port 7303
	[ "$(field failures)" -ge "$1" ]
}
ok "failures in a row" wait_for 120 fails 4
stop "$decliner"
back() { connect_in 127.0.0.1:7303 && has "$tmp/modes" 'client smc server smc'; }
ok "when the peer has SMC again" wait_for 120 back
ok "... all is forgotten" test -z "$(field failures)"
ok "unload" silent smcpolicy unload adaptive

rmdir "$here"
ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp

done_testing
