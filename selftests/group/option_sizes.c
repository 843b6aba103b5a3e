// SPDX-License-Identifier: GPL-2.0
/*
 * The bytes of the options, at their edges: lengths, header sizes, counts,
 * reserved fields, flags. After each refusal the sockets must be as before.
 *
 * What the sockets are is the matter of option_errors.c.
 */

#include <fcntl.h>
#include <pthread.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "test.h"

#define HEADER sizeof(struct service_group_request)
#define ENTRY sizeof(struct service_group_entry)
#define MOST SERVICE_GROUP_MAX_MEMBERS

FIXTURE(sizes) {
	int fd;
	int fds[2];
	struct request request;
};

FIXTURE_SETUP(sizes)
{
	enter_namespace();
	self->fds[0] = self->fd = tcp_socket(IPV4);
	self->fds[1] = tcp_socket(IPV4);
	describe(&self->request, self->fds, 2, 8080);
}

FIXTURE_TEARDOWN(sizes) { }

static int set_raw(int fd, int option, const void *bytes, socklen_t len)
{
	return setsockopt(fd, SOL_IP, option, bytes, len) ? -errno : 0;
}

/* Whether a refused call has left this socket alone. */
static bool untouched(int fd)
{
	return !group_of(fd) && has_ulp(fd, "") && !port_of(fd) &&
	       !get_option(fd, SOL_SOCKET, SO_REUSEPORT);
}

TEST_F(sizes, every_length)
{
	socklen_t right = HEADER + 2 * ENTRY;

	for (socklen_t len = 0; len <= right + ENTRY + 1; len++) {
		int expected = len == 4 ? -ENOENT : -EINVAL;

		if (len == right)
			continue;
		/* As an id, the first four bytes are the header's size. */
		EXPECT_EQ(expected, set_raw(self->fd, SO_SERVICE_GROUP, &self->request, len))
			TH_LOG("length %u", len);
		ASSERT_TRUE(untouched(self->fds[0]));
	}
	EXPECT_EQ(-EINVAL, set_raw(self->fd, SO_SERVICE_GROUP, &self->request, -1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, SO_SERVICE_GROUP, &self->request, INT32_MIN));
	EXPECT_TRUE(untouched(self->fds[0]));
	EXPECT_TRUE(untouched(self->fds[1]));
	EXPECT_EQ(0, set_raw(self->fd, SO_SERVICE_GROUP, &self->request, right));
}

/* A length beyond what any right request has. */
TEST_F(sizes, huge_length)
{
	socklen_t lengths[] = { 40000, 65536, 1 << 20, INT32_MAX };
	char *bytes = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, bytes);
	memcpy(bytes, &self->request, HEADER + 2 * ENTRY);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		int result = set_raw(self->fd, SO_SERVICE_GROUP, bytes, lengths[i]);

		EXPECT_TRUE(result == -EINVAL || result == -ETOOMANYREFS)
			TH_LOG("length %u: %d", lengths[i], result);
	}
	EXPECT_TRUE(untouched(self->fd));
}

TEST_F(sizes, every_count)
{
	struct {
		uint32_t count;
		int expected;
	} table[] = {
		{ 0, -ENODATA }, { MOST + 1, -ETOOMANYREFS }, { MOST, 0 },
	};
	int fds[MOST + 1];

	fds[0] = self->fd;
	for (int i = 1; i <= MOST; i++)
		fds[i] = tcp_socket(IPV4);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		describe(&self->request, fds, table[i].count, 8080);
		EXPECT_EQ(table[i].expected, send_request(self->fd, &self->request))
			TH_LOG("count %u", table[i].count);
		EXPECT_EQ(!!table[i].expected, untouched(self->fd));
	}
	EXPECT_EQ(1, stats_now().refused_limit);
}

/* A count that does not match the length, with products that overflow. */
TEST_F(sizes, wrong_count)
{
	uint32_t counts[] = { 0, 1, 3, 1u << 27, (1u << 27) + 2, 1u << 31, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		self->request.header.count = counts[i];
		EXPECT_EQ(-EINVAL, set_raw(self->fd, SO_SERVICE_GROUP, &self->request,
					   HEADER + 2 * ENTRY))
			TH_LOG("count %u", counts[i]);
	}
	EXPECT_TRUE(untouched(self->fds[0]) && untouched(self->fds[1]));
}

