// SPDX-License-Identifier: GPL-2.0
/*
 * A page that never comes: of a file in a FUSE file system that an unprivileged
 * user has mounted, and that does not answer. Whatever copies from there under a
 * lock keeps the lock.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "lib.h"

#define SIZE 4096

/* become_unprivileged - some user, with namespaces of its own in which it may do all. */
void become_unprivileged(bool own_network)
{
	if (setgid(1000) || setuid(1000) || prctl(PR_SET_DUMPABLE, 1))
		die("becoming a user");
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | (own_network ? CLONE_NEWNET : 0)))
		die("entering namespaces");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", "0 1000 1");
	write_file("/proc/self/gid_map", "0 1000 1");
}

static void answer(int fuse, uint64_t unique, int error, const void *data, size_t len)
{
	char message[1024];
	struct fuse_out_header header = {
		.len = sizeof(header) + len, .error = error, .unique = unique,
	};

	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), data, len);
	/* The request may be gone. */
	if (write(fuse, message, header.len) < 0 && errno != ENOENT)
		_exit(1);
}

static struct fuse_attr attributes(bool directory)
{
	return (struct fuse_attr) {
		.ino = directory ? 1 : 2, .mode = directory ? 040755 : 0100644,
		.nlink = 1, .size = SIZE, .blksize = SIZE,
	};
}

/* One file, each name. */
static void serve_one(int fuse, const struct fuse_in_header *request, int *asked)
{
	struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = SIZE };
	struct fuse_attr_out attr = { .attr_valid = 1000 };
	struct fuse_entry_out entry = { .nodeid = 2, .entry_valid = 1000, .attr_valid = 1000 };
	struct fuse_open_out opened = { .fh = 1 };

	switch (request->opcode) {
	case FUSE_INIT:
		answer(fuse, request->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr = attributes(false);
		answer(fuse, request->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		attr.attr = attributes(request->nodeid == 1);
		answer(fuse, request->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(fuse, request->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		__atomic_store_n(asked, 1, __ATOMIC_SEQ_CST);
		break;
	default:
		answer(fuse, request->unique, -ENOSYS, "", 0);
	}
}

static void serve(int fuse, int *asked, pid_t user)
{
	static char buffer[1 << 17] __attribute__((aligned(8)));

	end_with(user);
	while (read(fuse, buffer, sizeof(buffer)) > 0)
		serve_one(fuse, (const void *)buffer, asked);
	_exit(0);
}

/*
 * make_page - mounts it. The first bytes of what is given back are there, the
 * others come from the page. The server is a process of its own, so that whoever
 * waits for the page goes on, with an error, when that one ends.
 */
struct page make_page(void)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct page page;
	pid_t self = getpid();
	char options[64], *memory;
	int file;

	page.asked = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fuse < 0 || page.asked == MAP_FAILED || memory == MAP_FAILED)
		die("opening /dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (mount("page", "/mnt", "fuse", MS_NOSUID | MS_NODEV, options))
		die("mounting");
	page.server = fork();
	if (!page.server)
		serve(fuse, page.asked, self);
	close(fuse);
	file = open("/mnt/page", O_RDONLY | O_CLOEXEC);
	if (file < 0 || mmap(memory + SIZE, SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) ==
				MAP_FAILED)
		die("mapping the page");
	memset(memory, 0, SIZE);
	page.edge = memory + SIZE - PAGE_HEAD;
	return page;
}

/* page_was_asked_for - whether a task waits for it. */
bool page_was_asked_for(const struct page *page)
{
	return __atomic_load_n(page->asked, __ATOMIC_SEQ_CST);
}

/* Tasks that wait get an error. */
void give_page_up(const struct page *page)
{
	kill(page->server, SIGKILL);
}

/* Has the socket locked until the page comes. */
static void *lock_it(void *arg)
{
	const struct locker *locker = arg;

	while (locker->late && !has_ulp(locker->fd, "service_group")) {
		/* The moment is short. */
	}
	setsockopt(locker->fd, SOL_SOCKET, SO_LINGER, locker->page->edge, sizeof(struct linger));
	return NULL;
}

/* start_locker - the locker stays on the stack of who waits for it, or never returns. */
void start_locker(struct locker *locker)
{
	if (pthread_create(&locker->thread, NULL, lock_it, locker))
		die("starting a thread");
	if (!locker->late && !wait_for(page_was_asked_for(locker->page)))
		die("waiting for the lock");
}
