// SPDX-License-Identifier: GPL-2.0
/*
 * Does one thing that a kernel must not do, so that the runner's own test sees
 * whether a debug kernel reports it: `insmod provoke.ko what=kasan`.
 *
 * Loading it always fails, with ECANCELED if the thing was done, so that
 * nothing stays loaded. Each needs a fresh boot: after a first report lockdep is
 * silent. Never load it into a kernel that is needed.
 */
#include <linux/debug_locks.h>
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "what to do wrong");

static void write_after_free(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return;
	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory);
	WRITE_ONCE(memory[8], 1);
}

static void break_list(void)
{
	struct list_head other, entry;
	LIST_HEAD(head);

	INIT_LIST_HEAD(&other);
	list_add(&entry, &head);
	head.next = &other;
	list_add(&entry, &head);
}

static DEFINE_SPINLOCK(first);
static DEFINE_SPINLOCK(second);

static void invert_locks(void)
{
	spin_lock(&first);
	spin_lock(&second);
	spin_unlock(&second);
	spin_unlock(&first);
	spin_lock(&second);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&second);
}

static DEFINE_SPINLOCK(of_softirq);

static void lock_in_timer(struct timer_list *timer)
{
	spin_lock(&of_softirq);
	spin_unlock(&of_softirq);
}

/* A timer takes the lock, and so does a process whose softirqs are on. */
static void invert_softirq(void)
{
	struct timer_list timer;

	timer_setup_on_stack(&timer, lock_in_timer, 0);
	mod_timer(&timer, jiffies + 1);
	while (timer_pending(&timer))
		msleep(1);
	timer_delete_sync(&timer);
	timer_destroy_on_stack(&timer);
	spin_lock(&of_softirq);
	spin_unlock(&of_softirq);
}

static int __rcu *pointer;

static void read_without_rcu(void)
{
	if (rcu_dereference(pointer))
		pr_info("a pointer\n");
}

static void sleep_in_atomic(void)
{
	spin_lock(&first);
	msleep(1);
	spin_unlock(&first);
}

/* Many, as a stale copy of one's address may lie somewhere. */
static void leak(void)
{
	for (int i = 0; i < 100; i++) {
		void *memory = kmalloc(128, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(memory);
	}
}

static void misuse_reference(void)
{
	refcount_t count = REFCOUNT_INIT(1);

	if (refcount_dec_and_test(&count))
		refcount_inc(&count);
}

static void free_active_timer(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, lock_in_timer, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
}

static void shift_too_far(void)
{
	unsigned int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	pr_info("%d\n", 1 << bits);
}

static void switch_lockdep_off(void)
{
	debug_locks_off();
}

static const struct {
	const char *name;
	void (*act)(void);
} wrongs[] = {
	{ "kasan", write_after_free },
	{ "list", break_list },
	{ "inversion", invert_locks },
	{ "softirq", invert_softirq },
	{ "rcu", read_without_rcu },
	{ "sleep", sleep_in_atomic },
	{ "leak", leak },
	{ "refcount", misuse_reference },
	{ "object", free_active_timer },
	{ "shift", shift_too_far },
	{ "lockdep-off", switch_lockdep_off },
};

static int __init provoke_init(void)
{
	for (int i = 0; i < ARRAY_SIZE(wrongs); i++) {
		if (strcmp(what, wrongs[i].name))
			continue;
		wrongs[i].act();
		return -ECANCELED;
	}
	return -EINVAL;
}
module_init(provoke_init);

MODULE_DESCRIPTION("Reports of a kernel, on demand");
MODULE_LICENSE("GPL");
