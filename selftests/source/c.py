# SPDX-License-Identifier: GPL-2.0
"""Which file of C code needs what another one defines."""

import re

COMMENT = re.compile(r"/\*.*?\*/", re.S)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
FUNCTION = re.compile(r"^(?!static\b)(?:[A-Za-z_][\w \t]*[\s*]+)(\w+)\([^;{}]*\)\s*\{", re.M)
OBJECT = re.compile(r"^(?!static\b|extern\b)(?:const |struct )[\w *]*?(\w+)(?:\[[^]]*\])* "
                    r"(?:__\w+ )?= ?\{", re.M)
WORD = re.compile(r"\b\w+\b")


def uses(paths):
    """Of each file: the files that define what it needs."""
    text = {path: STRING.sub('""', COMMENT.sub("", path.read_text())) for path in paths}
    defined = {}
    for path in paths:
        for name in [*FUNCTION.findall(text[path]), *OBJECT.findall(text[path])]:
            # Programs of their own may each have one, as main().
            defined[name] = None if name in defined else path
    return {path: {defined.get(word) for word in WORD.findall(text[path])} - {None, path}
            for path in paths}
