// SPDX-License-Identifier: GPL-2.0
/*
 * The address that a program is shown of a connection.
 *
 * A connection that came for one address may be accepted from a listener that is
 * bound to another. Its packets stay as they are: it is the socket's
 * getsockname() that tells the listener's address. So nothing depends on
 * checksums, offloads, fragments, ICMP errors or on who else looks at packets,
 * and no packet costs more.
 *
 * The socket gets a copy of its proto_ops, one for each family; what it is to
 * tell is found by the struct sock. Options that replace the operations, of kTLS
 * and IPV6_ADDRFORM, find those of the protocol, and the address that was asked
 * for is told again; so does listen().
 *
 * An entry has one reference to the module, and ends with the operations, or with
 * the sock: another module (ovpn does) may replace the operations, and close the
 * socket with its own. So the sock has a destructor of this module, too. A child
 * would copy that without an entry, so no socket listens with it; what replaces
 * the operations does not let the socket disconnect.
 */
#include <linux/hashtable.h>
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <net/inet_common.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "internal.h"

/**
 * struct svcg_sockname - what one socket tells
 * @node: in svcg_socknames, by @sk
 * @sk: the socket; not held
 * @destruct: what @sk had for its end before
 * @asked: the address in whose place it tells @own; network byte order, an IPv4
 *	one has four bytes
 */
struct svcg_sockname {
	struct hlist_node node;
	struct rcu_head rcu;
	const struct sock *sk;
	void (*destruct)(struct sock *sk);
	unsigned char asked[16];
	unsigned char own[16];
};

/* Read by getsockname() only. A sock may end in any context. */
static DEFINE_HASHTABLE(svcg_socknames, 12);
static DEFINE_SPINLOCK(svcg_socknames_lock);

/* IPv4, IPv6. */
static struct proto_ops svcg_sockname_ops[2];

static bool svcg_sockname_ipv6(const struct sock *sk)
{
	return sk->sk_family == AF_INET6;
}

static struct svcg_sockname *svcg_sockname_find(const struct sock *sk)
{
	struct svcg_sockname *sockname;

	hash_for_each_possible_rcu(svcg_socknames, sockname, node,
				   (unsigned long)sk,
				   lockdep_is_held(&svcg_socknames_lock)) {
		if (sockname->sk == sk)
			return sockname;
	}
	return NULL;
}

/* The sock ends, and was not closed by the module's operations. */
static void svcg_sockname_destruct(struct sock *sk)
{
	struct svcg_sockname *sockname;
	unsigned long flags;

	spin_lock_irqsave(&svcg_socknames_lock, flags);
	sockname = svcg_sockname_find(sk);
	if (sockname)
		hash_del_rcu(&sockname->node);
	spin_unlock_irqrestore(&svcg_socknames_lock, flags);
	if (WARN_ON_ONCE(!sockname))
		return;
	sockname->destruct(sk);
	kfree_rcu(sockname, rcu);
	module_put(THIS_MODULE);
}

/*
 * The socket has given up the operations, or is about to, and puts their reference
 * to the module. If another destructor is to call this module's, the entry stays, with
 * a reference of its own. The socket is held open.
 */
static void svcg_sockname_forget(struct sock *sk)
{
	struct svcg_sockname *sockname;
	unsigned long flags;

	spin_lock_irqsave(&svcg_socknames_lock, flags);
	sockname = svcg_sockname_find(sk);
	if (!sockname) {
		/* Another thread was first. */
	} else if (cmpxchg(&sk->sk_destruct, svcg_sockname_destruct,
			   sockname->destruct) == svcg_sockname_destruct) {
		hash_del_rcu(&sockname->node);
		kfree_rcu(sockname, rcu);
	} else {
		__module_get(THIS_MODULE);
	}
	spin_unlock_irqrestore(&svcg_socknames_lock, flags);
}

static void svcg_sockname_show(const struct sock *sk, struct sockaddr *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	const struct svcg_sockname *sockname;

	rcu_read_lock();
	sockname = svcg_sockname_find(sk);
	/* The socket may have been connected anew, and have another one. */
	if (sockname && address->sa_family == AF_INET6 &&
	    !memcmp(&in6->sin6_addr, sockname->asked, 16)) {
		memcpy(&in6->sin6_addr, sockname->own, 16);
		in6->sin6_scope_id = ipv6_iface_scope_id(&in6->sin6_addr,
							 sk->sk_bound_dev_if);
	} else if (sockname && address->sa_family == AF_INET &&
		   !memcmp(&in->sin_addr, sockname->asked, 4)) {
		memcpy(&in->sin_addr, sockname->own, 4);
	}
	rcu_read_unlock();
}

/*
 * Another thread may give up the operations, and with them the module, while
 * this one sleeps, and be it for ever: so each call holds the module. One that has
 * read the operations when they were given up, and the module was about to be
 * unloaded, is refused; for that one, and who has just left, unloading waits.
 */
static int svcg_sockname_getname(struct socket *sock, struct sockaddr *address,
				 int peer)
{
	const struct sock *sk = sock->sk;
	int len;

	if (!try_module_get(THIS_MODULE))
		return -EAGAIN;
	len = svcg_orig_proto_ops(sk)->getname(sock, address, peer);
	if (len >= 0 && !peer)
		svcg_sockname_show(sk, address);
	module_put(THIS_MODULE);
	return len;
}

