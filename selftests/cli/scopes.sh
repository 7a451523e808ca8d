#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Scopes: which policy decides where, what a second one for the same is told, and how one takes the
# place of another.
#
# worlds: smcd
# timeout: 900

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

connections=$TOP/selftests/cli/connections.py
here=$cgroups/scopes
mkdir -p "$here/inner/most" "$here/other"

connect_in() { in_cgroup "$1" timeout 300 "$connections" "${@:2}" > "$tmp/modes" 2>&1; }
is() { # is CGROUP PORT MODE: what a connection to PORT is
	connect_in "$1" "127.0.0.1:$2"
	has "$tmp/modes" "client $3 server $3" || { show "$tmp/modes"; return 1; }
}

# --- where they decide ----------------------------------------------------------------

ok "--host and --netns" refused 2 '--host and --netns exclude each other' 'load --help' \
	load allow_all --host --netns self
ok "no such netns" refused 1 'cannot enter the network namespace nowhere: No such file' 'ip netns' \
	load allow_all --netns nowhere
ok "not a netns" refused 1 'cannot enter the network namespace /dev/null' 'a name that ip netns shows' \
	load allow_all --netns /dev/null

ok "host" silent smcpolicy load by_port --host --cgroup "$here" --set allow_ports=7201-7209 --name wide
ok "netns" silent smcpolicy load by_port --netns self --set deny_ports=7202 --set default=pass --name netns
ok "cgroup" silent smcpolicy load by_port --cgroup "$here/inner" --set allow_ports=7203 --set default=pass --name near
ok "list: host" says "^wide +by_port +in-force +host +create +$here\$" smcpolicy list
ok "list: netns" has "$tmp/out" '^netns +by_port +in-force +netns:self +- +-$'
ok "list: cgroup" has "$tmp/out" "^near +by_port +in-force +cgroup +create +$here/inner\$"
ok "list -j" says '"name":"near","policy":"by_port",.*"scope":"cgroup","scope_name":"'"$here/inner"'"' \
	smcpolicy -j list
ok "the host's" is "$here/other" 7201 smc
ok "... and its denial" is "$here/other" 7210 tcp
ok "the namespace's before that" is "$here/other" 7202 tcp
ok "the cgroup's first" is "$here/inner" 7203 smc
ok "... also below it" is "$here/inner/most" 7203 smc
ok "... which passes" is "$here/inner/most" 7202 tcp
ok "... to the widest" is "$here/inner" 7204 smc
ok "a nearer one" silent smcpolicy load deny_all --cgroup "$here/inner/most"
ok "... decides there" is "$here/inner/most" 7203 tcp
ok "... and nowhere else" is "$here/inner" 7203 smc
ok "which one to trace?" refused 1 'several policies are in force' 'name one' trace

# --- a second one ------------------------------------------------------------------------

ok "a second one for a cgroup" refused 1 "another policy is in force \\(by_port\\) for $here/inner" \
	'smcpolicy unload near, or load --replace' load allow_all --cgroup "$here/inner"
ok "a second one for the host" refused 1 'another policy is in force \(by_port\)' \
	'smcpolicy unload wide, or load --replace' load allow_all --host
ok "a second one for the namespace" refused 1 'another policy is in force \(by_port\) for self' \
	'smcpolicy unload netns, or load --replace' load allow_all --netns /proc/self/ns/net
ok "one for another namespace" silent unshare -n "$BUILD/smcpolicy" load allow_all --netns self
ok "... is not of this" says '^allow_all +allow_all +in-force +netns:cookie [0-9]+ +- +-$' smcpolicy list
ok "... and goes" silent smcpolicy unload allow_all

# --- in the place of another ------------------------------------------------------------

ok "replace: none of that name" refused 1 'there is no nothing.bpf.o' '' load nothing --replace --cgroup "$here/inner"
ok "replace: other hooks" refused 1 'near is attached at other hooks' 'unload near' \
	load allow_all --replace --cgroup "$here/inner" --attach bind
ok "replace: another cgroup" refused 1 'wide is attached to another cgroup' 'unload wide' \
	load allow_all --replace --host --cgroup "$here/inner"
ok "replace: no verdicts" refused 1 'attach gives no verdicts' 'unload that' \
	load attach --replace --cgroup "$here/inner"
mkdir "$pins/taken"
ok "replace: a name that is taken" refused 1 "$pins/taken is there already" 'smcpolicy unload taken' \
	load allow_all --replace --cgroup "$here/inner" --name taken
rmdir "$pins/taken"
ok "... and all is as before" is "$here/inner" 7203 smc

link() { smcpolicy -j show "$1" | sed -n 's/.*"link_id":\([0-9]*\),"map_id".*/\1/p'; }
before=$(link near)
ok "replace" silent smcpolicy load deny_all --replace --cgroup "$here/inner"
ok "... one that has a name keeps it" says "^near +deny_all +in-force +cgroup +create +$here/inner\$" smcpolicy list
ok "... it is the same link" test "$(link near)" = "$before"
ok "... another policy" is "$here/inner" 7203 tcp
ok "replace: --name" silent smcpolicy load allow_all --replace --cgroup "$here/inner" --name again
ok "... another name" says "^again +allow_all +in-force +cgroup +create " smcpolicy list
ok "... and the old is gone" test ! -e "$pins/near"
ok "... decides" is "$here/inner" 7299 smc
ok "replace -j" says '^\{"name":"again","path":".*/by_port.bpf.o","replaced":"again"\}$' \
	smcpolicy -j load by_port --replace --cgroup "$here/inner"
ok "replace where nothing is" silent smcpolicy load by_port --replace --cgroup "$here/other" --set allow_ports=7299
ok "... loads" is "$here/other" 7299 smc
ok "no pins of what was begun" test -z "$(compgen -G "$pins/*~")"

# --- a cgroup that goes ------------------------------------------------------------------

rmdir "$here/inner/most"
ok "a cgroup that is gone" says '^deny_all +deny_all +gone +cgroup +- +-$' smcpolicy list
ok "replace: gone" silent smcpolicy unload deny_all
for name in wide netns again by_port; do
	ok "unload $name" silent smcpolicy unload "$name"
done
rmdir "$here/inner" "$here/other" "$here"
ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp

done_testing
