# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by checks that compile the module in their own way.

# build_module MAKE-ARGUMENTS...: a complete build in a place of its own; fails
# when the compiler or checker says anything about our files, unless it matches
# KNOWN.
build_module() {
	local out log rc=0
	configured KDIR VMLINUX_BTF
	mkdir -p "$BUILD"
	out=$(mktemp -d "$BUILD/check.XXXXXX")
	log=$out.log
	env -u MAKEFLAGS -u V -u Q make -C "$TOP/net/smc" KDIR="$KDIR" VMLINUX_BTF="$VMLINUX_BTF" \
		SMC_KO="$BUILD/stock/smc.ko" O="$out" "$@" > "$log" 2>&1 || rc=$?
	[ "$rc" = 0 ] || tail -n 20 "$log"
	# messages about our sources, which are linked to $out/src
	if grep -E "^$out/src/[^ ]*:[0-9]+:|^net/smc/[^ ]*:[0-9]+:" "$log" |
		sed "s:^$out/src/:net/smc/:" | sort -u | grep -v -e "${KNOWN:-^$}"; then
		rc=1
	fi
	rm -rf "$out" "$log"
	return "$rc"
}
