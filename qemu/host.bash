# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What provision needs of the machine it runs on: a few programs, disk space
# and a Debian mirror. It installs programs only on Debian and its derivatives,
# and only as root; otherwise it prints what to run.

# program=package
HOST_PROGRAMS=(mmdebstrap=mmdebstrap bwrap=bubblewrap xz=xz-utils zstd=zstd
	curl=curl python3=python3 pgrep=procps flock=util-linux setpriv=util-linux
	unshare=util-linux)
HOST_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

missing_packages() {
	local pair
	for pair in "${HOST_PROGRAMS[@]}"; do
		command -v "${pair%=*}" >/dev/null || echo "${pair#*=}"
	done | sort -u
	[[ -e $HOST_KEYS ]] || echo debian-archive-keyring
}

is_debian_like() {
	grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release 2>/dev/null
}

install_missing() {
	local missing command
	mapfile -t missing < <(missing_packages)
	((${#missing[@]})) || return 0
	command="apt-get install -y --no-install-recommends ${missing[*]}"
	if ! is_debian_like; then
		die "please install what these Debian packages hold: ${missing[*]}"
	elif ((EUID != 0)); then
		die "please run: sudo sh -c 'apt-get update && $command'"
	fi
	step "look for the host's packages" apt-get update
	# shellcheck disable=SC2086 # a list of words
	step "install on the host: ${missing[*]}" env DEBIAN_FRONTEND=noninteractive $command
}

prepare_host() {
	((EUID == 0)) || [[ -n $(missing_packages) ]] ||
		die "making a root needs root: run it with sudo"
	mkdir -p "$SG_CACHE/log" 2>/dev/null || die "the folder $SG_CACHE cannot be made"
	SG_MIRROR=$(mirror)
	with_lock host install_missing
	need_space "$(needed_megabytes)"
	reach_mirror
}

# Here, so that an unreachable one is told before anything was begun.
reach_mirror() {
	local message
	message=$(curl --silent --show-error --fail --location --max-time 30 \
		--output /dev/null "$SG_MIRROR/dists/$SUITE/InRelease" 2>&1) ||
		die "the mirror $SG_MIRROR cannot be reached ($message); SG_MIRROR=URL names another"
}

# A whole set takes about 11 GB; what is already there is not needed again.
needed_megabytes() {
	if whole "$(root_folder)"; then echo 9000; else echo 13000; fi
}

# The host's own sources, in both formats: a Debian mirror is one whose path
# ends in /debian.
mirror() {
	local found
	found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
		grep -E '^(deb|URIs:)[[:space:]]' |
		grep -oE 'https?://[^][:space:]]*/debian/?([[:space:]]|$)' |
		head -n 1 | tr -d '[:space:]') || true
	found=${SG_MIRROR:-${found:-http://deb.debian.org/debian}}
	echo "${found%/}"
}
