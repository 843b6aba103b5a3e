/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of the selftests.
 *
 * A helper whose success is not the matter of any test ends the program with
 * a message when it fails (die()). A helper that does what is tested returns
 * the result, or -errno.
 */
#ifndef SELFTESTS_LIB_H
#define SELFTESTS_LIB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/service_group.h>
#include <linux/service_group_netlink.h>
#include <linux/tcp.h>

/* Of the kernel's TCP states the ones that tests look for. */
enum {
	STATE_ESTABLISHED = 1,
	STATE_SYN_SENT = 2,
	STATE_CLOSE = 7,
	STATE_LISTEN = 10,
};

#define die(format, ...) do {						\
	fprintf(stderr, "# %s:%d: " format ": %s\n", __FILE__, __LINE__, \
		##__VA_ARGS__, strerror(errno));			\
	_exit(1);							\
} while (0)

/* Long enough for any machine; a test that passes never waits for it. */
#define PATIENCE_SECONDS 90

static inline double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* wait_for - whether the condition became true before patience ran out. */
#define wait_for(condition) ({						\
	double __deadline = seconds() + PATIENCE_SECONDS;		\
	bool __met;							\
	while (!(__met = (condition)) && seconds() < __deadline)	\
		usleep(2000);						\
	__met;								\
})

/* --- module.c: the module, and processes. */

int load_module(void);
int unload_module(void);
void end_with(pid_t parent);
void run_on(int processor);
void run_anywhere(void);
char thread_state(pid_t thread);

/* A user without privileges. */
#define NOBODY 65534
void become(uid_t user);

/* --- net.c: namespaces and addresses. */

/* What listens, and so what a client's packets are. */
enum family {
	IPV4,	/* AF_INET */
	IPV6,	/* AF_INET6, IPv6 packets */
	MAPPED,	/* AF_INET6, IPv4 packets */
};

struct address {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

/* Hosts 1 to 9 exist in each namespace; 0 is the wildcard. */
void enter_namespace(void);
void add_hosts(int from, int to);
void bring_up(const char *device);
void write_file(const char *path, const char *text);
void read_text(const char *path, char *text, size_t size);
long read_number(const char *path);
unsigned int seed_wanted(const char *name, unsigned int otherwise);
unsigned int random_below(unsigned int *state, unsigned int limit);
void set_sysctl(const char *name, const char *value);
struct address listener_address(enum family family, unsigned int host, uint16_t port);
struct address client_address(enum family family, unsigned int host, uint16_t port);
bool same_address(const struct address *a, const struct address *b);

/* --- tcp.c: sockets and connections. */

int tcp_socket(enum family family);
void set_option(int fd, int level, int name, int value);
int get_option(int fd, int level, int name);
uint64_t cookie_of(int fd);
int bind_to(int fd, const struct address *address);
int bound(enum family family, unsigned int host, uint16_t port);
int reuseport_bound(enum family family, unsigned int host, uint16_t port);
int listener(enum family family, unsigned int host, uint16_t port, int backlog);
int reuseport_listener(enum family family, unsigned int host, uint16_t port, int backlog);
uint16_t port_of(int fd);
struct address name_of(int fd);
struct address peer_of(int fd);
int state_of(int fd);
unsigned int retransmissions_of(int fd);
int connect_to(const struct address *to);
int start_connect(const struct address *to);
int start_half_open(const struct address *to);
void let_answers_through(int fd);
int connected(int fd);
int finish_handshake(int fd);
int accept_now(int fd);
unsigned int queue_length(int fd);
void fill(const struct address *to, unsigned int count);
void close_all(const int *fds, size_t count);

/* --- group.c: the socket option. */

struct request {
	struct service_group_request header;
	struct service_group_entry entries[SERVICE_GROUP_MAX_MEMBERS + 1];
};

void describe(struct request *request, const int *fds, size_t count, uint16_t port);
void describe_address(struct request *request, size_t index, const struct address *address);
socklen_t request_length(const struct request *request);
int send_request(int fd, const struct request *request);
int form(const int *fds, size_t count);
int form_bound(const int *fds, size_t count, uint16_t port);
int ask_to_bind(const int *fds, size_t count, uint16_t port);
int join(int fd, uint32_t id);
int leave(int fd, uint32_t flags);
int set_settings(int fd, const struct service_group_settings *settings);
int set_one(int fd, uint32_t which, uint32_t value);
int get_settings(int fd, struct service_group_settings *settings);
int get_info(int fd, struct service_group_info *info);
struct service_group_info info_of(int fd);
uint32_t group_of(int fd);
bool is_stalled(int fd);
bool has_ulp(int fd, const char *name);
bool unchanged(int fd);
int refusal(const int good[2], int bad, const struct address *address, uint16_t port);
void listen_on_hosts(enum family family, int *fds, size_t count, uint16_t port, int backlog);
void group_on_hosts(enum family family, int *fds, size_t count, uint16_t port, int backlog);

/* --- netlink.c: the read-out. */

#define COUNTERS (SERVICE_GROUP_A_COUNTERS_MAX + 1)

struct stats {
	uint32_t groups;
	uint32_t members;
	uint64_t refused_limit;
	uint64_t refused_permission;
	uint64_t refused_other;
};

int netlink_open(void);
int netlink_family(int fd);
int netlink_subscribe(void);
int netlink_dump_all(int fd, int family, int command);
int netlink_ask(int fd, int family, int command, uint32_t id);
int diag_dump_all(int fd, int family);
int destroy(int fd);
int read_stats(struct stats *stats);
struct stats stats_now(void);
int group_counters(uint32_t id, uint64_t counters[COUNTERS]);
int member_counters(int member, uint64_t counters[COUNTERS]);
uint64_t group_counter(uint32_t id, int counter);
uint64_t member_counter(int member, int counter);

/* --- decision.c */

int moves_of(const struct address *local, const struct address *peer);

/* --- handshake.c: a handshake whose packets are sent by hand. */

struct handshake {
	int client;	/* has the port, and sees no packet */
	int raw;
	struct address from;
	struct address to;
	uint32_t sequence;	/* of the ACK to send */
	uint32_t acknowledge;
};

void start_handshake(struct handshake *handshake, enum family family, const struct address *to);
void send_last_ack(const struct handshake *handshake);

/* --- cgroup.c: a cgroup with a program that sees packets and lets them pass. */

#define CGROUP_PROGRAMS 3

extern const int cgroup_programs[CGROUP_PROGRAMS];

int enter_cgroup(char *path, size_t size);
void leave_cgroup(void);
int attach_program(int cgroup, int kind);
int cut_options(int cgroup, unsigned int len);
int count_memory(void);
void detach_program(int cgroup, int kind);

/* --- checks.c: what a listener checks that others do not. */

int set_ao(int fd, enum family family);
int set_ipsec(int fd, enum family family);

/* --- hold.c: the module's delay points. */

bool can_hold(void);
void hold(const char *at, const char *until);
void pass_hold(const char *name);
void forget_holds(void);
bool hold_is(const char *at, const char *state);

/* --- page.c: a page that never comes. */

/* So many bytes in front of it are there. */
#define PAGE_HEAD 4

struct page {
	char *edge;
	int *asked;
	pid_t server;
};

void become_unprivileged(bool own_network);
struct page make_page(void);
bool page_was_asked_for(const struct page *page);
void give_page_up(const struct page *page);

/* A thread that has a socket locked until the page comes. */
struct locker {
	const struct page *page;
	int fd;
	/* Not before the socket is on its way into a group. */
	bool late;
	pthread_t thread;
};

void start_locker(struct locker *locker);

#endif
