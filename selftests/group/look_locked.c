// SPDX-License-Identifier: GPL-2.0
/*
 * A program looks for connections while another one keeps a listener's lock: others
 * get what is theirs, and nothing is moved to the listener that is locked.
 */

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "look.h"

/* Until the page is given up. */
static void keep_locked(struct locker *locker, int fd)
{
	static struct page page;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("entering a namespace");
	page = make_page();
	*locker = (struct locker) { .page = &page, .fd = fd };
	start_locker(locker);
	pthread_detach(locker->thread);
}

/* Most options of a socket wait for its lock. */
static bool was_stalled(int fd)
{
	return member_counter(fd, SERVICE_GROUP_A_COUNTERS_STALLS) > 0;
}

TEST_F(look, a_locked_sibling_does_not_hide_another)
{
	int third = third_of(self->fds, variant->family);
	static struct locker locker;

	make_nonblocking(third);
	keep_locked(&locker, self->fds[0]);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(was_stalled(self->fds[0])));
	self->home = client_address(variant->family, 2, PORT);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[1])));
	EXPECT_LE(0, accept(third, NULL, NULL));
	give_page_up(locker.page);
}

static void *sleep_in_accept(void *fd)
{
	return (void *)(long)accept(*(int *)fd, NULL, NULL);
}

TEST_F(look, nor_from_who_sleeps)
{
	static int third;
	static struct locker locker;
	pthread_t thread;

	third = third_of(self->fds, variant->family);
	keep_locked(&locker, self->fds[0]);
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_accept, &third));
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(was_stalled(self->fds[0])));
	self->home = client_address(variant->family, 2, PORT);
	fill(&self->home, 1);
	EXPECT_TRUE(wait_for(info_of(third).accepted == 1));
	give_page_up(locker.page);
}

/* A listener in a group of its own that is found stalled after this time. */
static int clock_of(enum family family, int milliseconds)
{
	struct address home = client_address(family, 3, PORT + 1);
	int fd = listener(family, 3, PORT + 1, BACKLOG);

	if (form(&fd, 1))
		die("forming a group");
	set_stall(fd, milliseconds);
	fill(&home, 1);
	return fd;
}

/* What a sibling was given before its program slept does not wait until the sibling hangs. */
TEST_F(look, nor_what_is_its_own)
{
	static struct handshake handshake;
	pthread_t thread;
	int clock;

	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	start_handshake(&handshake, variant->family, &self->home);
	ASSERT_TRUE(wait_for(info_of(self->fds[1]).half_open == 1));
	set_stall(self->fds[0], 800 * STALL);
	ASSERT_LE(0, accept(self->fds[0], NULL, NULL));
	ASSERT_EQ(0, fcntl(self->fds[0], F_SETFL, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_accept, &self->fds[0]));
	/* If it does not sleep yet, that is as good. */
	usleep(50000);
	clock = clock_of(variant->family, 400 * STALL);
	send_last_ack(&handshake);
	EXPECT_TRUE(wait_for(info_of(self->fds[0]).accepted == 2 || is_stalled(clock)));
	EXPECT_EQ(2, info_of(self->fds[0]).accepted);
}

/* Nor is anything moved to one that is locked itself. */
TEST_F(look, who_is_locked_himself_is_given_nothing)
{
	static int third;
	static struct locker locker;
	pthread_t thread;

	third = third_of(self->fds, variant->family);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	keep_locked(&locker, third);
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_accept, &third));
	/* For it to have come so far; what is right does not depend on it. */
	usleep(100000);
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	give_page_up(locker.page);
}

TEST_HARNESS_MAIN
