# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# For the scripts of selftests/*, which scripts/run-tests starts in the guest
# with the world in $WORLD: each sources this file, and calls ok() and
# done_testing() as the tests of this directory do.
#
# Every script finds the module loaded and no policy, and leaves it like that.
#
# In an emulated guest to start a program costs 0.1 to 0.4 s: what bash can do itself, it does
# here. And a machine may be slow, or stand still for a while: no time limit is one that matters
# to a test that passes.

. "${BASH_SOURCE[0]%/*}/tap.sh"
. "${BASH_SOURCE[0]%/*}/../common.sh"

case ${WORLD:-} in smcd|smcr|none) ;; *) die "started by scripts/run-tests, in the guest" ;; esac

export SMCPOLICY_OBJECT_PATH=$BUILD/bpf_progs
objects=$BUILD/bpf_progs
pins=/sys/fs/bpf/smcpolicy
cgroups=/sys/fs/cgroup
chmod 755 "$tmp"

smcpolicy() { "$BUILD/smcpolicy" "$@"; }

# show FILE...: as cat
show() {
	local file
	local -a lines
	for file; do
		mapfile lines < "$file"
		printf '%s' ${lines[@]+"${lines[@]}"}
	done
}
# has FILE REGEX: a line of it matches, as with grep -Eq
has() {
	local line
	local -a lines
	mapfile -t lines < "$1"
	for line in ${lines[@]+"${lines[@]}"}; do
		if [[ $line =~ $2 ]]; then
			return 0
		fi
	done
	return 1
}
# nap SECONDS: as sleep
exec {never}<> <(:)
nap() { read -r -t "$1" -u "$never" || :; }

