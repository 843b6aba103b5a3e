// SPDX-License-Identifier: GPL-2.0
/* A cgroup of the test's own, and a program that sees the packets of its sockets. */

#include <fcntl.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib.h"

#define ROOT "/tmp/cgroup-of-selftests"

static void move_to(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	write_file(path, "0");
}

/* enter_cgroup - a descriptor of it, or -errno; sockets made from now on are its. */
int enter_cgroup(char *path, size_t size)
{
	if (mkdir(ROOT, 0755) && errno != EEXIST)
		return -errno;
	if (mount("none", ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		return -errno;
	snprintf(path, size, ROOT "/%d", getpid());
	if (mkdir(path, 0755))
		return -errno;
	move_to(path);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void leave_cgroup(void)
{
	move_to(ROOT);
}

static int attach(int cgroup, int type, int kind, const struct bpf_insn *insns, size_t count)
{
	union bpf_attr load = {
		.prog_type = type, .insns = (uintptr_t)insns, .insn_cnt = count,
		.license = (uintptr_t)"GPL", .expected_attach_type = kind,
	};
	union bpf_attr attach = { .attach_type = kind };
	int program = syscall(__NR_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	int result;

	if (program < 0)
		return -errno;
	attach.target_fd = cgroup;
	attach.attach_bpf_fd = program;
	result = syscall(__NR_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) ? -errno : 0;
	close(program);
	return result;
}

/* What the kernel has see packets, or connections, of a cgroup's listeners. */
const int cgroup_programs[CGROUP_PROGRAMS] = {
	BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_SOCK_OPS,
};

/* attach_program - one of these, which lets all pass; 0 or -errno. */
int attach_program(int cgroup, int kind)
{
	int type = kind == BPF_CGROUP_SOCK_OPS ? BPF_PROG_TYPE_SOCK_OPS : BPF_PROG_TYPE_CGROUP_SKB;
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return attach(cgroup, type, kind, pass, sizeof(pass) / sizeof(pass[0]));
}

/* cut_options - has a program make all that is set so long; 0 or -errno. */
int cut_options(int cgroup, unsigned int len)
{
	const struct bpf_insn cut[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = len },
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_0,
		  .off = offsetof(struct bpf_sockopt, optlen) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return attach(cgroup, BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, cut,
		      sizeof(cut) / sizeof(cut[0]));
}

/* count_memory - has cgroups that are made from now on count their memory; 0 or -errno. */
int count_memory(void)
{
	const char *path = ROOT "/cgroup.subtree_control";
	int fd, result;

	if (mkdir(ROOT, 0755) && errno != EEXIST)
		return -errno;
	if (mount("none", ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		return -errno;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	result = fd < 0 || write(fd, "+memory", 7) < 0 ? -errno : 0;
	close(fd);
	return result;
}

void detach_program(int cgroup, int kind)
{
	union bpf_attr detach = { .attach_type = kind };

	detach.target_fd = cgroup;
	if (syscall(__NR_bpf, BPF_PROG_DETACH, &detach, sizeof(detach)))
		die("detaching a program");
}
