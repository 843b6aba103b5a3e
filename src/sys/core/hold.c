// SPDX-License-Identifier: GPL-2.0
/*
 * Delay points, for tests of races.
 *
 *	echo 'ack ended' >/sys/module/service_group/parameters/hold
 *
 * holds the first one that comes to the point "ack" there until another one has
 * passed the point "ended"; "pass NAME" passes a point from user space, and an
 * empty line forgets everything. Several such lines may be given, one a write; of two
 * with the same point, the second holds the second one that comes. Read, each tells
 * what became of it: "waits", "held", "passed", or "late" if no task passed in time.
 * The wait ends after a second: the other side may be waiting for this one, as it
 * should. It is busy where the task may not sleep, as a point may be anywhere. Where it
 * may, what waits for RCU readers does not wait for this one, and it has longer to do so.
 */
#ifdef CONFIG_FAULT_INJECTION
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "hold.h"

#define SVCG_HOLD_NS	NSEC_PER_SEC

enum svcg_hold_state {
	SVCG_FREE,
	SVCG_WAITS,
	SVCG_HELD,
	SVCG_PASSED,
	SVCG_LATE
};

/**
 * struct svcg_hold - a point, and what ends the wait there
 * @at: the first one to come here is held
 * @until: until a task has passed here
 * @state: an enum svcg_hold_state
 * @over: a task has
 */
struct svcg_hold {
	char at[16];
	char until[16];
	int state;
	bool over;
};

static struct svcg_hold svcg_holds[4];

static const char *const svcg_hold_names[] = {
	[SVCG_FREE] = "free",	  [SVCG_WAITS] = "waits", [SVCG_HELD] = "held",
	[SVCG_PASSED] = "passed", [SVCG_LATE] = "late",
};

/* Whether any is set: points are passed all the time. */
static bool svcg_hold_any;

static void svcg_hold_here(struct svcg_hold *hold)
{
	bool sleeps = preemptible() && !rcu_preempt_depth();
	u64 until = ktime_get_ns() + SVCG_HOLD_NS * (sleeps ? 5 : 1);

	while (!READ_ONCE(hold->over)) {
		if (ktime_get_ns() > until) {
			WRITE_ONCE(hold->state, SVCG_LATE);
			return;
		}
		if (sleeps)
			usleep_range(5, 50);
		else
			udelay(5);
	}
	/* What the other side did before it passed is seen now. */
	smp_mb();
	WRITE_ONCE(hold->state, SVCG_PASSED);
}

static void svcg_pass(const char *name)
{
	struct svcg_hold *hold;

	smp_mb();
	for (hold = svcg_holds; hold < svcg_holds + ARRAY_SIZE(svcg_holds);
	     hold++) {
		/* A task that passes before any is held there is not the one. */
		if (READ_ONCE(hold->state) == SVCG_HELD &&
		    !strcmp(hold->until, name))
			WRITE_ONCE(hold->over, true);
	}
}

void svcg_point(const char *name)
{
	struct svcg_hold *hold;

	/* Pairs with svcg_hold_add(). */
	if (!smp_load_acquire(&svcg_hold_any))
		return;
	svcg_pass(name);
	for (hold = svcg_holds; hold < svcg_holds + ARRAY_SIZE(svcg_holds);
	     hold++) {
		if (READ_ONCE(hold->state) == SVCG_WAITS &&
		    !strcmp(hold->at, name) &&
		    cmpxchg(&hold->state, SVCG_WAITS, SVCG_HELD) ==
			    SVCG_WAITS) {
			svcg_hold_here(hold);
			return;
		}
	}
}

static void svcg_hold_clear(void)
{
	struct svcg_hold *hold;

	WRITE_ONCE(svcg_hold_any, false);
	for (hold = svcg_holds; hold < svcg_holds + ARRAY_SIZE(svcg_holds);
	     hold++) {
		WRITE_ONCE(hold->over, true);
		while (READ_ONCE(hold->state) == SVCG_HELD)
			cpu_relax();
		WRITE_ONCE(hold->state, SVCG_FREE);
	}
}

static int svcg_hold_add(const char *at, const char *until)
{
	struct svcg_hold *hold;

	for (hold = svcg_holds; hold < svcg_holds + ARRAY_SIZE(svcg_holds);
	     hold++) {
		if (hold->state != SVCG_FREE)
			continue;
		strscpy(hold->at, at);
		strscpy(hold->until, until);
		hold->over = false;
		smp_store_release(&hold->state, SVCG_WAITS);
		smp_store_release(&svcg_hold_any, true);
		return 0;
	}
	return -ENOSPC;
}

/* One call at a time, as of each parameter. */
static int svcg_hold_set(const char *text, const struct kernel_param *param)
{
	char at[16], until[16];

	if (sysfs_streq(text, "")) {
		svcg_hold_clear();
		return 0;
	}
	if (sscanf(text, "%15s %15s", at, until) != 2)
		return -EINVAL;
	if (strcmp(at, "pass"))
		return svcg_hold_add(at, until);
	svcg_pass(until);
	return 0;
}

static int svcg_hold_get(char *buffer, const struct kernel_param *param)
{
	struct svcg_hold *hold;
	int len = 0;

	for (hold = svcg_holds; hold < svcg_holds + ARRAY_SIZE(svcg_holds);
	     hold++) {
		int state = READ_ONCE(hold->state);

		if (state != SVCG_FREE)
			len += sysfs_emit_at(buffer, len, "%s %s %s\n",
					     hold->at, hold->until,
					     svcg_hold_names[state]);
	}
	return len;
}

static const struct kernel_param_ops svcg_hold_ops = {
	.set	= svcg_hold_set,
	.get	= svcg_hold_get,
};
module_param_cb(hold, &svcg_hold_ops, NULL, 0600);
MODULE_PARM_DESC(hold, "for tests: holds the task that comes to one point until another is passed");
#endif /* CONFIG_FAULT_INJECTION */
