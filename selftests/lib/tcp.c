// SPDX-License-Identifier: GPL-2.0
/* Listening sockets and connections for tests. */

#include <poll.h>
#include <linux/filter.h>

#include "lib.h"

int tcp_socket(enum family family)
{
	int fd = socket(family == IPV4 ? AF_INET : AF_INET6,
			SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		die("making a socket");
	/* So that an IPv6 wildcard does not serve IPv4 unless that is meant. */
	if (family != IPV4)
		set_option(fd, SOL_IPV6, IPV6_V6ONLY, family == IPV6);
	return fd;
}

void set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die("setting option %d of level %d", name, level);
}

int get_option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, level, name, &value, &len))
		die("reading option %d of level %d", name, level);
	return value;
}

uint64_t cookie_of(int fd)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len))
		die("reading a socket's cookie");
	return cookie;
}

int bind_to(int fd, const struct address *address)
{
	return bind(fd, &address->any, address->len) ? -errno : 0;
}

static int make_bound(enum family family, unsigned int host, uint16_t port, bool reuseport)
{
	struct address address = listener_address(family, host, port);
	int fd = tcp_socket(family);

	/* So that it may listen again while connections of before are there. */
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (reuseport)
		set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind_to(fd, &address))
		die("binding to host %u, port %u", host, port);
	return fd;
}

int bound(enum family family, unsigned int host, uint16_t port)
{
	return make_bound(family, host, port, false);
}

int reuseport_bound(enum family family, unsigned int host, uint16_t port)
{
	return make_bound(family, host, port, true);
}

int listener(enum family family, unsigned int host, uint16_t port, int backlog)
{
	int fd = bound(family, host, port);

	if (listen(fd, backlog))
		die("listening");
	return fd;
}

int reuseport_listener(enum family family, unsigned int host, uint16_t port, int backlog)
{
	int fd = reuseport_bound(family, host, port);

	if (listen(fd, backlog))
		die("listening");
	return fd;
}

struct address name_of(int fd)
{
	struct address address = { .len = sizeof(struct sockaddr_in6) };

	if (getsockname(fd, &address.any, &address.len))
		die("reading a socket's address");
	return address;
}

struct address peer_of(int fd)
{
	struct address address = { .len = sizeof(struct sockaddr_in6) };

	if (getpeername(fd, &address.any, &address.len))
		die("reading a peer's address");
	return address;
}

/* The port is at the same place in both families. */
uint16_t port_of(int fd)
{
	struct address address = name_of(fd);

	return ntohs(address.in.sin_port);
}

static struct tcp_info tcp_info_of(int fd)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("reading TCP_INFO");
	return info;
}

int state_of(int fd)
{
	return tcp_info_of(fd).tcpi_state;
}

unsigned int retransmissions_of(int fd)
{
	return tcp_info_of(fd).tcpi_total_retrans;
}

/* Of a listener TCP_INFO tells the accept queue's length in this field. */
unsigned int queue_length(int fd)
{
	return tcp_info_of(fd).tcpi_unacked;
}

static int client_socket(const struct address *to, int type)
{
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | type, IPPROTO_TCP);

	if (fd < 0)
		die("making a client's socket");
	return fd;
}

/* connect_to - a connection, or -errno (-EINPROGRESS when patience ran out). */
int connect_to(const struct address *to)
{
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	int fd = client_socket(to, 0);
	int error = 0;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!connect(fd, &to->any, to->len))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* start_connect - a client's socket that does not wait for the answer. */
int start_connect(const struct address *to)
{
	int fd = client_socket(to, SOCK_NONBLOCK);

	if (connect(fd, &to->any, to->len) && errno != EINPROGRESS)
		die("connecting");
	return fd;
}

/*
 * start_half_open - a client that does not see the SYN-ACK, as its filter
 * takes no packet; so the listener waits for the last packet of the handshake.
 */
int start_half_open(const struct address *to)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &none };
	int fd = client_socket(to, SOCK_NONBLOCK);

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
		die("attaching a filter");
	if (connect(fd, &to->any, to->len) && errno != EINPROGRESS)
		die("connecting");
	return fd;
}

/*
 * let_answers_through - lets it see the SYN-ACK, which is sent again, and each time after
 * twice as long: so of several clients all are to see it before one is waited for.
 */
void let_answers_through(int fd)
{
	set_option(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

/* connected - 0 when it has become so, or -errno. */
int connected(int fd)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	if (poll(&writable, 1, PATIENCE_SECONDS * 1000) != 1)
		return -ETIMEDOUT;
	return -get_option(fd, SOL_SOCKET, SO_ERROR);
}

/* finish_handshake - both. */
int finish_handshake(int fd)
{
	let_answers_through(fd);
	return connected(fd);
}

/* accept_now - the first connection of the queue, or -EAGAIN. */
int accept_now(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	int accepted;

	if (poll(&readable, 1, 0) != 1)
		return -EAGAIN;
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	return accepted < 0 ? -errno : accepted;
}

/* fill - that many connections, whose clients stay open until the test ends. */
void fill(const struct address *to, unsigned int count)
{
	while (count--) {
		int fd = connect_to(to);

		if (fd < 0) {
			errno = -fd;
			die("connecting");
		}
	}
}

void close_all(const int *fds, size_t count)
{
	while (count--)
		close(*fds++);
}
