// SPDX-License-Identifier: GPL-2.0
/*
 * The socket options, and what they do to sockets: find them by descriptor,
 * bind them, and undo that.
 *
 * An IPv6 TCP socket passes SOL_IP options on to ip_setsockopt(), so the
 * registration for PF_INET serves both families.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/netfilter.h>
#include <linux/sockptr.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "callbacks/group.h"
#include "core/core.h"
#include "core/hold.h"
#include "socket.h"

/* What bind() sets in sk_userlocks. */
#define SVCG_BIND_LOCKS (SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK)

static int svcg_nf_set(struct sock *sk, int name, sockptr_t option,
		       unsigned int len)
{
	return svcg_option_set(sk, name, &option, len);
}

static int svcg_nf_get(struct sock *sk, int name, void __user *to, int *len)
{
	return svcg_option_get(sk, name, (__force void *)to, len);
}

static struct nf_sockopt_ops svcg_sockopt = {
	.pf		= PF_INET,
	.set_optmin	= SO_SERVICE_GROUP,
	.set_optmax	= SO_SERVICE_GROUP_SETTINGS + 1,
	.set		= svcg_nf_set,
	.get_optmin	= SO_SERVICE_GROUP,
	.get_optmax	= SO_SERVICE_GROUP_SETTINGS + 1,
	.get		= svcg_nf_get,
	.owner		= THIS_MODULE,
};

int svcg_option_register(void)
{
	svcg_caller_init();
	return nf_register_sockopt(&svcg_sockopt);
}

void svcg_option_unregister(void)
{
	nf_unregister_sockopt(&svcg_sockopt);
}

int svcg_option_copy_from(void *to, const void *from, unsigned int len)
{
	const sockptr_t *option = from;

	return copy_from_sockptr(to, *option, len) ? -EFAULT : 0;
}

int svcg_option_copy_to(void *to, const void *from, unsigned int len)
{
	return copy_to_user((__force void __user *)to, from, len) ? -EFAULT : 0;
}

struct socket *svcg_socket_from_fd(int fd)
{
	int err = 0;
	struct socket *sock = sockfd_lookup(fd, &err);

	return sock ?: ERR_PTR(err);
}

void svcg_socket_put(struct socket *sock)
{
	sockfd_put(sock);
}

struct sock *svcg_socket_sock(const struct socket *sock)
{
	return sock->sk;
}

unsigned short svcg_sock_family(const struct sock *sk)
{
	return READ_ONCE(sk->sk_family);
}

static int svcg_bind(struct socket *sock, const struct svcg_address *address)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(address->port),
		.sin6_scope_id = address->scope_id,
	};
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(address->port),
	};

	/* Neither of them asks a security module: permissions are checked before. */
	if (address->family == AF_INET6) {
		memcpy(&in6.sin6_addr, address->address, 16);
		return kernel_bind(sock, (struct sockaddr_unsized *)&in6,
				   sizeof(in6));
	}
	memcpy(&in.sin_addr, address->address, 4);
	return kernel_bind(sock, (struct sockaddr_unsized *)&in, sizeof(in));
}

/*
 * kernel_bind() takes the lock itself, and waits for as long as it takes: that of
 * one which its owner has locked since it was ours. Only the caller waits then; no
 * lock is held meanwhile, but the files of all sockets of the call are, so that a
 * close() of them has no effect before it returns.
 */
int svcg_socket_bind(struct socket *sock, const struct svcg_address *address,
		     _Bool reuseport, unsigned long long until,
		     struct svcg_saved_bind *before)
{
	struct sock *sk = sock->sk;
	int err;

	svcg_point("bind");
	if (!svcg_sock_lock_until(sk, until))
		return -EBUSY;
	before->device = sk->sk_bound_dev_if;
	before->userlocks = sk->sk_userlocks;
	before->reuseport = sk->sk_reuseport;
	before->ipv6only = sk->sk_ipv6only;
	if (reuseport)
		sk->sk_reuseport = 1;
	release_sock(sk);

	err = svcg_bind(sock, address);
	/* It may have waited for long. */
	if (err && svcg_sock_lock_until(sk, ktime_get_ns() + NSEC_PER_SEC)) {
		sk->sk_reuseport = before->reuseport;
		sk->sk_bound_dev_if = before->device;
		release_sock(sk);
	}
	return err;
}

void svcg_socket_unbind(struct socket *sock,
			const struct svcg_saved_bind *before,
			unsigned long long until)
{
	struct sock *sk = sock->sk;

	if (!svcg_sock_lock_until(sk, until))
		return;
	if (sk->sk_state == TCP_CLOSE && inet_sk(sk)->inet_num &&
	    sk->sk_prot->put_port) {
		/* The port first: its bucket is found by the address. */
		sk->sk_prot->put_port(sk);
		inet_reset_saddr(sk);
		inet_sk(sk)->inet_sport = 0;
		sk->sk_userlocks &= ~SVCG_BIND_LOCKS;
		sk->sk_userlocks |= before->userlocks & SVCG_BIND_LOCKS;
		sk->sk_reuseport = before->reuseport;
		sk->sk_ipv6only = before->ipv6only;
		sk->sk_bound_dev_if = before->device;
	}
	release_sock(sk);
}
