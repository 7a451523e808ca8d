# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2034
#
# Shared by the scripts of this directory: sourced, never run.
#
# Sets TOP (the source tree), BUILD (where we build), CACHE (what was downloaded).

TOP=$(cd -- "${BASH_SOURCE[0]%/*}/.." && pwd -P)
BUILD=${SMC_ULP_BUILD:-$TOP/build}
CACHE=${SMC_ULP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/smc-ulp}
me=${0##*/}

# The first 6.12 of Debian whose smc.ko no longer registers the removed ULP.
MIN_KERNEL=6.12.115

PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }
bad_usage() { printf '%s: %s (try %s --help)\n' "$me" "$*" "$me" >&2; exit 2; }

# usage_from FILE: print the comment block at the top of FILE, which is its manual.
usage_from() {
	awk 'NR <= 2 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$1"
}

# tick WHAT ... tock: between the two, say every few seconds that WHAT goes on.
# (Not a wrapper around a command: set -e would not work within.)
ticker=
tick() {
	local what=$1 started=$SECONDS
	( while sleep 5 && kill -0 "$$" 2> /dev/null; do
		say "$what ... $((SECONDS - started)) s"
	  done ) < /dev/null &
	ticker=$!
	disown "$ticker"
}

tock() {
	[ -z "$ticker" ] || kill "$ticker" 2> /dev/null || :
	ticker=
}

# as_root COMMAND...: run it as root, through sudo where needed.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		die "this needs root: '$*'. Run me as root, or install sudo"
	fi
}

# version_lt A B: true when version A is before B.
version_lt() {
	[ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# tracked [PATHSPEC...]: the files of the project, one to a line.
tracked() {
	git -C "$TOP" -c safe.directory="$TOP" ls-files -- "$@" |
		while IFS= read -r file; do
			[ ! -f "$TOP/$file" ] || printf '%s\n' "$file"
		done
}

# configured VARIABLE...: take them from config.mk, unless make has set them.
configured() {
	local name
	[ -e "$TOP/config.mk" ] || die "nothing is configured: run ./configure (or make)"
	for name; do
		[ -n "${!name:-}" ] || printf -v "$name" '%s' "$(sed -n "s/^$name := //p" "$TOP/config.mk")"
		[ -n "${!name}" ] || die "$name is not in config.mk: run ./configure"
	done
}
