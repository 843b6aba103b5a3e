# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The kernels that provision makes: fetching Debian's packages, and building the
# two trees that modules are built against.
#
# The packaged headers are not enough for a module in Rust: they have no
# compiled `kernel` crate. So the tree is made from the packaged source, of
# exactly the image's version, with the image's own configuration.

# Series this module is known to work on, best first.
SERIES=(7.3)

# apt FOLDER CMD ARG… - the host's apt, on Debian's backports, with its state in
# FOLDER. It verifies what it fetches, and needs no root to have been made.
apt() {
	local folder=$1
	shift
	(cd "$folder" && "$@" \
		-o Dir::State="$folder/apt" -o Dir::Cache="$folder/apt" \
		-o Dir::State::status=/dev/null -o APT::Architecture=amd64 \
		-o Dir::Etc::sourcelist="$folder/sources" \
		-o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root)
}

# is_chosen - whether the kernel of before is to be used: with SG_NEWEST none is.
is_chosen() {
	[[ -z ${SG_NEWEST-} ]] && have source
}

# choose_kernel VERSION RELEASE - this one is the kernel from now on.
choose_kernel() {
	echo "$1 $2" >"$SG_CACHE/kernel.new"
	mv "$SG_CACHE/kernel.new" "$SG_CACHE/kernel"
}

# fetch_kernel - looks for the newest kernel, fetches its packages, and writes it
# down. What was fetched before an interruption is not fetched again.
fetch_kernel() {
	local part=$SG_CACHE/part-packages series release version
	# The one we waited for may have done it.
	! is_chosen || return 0
	mkdir -p "$part"/{apt/lists,apt/archives,packages}/partial
	rm -f "$part/chosen"
	echo "deb [signed-by=$HOST_KEYS] $SG_MIRROR $SUITE-backports main" >"$part/sources"
	step "ask the mirror which kernels it has" apt "$part" apt-get update
	apt "$part" apt-cache dumpavail |
		awk '/^Package: /{p = $2} /^Version: /{print p, $2}' >"$part/list"
	read -r series release version < <(choose "$part/list") ||
		die "the mirror $SG_MIRROR has no kernel 7.x with its source in $SUITE-backports"
	known_series "$series" ||
		say "warning: none of ${SERIES[*]} is on the mirror; taking $release, on which nothing was run"
	if whole "$(entry_folder source "$version")"; then
		choose_kernel "$version" "$release"
		return
	fi
	step "fetch kernel $release ($version)" download "$part" "$series" "$release" "$version"
	echo "$series $release $version" >"$part/chosen"
}

# unpack_kernel - makes the entry of the kernel that fetch_kernel has fetched.
unpack_kernel() {
	local part=$SG_CACHE/part-packages tmp=$SG_CACHE/part-source series release version
	! is_chosen || return 0
	# It was there already.
	[[ -e $part/chosen ]] || return 0
	read -r series release version <"$part/chosen"
	rm -rf --one-file-system "$tmp"
	mkdir "$tmp"
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -rf --one-file-system '$tmp'" EXIT
	step "unpack the kernel's source" unpack "$part/packages" "$tmp" "$series" "$release"
	rm -rf "$tmp/packages"
	finish_entry "$tmp" "$(entry_folder source "$version")"
	trap - EXIT
	choose_kernel "$version" "$release"
	rm -rf "$part"
}

# choose LIST - the best series with an image and a source of one version, as
# "SERIES RELEASE VERSION". LIST has lines of "PACKAGE VERSION".
choose() {
	local series release version
	for series in "${SERIES[@]}" $(grep -oP '^linux-source-\K7\.[0-9]+' "$1" | sort -rVu); do
		version=$(awk -v p="linux-source-$series" '$1 == p {print $2}' "$1" | sort -rV | head -n 1)
		release=$(awk -v v="$version" '$2 == v {print $1}' "$1" |
			grep -oP '^linux-binary-unsigned-\K[0-9.]+\+deb[0-9]+-amd64$' | sort -rV | head -n 1) || continue
		echo "$series $release $version"
		return
	done
	return 1
}

known_series() {
	local series
	for series in "${SERIES[@]}"; do
		[[ $series != "$1" ]] || return 0
	done
	return 1
}

# The unsigned image is the signed one without its signature, which a guest does
# not check, and it is on the mirror days earlier. The cloud image would be
# smaller, but lacks 9p.
download() {
	local part=$1 series=$2 release=$3 version=$4 name list=()
	for name in linux-{base,binary-unsigned,modules,headers}-"$release" "linux-source-$series"; do
		list+=("$name=$version")
	done
	find "$part/packages" -name '*.deb' ! -name "*_${version//:/%3a}_*" -delete
	apt "$part" sh -c 'cd packages && exec apt-get download "$@"' sh "${list[@]}"
}

