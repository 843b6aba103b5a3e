#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A suite that does not end.
sleep 1000
