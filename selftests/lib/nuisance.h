/* SPDX-License-Identifier: GPL-2.0 */
/* What an unprivileged user does to annoy others; for hostile_all.c. */
#ifndef SELFTESTS_LIB_NUISANCE_H
#define SELFTESTS_LIB_NUISANCE_H

#include "storm.h"

#define NUISANCES 8

/* Shared by all processes. */
struct shared {
	struct storm_shared storm;
	atomic_long rounds[NUISANCES];
	/* Changes of a cluster IP that were made. */
	atomic_long clusters;
};

struct nuisance {
	const char *name;
	/* One round. */
	void (*make)(struct shared *shared);
	/* Only who is privileged in a network namespace can. */
	bool in_own_network;
};

extern const struct nuisance nuisances[NUISANCES];

/* nuisance_cluster.c */
void change_cluster(struct shared *shared);

void annoy(struct shared *shared, int which, bool own_network);

#endif
