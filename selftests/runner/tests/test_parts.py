# SPDX-License-Identifier: GPL-2.0
"""The parts that decide and count, one by one."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from .. import targets
from ..durations import Durations
from ..queue import Queue
from ..results import Counts, count, excerpt, judge, reported_suites
from ..schedule import Plan, choose_pool, time_left, weights
from ..table import TableError, choose, read_table, repeated, with_needs

TABLE = """
build-stock 60 - - - provision-stock check,test
build-debug 40 - - - provision-debug check,test
build-debug-qemu 40 - - - provision-debug-qemu -
build-selftests 20 - - - provision-stock check,test
clippy 60 - - - - check,test
two_guests - 100 - 600 - test,tests,apart
kunit - - 5 20 - test,smoke   # only where there is KUnit
listen - 8 6 36 - test
listen_fit - 6 5 30 - test
netlink.py - 6 5 30 - test
netlink_set.py - 6 5 30 - test
stress - 20 200 100 - test,long,smoke,repeat
"""
JOBS = read_table(TABLE)


def names(jobs):
    return [job.name for job in jobs]


class Counting(unittest.TestCase):
    def check(self, text, passed, failed, skipped):
        self.assertEqual(count(text.splitlines()), Counts(passed, failed, skipped))

    def test_tap(self):
        self.check("1..3\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no\n# ok 4", 1, 1, 1)
        self.check("ok\nok 1\nnot ok 1\nokay 1\nit is ok 1", 1, 1, 0)

    def test_a_result_that_sums_up_is_not_counted(self):
        self.check("    ok 1 a\n    ok 2 b\nok 1 suite", 2, 0, 0)
        self.check("    ok 1 a\n    not ok 2 b\nnot ok 1 suite", 1, 1, 0)
        self.check("        ok 1 a\n    ok 1 b\nok 1 suite\nok 2 other", 2, 0, 0)

    def test_unless_it_alone_fails(self):
        self.check("    ok 1 a\n    ok 2 b\nnot ok 1 suite", 2, 1, 0)

    def test_what_is_left_to_do_did_not_fail(self):
        self.check("not ok 1 a # TODO later\nnot ok 2 b # skip\nnot ok 3 # TODOS", 0, 1, 2)

    def test_cargo(self):
        self.check("test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured\n"
                   "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured", 15, 1, 2)


class Judging(unittest.TestCase):
    def judge(self, text, status, name="debug/listen"):
        job = next(job for job in JOBS if job.name == name)
        return judge(job, text.splitlines(), status)

    def test_a_status_is_a_failure_if_no_test_is(self):
        self.assertEqual(self.judge("ok 1", 3), (Counts(1, 1, 0), ["exit status 3"]))
        self.assertEqual(self.judge("not ok 1", 1), (Counts(0, 1, 0), []))

    def test_no_test_is_a_failure(self):
        self.assertEqual(self.judge("", 0), (Counts(0, 1, 0), ["ran no test"]))
        self.assertEqual(self.judge("ok 1 # SKIP", 0), (Counts(0, 0, 1), []))

    def test_a_step_is_one_test(self):
        self.assertEqual(self.judge("", 0, "clippy"), (Counts(1, 0, 0), []))
        self.assertEqual(self.judge("ok 1", 1, "clippy")[0], Counts(0, 1, 0))

    def test_what_is_shown_of_a_failure(self):
        lines = [f"line {n}" for n in range(200)]
        lines[7] = "not ok 1 bad"
        shown = excerpt(lines)
        self.assertEqual(shown[0], "8:not ok 1 bad")
        self.assertEqual(shown[-1], "line 199")
        self.assertEqual(len(shown), 62)


class Reports(unittest.TestCase):
    LOG = ["[1.0] selftests: listen begins", "[2.0] BUG: a", "[3.0] trace", "[4.0] selftests: listen ends",
           "[5.0] selftests: stress begins", "[6.0] BUG: b", "[7.0] selftests: stress ends", "[8.0] BUG: c"]

    def test_it_is_of_the_suite_that_ran(self):
        shown = ["[2.0] BUG: a", "[3.0] trace", "--", "[6.0] BUG: b"]
        self.assertEqual(reported_suites(shown, self.LOG), ["listen", "stress"])

    def test_what_others_print_is_no_report(self):
        shown = ["TAP version 13", "[2.0] BUG: a", "--", "run: see the log"]
        self.assertEqual(reported_suites(shown, self.LOG), ["listen"])

    def test_what_merely_follows_a_report_is_none(self):
        self.assertEqual(reported_suites(["[2.0] BUG: a", *self.LOG[2:6]], self.LOG), ["listen"])

    def test_after_all_suites_it_is_of_none(self):
        self.assertEqual(reported_suites(["[8.0] BUG: c"], self.LOG), [])


class Choosing(unittest.TestCase):
    def test_a_name_is_a_family_on_each_kernel(self):
        self.assertEqual(names(choose(JOBS, "test", ["listen"])),
                         ["stock/listen", "debug/listen", "stock/listen_fit", "debug/listen_fit"])
        self.assertEqual(names(choose(JOBS, "test", ["debug/listen_fit"])), ["debug/listen_fit"])
        self.assertEqual(names(choose(JOBS, "test", ["netlink"], "debug")),
                         ["debug/netlink.py", "debug/netlink_set.py"])
        self.assertEqual(names(choose(JOBS, "test", ["clippy", "kunit"])), ["clippy", "debug/kunit"])

    def test_what_is_unknown_is_refused(self):
        for name in ("nothing", "list", "debug-qemu/listen", "stock/kunit"):
            with self.assertRaises(TableError):
                choose(JOBS, "test", [name])
        with self.assertRaises(TableError):
            choose(JOBS, "test", ["kunit"], "stock")

    def test_targets(self):
        self.assertNotIn("debug-qemu", " ".join(names(choose(JOBS, "test"))))
        self.assertEqual(names(choose(JOBS, "long")),
                         ["debug-qemu/kunit", "stock/stress", "debug/stress", "debug-qemu/stress"])
        self.assertEqual(len(choose(JOBS, "long", ["listen"])), 6)
        self.assertEqual(names(choose(JOBS, "repeat")), ["stock/stress", "debug/stress"])
        self.assertNotIn("stock", {job.kernel for job in choose(JOBS, "check")})

    def test_needs_come_along(self):
        jobs, provisions = with_needs(JOBS, choose(JOBS, "test", ["debug/listen_fit"]))
        self.assertEqual(names(jobs), ["build-debug", "build-selftests", "debug/listen_fit"])
        self.assertEqual(provisions, {"stock", "debug"})

    def test_rounds(self):
        jobs = repeated(*(with_needs(JOBS, [JOBS[-2]])[0], [JOBS[-2]]), 3, iter(range(7, 99)).__next__)
        self.assertEqual([job.title for job in jobs],
                         ["build-debug", "build-selftests", "debug/stress #1", "debug/stress #2", "debug/stress #3"])
        self.assertEqual([job.seed for job in jobs], [0, 0, 7, 8, 9])

    def test_a_table_that_makes_no_sense_is_refused(self):
        for text in ("a 1 - -", "a 1 - - - b test", "a 1 - - - - -\na 2 - - - - -"):
            with self.assertRaises(TableError):
                read_table(text)


class Scheduling(unittest.TestCase):
    def test_what_most_wait_for_is_first(self):
        plan = Plan(JOBS)
        ready, _ = plan.release()
        self.assertEqual(names(ready), ["build-selftests", "build-debug-qemu", "build-debug", "build-stock", "clippy"])
        self.assertGreater(weights(JOBS)["build-selftests"], weights(JOBS)["build-debug"])

    def test_what_waits_for_several_waits_for_all(self):
        plan = Plan(JOBS)
        plan.release()
        plan.done("build-debug", True)
        self.assertEqual(plan.release(), ([], []))
        plan.done("build-selftests", True)
        self.assertEqual({job.kernel for job in plan.release()[0]}, {"debug"})

    def test_what_needs_a_failure_is_lost_once(self):
        plan = Plan(JOBS)
        plan.release()
        plan.done("build-stock", False)
        ready, lost = plan.release()
        self.assertEqual((ready, {job.kernel for job, _ in lost}), ([], {"stock"}))
        self.assertEqual(plan.release(), ([], []))

    def test_the_longest_is_first_and_a_seed_changes_that(self):
        order = [job.suite for job in Plan(JOBS).jobs if job.kernel == "debug"]
        self.assertEqual(order[:2], ["stress", "listen"])
        orders = {tuple(names(Plan(JOBS, seed).jobs)) for seed in (1, 1, 2, 3)}
        self.assertEqual(len(orders), 3)

    def test_a_lane_goes_where_most_is_left_for_one(self):
        self.assertEqual(choose_pool({"host": 50, "debug": 90}, {}), "debug")
        self.assertEqual(choose_pool({"host": 50, "debug": 90}, {"debug": 1}), "host")
        self.assertEqual(choose_pool({"host": 10, "debug": 90}, {"debug": 1}), "debug")
        self.assertIsNone(choose_pool({"host": 0, "debug": 0}, {}))

    def test_no_guest_is_booted_for_less_than_that_costs(self):
        self.assertIsNone(choose_pool({"stock": 5}, {"stock": 1}))
        self.assertEqual(choose_pool({"stock": 5}, {}), "stock")

    def test_time_left(self):
        job = JOBS[0]  # 60 seconds
        self.assertEqual(time_left([], [], 2), 0)
        self.assertEqual(time_left([job, job], [(job, 30)], 2), 75)
        self.assertEqual(time_left([], [(job, 10)], 2), 50)
        self.assertEqual(time_left([], [(job, 100)], 2), 1)


class Queueing(unittest.TestCase):
    def test_what_is_taken_is_taken_once(self):
        with tempfile.TemporaryDirectory() as folder:
            queue = Queue(Path(folder) / "queue")
            for rank, job in enumerate(JOBS[-3:]):
                queue.add(job, rank)
            mine = queue.guest_folder("mine")
            first = sorted(queue.waiting.iterdir())[0]
            first.rename(mine / first.name)
            self.assertEqual(queue.taken("mine"), [first.name])
            self.assertEqual(queue.left(), JOBS[-2:])
            self.assertEqual(queue.take_all(), JOBS[-2:])
            self.assertEqual(queue.left(), [])

    def test_guests_that_take_at_once_take_each_once(self):
        """With the guest's half, which is lib/queue.bash."""
        bash = Path(__file__).resolve().parent.parent.parent / "lib/queue.bash"
        with tempfile.TemporaryDirectory() as folder:
            queue = Queue(Path(folder) / "queue")
            for rank in range(100):
                queue.add(JOBS[-1], rank)
            guests = [subprocess.Popen(
                ["bash", "-c", f". {bash}; ran() {{ :; }}; serve_queue ran"], stdout=subprocess.PIPE, text=True,
                env={"PATH": "/usr/bin:/bin", "SG_QUEUE": str(queue.folder),
                     "SG_TAKEN": str(queue.guest_folder(f"guest-{number}"))}) for number in range(3)]
            lines = "".join(guest.communicate()[0] for guest in guests).splitlines()
            begun = sorted(line.split()[2] for line in lines if line.startswith("#@ begins "))
            self.assertEqual(begun, sorted(queue.jobs))
            self.assertEqual(queue.left(), [])


class Asking(unittest.TestCase):
    def test_a_repeated_stress_is_as_hard_where_it_is_checked(self):
        once, again = (targets.kernel_settings(target, {})["debug"] for target in ("test", "repeat"))
        self.assertEqual(once["SG_STRESS_OPS"], 100_000)
        self.assertEqual(again, once)


class Remembering(unittest.TestCase):
    def test_targets_are_kept_apart(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "durations.json"
            stress = next(job for job in JOBS if job.name == "debug/stress")
            self.assertEqual(Durations(path).expected(stress).seconds, 200)
            for target, seconds in (("long", 999), ("test", 111)):
                durations = Durations(path, target)
                durations.add("debug/stress", seconds)
                durations.write(target, seconds)
            self.assertEqual(Durations(path).expected(stress).seconds, 111)
            self.assertEqual(Durations(path, "long").expected(stress).seconds, 999)
            self.assertEqual(Durations(path, "repeat").expected(stress).seconds, 111)

    def test_a_file_that_is_broken_is_none(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "durations.json"
            for text in ("", "[]", "{", '{"suites": null}'):
                path.write_text(text)
                self.assertEqual(Durations(path).last(JOBS[0]), None)
