// SPDX-License-Identifier: GPL-2.0
/*
 * A timer that has work done in process context, for each account of a network
 * namespace.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "callbacks/group.h"
#include "core.h"
#include "hold.h"

/**
 * struct svcg_stall_timer - a timer and its work
 * @timer: set off by svcg_stall_timer_arm()
 * @work: calls svcg_tick()
 * @state: what svcg_tick() gets; without one it is never armed
 * @account: likewise
 * @rested: when it may tick again, in jiffies; set by its work
 */
struct svcg_stall_timer {
	struct timer_list timer;
	struct work_struct work;
	const void *state;
	unsigned long long account;
	unsigned long rested;
};

/* Longer than that it does not rest: older ones are over. */
#define SVCG_LONGEST_REST (60 * HZ)

/* How many jiffies are to pass from this moment on until it may tick. */
static unsigned long
svcg_stall_timer_left(const struct svcg_stall_timer *stall_timer,
		      unsigned long from)
{
	unsigned long left = READ_ONCE(stall_timer->rested) - from;

	return left <= SVCG_LONGEST_REST ? left : 0;
}

static void svcg_stall_timer_expired(struct timer_list *timer)
{
	struct svcg_stall_timer *stall_timer =
		timer_container_of(stall_timer, timer, timer);

	queue_work(svcg_workqueue(), &stall_timer->work);
}

static void svcg_stall_timer_work(struct work_struct *work)
{
	struct svcg_stall_timer *stall_timer =
		container_of(work, struct svcg_stall_timer, work);
	struct svcg_tick tick = { .next = ULLONG_MAX };
	unsigned long left = svcg_stall_timer_left(stall_timer, jiffies);

	/* It was armed while it was at work. */
	if (left) {
		timer_reduce(&stall_timer->timer, jiffies + left);
		return;
	}
	svcg_point("tick");
	svcg_tick(stall_timer->state, stall_timer->account, &tick);
	svcg_point("ticked");
	left = min(nsecs_to_jiffies64(tick.rest), SVCG_LONGEST_REST);
	WRITE_ONCE(stall_timer->rested, jiffies + left);
	if (tick.next != ULLONG_MAX)
		svcg_stall_timer_arm(stall_timer, tick.next);
}

struct svcg_stall_timer *svcg_stall_timer_new(const void *state,
					      unsigned long long account)
{
	struct svcg_stall_timer *stall_timer =
		kzalloc(sizeof(*stall_timer), GFP_KERNEL_ACCOUNT);

	if (stall_timer) {
		timer_setup(&stall_timer->timer, svcg_stall_timer_expired, 0);
		INIT_WORK(&stall_timer->work, svcg_stall_timer_work);
		stall_timer->state = state;
		stall_timer->account = account;
		stall_timer->rested = jiffies;
	}
	return stall_timer;
}

void svcg_stall_timer_stop(struct svcg_stall_timer *stall_timer)
{
	timer_shutdown_sync(&stall_timer->timer);
	cancel_work_sync(&stall_timer->work);
}

void svcg_stall_timer_free(struct svcg_stall_timer *stall_timer)
{
	kfree(stall_timer);
}

void svcg_stall_timer_arm(struct svcg_stall_timer *stall_timer,
			  unsigned long long ns)
{
	/* A tick may be over in a moment: that one does not count. */
	unsigned long at = jiffies + nsecs_to_jiffies64(ns) + 1;

	timer_reduce(&stall_timer->timer,
		     at + svcg_stall_timer_left(stall_timer, at));
}

/* Each connection asks for it, so it is what costs nothing to read. */
unsigned long long svcg_now(void)
{
	return get_jiffies_64() * TICK_NSEC;
}

unsigned long long svcg_clock(void)
{
	return ktime_get_ns();
}

unsigned long long svcg_tick_ns(void)
{
	return TICK_NSEC;
}
