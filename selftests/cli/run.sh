#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run: exit statuses, signals, and what it leaves behind, which is nothing.
#
# worlds: smcd

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

links() { bpftool link show | grep -c '^[0-9]' || :; }
links=$(links)
run=("$BUILD/smcpolicy" run)
to_run() { "${run[@]}" "$@"; }

# --- exit statuses ------------------------------------------------------------

ok "status 0" exits 0 to_run -- true
ok "status of the program" exits 42 to_run sh -c 'exit 42'
ok "options of the program are its own" says '^-x -j --help$' to_run echo -x -j --help
printf '#!/bin/sh\n' > "$tmp/no-exec"
ok "126: it cannot be run" refused 126 "cannot run $tmp/no-exec: Permission denied" 'chmod \+x' run -- "$tmp/no-exec"
ok "127: it is not found" refused 127 'cannot run no-such-program: No such file' 'a program in PATH' run -- no-such-program
ok "125: no program" refused 125 'run: too few arguments' 'smcpolicy run --help' run
ok "125: unknown option" refused 125 "unknown option '--colour'" 'smcpolicy run --help' run --colour -- true
ok "125: no such policy" refused 125 'there is no nothing.bpf.o in' 'SMCPOLICY_OBJECT_PATH' \
	run --policy nothing -- true
ok "125: no such hook" refused 125 "--attach 'accept': it is create, bind or connect" \
	'smcpolicy run --help' run --attach accept -- true
# shellcheck disable=SC2016
ok "137: killed by a signal" exits 137 to_run sh -c 'kill -KILL $$'
# shellcheck disable=SC2016
ok "134: killed by its own SIGABRT" exits 134 to_run sh -c 'ulimit -c 0; kill -ABRT $$'
ok "nothing is left" nothing_left

# --- signals -------------------------------------------------------------------

# Runs a program that says when it runs; sets $started, and $cgroup.
start_sleeper() {
	start "$tmp/log" "${run[@]}" "$@"
	wait_for 300 has "$tmp/log" '^up'
	cgroup=$cgroups/smcpolicy-run-$started
}
status_of() { wait_for 300 gone "$1" && { local rc=0; wait "$1" || rc=$?; [ "$rc" = "$2" ]; }; }

start_sleeper sh -c 'trap "exit 7" TERM; echo up; while :; do sleep 0.1; done'
ok "its cgroup is there" test -d "$cgroup"
kill -TERM "$started"
ok "SIGTERM goes to the program, whose status it is" status_of "$started" 7
start_sleeper sh -c 'echo up; exec sleep 10000'
kill -HUP "$started"
ok "SIGHUP ends the program: 129" status_of "$started" 129
ok "nothing is left" nothing_left

# --- policy ----------------------------------------------------------------------

start_sleeper --policy by_port --set allow_ports=7001 -- sh -c 'echo up; exec sleep 10000'
ok "--policy: in force" says "^by_port +by_port +in-force +cgroup:$cgroup +- +-\$" smcpolicy list
ok "--policy: not pinned" nothing_pinned
ok "unload does not end it, and says who does" \
	refused 1 'by_port is in force, but not pinned' "end process $started, which loaded it" unload by_port
ok "load says who is in the way" refused 1 "another policy is in force \\(by_port\\) for $cgroup" \
	"end process $started, which loaded it" load allow_all --cgroup "$cgroup"
ok "load --replace does, too" refused 1 'by_port is not pinned, and cannot be replaced' 'end the process' \
	load allow_all --replace --cgroup "$cgroup"
ok "for others a policy can be loaded" silent smcpolicy load allow_all
ok "... and unloaded" silent smcpolicy unload allow_all
ok "the module cannot go" exits 1 rmmod smc_ulp
kill -TERM "$started"
ok "--policy: 143" status_of "$started" 143
ok "--policy: no more in force" silent smcpolicy list
ok "nothing is left" nothing_left

# --- killed ---------------------------------------------------------------------------

start_sleeper sh -c 'echo up; exec sleep 10000'
kill -KILL "$started"
ok "killed: it ends" status_of "$started" 137
ok "killed: the program runs on" test -n "$(< "$cgroup/cgroup.procs")"
ok "killed: the attachment is gone" test "$(bpftool cgroup show "$cgroup" | wc -l)" = 0
ok "killed: nothing uses the module" wait_for 90 module_unused
while read -r pid; do
	kill -KILL "$pid"
done < "$cgroup/cgroup.procs"
ok "killed: the cgroup can be removed" wait_for 90 rmdir "$cgroup"

# --- what it leaves behind -----------------------------------------------------------

rc=0
to_run sh -c 'sleep 10000 > /dev/null 2>&1 & exit 3' > "$tmp/out" 2>&1 || rc=$?
ok "a process left behind: status" test "$rc" = 3
ok "a process left behind: warning" has "$tmp/out" 'warning: processes are left in /sys/fs/cgroup/smcpolicy-run-'
for cgroup in "$cgroups"/smcpolicy-run-*; do
	while read -r pid; do
		kill -KILL "$pid"
	done < "$cgroup/cgroup.procs"
	wait_for 90 rmdir "$cgroup" 2> /dev/null || :
done
ok "nothing is left" nothing_left

# In a cgroup that is not the root, the new one is below it.
mkdir -p "$cgroups/test/within"
ok "the cgroup is made in the caller's" says '/test/within/smcpolicy-run-[0-9]+$' \
	in_cgroup "$cgroups/test/within" "${run[@]}" cat /proc/self/cgroup
ok "... and removed" rmdir "$cgroups/test/within" "$cgroups/test"

ok "no links are left" test "$(links)" = "$links"
ok "the module can be unloaded" rmmod smc_ulp

done_testing
