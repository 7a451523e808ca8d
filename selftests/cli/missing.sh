#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A host that lacks something: what smcpolicy says is missing, and how to get it.
#
# worlds: none

set -euo pipefail
. "${BASH_SOURCE[0]%/*}/../../scripts/tests/guest.sh"

release=$(< /proc/sys/kernel/osrelease)
kernel_re=${release//+/\\+}	# in a regular expression
btf=/sys/kernel/btf

# A policy, run and what only looks
lacks() { # lacks NAME CAUSE CURE
	ok "$1: load" refused 1 "$2" "$3" load allow_all
	ok "$1: run" refused 125 "$2" "$3" run -- true
}
warns() { # warns CAUSE CURE COMMAND...: it succeeds, with that warning
	"${@:3}" > "$tmp/out" 2> "$tmp/err" || { show "$tmp/err"; return 1; }
	has "$tmp/err" "^smcpolicy: warning: .*($1)" && has "$tmp/err" "^  .*($2)" && return
	show "$tmp/err"
	return 1
}

# --- privilege ----------------------------------------------------------------------

as=(setpriv --bounding-set=-all --inh-caps=-all)
lacks "no privilege" 'the process has no CAP_SYS_ADMIN' 'run it as root'
ok "no privilege: unload" refused 1 'the process has no CAP_SYS_ADMIN' 'run it as root' unload allow_all
ok "no privilege: list" refused 1 'the process has no CAP_SYS_ADMIN' 'run it as root' list
ok "no privilege: trace" refused 1 '.' '.' trace
ok "no privilege: version works" says '^smc ulp +yes$' "${as[@]}" "$BUILD/smcpolicy" version
as=(setpriv --bounding-set=-net_admin --inh-caps=-net_admin)
ok "no CAP_NET_ADMIN: load" refused 1 'the process has no CAP_NET_ADMIN' 'run it as root' load allow_all

# --- kernel ----------------------------------------------------------------------------

as=(setarch --uname-2.6)
lacks "an old kernel" 'the kernel is 2\.6\.[0-9]+.*, older than 6\.12' 'boot Linux 6\.12 or newer'
as=(hidden "$btf")
lacks "no type information of the kernel" \
	"the kernel \\($kernel_re\\) has no type information, /sys/kernel/btf/vmlinux" 'CONFIG_DEBUG_INFO_BTF=y'
mkdir "$tmp/btf"
cat "$btf/vmlinux" > "$tmp/btf/vmlinux"
as=(replaced "$btf" "$tmp/btf")
lacks "no type information of the module" 'smc_ulp.ko was built without type information' 'build it again with pahole'
# it is there for access(2), and empty
as=(hidden "$btf/vmlinux")
ok "empty type information of the kernel" refused 1 'the kernel refuses allow_all' '.' load allow_all
as=()

# --- devices and ids: only warnings ----------------------------------------------------

ok "no device: load" warns 'no SMC device, so every connection stays TCP' 'rdma link add' smcpolicy load allow_all
smcpolicy unload allow_all
ok "no device: run" warns 'no SMC device, so every connection stays TCP' 'rdma link add' smcpolicy run -- true

# --- modules ------------------------------------------------------------------------------

rmmod smc_ulp
lacks "smc_ulp not loaded" "smc_ulp.ko is not loaded, and not installed for the kernel \\($kernel_re\\)" \
	'build smc_ulp.ko for this kernel, and insmod it'
ok "smc_ulp not loaded: list" silent smcpolicy list
ok "smc_ulp not loaded: version" says '^smc ulp +no$' smcpolicy version
ok "smc_ulp not loaded: unload" refused 1 'no policy allow_all is loaded' 'smcpolicy list' unload allow_all
{ cat "/lib/modules/$release/modules.dep"; echo 'updates/smc_ulp.ko: kernel/net/smc/smc.ko.xz'; } > "$tmp/modules.dep"
as=(replaced "/lib/modules/$release/modules.dep" "$tmp/modules.dep")
lacks "smc_ulp installed, not loaded" 'smc_ulp.ko is not loaded' 'modprobe smc_ulp'

printf 'mptcp tls smc\n' > "$tmp/ulps"
as=(replaced /proc/sys/net/ipv4/tcp_available_ulp "$tmp/ulps")
lacks "the ULP of old kernels" 'registers a ULP "smc" of its own, which has the hole CVE-2026-46330' \
	'update the kernel to a fixed one'
ok "the ULP of old kernels: version" says '^vulnerable ulp +yes$' "${as[@]}" "$BUILD/smcpolicy" version
as=()

rmmod smc_diag smc
lacks "smc not loaded" 'smc_ulp.ko is not loaded, and not installed' 'modprobe smc and insmod it'
ok "smc not loaded: version" says '^smc +no$' smcpolicy version
ok "smc not loaded: nothing has loaded it" test ! -e /sys/module/smc
as=(hidden "/lib/modules/$release")
lacks "no smc.ko" "there is no smc.ko for the kernel \\($kernel_re\\)" 'CONFIG_SMC=m'
as=()

# Loaded anew it has no enterprise id.
modprobe -a smc smc_diag
modprobe smc_ulp
ok "no enterprise id: load" warns 'no user-defined enterprise id \(UEID\) is set' 'smcd ueid add NAME' \
	smcpolicy load allow_all
ok "no enterprise id: the policy is in force" says '^allow_all +allow_all +in-force' smcpolicy list
smcpolicy unload allow_all
ok "no enterprise id: version" says '^ueids +0$' smcpolicy version
"$BUILD/ueid" SMC-ULP
ok "with one again: version" says '^ueids +1$' smcpolicy version

ok "nothing is left" nothing_left
ok "the module can be unloaded" rmmod smc_ulp

done_testing
