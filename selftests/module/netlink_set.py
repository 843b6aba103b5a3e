#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Changing groups and members through netlink: every attribute, its range, who
may, and what others are told. What the settings do is tested in C."""

import errno
import os
import socket
import struct
import sys

from family import (become_nobody, members_of, next_event, open_family, raw_request,
                    refused)
from outcomes import STALL, connect
from service_group import (CLONE_NEWNET, SO_SERVICE_GROUP_SETTINGS, configure,
                           cookie_of, enter_namespace, equal, form, listener, new_socket,
                           run_tests)

CLONE_NEWUSER = 0x10000000
NEW = {"policy": "overflow", "when-full": "drop", "stall": 100, "rewrite": 0}


def settings_of(ynl, group):
    """What a group is set to."""
    told = ynl.do("group-get", {"id": group})
    return {name: told[name] for name in NEW}


def each_setting():
    """One at a time; the others stay, and so does another group."""
    one, other = listener(1), listener(2)
    group, untouched = form([one]), form([other])
    with open_family() as ynl:
        expected = dict(NEW)
        for name, value in (("policy", "balance"), ("when-full", "reset"), ("stall", 250),
                            ("stall", 0), ("stall", 1), ("stall", 60000), ("rewrite", 1),
                            ("rewrite", 0),
                            ("policy", "overflow"), ("when-full", "drop")):
            ynl.do("group-set", {"id": group, name: value})
            expected[name] = value
            equal(expected, settings_of(ynl, group), f"after {name} {value}")
        equal(NEW, settings_of(ynl, untouched), "the other group")


def all_settings():
    """All at once, and the socket tells them."""
    sock = listener(1)
    group = form([sock])
    with open_family() as ynl:
        ynl.do("group-set", {"id": group, "policy": "balance", "when-full": "reset",
                             "stall": 321, "rewrite": 1})
        cookie = cookie_of(sock)
        ynl.do("member-set", {"group": group, "cookie": cookie, "weight": 7})
    option = sock.getsockopt(socket.SOL_IP, SO_SERVICE_GROUP_SETTINGS, 32)
    equal((32, 63, 1, 1, 321, 7, 1, 0), struct.unpack("=8I", option), "the option's settings")


def weights():
    """A member's own, of any in the range."""
    sockets = [listener(1), listener(2)]
    group = form(sockets)
    one, other = (cookie_of(sock) for sock in sockets)
    with open_family() as ynl:
        for weight in (2, 65535, 1, 9):
            ynl.do("member-set", {"group": group, "cookie": one, "weight": weight})
            told = members_of(ynl, group)
            equal((weight, 1), (told[one]["weight"], told[other]["weight"]), "weights")


def ranges():
    """What is out of range is refused, and changes nothing."""
    sock = listener(1)
    group, cookie = form([sock]), cookie_of(sock)
    with open_family() as ynl:
        for name, value in (("policy", 2), ("when-full", 2), ("stall", 60001),
                            ("stall", 0xffffffff), ("rewrite", 2)):
            # The one that is right comes first.
            change = {"id": group, "policy": 1, name: value}
            extack = refused(errno.ERANGE, ynl.do, "group-set", change)
            equal(f".{name}", extack.get("bad-attr"), "bad attribute")
        for weight in (0, 65536, 0xffffffff):
            change = {"group": group, "cookie": cookie, "weight": weight}
            extack = refused(errno.ERANGE, ynl.do, "member-set", change)
            equal(".weight", extack.get("bad-attr"), "bad attribute")
        equal(NEW, settings_of(ynl, group), "settings")
        equal(1, members_of(ynl, group)[cookie]["weight"], "weight")


def missing():
    """Requests that do not say what, or name what is not theirs."""
    sock = listener(1)
    group, cookie = form([sock]), cookie_of(sock)
    whole = {"group": group, "cookie": cookie, "weight": 5}
    with open_family() as ynl:
        extack = refused(errno.EINVAL, ynl.do, "group-set", {"policy": 1})
        equal("id", extack.get("miss-type"), "missing attribute")
        refused(errno.EINVAL, ynl.do, "group-set", {"id": group})
        refused(errno.EINVAL, ynl.do, "group-set", {})
        refused(errno.EINVAL, ynl.do, "group-set", {"id": group, "policy": 1, "uid": 0})
        refused(errno.EINVAL, ynl.do, "group-set", {"id": group, "policy": 1, "members": 1})
        for name in whole:
            part = {other: whole[other] for other in whole if other != name}
            extack = refused(errno.EINVAL, ynl.do, "member-set", part)
            equal(name, extack.get("miss-type"), "missing attribute")
        refused(errno.EINVAL, ynl.do, "member-set", {**whole, "queued": 1})
        # A stall time of another length.
        payload = struct.pack("=HHI", 8, 1, group) + struct.pack("=HHHxx", 6, 6, 1)
        equal(-errno.EINVAL, raw_request(ynl, 3, payload), "short stall time")
        equal(NEW, settings_of(ynl, group), "settings")
        equal(1, members_of(ynl, group)[cookie]["weight"], "weight")


