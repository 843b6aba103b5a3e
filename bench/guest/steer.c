// SPDX-License-Identifier: GPL-2.0
/*
 * What a service can have on a stock kernel if it brings a program of its own:
 * SK_REUSEPORT, in this case one that takes the sockets in turn. It is a dozen
 * instructions, so they are written down here, and nothing is needed to load them.
 */
#include "load.h"

#include <linux/bpf.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOVE(to, from)	{ BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0 }
#define SET(to, number)	{ BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, number }
#define CALL(function)	{ BPF_JMP | BPF_CALL, 0, 0, 0, function }
#define MAP(to, fd)	{ BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, fd }, { 0 }

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int map(enum bpf_map_type type, uint32_t value_size, uint32_t entries)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = sizeof(uint32_t),
		.value_size = value_size,
		.max_entries = entries,
	};
	int fd = bpf(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		err(1, "making a BPF map");
	return fd;
}

/* Socket number (counter++ % WORKERS) of the map; the counter is another map. */
static int program(int sockets, int counter)
{
	const struct bpf_insn code[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		{ BPF_ST | BPF_W | BPF_MEM, BPF_REG_10, 0, -4, 0 },
		MAP(BPF_REG_1, counter),
		MOVE(BPF_REG_2, BPF_REG_10),
		{ BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4 },
		CALL(BPF_FUNC_map_lookup_elem),
		{ BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 9, 0 },
		SET(BPF_REG_1, 1),
		{ BPF_STX | BPF_W | BPF_ATOMIC, BPF_REG_0, BPF_REG_1, 0, BPF_ADD | BPF_FETCH },
		{ BPF_ALU | BPF_MOD | BPF_K, BPF_REG_1, 0, 0, WORKERS },
		{ BPF_STX | BPF_W | BPF_MEM, BPF_REG_10, BPF_REG_1, -4, 0 },
		MOVE(BPF_REG_1, BPF_REG_6),
		MAP(BPF_REG_2, sockets),
		MOVE(BPF_REG_3, BPF_REG_10),
		{ BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -4 },
		SET(BPF_REG_4, 0),
		CALL(BPF_FUNC_sk_select_reuseport),
		SET(BPF_REG_0, SK_PASS),
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	static char said[4096];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SK_REUSEPORT,
		.expected_attach_type = BPF_SK_REUSEPORT_SELECT,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)said,
		.log_size = sizeof(said),
		.log_level = 1,
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		err(1, "loading the BPF program: %s", said);
	return fd;
}

struct steering steering_load(void)
{
	int sockets = map(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, sizeof(uint64_t), WORKERS);
	int counter = map(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), 1);

	return (struct steering){ .sockets = sockets, .program = program(sockets, counter) };
}

void steering_add(const struct steering *steering, uint32_t index, int listener)
{
	uint64_t value = (uint64_t)listener;
	union bpf_attr attr = {
		.map_fd = (uint32_t)steering->sockets,
		.key = (uintptr_t)&index,
		.value = (uintptr_t)&value,
		.flags = BPF_ANY,
	};

	if (bpf(BPF_MAP_UPDATE_ELEM, &attr))
		err(1, "adding a socket to the BPF map");
	if (setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &steering->program,
		       sizeof(steering->program)))
		err(1, "SO_ATTACH_REUSEPORT_EBPF");
}
