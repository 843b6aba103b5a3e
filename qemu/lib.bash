# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts of this folder share: where things are, how a cache entry is
# named, and how to talk to the user.
#
# Everything made lies outside the checkout, in one cache folder that several
# checkouts may share. An entry is named after what it was made from, so that a
# stale one is never used: it is simply not the one that is looked for. It does
# not make entries; provision does.

set -euo pipefail

SG_QEMU=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034 # used by the scripts that read this
SG_CHECKOUT=$(dirname "$SG_QEMU")
SG_CACHE=${SG_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/service_group}
export SG_CACHE

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# words FILE - the words of a list that has # comments, one a line.
words() {
	sed 's/#.*//' "$1" | tr -s '[:space:]' '\n' | sed '/^$/d'
}

# digest - names the text on stdin in twelve characters.
digest() {
	sha256sum | cut -c1-12
}

# Bump this when provision makes a root in another way from the same list.
root_folder() {
	printf '%s/root-%s\n' "$SG_CACHE" "$({ echo recipe 1; words "$SG_QEMU/packages"; } | digest)"
}

# The kernel chosen when one was last fetched, as "VERSION RELEASE". It is
# written down because finding it again needs the network.
chosen_version() {
	local version release
	read -r version release 2>/dev/null <"$SG_CACHE/kernel" && echo "$version"
}

chosen_release() {
	local version release
	read -r version release 2>/dev/null <"$SG_CACHE/kernel" && echo "$release"
}

# A Rust library can be read only by the compiler that wrote it, so a build tree
# belongs to its compilers' versions.
toolchain() {
	cat "$(root_folder)/etc/service_group-toolchain" 2>/dev/null || true
}

# effect debug-MACHINE - what makes its kernel: not comments.
effect() {
	grep -h '^CONFIG' "$SG_QEMU/debug.config" "$SG_QEMU/$1.config"
	[[ $1 != debug-uml ]] || grep -h '^[-+@ ]' "$SG_QEMU"/uml/*.patch
}

# kernel_folder source|image|stock|debug|debug-qemu - fails when no kernel was ever chosen.
kernel_folder() {
	local version
	version=$(chosen_version) || return 1
	entry_folder "$1" "$version"
}

# entry_folder source|image|stock|debug|debug-qemu VERSION
entry_folder() {
	local name=$SG_CACHE/$1-${2//\~/-}
	case $1 in
	source) echo "$name" ;;
	image) echo "$name-$({ basename "$(root_folder)"; toolchain; cat "$SG_QEMU"/{image.bash,initramfs-init}; } | digest)" ;;
	stock) echo "$name-$({ echo recipe 1; toolchain; } | digest)" ;;
	debug) echo "$name-$({ echo recipe 2; toolchain; effect debug-uml; } | digest)" ;;
	debug-qemu) echo "$name-$({ echo recipe 2; toolchain; effect debug-qemu; } | digest)" ;;
	esac
}

# An entry counts only once it is whole: the last thing done to it is a rename.
whole() {
	[[ -e $1/.whole ]]
}
