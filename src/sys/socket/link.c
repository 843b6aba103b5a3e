// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that are links: taken over by their descriptors, with a kernel thread
 * each.
 *
 * Whoever gave the socket may still have a descriptor of it, and may hold its
 * lock for as long as he likes. So what takes that lock (receiving, sending,
 * shutting down) is for the link's thread alone, for whom nobody waits: a thread
 * holds a reference to the module, which goes in code of the kernel when the
 * thread ends.
 */
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <net/tls_prot.h>

#include "callbacks/links.h"
#include "socket.h"

/**
 * struct svcg_link - a socket that the module has taken over
 * @sock: the socket, with a reference to its file
 * @secure: whether it was given with kTLS in both directions
 * @kicked: bit 0: its thread is to look what there is to do
 * @was_ready: whether the last wait ended as something was there to be received
 * @is_hollow: whether nothing came of that; both are the thread's own
 */
struct svcg_link {
	struct socket *sock;
	_Bool secure;
	unsigned long kicked;
	_Bool was_ready;
	_Bool is_hollow;
};

/*
 * Whether records are encrypted and decrypted by the kernel. The upper layer
 * protocol of a connected socket stays until its end, and so do the two settings.
 */
static bool svcg_has_ktls(const struct sock *sk)
{
	const struct tcp_ulp_ops *ops = READ_ONCE(inet_csk(sk)->icsk_ulp_ops);
	const struct tls_context *ctx;

	if (!ops || strcmp(ops->name, "tls"))
		return false;
	ctx = tls_get_ctx(sk);
	return ctx && ctx->tx_conf != TLS_BASE && ctx->rx_conf != TLS_BASE;
}

static int svcg_link_check(const struct net *net, const struct sock *sk)
{
	if (svcg_sock_kind(sk) != SVCG_KIND_TCP)
		return -EPROTONOSUPPORT;
	if (!net_eq(sock_net(sk), net))
		return -EXDEV;
	return inet_sk_state_load(sk) == TCP_ESTABLISHED ? 0 : -ENOTCONN;
}

int svcg_link_take(const struct net *net, int fd, struct svcg_link **taken)
{
	struct svcg_link *link;
	struct socket *sock;
	int err;

	sock = sockfd_lookup(fd, &err);
	if (!sock)
		return err;
	err = svcg_link_check(net, sock->sk);
	if (err)
		goto put;
	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link) {
		err = -ENOMEM;
		goto put;
	}
	link->sock = sock;
	link->secure = svcg_has_ktls(sock->sk);
	*taken = link;
	return 0;

put:
	sockfd_put(sock);
	return err;
}

/*
 * Whoever gave the socket may have it linger when it is closed, for as long as he
 * likes. The link's thread waits for that itself: what an fput() of a kernel thread
 * leaves to be closed is closed by one work item of the whole machine, and files of
 * others would wait behind this one.
 */
void svcg_link_put(struct svcg_link *link)
{
	struct file *file = link->sock->file;

	kfree(link);
	if (current->flags & PF_KTHREAD)
		__fput_sync(file);
	else
		fput(file);
}

_Bool svcg_link_is_same(const struct svcg_link *one,
			const struct svcg_link *other)
{
	return one->sock == other->sock;
}

_Bool svcg_link_is_secure(const struct svcg_link *link)
{
	return link->secure;
}

struct net *svcg_link_net(const struct svcg_link *link)
{
	return sock_net(link->sock->sk);
}

void svcg_link_flow(const struct svcg_link *link, struct svcg_flow *flow)
{
	svcg_flow_of_socket(link->sock->sk, flow);
}

/*
 * The kernel's own namespace is never left: its references are not counted. Else
 * each socket that a program made has one.
 */
_Bool svcg_link_is_abandoned(const struct svcg_link *link, unsigned int links)
{
	struct net *net = svcg_link_net(link);

	return !net_eq(net, &init_net) && ns_ref_read(net) <= links;
}

