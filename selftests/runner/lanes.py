# SPDX-License-Identifier: GPL-2.0
"""The lanes: each runs one job of the host after the other, or one guest."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import process
from .guest import Guest
from .queue import Queue
from .results import Counts, Result, judge
from .schedule import Plan, choose_pool
from .table import HOST

# So many guests of one kernel that die before their first suite, and no other is tried.
FAILED_BOOTS = 2


@dataclass
class Settings:
    """What is the same for all jobs of a run."""

    checkout: Path
    logs: Path
    lanes: int
    limit: int  # seconds for a job
    grace: int  # so much longer a guest may take to end a job that is over its limit
    env: dict = field(default_factory=dict)  # for all jobs
    kernel_env: dict = field(default_factory=dict)  # for those on a kernel, by its name
    qemu_run: str = "qemu/run"
    host: str = "selftests/host"


class Lanes:
    def __init__(self, jobs, settings, progress, seed=None):
        self.settings = settings
        self.progress = progress
        self.plan = Plan(jobs, seed)
        self.queues = {pool: Queue(settings.logs / "queue" / pool)
                       for pool in sorted({job.pool for job in jobs}) if pool != HOST}
        self.host = []  # jobs that can start, in order
        self.lanes = {}  # how many each pool has
        self.guests = {}  # how many each pool had
        self.dead = {}  # how many of them died before a suite began
        self.changed = asyncio.Event()

    async def run(self):
        self.release()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.settings.lanes):
                group.create_task(self.lane())

    async def lane(self):
        while self.left_or_waiting() or self.lanes:
            # A guest that has begun would not see the suites that wait for a build.
            gate = any(self.plan.gates(job) for job in self.host)
            pool = HOST if gate else choose_pool(self.left(), self.lanes)
            if pool is None:
                await self.changed.wait()
                continue
            self.lanes[pool] = self.lanes.get(pool, 0) + 1
            try:
                await (self.run_host_job() if pool == HOST else self.run_guest(pool))
            finally:
                self.lanes[pool] -= 1
                if not self.lanes[pool]:
                    del self.lanes[pool]
                self.wake()

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    def left(self):
        left = {HOST: self.host} | {pool: queue.left() for pool, queue in self.queues.items()}
        return {pool: sum(max(job.seconds, 0.1) for job in jobs) for pool, jobs in left.items()}

    def left_or_waiting(self):
        return bool(self.plan.waiting) or any(self.left().values())

    # What Guest tells.
    def begins(self, job):
        self.progress.begins(job)

    def ends(self, job, result):
        self.progress.ends(job, result)
        self.plan.done(job.name, result.good)
        self.release()
        self.wake()

    def release(self):
        while True:
            ready, lost = self.plan.release()
            for job in ready:
                if job.pool == HOST:
                    self.host.append(job)
                    self.host.sort(key=lambda job: self.plan.rank[job.title])
                else:
                    self.queues[job.pool].add(job, self.plan.rank[job.title])
            for job, need in lost:
                self.lose(job, f"not run, because {need} failed")
            if not lost:
                return

    def lose(self, job, why):
        """It fails without having been run."""
        result = Result(job.name, Counts(failed=1), 0.0, [why], "", job.title, whole=False)
        self.progress.ends(job, result)
        self.plan.done(job.name, False)

    def end_early(self):
        """Nothing more is begun."""
        self.plan.drop()
        dropped = list(self.host)
        self.host.clear()
        for queue in self.queues.values():
            dropped += queue.take_all()
        self.wake()
        return dropped

    async def run_host_job(self):
        job = next(filter(self.plan.gates, self.host), self.host[0])
        self.host.remove(job)
        path = self.settings.logs / f"{job.title.replace('/', '-').replace(' #', '.')}.log"
        env = self.settings.env | self.settings.kernel_env.get(job.kernel, {}) | seed_env(job)
        command = [self.settings.host, job.suite, *([job.kernel] if job.kernel else [])]
        begin = time.monotonic()
        self.begins(job)
        status = await process.run_to_file(command, env, path, self.settings.limit)
        lines = path.read_text(errors="replace").splitlines()
        why = [f"hang: not done after {self.settings.limit} seconds"] if status is None else []
        counts, why = judge(job, lines, 1 if status is None else status, why)
        self.ends(job, Result(job.name, counts, time.monotonic() - begin, why, str(path), job.title,
                              job.seed, whole=status is not None and not why))

    async def run_guest(self, kernel):
        number = self.guests[kernel] = self.guests.get(kernel, 0) + 1
        checkout = self.settings.checkout
        command = [self.settings.qemu_run, "--kernel", kernel, "--timeout", 7 * 24 * 3600,
                   "--no-mitigations", "--", checkout / "selftests/run",
                   checkout / f"build/{kernel}/service_group.ko", "--queue"]
        env = self.settings.env | self.settings.kernel_env.get(kernel, {})
        env = env | {"SG_SUITE_SECONDS": self.settings.limit}
        guest = Guest(f"{kernel}-{number}", kernel, command, env, self.queues[kernel],
                      self.settings.logs, (self.settings.limit, self.settings.grace), self)
        self.progress.line(f"boots  guest {guest.name}")
        waiting = {job.title for job in self.queues[kernel].left()}
        wrong = await guest.serve()
        if wrong:
            self.progress.tell(wrong)
        # Others may have been faster.
        idle = guest.sound and waiting.isdisjoint(job.title for job in self.queues[kernel].left())
        self.dead[kernel] = 0 if guest.booted or idle else self.dead.get(kernel, 0) + 1
        if self.dead[kernel] >= FAILED_BOOTS:
            for job in self.queues[kernel].take_all():
                self.lose(job, f"not run, because guests of {kernel} die before they run one")


def seed_env(job):
    return {"SG_SEED": job.seed} if job.seed else {}
