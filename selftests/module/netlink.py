#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The netlink read-out, through the kernel's own library and our spec: groups,
members, totals, filters, dumps in many parts, bad requests, notifications.

What the counters count is tested by listen.c and others in C.
"""

import errno
import os
import re
import socket
import struct
import sys

from family import become_nobody, next_event, open_family, raw_request, refused
from service_group import (LEAVE_DRAIN, PATIENCE, PORT, configure, cookie_of,
                           enter_namespace, equal, expect, form, group_of, inode_of, join, leave,
                           listener, new_socket, run_tests)

MANY = 600


def groups():
    """Two groups, of two sockets and of one, are told as they are."""
    with open_family() as ynl:
        equal([], ynl.dump("group-get", {}), "groups at first")
        pair = [listener(1), listener(2)]
        single = new_socket()
        first, second = form(pair), form([single])
        told = {group["id"]: group for group in ynl.dump("group-get", {})}
        equal({first, second}, set(told), "ids")
        equal(2, told[first]["members"], "members")
        equal(1, told[second]["members"], "members")
        equal(os.getuid(), told[first]["uid"], "user")
        equal(0, told[first]["counters"]["home"], "counter")
        equal(told[first], ynl.do("group-get", {"id": first}), "one group")
        pair[0].close()
        equal(1, ynl.do("group-get", {"id": first})["members"], "members")


def members():
    """All that is told of members, and by group."""
    with open_family() as ynl:
        home, sibling, unbound = listener(1, 3), listener(2, 4), new_socket(socket.AF_INET6)
        other = new_socket()
        group = form([home, sibling])
        join(unbound, group)
        form([other])
        equal(4, len(ynl.dump("member-get", {})), "all members")
        told = {m["inode"]: m for m in ynl.dump("member-get", {"group": group})}
        equal(3, len(told), "members of the group")
        member = told[inode_of(sibling)]
        equal(group, member["group"], "group")
        equal(socket.AF_INET, member["family"], "family")
        equal(PORT, member["port"], "port")
        equal(bytes([127, 0, 0, 2]), member["address"], "address")
        equal("listening", member["state"], "state")
        equal(4, member["backlog"], "backlog")
        equal(0, member["queued"] + member["half-open"], "load")
        equal(cookie_of(sibling), member["cookie"], "cookie")
        member = told[inode_of(unbound)]
        equal(socket.AF_INET6, member["family"], "family")
        equal("unbound", member["state"], "state")
        equal(0, member["port"], "port")
        equal(bytes(16), member["address"], "address")


def loads_and_counters():
    """A connection that waits is told of its member, and of its group."""
    with open_family() as ynl:
        home, sibling = listener(1, 0), listener(2, 0)
        group = form([home, sibling])
        configure(home, stall=0)
        clients = [socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE) for _ in range(2)]
        # Accepting waits until it is there.
        served, _ = sibling.accept()
        told = {m["address"][3]: m for m in ynl.dump("member-get", {"group": group})}
        equal(1, told[1]["queued"], "queued at home")
        equal(0, told[2]["queued"], "queued at the sibling")
        equal(1, told[1]["counters"]["home"], "home")
        equal(1, told[1]["counters"]["redirected-queue-full"], "redirected")
        equal(1, told[2]["counters"]["redirected-in"], "redirected in")
        # A group's totals outlive its members.
        sibling.close()
        counters = ynl.do("group-get", {"id": group})["counters"]
        equal((1, 1, 1), (counters["home"], counters["redirected-in"],
                          counters["redirected-queue-full"]), "totals")
        for sock in (served, *clients):
            sock.close()


def all_counters():
    """Members and groups tell every counter of the spec, and what a new group is set to."""
    with open_family() as ynl:
        expected = {name for name in ynl.attr_sets["counters"] if name != "pad"}
        expect({"redirected-stalled", "reset", "handed-out", "stalls", "rewritten"} < expected, "the spec's")
        sockets = [listener(1), listener(2)]
        group = form(sockets)
        told = ynl.do("group-get", {"id": group})
        equal(expected, set(told["counters"]), "counters of the group")
        equal(("overflow", "drop", 100, 0),
              tuple(told[name] for name in ("policy", "when-full", "stall", "rewrite")),
              "settings")
        for member in ynl.dump("member-get", {"group": group}):
            equal(expected, set(member["counters"]), "counters of a member")
            equal({0}, set(member["counters"].values()), "values")
            equal(1, member["weight"], "weight")


def totals():
    """What stats-get tells."""
    with open_family() as ynl:
        stats = ynl.do("stats-get", {})
        equal({"groups": 0, "members": 0, "refused-limit": 0, "refused-permission": 0,
               "refused-other": 0, "cluster-generation": 0}, stats, "at first")
        sockets = [new_socket() for _ in range(3)]
        form(sockets)
        try:
            form(sockets)
        except OSError as error:
            equal(errno.EALREADY, error.errno, "error")
        stats = ynl.do("stats-get", {})
        equal((1, 3, 1), (stats["groups"], stats["members"], stats["refused-other"]), "totals")


def dump_in_parts():
    """A dump of more than one message gives everything once; small reads too."""
    sockets = [new_socket() for _ in range(MANY)]
    ids = {form([sock]) for sock in sockets}
    equal(MANY, len(ids), "different ids")
    for size in (4000, 131072):
        with open_family(recv_size=size) as ynl:
            told = [group["id"] for group in ynl.dump("group-get", {})]
            equal(MANY, len(told), f"groups, reading {size} bytes")
            equal(ids, set(told), "ids")
            told = [member["group"] for member in ynl.dump("member-get", {})]
            equal(MANY, len(told), f"members, reading {size} bytes")
            equal(ids, set(told), "ids of members")


def dump_of_one_big_group():
    """Members of one group that do not fit in one message."""
    sockets = [new_socket() for _ in range(300)]
    group = form(sockets)
    form([new_socket_kept()])
    with open_family() as ynl:
        told = ynl.dump("member-get", {"group": group})
        equal({inode_of(sock) for sock in sockets},
              {member["inode"] for member in told}, "members")
        equal(300, len(told), "members, each once")


KEPT = []


def new_socket_kept():
    """A socket that stays open."""
    KEPT.append(new_socket())
    return KEPT[-1]


def bad_requests():
    """Errors, with what they are about."""
    sock = new_socket()
    group = form([sock])
    with open_family() as ynl:
        refused(errno.ENOENT, ynl.do, "group-get", {"id": group + 1000})
        refused(errno.ENOENT, ynl.dump, "member-get", {"group": group + 1000})
        extack = refused(errno.ERANGE, ynl.do, "group-get", {"id": 0})
        expect(".id" in str(extack.get("bad-attr", "")), f"no bad-attr in {extack}")
        refused(errno.ERANGE, ynl.dump, "member-get", {"group": 0})
        refused(errno.EINVAL, ynl.do, "group-get", {})
        # Attributes that the request does not have.
        refused(errno.EINVAL, ynl.do, "group-get", {"id": group, "uid": 0})
        refused(errno.EINVAL, ynl.dump, "member-get", {"group": group, "port": 80})
        # An id of another length.
        raw_id = struct.pack("=HHHxx", 6, 1, 1)
        equal(-errno.EINVAL, raw_request(ynl, 1, raw_id), "short id")
        # A command that there is not.
        equal(-errno.EOPNOTSUPP, raw_request(ynl, 99, b""), "command")
        equal(group, ynl.do("group-get", {"id": group})["id"], "still there")


def notifications():
    """Groups and members come and go."""
    with open_family() as ynl:
        ynl.ntf_subscribe("events")
        home, sibling, late = listener(1, 0), listener(2, 0), listener(3, 0)
        group = form([home, sibling])
        equal(group, next_event(ynl, "group-add-ntf")["id"], "group")
        inodes = {inode_of(sock) for sock in (home, sibling)}
        added = [next_event(ynl, "member-add-ntf") for _ in range(2)]
        equal(inodes, {member["inode"] for member in added}, "members")
        # None of them is to stall, which would be one more.
        configure(home, stall=0)
        equal(0, next_event(ynl, "group-change-ntf")["stall"], "stall time")
        join(late, group)
        equal(PORT, next_event(ynl, "member-add-ntf")["port"], "port")
        leave(late)
        member = next_event(ynl, "member-del-ntf")
        equal((group, bytes([127, 0, 0, 3])), (member["group"], member["address"]), "member")
        equal("listening", member["state"], "what one does that has left")
        for drain in 0, LEAVE_DRAIN:
            join(late, group)
            next_event(ynl, "member-add-ntf")
            leave(late, drain)
            equal("listening", next_event(ynl, "member-del-ntf")["state"], f"state, drain {drain}")
        client = socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE)
        home.close()
        member = next_event(ynl, "member-del-ntf")
        equal(1, member["counters"]["home"], "final counter")
        sibling.close()
        next_event(ynl, "member-del-ntf")
        last = next_event(ynl, "group-del-ntf")
        equal((group, 1), (last["id"], last["counters"]["home"]), "group's end")
        client.close()
        # A refusal is no event; the next one is that of a later group.
        try:
            join(late, group)
        except OSError as error:
            equal(errno.ENOENT, error.errno, "error")
        other = form([late])
        equal(other, next_event(ynl, "group-add-ntf")["id"], "later group")


def namespaces():
    """Another namespace sees nothing of it."""
    sock = new_socket()
    group = form([sock])
    with open_family() as here:
        enter_namespace()
        with open_family() as there:
            there.ntf_subscribe("events")
            equal([], there.dump("group-get", {}), "groups there")
            equal([], there.dump("member-get", {}), "members there")
            equal(0, there.do("stats-get", {})["groups"], "total there")
            refused(errno.ENOENT, there.do, "group-get", {"id": group})
            leave(sock)
            equal([], here.dump("group-get", {}), "groups here")
            own = new_socket()
            mine = form([own])
            equal(mine, next_event(there, "group-add-ntf")["id"], "only the own event")
            equal([], here.dump("group-get", {}), "groups here")


def unprivileged():
    """Reading needs no privilege."""
    sock = new_socket()
    group = form([sock])
    with open_family() as ynl:
        become_nobody(ynl)
        equal(group, ynl.do("group-get", {"id": group})["id"], "group")
        equal(1, len(ynl.dump("member-get", {})), "members")


def shown_by_ss():
    """The flag and the group's id are in `ss -ltni`."""
    import subprocess
    sock = listener(1)
    group = form([sock])
    equal(group, group_of(sock), "group")
    shown = subprocess.run(["ss", "-ltniH"], check=True, capture_output=True, text=True).stdout
    expect(re.search(r"tcp-ulp-service_group", shown), f"not in {shown!r}")


if __name__ == "__main__":
    sys.exit(run_tests("netlink", [
        groups, members, loads_and_counters, all_counters, totals, dump_in_parts,
        dump_of_one_big_group, bad_requests, notifications, namespaces, unprivileged, shown_by_ss,
    ]))
