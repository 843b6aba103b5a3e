# SPDX-License-Identifier: GPL-2.0
"""Expressions about what a tool printed, for tests that are shell scripts: one process for all,
as each takes long to start in an emulated machine.

usage: evaluate.py PIPE

Folders come by the pipe, a line each. There stand `question`, whose lines are a file, a kind and
an expression, and the pipe `reply`, which gets one line. The test holds that pipe open.
"""

import contextlib
import json
import os
import re
import sys


def answer(path, kind, expression):
    """What the expression is: of `groups`, of `it` and `lines`, or compared with all of it; or
    whether statements run to their end."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if kind == "check":
        events = []
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        exec(expression, {"lines": text.splitlines(), "events": events, "json": json, "re": re})
        return True
    expression = f"({expression})"
    if kind == "told":
        return eval(expression, {"groups": json.loads(text)})
    if kind == "json":
        return json.loads(text) == eval(expression, {})
    found = {"it": None, "lines": text.splitlines()}
    with contextlib.suppress(ValueError):
        found["it"] = json.loads(text)
    return bool(eval(expression, found))


def reply(folder):
    """Answers the question that stands in a folder."""
    with open(f"{folder}/question", encoding="utf-8") as file:
        path, kind, expression = file.read().split("\n", 2)
    try:
        said = str(answer(path, kind, expression))
    except Exception as why:  # pylint: disable=broad-exception-caught
        said = f"! {why!r}"
    # Does not wait for a reader: without one the test has ended.
    pipe = os.open(f"{folder}/reply", os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(pipe, True)
    with os.fdopen(pipe, "w", encoding="utf-8") as file:
        file.write(" ".join(said.splitlines()) + "\n")


def main(pipe):
    """Answers for ever."""
    # With a writer of its own it never ends.
    with os.fdopen(os.open(pipe, os.O_RDWR), encoding="utf-8") as requests:
        while True:
            folder = requests.readline().rstrip("\n")
            # A test that has ended has taken its folder with it.
            with contextlib.suppress(OSError):
                reply(folder)


if __name__ == "__main__":
    main(sys.argv[1])
