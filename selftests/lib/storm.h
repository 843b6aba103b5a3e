/* SPDX-License-Identifier: GPL-2.0 */
/* A namespace in which everything happens at once; for stress.c and hostile_all.c. */
#ifndef SELFTESTS_LIB_STORM_H
#define SELFTESTS_LIB_STORM_H

#include <stdatomic.h>

#include "lib.h"

#define STORM_KINDS 21

struct storm_shared {
	atomic_bool stop;
	atomic_long operations;
	atomic_long served;
	atomic_long tried[STORM_KINDS];
	atomic_long succeeded[STORM_KINDS];
};

struct storm {
	struct storm_shared *shared;
	/* Operations after which this storm ends, if the whole test does not. */
	long limit;
	unsigned int seed;
	/* Ends by SIGKILL, with all its sockets open. */
	bool abrupt;
	/* In the namespace that the process is in. */
	bool here;
};

bool storm_goes_on(const struct storm *storm);
const char *storm_kind_name(int kind);
void run_storm(struct storm *storm);

#endif
