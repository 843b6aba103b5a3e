// SPDX-License-Identifier: GPL-2.0
/* The module's work queue, the end of RCU read sections, and letting others run. */
#include <linux/delay.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "core.h"
#include "hold.h"

static struct workqueue_struct *sg_queue;

int sg_workqueue_register(void)
{
	sg_queue = alloc_workqueue("service_group", WQ_UNBOUND, 0);
	return sg_queue ? 0 : -ENOMEM;
}

void sg_workqueue_unregister(void)
{
	destroy_workqueue(sg_queue);
}

struct workqueue_struct *sg_workqueue(void)
{
	return sg_queue;
}

void sg_readers_end(_Bool hurry)
{
	if (hurry) {
		sg_point("hurry");
		synchronize_rcu_expedited();
	} else {
		synchronize_rcu();
	}
}

unsigned long sg_readers_now(void)
{
	return start_poll_synchronize_rcu();
}

_Bool sg_readers_ended(unsigned long readers)
{
	return poll_state_synchronize_rcu(readers);
}

void sg_yield(void)
{
	sg_point("yield");
	cond_resched();
}

void sg_breathe(void)
{
	usleep_range(50, 200);
}
