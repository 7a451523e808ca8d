#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A static program, into which nothing can be preloaded: client, and server that forks.
#
# worlds: smcd smcr none

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/lib.sh"

no_interpreter() { ! readelf -lW "$static" | grep INTERP; }
ok "the program is static" no_interpreter
serve "$port" "${attached[@]}" "$static" server "$port"
serve "$plain_port" "$static" server "$plain_port"

echo_bytes() { # echo_bytes NAME smc|tcp PORT COMMAND...
	local pid reply=

	look_anew
	mkfifo "$tmp/in" "$tmp/out.fifo"
	timeout 600 "${@:4}" "$static" client "$3" 1000000 < "$tmp/in" > "$tmp/out.fifo" 2> "$tmp/err" &
	pid=$!
	exec {to}> "$tmp/in" {from}< "$tmp/out.fifo"
	read -r reply <&"$from" || :
	ok "$1: what came back is what was sent" test "$reply" = "done"
	look "$3"
	exec {to}>&- {from}<&-
	ok "$1: the client ends well" wait "$pid"
	rm "$tmp/in" "$tmp/out.fifo"
	carried "$1" "$2" static 1000000 static
}
cases echo_bytes

the_end