def unknown():
    """Groups and members that there are not."""
    one, other = listener(1), listener(2)
    group, second = form([one]), form([other])
    with open_family() as ynl:
        refused(errno.ENOENT, ynl.do, "group-set", {"id": group + 1000, "policy": 1})
        refused(errno.ERANGE, ynl.do, "group-set", {"id": 0, "policy": 1})
        for ids in ((group + 1000, cookie_of(one)), (group, cookie_of(one) + (1 << 40)),
                    # A member, but of the other group.
                    (second, cookie_of(one)), (group, 0)):
            change = {"group": ids[0], "cookie": ids[1], "weight": 2}
            refused(errno.ENOENT, ynl.do, "member-set", change)
        refused(errno.ERANGE, ynl.do, "member-set", {"group": 0, "cookie": 1, "weight": 2})
        enter_namespace()
        with open_family() as there:
            refused(errno.ENOENT, there.do, "group-set", {"id": group, "policy": 1})
        equal(NEW, settings_of(ynl, group), "settings")


def unprivileged():
    """Changing needs CAP_NET_ADMIN, even for whose group it is."""
    sock = listener(1)
    group, cookie = form([sock]), cookie_of(sock)
    with open_family() as ynl:
        become_nobody(ynl)
        refused(errno.EPERM, ynl.do, "group-set", {"id": group, "policy": 1})
        refused(errno.EPERM, ynl.do, "member-set",
                {"group": group, "cookie": cookie, "weight": 2})
        equal(NEW, settings_of(ynl, group), "settings")
        equal(1, members_of(ynl, group)[cookie]["weight"], "weight")


def admin_of_a_namespace():
    """The capability counts in the namespace's own user namespace."""
    with open_family() as outside:
        os.unshare(CLONE_NEWUSER | CLONE_NEWNET)
        sock = new_socket()
        group = form([sock])
        with open_family() as ynl:
            ynl.do("group-set", {"id": group, "policy": "balance"})
            equal("balance", settings_of(ynl, group)["policy"], "policy")
            # How often the machine's timers run is not for this user to say.
            for stall in (1, 9):
                refused(errno.EPERM, ynl.do, "group-set", {"id": group, "stall": stall})
            for stall in (10, 0):
                ynl.do("group-set", {"id": group, "stall": stall})
                equal(stall, settings_of(ynl, group)["stall"], "stall time")
        # This socket is of the namespace before.
        refused(errno.ENOENT, outside.do, "group-get", {"id": group})


def change_notifications():
    """Those who listen are told what is new, once for each change."""
    sockets = [listener(1), listener(2)]
    group, cookie = form(sockets), cookie_of(sockets[1])
    with open_family() as ynl:
        ynl.ntf_subscribe("events")
        ynl.do("group-set", {"id": group, "policy": "balance", "stall": 70})
        told = next_event(ynl, "group-change-ntf")
        equal((group, 2, "balance", "drop", 70),
              tuple(told[name] for name in ("id", "members", "policy", "when-full", "stall")),
              "group")
        ynl.do("member-set", {"group": group, "cookie": cookie, "weight": 3})
        told = next_event(ynl, "member-change-ntf")
        equal((group, cookie, 3), (told["group"], told["cookie"], told["weight"]), "member")
        # A refusal is no event.
        refused(errno.ENOENT, ynl.do, "member-set",
                {"group": group, "cookie": 1 << 40, "weight": 3})
        ynl.do("group-set", {"id": group, "when-full": "reset"})
        equal("reset", next_event(ynl, "group-change-ntf")["when-full"], "next event")


def stall_notifications():
    """A worker hangs, and is back; it has no sibling that could hang as well."""
    home = listener(1, 8)
    group = form([home])
    configure(home, stall=STALL)
    with open_family() as ynl:
        ynl.ntf_subscribe("events")
        client = connect()
        told = next_event(ynl, "member-stall-ntf")
        equal((group, cookie_of(home), "stalled", 1),
              tuple(told[name] for name in ("group", "cookie", "state", "queued")), "member")
        equal(1, told["counters"]["stalls"], "stalls")
        served, _ = home.accept()
        told = next_event(ynl, "member-ready-ntf")
        equal((group, cookie_of(home), "listening", 0),
              tuple(told[name] for name in ("group", "cookie", "state", "queued")), "member")
        served.close()
        client.close()


if __name__ == "__main__":
    sys.exit(run_tests("netlink_set", [
        each_setting, all_settings, weights, ranges, missing, unknown, unprivileged,
        admin_of_a_namespace, change_notifications, stall_notifications,
    ]))
