#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Generates the Rust tables of the netlink specification: rust.py OUTPUT-ROOT

Counters, settings and the numbers of attributes and commands stand in the
specification (settings also in the struct of the socket option). The module and
the crate get them from here, so that no list of them is kept by hand.
tools/ynl/generate calls this program and formats what it writes.
"""

import pathlib
import re
import sys
import textwrap

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
SPEC = "Documentation/netlink/specs/service_group.yaml"
HEADER = "include/uapi/linux/service_group.h"
# A definition `default-NAME` is the value in a new group; else the least one is.
WORDS = 0xffffffff


class Spec:
    """The specification, with what the tables need of it."""

    def __init__(self, tree):
        self.tree = tree
        self.definitions = {entry["name"]: entry for entry in tree["definitions"]}
        self.sets = {entry["name"]: entry for entry in tree["attribute-sets"]}

    def numbered(self, name):
        """The attributes of a set, each with its number."""
        return list(enumerate(self.sets[name]["attributes"], 1))

    def constant(self, name):
        """The value of a constant, which is given by its name or as a number."""
        return self.definitions[name]["value"] if isinstance(name, str) else name

    def bounds(self, attribute):
        """The least and the largest value of an attribute."""
        if "enum" in attribute:
            return 0, len(self.definitions[attribute["enum"]]["entries"]) - 1
        checks = attribute.get("checks", {})
        return self.constant(checks.get("min", 0)), self.constant(checks.get("max", WORDS))

    def initial(self, attribute):
        """The value in a new group or member."""
        default = self.definitions.get("default-" + attribute["name"])
        return default["value"] if default else self.bounds(attribute)[0]

    def commands(self):
        """The commands, each with its number."""
        operations = self.tree["operations"]["list"]
        return list(enumerate((entry["name"] for entry in operations), 1))


def sentence(text):
    """The first sentence, without its full stop."""
    return " ".join(text.split()).split(". ")[0].removesuffix(".")


def camel(name):
    """A name as that of a type."""
    return name.title().replace("-", "")


def upper(name):
    """A name as that of a constant."""
    return name.upper().replace("-", "_")


def head(about, *, module, sources=f"`{SPEC}`"):
    """The first lines of a file; the module's files forbid unsafe code."""
    lines = ["// SPDX-License-Identifier: GPL-2.0", "", *comment(about, "//!"), "//!"]
    lines += [*comment(f"Made by `make ynl` from {sources}.", "//!"), ""]
    return lines + (["#![forbid(unsafe_code)]", ""] if module else [])


def comment(text, mark="///"):
    """A text as comment lines."""
    return textwrap.wrap(" ".join(text.split()), 78, initial_indent=f"{mark} ",
                         subsequent_indent=f"{mark} ", break_on_hyphens=False)


def counters_of(spec, name):
    """The counters of a set, with their numbers, which have no gap."""
    counters = [(number, it) for number, it in spec.numbered(name) if it["type"] != "pad"]
    numbers = [number for number, _ in counters]
    if numbers != list(range(2, 2 + len(numbers))):
        sys.exit(f"{SPEC}: the counters of {name} are not one behind the other")
    return counters


def list_of(kind, names, scope):
    """All variants, as a constant array."""
    each = "".join(f"Self::{name}, " for name in names)
    return [f"/// Number of {kind}.", f"{scope} const COUNT: usize = {len(names)};", "",
            "/// All of them, in the kernel's order.",
            f"{scope} const ALL: [Self; Self::COUNT] = [{each}];"]


def counter_enum(spec, name):
    """The module's enum of counters."""
    scope = "pub(crate)"
    counters = [(number, camel(it["name"]), it["doc"]) for number, it in counters_of(spec, name)]
    lines = head(spec.sets[name]["doc"], module=True)
    lines += ["/// What is counted.", "#[derive(Clone, Copy)]", f"{scope} enum Counter {{"]
    for _, variant, doc in counters:
        lines += [*comment(doc), f"{variant},"]
    lines += ["}", "", "impl Counter {", *list_of("counters", [it[1] for it in counters], scope)]
    arms = [(variant, number) for number, variant, _ in counters]
    return lines + [*match("Its netlink attribute.", ("attribute", "u32"), arms, scope), "}"]


def counter_lists(spec):
    """The crate's lists of counters."""
    lines = head("The counters, with what each counts in one sentence.", module=False)
    lines += ["use super::counters::{counters, Counter, FIRST};", ""]
    for name, struct in (("counters", "Counters"), ("cluster-counters", "ClusterCounters")):
        lines += ["counters! {", *comment(spec.sets[name]["doc"], "    ///"), f"    {struct},"]
        for _, it in counters_of(spec, name):
            field = it["name"].replace("-", "_")
            lines.append(f'    {field} "{sentence(it["doc"])}";')
        lines += ["}", ""]
    return lines[:-1]


