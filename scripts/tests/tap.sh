# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# For the tests of this directory: each sources this file, calls ok() for every
# check, and done_testing() at its end. scripts/run-tests adds the numbers up.

TOP=$(cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
tap_count=0 tap_failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# ok NAME COMMAND...: the check passes when COMMAND succeeds.
ok() {
	local name=$1
	shift
	tap_count=$((tap_count + 1))
	if "$@" > "$tmp/.tap" 2>&1; then
		printf 'ok %d - %s\n' "$tap_count" "$name"
	else
		tap_failed=$((tap_failed + 1))
		sed 's/^/# /' "$tmp/.tap"
		printf 'not ok %d - %s\n' "$tap_count" "$name"
	fi
}

# skip NAME REASON
skip() {
	tap_count=$((tap_count + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tap_count" "$1" "$2"
}

# exits STATUS COMMAND...: true when COMMAND exits with STATUS.
exits() {
	local want=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" = "$want" ] || { printf 'exit status %s instead of %s: %s\n' "$got" "$want" "$*"; return 1; }
}

done_testing() {
	printf '1..%d\n' "$tap_count"
	[ "$tap_failed" = 0 ]
}
