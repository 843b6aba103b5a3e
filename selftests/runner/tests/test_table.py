# SPDX-License-Identifier: GPL-2.0
"""The list of all jobs (selftests/jobs) and what is there agree."""

import re
import unittest
from collections import Counter
from pathlib import Path

from ..table import rows

SELFTESTS = Path(__file__).resolve().parents[2]
# Folders without suites.
OTHERS = ("lib", "runner", "source")
# Of sources of a suite.
ENDINGS = (".c", ".py", ".sh")


def listed(suites):
    """The names of the suites in the list, or of the other jobs."""
    return {name for name, host, *_, flags in rows((SELFTESTS / "jobs").read_text())
            if (host == "-" and "apart" not in flags.split(",")) == suites}


class List(unittest.TestCase):
    def test_each_suite_is_listed_and_each_listed_one_is_there(self):
        files = [path.name.removesuffix(".c") for path in SELFTESTS.glob("*/*")
                 if path.parent.name not in OTHERS and path.suffix in ENDINGS]
        # KUnit's tests are in the module.
        self.assertEqual({*files, "kunit"}, listed(suites=True))

    def test_the_name_of_a_suite_is_there_once(self):
        names = Counter(path.stem for path in SELFTESTS.glob("*/*")
                        if path.parent.name not in OTHERS and path.is_file())
        self.assertEqual([], [name for name, count in names.items() if count > 1])

    def test_suites_are_in_folders(self):
        self.assertEqual([], [path.name for path in SELFTESTS.iterdir() if path.suffix in ENDINGS])

    def test_the_host_knows_all_other_jobs(self):
        cases = (SELFTESTS / "host").read_text().partition("case $1 in")[2]
        patterns = re.findall(r"^([\w| -]+)\) ", cases, re.M)
        known = {name for pattern in patterns for name in pattern.split(" | ")}
        self.assertEqual(known, listed(suites=False))
