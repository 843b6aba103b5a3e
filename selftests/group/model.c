// SPDX-License-Identifier: GPL-2.0
/*
 * Members come, go and hang at random, under load; and a model says what must be
 * true all the while: as long as one member accepts, every connection is
 * established, accepted exactly once, and gets back what it has sent. None is
 * refused, reset or dropped.
 *
 * SG_MODEL_SEED, or SG_SEED, chooses the sequence, SG_MODEL_STEPS how long it is.
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "test.h"

#define PORT 8080
#define MEMBERS 6
/* Hosts with listeners; the members share them. */
#define HOSTS 3
/* Fewer than any backlog, so that one member that accepts always has room. */
#define CLIENTS 24
#define BACKLOG 64
#define MOST_STEPS 100000

/* What a member's program does. */
enum mood { ACCEPTS, HANGS, IS_CLOSED };

struct member {
	pthread_mutex_t lock;
	enum mood mood;
	int fd;
};

struct client {
	int fd;
	uint32_t id;
	bool sent;
};

struct world {
	enum family family;
	unsigned int seed;
	unsigned int state;
	uint32_t group;
	struct member members[MEMBERS];
	struct client clients[CLIENTS];
	/* The echo's: how many times each id was served. */
	int epoll;
	uint8_t *served;
	uint32_t ids;
	volatile bool over;
	/* The first thing that was wrong. */
	const char *wrong;
	int error;
};

static void note_wrong(struct world *world, const char *what, int error)
{
	if (world->wrong)
		return;
	world->wrong = what;
	world->error = error;
}

/* --- The service: members accept, one thread echoes. */

struct worker {
	struct world *world;
	int index;
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct world *world = worker->world;
	struct member *member = &world->members[worker->index];

	while (!world->over) {
		/* Once: it may be closed while this thread still adds it. */
		struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
		int fd = -1;

		pthread_mutex_lock(&member->lock);
		if (member->mood == ACCEPTS)
			fd = accept4(member->fd, NULL, NULL, SOCK_CLOEXEC);
		pthread_mutex_unlock(&member->lock);
		if (fd < 0) {
			usleep(500);
			continue;
		}
		event.data.fd = fd;
		if (epoll_ctl(world->epoll, EPOLL_CTL_ADD, fd, &event))
			die("adding a connection");
	}
	return NULL;
}

static void *echo(void *argument)
{
	struct world *world = argument;

	while (!world->over) {
		struct epoll_event event;
		uint32_t id;

		if (epoll_wait(world->epoll, &event, 1, 20) != 1)
			continue;
		if (recv(event.data.fd, &id, sizeof(id), MSG_WAITALL) == sizeof(id) &&
		    id < MOST_STEPS) {
			world->served[id]++;
			send(event.data.fd, &id, sizeof(id), MSG_NOSIGNAL);
		}
		close(event.data.fd);
	}
	return NULL;
}

/* --- Clients. */

static bool ends(struct world *world, struct client *client)
{
	uint32_t answer;
	ssize_t len = recv(client->fd, &answer, sizeof(answer), MSG_DONTWAIT);

	if (len < 0 && errno == EAGAIN)
		return false;
	if (len != sizeof(answer) || answer != client->id)
		note_wrong(world, "a client had no answer", len < 0 ? errno : 0);
	return true;
}

/* Goes on with each client as far as it can. */
static void attend(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct client *client = &world->clients[i];
		struct pollfd writable = { .fd = client->fd, .events = POLLOUT };

		if (client->fd <= 0)
			continue;
		if (!client->sent && poll(&writable, 1, 0) == 1) {
			int error = get_option(client->fd, SOL_SOCKET, SO_ERROR);

			if (error)
				note_wrong(world, "a client was refused", error);
			client->sent = true;
			send(client->fd, &client->id, sizeof(client->id), MSG_NOSIGNAL);
		}
		if (client->sent && ends(world, client)) {
			close(client->fd);
			client->fd = 0;
		}
	}
}

static struct client *free_client(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++)
		if (world->clients[i].fd <= 0)
			return &world->clients[i];
	return NULL;
}

static bool all_served(struct world *world)
{
	attend(world);
	for (int i = 0; i < CLIENTS; i++)
		if (world->clients[i].fd > 0 && !world->wrong)
			return false;
	return true;
}

/* --- What happens to members. */

static unsigned int host_of(int index)
{
	return 1 + index % HOSTS;
}

static void open_member(struct world *world, int index)
{
	int fd = reuseport_listener(world->family, host_of(index), PORT, BACKLOG);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (world->group) {
		errno = -join(fd, world->group);
		if (errno)
			die("joining");
	}
	pthread_mutex_lock(&world->members[index].lock);
	world->members[index].fd = fd;
	world->members[index].mood = ACCEPTS;
	pthread_mutex_unlock(&world->members[index].lock);
}

static void close_member(struct world *world, int index, bool drain)
{
	struct member *member = &world->members[index];

	pthread_mutex_lock(&member->lock);
	if (drain && leave(member->fd, SERVICE_GROUP_LEAVE_DRAIN))
		note_wrong(world, "leaving failed", errno);
	close(member->fd);
	member->mood = IS_CLOSED;
	pthread_mutex_unlock(&member->lock);
}

static int count(struct world *world, enum mood mood, unsigned int host)
{
	int found = 0;

	for (int i = 0; i < MEMBERS; i++)
		found += world->members[i].mood == mood && (!host || host_of(i) == host);
	return found;
}

/* One member is left that accepts; and one, if not the same, that listens there. */
static bool may_go(struct world *world, int index)
{
	unsigned int host = host_of(index);

	return count(world, ACCEPTS, 0) > 1 &&
	       count(world, ACCEPTS, host) + count(world, HANGS, host) > 1;
}

