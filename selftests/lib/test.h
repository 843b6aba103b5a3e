/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every test program includes: the kernel's own harness, a time limit
 * that fits an emulated processor, and the families to test with.
 *
 * The harness runs each test in a process of its own, so what a test opens,
 * and the namespace that it enters, ends with it.
 */
#ifndef SELFTESTS_LIB_TEST_H
#define SELFTESTS_LIB_TEST_H

#include "kselftest_harness.h"
#include "lib.h"

/* A test hangs if it needs longer; nothing else depends on this time. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/*
 * FAMILIES - declare a fixture that enters a namespace of its own, once for
 * each kind of listener: IPv4, IPv6, and IPv6 that serves IPv4.
 */
#define FAMILIES(name)						\
	FIXTURE(name) { };					\
	FIXTURE_VARIANT(name) { enum family family; };		\
	FIXTURE_VARIANT_ADD(name, ipv4) { .family = IPV4 };	\
	FIXTURE_VARIANT_ADD(name, ipv6) { .family = IPV6 };	\
	FIXTURE_VARIANT_ADD(name, mapped) { .family = MAPPED };	\
	FIXTURE_SETUP(name) { enter_namespace(); }		\
	FIXTURE_TEARDOWN(name) { }

/* FAMILIES_AND_POLICIES - the variants of a fixture for each of them under each policy. */
#define FAMILIES_AND_POLICIES(name)				\
	FIXTURE_VARIANT(name) { enum family family; int policy; };	\
	FIXTURE_VARIANT_ADD(name, ipv4) { .family = IPV4 };	\
	FIXTURE_VARIANT_ADD(name, ipv6) { .family = IPV6 };	\
	FIXTURE_VARIANT_ADD(name, mapped) { .family = MAPPED };	\
	FIXTURE_VARIANT_ADD(name, ipv4_balance) {		\
		.family = IPV4, .policy = SERVICE_GROUP_POLICY_BALANCE	\
	};							\
	FIXTURE_VARIANT_ADD(name, ipv6_balance) {		\
		.family = IPV6, .policy = SERVICE_GROUP_POLICY_BALANCE	\
	};							\
	FIXTURE_VARIANT_ADD(name, mapped_balance) {		\
		.family = MAPPED, .policy = SERVICE_GROUP_POLICY_BALANCE	\
	}

/* ONE_FAMILY - a fixture that enters a namespace, for what has no family. */
#define ONE_FAMILY(name)					\
	FIXTURE(name) { };					\
	FIXTURE_SETUP(name) { enter_namespace(); }		\
	FIXTURE_TEARDOWN(name) { }

#endif
