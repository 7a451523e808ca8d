# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# For the scripts of this directory: did SMC carry what the program sent? What is asked is not
# ours: the stock tracepoints of smc.ko, and TCP's own statistics of the program's socket.

. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

static=$BUILD/selftests/programs/static

events=/sys/kernel/tracing/events/smc
# TRACEPOINT and the histogram that is made of it
histograms=('smc_tx_sendmsg hist:keys=common_pid.execname:vals=len'
	'smc_rx_recvmsg hist:keys=common_pid.execname:vals=len'
	'smc_switch_to_fallback hist:keys=common_pid.execname')
tracing() { # tracing PREFIX SUFFIX
	local histogram
	for histogram in "${histograms[@]}"; do
		echo "$1${histogram#* }$2" >> "$events/${histogram%% *}/trigger"
	done
}
tracing '' ''
trap 'tracing "!" "" 2> /dev/null; clean_slate > /dev/null 2>&1; rm -rf "$tmp"' EXIT

# bytes_in FILE [PROGRAM]: the sum of a histogram of bytes
bytes_in() {
	local line sum=0
	local -a lines
	mapfile -t lines < "$1"
	for line in "${lines[@]}"; do
		# { common_pid: PROGRAM   [   PID] } hitcount:   N  len:   BYTES
		if [[ $line =~ ^\{\ common_pid:\ ([^ ]+)\ .*\ len:\ *([0-9]+) ]] &&
		   [ "${2:-${BASH_REMATCH[1]}}" = "${BASH_REMATCH[1]}" ]; then
			sum=$((sum + BASH_REMATCH[2]))
		fi
	done
	echo "$sum"
}
hits_in() { # hits_in FILE: how many there were
	local line
	local -a lines
	mapfile -t lines < "$1"
	for line in "${lines[@]}"; do
		if [[ $line =~ ^\ *Hits:\ ([0-9]+) ]]; then
			echo "${BASH_REMATCH[1]}"
		fi
	done
}

# look PORT: what is known of the connections to that port, all at one time
look() {
	ss -Htniep "dport = :$1" > "$tmp/ss"
	show "$events/smc_tx_sendmsg/hist" > "$tmp/tx"
	show "$events/smc_rx_recvmsg/hist" > "$tmp/rx"
	show "$events/smc_switch_to_fallback/hist" > "$tmp/fallback"
}
look_anew() { tracing '' :clear; }
# The most that TCP has carried of one of them, in one direction
tcp_bytes() {
	local word max=0
	local -a words
	read -r -d '' -a words < "$tmp/ss" || :
	for word in "${words[@]}"; do
		if [[ $word =~ ^bytes_(sent|received):([0-9]+) ]] && ((BASH_REMATCH[2] > max)); then
			max=${BASH_REMATCH[2]}
		fi
	done
	echo "$max"
}
smc_bytes() { bytes_in "$tmp/tx"; }

at_least() { [ "$1" -ge "$2" ] || { printf '%s is less than %s\n' "$1" "$2"; show "$tmp/ss"; return 1; }; }
at_most() { [ "$1" -le "$2" ] || { printf '%s is more than %s\n' "$1" "$2"; show "$tmp/ss"; return 1; }; }

# carried NAME smc|tcp PROGRAM BYTES [SENDER]: what look saw while PROGRAM's connection, over which
# at least BYTES went, was open. Without a device it is always TCP.
carried() {
	local name=$1 by=$2

	[ "$WORLD" != none ] || by=tcp
	ok "$name: ss shows the TCP socket of $3" has "$tmp/ss" "^ESTAB.*users:\(\(\"$3\""
	case $by in
	smc)
		ok "$name: SMC sent the bytes" at_least "$(smc_bytes)" "$4"
		ok "$name: SMC received the bytes" at_least "$(bytes_in "$tmp/rx")" "$4"
		[ -z "${5:-}" ] ||
			ok "$name: ... those of $5" at_least "$(bytes_in "$tmp/tx" "$5")" "$4"
		ok "$name: TCP carried only the handshake" at_most "$(tcp_bytes)" 4096
		;;
	tcp)
		ok "$name: SMC sent nothing" test "$(hits_in "$tmp/tx")" = 0
		ok "$name: SMC received nothing" test "$(hits_in "$tmp/rx")" = 0
		ok "$name: TCP carried the bytes" at_least "$(tcp_bytes)" "$4"
		[ "$2" = tcp ] ||
			ok "$name: smc.ko fell back" test "$(hits_in "$tmp/fallback")" -gt 0
		;;
	esac
	printf '# %s: smc %s, tcp %s bytes, smc_switch_to_fallback %s\n' "$name" "$(smc_bytes)" \
		"$(tcp_bytes)" "$(hits_in "$tmp/fallback")"
}

# attached=() is put before a program
attached=("$BUILD/smcpolicy" run --)
at_connect=("$BUILD/smcpolicy" run --attach connect --)

# serve PORT COMMAND...
serve() {
	start "$tmp/server-$1" "${@:2}"
	wait_for 300 listens "$1" || {
		show "$tmp/server-$1"
		die "no server on port $1: ${*:2}"
	}
}

# The cases: what is put before the client, which server, what is expected.
# cases FUNCTION [CASE...]: calls FUNCTION NAME smc|tcp PORT COMMAND-BEFORE-CLIENT...
# PORT is $port, an attached server, or $plain_port, one that is not.
port=7001 plain_port=7002
cases() {
	local function=$1 which
	shift
	[ $# -gt 0 ] || set -- create connect plain-server plain-client denied
	for which; do
		# without a device, what is attached is what matters
		[ "$WORLD" != none ] || [[ $which == create || $which == connect ]] || continue
		case $which in
		create) "$function" "attached at create" smc "$port" "${attached[@]}" ;;
		connect) "$function" "attached at connect" smc "$port" "${at_connect[@]}" ;;
		plain-server) "$function" "server without SMC" tcp "$plain_port" "${attached[@]}" ;;
		plain-client) "$function" "client without SMC" tcp "$port" env ;;
		denied)
			smcpolicy load deny_all 2> /dev/null || die "cannot load deny_all"
			"$function" "denied" tcp "$port" "${attached[@]}"
			smcpolicy unload deny_all
			;;
		esac
	done
}

the_end() {
	stop_all
	ok "nothing is left" nothing_left
	done_testing
}
