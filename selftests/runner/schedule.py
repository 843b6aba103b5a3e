# SPDX-License-Identifier: GPL-2.0
"""What runs next, where: decisions only, without a process or a file."""

import random

from .table import HOST

# What it costs to start a guest, in seconds.
BOOT = {HOST: 0, "stock": 12, "debug": 9, "debug-qemu": 45}


def weights(jobs):
    """How long a job and all that wait for it take, by name: whoever others wait for
    is started first, then who takes long."""
    waiting = {job.name: [] for job in jobs}
    for job in jobs:
        for need in job.needs:
            if need in waiting:
                waiting[need].append(job)
    found = {}

    def dependents(name):
        if name not in found:
            found[name] = set()
            for job in waiting[name]:
                found[name] |= {job.title} | dependents(job.name)
        return found[name]

    seconds = {job.title: job.seconds for job in jobs}
    return {job.name: job.seconds + sum(seconds[title] for title in dependents(job.name))
            for job in jobs}


def in_order(jobs, seed=None):
    """The order in which jobs are started as soon as they can be: by weight, round by
    round, or at random."""
    if seed is not None:
        jobs = sorted(jobs, key=lambda job: job.title)
        random.Random(seed).shuffle(jobs)
        return jobs
    weight = weights(jobs)
    return sorted(jobs, key=lambda job: (job.round, -weight[job.name], job.title))


class Plan:
    """Which jobs wait, which can start, and which are done."""

    def __init__(self, jobs, seed=None):
        self.jobs = in_order(jobs, seed)
        self.rank = {job.title: rank for rank, job in enumerate(self.jobs)}
        self.waiting = list(self.jobs)
        self.good = {}

    def release(self):
        """(ready, lost): what can start now, in order, and, as pairs with the failed
        need, what never will. Neither is told twice."""
        names = {job.name for job in self.jobs}
        ready, lost, waiting = [], [], []
        for job in self.waiting:
            needs = [need for need in job.needs if need in names]
            failed = [need for need in needs if self.good.get(need) is False]
            if failed:
                lost.append((job, failed[0]))
            elif all(self.good.get(need) for need in needs):
                ready.append(job)
            else:
                waiting.append(job)
        self.waiting = waiting
        return ready, lost

    def gates(self, job):
        """Whether others wait for it."""
        return any(job.name in other.needs for other in self.waiting)

    def done(self, name, good):
        self.good[name] = good and self.good.get(name, True)

    def drop(self):
        """Nothing that waits is started any more."""
        self.waiting = []


def choose_pool(left, lanes):
    """The pool that has most work left for each of its lanes, if one more were there;
    None if another lane would help none. `left` are the seconds of work that nobody
    has taken yet, `lanes` how many lanes each pool has."""
    best, most = None, 0.0
    for pool, seconds in left.items():
        there = lanes.get(pool, 0)
        if there and seconds <= BOOT.get(pool, 0):
            continue
        if seconds / (there + 1) > most:
            best, most = pool, seconds / (there + 1)
    return best


def time_left(jobs, running, lanes):
    """Seconds until all is done, as far as is known. `jobs` are not begun; `running` are
    pairs of a job and the seconds that it has run."""
    rest = [max(job.seconds - elapsed, 1.0) for job, elapsed in running]
    total = sum(job.seconds for job in jobs) + sum(rest)
    return max([total / lanes, *rest, 0])


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
