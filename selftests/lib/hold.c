// SPDX-License-Identifier: GPL-2.0
/*
 * The module's delay points: one side of a race is held at one until the other
 * has passed another one. Only kernels with fault injection have them.
 */

#include <fcntl.h>

#include "lib.h"

#define HOLD "/sys/module/service_group/parameters/hold"

bool can_hold(void)
{
	return !access(HOLD, W_OK);
}

/* hold - the first one that comes to one point waits until another is passed. */
void hold(const char *at, const char *until)
{
	char line[64];

	snprintf(line, sizeof(line), "%s %s", at, until);
	write_file(HOLD, line);
}

/* pass_hold - passes a point, as something in the kernel does. */
void pass_hold(const char *name)
{
	hold("pass", name);
}

/* The task that is held goes on. */
void forget_holds(void)
{
	write_file(HOLD, "\n");
}

/* hold_is - whether the wait at a point is in that state: waits, held, passed, late. */
bool hold_is(const char *at, const char *state)
{
	char name[32], until[32], seen[32];
	FILE *file = fopen(HOLD, "r");
	bool is = false;

	if (!file)
		die("opening %s", HOLD);
	while (!is && fscanf(file, "%31s %31s %31s", name, until, seen) == 3)
		is = !strcmp(name, at) && !strcmp(seen, state);
	fclose(file);
	return is;
}
