# SPDX-License-Identifier: GPL-2.0
"""What docs/testing.md names as tests of rules is there."""

import re
import unittest
from pathlib import Path

SELFTESTS = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`([a-z_]+)\.([A-Za-z_*0-9]+)`")
# Both make tests of a fixture's name, and the first one its variants as well.
FIXTURE = re.compile(r"^(?:FIXTURE|FAMILIES|ONE_FAMILY)\((\w+)\)", re.M)
TEST = re.compile(r"^TEST_F(?:_TIMEOUT)?\((\w+), (\w+)", re.M)
FUNCTION = re.compile(r"^def (\w+)\(\):", re.M)


def tests():
    """The names of tests, by fixture or suite."""
    found = {}
    for path in [*SELFTESTS.glob("*/*.c"), *SELFTESTS.glob("lib/*.h")]:
        text = path.read_text()
        for name in FIXTURE.findall(text):
            found.setdefault(name, set())
        for name, test in TEST.findall(text):
            found.setdefault(name, set()).add(test)
    for path in SELFTESTS.glob("*/*.py"):
        found[path.stem] = set(FUNCTION.findall(path.read_text()))
    return found


class Rules(unittest.TestCase):
    def test_named_tests_are_there(self):
        text = (SELFTESTS.parent / "docs/testing.md").read_text()
        table = text[text.index("## Rules"):text.index("## How long")]
        known = tests()
        rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")]
        named = [found for row in rows for found in NAMED.findall(row)]
        self.assertGreater(len(named), 60)
        for name, test in named:
            self.assertIn(name, known)
            # Variants have capitals, and are made by macros.
            if test == test.lower():
                pattern = re.compile(test.replace("*", ".*"))
                found = [one for one in known[name] if pattern.fullmatch(one)]
                self.assertTrue(found or test == "*", f"{name}.{test}")
