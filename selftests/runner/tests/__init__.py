# SPDX-License-Identifier: GPL-2.0
"""The tests of the scheduler: `python3 -m runner.tests` below selftests/."""
