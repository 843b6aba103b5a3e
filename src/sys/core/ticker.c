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
 * struct sg_ticker - a timer and its work
 * @timer: set off by sg_ticker_arm()
 * @work: calls sg_tick()
 * @state: what sg_tick() gets; without one it is never armed
 * @account: likewise
 * @rested: when it may tick again, in jiffies; set by its work
 */
struct sg_ticker {
	struct timer_list timer;
	struct work_struct work;
	const void *state;
	unsigned long long account;
	unsigned long rested;
};

/* Longer than that it does not rest: older ones are over. */
#define SG_LONGEST_REST (10 * HZ)

/* How many jiffies are to pass from this moment on until it may tick. */
static unsigned long sg_ticker_left(const struct sg_ticker *ticker,
				    unsigned long from)
{
	unsigned long left = READ_ONCE(ticker->rested) - from;

	return left <= SG_LONGEST_REST ? left : 0;
}

static void sg_ticker_expired(struct timer_list *timer)
{
	struct sg_ticker *ticker = timer_container_of(ticker, timer, timer);

	queue_work(sg_workqueue(), &ticker->work);
}

static void sg_ticker_work(struct work_struct *work)
{
	struct sg_ticker *ticker = container_of(work, struct sg_ticker, work);
	struct sg_tick tick = { .next = ULLONG_MAX };
	unsigned long left = sg_ticker_left(ticker, jiffies);

	/* It was armed while it was at work. */
	if (left) {
		timer_reduce(&ticker->timer, jiffies + left);
		return;
	}
	sg_point("tick");
	sg_tick(ticker->state, ticker->account, &tick);
	sg_point("ticked");
	left = min(nsecs_to_jiffies64(tick.rest), SG_LONGEST_REST);
	WRITE_ONCE(ticker->rested, jiffies + left);
	if (tick.next != ULLONG_MAX)
		sg_ticker_arm(ticker, tick.next);
}

struct sg_ticker *sg_ticker_new(const void *state, unsigned long long account)
{
	struct sg_ticker *ticker = kzalloc(sizeof(*ticker), GFP_KERNEL_ACCOUNT);

	if (ticker) {
		timer_setup(&ticker->timer, sg_ticker_expired, 0);
		INIT_WORK(&ticker->work, sg_ticker_work);
		ticker->state = state;
		ticker->account = account;
		ticker->rested = jiffies;
	}
	return ticker;
}

void sg_ticker_stop(struct sg_ticker *ticker)
{
	timer_shutdown_sync(&ticker->timer);
	cancel_work_sync(&ticker->work);
}

void sg_ticker_free(struct sg_ticker *ticker)
{
	kfree(ticker);
}

void sg_ticker_arm(struct sg_ticker *ticker, unsigned long long ns)
{
	/* A tick may be over in a moment: that one does not count. */
	unsigned long at = jiffies + nsecs_to_jiffies64(ns) + 1;

	timer_reduce(&ticker->timer, at + sg_ticker_left(ticker, at));
}

/* Each connection asks for it, so it is what costs nothing to read. */
unsigned long long sg_now(void)
{
	return get_jiffies_64() * TICK_NSEC;
}

unsigned long long sg_clock(void)
{
	return ktime_get_ns();
}

unsigned long long sg_tick_ns(void)
{
	return TICK_NSEC;
}