def settings_of(spec):
    """The settings in the order of the option's struct: the flag and the attribute's number and
    description, and whether the setting is a group's."""
    header = (TOP / HEADER).read_text(encoding="ascii")
    struct = re.search(r"^struct service_group_settings \{\n(.*?)\}", header, re.M | re.S)[1]
    fields = [name.replace("_", "-") for name in re.findall(r"(\w+);", struct)]
    flags = re.findall(r"SERVICE_GROUP_SET_(\w+)\s*= 1 << (\d+)", header)
    if [upper(name) for name in fields[2:]] != [name for name, _ in flags]:
        sys.exit(f"{HEADER}: the fields of the settings and their flags differ")
    group = {it["name"]: (number, it) for number, it in spec.numbered("group")}
    member = {it["name"]: (number, it) for number, it in spec.numbered("member")}
    for name, (_, bit) in zip(fields[2:], flags):
        number, attribute = group.get(name) or member[name]
        yield 1 << int(bit), number, attribute, name in group


def match(about, result, arms, scope="pub"):
    """A function of an enum."""
    name, kind = result
    lines = ["", f"/// {about}", f"{scope} const fn {name}(self) -> {kind} {{ match self {{"]
    return lines + [f"Self::{variant} => {value}," for variant, value in arms] + ["} }"]


def setting_enum(spec):
    """The module's enum of settings."""
    settings = [(camel(it["name"]), flag, number, it, is_group)
                for flag, number, it, is_group in settings_of(spec)]
    about = "The settings of a group and of its members, with the values that each takes."
    lines = head(about, module=True, sources=f"`{SPEC}` and `{HEADER}`")
    lines += ["/// A setting, in the order of `struct service_group_settings`.",
              "#[derive(Clone, Copy, Debug, PartialEq, Eq)]", "pub enum Setting {"]
    for variant, _, _, it, _ in settings:
        lines += [*comment(it.get("doc") or spec.definitions[it["enum"]]["doc"]), f"{variant},"]
    lines += ["}", "", "impl Setting {", *list_of("settings", [it[0] for it in settings], "pub")]
    lines += match("Its flag in `enum service_group_set`.", ("flag", "u32"),
                   [(variant, flag) for variant, flag, *_ in settings])
    lines += match("The least and the largest value.", ("bounds", "(u32, u32)"),
                   [(variant, "({}, {})".format(*(f"{bound:_}" for bound in spec.bounds(it))))
                    for variant, _, _, it, _ in settings])
    lines += match("The value in a new group or member.", ("initial", "u32"),
                   [(variant, f"{spec.initial(it):_}") for variant, _, _, it, _ in settings])
    lines += match("Its netlink attribute, if the setting is a group's and not a member's.",
                   ("group_attribute", "Option<u32>"),
                   [(variant, f"Some({number})" if is_group else "None")
                    for variant, _, number, _, is_group in settings])
    return lines + ["}"]


def numbers(spec):
    """The crate's numbers of commands and attributes."""
    lines = head("The numbers of commands and attributes.", module=False)
    lines += ["/// The commands of the family.", "pub mod command {"]
    lines += [f"pub const {upper(name)}: u8 = {number};" for number, name in spec.commands()]
    lines.append("}")
    for name in ("group", "member", "stats", "decision", "node", "cluster", "machine", "link-end",
                 "link"):
        module = name.replace("-", "_")
        lines += ["", f"/// Attributes of the set `{name}`.", f"pub mod {module} {{"]
        lines += [f"pub const {upper(it['name'])}: u16 = {number};"
                  for number, it in spec.numbered(name) if it["type"] != "pad"]
        lines.append("}")
    attributes = [f"Some({number})" if is_group else "None"
                  for _, number, _, is_group in settings_of(spec)]
    return lines + ["", "/// For each setting, in the order of the option, its attribute if it is a group's.",
                    f"pub const SETTINGS: [Option<u16>; {len(attributes)}] = [{', '.join(attributes)}];"]


def main():
    root = pathlib.Path(sys.argv[1])
    with open(TOP / SPEC, encoding="ascii") as file:
        spec = Spec(yaml.safe_load(file))
    for path, lines in (
            ("src/group/counter_gen.rs", counter_enum(spec, "counters")),
            ("src/cluster/counter_gen.rs", counter_enum(spec, "cluster-counters")),
            ("src/logic/setting_gen.rs", setting_enum(spec)),
            ("tools/service-group/src/netlink/numbers.rs", numbers(spec)),
            ("tools/service-group/src/netlink/counters_gen.rs", counter_lists(spec))):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(lines) + "\n", encoding="ascii")
        print(path)


if __name__ == "__main__":
    main()
