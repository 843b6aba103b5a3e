#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the kernel remembers of a connection that did not stay with its home
listener, asked for through netlink."""

import errno
import socket
import sys

import outcomes
from family import become_nobody, open_family, refused
from service_group import (PORT, cookie_of, enter_namespace, equal, expect,
                           group_of, run_tests)


def question(peer, local=("127.0.0.1", PORT)):
    """The request for the connection of these two ends."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    return {"family": family, "local-port": local[1], "peer-port": peer[1],
            "local-address": socket.inet_pton(family, local[0]),
            "peer-address": socket.inet_pton(family, peer[0])}


def expect_answer(ynl, scene, asked, outcome, reason, moves=1):
    """All of an answer; what was not moved has no taker."""
    told = ynl.do("decision-get", asked)
    age = told.pop("age")
    expect(0 <= age < 1000 * 3600, f"age {age}")
    expected = {"group": group_of(scene.sibling), "outcome": outcome, "reason": reason,
                "home": scene.cookie, "moves": moves}
    if moves:
        expected["taker"] = cookie_of(scene.sibling)
    equal(expected, told, "answer")


def redirected():
    """A SYN that a sibling took, of each family; those with room are not remembered."""
    for family in "ipv4", "mapped", "ipv6":
        enter_namespace()
        with open_family() as ynl:
            scene = outcomes.redirected(family)
            local = (outcomes.address(family, 1)[1], PORT)
            expect_answer(ynl, scene, question(scene.peer, local), "redirected", "queue-full")
            stayed = scene.kept[0].getsockname()[:2]
            refused(errno.ENOENT, ynl.do, "decision-get", question(stayed, local))


def handed():
    """A half-open request of a member that was closed."""
    with open_family() as ynl:
        scene = outcomes.handed()
        expect_answer(ynl, scene, question(scene.peer), "handed", "leaving")


def rescued():
    """A connection behind a hung worker, of each family."""
    for family in "ipv4", "mapped", "ipv6":
        enter_namespace()
        with open_family() as ynl:
            scene = outcomes.rescued(family)
            local = (outcomes.address(family, 1)[1], PORT)
            expect_answer(ynl, scene, question(scene.peer, local), "rescued", "stalled")


def dropped():
    """A SYN that nobody had room for has no taker."""
    with open_family() as ynl:
        scene = outcomes.dropped()
        expect_answer(ynl, scene, question(scene.peer), "dropped", "full", moves=0)


def reset():
    """The same where it is answered."""
    with open_family() as ynl:
        scene = outcomes.reset()
        expect_answer(ynl, scene, question(scene.peer), "reset", "full", moves=0)


def moved_twice():
    """What was redirected goes back when the sibling is closed."""
    with open_family() as ynl:
        scene = outcomes.redirected()
        first, _ = scene.home.accept()
        scene.sibling.close()
        # It is taken over by the listener that it came for.
        back = scene._replace(sibling=scene.home)
        expect_answer(ynl, back, question(scene.peer), "rescued", "leaving", moves=2)
        second, address = scene.home.accept()
        equal(scene.peer, address, "client")
        first.close()
        second.close()


def unknown():
    """What differs in one thing from what is remembered."""
    with open_family() as ynl:
        scene = outcomes.redirected()
        asked = question(scene.peer)
        ynl.do("decision-get", asked)
        for name, value in (("local-port", PORT + 1), ("peer-port", PORT),
                            ("local-address", bytes([127, 0, 0, 2])),
                            ("peer-address", bytes([127, 0, 0, 2]))):
            refused(errno.ENOENT, ynl.do, "decision-get", {**asked, name: value})
        # It is remembered as the IPv4 that it is.
        mapped = question((f"::ffff:{scene.peer[0]}", scene.peer[1]), ("::ffff:127.0.0.1", PORT))
        refused(errno.ENOENT, ynl.do, "decision-get", mapped)
        enter_namespace()
        with open_family() as there:
            refused(errno.ENOENT, there.do, "decision-get", asked)
        # A group that has ended is forgotten.
        scene.home.close()
        ynl.do("decision-get", asked)
        scene.sibling.close()
        refused(errno.ENOENT, ynl.do, "decision-get", asked)


def malformed():
    """Requests that do not name a connection."""
    with open_family() as ynl:
        scene = outcomes.redirected()
        asked = question(scene.peer)
        for name in asked:
            part = {other: asked[other] for other in asked if other != name}
            extack = refused(errno.EINVAL, ynl.do, "decision-get", part)
            equal(name, extack.get("miss-type"), "missing attribute")
        for name in "local-address", "peer-address":
            for length in (0, 3, 5, 15, 16):
                address = (asked[name] + bytes(16))[:length]
                refused(errno.EINVAL, ynl.do, "decision-get", {**asked, name: address})
            for length in (17, 4000):
                extack = refused(errno.ERANGE, ynl.do, "decision-get",
                                 {**asked, name: bytes(length)})
                equal(f".{name}", extack.get("bad-attr"), "bad attribute")
        ipv6 = question(("::1", 4000), ("::1", PORT))
        for name in "local-address", "peer-address":
            for length in (0, 4, 15):
                refused(errno.EINVAL, ynl.do, "decision-get", {**ipv6, name: bytes(length)})
        for family in (0, 1, 3, 65535):
            refused(errno.EINVAL, ynl.do, "decision-get", {**asked, "family": family})
        refused(errno.EINVAL, ynl.do, "decision-get", {**asked, "group": 1})
        ynl.do("decision-get", asked)


def unprivileged():
    """Asking needs no privilege."""
    with open_family() as ynl:
        scene = outcomes.redirected()
        become_nobody(ynl)
        expect_answer(ynl, scene, question(scene.peer), "redirected", "queue-full")


if __name__ == "__main__":
    sys.exit(run_tests("netlink_decision", [
        redirected, handed, rescued, dropped, reset, moved_twice, unknown, malformed,
        unprivileged,
    ]))
