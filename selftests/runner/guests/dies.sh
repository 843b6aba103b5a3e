#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A suite during which the kernel dies.
echo 1 >/proc/sys/kernel/sysrq
echo c >/proc/sysrq-trigger
sleep 60
