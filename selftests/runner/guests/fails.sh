#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A suite one of whose tests fails.
echo "ok 1 good"
echo "not ok 2 bad"
exit 1
