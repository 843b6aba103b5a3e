// SPDX-License-Identifier: GPL-2.0
/*
 * The module's work queue, the end of RCU read sections, what is freed behind it, and
 * letting others run.
 */
#include <linux/delay.h>
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "core.h"
#include "hold.h"

static struct workqueue_struct *svcg_queue;

int svcg_workqueue_register(void)
{
	svcg_queue = alloc_workqueue("service_group", WQ_UNBOUND, 0);
	return svcg_queue ? 0 : -ENOMEM;
}

void svcg_workqueue_unregister(void)
{
	destroy_workqueue(svcg_queue);
}

struct workqueue_struct *svcg_workqueue(void)
{
	return svcg_queue;
}

/**
 * struct svcg_freed - what is to be freed in process context, in place of its rcu_head
 * @node: in svcg_freed_list
 * @free: does it
 */
struct svcg_freed {
	struct llist_node node;
	void (*free)(void *freed);
};

static_assert(sizeof(struct svcg_freed) <= sizeof(struct rcu_head));
static LLIST_HEAD(svcg_freed_list);

static void svcg_free_all(struct work_struct *work)
{
	struct llist_node *node = llist_del_all(&svcg_freed_list);
	struct svcg_freed *freed, *next;

	llist_for_each_entry_safe(freed, next, node, node) {
		freed->free(freed);
		cond_resched();
	}
}

static DECLARE_WORK(svcg_free_work, svcg_free_all);

void svcg_free_later(void *head, void (*free)(void *head))
{
	struct svcg_freed *freed = head;

	freed->free = free;
	if (llist_add(&freed->node, &svcg_freed_list))
		queue_work(svcg_queue, &svcg_free_work);
}

void svcg_free_wait(void)
{
	rcu_barrier();
	flush_work(&svcg_free_work);
}

void svcg_synchronize_rcu(_Bool expedited)
{
	if (expedited) {
		svcg_point("hurry");
		synchronize_rcu_expedited();
	} else {
		synchronize_rcu();
	}
}

unsigned long svcg_start_poll_rcu(void)
{
	return start_poll_synchronize_rcu();
}

_Bool svcg_poll_rcu(unsigned long readers)
{
	return poll_state_synchronize_rcu(readers);
}

void svcg_cond_resched(void)
{
	svcg_point("yield");
	cond_resched();
}

void svcg_usleep(void)
{
	usleep_range(50, 200);
}
