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
 * for is told again. Whoever else replaces them (ovpn does) keeps the module for
 * ever.
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
 * struct sg_face - what one socket tells
 * @node: in sg_faces, by @sk
 * @sk: the socket; not held
 * @asked: the address in whose place it tells @own; network byte order, an IPv4
 *	one has four bytes
 */
struct sg_face {
	struct hlist_node node;
	struct rcu_head rcu;
	const struct sock *sk;
	unsigned char asked[16];
	unsigned char own[16];
};

/* Looked at by getsockname() only. */
static DEFINE_HASHTABLE(sg_faces, 12);
static DEFINE_SPINLOCK(sg_faces_lock);

/* IPv4, IPv6. */
static struct proto_ops sg_face_ops[2];

static bool sg_face_ipv6(const struct sock *sk)
{
	return sk->sk_family == AF_INET6;
}

static struct sg_face *sg_face_find(const struct sock *sk)
{
	struct sg_face *face;

	hash_for_each_possible_rcu(sg_faces, face, node, (unsigned long)sk,
				   lockdep_is_held(&sg_faces_lock)) {
		if (face->sk == sk)
			return face;
	}
	return NULL;
}

static void sg_face_forget(const struct sock *sk)
{
	struct sg_face *face;

	spin_lock(&sg_faces_lock);
	face = sg_face_find(sk);
	if (face) {
		hash_del_rcu(&face->node);
		kfree_rcu(face, rcu);
	}
	spin_unlock(&sg_faces_lock);
}

static void sg_face_show(const struct sock *sk, struct sockaddr *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	const struct sg_face *face;

	rcu_read_lock();
	face = sg_face_find(sk);
	/* The socket may have been connected anew, and have another one. */
	if (face && address->sa_family == AF_INET6 &&
	    !memcmp(&in6->sin6_addr, face->asked, 16)) {
		memcpy(&in6->sin6_addr, face->own, 16);
		in6->sin6_scope_id = ipv6_iface_scope_id(&in6->sin6_addr,
							 sk->sk_bound_dev_if);
	} else if (face && address->sa_family == AF_INET &&
		   !memcmp(&in->sin_addr, face->asked, 4)) {
		memcpy(&in->sin_addr, face->own, 4);
	}
	rcu_read_unlock();
}

/*
 * Another thread may give up the operations, and with them the module, while
 * this one sleeps, and be it for ever: so each call holds the module. One that has
 * read the operations when they were given up, and the module was about to be
 * unloaded, is refused; for that one, and who has just left, unloading waits.
 */
static int sg_face_getname(struct socket *sock, struct sockaddr *address,
			   int peer)
{
	const struct sock *sk = sock->sk;
	int len;

	if (!try_module_get(THIS_MODULE))
		return -EAGAIN;
	len = sg_ops_of(sk)->getname(sock, address, peer);
	if (len >= 0 && !peer)
		sg_face_show(sk, address);
	module_put(THIS_MODULE);
	return len;
}

static int sg_face_release(struct socket *sock)
{
	struct sock *sk = sock->sk;

	/* accept() on a socket that does not listen gave up. */
	if (!sk)
		return 0;
	sg_face_forget(sk);
	return sg_ops_of(sk)->release(sock);
}

static int sg_face_setsockopt(struct socket *sock, int level, int name,
			      sockptr_t value, unsigned int len)
{
	struct sock *sk = sock->sk;
	const struct proto_ops *orig;
	int err;

	if (!try_module_get(THIS_MODULE))
		return -EAGAIN;
	orig = sg_ops_of(sk);
	if (sg_replaces_ops(level, name)) {
		sg_ops_give_back(sock, orig);
		sg_face_forget(sk);
	}
	err = orig->setsockopt(sock, level, name, value, len);
	module_put(THIS_MODULE);
	return err;
}

static void sg_face_fill(struct proto_ops *ops, const struct proto_ops *orig)
{
	*ops = *orig;
	ops->owner = THIS_MODULE;
	ops->getname = sg_face_getname;
	ops->release = sg_face_release;
	ops->setsockopt = sg_face_setsockopt;
}

void sg_faces_init(void)
{
	sg_face_fill(&sg_face_ops[0], &inet_stream_ops);
#if IS_ENABLED(CONFIG_IPV6)
	sg_face_fill(&sg_face_ops[1], &inet6_stream_ops);
#endif
}

#if IS_ENABLED(CONFIG_IPV6)
/* ::ffff:0.0.0.0, the wildcard of IPv4. */
static bool sg_face_mapped_any(const struct in6_addr *address)
{
	return ipv6_addr_v4mapped(address) && !address->s6_addr32[3];
}
#endif

/* Whether the listener has an address of its own, and it is another one. */
static bool sg_face_differs(const struct sock *listener, const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sg_face_ipv6(listener))
		return !ipv6_addr_any(&listener->sk_v6_rcv_saddr) &&
		       !sg_face_mapped_any(&listener->sk_v6_rcv_saddr) &&
		       !ipv6_addr_equal(&listener->sk_v6_rcv_saddr,
					&sk->sk_v6_rcv_saddr);
#endif
	return listener->sk_rcv_saddr &&
	       listener->sk_rcv_saddr != sk->sk_rcv_saddr;
}

struct sg_face *sg_face_new(void)
{
	return kzalloc(sizeof(struct sg_face), GFP_KERNEL_ACCOUNT);
}

void sg_face_free(struct sg_face *face)
{
	kfree(face);
}

_Bool sg_face_give(struct sg_face *face, const struct sock *listener,
		   struct socket *sock)
{
	bool ipv6 = sg_face_ipv6(listener);
	struct sock *sk = sock->sk;

	if (sk->sk_family != listener->sk_family ||
	    !sg_face_differs(listener, sk))
		return false;
	if (sock->ops != sg_ops_of(sk))
		return false;
	face->sk = sk;
#if IS_ENABLED(CONFIG_IPV6)
	if (ipv6) {
		memcpy(face->own, &listener->sk_v6_rcv_saddr, 16);
		memcpy(face->asked, &sk->sk_v6_rcv_saddr, 16);
	}
#endif
	if (!ipv6) {
		memcpy(face->own, &listener->sk_rcv_saddr, 4);
		memcpy(face->asked, &sk->sk_rcv_saddr, 4);
	}
	spin_lock(&sg_faces_lock);
	hash_add_rcu(sg_faces, &face->node, (unsigned long)sk);
	spin_unlock(&sg_faces_lock);

	__module_get(THIS_MODULE);
	WRITE_ONCE(sock->ops, &sg_face_ops[ipv6]);
	module_put(sg_ops_of(sk)->owner);
	return true;
}
