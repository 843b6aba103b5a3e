/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts of instructions, by the time stamp counter of a guest in which it counts
 * them. The median over many counts is what matters, since a timer interrupt
 * falls into one of them now and then.
 */
#ifndef COUNTS_H
#define COUNTS_H

#include <stdint.h>

/* Ends the program where the counter counts something else. */
void check_clock(void);

uint64_t *new_counts(unsigned int n);

/* Sorts them, and prints members of a JSON object. */
void print_counts(uint64_t *counts, unsigned int n);

/* An argument of the command line. */
unsigned int number(const char *text, unsigned int least, unsigned int most);

#endif /* COUNTS_H */
