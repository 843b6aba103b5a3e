# SPDX-License-Identifier: GPL-2.0
"""One guest that runs suites until none is left: its output, told apart by suite, and
what becomes of the suite during which it dies, hangs or is killed."""

import asyncio
import re
import time

from . import process
from .results import Counts, Result, judge, reported_suites

MARK = re.compile(rb"#@ (begins|ends) (\S+)(?: (\d+))?\s*$")
# How long a guest may take to begin its first suite, and to end after the last one,
# beside a load.
BOOT_LIMIT = 900
END_LIMIT = 600
REPORTED = 99


class Guest:
    """`tell` is told what begins and ends; `queue` has the suites. `limits` are a suite's
    seconds, after which the guest ends it, and how many more that may take."""

    def __init__(self, name, kernel, command, env, queue, logs, limits, tell):
        self.name, self.kernel, self.command = name, kernel, command
        self.queue, self.logs, self.tell = queue, logs, tell
        self.limit, self.grace = limits
        self.env = env | {"SG_QUEUE": queue.folder, "SG_TAKEN": queue.guest_folder(name)}
        self.log = logs / f"guest-{name}.log"
        self.entry = None  # what it runs
        self.begun = 0.0
        self.output = None
        self.ended = []  # entries
        self.booted = False
        self.sound = False  # whether it ended as it should
        self.reported = set()  # suites during which the kernel reported something

    async def serve(self):
        """Runs it to its end, and says what is wrong with the guest itself, if anything
        is: a result or None."""
        begin = time.monotonic()
        with open(self.log, "ab", buffering=0) as log:
            guest = await process.start(self.command, self.env, asyncio.subprocess.PIPE, log)
            try:
                self.kernel_log = f"build/guest/*-{self.kernel}-{guest.pid}.log"
                killed = await self.read(guest.stdout, log)
                if killed:
                    await process.stop(guest)
                status = await guest.wait()
            finally:
                await process.stop(guest)
                if self.output:
                    self.output.close()
        return self.verdict(status, killed, time.monotonic() - begin)

    async def read(self, stream, log):
        """Reads to the end; returns why the guest is to be killed, or None."""
        quiet_limit, what = BOOT_LIMIT, "it did not begin with a suite"
        deadline = time.monotonic() + quiet_limit
        while True:
            try:
                line = await asyncio.wait_for(stream.readline(), deadline - time.monotonic())
            except asyncio.TimeoutError:
                seconds = self.limit if self.entry else quiet_limit
                return f"{what} within {seconds} seconds"
            if not line:
                return None
            if match := MARK.match(line):
                self.mark(match[1], match[2].decode(), int(match[3] or 0))
                quiet_limit = self.limit + self.grace if self.entry else END_LIMIT
                what = "it was not done" if self.entry else "the guest did not end or go on"
                deadline = time.monotonic() + quiet_limit
            else:
                (self.output or log).write(line)

    def mark(self, kind, entry, status):
        job = self.queue.jobs.get(entry)
        if job is None:
            return
        if kind == b"begins":
            self.entry, self.begun, self.booted = entry, time.monotonic(), True
            self.output = open(self.log_of(job), "wb", buffering=0)
            self.tell.begins(job)
        elif entry == self.entry:
            self.end(status, [])

    def log_of(self, job):
        suffix = f".{job.round}" if job.round else ""
        return self.logs / f"{job.kernel}-{job.suite}{suffix}.log"

    def end(self, status, why):
        """The suite that runs has ended, or with `why` was ended."""
        job = self.queue.jobs[self.entry]
        self.output.close()
        path = self.log_of(job)
        lines = path.read_text(errors="replace").splitlines()
        counts, why = judge(job, lines, status, why)
        self.ended.append(self.entry)
        self.entry = self.output = None
        self.tell.ends(job, Result(job.name, counts, time.monotonic() - self.begun, why, str(path),
                                   job.title, job.seed, whole=not why))

    def verdict(self, status, killed, seconds):
        printed = self.log.read_text(errors="replace").splitlines()
        why = self.explain(status, killed, printed)
        self.sound = status == 0
        if unshared := set(self.ended) - set(self.queue.taken(self.name)):
            self.booted = self.sound = False
            why = [f"the host does not see what the guest took: {' '.join(sorted(unshared))}"]
        cut = set()
        for entry in self.queue.taken(self.name):
            if entry in self.ended:
                continue
            if entry != self.entry:  # it was taken, and the guest died before it said so
                self.mark(b"begins", entry, 0)
            cut.add(self.queue.jobs[entry].suite)
            self.end(status or 1, why or ["the guest ended before the suite did"])
        # One failure is counted once, unless other suites have their part in it.
        if not why or (cut and self.reported <= cut):
            return None
        return Result(f"guest {self.name}", Counts(failed=1), seconds, why, str(self.log),
                      f"guest {self.name}", whole=False)

    def explain(self, status, killed, printed):
        """Why the guest ended as it should not have, in sentences."""
        if killed:
            return [f"hang: {killed}; the guest was killed; kernel log: {self.kernel_log}"]
        if status == 0:
            return []
        said = [line for line in printed if line.startswith("run: ")]
        if status != REPORTED:
            return said[-3:] or [f"the guest ended with status {status}"]
        why = said[-3:]
        suites = reported_suites(printed, kernel_log(said))
        self.reported = set(suites)
        ran = [self.queue.jobs[entry].suite for entry in self.ended]
        ran += [self.queue.jobs[self.entry].suite] if self.entry else []
        if suites:
            why.append(f"the kernel reported it during: {' '.join(suites)}")
        else:
            why.append(f"the kernel reported it after or between: {' '.join(ran) or 'no suite'}")
        return why


def kernel_log(said):
    """The lines of the kernel log that qemu/run names."""
    for line in reversed(said):
        if match := re.search(r"log: (.+)$", line):
            try:
                with open(match[1], errors="replace") as file:
                    return file.read().splitlines()
            except OSError:
                return []
    return []
