# SPDX-License-Identifier: GPL-2.0
"""Runs the jobs of selftests/jobs, on the host and in guests."""
