#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# redis-server, redis-cli and redis-benchmark of Debian, as they are.
#
# worlds: smcd smcr none

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/lib.sh"

redis() { serve "$1" "${@:2}" redis-server --bind 127.0.0.1 --port "$1" --save ''; }
redis "$port" "${attached[@]}"
redis "$plain_port"

head -c 786432 /dev/urandom | base64 -w 0 > "$tmp/value"	# 1 MiB
echo >> "$tmp/value"

# The client stays, with its connection, until its stdin ends.
set_get() { # set_get NAME smc|tcp PORT COMMAND...
	local name=$1 pid reply=

	look_anew
	mkfifo "$tmp/in" "$tmp/out.fifo"
	timeout 600 "${@:4}" redis-cli -p "$3" < "$tmp/in" > "$tmp/out.fifo" 2> "$tmp/err" &
	pid=$!
	exec {to}> "$tmp/in" {from}< "$tmp/out.fifo"
	{ printf 'SET big '; cat "$tmp/value"; } >&"$to"
	read -r reply <&"$from" || :
	ok "$name: SET" test "$reply" = OK
	echo 'GET big' >&"$to"
	head -n 1 <&"$from" > "$tmp/reply"
	ok "$name: GET gives what was SET" cmp "$tmp/value" "$tmp/reply"
	look "$3"
	exec {to}>&- {from}<&-
	ok "$name: redis-cli ends well" wait "$pid"
	rm "$tmp/in" "$tmp/out.fifo"
	carried "$name" "$2" redis-cli 1048576 redis-server
}
cases set_get

benchmark() {
	timeout 600 "${attached[@]}" redis-benchmark -p "$port" -c 4 -n "$requests" -d 256 \
		-t set,get --csv > "$tmp/out" 2>&1 || { show "$tmp/out"; return 1; }
	has "$tmp/out" '^"GET",'
}
requests=1000
[ "$WORLD" = smcd ] || requests=300
look_anew
ok "redis-benchmark" benchmark
look "$port"
case $WORLD in
none) ok "redis-benchmark: SMC sent nothing" test "$(hits_in "$tmp/tx")" = 0 ;;
*) ok "redis-benchmark: SMC sent the bytes" at_least "$(smc_bytes)" $((requests * 2 * 256)) ;;
esac

the_end
