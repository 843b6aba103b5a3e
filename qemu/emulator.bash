# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The guests that are emulated: how run describes one to QEMU.
#
# KVM is used only where a trial proved that it works. What is common to all
# guests is in run; what is in them before the command, in initramfs-init and then
# guest-init; what they boot from, in image.bash.

# can_use_kvm FOLDER - proved once for a kernel on a host: /dev/kvm may open and
# a guest still hang.
can_use_kvm() {
	local verdict
	[[ -w /dev/kvm ]] || return 1
	verdict=$1.kvm-$({ uname -nr; grep -m 1 'model name' /proc/cpuinfo; } | digest)
	if [[ ! -e $verdict ]]; then
		if "$0" --kernel "$kernel" --kvm yes --allow-report --timeout 60 -- true >/dev/null 2>&1; then
			echo yes >"$verdict"
		else
			echo no >"$verdict"
		fi
		echo "run: a trial guest with KVM: $(<"$verdict") (no means: emulated, and slow)" >&2
	fi
	[[ $(<"$verdict") == yes ]]
}

# describe_emulated - fills `guest` with the command that is the guest. The console
# goes to descriptor 2, the command's output to 1, its errors to 3.
describe_emulated() {
	local image vmlinux
	image=$(kernel_folder image)
	whole "$image" || die "what guests boot from is not there yet: run qemu/provision $kernel"
	[[ -z $icount ]] || cpus=1 kvm=no
	if [[ -z $kvm ]] && can_use_kvm "$folder"; then
		kvm=yes
	fi
	case $kernel in
	stock) vmlinux=$image/vmlinux ;;
	debug-qemu) vmlinux=$folder/kdir/arch/x86/boot/bzImage ;;
	esac
	guest=("$SG_QEMU/enter" --bind "$job" /mnt --bind "$SG_QEMU/guest-init" /mnt/init --
		qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
		-smp "$cpus" -m "$memory" -serial file:/proc/self/fd/2
		-kernel "$vmlinux" -initrd "$image/initramfs"
		-append "console=ttyS0 panic=-1 loglevel=7 ${PARAMETERS[*]} ${options[*]}"
		-drive "file=$image/root.erofs,format=raw,if=none,readonly=on,id=sgroot"
		-device 'virtio-blk-pci,drive=sgroot' -device virtio-serial-pci)
	port stdout 1
	port stderr 3
	host_folder job /mnt
	host_folder cache "$SG_CACHE"
	host_folder checkout "$SG_CHECKOUT"
	if [[ $kvm == yes ]]; then
		guest+=(-machine 'q35,accel=kvm' -cpu host)
	else
		guest+=(-machine 'q35,accel=tcg')
	fi
	((${#cable[@]} == 0)) || plug_cable "${cable[@]}"
	[[ -z $icount ]] || guest+=(-icount 'shift=0,sleep=off')
}

# An emulated processor on a busy host seems to hang now and then. While it boots, the kernel would take
# this for a broken timer, and give up.
PARAMETERS=(tsc=reliable no_timer_check watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120)

# port NAME DESCRIPTOR - a stream of the guest.
port() {
	guest+=(-chardev "file,id=$1,path=/proc/self/fd/$2"
		-device "virtserialport,name=sg.$1,chardev=$1")
}

# host_folder NAME PATH - what the guest can mount.
host_folder() {
	guest+=(-fsdev "local,id=$1,path=$2,security_model=none,multidevs=remap"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=sg.$1")
}

# The server need not be there first. The MAC addresses differ.
plug_cable() {
	local mac netdev="stream,id=cable,addr.type=unix,addr.path=$2"
	case $1 in
	server) netdev+=,server=on mac=02:53:47:00:00:01 ;;
	client) netdev+=,server=off,reconnect-ms=500 mac=02:53:47:00:00:02 ;;
	*) die "the ends of a cable are server and client" ;;
	esac
	guest+=(-netdev "$netdev" -device "virtio-net-pci,netdev=cable,mac=$mac")
}
