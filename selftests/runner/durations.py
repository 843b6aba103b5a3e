# SPDX-License-Identifier: GPL-2.0
"""How long each job took when it ran last (build/test/durations.json)."""

import json
from dataclasses import replace
from pathlib import Path

USUAL = "test"


class Durations:
    """`target` is what runs: some jobs do more or less for each, so that those of
    `make test` are kept apart from the others."""

    def __init__(self, path, target=USUAL):
        self.path = Path(path)
        try:
            known = json.loads(self.path.read_text())
        except (OSError, ValueError):
            known = {}
        known = known if isinstance(known, dict) else {}
        self.targets = {name: dict(known.get(name) or {}) for name in ("check", "long", "repeat")}
        self.targets[USUAL] = dict(known.get("suites") or {})
        self.totals = dict(known.get("totals") or {})
        self.own = self.targets[target]

    def last(self, job):
        """Its seconds; None if it never ran."""
        return self.own.get(job.name, self.targets[USUAL].get(job.name))

    def expected(self, job):
        last = self.last(job)
        return job if last is None else replace(job, seconds=float(last))

    def add(self, name, seconds):
        self.own[name] = round(seconds, 1)

    def write(self, target, seconds):
        """Keeps what earlier runs learned. The total of a target is that of its last whole
        run: `target` is None for a part of one."""
        if target:
            self.totals[target] = round(seconds, 1)
        content = {"total_s": self.totals.get(USUAL, round(seconds, 1)), "totals": self.totals}
        for name, suites in self.targets.items():
            if suites or name == USUAL:
                content["suites" if name == USUAL else name] = dict(sorted(suites.items()))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(content, indent=1) + "\n")
        fresh.replace(self.path)


def longest(results, most=10):
    """The results that took longest."""
    return sorted(results, key=lambda result: -result.seconds)[:most]