/* A header of another size, before entries that follow it directly. */
TEST_F(sizes, every_header_size)
{
	uint32_t sizes[] = {
		0, 4, HEADER - 1, HEADER, HEADER + 1, HEADER + 8, HEADER + 100, 4096, 4097,
	};
	static char bytes[8192 + 2 * ENTRY];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t size = sizes[i];
		int expected = size >= HEADER && size <= 4096 ? 0 : -EINVAL;

		memset(bytes, 0, sizeof(bytes));
		self->request.header.size = size;
		memcpy(bytes, &self->request.header, HEADER);
		if (size >= HEADER)
			memcpy(bytes + size, self->request.entries, 2 * ENTRY);
		if (size > HEADER && size <= 4096) {
			/* The last byte of the unknown part, and the first. */
			bytes[size - 1] = 1;
			EXPECT_EQ(-E2BIG, set_raw(self->fd, SO_SERVICE_GROUP, bytes,
						  size + 2 * ENTRY));
			bytes[size - 1] = 0;
			bytes[HEADER] = 1;
			EXPECT_EQ(-E2BIG, set_raw(self->fd, SO_SERVICE_GROUP, bytes,
						  size + 2 * ENTRY));
			bytes[HEADER] = 0;
		}
		EXPECT_TRUE(untouched(self->fds[0]) && untouched(self->fds[1]));
		EXPECT_EQ(expected, set_raw(self->fd, SO_SERVICE_GROUP, bytes, size + 2 * ENTRY))
			TH_LOG("header of %u", size);
		if (expected) {
			EXPECT_TRUE(untouched(self->fds[0]) && untouched(self->fds[1]));
			continue;
		}
		EXPECT_EQ(2, info_of(self->fd).members);
		close_all(self->fds, 2);
		self->fds[0] = self->fd = tcp_socket(IPV4);
		self->fds[1] = tcp_socket(IPV4);
		describe(&self->request, self->fds, 2, 8080);
	}
}

/* Each byte that must be zero, one at a time. */
TEST_F(sizes, reserved_bytes)
{
	const char *bytes = (char *)&self->request;
	struct {
		size_t at;
		uint16_t family;
		int expected;
	} table[] = {
		{ 4, AF_UNSPEC, -EOPNOTSUPP }, { 5, AF_UNSPEC, -EOPNOTSUPP },
		{ 7, AF_UNSPEC, -EOPNOTSUPP },
		{ 14, AF_UNSPEC, -EBADMSG }, { 15, AF_UNSPEC, -EBADMSG },
		{ HEADER + 6, AF_UNSPEC, -EBADMSG }, { HEADER + 7, AF_UNSPEC, -EBADMSG },
		{ HEADER + 8, AF_UNSPEC, -EBADMSG }, { HEADER + 11, AF_INET, -EBADMSG },
		{ HEADER + 12, AF_UNSPEC, -EBADMSG }, { HEADER + 15, AF_INET6, -EBADMSG },
		{ HEADER + 16, AF_UNSPEC, -EBADMSG }, { HEADER + 31, AF_UNSPEC, -EBADMSG },
		{ HEADER + 20, AF_INET, -EBADMSG }, { HEADER + 31, AF_INET, -EBADMSG },
		{ HEADER + 4, AF_UNSPEC, -EAFNOSUPPORT }, { HEADER + 5, AF_INET, -EAFNOSUPPORT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char copy[HEADER + 2 * ENTRY];

		self->request.entries[0].family = table[i].family;
		memcpy(copy, bytes, sizeof(copy));
		copy[table[i].at] = 0x80;
		EXPECT_EQ(table[i].expected,
			  set_raw(self->fd, SO_SERVICE_GROUP, copy, sizeof(copy)))
			TH_LOG("byte %zu, family %u", table[i].at, table[i].family);
		EXPECT_TRUE(untouched(self->fds[0]) && untouched(self->fds[1]));
	}
}

TEST_F(sizes, every_flag)
{
	for (int bit = 1; bit < 32; bit++) {
		uint32_t flags = 1u << bit;

		self->request.header.flags = flags;
		EXPECT_EQ(-EOPNOTSUPP, send_request(self->fd, &self->request));
		EXPECT_TRUE(untouched(self->fds[0]));
	}
	self->request.header.flags = SERVICE_GROUP_BIND;
	EXPECT_EQ(0, send_request(self->fd, &self->request));
}

TEST_F(sizes, leave_lengths_and_flags)
{
	char bytes[64] = { };

	ASSERT_EQ(0, form(&self->fd, 1));
	for (socklen_t len = 0; len <= sizeof(bytes); len++) {
		if (len == 4)
			continue;
		EXPECT_EQ(-EINVAL, set_raw(self->fd, SO_SERVICE_GROUP_LEAVE, bytes, len))
			TH_LOG("length %u", len);
	}
	for (int bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EOPNOTSUPP, leave(self->fd, 1u << bit));
	EXPECT_EQ(1, info_of(self->fd).members);
	EXPECT_EQ(0, leave(self->fd, 0));
}

TEST_F(sizes, info_lengths)
{
	struct service_group_info info;
	socklen_t len = -1;

	ASSERT_EQ(0, form(&self->fd, 1));
	EXPECT_EQ(-1, getsockopt(self->fd, SOL_IP, SO_SERVICE_GROUP, &info, &len));
	EXPECT_EQ(EINVAL, errno);
	/* Leaving is nothing that could be read. */
	len = 4;
	EXPECT_EQ(-1, getsockopt(self->fd, SOL_IP, SO_SERVICE_GROUP_LEAVE, &info, &len));
	EXPECT_EQ(ENOPROTOOPT, errno);
}

TEST_F(sizes, unreadable_memory)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	socklen_t len = HEADER + 2 * ENTRY;
	char *cut = two + page - len + 1;

	ASSERT_NE(MAP_FAILED, two);
	memcpy(cut, &self->request, len - 1);
	ASSERT_EQ(0, mprotect(two + page, page, PROT_NONE));
	EXPECT_EQ(-EFAULT, set_raw(self->fd, SO_SERVICE_GROUP, NULL, len));
	EXPECT_EQ(-EFAULT, set_raw(self->fd, SO_SERVICE_GROUP, NULL, 4));
	EXPECT_EQ(-EFAULT, set_raw(self->fd, SO_SERVICE_GROUP, cut, len));
	EXPECT_EQ(-EFAULT, set_raw(self->fd, SO_SERVICE_GROUP, two + page - 2, 4));
	EXPECT_EQ(-EFAULT, set_raw(self->fd, SO_SERVICE_GROUP_LEAVE, NULL, 4));
	EXPECT_TRUE(untouched(self->fds[0]) && untouched(self->fds[1]));

	ASSERT_EQ(0, form(&self->fd, 1));
	len = sizeof(struct service_group_info);
	EXPECT_EQ(-1, getsockopt(self->fd, SOL_IP, SO_SERVICE_GROUP, two + page, &len));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getsockopt(self->fd, SOL_IP, SO_SERVICE_GROUP, two, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, info_of(self->fd).members);
}

