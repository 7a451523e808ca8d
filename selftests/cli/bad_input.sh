#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Wrong arguments, objects, options, cgroups: each is refused with cause and cure, and leaves nothing.
#
# worlds: smcd

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

# --- usage ------------------------------------------------------------------------

ok "no command" refused 2 'no command given' 'try: smcpolicy --help'
ok "unknown command" refused 2 "unknown command 'lode'" 'try: smcpolicy --help' lode allow_all
ok "unknown option" refused 2 "unknown option '--force'" 'try: smcpolicy load --help' load --force allow_all
ok "option without value" refused 2 "option '--cgroup' needs a value" 'load --help' load allow_all --cgroup
ok "no policy" refused 2 'load: too few arguments' 'load --help' load
ok "two policies" refused 2 "extra argument 'deny_all'" 'load --help' load allow_all deny_all
ok "unknown hook" refused 2 "--attach 'listen': it is create, bind or connect" 'load --help' \
	load allow_all --cgroup "$cgroups" --attach listen
ok "hook without cgroup" refused 2 '--attach needs --cgroup' 'load --help' load allow_all --attach bind
ok "--set without value" refused 2 "--set 'default': it is KEY=VALUE" 'load --help' load by_port --set default
ok "--count 0" refused 2 "--count '0': it is a number from 1 on" 'trace --help' trace --count 0

# --- objects ------------------------------------------------------------------------

ok "no such policy" refused 1 "there is no nothing.bpf.o in $objects" 'SMCPOLICY_OBJECT_PATH' load nothing
ok "no such file" refused 1 "cannot read $tmp/x.o: No such file or directory" '' load "$tmp/x.o"
ok "a directory" refused 1 "cannot read $tmp/: Is a directory" '' load "$tmp/"
ok "an empty file" refused 1 'is not a BPF object' 'clang -target bpf' load "$tmp/empty-file"
ok "an ELF file that is not BPF" refused 1 '/bin/true is not a BPF object' 'clang -target bpf' load /bin/true
head -c 1000 "$objects/allow_all.bpf.o" > "$tmp/short.bpf.o"
ok "half an object" refused 1 'short.bpf.o is not a BPF object that can be loaded' 'build it again' \
	load "$tmp/short.bpf.o"
ok "a BPF object without policy" refused 1 'is a BPF object, but no policy: it has no struct smc_ulp_ops' \
	'smc_policy/policy.bpf.h' load "$BUILD/selftests/smc_option.bpf.o"
ok "a BPF object with several policies" refused 1 'minimal.bpf.o has more than one policy' \
	'an object with one struct smc_ulp_ops' load "$BUILD/selftests/minimal.bpf.o"
ok "a policy that is not GPL" refused 1 'the kernel refuses ' 'smcpolicy -v' \
	load "$BUILD/selftests/policy_fail__licence.bpf.o"
as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
cp "$objects/allow_all.bpf.o" "$tmp/secret.bpf.o"
chmod 600 "$tmp/secret.bpf.o"
if "${as[@]}" "$BUILD/smcpolicy" --version > /dev/null 2>&1; then
	ok "an object that cannot be read" refused 1 'secret.bpf.o: Permission denied' 'run it as root' \
		load "$tmp/secret.bpf.o"
else
	skip "an object that cannot be read" "nobody cannot run anything in $BUILD"
fi
as=()

# --- options ------------------------------------------------------------------------------

bad_option() { # bad_option KEY=VALUE CAUSE CURE
	ok "--set $1" refused 1 "$2" "$3" load by_port --set "$1"
}
bad_option colour=blue 'by_port has no option colour' 'it has .*allow_ports'
bad_option default=maybe "default is one of pass\\|allow\\|deny, not 'maybe'" 'one of its words'
bad_option default= "not ''" 'one of its words'
bad_option allow_ports=http "allow_ports: 'http' is not a port" 'a port, 80, or a range'
bad_option allow_ports=0 'allow_ports: 0 is out of range' '1-65535'
bad_option allow_ports=80-65536 '80-65536 is out of range' '1-65535'
bad_option allow_ports=90-80 "'90-80' is not a port" 'a range, 8000-8010'
bad_option allow_ports=80,,90 "'' is not a port" 'a port, 80, or a range'
bad_option allow_addr=localhost "'localhost' is not an address" '10.0.0.0/8, ::1'
bad_option allow_addr=10.0.0.0/33 "'10.0.0.0/33' is not an address" '10.0.0.0/8, ::1'
ok "the same port in both lists" refused 1 '80 is in allow_ports already' 'name it in one of the two' \
	load by_port --set allow_ports=80 --set deny_ports=80
