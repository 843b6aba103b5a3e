// SPDX-License-Identifier: GPL-2.0
/* Namespaces and addresses for tests. */

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "lib.h"

#define HOSTS 9

/* As in linux/ipv6.h, which cannot be included beside netinet/in.h. */
struct in6_ifreq {
	struct in6_addr addr;
	uint32_t prefix_length;
	int index;
};

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("writing %s", path);
	close(fd);
}

/* read_text - what a short file says, without the end of its line. */
void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	if (len < 0)
		die("reading %s", path);
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	close(fd);
}

/* -1 when there is no such file. */
long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long number = -1;

	if (file) {
		if (fscanf(file, "%ld", &number) != 1)
			number = -1;
		fclose(file);
	}
	return number;
}

/* seed_wanted - what a random test begins with: what @name says, or SG_SEED, or else this. */
unsigned int seed_wanted(const char *name, unsigned int otherwise)
{
	const char *seed = getenv(name);

	if (!seed || !*seed)
		seed = getenv("SG_SEED");
	return seed && *seed ? strtoul(seed, NULL, 0) : otherwise;
}

/* random_below - a small generator (xorshift), so that a seed tells the whole sequence. */
unsigned int random_below(unsigned int *state, unsigned int limit)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % limit;
}

void set_sysctl(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	write_file(path, value);
}

void bring_up(const char *device)
{
	struct ifreq request = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		die("bringing up %s", device);
	close(fd);
}

static bool can_bind(int host)
{
	struct address address = client_address(IPV6, host, 0);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool can = !bind(fd, &address.any, address.len);

	close(fd);
	return can;
}

/* add_hosts - of IPv6; those of IPv4 are there, all of 127.0.0.0/8. */
void add_hosts(int from, int to)
{
	struct in6_ifreq request = { .prefix_length = 128 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	request.index = if_nametoindex("lo");
	for (int host = from; host <= to; host++) {
		request.addr.s6_addr[15] = host;
		if (fd < 0 || ioctl(fd, SIOCSIFADDR, &request))
			die("adding ::%x", host);
	}
	close(fd);
	/* The kernel lets an address be used a moment later. */
	for (int host = from; host <= to; host++)
		if (!wait_for(can_bind(host)))
			die("waiting for ::%x", host);
}

void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET))
		die("entering a network namespace");
	bring_up("lo");
	/* ::1 is there. */
	add_hosts(2, HOSTS);
}

struct address client_address(enum family family, unsigned int host, uint16_t port)
{
	struct address address = { };

	if (family == IPV6) {
		address.len = sizeof(address.in6);
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons(port);
		address.in6.sin6_addr.s6_addr[15] = host;
	} else {
		address.len = sizeof(address.in);
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons(port);
		if (host)
			address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
	}
	return address;
}

struct address listener_address(enum family family, unsigned int host, uint16_t port)
{
	struct address plain = client_address(family, host, port);
	struct address mapped = client_address(IPV6, 0, port);

	if (family != MAPPED)
		return plain;
	/* The wildcard of a dual-stack listener is the one of IPv6. */
	if (host) {
		memset(&mapped.in6.sin6_addr.s6_addr[10], 0xff, 2);
		memcpy(&mapped.in6.sin6_addr.s6_addr[12], &plain.in.sin_addr, 4);
	}
	return mapped;
}

bool same_address(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
}