static void change_member(struct world *world)
{
	int index = random_below(&world->state, MEMBERS);
	struct member *member = &world->members[index];
	struct service_group_settings settings = {
		.size = sizeof(settings), .set = 31, .policy = random_below(&world->state, 2),
		.stall = 1 + random_below(&world->state, 30), .weight = 1 + random_below(&world->state, 3),
		.rewrite = random_below(&world->state, 2),
	};

	switch (random_below(&world->state, 6)) {
	case 0:
	case 1:
		if (member->mood == HANGS)
			member->mood = ACCEPTS;
		else if (member->mood == ACCEPTS && count(world, ACCEPTS, 0) > 1)
			member->mood = HANGS;
		break;
	case 2:
	case 3:
		if (member->mood == IS_CLOSED)
			open_member(world, index);
		else if (may_go(world, index))
			close_member(world, index, random_below(&world->state, 3) == 0);
		break;
	case 4:
		/* It stops listening, and begins anew. */
		if (member->mood != IS_CLOSED && may_go(world, index)) {
			pthread_mutex_lock(&member->lock);
			shutdown(member->fd, SHUT_RD);
			listen(member->fd, BACKLOG);
			pthread_mutex_unlock(&member->lock);
		}
		break;
	default:
		if (member->mood != IS_CLOSED && set_settings(member->fd, &settings))
			note_wrong(world, "changing settings failed", errno);
	}
}

static void add_client(struct world *world)
{
	struct client *client = free_client(world);
	struct address to = client_address(world->family, 1 + random_below(&world->state, HOSTS), PORT);

	if (!client) {
		usleep(1000);
		return;
	}
	client->id = world->ids++;
	client->sent = false;
	client->fd = start_connect(&to);
	/* The listener has seen its SYN before it may go. */
	if (!wait_for(state_of(client->fd) != STATE_SYN_SENT))
		note_wrong(world, "a client waits for ever", 0);
}

static void begin(struct world *world)
{
	int fds[MEMBERS];

	world->epoll = epoll_create1(EPOLL_CLOEXEC);
	world->served = calloc(MOST_STEPS, 1);
	for (int i = 0; i < MEMBERS; i++) {
		pthread_mutex_init(&world->members[i].lock, NULL);
		open_member(world, i);
		fds[i] = world->members[i].fd;
	}
	errno = -form(fds, MEMBERS);
	if (errno)
		die("forming a group");
	world->group = group_of(fds[0]);
	set_one(fds[0], SERVICE_GROUP_SET_STALL, 10);
}

static long steps_wanted(void)
{
	const char *steps = getenv("SG_MODEL_STEPS");
	long wanted = steps ? atol(steps) : 3000;

	return wanted < MOST_STEPS ? wanted : MOST_STEPS;
}

static void check_end(struct __test_metadata *_metadata, struct world *world)
{
	uint64_t counters[COUNTERS];
	uint32_t served = 0;

	EXPECT_EQ(NULL, world->wrong)
		TH_LOG("%s: %s; SG_MODEL_SEED=%u", world->wrong, strerror(world->error),
		       world->seed);
	for (uint32_t id = 0; id < world->ids; id++)
		served += world->served[id] == 1;
	EXPECT_EQ(world->ids, served);
	ASSERT_EQ(0, group_counters(world->group, counters));
	EXPECT_EQ(0, counters[SERVICE_GROUP_A_COUNTERS_DROPPED_FULL]);
	EXPECT_EQ(0, counters[SERVICE_GROUP_A_COUNTERS_DROPPED_UNFIT]);
	EXPECT_EQ(world->ids, counters[SERVICE_GROUP_A_COUNTERS_ACCEPTED]);
	TH_LOG("%u connections; rescued %llu of stalled and %llu of leaving members", world->ids,
	       (unsigned long long)counters[SERVICE_GROUP_A_COUNTERS_RESCUED_STALLED],
	       (unsigned long long)counters[SERVICE_GROUP_A_COUNTERS_RESCUED_LEAVING]);
}

static void run(struct __test_metadata *_metadata, enum family family, unsigned int seed)
{
	static struct worker workers[MEMBERS];
	static struct world world;
	pthread_t threads[MEMBERS + 1];
	long steps = steps_wanted();

	/* The generator would stay at zero. */
	seed += !seed;
	TH_LOG("SG_MODEL_SEED=%u", seed);
	world.family = family;
	world.seed = world.state = seed;
	begin(&world);
	pthread_create(&threads[MEMBERS], NULL, echo, &world);
	for (int i = 0; i < MEMBERS; i++) {
		workers[i] = (struct worker){ &world, i };
		pthread_create(&threads[i], NULL, work, &workers[i]);
	}
	while (steps-- > 0 && !world.wrong) {
		if (random_below(&world.state, 4))
			add_client(&world);
		else
			change_member(&world);
		attend(&world);
	}
	for (int i = 0; i < MEMBERS; i++)
		if (world.members[i].mood == HANGS)
			world.members[i].mood = ACCEPTS;
	EXPECT_TRUE(wait_for(all_served(&world)));
	check_end(_metadata, &world);
	world.over = true;
	for (int i = 0; i <= MEMBERS; i++)
		pthread_join(threads[i], NULL);
}

FAMILIES(model);

/* As long as it is wanted to be. */
TEST_F_TIMEOUT(model, nothing_is_lost, 1200)
{
	run(_metadata, variant->family, seed_wanted("SG_MODEL_SEED", 1 + variant->family));
}

TEST_HARNESS_MAIN