# says REGEX COMMAND...: COMMAND succeeds and says so (in $tmp/out)
says() {
	"${@:2}" > "$tmp/out" 2> "$tmp/err" || { show "$tmp/out" "$tmp/err"; return 1; }
	has "$tmp/out" "$1" || { show "$tmp/out"; return 1; }
}
# silent COMMAND...: COMMAND succeeds and says nothing
silent() {
	"$@" > "$tmp/out" 2>&1 || { show "$tmp/out"; return 1; }
	[ ! -s "$tmp/out" ] || { show "$tmp/out"; return 1; }
}
# refused STATUS CAUSE CURE ARGUMENT...: smcpolicy ARGUMENT... exits with STATUS, says nothing on
# stdout, and a line with CAUSE and, unless that is empty, one with CURE on stderr (both are
# regular expressions); and nothing is left. The command in as=(), if any, runs it.
as=()
refused() {
	local rc=0 before before_users
	traces
	before=$traces before_users=$users
	${as[@]+"${as[@]}"} "$BUILD/smcpolicy" "${@:4}" > "$tmp/out" 2> "$tmp/err" || rc=$?
	if [ "$rc" = "$1" ] && [ ! -s "$tmp/out" ] && has "$tmp/err" "^smcpolicy: .*($2)" &&
	   { [ -z "$3" ] || has "$tmp/err" "^  .*($3)"; } && wait_for 60 no_more_traces "$before" "$before_users"; then
		return
	fi
	printf 'exit status %s instead of %s\n' "$rc" "$1"
	show "$tmp/out" "$tmp/err"
	traces
	printf 'before: %s users %s\nnow: %s users %s\n' "$before" "$before_users" "$traces" "$users"
	return 1
}
# users: sets $users, of the module; empty when it is not there
users() { users=; [ ! -e /sys/module/smc_ulp ] || read -r users < /sys/module/smc_ulp/refcnt; }
# traces: sets $traces to what a policy or smcpolicy run leaves, pins and cgroups, and $users
traces() {
	local -a paths=("$pins"/* "$cgroups"/smcpolicy-run-*)
	users
	traces=${paths[*]}
}
# no_more_traces TRACES USERS: users may have become fewer, those of what ran before
no_more_traces() {
	traces
	[ "$traces" = "$1" ] && [ "${users:+there}" = "${2:+there}" ] && [ "${users:-0}" -le "${2:-0}" ]
}

# wait_for SECONDS COMMAND...: true as soon as COMMAND succeeds
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		nap 0.1
	done
}

# Nothing of a policy, of smcpolicy run, or of a socket with the ULP is left.
nothing_pinned() { ! compgen -G "$pins/*"; }
no_cgroup_left() { ! compgen -G "$cgroups/smcpolicy-run-*"; }
module_unused() {
	users
	[ "${users:-0}" = 0 ] || {
		printf 'smc_ulp has %s users\n' "$users"
		return 1
	}
}
nothing_there() { { no_cgroup_left && nothing_pinned && module_unused; } > /dev/null; }
exec {stdout}>&1	# ok() keeps what a check prints
nothing_left() {
	local started=$SECONDS rc=0

	wait_for 90 nothing_there || rc=1
	[ $((SECONDS - started)) -le 10 ] || printf '# left for %s s\n' $((SECONDS - started)) >&"$stdout"
	[ "$rc" = 0 ] || what_is_left
	return "$rc"
}
what_is_left() {
	local it

	module_unused || :
	for it in "$pins"/* "$cgroups"/smcpolicy-run-*; do
		[ -e "$it" ] || continue
		printf '%s\n' "$it"
		[ ! -e "$it/cgroup.procs" ] || show "$it/cgroup.procs"
	done
	# those in TIME-WAIT have no user, and may be many
	ss -tanoieH exclude time-wait || :
	grep -Ei '^proto|smc' /proc/net/protocols || :
	cat /proc/net/sockstat || :
	bpftool link show || :
	# kernel threads are children of 2
	ps -o pid,ppid,stat,wchan:24,args --ppid 2 -p 2 --deselect || :
}

# kernel_says COMMAND...: run it, and keep what the kernel says meanwhile in $tmp/dmesg
log_marks=0
kernel_says() {
	local mark i rc=0
	local -a lines
	log_marks=$((log_marks + 1))
	mark="test $$-$log_marks"
	printf '<6>%s\n' "$mark" > /dev/kmsg
	"$@" || rc=$?
	dmesg > "$tmp/dmesg"
	mapfile lines < "$tmp/dmesg"
	for ((i = ${#lines[@]} - 1; i >= 0; i--)); do
		[[ ${lines[i]} != *"$mark"* ]] || break
	done
	printf '%s' "${lines[@]:i + 1}" > "$tmp/dmesg"
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
	: > "$log"
	"$@" > "$log" 2>&1 < /dev/null &
	started=$!
	running+=("$started")
}
running=()
stop() { # stop PID: SIGTERM, and wait for its end
	kill -TERM "$1" 2> /dev/null || :
	if ! wait_for 120 gone "$1"; then
		printf 'process %s does not end\n' "$1"
		kill -KILL "$1"
		return 1
	fi
	wait "$1" 2> /dev/null || :
}
# gone PID: it has ended, whether we have waited for it or not
gone() {
	local key state
	while read -r key state _; do
		[ "$key" = State: ] || continue
		[ "$state" = Z ]
		return
	done 2> /dev/null < "/proc/$1/status"
	return 0
}
stop_all() {
	local pid
	for pid in ${running[@]+"${running[@]}"}; do
		gone "$pid" || stop "$pid" || :
	done
	running=()
}

# listens PORT: a socket listens on it
listens() {
	local hex
	printf -v hex '%04X' "$1"
	# local address, remote address, state
	has /proc/net/tcp ":$hex 0+:0000 0A " || has /proc/net/tcp6 ":$hex 0+:0000 0A "
}

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
		wait_for 60 rmdir "$it" 2> /dev/null || :
	done
	[ -e /sys/module/smc_ulp ] || modprobe smc_ulp
	# a slow machine needs it; more than smc.ko itself waits is not possible
	echo 6000 > /proc/sys/net/smc_ulp/clc_timeout_ms
}
clean_slate
trap 'clean_slate > /dev/null 2>&1; rm -rf "$tmp"' EXIT