static int svcg_sockname_release(struct socket *sock)
{
	struct sock *sk = sock->sk;

	/* accept() on a socket that does not listen gave up. */
	if (!sk)
		return 0;
	svcg_sockname_forget(sk);
	return svcg_orig_proto_ops(sk)->release(sock);
}

/* The caller has another reference to the module. */
static void svcg_sockname_give_up(struct socket *sock)
{
	struct sock *sk = sock->sk;

	/* Whoever has replaced them meanwhile may give them back. */
	if (svcg_proto_ops_give_back(sock, svcg_orig_proto_ops(sk)))
		svcg_sockname_forget(sk);
}

static int svcg_sockname_listen(struct socket *sock, int backlog)
{
	int err;

	if (!try_module_get(THIS_MODULE))
		return -EAGAIN;
	svcg_sockname_give_up(sock);
	err = svcg_orig_proto_ops(sock->sk)->listen(sock, backlog);
	module_put(THIS_MODULE);
	return err;
}

static int svcg_sockname_setsockopt(struct socket *sock, int level, int name,
				    sockptr_t value, unsigned int len)
{
	const struct proto_ops *orig;
	int err;

	if (!try_module_get(THIS_MODULE))
		return -EAGAIN;
	orig = svcg_orig_proto_ops(sock->sk);
	if (svcg_replaces_proto_ops(level, name))
		svcg_sockname_give_up(sock);
	err = orig->setsockopt(sock, level, name, value, len);
	module_put(THIS_MODULE);
	return err;
}

static void svcg_sockname_fill(struct proto_ops *ops,
			       const struct proto_ops *orig)
{
	*ops = *orig;
	ops->owner = THIS_MODULE;
	ops->getname = svcg_sockname_getname;
	ops->listen = svcg_sockname_listen;
	ops->release = svcg_sockname_release;
	ops->setsockopt = svcg_sockname_setsockopt;
}

void svcg_socknames_init(void)
{
	svcg_sockname_fill(&svcg_sockname_ops[0], &inet_stream_ops);
#if IS_ENABLED(CONFIG_IPV6)
	svcg_sockname_fill(&svcg_sockname_ops[1], &inet6_stream_ops);
#endif
}

#if IS_ENABLED(CONFIG_IPV6)
/* ::ffff:0.0.0.0, the wildcard of IPv4. */
static bool svcg_sockname_mapped_any(const struct in6_addr *address)
{
	return ipv6_addr_v4mapped(address) && !address->s6_addr32[3];
}
#endif

/* Whether the listener has an address of its own, and it is another one. */
static bool svcg_sockname_differs(const struct sock *listener,
				  const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (svcg_sockname_ipv6(listener))
		return !ipv6_addr_any(&listener->sk_v6_rcv_saddr) &&
		       !svcg_sockname_mapped_any(&listener->sk_v6_rcv_saddr) &&
		       !ipv6_addr_equal(&listener->sk_v6_rcv_saddr,
					&sk->sk_v6_rcv_saddr);
#endif
	return listener->sk_rcv_saddr &&
	       listener->sk_rcv_saddr != sk->sk_rcv_saddr;
}

struct svcg_sockname *svcg_sockname_new(void)
{
	return kzalloc(sizeof(struct svcg_sockname), GFP_KERNEL_ACCOUNT);
}

void svcg_sockname_free(struct svcg_sockname *sockname)
{
	kfree(sockname);
}

_Bool svcg_sockname_give(struct svcg_sockname *sockname,
			 const struct sock *listener, struct socket *sock)
{
	bool ipv6 = svcg_sockname_ipv6(listener);
	struct sock *sk = sock->sk;
	unsigned long flags;

	if (sk->sk_family != listener->sk_family ||
	    !svcg_sockname_differs(listener, sk))
		return false;
	if (sock->ops != svcg_orig_proto_ops(sk))
		return false;
	sockname->sk = sk;
	sockname->destruct = sk->sk_destruct;
#if IS_ENABLED(CONFIG_IPV6)
	if (ipv6) {
		memcpy(sockname->own, &listener->sk_v6_rcv_saddr, 16);
		memcpy(sockname->asked, &sk->sk_v6_rcv_saddr, 16);
	}
#endif
	if (!ipv6) {
		memcpy(sockname->own, &listener->sk_rcv_saddr, 4);
		memcpy(sockname->asked, &sk->sk_rcv_saddr, 4);
	}
	spin_lock_irqsave(&svcg_socknames_lock, flags);
	hash_add_rcu(svcg_socknames, &sockname->node, (unsigned long)sk);
	spin_unlock_irqrestore(&svcg_socknames_lock, flags);

	WRITE_ONCE(sk->sk_destruct, svcg_sockname_destruct);
	__module_get(THIS_MODULE);
	WRITE_ONCE(sock->ops, &svcg_sockname_ops[ipv6]);
	module_put(svcg_orig_proto_ops(sk)->owner);
	return true;
}