# unpack PACKAGES TMP SERIES RELEASE
unpack() {
	local packages=$1 tmp=$2 series=$3 release=$4 package
	mkdir "$tmp/packages"
	for package in "$packages"/*.deb; do
		# The host may be too old to know the package's compression.
		"$SG_QEMU/enter" dpkg-deb --fsys-tarfile "$package" |
			tar -C "$tmp/packages" -x --exclude='./usr/share/*'
	done
	mkdir "$tmp/linux" "$tmp/image"
	tar -C "$tmp/linux" --strip-components=1 -xf "$tmp/packages/usr/src/linux-source-$series.tar.xz"
	mv "$tmp/packages/usr/lib/modules/$release" "$tmp/image/modules"
	# Debian names it after its (missing) signature.
	mv "$tmp/image/modules"/vmlinuz.* "$tmp/image/modules/vmlinuz"
	mv "$tmp/image/modules/config" "$tmp/image/config"
	mv "$tmp/packages/usr/src/linux-headers-$release/Module.symvers" "$tmp/image/"
	# depmod wants the usual layout.
	mkdir -p "$tmp/packages/depmod/lib/modules"
	ln -s "$tmp/image/modules" "$tmp/packages/depmod/lib/modules/$release"
	"$SG_QEMU/enter" depmod -b "$tmp/packages/depmod" "$release"
}

# kbuild TMP FOLDER ARG… - make in the kernel's source, with TMP/kdir for output.
# A build tree holds its own path, so TMP already goes by the name FOLDER.
# The files of TMP/patched take the place of the source's, for this command only:
# the stock kernel is made of the same source.
kbuild() {
	local tmp=$1 folder=$2 source name binds=(--bind "$1" "$2")
	source=$(kernel_folder source)/linux
	shift 2
	while read -r name; do
		binds+=(--bind "$tmp/patched/$name" "$source/$name")
	done < <(find "$tmp/patched" -type f -printf '%P\n' 2>/dev/null)
	"$SG_QEMU/enter" "${binds[@]}" make -C "$source" O="$folder/kdir" -j"$(nproc)" "$@"
}

build_stock() {
	local tmp=$1 folder=$2 image release flags
	release=$(chosen_release)
	image=$(kernel_folder source)/image
	# The release is the series' point release and this; Debian sets it alike.
	flags=(CC=gcc-14 HOSTCC=gcc-14 LOCALVERSION="+${release#*+}")
	mkdir -p "$tmp/kdir"
	cp "$image/config" "$tmp/kdir/.config"
	step "configure the stock build tree" kbuild "$tmp" "$folder" "${flags[@]}" olddefconfig
	step "build the stock build tree" kbuild "$tmp" "$folder" "${flags[@]}" modules_prepare
	cp "$image/Module.symvers" "$tmp/kdir/"
	check_tree "$tmp/kdir"
	[[ $(cat "$tmp/kdir/include/config/kernel.release") == "$release" ]] ||
		die "the build tree is $(cat "$tmp/kdir/include/config/kernel.release"), the image $release"
}

# The debug kernel is a program of the host, User Mode Linux: nothing of it is
# emulated. README.md in uml/ says why each flag and patch is needed.
UML=(ARCH=um LLVM=1 KCFLAGS=-Wno-null-pointer-arithmetic
	CFLAGS_stub.o='-fno-PIC -fno-pic -fno-stack-protector -fomit-frame-pointer')

build_debug() {
	local tmp=$1 folder=$2 patch
	mkdir -p "$tmp/kdir"
	for patch in "$SG_QEMU"/uml/*.patch; do
		patch_copy "$patch" "$tmp/patched"
	done
	configure_debug uml "$tmp" "$folder" "${UML[@]}"
	step "build the debug kernel" \
		kbuild "$tmp" "$folder" "${UML[@]}" linux modules
	check_tree "$tmp/kdir"
}

# patch_copy PATCH FOLDER - a patched copy of the source's one file that PATCH is
# for. A kernel that has changed there is told here, not by tests.
patch_copy() {
	local name
	name=$(sed -n 's|^+++ b/||p' "$1")
	mkdir -p "$2/${name%/*}"
	cp "$(kernel_folder source)/linux/$name" "$2/$name"
	"$SG_QEMU/enter" patch --quiet --fuzz=0 "$2/$name" "$1" ||
		die "${1#"$SG_CHECKOUT/"} does not fit the kernel's $name: adapt the patch"
}

build_debug-qemu() {
	local tmp=$1 folder=$2
	mkdir -p "$tmp/kdir"
	configure_debug qemu "$tmp" "$folder" LLVM=1
	step "build the emulated debug kernel" \
		kbuild "$tmp" "$folder" LLVM=1 bzImage modules
	check_tree "$tmp/kdir"
}

# configure_debug MACHINE TMP FOLDER FLAG…
configure_debug() {
	local machine=$1 tmp=$2 folder=$3 config
	shift 3
	config=("$SG_QEMU/debug.config" "$SG_QEMU/debug-$machine.config")
	step "start the debug configuration" kbuild "$tmp" "$folder" "$@" tinyconfig
	grep -h '^CONFIG_' "${config[@]}" >>"$tmp/kdir/.config"
	step "configure the debug kernel" kbuild "$tmp" "$folder" "$@" olddefconfig
	check_config "$tmp/kdir/.config" "${config[@]}"
}

# check_config RESULT ASKED… - Kconfig drops silently what depends on something
# that is not set.
check_config() {
	local result=$1 line missing=()
	shift
	while read -r line; do
		case $line in
		*=n) ! grep -q "^${line%=n}=" "$result" || missing+=("$line") ;;
		*) grep -qxF "$line" "$result" || missing+=("$line") ;;
		esac
	done < <(grep -h '^CONFIG_' "$@")
	((${#missing[@]} == 0)) ||
		die "${*##*/} ask for what this kernel did not accept: ${missing[*]}"
}

check_tree() {
	[[ -e $1/rust/libkernel.rmeta && -s $1/Module.symvers ]] ||
		die "the build tree $1 came out without Rust"
}
