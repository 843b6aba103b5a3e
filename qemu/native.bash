# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The guest that is not emulated: how run describes the debug kernel, which is a
# program of the host (User Mode Linux).
#
# Its processors are two threads, its root is the tool chain root as enter shows
# it, and its memory is a file that has no name any more. It needs no ptrace; it
# needs seccomp, of which guests with two processors are made.

# describe_native - fills `guest` with the command that is the guest. The kernel's
# console goes to descriptor 2, the command's errors to 3.
describe_native() {
	local consoles=('con0=null,fd:2' 'con1=null,fd:1' 'con2=null,fd:3' con=null ssl=null)
	[[ -z $icount ]] || die "--icount is for kernels that are emulated: stock and debug-qemu"
	((${#cable[@]} == 0)) || die "--cable is for kernels that are emulated: stock and debug-qemu"
	guest=("$SG_QEMU/enter" --bind "$job" /mnt --bind "$SG_QEMU/guest-init" /mnt/init --
		env TMPDIR=/dev/shm "$folder/kdir/linux" "mem=$memory" "ncpus=$cpus" seccomp=on
		root=/dev/root rootfstype=hostfs rw init=/mnt/init "${consoles[@]}"
		kasan_multi_shot loglevel=7 watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120)
}

# explain_native - says why it did not even boot, if that is known.
explain_native() {
	if grep -q 'SECCOMP userspace requested but not functional' "$log"; then
		echo "run: this machine does not let the debug kernel use seccomp, which it needs;" \
			"in a container allow it (docker: --security-opt seccomp=unconfined)," \
			"or use --kernel debug-qemu, which is slow" >&2
	fi
}