ok "a PID that is none" refused 1 "pid: 'init' is not a number" 'decimal number' load by_pid_addr --set pid=init
ok "a PID that is too large" refused 1 "'4294967296' is not a number" 'decimal number' \
	load by_pid_addr --set pid=4294967296
ok "a name that is too long" refused 1 "'a-name-of-16-cha' is not the name of a thread" '15 characters' \
	load by_pid_addr --set comm=a-name-of-16-cha
ok "an option of a policy without options" refused 1 'attach has no option x' '' load attach --set x=1
ok "run: an option" refused 125 'by_port has no option colour' 'it has ' \
	run --policy by_port --set colour=blue -- true

# --- cgroups, pins ----------------------------------------------------------------------

ok "no such cgroup" refused 1 "cannot open the cgroup $cgroups/none: No such file" "mkdir -p $cgroups/none" \
	load allow_all --cgroup "$cgroups/none"
ok "a directory that is no cgroup" refused 1 '/tmp is not a directory of cgroup v2' 'often below /sys/fs/cgroup' \
	load allow_all --cgroup /tmp
mkdir "$tmp/v1"
mount -t cgroup -o none,name=test cgroup "$tmp/v1"
ok "a cgroup of version 1" refused 1 "$tmp/v1 is not a directory of cgroup v2" 'often below /sys/fs/cgroup' \
	load allow_all --cgroup "$tmp/v1"
umount "$tmp/v1"
ok "a file" refused 1 "cannot open the cgroup $cgroups/cgroup.procs: Not a directory" 'a directory in a cgroup' \
	load allow_all --cgroup "$cgroups/cgroup.procs"
ok "nothing to attach to" refused 1 'attach has nothing to attach to without a cgroup' '--cgroup PATH' load attach
ok "hooks that the object has not" refused 1 'has no programs for a hook that is wanted' 'smcpolicy show POLICY' \
	load "$BUILD/selftests/policy_fail__licence.bpf.o" --cgroup "$cgroups"
ok "a pin with a slash" refused 1 "'a/b' cannot be the name of a pin" "without '/'" load allow_all --name a/b
mkdir -p "$pins/taken"
ok "a pin that is taken" refused 1 "$pins/taken is there already" 'smcpolicy unload taken' \
	load allow_all --name taken
rmdir "$pins/taken"
as=(env SMCPOLICY_BPFFS=/tmp)
ok "no BPF file system" refused 1 'no BPF file system on /tmp to pin in' 'mount -t bpf bpf /tmp' load allow_all
as=()
as=(hidden "$cgroups")
ok "run: no cgroup v2" refused 125 'no cgroup v2 is mounted on /sys/fs/cgroup' 'unified_cgroup_hierarchy=1' run -- true
as=()

# --- names ---------------------------------------------------------------------------------

ok "unload: not loaded" refused 1 'no policy nothing is loaded' 'smcpolicy list' unload nothing
ok "unload: not a name" refused 1 "'a/b' cannot be the name of a pin" "without '/'" unload a/b
ok "show: neither loaded nor there" refused 1 'there is no nothing.bpf.o' 'name one that is there' show nothing
ok "trace: nothing in force" refused 1 'no policy' 'smcpolicy' trace
ok "trace: not loaded" refused 1 'no policy nothing is pinned' 'smcpolicy list' trace nothing

# --- the same as JSON ----------------------------------------------------------------------

status=0
for arguments in 'load nothing' 'load /bin/true' 'load by_port --set allow_ports=0' 'unload nothing' 'lode' \
	'load allow_all --cgroup /tmp' 'run' 'run -- no-such-program'; do
	# shellcheck disable=SC2086
	smcpolicy -j $arguments >> "$tmp/errors" 2>> "$tmp/stderr" && status=1
done
ok "-j: all fail" test "$status" = 0
ok "-j: nothing on stderr" test ! -s "$tmp/stderr"
errors_are_json() {
	local -a lines
	python3 -c 'import json, sys
for line in sys.stdin: error = json.loads(line); print(error["error"], "/", error["cure"])
' < "$tmp/errors" > "$tmp/out" && mapfile -t lines < "$tmp/out" && [ ${#lines[@]} = 8 ] && return
	show "$tmp/errors"
	return 1
}
ok "-j: a line of JSON each" errors_are_json

ok "nothing is left" nothing_left
ok "no links are left" test "$(bpftool link show | grep -c 'struct_ops\|cgroup')" = 0
ok "the module can be unloaded" rmmod smc_ulp

done_testing
