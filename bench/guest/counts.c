// SPDX-License-Identifier: GPL-2.0
/*
 * Counts of instructions: see counts.h.
 */
#include "counts.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

/* Two instructions a turn. An interrupt may fall into a try, not into each. */
void check_clock(void)
{
	const uint64_t turns = 100000;
	uint64_t least = UINT64_MAX;

	for (int try = 0; try < 5; try++) {
		uint64_t left = turns, start = __rdtsc(), ticks;

		__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
		ticks = __rdtsc() - start;
		if (ticks < least)
			least = ticks;
	}
	if (least < 2 * turns - turns / 50 || least > 2 * turns + turns / 50)
		errx(1, "the clock does not count instructions: %llu for %llu",
		     (unsigned long long)least, (unsigned long long)(2 * turns));
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t *new_counts(unsigned int n)
{
	uint64_t *counts = calloc(n, sizeof(*counts));

	if (!counts)
		err(1, "calloc");
	return counts;
}

void print_counts(uint64_t *counts, unsigned int n)
{
	uint64_t sum = 0;

	qsort(counts, n, sizeof(*counts), ascending);
	for (unsigned int i = 0; i < n; i++)
		sum += counts[i];
	printf("\"median\":%llu,\"mean\":%.1f,\"min\":%llu,\"p90\":%llu,\"max\":%llu",
	       (unsigned long long)counts[n / 2], (double)sum / n, (unsigned long long)counts[0],
	       (unsigned long long)counts[n * 9 / 10], (unsigned long long)counts[n - 1]);
}

unsigned int number(const char *text, unsigned int least, unsigned int most)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (value < least || value > most)
		errx(2, "not a number from %u to %u: %s", least, most, text);
	return (unsigned int)value;
}
