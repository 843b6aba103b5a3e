# SPDX-License-Identifier: GPL-2.0
"""The command: what to run is chosen, provisioned, run and summed up."""

import argparse
import asyncio
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from . import repeat, targets
from .durations import Durations
from .lanes import Lanes, Settings
from .progress import Progress
from .results import Counts
from .table import TableError, choose, read_table, repeated, with_needs

CHECKOUT = Path(__file__).resolve().parent.parent.parent
# What a guest takes, with what runs it.
MEMORY = 1536 << 20
KEPT = ("durations.json", "repeat.json")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="selftests/all", description="Run tests, as make does.")
    parser.add_argument("target", nargs="?", default="test", choices=["check", "test", "long", "repeat"])
    parser.add_argument("--name", default="", help="only these, as `listen`, `debug/stall` or `clippy`")
    parser.add_argument("--kernel", choices=["", "stock", "debug", "debug-qemu"], help="only on this one")
    parser.add_argument("--shuffle", default="", help="`yes`, or a seed: in random order")
    parser.add_argument("--rounds", default="", help="repeat: each suite so often, whatever time it takes")
    parser.add_argument("--seconds", default="", help="repeat: for so long (default 3600)")
    parser.add_argument("--load", default="", help="`yes`: beside a load that takes all processors")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    options = parser.parse_args(arguments)
    options.rounds = number(parser, options.rounds)
    options.seconds = number(parser, options.seconds) or 3600
    return options


def number(parser, text):
    if text and not text.isdecimal():
        parser.error(f"{text} is not a whole number")
    return int(text or 0)


def processors():
    return len(os.sched_getaffinity(0))


def lanes():
    """Three for two processors, as far as there is memory for guests: suites wait for timers of the
    network and of the programs that they test for a third of their time."""
    given = os.environ.get("SG_JOBS")
    if given and (not given.isdecimal() or int(given) < 1):
        sys.exit(f"selftests/all: SG_JOBS is a whole number above 0, not {given}")
    with open("/proc/meminfo", encoding="ascii") as file:
        numbers = dict(line.split(":") for line in file)
    free = int(numbers["MemAvailable"].split()[0]) * 1024
    return int(given or 0) or max(1, min((processors() * 3 + 1) // 2, free // MEMORY))


class Run:
    def __init__(self, options):
        self.options = options
        self.logs = Path(os.environ.get("SG_TEST_LOGS") or CHECKOUT / "build/test")
        self.lanes = lanes()
        self.durations = Durations(self.logs / "durations.json", options.target)
        self.random = random.SystemRandom()
        self.seed = None
        self.progress = None
        self.interrupted = 0

    def plan(self):
        """(jobs, provisions)"""
        options = self.options
        table = Path(os.environ.get("SG_TEST_TABLE") or CHECKOUT / "selftests/jobs")
        jobs = [self.durations.expected(job) for job in read_table(table.read_text())]
        repeats = options.target == "repeat"
        target = "rounds" if repeats and options.rounds else options.target
        chosen = choose(jobs, target, options.name.split(), options.kernel)
        jobs, provisions = with_needs(jobs, chosen)
        if repeats:
            rounds = options.rounds or repeat.rounds_for(chosen, options.seconds, self.lanes)
            jobs = repeated(jobs, chosen, rounds, lambda: self.random.randrange(1, 1 << 31))
        if options.shuffle or repeats:
            given = options.shuffle.isdecimal()
            self.seed = int(options.shuffle) if given else self.random.randrange(1, 1 << 31)
        return jobs, provisions

    def provision(self, provisions):
        """Live, as it may take long."""
        names = sorted(provisions)
        return not names or subprocess.run(["setpriv", "--pdeathsig", "TERM", "qemu/provision", *names], cwd=CHECKOUT, check=False).returncode == 0

    def lock(self):
        """Another run in this checkout has the same folders."""
        self.logs.parent.mkdir(parents=True, exist_ok=True)
        self.locked = open(self.logs.with_suffix(".lock"), "w", encoding="ascii")
        try:
            fcntl.flock(self.locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("# another run uses this checkout: waiting for it", flush=True)
            fcntl.flock(self.locked, fcntl.LOCK_EX)

    def clean(self):
        self.logs.mkdir(parents=True, exist_ok=True)
        for path in self.logs.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def settings(self):
        target = self.options.target
        env = targets.settings(target)
        if target == "repeat":
            env["SG_QUEUE_SECONDS"] = 900
        return Settings(CHECKOUT, self.logs, self.lanes, targets.limit(target), targets.grace(), env,
                        targets.kernel_settings(target),
                        os.environ.get("SG_TEST_GUEST") or "qemu/run",
                        os.environ.get("SG_TEST_HOST") or "selftests/host")

    def time(self):
        """Seconds for which it runs, if those are what limits it."""
        options = self.options
        return options.seconds if options.target == "repeat" and not options.rounds else None

    def whole(self):
        """Under which target its duration is remembered; a part is of none."""
        options = self.options
        return None if options.name or options.kernel or options.target == "repeat" else options.target

    def main(self):
        jobs, provisions = self.plan()
        if self.options.list:
            for job in jobs:
                print(f"{job.seconds:6.0f} s  {job.title}")
            return 0
        self.lock()
        self.clean()
        os.chdir(CHECKOUT)
        if not self.provision(provisions):
            return self.end(Counts(failed=1))
        if self.seed is not None:
            print(f"# SHUFFLE={self.seed}")
        last = self.durations.totals.get(self.whole())
        self.progress = Progress(jobs, self.lanes, self.durations, last, self.time())
        with repeat.Load(processors()) if self.options.load == "yes" else nullcontext():
            self.run_all(Lanes(jobs, self.settings(), self.progress, self.seed))
        if not self.interrupted:
            self.progress.miss()
        seconds = self.progress.summarise(last)
        if self.options.target == "repeat":
            counted = repeat.table(self.progress.results)
            content = repeat.add(self.logs / "repeat.json", counted, seconds,
                                 self.options.load == "yes", self.seed)
            print("\n".join(repeat.tables(counted, content)))
        self.durations.write(None if self.interrupted else self.whole(), seconds)
        shutil.rmtree(self.logs / "queue", ignore_errors=True)
        return self.end(self.progress.total())

    def run_all(self, lanes):
        """What the host itself lacks, such as space on its disk, ends the run as well."""
        try:
            asyncio.run(self.run(lanes))
        except* OSError as errors:
            print(f"# the run cannot go on: {errors.exceptions[0]}", flush=True)

    async def run(self, lanes):
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(signal_number):
            if not self.interrupted:
                print("# interrupted: all that runs is ended", flush=True)
                self.interrupted = 128 + signal_number
                task.cancel()

        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(each, interrupt, each)
        if self.time():
            loop.call_later(self.time(), self.time_is_over, lanes)
        try:
            await lanes.run()
        except asyncio.CancelledError:
            if not self.interrupted:
                raise

    def time_is_over(self, lanes):
        print("# the time is over: what runs is the last", flush=True)
        for job in lanes.end_early():
            self.progress.todo.pop(job.title, None)
        self.progress.todo.clear()

    def end(self, counts):
        if self.interrupted:
            counts.failed += 1
        text = f"{counts.passed} passed, {counts.failed} failed"
        (self.logs / "summary").write_text(text + "\n")
        print(text, flush=True)
        return self.interrupted or int(counts.failed > 0)


def main():
    try:
        return Run(parse(sys.argv[1:])).main()
    except TableError as error:
        print(f"selftests/all: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
