#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# iperf3 of Debian, as it is: a connection for control and one for data, in either direction.
#
# worlds: smcd smcr none

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/lib.sh"

much=2000000
serve "$port" "${attached[@]}" iperf3 -s -p "$port"

# In the midst of it; not at full speed, which would leave nothing of an emulated machine for us
under_way() { # under_way PORT PID
	look "$1"
	if has "$tmp/ss" '^ESTAB' && { [ "$(smc_bytes)" -ge "$much" ] || [ "$(tcp_bytes)" -ge "$much" ]; } then
		return
	fi
	if gone "$2"; then
		seen=no
	else
		return 1
	fi
}

# A machine that stands still at the wrong time may show us nothing: then more, which takes longer.
reverse=()
measure() { # measure NAME smc|tcp PORT COMMAND...
	local pid seen size rc

	for size in 12 36 108; do
		look_anew
		"${@:4}" iperf3 -c 127.0.0.1 -p "$3" -n "${size}M" -b 40M ${reverse[@]+"${reverse[@]}"} \
			> "$tmp/iperf3" 2>&1 &
		pid=$! seen=yes rc=0
		wait_for 600 under_way "$3" "$pid" || seen=no
		wait "$pid" || rc=$?
		if [ "$seen" = yes ] || [ "$rc" != 0 ]; then
			break
		fi
		printf '# %s: %s MB were over before we looked\n' "$1" "$size"
	done
	ok "$1: iperf3 ends well" test "$rc" = 0
	ok "$1: iperf3 received something" has "$tmp/iperf3" '[1-9][0-9.]* [MG]Bytes .* receiver$'
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
