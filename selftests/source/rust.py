# SPDX-License-Identifier: GPL-2.0
"""Which module of the Rust source names which other one."""

import re
from pathlib import Path

USE = re.compile(r"\buse\s+((?:crate|super|self)\b[^;]*);")
PATH = re.compile(r"(?<!\bin )(?<![\w:$])((?:crate|super)(?:::\w+)+)")
COMMENT = re.compile(r"//[^\n]*")
# Tests stand at the end of a file, and may name what they like.
TESTS = re.compile(r"^mod tests \{.*", re.M | re.S)


def paths_of(tree):
    """The paths of a use tree, each a list of names."""
    tree = tree.strip()
    if "{" not in tree:
        return [re.split(r"\s+as\s+|::", tree)]
    head, _, rest = tree.partition("{")
    prefix = [name for name in head.strip().split("::") if name]
    items, depth, item = [], 0, ""
    for char in rest.rpartition("}")[0] + ",":
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            items.append(item)
            item = ""
        else:
            item += char
    return [prefix + path for item in items if item.strip() for path in paths_of(item)]


class Modules:
    """The modules below a folder: `files` by their names, and whom each names in `uses`."""

    def __init__(self, top, root):
        self.files = {self.name_of(path.relative_to(top), root): path
                      for path in sorted(Path(top).rglob("*.rs"))}
        self.uses = {name: self.used_by(name) - {name} for name in self.files}

    @staticmethod
    def name_of(path, root):
        """A module's name; () is the crate's root."""
        if path.name == root:
            return ()
        return path.parent.parts if path.name == "mod.rs" else path.with_suffix("").parts

    def is_root_of_a_folder(self, name):
        return not name or self.files[name].name == "mod.rs"

    def resolve(self, start, path):
        """The module that has what a path in module `start` names."""
        module = start
        for place, part in enumerate(path):
            if part == "crate":
                module = ()
            elif part == "super":
                module = module[:-1]
            elif part != "self":
                module += tuple(path[place:])
                break
        while module not in self.files:
            module = module[:-1]
        return module

    def used_by(self, name):
        text = TESTS.sub("", COMMENT.sub("", self.files[name].read_text()))
        paths = [path for tree in USE.findall(text) for path in paths_of(tree)]
        paths += [path.split("::") for path in PATH.findall(text)]
        return {self.resolve(name, path) for path in paths}
