// SPDX-License-Identifier: GPL-2.0
/* The module's work queue, the end of RCU read sections, and letting others run. */
#include <linux/delay.h>
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