/* ---- the thread ---- */

static int svcg_link_thread(void *data)
{
	svcg_link_run(data);
	module_put_and_kthread_exit(0);
	return 0;
}

int svcg_link_start(void *data, unsigned int peer)
{
	struct task_struct *task;

	/* A module that cannot be loaded to the end waits for nobody. */
	if (READ_ONCE(THIS_MODULE->state) != MODULE_STATE_LIVE ||
	    !try_module_get(THIS_MODULE))
		return -ENOENT;
	task = kthread_create(svcg_link_thread, data, "svcg-link/%u", peer);
	if (IS_ERR(task)) {
		module_put(THIS_MODULE);
		return PTR_ERR(task);
	}
	wake_up_process(task);
	return 0;
}

void svcg_link_kick(struct svcg_link *link)
{
	set_bit(0, &link->kicked);
	wake_up_interruptible_all(sk_sleep(link->sock->sk));
}

/* What is behind an error is noticed by receiving, and need not wake. */
#define SVCG_LINK_READY	(EPOLLIN | EPOLLRDHUP | EPOLLHUP)

static _Bool svcg_link_is_ready(const struct svcg_link *link)
{
	struct socket *sock = link->sock;
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	return ops->poll(sock->file, sock, NULL) & SVCG_LINK_READY;
}

void svcg_link_wait(struct svcg_link *link, unsigned long long ns)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	wait_queue_head_t *queue = sk_sleep(link->sock->sk);

	add_wait_queue(queue, &wait);
	/* Who has a descriptor can have it look ready for ever. */
	link->was_ready = !link->is_hollow && svcg_link_is_ready(link);
	if (!link->was_ready && !test_bit(0, &link->kicked))
		wait_woken(&wait, TASK_INTERRUPTIBLE,
			   nsecs_to_jiffies(ns) + 1);
	remove_wait_queue(queue, &wait);
	clear_bit(0, &link->kicked);
	/* Pairs with what was changed before the kick. */
	smp_mb__after_atomic();
}

void svcg_link_begin(struct svcg_link *link)
{
	tcp_sock_set_nodelay(link->sock->sk);
}

/* Of which type the record was: data is all that a link has. */
static int svcg_link_record(const struct svcg_link *link,
			    const struct msghdr *msg, struct cmsghdr *cmsg,
			    const unsigned char *to, int len)
{
	if (!link->secure || msg->msg_control == cmsg ||
	    cmsg->cmsg_level != SOL_TLS ||
	    cmsg->cmsg_type != TLS_GET_RECORD_TYPE)
		return len;
	switch (*(unsigned char *)CMSG_DATA(cmsg)) {
	case TLS_RECORD_TYPE_DATA:
		return len;
	case TLS_RECORD_TYPE_ALERT:
		if (len >= 2 && to[1] == TLS_ALERT_DESC_CLOSE_NOTIFY)
			return 0;
		fallthrough;
	default:
		return -EBADMSG;
	}
}

int svcg_link_receive(struct svcg_link *link, void *to, unsigned int len)
{
	union {
		struct cmsghdr cmsg;
		unsigned char room[CMSG_SPACE(sizeof(unsigned char))];
	} control = {};
	struct msghdr msg = {
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct kvec vec = { .iov_base = to, .iov_len = len };
	int got;

	got = kernel_recvmsg(link->sock, &msg, &vec, 1, len, MSG_DONTWAIT);
	link->is_hollow = got == -EAGAIN && link->was_ready;
	if (got <= 0)
		return got;
	return svcg_link_record(link, &msg, &control.cmsg, to, got);
}

int svcg_link_send(struct svcg_link *link, const void *from, unsigned int len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec = { .iov_base = (void *)from, .iov_len = len };

	return kernel_sendmsg(link->sock, &msg, &vec, 1, len);
}

void svcg_link_shut(struct svcg_link *link)
{
	kernel_sock_shutdown(link->sock, SHUT_RDWR);
}
