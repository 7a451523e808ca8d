#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The policy rules: which rule decides, on both sides; that rules are swapped as a whole or not at
# all; hits.
#
# worlds: smcd
# timeout: 900

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

connections=$TOP/selftests/cli/connections.py
here=$cgroups/rules
mkdir -p "$here/inner"

# connect_in CGROUP SPEC...: what became of them, in $tmp/modes
connect_in() { in_cgroup "$1" timeout 300 "$connections" "${@:2}" > "$tmp/modes" 2>&1; }
is() { has "$tmp/modes" "^$1 client $2 server $3\$" || { show "$tmp/modes"; return 1; }; }
# hits NAME COUNT: so often did the rule decide
hits() {
	smcpolicy rules show > "$tmp/rules"
	has "$tmp/rules" "^[0-9]+ +[a-z]+ +$2 +$1 " || { show "$tmp/rules"; return 1; }
}

# --- what is read ---------------------------------------------------------------------

# Many prefixes, of which few matter here
for ((i = 0; i < 20000; i++)); do
	printf '10.%d.%d.0/24\n' $((i / 256)) $((i % 256))
done > "$tmp/list"
cat >> "$tmp/list" << 'LIST'
127.0.1.0/24	# near
127.0.2.0/23
2001:db8::/32
LIST
cat > "$tmp/rules.1" << RULES
prefixes near from list
deny client peer 127.0.1.7 name seven
deny client peer 127.0.2.0/24 local 127.0.9.9 name nine
allow client peer @near port 7101-7103 name near
allow client comm python3 port 7104 cgroup /rules/inner name inner
allow client comm no-such-name port 7104 name comm
allow client uid 65534 port 7104 name uid
allow client netns self port 7105 uid 0,65534 name self
allow client port 7106-7109 name clients
allow server port 7101-7105 name servers
deny server peer 127.0.6.0/24 port 7106 name far
allow server peer 127.0.0.0/16 port 7106 name lo
allow server local 127.0.7.7 port 7107 name local
require client peer ::1 port 7110 name must
default deny
RULES
ok "check" says '^rules +13$' smcpolicy rules check "$tmp/rules.1"
ok "check: prefixes" has "$tmp/out" '^prefixes +20010$'
ok "check -j" says '^\{"file":".*","rules":13,"prefixes":20010,"classes":[0-9]+\}$' smcpolicy -j rules check "$tmp/rules.1"
echo 'allow peer 10.0.0.0/33' > "$tmp/bad"
ok "check: an error has line and column" refused 1 "$tmp/bad:1:12: '10.0.0.0/33' is not a prefix" 'a prefix is' \
	rules check "$tmp/bad"
ok "load: an error in the file" refused 1 "$tmp/bad:1:12: " 'a prefix is' \
	load rules --cgroup "$here" --set rules="$tmp/bad"
ok "load: no file" refused 1 "cannot read $tmp/none" 'path of a file' load rules --set rules="$tmp/none"
ok "rules: what?" refused 2 "rules 'swap': it is check, load or show" 'rules --help' rules swap "$tmp/bad"
ok "rules load: which file?" refused 2 'rules load: which file' 'rules --help' rules load
ok "rules load: nothing has rules" refused 1 'no policy with rules is loaded' 'load rules --set' rules load "$tmp/rules.1"

# --- what they decide -------------------------------------------------------------------

ok "load" silent smcpolicy load rules --cgroup "$here" --set rules="$tmp/rules.1"
ok "show: the file" says "rules=$tmp/rules.1 " smcpolicy show rules
smcpolicy trace -j > "$tmp/trace" 2> "$tmp/trace.err" &
trace=$!
running+=("$trace")
wait_for 60 has "$tmp/trace.err" 'tracing rules'
ok "connections" connect_in "$here" 127.0.1.8:7101 127.0.1.7:7101 127.0.1.8:7100 127.0.3.255:7103 \
	127.0.9.9,127.0.2.1:7102 127.0.2.1:7102 127.0.0.1:7104 127.0.0.1:7105 \
	127.0.6.1,127.0.0.1:7106 127.0.0.1:7106 127.0.0.1:7107 127.0.7.7:7107 127.0.0.1:7108 ::1:7110 ::1:7101
