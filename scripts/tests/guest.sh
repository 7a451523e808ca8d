# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# For the scripts of selftests/*, which scripts/run-tests starts in the guest
# with the world in $WORLD: each sources this file, and calls ok() and
# done_testing() as the tests of this directory do.
#
# Every script finds the module loaded and no policy, and leaves it like that.

. "$(dirname -- "${BASH_SOURCE[0]}")/tap.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"

case ${WORLD:-} in smcd|smcr|none) ;; *) die "started by scripts/run-tests, in the guest" ;; esac

export SMCPOLICY_OBJECT_PATH=$BUILD/bpf_progs
objects=$BUILD/bpf_progs
pins=/sys/fs/bpf/smcpolicy
cgroups=/sys/fs/cgroup
chmod 755 "$tmp"

smcpolicy() { timeout -k 5 60 "$BUILD/smcpolicy" "$@"; }

# says REGEX COMMAND...: COMMAND succeeds and says so (in $tmp/out)
says() {
	"${@:2}" > "$tmp/out" 2> "$tmp/err" || { cat "$tmp/out" "$tmp/err"; return 1; }
	grep -Eq -- "$1" "$tmp/out" || { cat "$tmp/out"; return 1; }
}
# silent COMMAND...: COMMAND succeeds and says nothing
silent() {
	"$@" > "$tmp/out" 2>&1 || { cat "$tmp/out"; return 1; }
	[ ! -s "$tmp/out" ] || { cat "$tmp/out"; return 1; }
}
# refused STATUS CAUSE CURE ARGUMENT...: smcpolicy ARGUMENT... exits with STATUS, says nothing on
# stdout, and a line with CAUSE and, unless that is empty, one with CURE on stderr (both are
# regular expressions); and nothing is left. The command in as=(), if any, runs it.
as=()
refused() {
	local rc=0 before
	before=$(traces)
	${as[@]+"${as[@]}"} timeout -k 5 60 "$BUILD/smcpolicy" "${@:4}" \
		> "$tmp/out" 2> "$tmp/err" || rc=$?
	if [ "$rc" = "$1" ] && [ ! -s "$tmp/out" ] && grep -Eq "^smcpolicy: .*($2)" "$tmp/err" &&
	   { [ -z "$3" ] || grep -Eq "^  .*($3)" "$tmp/err"; } && wait_for 10 same_traces "$before"; then
		return
	fi
	printf 'exit status %s instead of %s\n' "$rc" "$1"
	cat "$tmp/out" "$tmp/err"
	printf 'before: %s\nnow: %s\n' "$before" "$(traces)"
	return 1
}
# What a policy or smcpolicy run leaves: pins, cgroups, users of the module.
traces() { echo "$pins"/* "$cgroups"/smcpolicy-run-* "$(cat /sys/module/smc_ulp/refcnt 2> /dev/null)"; }
same_traces() { [ "$(traces)" = "$1" ]; }

# wait_for SECONDS COMMAND...: true as soon as COMMAND succeeds
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.1
	done
}

# Nothing of a policy, of smcpolicy run, or of a socket with the ULP is left.
nothing_pinned() { ! compgen -G "$pins/*"; }
no_cgroup_left() { ! compgen -G "$cgroups/smcpolicy-run-*"; }
module_unused() {
	[ ! -e /sys/module/smc_ulp ] || [ "$(< /sys/module/smc_ulp/refcnt)" = 0 ] || {
		printf 'smc_ulp has %s users\n' "$(< /sys/module/smc_ulp/refcnt)"
		return 1
	}
}
nothing_left() { wait_for 10 no_cgroup_left > /dev/null && nothing_pinned && wait_for 10 module_unused; }

# kernel_says COMMAND...: run it, and keep what the kernel says meanwhile in $tmp/dmesg
log_marks=0
kernel_says() {
	local mark rc=0
	log_marks=$((log_marks + 1))
	mark="test $$-$log_marks"
	printf '<6>%s\n' "$mark" > /dev/kmsg
	"$@" || rc=$?
	dmesg | sed "1,/$mark/d" > "$tmp/dmesg"
	return "$rc"
}

# hidden PATH, replaced PATH WITH: put before a command, it finds PATH empty, or WITH in its place
mkdir "$tmp/empty-directory"
: > "$tmp/empty-file"
hidden() {
	local empty=$tmp/empty-file
	[ ! -d "$1" ] || empty=$tmp/empty-directory
	replaced "$1" "$empty" "${@:2}"
}
replaced() {
	# shellcheck disable=SC2016
	unshare -m /bin/bash -c 'mount --bind "$2" "$1" && shift 2 && exec "$@"' bash "$@"
}

# in_cgroup PATH COMMAND...
in_cgroup() {
	( echo "$BASHPID" > "$1/cgroup.procs"
	  exec "${@:2}" )
}

# start LOG COMMAND...: in the background, until stop; sets $started
start() {
	local log=$1
	shift
	"$@" > "$log" 2>&1 < /dev/null &
	started=$!
	running+=("$started")
}
running=()
stop() { # stop PID: SIGTERM, and wait for its end
	kill -TERM "$1" 2> /dev/null || :
	if ! wait_for 15 gone "$1"; then
		printf 'process %s does not end\n' "$1"
		kill -KILL "$1"
		return 1
	fi
	wait "$1" 2> /dev/null || :
}
gone() { ! kill -0 "$1" 2> /dev/null || grep -q '^State:.Z' "/proc/$1/status" 2> /dev/null; }
stop_all() {
	local pid
	for pid in ${running[@]+"${running[@]}"}; do
		gone "$pid" || stop "$pid" || :
	done
	running=()
}

listens() { [ -n "$(ss -Hltn "sport = :$1")" ]; }

# Also what an earlier script left, which is that one's failure.
clean_slate() {
	local it pid
	stop_all
	for it in "$pins"/*; do
		[ ! -e "$it" ] || smcpolicy unload "${it##*/}" || rm -rf "$it"
	done
	for it in "$cgroups"/smcpolicy-run-*; do
		[ -d "$it" ] || continue
		while read -r pid; do
			kill -KILL "$pid" || :
		done < "$it/cgroup.procs"
		wait_for 5 rmdir "$it" 2> /dev/null || :
	done
	[ -e /sys/module/smc_ulp ] || modprobe smc_ulp
	# an emulated machine is slow
	echo 6000 > /proc/sys/net/smc_ulp/clc_timeout_ms
}
clean_slate
trap 'clean_slate > /dev/null 2>&1; rm -rf "$tmp"' EXIT
