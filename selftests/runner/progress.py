# SPDX-License-Identifier: GPL-2.0
"""What is printed while jobs run, and at the end: plain lines, for a terminal and a
log alike."""

import time
from pathlib import Path

from .durations import longest
from .results import Counts, Result, excerpt
from .schedule import clock, time_left


def lines_of(result):
    """What a job printed; nothing if that is not known."""
    try:
        with open(result.log, errors="replace") as log:
            return log.readlines()
    except OSError:
        return []


class Progress:
    def __init__(self, jobs, lanes, durations, last_total, limit=None):
        """`limit`: jobs are begun for so many seconds only."""
        self.todo = {job.title: job for job in jobs}
        self.running = {}
        self.all = len(jobs)
        self.lanes = lanes
        self.durations = durations
        self.results = []
        self.begun = time.monotonic()
        self.end = self.begun + limit if limit else None
        last = f"; last time it took {clock(last_total)}" if last_total else ""
        print(f"# {len(jobs)} jobs in {lanes} lanes, about {clock(self.left())} minutes{last}", flush=True)

    def left(self):
        now = time.monotonic()
        running = [(job, now - begun) for job, begun in self.running.values()]
        left = time_left(self.todo.values(), running, self.lanes)
        return left if self.end is None else min(left, max(self.end - now, 0))

    def line(self, text):
        done = self.all - len(self.todo) - len(self.running)
        elapsed = clock(time.monotonic() - self.begun)
        print(f"[{elapsed} {done:{len(str(self.all))}}/{self.all}, {clock(self.left())} left] {text}",
              flush=True)

    def begins(self, job):
        self.todo.pop(job.title, None)
        self.running[job.title] = (job, time.monotonic())
        last = self.durations.last(job)
        known = f"last time {last:.0f} s" if last is not None else f"perhaps {job.seconds:.0f} s"
        seed = f", seed {job.seed}" if job.seed else ""
        self.line(f"begins {job.title} ({known}{seed})")

    def ends(self, job, result):
        self.todo.pop(job.title, None)
        self.running.pop(job.title, None)
        if result.whole:
            self.durations.add(job.name, result.seconds)
        self.tell(result)
        # Of many rounds only those that fail are of interest.
        if result.good and job.round and result.log:
            Path(result.log).unlink(missing_ok=True)

    def tell(self, result):
        """A result, of a job or of a guest."""
        self.results.append(result)
        counts = result.counts
        verdict = "ok    " if result.good else "not ok"
        tests = f"{counts.failed} of {counts.passed + counts.failed} tests fail" if counts.failed \
            else f"{counts.passed} passed"
        skipped = f", {counts.skipped} skipped" if counts.skipped else ""
        self.line(f"{verdict} {result.title or result.name}: {tests}{skipped} ({result.seconds:.0f} s)")
        if not result.good:
            self.show(result)

    def show(self, result):
        for line in result.why:
            print(f"# {line}")
        if result.seed:
            print(f"# seed {result.seed}")
        if result.log:
            print(f"# {result.log}:")
            for line in excerpt(lines_of(result)):
                print(f"#   {line}")
        print(end="", flush=True)

    def miss(self):
        """What was planned and has no result is a failure, whatever the reason."""
        for title in [*self.todo, *self.running]:
            self.tell(Result(title, Counts(failed=1), 0.0, ["it was never run to its end"], "",
                             title, whole=False))

    def total(self):
        return sum((result.counts for result in self.results), Counts())

    def summarise(self, last_total):
        """Everything at the end but the last line."""
        seconds = time.monotonic() - self.begun
        print("\n# The longest:")
        for result in longest(self.results):
            print(f"#   {result.seconds:6.1f} s  {result.title or result.name}")
        skipping = [result for result in self.results if result.counts.skipped]
        if skipping:
            print(f"# {self.total().skipped} skipped:", ", ".join(
                f"{result.title or result.name} {result.counts.skipped}" for result in skipping))
        failing = [result for result in self.results if not result.good]
        if failing:
            print("# Failed:")
            for result in failing:
                print(f"#   {result.title or result.name}: {result.counts.failed}"
                      f"{''.join('; ' + line for line in result.why)} ({result.log})")
                # Where only the end of the output is kept, this has to tell what failed.
                for line in excerpt(lines_of(result), most=10, tail=0):
                    print(f"#     {line}")
        last = f" (last time {clock(last_total)})" if last_total else ""
        print(f"# It took {clock(seconds)} minutes{last}.")
        return seconds
