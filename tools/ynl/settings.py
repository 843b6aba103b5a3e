# SPDX-License-Identifier: GPL-2.0
"""The settings of groups and cluster IPs, in Rust: for the module, and for the crate."""

from spec import HEADER, SPEC, camel, comment, head, quoted, snake

BOTH = f"`{SPEC}` and `{HEADER}`"


def list_of(kind, names, scope):
    """All variants, as a constant array."""
    each = "".join(f"Self::{name}, " for name in names)
    return [f"/// Number of {kind}.", f"{scope} const COUNT: usize = {len(names)};", "",
            "/// All of them, in the kernel's order.",
            f"{scope} const ALL: [Self; Self::COUNT] = [{each}];"]


def match(about, result, arms, scope="pub"):
    """A function of an enum."""
    name, kind = result
    lines = ["", f"/// {about}", f"{scope} const fn {name}(self) -> {kind} {{ match self {{"]
    return lines + [f"Self::{variant} => {value}," for variant, value in arms] + ["} }"]


def group_enum(spec):
    """The module's enum of the settings of a group and its members."""
    settings = [(camel(it["name"]), flag, number, it, is_group)
                for flag, number, it, is_group in spec.option_settings()]
    about = "The settings of a group and of its members, with the values that each takes."
    lines = head(about, module=True, sources=BOTH)
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


def cluster_struct(spec):
    """The module's struct of the settings of a cluster IP."""
    settings = [(snake(it["name"]), number, it["kind"] == "SettingKind::Switch", it)
                for number, it in spec.explained_settings("cluster-settings")]
    lines = head("The settings of a cluster IP that are checked each by itself.", module=True)
    lines += ["/// What is set; 0 or false for what is not given.",
              "#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]", "pub struct Settings {"]
    for name, _, is_switch, it in settings:
        lines += [*comment(it["doc"]), f"pub {name}: {'bool' if is_switch else 'u32'},"]
    lines += ["}", "", "impl Settings {", "/// Number of settings.",
              f"pub const COUNT: usize = {len(settings)};", "",
              "/// The settings of a request, which has these numbers in its attributes.",
              "pub fn of(number: impl Fn(u32) -> Option<u32>) -> Self { Self {"]
    for name, number, is_switch, _ in settings:
        value = f"number({number}).unwrap_or(0)"
        lines.append(f"{name}: {value}{' != 0' if is_switch else ''},")
    each = ", ".join(f"({number}, self.{name}{'.into()' if is_switch else ''})"
                     for name, number, is_switch, _ in settings)
    return lines + ["} }", "", "/// The attributes of a reply, with their numbers.",
                    "pub fn attributes(&self) -> [(u32, u32); Self::COUNT] {", f"[{each}]", "} }"]


def explanation(spec, it):
    """What the crate tells programs of a setting besides its name."""
    least, most = spec.bounds(it)
    return f"{it['kind']}, ({least:_}, {most:_}), {quoted(it['doc'])}"


def names(spec, name, initial):
    """The crate's enum for a setting that has names."""
    entry = spec.definitions[name]
    lines = ["", "kernel_enum! {", *comment(entry["doc"], "    ///"),
             f"    {camel(name)}, \"something that this version does not know\","]
    for it in entry["entries"]:
        text = it["doc"][0].lower() + it["doc"][1:].rstrip(".")
        lines.append(f"    {camel(it['name'])} \"{it['name']}\" {quoted(text)};")
    return lines + ["}", "", f"impl Default for {camel(name)} {{",
                    f"fn default() -> Self {{ Self::from_number({initial}) }}", "}", "",
                    f"impl Number for {camel(name)} {{",
                    "fn to_number(self) -> u32 { self.number() }",
                    "fn of_number(number: u32) -> Self { Self::from_number(number) }", "}"]


def group_rows(spec):
    """The crate's rows of the settings of a group, and the enums of their names."""
    explained = {it["name"]: it for _, it in spec.explained_settings("group-settings")}
    types = {"SettingKind::Switch": "bool", "SettingKind::Milliseconds": "Duration", "SettingKind::Number": "u32"}
    lines = head("The settings of a group, as rows of their table.", module=False, sources=BOTH)
    lines += ["use std::time::Duration;", "", "use crate::kernel_enum::kernel_enum;",
              "use crate::setting_table::{settings, Number, Setting, SettingDefinition, SettingKind};"]
    rows = []
    for place, (_, _, attribute, is_group) in enumerate(spec.option_settings()):
        if not is_group:
            lines += ["", f"/// Place of the {attribute['name']} in the kernel's struct, "
                          f"which is a member's.",
                      f"pub(crate) const {attribute['name'].upper()}: usize = {place};"]
            continue
        it = explained[attribute["name"]]
        if "enum" in it:
            lines += names(spec, it["enum"], spec.initial(attribute))
        kind = camel(it["enum"]) if "enum" in it else types[it["kind"]]
        rows += [*comment(it["doc"], "    ///"),
                 f"    {place} {snake(it['name'])}: {kind}, {explanation(spec, it)};"]
    return lines + ["", "settings! {", *rows, "}"]


def cluster_rows(spec):
    """The crate's struct of the settings of a cluster IP."""
    settings = [(snake(it["name"]), number, it["kind"] == "SettingKind::Switch", it)
                for number, it in spec.explained_settings("cluster-settings")]
    lines = head("The settings of a cluster IP that are checked each by itself.", module=False)
    lines += ["use super::numbers::cluster;", "use crate::setting_table::{SettingDefinition, SettingKind};", "",
              *comment(spec.sets["cluster-settings"]["doc"]),
              "#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]",
              "pub struct ClusterSettings {"]
    for name, _, is_switch, it in settings:
        lines += [*comment(it["doc"]), f"pub {name}: {'bool' if is_switch else 'u32'},"]
    lines += ["}", "", "impl ClusterSettings {", "/// Number of settings.",
              f"pub const COUNT: usize = {len(settings)};", "",
              "/// All settings.", "pub const ALL: [SettingDefinition; Self::COUNT] = ["]
    lines += [f"SettingDefinition::new(\"{name}\", {explanation(spec, it)})," for name, *_, it in settings]
    attributes = ", ".join(f"cluster::{name.upper()}" for name, *_ in settings)
    each = ", ".join(f"self.{name}{'.into()' if is_switch else ''}"
                     for name, _, is_switch, _ in settings)
    lines += ["];", "", "/// Their attributes, in the same order.",
              f"pub(super) const ATTRIBUTES: [u16; Self::COUNT] = [{attributes}];", "",
              "/// Their numbers, as the kernel has them, in the same order.",
              f"pub fn numbers(&self) -> [u32; Self::COUNT] {{ [{each}] }}", "",
              "/// Sets the one of this name to a number of the kernel's; any other name is passed over.",
              "pub fn set(&mut self, name: &str, number: u32) { match name {"]
    lines += [f'"{name}" => self.{name} = number{" != 0" if is_switch else ""},'
              for name, _, is_switch, _ in settings]
    return lines + ["_ => {}", "} } }"]
