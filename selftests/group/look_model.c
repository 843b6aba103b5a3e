// SPDX-License-Identifier: GPL-2.0
/*
 * Workers look for connections in turns of a millisecond to two seconds, each in
 * its own way; and a model says what each look must bring: none comes back empty
 * while a connection that was meant for this worker waits, wherever that is. So
 * each is served no later than at the first look of its home. And none moves more
 * often than when its SYN comes, and when it is accepted; but for one that is given to
 * a program whose accept() just ends, as its time is up.
 *
 * Looks are compared with each other, not with time: what overlaps may have been
 * in either order. SG_SEED chooses the workers and the connections.
 */

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "test.h"

#define PORT 8080
#define BACKLOG 64
#define CONNECTIONS 24
#define MOST_WORKERS 16
/*
 * A connection may be taken back between the move and the accept() that it was moved for,
 * which then has nothing. Nobody looks so fast twice.
 */
#define MOST_MOVES 4
#define MOST_LOOKS 200000
/* Microseconds. */
#define LAST_TURN 150000

enum way { NONBLOCKING, SLEEPING, POLL, LEVEL, URING, WAYS };

struct connection {
	unsigned int host;
	int client;
	uint16_t port;
	/* Since when it is queued. */
	double since;
	/* When the look began that got it; 0 before. And when that ended. */
	double served, end;
	/* How often it has moved. */
	int moves;
};

/* A look that brought nothing. */
struct empty {
	unsigned int host;
	bool slept;
	double begin, end;
};

struct model {
	unsigned int state;
	enum family family;
	unsigned int workers;
	struct connection connections[CONNECTIONS];
	struct empty *empty;
	unsigned int empties;
	unsigned int served;
	volatile bool over;
	pthread_mutex_t lock;
};

struct worker {
	struct model *model;
	unsigned int host;
	int fd;
	enum way way;
	volatile unsigned int turn;	/* microseconds */
	int epoll;
	struct io_uring ring;
};

/* --- Looks, each of which accepts one connection at most. */

static int look_with_ring(struct io_uring *ring, int fd)
{
	struct __kernel_timespec moment = { .tv_nsec = 2000000 };
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int result = -1;

	io_uring_prep_accept(sqe, fd, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_submit(ring);
	if (io_uring_wait_cqe_timeout(ring, &cqe, &moment)) {
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_cancel64(sqe, 1, 0);
		io_uring_sqe_set_data64(sqe, 2);
		io_uring_submit(ring);
		/* The cancelling is told as well. */
		if (io_uring_wait_cqe(ring, &cqe))
			die("cancelling");
		if (cqe->user_data == 1)
			result = cqe->res;
		io_uring_cqe_seen(ring, cqe);
		if (io_uring_wait_cqe(ring, &cqe))
			die("cancelling");
	}
	if (cqe->user_data == 1)
		result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static int look(struct worker *worker)
{
	struct pollfd entry = { .fd = worker->fd, .events = POLLIN };
	struct epoll_event event;

	switch (worker->way) {
	case POLL:
		return poll(&entry, 1, 1) == 1 ? accept(worker->fd, NULL, NULL) : -1;
	case LEVEL:
		return epoll_wait(worker->epoll, &event, 1, 1) == 1 ?
		       accept(worker->fd, NULL, NULL) : -1;
	case URING:
		return look_with_ring(&worker->ring, worker->fd);
	default:
		return accept(worker->fd, NULL, NULL);
	}
}

static void note_served(struct model *model, int fd, double begin, double end)
{
	struct address peer = peer_of(fd), local = name_of(fd);
	uint16_t port = ntohs(peer.in.sin_port);

	for (int i = 0; i < CONNECTIONS; i++) {
		struct connection *connection = &model->connections[i];

		if (connection->port == port && !connection->served) {
			connection->served = begin;
			connection->end = end;
			connection->moves = moves_of(&local, &peer);
			model->served++;
		}
	}
	close(fd);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct model *model = worker->model;

	while (!model->over) {
		double begin = seconds();
		int fd = look(worker);
		double end = seconds();

		pthread_mutex_lock(&model->lock);
		if (fd >= 0)
			note_served(model, fd, begin, end);
		else if (model->empties < MOST_LOOKS)
			model->empty[model->empties++] =
				(struct empty) { worker->host, worker->way == SLEEPING, begin, end };
		pthread_mutex_unlock(&model->lock);
		usleep(worker->turn);
	}
	return NULL;
}

/* --- Connections. */

/* Of a connection it is another length. */
static bool all_acknowledged(int fd)
{
	return queue_length(fd) == 0;
}

/* A connection whose server's side is there, and so is queued. */
static void add_connection(struct model *model, struct connection *connection)
{
	struct address any = { .len = sizeof(any.in) };
	struct address to = client_address(model->family, connection->host, PORT);
	int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	/* Its port is known before anybody accepts it. */
	any.any.sa_family = to.any.sa_family;
	if (to.any.sa_family == AF_INET6)
		any.len = sizeof(any.in6);
	if (fd < 0 || bind(fd, &any.any, any.len))
		die("binding a client");
	pthread_mutex_lock(&model->lock);
	connection->client = fd;
	connection->port = port_of(fd);
	pthread_mutex_unlock(&model->lock);
	if (connect(fd, &to.any, to.len))
		die("connecting");
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || !wait_for(all_acknowledged(fd)))
		die("sending");
	pthread_mutex_lock(&model->lock);
	connection->since = seconds();
	pthread_mutex_unlock(&model->lock);
}

/* --- What must be true. */

/* Looks that came back empty while one of their own waited, which another look got later. */
static unsigned int late(const struct model *model)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < model->empties; i++) {
		const struct empty *empty = &model->empty[i];

		for (int j = 0; j < CONNECTIONS; j++) {
			const struct connection *connection = &model->connections[j];

			if (connection->host == empty->host && connection->since < empty->begin &&
			    (!connection->served || connection->served > empty->end))
				count++;
		}
	}
	return count;
}

