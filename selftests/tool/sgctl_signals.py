#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster apply, and signals that end it: all is done, or nothing."""

import itertools
import os
import signal
import sys

from service_group import equal, expect, run_tests
from tool_file import File, holders, one_machine, shown


def a_signal_at_any_moment():
    """Whenever one comes that ends the tool, apply has done all or nothing, and says which."""
    one_machine()
    file, nothing = File(), File()
    file.write(("lb1",))
    nothing.write(())
    statuses = set()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for moment in itertools.count(1):
        traced = file.traced()
        is_there = all(traced.sends() for _ in range(moment))
        if is_there:
            os.kill(traced.process.pid, signal.SIGTERM)
        said = traced.end()
        statuses.add(traced.status)
        whole = (("director", 60), ["eth0"]) if traced.status == 0 else (None, [])
        equal(whole, (shown(), holders()), f"after message {moment}: {traced.status} {said}")
        is_undone = said.rstrip().endswith("SIGTERM came before all was done; nothing has changed")
        equal(traced.status == 128 + signal.SIGTERM, is_undone, f"what is told: {said}")
        nothing.apply()
        if not is_there:
            break
    # Before anything is changed it ends at once, as ever.
    equal({0, 128 + signal.SIGTERM, -signal.SIGTERM}, statuses, "statuses")


def other_signals():
    """They have what was done undone as well, unless they are ignored."""
    one_machine()
    file, nothing = File(), File()
    file.write(("lb1",))
    nothing.write(())
    traced, messages = file.traced(), 0
    while not shown():
        expect(traced.sends(), "it is served")
        messages += 1
    traced.end()
    for one, action, status in ((signal.SIGINT, signal.SIG_DFL, 130),
                                (signal.SIGHUP, signal.SIG_DFL, 129),
                                (signal.SIGHUP, signal.SIG_IGN, 0)):
        nothing.apply()
        signal.signal(one, action)
        traced = file.traced()
        # The last of these has it served.
        for _ in range(messages - 1):
            expect(traced.sends(), "it is about to be served")
        equal(None, shown(), "what is served")
        os.kill(traced.process.pid, one)
        said = traced.end()
        equal(status, traced.status, f"status: {said}")
        whole = (None, []) if status else (("director", 60), ["eth0"])
        equal(whole, (shown(), holders()), f"what there is: {said}")


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_signals", [a_signal_at_any_moment, other_signals]))
