#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Generates the Rust tables of the netlink specification: rust.py OUTPUT-ROOT

Counters, settings and the numbers of attributes and commands stand in the
specification (settings of groups also in the struct of the socket option). The
module and the crate get them from here, so that no list of them is kept by hand.
tools/ynl/generate calls this program and formats what it writes.
"""

import pathlib
import sys

import settings
from settings import list_of, match
from spec import Spec, camel, comment, head, sentence, snake, upper


def counter_enum(spec, name):
    """The module's enum of counters."""
    scope = "pub(crate)"
    counters = [(number, camel(it["name"]), it["doc"]) for number, it in spec.counters(name)]
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
        for _, it in spec.counters(name):
            lines.append(f'    {snake(it["name"])} "{sentence(it["doc"])}";')
        lines += ["}", ""]
    return lines[:-1]


def numbers(spec):
    """The crate's numbers of commands and attributes."""
    lines = head("The numbers of commands and attributes.", module=False)
    lines += ["/// The commands of the family.", "pub mod command {"]
    lines += [f"pub const {upper(name)}: u8 = {number};" for number, name in spec.commands()]
    lines.append("}")
    for name in ("group", "member", "stats", "decision", "node", "cluster", "machine", "link-end",
                 "link"):
        lines += ["", f"/// Attributes of the set `{name}`.", f"pub mod {snake(name)} {{"]
        lines += [f"pub const {upper(it['name'])}: u16 = {number};"
                  for number, it in spec.numbered(name) if it["type"] != "pad"]
        lines.append("}")
    attributes = [f"Some({number})" if is_group else "None"
                  for _, number, _, is_group in spec.option_settings()]
    return lines + ["", "/// For each setting, in the order of the option, its attribute if it is a group's.",
                    f"pub const SETTINGS: [Option<u16>; {len(attributes)}] = [{', '.join(attributes)}];"]


def main():
    root = pathlib.Path(sys.argv[1])
    spec = Spec()
    for path, lines in (
            ("src/group/counter_gen.rs", counter_enum(spec, "counters")),
            ("src/cluster/counter_gen.rs", counter_enum(spec, "cluster-counters")),
            ("src/logic/setting_gen.rs", settings.group_enum(spec)),
            ("src/logic/cluster/setting_gen.rs", settings.cluster_struct(spec)),
            ("tools/service-group/src/setting_gen.rs", settings.group_rows(spec)),
            ("tools/service-group/src/netlink/setting_gen.rs", settings.cluster_rows(spec)),
            ("tools/service-group/src/netlink/numbers.rs", numbers(spec)),
            ("tools/service-group/src/netlink/counters_gen.rs", counter_lists(spec))):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(lines) + "\n", encoding="ascii")
        print(path)


if __name__ == "__main__":
    main()
