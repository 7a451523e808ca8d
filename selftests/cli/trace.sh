#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# trace: what it shows, that records are written while somebody reads them and only then, however a
# reader ends, and that several readers do not disturb each other.
#
# worlds: smcd
# timeout: 900

set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/tests/guest.sh"

static=$BUILD/selftests/programs/static

# The library's own tests, of which some need the module.
library() {
	timeout 100 "$BUILD/libsmcpolicy/lib_test" > "$tmp/out" 2>&1 && ! grep -q '^not ok\|SKIP' "$tmp/out" && return
	cat "$tmp/out"
	return 1
}
ok "the library's tests" library

mkdir -p "$cgroups/test"
load() { smcpolicy load by_port --cgroup "$cgroups/test" --set allow_ports=7001 "$@"; }

# tracing FILE ARGUMENT...: a trace in the background, as soon as it says that it is one; its output
# is in $tmp/FILE, its PID in $started
tracing() {
	local file=$1
	shift
	: > "$tmp/$file.err"
	"$BUILD/smcpolicy" trace "$@" > "$tmp/$file" 2> "$tmp/$file.err" < /dev/null &
	started=$!
	running+=("$started")
	wait_for 60 grep -qs '^smcpolicy: tracing by_port: what happens from now on$' "$tmp/$file.err" || {
		cat "$tmp/$file.err"
		return 1
	}
}
# A connection to a port that is denied, and where nobody listens: a record of the socket, and one
# of the verdict
try_port() {
	# shellcheck disable=SC2016
	in_cgroup "$cgroups/test" timeout 60 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"' "$1" 2> /dev/null || :
}
verdict_on() { grep -Eq "connect +client .* > 127.0.0.1:$2 deny by default pid " "$tmp/$1"; }
verdict_soon() { wait_for 20 verdict_on "$@" || { cat "$tmp/$1"; return 1; }; }
no_verdict_on() { ! verdict_on "$@"; }

# What show says, which removes what killed readers leave, and what really is there.
of_show() { smcpolicy -j show by_port | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
rings() { bpftool map dump pinned "$pins/by_port/map_smc_events" | sed -n 's/^Found \([0-9]*\) element.*/\1/p'; }
same() { [ "$1" = "$2" ] || { printf '%s is not %s\n' "$1" "$2"; return 1; }; }
is_rings() { same "$(rings)" "$1"; }
is_shown() { same "$(of_show "$1")" "$2"; }
status_of() { # status_of PID STATUS...: it ends, with one of them
	local rc=0
	wait_for 30 gone "$1" || return 1
	wait "$1" || rc=$?
	[[ " ${*:2} " == *" $rc "* ]] || { printf 'exit status %s\n' "$rc"; return 1; }
}

# --- nobody reads -----------------------------------------------------------------

load
try_port 4001
ok "nobody reads: nothing is written" is_shown events_sent 0
ok "nobody reads: nothing is lost" is_shown events_lost 0
ok "nobody reads: show says so" is_shown event_readers 0
ok "nobody reads: no ring buffer" is_rings 0

# --- one reader -------------------------------------------------------------------

ok "trace says when it begins" tracing one
one=$started
ok "show: a reader" is_shown event_readers 1
try_port 4002
ok "a verdict, and its rule" verdict_soon one 4002
ok "the socket before" grep -Eq '^[0-9.]+ attach +create allow by undecided pid ' "$tmp/one"
ok "nothing of what was before" no_verdict_on one 4001
ok "only records on stdout" test "$(grep -Evc '^[0-9]+\.[0-9]+ (attach|connect) ' "$tmp/one")" = 0
ok "show: two records" is_shown events_sent 2
kill -TERM "$one"
ok "SIGTERM ends it" status_of "$one" 0
ok "... without a word more" test "$(wc -l < "$tmp/one.err")" = 1
ok "... and its ring buffer is gone" is_rings 0
try_port 4003
ok "nothing is written any more" is_shown events_sent 2
ok "... and nothing is lost" is_shown events_lost 0

# shellcheck disable=SC2016
start "$tmp/server" bash -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$cgroups/test" "$static" server 7001
server=$started
wait_for 30 listens 7001
ok "trace of connections" tracing connections --connections --json
connections=$started
ok "a connection" in_cgroup "$cgroups/test" timeout 60 "$static" client 7001 5000 < /dev/null
released() { [ "$(grep -c '"type":"release"' "$tmp/connections")" = 2 ]; }
ok "... is released on both sides" wait_for 30 released
ok "... was established" grep -q '"type":"established".*"mode":"smcd"' "$tmp/connections"
ok "no verdicts among the connections" test "$(grep -c '"type":"connect"' "$tmp/connections")" = 0
is_json() {
	timeout 60 python3 -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)' "$1"
}
ok "each line is JSON" is_json "$tmp/connections"
ok "the trace ends well" stop "$connections"
stop "$server"