/* Has a page that is not there come when its memory's other half has changed. */
struct changer {
	int faults;
	char *missing;
	size_t page;
	struct service_group_request *header;
};

static void *change_and_give(void *arg)
{
	struct changer *changer = arg;
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)changer->missing, .len = changer->page },
	};
	struct uffd_msg fault;

	if (read(changer->faults, &fault, sizeof(fault)) != sizeof(fault))
		return NULL;
	changer->header->count = MOST;
	changer->header->flags = ~0u;
	ioctl(changer->faults, UFFDIO_ZEROPAGE, &zero);
	return NULL;
}

/* What was checked is what is used: a program cannot change it meanwhile. */
TEST_F(sizes, is_copied_once)
{
	size_t page = sysconf(_SC_PAGESIZE);
	socklen_t len = request_length(&self->request);
	/* Its last bytes are zero, as the page is that comes. */
	size_t here = len - sizeof(self->request.entries[0].addr);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct changer changer = { .page = page };
	pthread_t thread;
	char *two;

	two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, two);
	changer.missing = two + page;
	changer.header = (void *)(two + page - here);
	memcpy(changer.header, &self->request, here);
	changer.faults = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (changer.faults < 0)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	range.range.start = (uintptr_t)changer.missing;
	range.range.len = page;
	ASSERT_EQ(0, ioctl(changer.faults, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(changer.faults, UFFDIO_REGISTER, &range));
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_and_give, &changer));
	EXPECT_EQ(0, set_raw(self->fd, SO_SERVICE_GROUP, changer.header, len));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(MOST, changer.header->count);
	EXPECT_EQ(2, info_of(self->fd).members);
}

/* The module is given a kernel's buffer, of which less is meant than the program said. */
TEST_F(sizes, cut_by_a_program)
{
	socklen_t whole = request_length(&self->request);
	char path[128];
	int cgroup = enter_cgroup(path, sizeof(path)), result;

	if (cgroup < 0)
		SKIP(return, "no control groups: %s", strerror(-cgroup));
	close_all(self->fds, 2);
	for (int i = 0; i < 2; i++)
		self->fds[i] = tcp_socket(IPV4);
	self->fd = self->fds[0];
	describe(&self->request, self->fds, 2, 8080);
	for (socklen_t len = 1; len <= whole; len++) {
		result = cut_options(cgroup, len);
		if (result == -EINVAL)
			SKIP(return, "no such programs");
		ASSERT_EQ(0, result);
		result = set_raw(self->fd, SO_SERVICE_GROUP, &self->request, whole);
		/* Four bytes are the id of a group. */
		EXPECT_EQ(len == whole ? 0 : len == 4 ? -ENOENT : -EINVAL, result)
			TH_LOG("%u bytes", len);
	}
	EXPECT_EQ(2, info_of(self->fd).members);
	close(cgroup);
	leave_cgroup();
	rmdir(path);
}

TEST_HARNESS_MAIN
