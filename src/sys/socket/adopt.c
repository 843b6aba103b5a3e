// SPDX-License-Identifier: GPL-2.0
/*
 * Sees sockets that begin to listen, while any group adopts.
 *
 * The tracepoint inet_sock_set_state is passed in listen(), under the socket's
 * lock and before packets find it: a probe there may prepare the socket, and what
 * follows is left to the calling task, which does it before it returns to its
 * program, with no lock held. Nothing is looked for again and again, and without an
 * adopting group nothing is called at all. While there is one, each change of state
 * of a TCP socket of the machine calls the probe, which looks at the state first.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include <net/tcp.h>
#include <trace/events/sock.h>

#include "callbacks/group.h"
#include "core/core.h"
#include "core/hold.h"
#include "socket.h"

/*
 * The probe stays for so long when no group adopts any more: to put it in, and
 * to take it out, is work for all processors, and any group may ask for it.
 */
#define SVCG_LISTEN_LINGER (10 * HZ)

/* NULL where the kernel has none. */
static struct tracepoint *svcg_listen_point;

/* Protects the registration. */
static DEFINE_MUTEX(svcg_listen_mutex);
static bool svcg_listen_registered;
/* How many groups adopt; goes up under the mutex. */
static atomic_t svcg_listen_users;
/* Protects @svcg_listen_over. */
static DEFINE_SPINLOCK(svcg_listen_lock);
/* The module goes: nothing is queued any more. */
static bool svcg_listen_over;

/**
 * struct svcg_adoption - what the task does that has called listen()
 * @head: the task's work
 * @sk: the socket, with a reference
 * @group: the Rust side's
 */
struct svcg_adoption {
	struct callback_head head;
	struct sock *sk;
	void *group;
};

/*
 * The socket with a reference to its file, as a descriptor has it, so that nobody
 * closes it; NULL if the last one has gone. Any context.
 *
 * A sock that is closed forgets its struct socket before that is freed, which takes
 * a grace period. The file may be freed at once, and another one be in its place:
 * get_file_active() looks again whether it is this socket's.
 */
static struct socket *svcg_socket_get(const struct sock *sk)
{
	struct socket *sock;

	guard(rcu)();
	sock = READ_ONCE(sk->sk_socket);
	return sock && get_file_active(&sock->file) ? sock : NULL;
}

static void svcg_adoption_due(struct callback_head *head)
{
	struct svcg_adoption *adoption;
	struct socket *sock;

	adoption = container_of(head, struct svcg_adoption, head);
	svcg_point("adopt");
	sock = svcg_socket_get(adoption->sk);
	svcg_point("adopting");
	svcg_listen_begun(sock, adoption->group);
	svcg_point("adopted");
	sock_put(adoption->sk);
	kfree(adoption);
	/* svcg_ulp_unregister() waits until this task has left the module. */
	module_put(THIS_MODULE);
}

int svcg_adopt_later(struct sock *sk, void *group)
{
	struct svcg_adoption *adoption;
	int err;

	adoption = kmalloc(sizeof(*adoption), GFP_KERNEL_ACCOUNT);
	if (!adoption)
		return -ENOMEM;
	init_task_work(&adoption->head, svcg_adoption_due);
	adoption->sk = sk;
	adoption->group = group;
	sock_hold(sk);
	__module_get(THIS_MODULE);
	err = task_work_add(current, &adoption->head, TWA_RESUME);
	if (err) {
		/* The task ends, and takes its sockets with it. */
		module_put(THIS_MODULE);
		sock_put(sk);
		kfree(adoption);
	}
	return err;
}

/*
 * Socket lock; process context. The reader of the tracepoint's SRCU may sleep. Who
 * has called listen() for a descriptor holds its file meanwhile.
 */
static void svcg_state_changes(void *data, const struct sock *sk,
			       const int oldstate, const int newstate)
{
	/* All else that a socket does is passed by. */
	if (newstate != TCP_LISTEN || oldstate != TCP_CLOSE)
		return;
	/* It has no program to return to. */
	if (current->flags & PF_KTHREAD)
		return;
	/* Nor have those of the kernel's servers, of SMC and MPTCP. */
	if (svcg_sock_kind(sk) != SVCG_KIND_TCP)
		return;
	/* The module may be about to go, which waits for this one. */
	if (!try_module_get(THIS_MODULE))
		return;
	svcg_listen_begins((struct sock *)sk);
	module_put(THIS_MODULE);
}

/* Mutex held. */
static void svcg_listen_unregister(void)
{
	if (!svcg_listen_registered)
		return;
	tracepoint_probe_unregister(svcg_listen_point, svcg_state_changes,
				    NULL);
	svcg_listen_registered = false;
}

static void svcg_listen_unused(struct work_struct *work)
{
	guard(mutex)(&svcg_listen_mutex);
	if (!atomic_read(&svcg_listen_users))
		svcg_listen_unregister();
}

static DECLARE_DELAYED_WORK(svcg_listen_work, svcg_listen_unused);

int svcg_listen_watch(void)
{
	int err = 0;

	if (!svcg_listen_point)
		return -EOPNOTSUPP;
	guard(mutex)(&svcg_listen_mutex);
	if (!svcg_listen_registered)
		err = tracepoint_probe_register(svcg_listen_point,
						svcg_state_changes, NULL);
	if (err)
		return err;
	svcg_listen_registered = true;
	atomic_inc(&svcg_listen_users);
	return 0;
}

void svcg_listen_unwatch(void)
{
	if (!atomic_dec_and_test(&svcg_listen_users))
		return;
	guard(spinlock_irqsave)(&svcg_listen_lock);
	/* Whoever is the last when the module goes, the probe has gone before. */
	if (!svcg_listen_over)
		mod_delayed_work(svcg_workqueue(), &svcg_listen_work,
				 SVCG_LISTEN_LINGER);
}

static void svcg_listen_is_it(struct tracepoint *point, void *data)
{
	if (!strcmp(point->name, "inet_sock_set_state"))
		svcg_listen_point = point;
}

void svcg_listen_init(void)
{
	/* The probe is registered by name, which checks nothing. */
	check_trace_callback_type_inet_sock_set_state(svcg_state_changes);
	for_each_kernel_tracepoint(svcg_listen_is_it, NULL);
	if (!svcg_listen_point)
		pr_warn("service_group: no tracepoint inet_sock_set_state: groups cannot adopt\n");
}

void svcg_listen_exit(void)
{
	scoped_guard(spinlock_irqsave, &svcg_listen_lock)
		svcg_listen_over = true;
	cancel_delayed_work_sync(&svcg_listen_work);
	scoped_guard(mutex, &svcg_listen_mutex)
		svcg_listen_unregister();
	/* Also for those whose probe has gone before. */
	tracepoint_synchronize_unregister();
}
