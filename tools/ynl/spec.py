# SPDX-License-Identifier: GPL-2.0
"""The netlink specification, with what the Rust tables need of it."""

import pathlib
import re
import sys
import textwrap

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
SPEC = "Documentation/netlink/specs/service_group.yaml"
HEADER = "include/uapi/linux/service_group.h"
WORDS = 0xffffffff


class Spec:
    """The specification."""

    def __init__(self):
        with open(TOP / SPEC, encoding="ascii") as file:
            self.tree = yaml.safe_load(file)
        self.definitions = {entry["name"]: entry for entry in self.tree["definitions"]}
        self.sets = {entry["name"]: entry for entry in self.tree["attribute-sets"]}

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
        """The value in a new group or member: that of the constant `default-NAME`, else the least."""
        default = self.definitions.get("default-" + attribute["name"])
        return default["value"] if default else self.bounds(attribute)[0]

    def commands(self):
        """The commands, each with its number."""
        operations = self.tree["operations"]["list"]
        return list(enumerate((entry["name"] for entry in operations), 1))

    def counters(self, name):
        """The counters of a set, with their numbers, which have no gap."""
        counters = [(number, it) for number, it in self.numbered(name) if it["type"] != "pad"]
        numbers = [number for number, _ in counters]
        if numbers != list(range(2, 2 + len(numbers))):
            sys.exit(f"{SPEC}: the counters of {name} are not one behind the other")
        return counters

    def option_settings(self):
        """The settings in the order of the option's struct: the flag and the attribute's number and
        description, and whether the setting is a group's."""
        header = (TOP / HEADER).read_text(encoding="ascii")
        struct = re.search(r"^struct service_group_settings \{\n(.*?)\}", header, re.M | re.S)[1]
        fields = [name.replace("_", "-") for name in re.findall(r"(\w+);", struct)][2:]
        flags = re.findall(r"SERVICE_GROUP_SET_(\w+)\s*= 1 << (\d+)", header)
        if [(upper(name), str(place)) for place, name in enumerate(fields)] != flags:
            sys.exit(f"{HEADER}: the fields of the settings and their flags differ")
        explained = {it["name"] for it in self.sets["group-settings"]["attributes"]}
        member = {it["name"]: (number, it) for number, it in self.numbered("member")}
        group = {it["name"]: (number, it) for number, it in self.numbered("group")
                 if it["name"] in explained}
        if explained - set(fields):
            sys.exit(f"{HEADER}: no field for the settings {explained - set(fields)}")
        for place, name in enumerate(fields):
            number, attribute = group.get(name) or member[name]
            yield 1 << place, number, attribute, name in group

    def explained_settings(self, name):
        """The settings of a subset in its order, each with its number, as people are told of it."""
        subset = self.sets[name]
        real = {it["name"]: (number, it) for number, it in self.numbered(subset["subset-of"])}
        for it in subset["attributes"]:
            number, attribute = real[it["name"]]
            yield number, attribute | it | {"kind": self.kind(attribute)}

    def kind(self, attribute):
        """What a setting's number means: its attribute has an enum, is 0 or 1, or tells its unit."""
        if "enum" in attribute:
            return f"SettingKind::Name({camel(attribute['enum'])}::CHOICES)"
        if self.bounds(attribute) == (0, 1):
            return "SettingKind::Switch"
        for unit in ("milliseconds", "seconds"):
            if re.search(rf"\b{unit}\b", attribute["doc"]):
                return f"SettingKind::{camel(unit)}"
        return "SettingKind::Number"


def sentence(text):
    """The first sentence, without its full stop."""
    return " ".join(text.split()).split(". ")[0].removesuffix(".")


def camel(name):
    """A name as that of a type."""
    return name.title().replace("-", "")


def upper(name):
    """A name as that of a constant."""
    return name.upper().replace("-", "_")


def snake(name):
    """A name as that of a field."""
    return name.replace("-", "_")


def head(about, *, module, sources=f"`{SPEC}`"):
    """The first lines of a file; the module's files forbid unsafe code."""
    lines = ["// SPDX-License-Identifier: GPL-2.0", "", *comment(about, "//!"), "//!"]
    lines += [*comment(f"Made by `make ynl` from {sources}.", "//!"), ""]
    return lines + (["#![forbid(unsafe_code)]", ""] if module else [])


def comment(text, mark="///"):
    """A text as comment lines."""
    return textwrap.wrap(" ".join(text.split()), 78, initial_indent=f"{mark} ",
                         subsequent_indent=f"{mark} ", break_on_hyphens=False)


def quoted(text):
    """A text as a literal, in lines that rustfmt leaves as they are: it formats nothing beside a longer
    one."""
    lines = textwrap.wrap(" ".join(text.split()), 70, break_long_words=False)
    return '"' + " \\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
