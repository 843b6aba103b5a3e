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

# apt FOLDER CMD ARG… - Debian's backports, with apt's own state in FOLDER.
apt() {
	local folder=$1
	shift
	(cd "$folder" && "$SG_QEMU/enter" "$@" \
		-o Dir::State="$folder/apt" -o Dir::Cache="$folder/apt" \
		-o Dir::State::status=/var/lib/dpkg/status \
		-o Dir::Etc::sourcelist="$folder/sources" \
		-o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root)
}

# fetch_kernel - chooses a kernel, fetches its packages, and writes it down.
fetch_kernel() {
	local tmp series release version
	# The one we waited for may have done it.
	! all_there source || return 0
	tmp=$(mktemp -d "$SG_CACHE/tmp-source.XXXXXX")
	chmod 755 "$tmp"
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -rf --one-file-system '$tmp'" EXIT
	mkdir -p "$tmp/apt/lists/partial" "$tmp/apt/archives/partial"
	echo "deb $SG_MIRROR $SUITE-backports main" >"$tmp/sources"
	step "ask the mirror which kernels it has" apt "$tmp" apt-get update
	apt "$tmp" apt-cache dumpavail |
		awk '/^Package: /{p = $2} /^Version: /{print p, $2}' >"$tmp/list"
	read -r series release version < <(choose "$tmp/list") ||
		die "the mirror $SG_MIRROR has no kernel 7.x with its source in $SUITE-backports"
	known_series "$series" ||
		say "warning: none of ${SERIES[*]} is on the mirror; taking $release, on which nothing was run"
	step "fetch kernel $release ($version)" download "$tmp" "$series" "$release" "$version"
	step "unpack the kernel's source" unpack "$tmp" "$series" "$release"
	rm -rf "$tmp"/{apt,sources,list,packages}
	finish_entry "$tmp" "$(entry_folder source "$version")"
	trap - EXIT
	echo "$version $release" >"$SG_CACHE/kernel.new"
	mv "$SG_CACHE/kernel.new" "$SG_CACHE/kernel"
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
	local tmp=$1 series=$2 release=$3 version=$4 name list=()
	for name in linux-{base,binary-unsigned,modules,headers}-"$release" "linux-source-$series"; do
		list+=("$name=$version")
	done
	mkdir "$tmp/packages"
	apt "$tmp" apt-get download "${list[@]}"
	mv "$tmp"/*.deb "$tmp/packages"
}

unpack() {
	local tmp=$1 series=$2 release=$3 package
	for package in "$tmp"/packages/*.deb; do
		# The host may be too old to know the package's compression.
		"$SG_QEMU/enter" dpkg-deb --fsys-tarfile "$package" |
			tar -C "$tmp/packages" -x --exclude='./usr/share/*'
		rm "$package"
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
kbuild() {
	local tmp=$1 folder=$2
	shift 2
	"$SG_QEMU/enter" --bind "$tmp" "$folder" \
		make -C "$(kernel_folder source)/linux" O="$folder/kdir" -j"$(nproc)" "$@"
}

build_stock() {
	local tmp=$1 folder=$2 image release flags
	release=$(chosen_release)
	image=$(kernel_folder source)/image
	# The release is the series' point release and this; Debian sets it alike.
	flags=(CC=gcc-14 HOSTCC=gcc-14 LOCALVERSION="+${release#*+}")
	mkdir "$tmp/kdir"
	cp "$image/config" "$tmp/kdir/.config"
	step "configure the stock build tree" kbuild "$tmp" "$folder" "${flags[@]}" olddefconfig
	step "build the stock build tree" kbuild "$tmp" "$folder" "${flags[@]}" modules_prepare
	cp "$image/Module.symvers" "$tmp/kdir/"
	check_tree "$tmp/kdir"
	[[ $(cat "$tmp/kdir/include/config/kernel.release") == "$release" ]] ||
		die "the build tree is $(cat "$tmp/kdir/include/config/kernel.release"), the image $release"
}

build_debug() {
	local tmp=$1 folder=$2
	mkdir "$tmp/kdir"
	step "start the debug configuration" kbuild "$tmp" "$folder" LLVM=1 tinyconfig
	grep '^CONFIG_' "$SG_QEMU/debug.config" >>"$tmp/kdir/.config"
	step "configure the debug kernel" kbuild "$tmp" "$folder" LLVM=1 olddefconfig
	check_config "$tmp/kdir/.config"
	step "build the debug kernel (about ten minutes on two cores)" \
		kbuild "$tmp" "$folder" LLVM=1 bzImage modules
	check_tree "$tmp/kdir"
}

# Kconfig drops silently what depends on something that is not set.
check_config() {
	local line missing=()
	while read -r line; do
		case $line in
		*=n) ! grep -q "^${line%=n}=" "$1" || missing+=("$line") ;;
		*) grep -qxF "$line" "$1" || missing+=("$line") ;;
		esac
	done < <(grep '^CONFIG_' "$SG_QEMU/debug.config")
	((${#missing[@]} == 0)) ||
		die "qemu/debug.config asks for what this kernel did not accept: ${missing[*]}"
}

check_tree() {
	[[ -e $1/rust/libkernel.rmeta && -s $1/Module.symvers ]] ||
		die "the build tree $1 came out without Rust"
}
