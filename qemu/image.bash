# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The disk that emulated guests boot from, which provision makes once and all of
# them share: the root without what only builds use, and Debian's modules.
#
# In an emulator each program that starts opens dozens of files; read from the
# host over 9p, that takes longer than the program. Nothing in the image is
# compressed, because an emulated processor unpacks more slowly than the host reads.

# What a guest does not need, as a pattern of mkfs.erofs: more than half of the root.
NOT_IN_IMAGE='^usr/(src|include|libexec/gcc|lib/(rustlib|gcc|git-core|llvm-[0-9]+)|share/(doc|man|locale)'
NOT_IN_IMAGE+='|bin/(qemu-system-|x86_64-linux-gnu-|shellcheck|cargo|clippy|rust|bindgen).*'
NOT_IN_IMAGE+='|lib/.*\.a|lib/x86_64-linux-gnu/librustc_driver.*)$'

# The drivers that are of use in a guest, but those of real network cards.
DRIVERS=(block char crypto net vhost virtio)

# What the initramfs needs to reach the image and the host's folders, in this order.
BOOT_MODULES=(fs/netfs/netfs net/9p/9pnet net/9p/9pnet_virtio fs/9p/9p
	drivers/block/virtio_blk fs/erofs/erofs fs/overlayfs/overlay)

# build_image TMP FOLDER - root.erofs, initramfs and vmlinux. The image keeps the
# files' times: Python would compile a module again whose time has changed.
build_image() {
	local tmp=$1 image release
	release=$(chosen_release)
	image=$(kernel_folder source)/image
	step "unpack the modules for guests" unpack_modules "$tmp" "$image" "$release"
	step "make the image that guests boot from" "$SG_QEMU/enter" \
		--bind "$tmp/lib/modules/$release" "$(root_folder)/usr/lib/modules/$release" \
		mkfs.erofs --quiet --exclude-regex="$NOT_IN_IMAGE" "$tmp/root.erofs" "$(root_folder)"
	step "make the initramfs of guests" make_initramfs "$tmp" "$release"
	# A kernel that does not unpack itself: the emulator would be slow at that, too.
	# shellcheck disable=SC2016 # for the inner shell
	step "unpack the stock kernel" "$SG_QEMU/enter" \
		sh -c '"$1" "$2" >"$3"' - "$(kernel_folder source)/linux/scripts/extract-vmlinux" \
		"$image/modules/vmlinuz" "$tmp/vmlinux"
	rm -rf "${tmp:?}/lib" "$tmp/initramfs.d"
}

# unpack_modules TMP IMAGE RELEASE - TMP/lib/modules/RELEASE.
unpack_modules() {
	local to=$1/lib/modules/$3 name keep=()
	mkdir -p "$to"
	cp -a "$2/modules/." "$to"
	for name in "${DRIVERS[@]}"; do
		keep+=(! -name "$name")
	done
	find "$to/kernel/drivers" -mindepth 1 -maxdepth 1 "${keep[@]}" -exec rm -rf {} +
	rm -rf "$to"/{build,source,vmlinuz,System.map,kernel/sound,kernel/drivers/net/{ethernet,wireless}}
	find "$to/kernel" -name '*.ko.xz' -exec xz -d {} +
	"$SG_QEMU/enter" depmod -b "$1" "$3"
}

# make_initramfs TMP RELEASE
make_initramfs() {
	local tree=$1/initramfs.d module number=10
	mkdir -p "$tree"/{bin,dev,image,layer,modules/"$2",proc,root}
	install "$SG_QEMU/initramfs-init" "$tree/init"
	install "$(root_folder)/usr/bin/busybox" "$tree/bin/"
	for module in "${BOOT_MODULES[@]}"; do
		cp "$1/lib/modules/$2/kernel/$module.ko" "$tree/modules/$2/$number-${module##*/}.ko"
		number=$((number + 1))
	done
	# shellcheck disable=SC2016 # for the inner shell
	"$SG_QEMU/enter" sh -c 'cd "$1" && find . | cpio --quiet -o -H newc >../initramfs' - "$tree"
}
