// SPDX-License-Identifier: GPL-2.0
/* The caller: its user, its capabilities, and the account of its user. */
#include <linux/cred.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/siphash.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "core.h"

/* Of svcg_caller_account(). */
static siphash_key_t svcg_account_key __ro_after_init;

void svcg_caller_init(void)
{
	get_random_bytes(&svcg_account_key, sizeof(svcg_account_key));
}

_Bool svcg_caller_in_net(const struct net *net)
{
	return net_eq(net, current->nsproxy->net_ns);
}

_Bool svcg_caller_is_admin(const struct net *net)
{
	return ns_capable(net->user_ns, CAP_NET_ADMIN);
}

_Bool svcg_caller_is_privileged(void)
{
	return capable(CAP_NET_ADMIN);
}

/*
 * What confines a caller's bind() hangs on the system call (Landlock, seccomp)
 * and cannot be asked from here; without privilege it needs no_new_privs.
 */
_Bool svcg_caller_is_confined(void)
{
	return task_no_new_privs(current) || seccomp_mode(&current->seccomp);
}

unsigned int svcg_caller_uid(void)
{
	return __kuid_val(current_euid());
}

/*
 * The owner of a user namespace makes as many of them, and network namespaces and
 * users there, as it likes: all count to the user that made the outermost one.
 * What root
 * makes, containers for one, is apart. No user can choose which account has the
 * same bits as its own.
 */
static unsigned long long svcg_account(const struct user_namespace *ns,
				       unsigned int uid, unsigned int place)
{
	if (ns != &init_user_ns) {
		while (ns->parent != &init_user_ns)
			ns = ns->parent;
		uid = __kuid_val(ns->owner);
		place = uid ? 0 : ns->ns.inum;
	}
	return siphash_2u32(uid, place, &svcg_account_key);
}

unsigned long long svcg_caller_account(const struct net *net)
{
	return svcg_account(current_user_ns(), __kuid_val(current_euid()),
			    net->ns.inum);
}

/* Who owns a namespace may act in it from outside, with many such namespaces. */
unsigned long long svcg_net_account(const struct net *net)
{
	return svcg_account(net->user_ns, 0, net->ns.inum);
}

unsigned int svcg_caller_process(void)
{
	return task_tgid_nr(current);
}
