// SPDX-License-Identifier: GPL-2.0
/*
 * A network namespace, or the module, goes while a packet, a move or a call of a
 * program is half-way in it, see lib/halfway.h: it waits for that, or is refused, and
 * nothing is left.
 */

#include <net/if.h>

#include "halfway.h"

FIXTURE(gone) {
	struct scene scene;
	pthread_t actor;
};

FIXTURE_VARIANT(gone) { enum reader reader; };

FIXTURE_VARIANT_ADD(gone, SYN) { SYN };
FIXTURE_VARIANT_ADD(gone, ACK) { ACK };
FIXTURE_VARIANT_ADD(gone, MOVE) { MOVE };
FIXTURE_VARIANT_ADD(gone, HAND_OVER) { HAND_OVER };
FIXTURE_VARIANT_ADD(gone, ACCEPT) { ACCEPT };
FIXTURE_VARIANT_ADD(gone, POLL) { POLL };
FIXTURE_VARIANT_ADD(gone, TAKE) { TAKE };
FIXTURE_VARIANT_ADD(gone, SLEEP) { SLEEP };
FIXTURE_VARIANT_ADD(gone, OFFER) { OFFER };

FIXTURE_SETUP(gone)
{
	if (!can_race())
		SKIP(return, "needs fault injection and two processors");
	forget_holds();
}

/* Others need the module. */
FIXTURE_TEARDOWN(gone)
{
	if (access("/sys/module/service_group", F_OK))
		load_module();
	if (can_hold())
		forget_holds();
}

/* Whether the reader is held. */
static bool start_reader(FIXTURE_DATA(gone) *self, enum reader reader)
{
	memset(self, 0, sizeof(*self));
	set_scene(&self->scene, IPV4);
	prepare(&self->scene, reader);
	run_on(1);
	hold(points[reader], "go");
	errno = pthread_create(&self->actor, NULL, act, &self->scene);
	if (errno)
		die("starting the reader");
	return is_held(reader);
}

/* It is unloaded at last, and can be loaded again. */
static bool can_unload(void)
{
	return wait_for(unload_module() == 0) && !load_module();
}

/* Its sockets are closed, and a process tries to unload the module; whether it was half-way. */
static bool unload_meanwhile(struct __test_metadata *_metadata, FIXTURE_DATA(gone) *self,
			     enum reader reader)
{
	bool held = start_reader(self, reader);
	int result;

	/* A task in there has unloading refused, or unloading waits for it. */
	result = unload_module();
	EXPECT_EQ(-EAGAIN, result);
	close_all(self->scene.fds, 2);
	result = unload_module();
	EXPECT_TRUE(!result || result == -EAGAIN);
	if (!result)
		EXPECT_EQ(0, load_module());
	pass_hold("go");
	join_actor(&self->scene, self->actor);
	EXPECT_TRUE(can_unload());
	close_all(self->scene.clients, self->scene.count);
	return held;
}

TEST_F(gone, unload)
{
	bool held = false;

	for (int i = 0; i < ATTEMPTS && !held && !_metadata->exit_code; i++)
		held = unload_meanwhile(_metadata, self, variant->reader);
	EXPECT_TRUE(held);
}

/* The only processes of a namespace are killed; whether it was half-way. */
static bool kill_meanwhile(FIXTURE_DATA(gone) *self, enum reader reader)
{
	pid_t child = fork();
	int status;

	if (!child) {
		if (start_reader(self, reader))
			raise(SIGKILL);
		_exit(KSFT_SKIP);
	}
	if (waitpid(child, &status, 0) != child)
		die("waiting for a process");
	return WIFSIGNALED(status);
}

TEST_F(gone, namespace)
{
	bool held = false;

	for (int i = 0; i < ATTEMPTS && !held; i++) {
		held = kill_meanwhile(self, variant->reader);
		ASSERT_TRUE(wait_for(!hold_is(points[variant->reader], "held")));
		EXPECT_TRUE(can_unload());
	}
	EXPECT_TRUE(held);
}

/*
 * The only member of its group, so that nothing waits for the task that is half-way; and the client
 * is in an outer namespace, so that it keeps neither the inner one nor its process.
 */
FIXTURE(outside) {
	struct address home;
	int client;
	pid_t server;
	pthread_t actor;
};

FIXTURE_VARIANT(outside) { enum reader reader; };

FIXTURE_VARIANT_ADD(outside, SYN) { SYN };
FIXTURE_VARIANT_ADD(outside, ACK) { ACK };

FIXTURE_SETUP(outside)
{
	if (!can_race())
		SKIP(return, "needs fault injection and two processors");
	forget_holds();
}

FIXTURE_TEARDOWN(outside)
{
	if (can_hold())
		forget_holds();
}

