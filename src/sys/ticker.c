// SPDX-License-Identifier: GPL-2.0
/*
 * A timer that has work done in process context, for each network namespace.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "shim.h"

/**
 * struct sg_ticker - a timer and its work
 * @timer: set off by sg_ticker_arm()
 * @work: calls sg_tick()
 * @state: what sg_tick() gets
 */
struct sg_ticker {
	struct timer_list timer;
	struct work_struct work;
	const void *state;
};

static void sg_ticker_expired(struct timer_list *timer)
{
	struct sg_ticker *ticker = timer_container_of(ticker, timer, timer);

	queue_work(sg_workqueue(), &ticker->work);
}

static void sg_ticker_work(struct work_struct *work)
{
	struct sg_ticker *ticker = container_of(work, struct sg_ticker, work);

	sg_tick(ticker->state);
}

struct sg_ticker *sg_ticker_new(void)
{
	struct sg_ticker *ticker = kzalloc(sizeof(*ticker), GFP_KERNEL_ACCOUNT);

	if (ticker) {
		timer_setup(&ticker->timer, sg_ticker_expired, 0);
		INIT_WORK(&ticker->work, sg_ticker_work);
	}
	return ticker;
}

void sg_ticker_set_state(struct sg_ticker *ticker, const void *state)
{
	ticker->state = state;
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
	timer_reduce(&ticker->timer, jiffies + nsecs_to_jiffies64(ns) + 1);
}

/* Each connection asks for it, so it is what costs nothing to read. */
unsigned long long sg_now(void)
{
	return get_jiffies_64() * TICK_NSEC;
}

unsigned long long sg_tick_ns(void)
{
	return TICK_NSEC;
}
