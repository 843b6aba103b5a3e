# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What demo and run share: where things are, and how the programs that they need
# are built. It measures nothing.

set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export CARGO_TARGET_DIR=$checkout/build/cargo-bench
# shellcheck disable=SC2034  # of the scripts that read this file
reporter=$CARGO_TARGET_DIR/release/sg-bench

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 2
}

# inside CMD… - in the tool chain root.
inside() {
	"$checkout/qemu/enter" -- "$@"
}

# need FILE… - what the top Makefile builds.
need() {
	local file
	for file; do
		[[ -e $checkout/$file ]] || die "$file is not there: run make"
	done
}

build_reporter() {
	inside cargo build --quiet --release --locked --manifest-path "$checkout/bench/Cargo.toml"
}