/* The process of the inner namespace, which has the listener. */
static pid_t serve_inside(void)
{
	int ready[2], fd;
	pid_t child;
	char byte;

	if (pipe(ready))
		die("making a pipe");
	child = fork();
	if (child) {
		if (read(ready[0], &byte, 1) != 1)
			die("starting a server");
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter_namespace();
	fd = listener(IPV4, 0, PORT, 8);
	if (form(&fd, 1) || write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void lay_cable(pid_t server)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "ip link add outer type veth peer name inner netns %1$d && "
		 "ip address add 10.9.9.2/24 dev outer && ip link set outer up && "
		 "nsenter -t %1$d -n ip address add 10.9.9.1/24 dev inner && "
		 "nsenter -t %1$d -n ip link set inner up", server);
	if (system(command))
		die("laying a cable");
}

static void *send_last(void *arg)
{
	FIXTURE_DATA(outside) *self = arg;

	if (hold_is("syn", "waits"))
		start_connect(&self->home);
	else
		finish_handshake(self->client);
	return NULL;
}

/* Whether the server's process has ended while its packet was held. */
static bool end_around_packet(FIXTURE_DATA(outside) *self, enum reader reader)
{
	bool held;

	memset(self, 0, sizeof(*self));
	enter_namespace();
	self->server = serve_inside();
	lay_cable(self->server);
	self->home = client_address(IPV4, 1, PORT);
	self->home.in.sin_addr.s_addr = inet_addr("10.9.9.1");
	if (reader == ACK)
		self->client = start_half_open(&self->home);
	hold(points[reader], "go");
	errno = pthread_create(&self->actor, NULL, send_last, self);
	if (errno)
		die("starting a client");
	held = is_held(reader);
	kill(self->server, SIGKILL);
	if (waitpid(self->server, NULL, 0) != self->server)
		die("waiting for the server");
	held = held && hold_is(points[reader], "held");
	/* It goes with the inner namespace. */
	if (!wait_for(!if_nametoindex("outer")))
		die("waiting for the namespace");
	forget_holds();
	close(self->client);
	return held;
}

TEST_F(outside, namespace)
{
	bool held = false;

	for (int i = 0; i < ATTEMPTS && !held; i++) {
		held = end_around_packet(self, variant->reader);
		EXPECT_TRUE(can_unload());
	}
	EXPECT_TRUE(held);
}

FIXTURE(last) {
	int fd;
	struct address home;
};

FIXTURE_SETUP(last)
{
	if (!can_race())
		SKIP(return, "needs fault injection and two processors");
	forget_holds();
}

FIXTURE_TEARDOWN(last) { }

static void *connect_once(void *arg)
{
	start_connect(arg);
	return NULL;
}

static void *connect_on_another(void *arg)
{
	run_on(0);
	return connect_once(arg);
}

/* The only member of its group: nothing waits for the task that is half-way. */
static void hold_the_only_one(FIXTURE_DATA(last) *self)
{
	pthread_t actor;

	enter_namespace();
	self->home = client_address(IPV4, 1, PORT);
	group_on_hosts(IPV4, &self->fd, 1, PORT, 8);
	hold("syn", "go");
	if (pthread_create(&actor, NULL, connect_once, &self->home))
		die("starting a client");
	if (!wait_for(hold_is("syn", "held")))
		die("waiting for a SYN");
}

TEST_F(last, unload)
{
	hold_the_only_one(self);
	close(self->fd);
	EXPECT_TRUE(wait_for(unload_module() == 0));
	EXPECT_EQ(0, load_module());
}

TEST_F(last, namespace)
{
	pid_t child = fork();

	if (!child) {
		hold_the_only_one(self);
		raise(SIGKILL);
	}
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(wait_for(!hold_is("syn", "held")));
	EXPECT_TRUE(wait_for(unload_module() == 0));
	EXPECT_EQ(0, load_module());
}

/* The home listener leaves while its SYN is on its way to its only sibling. */
static void *leave_it(void *arg)
{
	run_on(1);
	leave(*(int *)arg, 0);
	return NULL;
}

/* Nobody waits for that SYN when the sibling, which is alone by then, is closed. */
TEST_F(last, of_two)
{
	pthread_t actor, leaver;
	int fds[2], client;

	enter_namespace();
	self->home = client_address(IPV4, 1, PORT);
	group_on_hosts(IPV4, fds, 2, PORT, 0);
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_STALL, 0));
	client = connect_to(&self->home);
	ASSERT_LE(0, client);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	run_on(1);
	hold("syn", "ended");
	ASSERT_EQ(0, pthread_create(&actor, NULL, connect_on_another, &self->home));
	ASSERT_TRUE(wait_for(hold_is("syn", "held") || hold_is("syn", "late")));
	ASSERT_EQ(0, pthread_create(&leaver, NULL, leave_it, &fds[0]));
	ASSERT_TRUE(wait_for(!group_of(fds[0])));
	close(fds[1]);
	/* Its end was not kept up, unless the whole machine was. */
	EXPECT_TRUE(wait_for(hold_is("syn", "passed") || hold_is("syn", "late")));
	ASSERT_EQ(0, pthread_join(leaver, NULL));
	ASSERT_EQ(0, pthread_join(actor, NULL));
	forget_holds();
	/* The other one goes on. */
	EXPECT_LE(0, accept_now(fds[0]));
	client = connect_to(&self->home);
	EXPECT_LE(0, client);
	EXPECT_TRUE(wait_for(accept_now(fds[0]) >= 0));
	close(fds[0]);
	EXPECT_TRUE(wait_for(unload_module() == 0));
	EXPECT_EQ(0, load_module());
}

TEST_HARNESS_MAIN
