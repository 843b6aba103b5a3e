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
 * what became of it: "waits", "held", "passed", or "late" if nobody passed in time.
 * The wait is busy, as a point may be anywhere, and ends after a second: the other
 * side may be waiting for this one, as it should.
 */
#ifdef CONFIG_FAULT_INJECTION
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "hold.h"

#define SG_HOLD_NS	NSEC_PER_SEC

enum sg_hold_state { SG_FREE, SG_WAITS, SG_HELD, SG_PASSED, SG_LATE };

/**
 * struct sg_hold - a point, and what ends the wait there
 * @at: the first one to come here is held
 * @until: until somebody has passed here
 * @state: an enum sg_hold_state
 * @over: somebody has
 */
struct sg_hold {
	char at[16];
	char until[16];
	int state;
	bool over;
};

static struct sg_hold sg_holds[4];

static const char * const sg_hold_names[] = {
	[SG_FREE] = "free", [SG_WAITS] = "waits", [SG_HELD] = "held",
	[SG_PASSED] = "passed", [SG_LATE] = "late",
};

/* Whether any is set: points are passed all the time. */
static bool sg_hold_any;

static void sg_hold_here(struct sg_hold *hold)
{
	u64 until = ktime_get_ns() + SG_HOLD_NS;

	while (!READ_ONCE(hold->over)) {
		if (ktime_get_ns() > until) {
			WRITE_ONCE(hold->state, SG_LATE);
			return;
		}
		udelay(5);
		cpu_relax();
	}
	/* What the other side did before it passed is seen now. */
	smp_mb();
	WRITE_ONCE(hold->state, SG_PASSED);
}

static void sg_pass(const char *name)
{
	struct sg_hold *hold;

	smp_mb();
	for (hold = sg_holds; hold < sg_holds + ARRAY_SIZE(sg_holds); hold++) {
		/* Who passes before anybody is held there is not the one. */
		if (READ_ONCE(hold->state) == SG_HELD && !strcmp(hold->until, name))
			WRITE_ONCE(hold->over, true);
	}
}

void sg_point(const char *name)
{
	struct sg_hold *hold;

	/* Pairs with sg_hold_add(). */
	if (!smp_load_acquire(&sg_hold_any))
		return;
	sg_pass(name);
	for (hold = sg_holds; hold < sg_holds + ARRAY_SIZE(sg_holds); hold++) {
		if (READ_ONCE(hold->state) == SG_WAITS && !strcmp(hold->at, name) &&
		    cmpxchg(&hold->state, SG_WAITS, SG_HELD) == SG_WAITS) {
			sg_hold_here(hold);
			return;
		}
	}
}

static void sg_hold_clear(void)
{
	struct sg_hold *hold;

	WRITE_ONCE(sg_hold_any, false);
	for (hold = sg_holds; hold < sg_holds + ARRAY_SIZE(sg_holds); hold++) {
		WRITE_ONCE(hold->over, true);
		while (READ_ONCE(hold->state) == SG_HELD)
			cpu_relax();
		WRITE_ONCE(hold->state, SG_FREE);
	}
}

static int sg_hold_add(const char *at, const char *until)
{
	struct sg_hold *hold;

	for (hold = sg_holds; hold < sg_holds + ARRAY_SIZE(sg_holds); hold++) {
		if (hold->state != SG_FREE)
			continue;
		strscpy(hold->at, at);
		strscpy(hold->until, until);
		hold->over = false;
		smp_store_release(&hold->state, SG_WAITS);
		smp_store_release(&sg_hold_any, true);
		return 0;
	}
	return -ENOSPC;
}

/* One call at a time, as of each parameter. */
static int sg_hold_set(const char *text, const struct kernel_param *param)
{
	char at[16], until[16];

	if (sysfs_streq(text, "")) {
		sg_hold_clear();
		return 0;
	}
	if (sscanf(text, "%15s %15s", at, until) != 2)
		return -EINVAL;
	if (strcmp(at, "pass"))
		return sg_hold_add(at, until);
	sg_pass(until);
	return 0;
}

static int sg_hold_get(char *buffer, const struct kernel_param *param)
{
	struct sg_hold *hold;
	int len = 0;

	for (hold = sg_holds; hold < sg_holds + ARRAY_SIZE(sg_holds); hold++) {
		int state = READ_ONCE(hold->state);

		if (state != SG_FREE)
			len += sysfs_emit_at(buffer, len, "%s %s %s\n", hold->at,
					     hold->until, sg_hold_names[state]);
	}
	return len;
}

static const struct kernel_param_ops sg_hold_ops = {
	.set	= sg_hold_set,
	.get	= sg_hold_get,
};
module_param_cb(hold, &sg_hold_ops, NULL, 0600);
MODULE_PARM_DESC(hold, "for tests: holds who comes to one point until another is passed");
#endif /* CONFIG_FAULT_INJECTION */
