// SPDX-License-Identifier: GPL-2.0
/* The module itself, which comes and goes while tests run; and what would hold it. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib.h"

/* load_module - loads the one that SG_MODULE names; 0 or -errno. */
int load_module(void)
{
	const char *path = getenv("SG_MODULE");
	int fd = open(path ? path : "", O_RDONLY | O_CLOEXEC);
	int result;

	if (fd < 0)
		die("opening SG_MODULE");
	result = syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return result;
}

/* unload_module - takes it away, unless it is used; 0 or -errno. */
int unload_module(void)
{
	return syscall(__NR_delete_module, "service_group", O_NONBLOCK) ? -errno : 0;
}

/* end_with - has a child be killed when its parent is, also if that was before. */
void end_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

/* run_on - has the calling thread run on this processor only. */
void run_on(int processor)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(processor, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		die("choosing a processor");
}

/* run_anywhere - has the calling thread run on any processor. */
void run_anywhere(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	if (sched_setaffinity(0, sizeof(all), &all))
		die("choosing processors");
}

/* thread_state - of any process, as /proc tells it; 0 before it runs, and when it has ended. */
char thread_state(pid_t thread)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", thread);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state;
}

/* become - has the process be this user from now on, without any privilege. */
void become(uid_t user)
{
	if (setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user))
		die("becoming user %u", user);
}
