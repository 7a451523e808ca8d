#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the verifier has to go through for each policy, with options that leave nothing out, against
# selftests/bpf/veristat.baseline.csv, which has the columns of veristat. A quarter more is an error:
# another compiler may need a little more, a loop that was unrolled needs a lot. When it is meant, the
# figures to put there are in the message.
#
# worlds: none
# timeout: 900

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

baseline=$TOP/selftests/bpf/veristat.baseline.csv
here=$cgroups/veristat
mkdir -p "$here"
{
	for ((i = 1; i < 1023; i++)); do
		echo "allow port $i"
	done
	echo 'allow peer 10.0.0.0/8 local ::1 port 80 uid 0 comm x cgroup /veristat netns self'
} > "$tmp/rules"

options() {
	case $1 in
	by_pid_addr) echo '--set pid=1 --set comm=x --set uid=0 --set peer=::1' ;;
	by_port) echo '--set allow_ports=1 --set deny_ports=2 --set allow_addr=::1 --set deny_addr=::2' ;;
	rules|adaptive) echo "--set rules=$tmp/rules" ;;
	esac
}

# compare FILE...: what show says of each policy, with the baseline
compare() {
	timeout 100 python3 -c 'import json, sys
def key(line):
	return line.rstrip().rsplit(",", 1)
with open(sys.argv[1]) as baseline:
	known = {name: int(insns) for name, insns in map(key, baseline.readlines()[1:])}
bad = 0
for path in sys.argv[2:]:
	with open(path) as file:
		policy = json.load(file)
	for program in policy["programs"]:
		name = "%s.bpf.o,%s,success" % (policy["policy"] or policy["name"], program["name"])
		insns, before = program["verified_insns"], known.pop(name, None)
		if before is None or insns > before * 5 / 4:
			bad = 1
			print("%s,%d instead of %s" % (name, insns, before))
for name in known:
	bad = 1
	print(name, "is not there")
sys.exit(bad)' "$baseline" "$@"
}

for object in "$objects"/*.bpf.o; do
	name=${object##*/}
	name=${name%.bpf.o}
	# shellcheck disable=SC2046
	smcpolicy load "$name" --cgroup "$here" --attach create --attach bind --attach connect $(options "$name") \
		> "$tmp/out" 2>&1 || show "$tmp/out"
	smcpolicy -j show "$name" > "$tmp/show.$name"
	smcpolicy unload "$name"
done
ok "no more to verify than before" compare "$tmp"/show.*
rmdir "$here"
ok "nothing is left" nothing_left

done_testing
