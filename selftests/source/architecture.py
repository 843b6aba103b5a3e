# SPDX-License-Identifier: GPL-2.0
"""Checks that what docs/architecture.md names is in the source.

A path in backticks has to exist. Of a name in backticks each part has to be a word of the source; of
`name` in `path`, of that file. Paths in pictures may have wildcards.
"""

import functools
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs/architecture.md"
QUOTED = re.compile(r"`([^`\n]+)`(?:\s+in\s+`([^`\n]+)`)?")
PICTURE = re.compile(r"^```.*?^```", re.M | re.S)
PATH_IN_PICTURE = re.compile(r"\bsrc/[\w/.*]*")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
SOURCES = [*TOP.glob("src/**/*.rs"), *TOP.glob("src/**/*.[ch]")]
# Commands, files of any folder, and words of the language and of tests.
OTHERS = {"make ynl", "mod.rs", "unsafe", "layers"}


@functools.cache
def words(path):
    return set(re.findall(r"\w+", COMMENT.sub("", path.read_text())))


def is_path(text):
    return "/" in text


def missing(name, where):
    """What of a name is no word of the source, or of a file."""
    known = words(TOP / where) if where else set().union(*map(words, SOURCES))
    return [part for part in re.findall(r"\w+", name) if part not in known]


def errors(page):
    for path in PATH_IN_PICTURE.findall("".join(PICTURE.findall(page))):
        if not any(TOP.glob(path.rstrip("/"))):
            yield f"there is no {path}"
    for name, where in QUOTED.findall(PICTURE.sub("", page)):
        if name in OTHERS:
            continue
        path = where or (name if is_path(name) else "")
        if path and not (TOP / path).exists():
            yield f"there is no {path}"
        elif not is_path(name):
            for part in missing(name, where):
                yield f"there is no {part} in {where or 'the source'}"


def main():
    found = [*errors(PAGE.read_text())]
    for error in found:
        print(f"error: {PAGE.relative_to(TOP)}: {error}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
