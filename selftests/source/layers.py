# SPDX-License-Identifier: GPL-2.0
"""Checks that the source's parts name each other in one direction.

docs/architecture.md says which, and why. The first names of a path decide of which layer a file is; a
layer that may name another one stands in the table.
"""

import sys
from pathlib import Path

import c
from rust import Modules

TOP = Path(__file__).resolve().parents[2]

# Each layer, and those that it may name beside itself. `callbacks` is what C calls.
RUST = {
    (): {("sys", "core"), ("sys", "socket"), ("sys", "packet")},
    ("sys", "callbacks"): {("group",), ("cluster",), ("links",), ("sys",), ("sys", "core"), ("sys", "socket"),
                           ("sys", "packet")},
    ("group",): {("logic",), ("sys",), ("sys", "core"), ("sys", "socket")},
    ("cluster",): {("logic",), ("sys",), ("sys", "core"), ("sys", "packet"), ("sys", "socket")},
    ("links",): {("logic",), ("sys",), ("sys", "core"), ("sys", "socket")},
    ("sys", "packet"): {("logic",), ("sys",), ("sys", "core"), ("sys", "socket")},
    ("sys", "socket"): {("logic",), ("sys",), ("sys", "core")},
    ("sys", "core"): {("sys",)},
    # Its root: the bindings.
    ("sys",): set(),
    ("logic",): set(),
}
# The places where a part names another: a SYN that no member has room for goes to another machine; and
# cluster IPs are told who is away.
BETWEEN = {
    (("group", "redirect"), ("cluster", "spill")),
    (("links", "judge"), ("cluster", "liveness")),
    (("links", "machine"), ("cluster", "liveness")),
}
# The same for folders of the shim.
SHIM = {
    "packet": {"socket", "core"},
    "socket": {"core"},
    "core": set(),
}


def layer_of(name):
    """The layer of a Rust module."""
    return next(name[:length] for length in (2, 1, 0) if name[:length] in RUST)


def circles(uses):
    """The edges that are part of a circle."""
    def reached_from(start):
        reached, new = set(), [start]
        while new:
            for other in uses[new.pop()] - reached:
                reached.add(other)
                new.append(other)
        return reached
    reached = {name: reached_from(name) for name in uses}
    return [(one, other) for one in sorted(uses) for other in sorted(uses[one]) if one in reached[other]]


def rust():
    """What is wrong with the imports of the module's Rust source."""
    modules = Modules(TOP / "src", "service_group.rs")
    shown = lambda name: modules.files[name].relative_to(TOP)
    for name, used in modules.uses.items():
        for other in sorted(used):
            allowed = RUST[layer_of(name)] | {layer_of(name)}
            if layer_of(other) not in allowed and (name, other) not in BETWEEN:
                yield f"{shown(name)}: names {shown(other)}"
    # The root of a folder has what its files share, and names them as they name it.
    files = {name for name in modules.files if not modules.is_root_of_a_folder(name)}
    for one, other in circles({name: modules.uses[name] & files for name in files}):
        yield f"{shown(one)}: is in a circle, by {shown(other)}"
    for name, path in modules.files.items():
        if "#[no_mangle]" in path.read_text() and layer_of(name) != ("sys", "callbacks"):
            yield f"{shown(name)}: is called by C, which calls src/sys/callbacks only"


def shim():
    """What is wrong with C."""
    uses = c.uses(sorted(TOP.glob("src/sys/*/*.c")))
    for path, used in uses.items():
        for other in sorted(used):
            allowed = SHIM[path.parent.name] | {path.parent.name}
            if other.parent.name not in allowed:
                yield f"{path.relative_to(TOP)}: needs {other.relative_to(TOP)}"
    for graph in (uses, c.uses(sorted(TOP.glob("bench/guest/*.c")))):
        for one, other in circles(graph):
            yield f"{one.relative_to(TOP)}: is in a circle, by {other.relative_to(TOP)}"


def main():
    errors = [*rust(), *shim()]
    for error in errors:
        print("error:", error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
