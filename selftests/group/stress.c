// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: groups are formed, joined and left while their sockets
 * are closed, shut down, listen again and connect; clients flood them and give
 * up; processes fork, namespaces end, a process reads everything over netlink
 * and sock_diag, and tries to unload the module.
 *
 *   stress [--ops N] [--seconds N] [--seed N]
 *
 * What is not given is read from SG_STRESS_OPS, SG_STRESS_SECONDS and SG_SEED.
 * It ends after N operations (system calls on the option, on a member's life
 * or on the read-out), or after the seconds, which it then says. What each
 * operation does is not tested, as the threads race for the same sockets on
 * purpose. Tested is that nothing is left at the end; and by qemu/run, that the
 * kernel reported nothing.
 *
 * The operations are in lib/storm.c.
 */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "storm.h"

/* Namespaces that live as long as the test; one more does not. */
#define STORMS 4
#define SHORT_STORM 300

static pid_t start(void (*run)(struct storm *), struct storm *storm)
{
	pid_t child = fork();

	if (child < 0)
		die("forking");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(storm);
		_exit(0);
	}
	return child;
}

/* Namespaces that end in the middle of it all, with their process. */
static void run_short_storms(struct storm *storm)
{
	for (int round = 0; storm_goes_on(storm); round++) {
		struct storm brief = *storm;
		pid_t child;

		brief.seed += round;
		brief.limit = SHORT_STORM;
		brief.abrupt = true;
		child = start(run_storm, &brief);
		if (waitpid(child, NULL, 0) != child)
			die("waiting for a namespace's process");
	}
}

static int unload(void)
{
	return syscall(__NR_delete_module, "service_group", O_NONBLOCK) ? -errno : 0;
}

/*
 * Grace periods are waited for at each change of a group. Most of the time they
 * are hurried, which makes ten times as many changes; some of the time not.
 */
static const char hurry_file[] = "/sys/kernel/rcu_expedited";

static void hurry(bool yes)
{
	if (!access(hurry_file, W_OK))
		write_file(hurry_file, yes ? "1" : "0");
}

/* It is the machine's, and is as before whatever ends this. */
static bool was_hurried;

static void restore_and_end(int signal)
{
	hurry(was_hurried);
	_exit(128 + signal);
}

/* What is wrong after the end, or nothing. */
static void check_the_end(void)
{
	const char *references = "/sys/module/service_group/refcnt";
	const char *path = getenv("SG_MODULE");
	struct stats stats;
	bool gone;
	int fd;

	gone = wait_for(read_number(references) == 0);
	ksft_test_result(gone, "stress.every_reference_is_back\n");
	if (!gone)
		ksft_print_msg("%ld references\n", read_number(references));
	ksft_test_result(!read_stats(&stats) && !stats.groups && !stats.members,
			 "stress.no_group_is_left\n");
	ksft_test_result(wait_for(unload() == 0), "stress.module_can_be_unloaded\n");
	fd = open(path ? path : "", O_RDONLY);
	if (fd < 0 || syscall(__NR_finit_module, fd, "", 0))
		ksft_print_msg("loading it again: %s\n", strerror(errno));
}

static void report(const struct storm *storm, double began)
{
	ksft_print_msg("%ld operations in %.0f seconds; connections served %ld; SG_SEED=%u\n",
		       atomic_load(&storm->shared->operations), seconds() - began,
		       atomic_load(&storm->shared->served), storm->seed);
	for (int i = 0; i < STORM_KINDS; i++)
		ksft_print_msg("%10ld %s, of which %ld succeeded\n",
			       atomic_load(&storm->shared->tried[i]), storm_kind_name(i),
			       atomic_load(&storm->shared->succeeded[i]));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ },
	};
	const char *default_ops = getenv("SG_STRESS_OPS");
	const char *default_seconds = getenv("SG_STRESS_SECONDS");
	struct storm storm = {
		.limit = default_ops ? atol(default_ops) : 100000,
		.seed = seed_wanted("SG_SEED", 1),
	};
	double limit = default_seconds ? atof(default_seconds) : 1500;
	double began = seconds(), told = began;
	pid_t children[STORMS + 1];
	bool all_well = true;
	unsigned int first_seed;
	long wanted, done;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return KSFT_FAIL;
		if (option == 'o')
			storm.limit = atol(optarg);
		if (option == 't')
			limit = atof(optarg);
		if (option == 's')
			storm.seed = strtoul(optarg, NULL, 0);
	}
	wanted = storm.limit;
	first_seed = storm.seed;
	storm.shared = mmap(NULL, sizeof(*storm.shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm.shared == MAP_FAILED)
		die("allocating");
	was_hurried = read_number(hurry_file) > 0;
	signal(SIGTERM, restore_and_end);
	signal(SIGINT, restore_and_end);
	ksft_print_header();
	ksft_set_plan(5);
	ksft_print_msg("SG_SEED=%u\n", first_seed);

	for (int i = 0; i < STORMS; i++, storm.seed += 1000)
		children[i] = start(run_storm, &storm);
	children[STORMS] = start(run_short_storms, &storm);
	do {
		usleep(100000);
		done = atomic_load(&storm.shared->operations);
		hurry((long)(seconds() - began) % 10 >= 2);
		if (seconds() - told >= 20) {
			told = seconds();
			ksft_print_msg("%ld operations\n", done);
		}
	} while (done < wanted && seconds() - began < limit);
	hurry(was_hurried);
	atomic_store(&storm.shared->stop, true);
	for (int i = 0; i <= STORMS; i++) {
		int status;

		all_well &= waitpid(children[i], &status, 0) == children[i] && !status;
	}
	storm.seed = first_seed;
	report(&storm, began);
	ksft_test_result(done >= wanted, "stress.operations\n");
	ksft_test_result(all_well, "stress.processes_end_well\n");
	check_the_end();
	ksft_finished();
}
