#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# iperf3 of Debian, as it is: a connection for control and one for data, in either direction.
#
# worlds: smcd smcr none
# timeout: 300

set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

much=2000000
serve "$port" "${attached[@]}" iperf3 -s -p "$port"

# In the midst of it; not at full speed, which would leave nothing of an emulated machine for us
under_way() {
	look "$1"
	grep -q '^ESTAB' "$tmp/ss" || return 1
	[ "$(smc_bytes)" -ge "$much" ] || [ "$(tcp_bytes)" -ge "$much" ]
}

reverse=()
measure() { # measure NAME smc|tcp PORT COMMAND...
	local pid

	look_anew
	timeout 60 "${@:4}" iperf3 -c 127.0.0.1 -p "$3" -t 10 -b 40M ${reverse[@]+"${reverse[@]}"} \
		> "$tmp/out" 2>&1 &
	pid=$!
	wait_for 30 under_way "$3" || printf '# %s: not seen under way\n' "$1"
	ok "$1: iperf3 ends well" wait "$pid"
	ok "$1: iperf3 received something" grep -Eq '[1-9][0-9.]* [MG]Bytes .* receiver$' "$tmp/out"
	carried "$1" "$2" iperf3 "$much"
}
cases measure create connect
reverse=(-R)
cases measure create
reverse=()
# The last: the server makes its listener anew after each test, now under the policy that denies,
# and that listener stays TCP.
cases measure denied

the_end