ok "a prefix of a list, and a range of ports" is 127.0.1.8:7101 smc smc
ok "an earlier rule" is 127.0.1.7:7101 tcp tcp
ok "another port" is 127.0.1.8:7100 tcp tcp
ok "the end of a prefix" is 127.0.3.255:7103 smc smc
ok "a local address that was bound" has "$tmp/modes" '^127.0.2.1:7102 client tcp server tcp$'
ok "... and one that was not" has "$tmp/modes" '^127.0.2.1:7102 client smc server smc$'
ok "another cgroup, name, user" is 127.0.0.1:7104 tcp tcp
ok "network namespace and user" is 127.0.0.1:7105 smc smc
ok "a server's peer that is denied" has "$tmp/modes" '^127.0.0.1:7106 client tcp server tcp$'
ok "... and one that is not" has "$tmp/modes" '^127.0.0.1:7106 client smc server smc$'
ok "a server's address that is denied" is 127.0.0.1:7107 tcp tcp
ok "... and one that is not" is 127.0.7.7:7107 smc smc
ok "a server that is denied" is 127.0.0.1:7108 tcp tcp
ok "a client that requires SMC of one" is ::1:7110 ECONNABORTED ECONNABORTED
ok "no rule" is ::1:7101 tcp tcp
ok "connections in a cgroup below" connect_in "$here/inner" 127.0.0.1:7104
ok "... to which a rule applies" is 127.0.0.1:7104 smc smc

ok "hits" hits seven 1
ok "hits: nine" hits nine 1
ok "hits: near" hits near 3
ok "hits: of a cgroup" hits inner 1
ok "hits: of a name that nobody has" hits comm 0
ok "hits: of another user" hits uid 0
ok "hits: must" hits must 1
ok "hits: a SYN" hits far 1
ok "rules show -j" says '"number":2,"name":"nine","verdict":"deny","hits":1,"line":3,' smcpolicy -j rules show rules
traced() { grep -q "$1" "$tmp/trace"; }
ok "trace: the rule of a client" wait_for 30 traced '"type":"connect".*"remote_port":7102,.*"verdict":"deny","rule":"nine"'
ok "trace: the rule of a SYN" wait_for 30 traced '"type":"syn".*"local_port":7106,.*"verdict":"deny","rule":"far"'
ok "trace: the rule of what was required" wait_for 30 traced '"type":"connect".*"verdict":"require","rule":"must"'
ok "trace: the number of the rule with the outcome" \
	wait_for 30 traced '"type":"established".*"remote_port":7103,.*"rule_number":3'

# --- other rules -------------------------------------------------------------------------

echo 'allow port 80 port 81' > "$tmp/bad"
ok "rules load: an error" refused 1 "$tmp/bad:1:15: there are two conditions 'port'" 'one list' rules load "$tmp/bad"
ok "... leaves what there was, and its hits" hits near 3
printf 'allow port 7108 name only\ndefault deny\n' > "$tmp/rules.2"
ok "rules load" silent smcpolicy rules load "$tmp/rules.2"
ok "... the rules are others" hits only 0
ok "... the cgroup is the same" says "^rules +rules +in-force +cgroup +create +$here\$" smcpolicy list
ok "connections" connect_in "$here" 127.0.1.8:7101 127.0.0.1:7108
ok "... denied now" is 127.0.1.8:7101 tcp tcp
ok "... allowed now" is 127.0.0.1:7108 smc smc
ok "... by the new rules: listen, connect, SYN" hits only 3
ok "the trace goes on" wait_for 30 traced '"type":"listen".*"local_port":7108,.*"rule":"only"'

# Decisions while rules are swapped: each by one set of rules, both of which allow
printf 'deny port 9 name even\nallow name odd\n' > "$tmp/rules.3"
specs=()
for ((i = 0; i < 60; i++)); do
	specs+=(127.0.0.1:7108)
done
start "$tmp/busy" in_cgroup "$here" "$connections" "${specs[@]}"
for i in 2 3 2; do
	ok "swap under traffic: rules.$i" silent smcpolicy rules load "$tmp/rules.$i" rules
done
ok "the traffic ends" wait_for 300 gone "$started"
ok "... and all of it was SMC" test "$(grep -c 'client smc server smc' "$tmp/busy")" = 60

stop "$trace"
ok "unload" silent smcpolicy unload rules
rmdir "$here/inner" "$here"
ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp

done_testing
