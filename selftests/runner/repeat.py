# SPDX-License-Identifier: GPL-2.0
"""Suites that are repeated: how many rounds to plan, a load beside them, and how
often each ran and failed."""

import json
import subprocess
import sys

# So many rounds that the time is over first.
PLENTY = 10
MOST_ROUNDS = 1000


def rounds_for(jobs, seconds, lanes):
    one = sum(job.seconds for job in jobs) / lanes
    return min(max(int(PLENTY * seconds / max(one, 1)), 2), MOST_ROUNDS)


class Load:
    """Takes all processors as long as it is entered."""

    def __init__(self, processors):
        self.processors = processors
        self.processes = []

    def __enter__(self):
        for _ in range(self.processors):
            self.processes.append(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-c", "while True: pass"],
                start_new_session=True))

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


def table(results):
    """How often each suite ran and failed: {name: {"ran", "failed", "seconds", "seeds"}}; the
    seeds are those of the rounds that failed."""
    found = {}
    for result in results:
        entry = found.setdefault(result.name, {"ran": 0, "failed": 0, "seconds": 0.0, "seeds": []})
        entry["ran"] += 1
        entry["seconds"] = round(entry["seconds"] + result.seconds, 1)
        if not result.good:
            entry["failed"] += 1
            entry["seeds"].append(result.seed)
    return dict(sorted(found.items()))


def kind_of(load):
    """Under which name a call is counted."""
    return "with load" if load else "without load"


def read(path):
    """What the calls before have counted, by their kind."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {kind: content[kind] for kind in map(kind_of, (False, True)) if kind in content}


def merge(before, counted):
    """The tables of two calls in one."""
    found = {name: {**entry, "seeds": list(entry["seeds"])} for name, entry in before.items()}
    for name, entry in counted.items():
        sum_of = found.setdefault(name, {"ran": 0, "failed": 0, "seconds": 0.0, "seeds": []})
        for number in ("ran", "failed", "seconds"):
            sum_of[number] = round(sum_of[number] + entry[number], 1)
        sum_of["seeds"] += entry["seeds"]
    return dict(sorted(found.items()))


def add(path, counted, seconds, load, seed):
    """Adds a call to those before, which stay until the file is removed; returns all."""
    content = read(path)
    entry = content.setdefault(kind_of(load), {"calls": 0, "total_s": 0.0, "suites": {}})
    entry["calls"] += 1
    entry["total_s"] = round(entry["total_s"] + seconds, 1)
    entry["seed"] = seed
    entry["suites"] = merge(entry["suites"], counted)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return content


def tables(counted, content):
    """For people: this call, and all up to now where there were more."""
    yield "# this call:"
    yield from lines(counted)
    if sum(entry["calls"] for entry in content.values()) > 1:
        for kind, entry in content.items():
            yield f"# all {entry['calls']} {kind}:"
            yield from lines(entry["suites"])


def lines(counted):
    """The table for people."""
    width = max(map(len, counted), default=0)
    yield f"# {'suite':{width}}    ran failed  s each"
    for name, entry in counted.items():
        seeds = f"  seeds {' '.join(map(str, entry['seeds']))}" if entry["failed"] else ""
        yield (f"# {name:{width}} {entry['ran']:6} {entry['failed']:6} "
               f"{entry['seconds'] / entry['ran']:7.1f}{seeds}")
