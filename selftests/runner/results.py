# SPDX-License-Identifier: GPL-2.0
"""What the output of a job says about its tests."""

import re
from dataclasses import dataclass, field

TAP = re.compile(r"^([ \t]*)(not )?ok [0-9]+(.*)$")
NOT_COUNTED = re.compile(r"# (SKIP|TODO)\b", re.IGNORECASE)
CARGO = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored")
FAILING = re.compile(r"^[ \t]*not ok|^test .* FAILED|^error")


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed,
                      self.skipped + other.skipped)

    @property
    def total(self):
        return self.passed + self.failed + self.skipped


@dataclass
class Result:
    """What became of one job."""

    name: str
    counts: Counts
    seconds: float = 0.0
    why: list[str] = field(default_factory=list)  # of a failure that no test tells
    log: str = ""
    title: str = ""
    seed: int = 0
    whole: bool = True  # it ran to its end, so that its duration means something

    @property
    def good(self):
        return self.counts.failed == 0


def count(lines):
    """The innermost results of TAP and KTAP, and the sums of cargo. A TAP result that
    follows deeper ones sums these up, and counts only if it fails and none of
    them did."""
    counts = Counts()
    inner = []  # (depth, whether one failed) of results that nothing has summed up yet
    for line in lines:
        if match := TAP.match(line):
            depth = len(match[1].expandtabs(4))
            summed = [failed for d, failed in inner if d > depth]
            inner = [entry for entry in inner if entry[0] <= depth]
            skipped = bool(NOT_COUNTED.search(match[3]))
            failed = bool(match[2]) and not skipped
            inner.append((depth, failed or any(summed)))
            if not summed or (failed and not any(summed)):
                counts += Counts(int(not failed and not skipped), int(failed), int(skipped))
        elif match := CARGO.match(line):
            counts += Counts(*(int(match[n]) for n in (1, 2, 3)))
    return counts


def judge(job, lines, status, why=()):
    """(counts, why) of a job that ended with this status. One that fails without a
    failed test is a failed one itself, and so is one that ran none."""
    why = list(why)
    counts = count(lines) if job.kernel or "tests" in job.flags else Counts(int(status == 0))
    if status != 0 and counts.failed == 0:
        why = why or [f"exit status {status}"]
    elif counts.total == 0:
        why.append("ran no test")
    if why and counts.failed == 0:
        counts.failed = 1
    return counts, why


def excerpt(lines, most=40, tail=60):
    """What to show of a failure: the lines that fail, by number, and the end."""
    lines = [line.rstrip("\n") for line in lines]
    shown = [f"{n}:{line}" for n, line in enumerate(lines, 1) if FAILING.match(line)]
    return shown[:most] + (["…"] * bool(shown) + lines[-tail:] if tail else [])


def reported_suites(shown, log):
    """The suites during which the kernel reported something. `shown` is what qemu/run
    printed, the kernel's lines among others: groups of lines, of which the first is a
    report; `log` is the kernel's log, where a line tells when a suite begins and ends."""
    heads = set()
    head = True
    for line in shown:
        if line != "--" and not re.match(r"\[ *\d+\.\d+\]", line):
            continue
        if head:
            heads.add(line)
        head = line == "--"
    suites, current = [], None
    for line in log:
        if match := re.search(r"selftests: (\S+) (begins|ends)$", line):
            current = match[1] if match[2] == "begins" else None
        elif line in heads and current and current not in suites:
            suites.append(current)
    return suites