# --- however it ends --------------------------------------------------------------

ok "to be interrupted" tracing interrupted
kill -INT "$started"
ok "SIGINT ends it" status_of "$started" 0
ok "... and its ring buffer is gone" is_rings 0
tracing hung_up
kill -HUP "$started"
ok "SIGHUP ends it" status_of "$started" 0
ok "... and its ring buffer is gone" is_rings 0
ok "to count" tracing counted --count 2
try_port 4004
ok "--count ends it" status_of "$started" 0
ok "... after so many records" test "$(wc -l < "$tmp/counted")" = 2
ok "... and its ring buffer is gone" is_rings 0
mkfifo "$tmp/pipe"
head -n 1 "$tmp/pipe" > "$tmp/head" &
ok "into a pipe" tracing pipe
piped=$started
try_port 4005
wait_for 20 test -s "$tmp/head"
try_port 4006
ok "a pipe that nobody reads ends it" status_of "$piped" 141 1
ok "... and its ring buffer is gone" is_rings 0

ok "to be killed" tracing killed
sent=$(of_show events_sent)
kill -KILL "$started"
ok "SIGKILL ends it" status_of "$started" 137
try_port 4007
ok "killed: its ring buffer is left" is_rings 1
ok "killed: nothing is written any more" is_shown events_sent "$sent"
ok "killed: nothing is lost" is_shown events_lost 0
ok "killed: show has removed its ring buffer" is_rings 0

# --- several readers --------------------------------------------------------------

tracing first
first=$started
tracing second
second=$started
tracing third
third=$started
ok "show: three readers" is_shown event_readers 3
try_port 4011
for it in first second third; do
	ok "the $it gets the record" verdict_soon "$it" 4011
done
ok "... the same" cmp "$tmp/first" "$tmp/third"
kill -TERM "$first"
ok "the first ends" status_of "$first" 0
kill -KILL "$third"
ok "the third is killed" status_of "$third" 137
ok "two ring buffers" is_rings 2
sent=$(of_show events_sent)
ok "... of which one is used" is_rings 1
try_port 4012
ok "the second goes on" verdict_soon second 4012
ok "... and is the only one written for" is_shown events_sent $((sent + 2))
ok "the others are not" test -z "$(grep -h ':4012 ' "$tmp/first" "$tmp/third")"
tracing fourth
fourth=$started
try_port 4013
ok "another takes the place" verdict_soon fourth 4013
ok "... beside the second" verdict_soon second 4013
stop "$second"
stop "$fourth"
ok "nobody is left" is_rings 0

# A reader that does not read loses records, and only that one: what is said to be lost and what is
# seen adds up, also for one that is merely slow.
many=4000
tracing stopped
stopped=$started
tracing going
going=$started
kill -STOP "$stopped"
lost=$(of_show events_lost)
ok "$many sockets" in_cgroup "$cgroups/test" timeout 100 python3 -c 'import socket, sys, time
for i in range(int(sys.argv[1])):
	socket.socket().close()
	if i % 100 == 0: time.sleep(0.05)' "$many"
kill -CONT "$stopped"
ok "the one that was stopped ends" stop "$stopped"
ok "the other ends" stop "$going"
said() { sed -n 's/.*warning: \([0-9]*\) records were lost.*/\1/p' "$tmp/$1.err" | grep . || echo 0; }
adds_up() {
	printf '%s seen, %s lost\n' "$(wc -l < "$tmp/$1")" "$(said "$1")"
	[ $(($(wc -l < "$tmp/$1") + $(said "$1"))) = "$many" ]
}
ok "the one that was stopped says what it lost" test "$(said stopped)" -gt 0
ok "... and that is all" adds_up stopped
ok "the other has the rest" adds_up going
ok "... and more" test "$(wc -l < "$tmp/going")" -gt "$(wc -l < "$tmp/stopped")"
ok "show: what was lost" is_shown events_lost $((lost + $(said stopped) + $(said going)))

# --- the policy goes --------------------------------------------------------------

tracing orphan
orphan=$started
smcpolicy unload by_port
load
ok "unload ends it" status_of "$orphan" 1
ok "... which is said" grep -q '^smcpolicy: by_port was unloaded$' "$tmp/orphan.err"
smcpolicy unload by_port

load --set events=no
ok "events=no" refused 1 'by_port writes no events: it was loaded with events=no' \
	'load it again without --set events=no' trace
ok "events=no, by name" refused 1 'it was loaded with events=no' 'load it again' trace by_port
try_port 4021
ok "events=no: nothing is written" is_shown events_sent 0
smcpolicy unload by_port

rmdir "$cgroups/test"
ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp

done_testing
