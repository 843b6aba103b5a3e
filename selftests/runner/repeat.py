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
    """How often each suite ran and failed: {name: {"ran", "failed", "skipped", "seeds"}}; the
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


def write(path, counted, seconds, load, seed):
    content = {"total_s": round(seconds, 1), "load": load, "seed": seed, "suites": counted}
    path.write_text(json.dumps(content, indent=1) + "\n")


def lines(counted):
    """The table for people."""
    width = max(map(len, counted), default=0)
    yield f"# {'suite':{width}}    ran failed  s each"
    for name, entry in counted.items():
        seeds = f"  seeds {' '.join(map(str, entry['seeds']))}" if entry["failed"] else ""
        yield (f"# {name:{width}} {entry['ran']:6} {entry['failed']:6} "
               f"{entry['seconds'] / entry['ran']:7.1f}{seeds}")