/* How often a connection may have moved: once more for each program that slept while it waited. */
static int most_moves(const struct model *model, const struct connection *connection)
{
	int most = MOST_MOVES;

	for (unsigned int i = 0; i < model->empties; i++) {
		const struct empty *empty = &model->empty[i];

		most += empty->slept && empty->end > connection->since &&
			empty->begin < connection->end;
	}
	return most;
}

/* Connections that have moved too often. */
static unsigned int restless(const struct model *model)
{
	unsigned int count = 0;

	for (int i = 0; i < CONNECTIONS; i++) {
		const struct connection *connection = &model->connections[i];

		count += connection->moves > most_moves(model, connection);
	}
	return count;
}

static void prepare(struct worker *worker)
{
	struct model *model = worker->model;
	struct epoll_event event = { .events = EPOLLIN };
	struct timeval moment = { .tv_usec = 2000 };
	/* 1 ms to 2 s, as many of each size. */
	static const unsigned int turns[] = { 1, 2, 5, 20, 60, 150, 300, 600, 1000, 2000 };

	worker->way = random_below(&model->state, WAYS);
	worker->turn = 1000 * turns[random_below(&model->state, sizeof(turns) / sizeof(turns[0]))];
	if (worker->way == SLEEPING) {
		if (setsockopt(worker->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment)))
			die("limiting accept()");
	} else if (worker->way != URING && fcntl(worker->fd, F_SETFL, O_NONBLOCK)) {
		die("making a listener non-blocking");
	}
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->fd, &event))
		die("adding a listener");
	if (worker->way == URING && io_uring_queue_init(8, &worker->ring, 0))
		die("making a ring");
}

static void end(struct worker *worker)
{
	if (worker->way == URING)
		io_uring_queue_exit(&worker->ring);
	close(worker->epoll);
	close(worker->fd);
}

static void run(struct __test_metadata *_metadata, struct model *model, int policy)
{
	static struct worker workers[MOST_WORKERS];
	uint64_t rescued = 0, accepted = 0, most = 0;
	pthread_t threads[MOST_WORKERS];
	int fds[MOST_WORKERS];

	for (unsigned int i = 0; i < model->workers; i++) {
		workers[i] = (struct worker) { .model = model, .host = 1 + i };
		fds[i] = reuseport_listener(model->family, workers[i].host, PORT, BACKLOG);
		workers[i].fd = fds[i];
	}
	errno = -form(fds, model->workers);
	if (errno || set_one(fds[0], SERVICE_GROUP_SET_POLICY, policy) ||
	    set_one(fds[0], SERVICE_GROUP_SET_STALL, 1 + random_below(&model->state, 100)))
		die("forming a group");
	for (unsigned int i = 0; i < model->workers; i++)
		prepare(&workers[i]);
	for (unsigned int i = 0; i < model->workers; i++)
		pthread_create(&threads[i], NULL, work, &workers[i]);
	for (int i = 0; i < CONNECTIONS; i++) {
		model->connections[i].host = 1 + random_below(&model->state, model->workers);
		add_connection(model, &model->connections[i]);
		usleep(1000 * random_below(&model->state, 60));
	}
	/* One worker alone would take as many of the longest turns as there are connections. */
	for (unsigned int i = 0; i < model->workers; i++)
		if (workers[i].turn > LAST_TURN)
			workers[i].turn = LAST_TURN;
	EXPECT_TRUE(wait_for(model->served == CONNECTIONS));
	for (unsigned int i = 0; i < model->workers; i++) {
		accepted += info_of(fds[i]).accepted;
		rescued += info_of(fds[i]).rescued_in;
	}
	model->over = true;
	for (unsigned int i = 0; i < model->workers; i++) {
		pthread_join(threads[i], NULL);
		end(&workers[i]);
	}
	EXPECT_EQ(0, late(model));
	EXPECT_EQ(0, restless(model));
	EXPECT_EQ(CONNECTIONS, accepted);
	for (int i = 0; i < CONNECTIONS; i++) {
		most += most_moves(model, &model->connections[i]);
		close(model->connections[i].client);
	}
	EXPECT_GE(most, rescued);
}

FIXTURE(model) { };
FAMILIES_AND_POLICIES(model);
FIXTURE_SETUP(model)
{
	enter_namespace();
	/* Each worker has an address of its own, which tells whose a connection is. */
	add_hosts(10, MOST_WORKERS);
}

FIXTURE_TEARDOWN(model) { }

TEST_F_TIMEOUT(model, nobody_is_served_later_than_without_a_group, 600)
{
	const char *seed = getenv("SG_SEED");
	unsigned int state = seed ? strtoul(seed, NULL, 0) : 1;
	const unsigned int counts[] = { 1, 2, 0, MOST_WORKERS };

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		static struct model model;

		model = (struct model) {
			.state = 1 + 97 * state + 10 * variant->family + variant->policy + 1000 * i,
			.family = variant->family, .lock = PTHREAD_MUTEX_INITIALIZER,
		};
		model.workers = counts[i] ?: 3 + random_below(&model.state, MOST_WORKERS / 2);
		model.empty = calloc(MOST_LOOKS, sizeof(*model.empty));
		run(_metadata, &model, variant->policy);
		free(model.empty);
	}
}

TEST_HARNESS_MAIN
