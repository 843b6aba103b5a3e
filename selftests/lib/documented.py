# SPDX-License-Identifier: GPL-2.0
"""What the documentation of clusters has people do, for tests to do just that."""

import re

from service_group import checkout, equal, expect


def found(pattern):
    """The only match of a pattern on the page, its group."""
    with open(f"{checkout()}/docs/cluster.md", encoding="utf-8") as file:
        matches = re.findall(pattern, file.read(), re.MULTILINE)
    equal(1, len(matches), f"matches of {pattern}")
    return matches[0]


def rules(part):
    """The rules for nft that this is a part of."""
    return found(rf"^```text\n(table [^`]*{re.escape(part)}[^`]*)```")


def replaced(text, *pairs):
    """The same with other words, which are there."""
    for old, new in pairs:
        expect(old in text, f"no {old}: {text}")
        text = text.replace(old, new)
    return text
