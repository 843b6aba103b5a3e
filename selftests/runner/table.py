# SPDX-License-Identifier: GPL-2.0
"""The table of all jobs (selftests/jobs), and which of them a run has."""

from dataclasses import dataclass, replace

HOST = "host"
KERNELS = {"stock": "stock", "debug": "debug", "qemu": "debug-qemu"}
PLACES = ("stock", "debug")
EMULATED = "debug-qemu"
PROVISION = "provision-"


@dataclass(frozen=True)
class Job:
    """One job: a command of the host, or a suite on a kernel."""

    suite: str  # its name in the table
    kernel: str | None  # None: it is about no kernel
    seconds: float  # how long it is expected to take
    needs: tuple[str, ...]  # names of jobs that must have passed
    flags: frozenset[str]
    round: int = 0  # it is repeated; 0 is a job that is not
    seed: int = 0  # 0: the suite chooses

    @property
    def name(self):
        return f"{self.kernel}/{self.suite}" if self.kernel else self.suite

    @property
    def title(self):
        return f"{self.name} #{self.round}" if self.round else self.name

    @property
    def pool(self):
        """Where it waits for a lane: the host, or the guests of a kernel."""
        return self.kernel if self.kernel and "apart" not in self.flags else HOST


class TableError(Exception):
    """The table, or what was asked of it, makes no sense."""


def rows(text):
    """The words of each row."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 7:
            raise TableError(f"line {number} has {len(words)} words, not 7")
        yield words


def read_table(text):
    """All jobs that the text describes, in its order."""
    jobs = [job for row in rows(text) for job in row_jobs(*row)]
    names = [job.name for job in jobs]
    for job in jobs:
        if names.count(job.name) > 1:
            raise TableError(f"{job.name} is there twice")
        for need in job.needs:
            if need not in names and not need.startswith(PROVISION):
                raise TableError(f"{job.name} needs {need}, which is not there")
    return jobs


def row_jobs(name, host, stock, debug, qemu, needs, flags):
    needs = () if needs == "-" else tuple(needs.split(","))
    flags = frozenset() if flags == "-" else frozenset(flags.split(","))
    if host != "-":
        yield Job(name, None, float(host), needs, flags)
    for column, seconds in (("stock", stock), ("debug", debug), ("qemu", qemu)):
        if seconds != "-":
            kernel = KERNELS[column]
            own = (f"build-{kernel}", "build-selftests")
            yield Job(name, kernel, float(seconds), needs + own, flags)


def is_wanted(job, name):
    """Whether NAME asks for it: `listen` is listen, listen_fit and so on, on each
    kernel; `debug/listen` is the same on one."""
    kernel, slash, suite = name.rpartition("/")
    if slash and kernel != job.kernel:
        return False
    return bare(job.suite) == bare(suite) or job.suite.startswith(suite + "_")


def bare(name):
    return name.rpartition(".")[0] or name


def of_target(jobs, target):
    """The jobs of `check`, `test`, `long`, `repeat` or `rounds` (all suites, to be
    repeated), before NAME and KERNEL choose among them."""
    if target == "check":
        return [job for job in jobs if "check" in job.flags and not job.kernel]
    if target == "long":
        return [job for job in jobs
                if ("smoke" if job.kernel == EMULATED else "long") in job.flags]
    usual = [job for job in jobs if job.kernel != EMULATED]
    if target == "repeat":
        return [job for job in usual if "repeat" in job.flags]
    if target == "rounds":
        return [job for job in usual if job.kernel and "test" in job.flags and "once" not in job.flags]
    return [job for job in usual if "test" in job.flags]


def choose(jobs, target, names=(), kernel=None):
    """What a run has, with all that it needs. A NAME asks for jobs that its
    target would not have as well."""
    if not names:
        chosen = of_target(jobs, target)
    else:
        chosen = []
        possible = named_of_target(jobs, target)
        for name in names:
            found = [job for job in possible if is_wanted(job, name)]
            if not found:
                raise TableError(f"there is no test {name}; there are: {all_names(possible)}")
            chosen += [job for job in found if job not in chosen]
    if kernel:
        chosen = [job for job in chosen if job.kernel in (None, kernel)]
        if not chosen:
            raise TableError(f"nothing of this runs on the kernel {kernel}")
    return chosen


def named_of_target(jobs, target):
    if target == "check":
        return [job for job in jobs if not job.kernel]
    if target == "long":
        return jobs
    if target in ("repeat", "rounds"):
        return [job for job in jobs if job.kernel and job.kernel != EMULATED]
    return [job for job in jobs if job.kernel != EMULATED]


def all_names(jobs):
    return " ".join(dict.fromkeys(job.suite for job in jobs))


def with_needs(jobs, chosen):
    """(jobs, provisions): the chosen ones and all that they need, in the table's
    order, and the names of what is to be provisioned."""
    by_name = {job.name: job for job in jobs}
    wanted, provisions, todo = set(), set(), list(chosen)
    while todo:
        job = todo.pop()
        if job.name in wanted:
            continue
        wanted.add(job.name)
        for need in job.needs:
            if need.startswith(PROVISION):
                provisions.add(need.removeprefix(PROVISION))
            else:
                todo.append(by_name[need])
    return [job for job in jobs if job.name in wanted], provisions


def repeated(jobs, chosen, rounds, draw):
    """The chosen jobs so many times, each with a seed that draw() gives; the others,
    which are needed, once."""
    names = {job.name for job in chosen}
    plan = [job for job in jobs if job.name not in names]
    for number in range(1, rounds + 1):
        plan += [replace(job, round=number, seed=draw()) for job in jobs if job.name in names]
    return plan
