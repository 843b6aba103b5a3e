# SPDX-License-Identifier: GPL-2.0
"""Runs them, and prints TAP."""

import sys
import unittest


class Tap(unittest.TextTestResult):
    def addSuccess(self, test):
        self.stream.writeln(f"ok {self.testsRun} {test.id()}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.stream.writeln(f"not ok {self.testsRun} {test.id()}")

    def addError(self, test, err):
        super().addError(test, err)
        self.stream.writeln(f"not ok {self.testsRun} {test.id()}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"ok {self.testsRun} {test.id()} # SKIP {reason}")


tests = unittest.defaultTestLoader.discover("selftests/runner/tests", top_level_dir="selftests")
runner = unittest.TextTestRunner(stream=sys.stdout, resultclass=Tap, verbosity=0)
sys.exit(not runner.run(tests).wasSuccessful())
