# SPDX-License-Identifier: GPL-2.0
"""Whole runs of the scheduler, with guests and jobs that are made up."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ALL = HERE.parent.parent / "all"


class Run(unittest.TestCase):
    """`table` are rows as in selftests/jobs; what a job does is in its name."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.logs = Path(self.folder.name)

    def start(self, table, *options, target="test", **environ):
        (self.logs / "table").write_text(table)
        # What the run removes is its own folder's.
        logs = self.logs / "test"
        logs.mkdir(exist_ok=True)
        env = os.environ | {
            "SG_TEST_TABLE": self.logs / "table", "SG_TEST_LOGS": logs,
            "SG_TEST_GUEST": HERE / "fake_guest", "SG_TEST_HOST": HERE / "fake_host",
            "SG_FAKE_LOGS": self.logs, "SG_JOBS": "2"} | environ
        env = {name: str(value) for name, value in env.items()}
        return subprocess.Popen([ALL, target, *options], env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run_all(self, table, *options, **named):
        process = self.start(table, *options, **named)
        self.output, _ = process.communicate(timeout=60)
        self.status = process.returncode
        return self.output.splitlines()[-1]

    def durations(self):
        return json.loads((self.logs / "test/durations.json").read_text())

    def assert_nothing_left(self):
        """No process of the run, which would know its folder."""
        found = subprocess.run(["grep", "-laz", self.folder.name, *(
            str(path) for path in Path("/proc").glob("[0-9]*/environ") if path.parent.name != str(os.getpid()))],
            capture_output=True, text=True, check=False).stdout
        self.assertEqual(found, "")


def guest(name, seconds=1, flags="test"):
    return f"{name} - {seconds} {seconds} {seconds} - {flags}\n"


def host(name, needs="-", flags="test"):
    return f"{name} 1 - - - {needs} {flags}\n"


BUILDS = host("build-stock") + host("build-debug") + host("build-selftests") + host("build-debug-qemu", flags="-")


class Passing(Run):
    def test_all_pass_and_are_counted(self):
        last = self.run_all(BUILDS + host("tests", flags="test,tests") + guest("pass") + guest("skip"))
        self.assertEqual(last, "10 passed, 0 failed")  # 3 + 3 + 2 x 2
        self.assertEqual(self.status, 0)
        self.assertEqual((self.logs / "test/summary").read_text().strip(), last)
        self.assertIn("# 3 skipped:", self.output)
        self.assertEqual(set(self.durations()["suites"]), {
            "build-stock", "build-debug", "build-selftests", "tests", "stock/pass", "debug/pass",
            "stock/skip", "debug/skip"})

    def test_a_guest_is_booted_once_for_many_suites(self):
        self.run_all(BUILDS + "".join(guest(f"pass{n}") for n in range(8)), "--kernel", "debug", SG_JOBS="1")
        self.assertEqual(len(list((self.logs / "test").glob("guest-*"))), 1)

    def test_durations_survive_the_next_run(self):
        self.run_all(BUILDS + guest("pass") + guest("slow"))
        first = self.durations()
        self.run_all(BUILDS + guest("pass") + guest("slow"), "--name", "debug/pass")
        second = self.durations()
        self.assertEqual(first["total_s"], second["total_s"])
        self.assertEqual(first["suites"]["stock/slow"], second["suites"]["stock/slow"])
        self.assertIn("begins debug/pass (last time", self.output)

    def test_a_name_runs_what_it_needs_and_no_more(self):
        last = self.run_all(BUILDS + guest("pass") + guest("fail"), "--name", "pass", "--kernel", "debug")
        self.assertEqual(last, "4 passed, 0 failed")

    def test_the_longest_is_first(self):
        self.run_all(BUILDS + guest("pass_short", 1) + guest("pass_long", 9), SG_JOBS="1")
        begun = re.findall(r"begins stock/(\S+)", self.output)
        self.assertEqual(begun, ["pass_long", "pass_short"])

    def test_builds_come_before_guests(self):
        table = BUILDS + host("build-tools") + guest("pass", 99) + guest("slow", 50).replace(
            " - test", " build-tools test")
        self.run_all(table, "--kernel", "debug", SG_JOBS="1")
        self.assertEqual(self.output.count("boots "), 1)

    def test_shuffled_runs_print_a_seed_that_repeats_them(self):
        table = BUILDS + "".join(guest(f"pass{n}") for n in range(9))
        self.run_all(table, "--shuffle", "yes", SG_JOBS="1")
        seed = re.search(r"SHUFFLE=(\d+)", self.output)[1]
        first = re.findall(r"begins (\S+)", self.output)
        self.run_all(table, "--shuffle", seed, SG_JOBS="1")
        self.assertEqual(first, re.findall(r"begins (\S+)", self.output))
        self.assertNotEqual([name for name in first if "stock/" in name],
                            [f"stock/pass{n}" for n in range(9)])


class Failing(Run):
    def test_a_failing_test_is_shown_and_counted(self):
        last = self.run_all(BUILDS + guest("fail") + guest("pass"), "--kernel", "debug")
        self.assertEqual(last, "6 passed, 1 failed")
        self.assertIn("not ok 2 bad", self.output.split("# Failed:")[1])
        self.assertEqual(self.status, 1)
        self.assertIn("#   3:not ok 2 bad", self.output)

    def test_a_job_without_a_test_fails(self):
        last = self.run_all(BUILDS + guest("empty"), "--kernel", "debug")
        self.assertEqual(last, "3 passed, 1 failed")
        self.assertIn("ran no test", self.output)

    def test_what_needs_a_failed_build_fails(self):
        last = self.run_all("build-stock 1 - - - build-selftests test\n" + host("bad")
                            + "build-debug 1 - - - bad test\n" + host("build-selftests")
                            + host("build-debug-qemu", flags="-") + guest("pass"))
        self.assertEqual(last, "4 passed, 3 failed")
        self.assertIn("not run, because bad failed", self.output)
        self.assertIn("not run, because build-debug failed", self.output)

    def test_a_guest_that_dies_fails_its_suite_only(self):
        last = self.run_all(BUILDS + guest("die", 9) + guest("pass"), "--kernel", "debug")
        self.assertRegex(self.output, r"begins debug/die[^$]*not ok debug/die")
        self.assertEqual(last, "5 passed, 1 failed")
        self.assertIn("reported it during: die", self.output)

    def test_a_hang_is_bounded_and_named(self):
        last = self.run_all(BUILDS + guest("hang", 9) + guest("pass"), "--kernel", "debug",
                            SG_SUITE_SECONDS="1", SG_SUITE_GRACE="1")
        self.assertEqual(last, "5 passed, 1 failed")
        self.assertRegex(self.output, "not ok debug/hang")
        self.assertIn("hang: it was not done within 1 seconds", self.output)
        self.assert_nothing_left()

    def test_a_hang_on_the_host_is_bounded_and_named(self):
        last = self.run_all(host("hang") + host("good"), SG_SUITE_SECONDS="1")
        self.assertEqual(last, "1 passed, 1 failed")
        self.assertIn("hang: not done after 1 seconds", self.output)
        self.assert_nothing_left()

    def test_a_report_fails_the_run_and_names_suite_and_log(self):
        last = self.run_all(BUILDS + guest("report") + guest("pass"), "--kernel", "debug", SG_JOBS="1")
        self.assertEqual(last, "6 passed, 1 failed")
        self.assertIn("the kernel reported it during: report", self.output)
        self.assertRegex(self.output, f"its whole log: {self.logs}/.*log")

    def test_a_report_before_the_death_is_another_failure(self):
        last = self.run_all(BUILDS + guest("report", 9) + guest("die", 8), "--kernel", "debug", SG_JOBS="1")
        self.assertEqual(last, "4 passed, 2 failed")

    def test_guests_that_die_at_boot_are_given_up(self):
        last = self.run_all(BUILDS + guest("pass1") + guest("pass2"), "--kernel", "debug", SG_FAKE_BOOT="die")
        self.assertEqual(last.split(",")[0], "3 passed")
        self.assertIn("guests of debug die before they run one", self.output)

    def test_an_unknown_name_is_refused(self):
        last = self.run_all(BUILDS + guest("pass"), "--name", "nothing")
        self.assertIn("there is no test nothing", last)
        self.assertEqual(self.status, 2)


class Interrupted(Run):
    def interrupt(self, number):
        process = self.start(BUILDS + guest("hang"), SG_SUITE_GRACE="1")
        for line in process.stdout:
            if "begins debug/hang" in line:
                break
        time.sleep(0.2)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def test_nothing_is_left(self):
        status, output = self.interrupt(signal.SIGINT)
        self.assertEqual(status, 130)
        self.assertRegex(output.splitlines()[-1], r"\d+ passed, 1 failed")
        self.assert_nothing_left()

    def test_nothing_is_left_when_it_is_killed(self):
        self.interrupt(signal.SIGKILL)
        time.sleep(1)
        self.assert_nothing_left()


class Repeating(Run):
    def counted(self):
        return json.loads((self.logs / "test/repeat.json").read_text())

    def shown(self, title):
        """How often each suite ran and failed, in the table of that title."""
        text = self.output.split(f"# {title}:\n")[1].split(":\n")[0]
        return {name: [int(ran), int(failed)] for name, ran, failed in
                re.findall(r"^# (\S+) +(\d+) +(\d+) ", text, re.MULTILINE)}

    def test_calls_are_added_up(self):
        for rounds, load in (("2", ""), ("1", "yes"), ("3", "")):
            self.run_all(BUILDS + guest("pass") + guest("fail"), "--kernel", "debug",
                         "--rounds", rounds, "--load", load, target="repeat")
        counted = self.counted()
        self.assertEqual({kind: entry["calls"] for kind, entry in counted.items()},
                         {"without load": 2, "with load": 1})
        for kind, rounds in (("without load", 5), ("with load", 1)):
            suites = counted[kind]["suites"]
            self.assertEqual([suites[name][number] for name in ("debug/pass", "debug/fail")
                              for number in ("ran", "failed")], [rounds, 0, rounds, rounds])
            self.assertEqual(len(suites["debug/fail"]["seeds"]), rounds)
            title = f"all {counted[kind]['calls']} {kind}"
            self.assertEqual(self.shown(title)["debug/fail"], [rounds, rounds])
        self.assertEqual(self.shown("this call")["debug/fail"], [3, 3])

    def test_rounds_have_seeds_and_are_counted(self):
        self.run_all(BUILDS + guest("pass") + guest("fail"), "--rounds", "3", target="repeat")
        counted = self.counted()["without load"]["suites"]
        self.assertEqual(counted["debug/pass"]["ran"], 3)
        self.assertEqual(counted["debug/pass"]["failed"], 0)
        self.assertEqual(counted["stock/fail"]["failed"], 3)
        self.assertEqual(len(set(counted["stock/fail"]["seeds"])), 3)
        self.assertEqual(self.status, 1)

    def test_it_ends_when_the_time_is_over(self):
        begin = time.monotonic()
        self.run_all(BUILDS + guest("slow", 1, "repeat"), "--seconds", "2", target="repeat")
        self.assertLess(time.monotonic() - begin, 30)
        self.assertIn("the time is over", self.output)
        self.assertEqual(self.status, 0)

    def test_a_load_ends_with_the_run(self):
        self.run_all(BUILDS + guest("pass"), "--rounds", "1", "--load", "yes", target="repeat")
        self.assertEqual(list(self.counted()), ["with load"])
        self.assert_nothing_left()
