# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The root that provision makes: the tool chain, and the guest's file system.
#
# It is a plain Debian, with nothing configured: what depends on the host (names,
# certificates, proxies) is bound in by enter, so that the root may be shared.

SUITE=trixie

make_root() {
	local tmp=$1 proxy=() line
	find "$tmp" -xdev -mindepth 1 -delete
	# mmdebstrap reads none of the host's apt settings; a proxy is needed.
	while read -r line; do
		proxy+=(--aptopt="$line")
	done < <(apt-config dump 2>/dev/null | grep -E '^Acquire::https?::Proxy ' || true)
	step "install the tool chain and the guest's programs" \
		mmdebstrap --mode=root --variant=minbase --format=directory \
		"${proxy[@]}" --include="$(words "$SG_QEMU/packages" | paste -sd,)" \
		"$SUITE" "$tmp" "deb $SG_MIRROR $SUITE main" \
		"deb $SG_MIRROR $SUITE-backports main"
	# systemd's and resolvconf's links dangle inside; enter binds the host's files.
	rm -f "$tmp/etc/resolv.conf"
	touch "$tmp/etc/resolv.conf" "$tmp/etc/hosts"
	step "note the compilers' versions" "$SG_QEMU/enter" --root "$tmp" \
		sh -c 'rustc --version; bindgen --version; clang --version; gcc-14 --version'
	cp "$SG_LOG" "$tmp/etc/service_group-toolchain"
}
