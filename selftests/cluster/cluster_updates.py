#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Several change cluster IPs at once, and nothing is lost: generations, the role alone, and the tool's
apply while keepalived chooses the director; addresses that are left behind, or are another program's."""

import errno
import itertools
import json
import os
import signal
import socket
import sys

from clusters import name_of, node, table
from family import NlError, another, next_event, open_family, refused
from machines import ip_commands
from service_group import enter_namespace, equal, expect, run_tests, wait_until
from tool_clusters import ADDRESS, SGCTL, sgctl
from tool_file import File, holders, one_machine, shown
from traced import Traced


def generation(ynl):
    """The number of the last change."""
    return ynl.do("stats-get", {})["cluster-generation"]


def everything(ynl):
    """All that is served, and the generation."""
    names = [{name: one[name] for name in name_of(4)} for one in ynl.dump("cluster-get", {})]
    return [ynl.do("cluster-get", name) for name in names], generation(ynl)


def generations():
    """Each change has its own; what is refused or read has none, nor has another namespace."""
    whole, ynl = one_machine()
    equal(0, generation(ynl), "generation at first")
    role = {**name_of(4), "role": "director"}
    for number, (command, given) in enumerate((
            ("cluster-set", whole), ("cluster-set", whole), ("cluster-role-set", role),
            # It was decided once more.
            ("cluster-role-set", role), ("cluster-del", name_of(4))), 1):
        ynl.do(command, given)
        equal(number, generation(ynl), f"generation after {command}")
    refused(errno.ENOENT, ynl.do, "cluster-del", name_of(4))
    refused(errno.ENOENT, ynl.do, "cluster-role-set", role)
    ynl.dump("cluster-get", {})
    equal(5, generation(ynl), "generation after refusals")
    enter_namespace()
    equal(0, generation(another(ynl)), "generation of another namespace")


def made_for_another(version):
    """A change that is made for another generation changes nothing."""
    whole, ynl = one_machine(version)
    events = another(ynl)
    events.ntf_subscribe("events")
    refused(errno.EAGAIN, ynl.do, "cluster-set", {**whole, "generation": 1})
    equal([], ynl.dump("cluster-get", {}), "what is served")
    ynl.do("cluster-set", {**whole, "generation": 0})
    next_event(events, "cluster-change-ntf")
    name = name_of(version)
    before = everything(ynl)
    for other in (0, 2, 1 << 63, (1 << 64) - 1):
        for command, given in (("cluster-set", {**whole, "settle": 7}), ("cluster-del", name),
                               ("cluster-role-set", {**name, "role": "director"})):
            extack = refused(errno.EAGAIN, ynl.do, command, {**given, "generation": other})
            expect("have changed" in extack["msg"], f"what is told: {extack}")
    equal(before, everything(ynl), "what is served")
    ynl.do("cluster-role-set", {**name, "role": "director", "generation": 1})
    ynl.do("cluster-set", {**whole, "settle": 7, "generation": 2})
    ynl.do("cluster-del", {**name, "generation": 3})
    for role, settle in (("director", 60), ("standby", 7)):
        told = next_event(events, "cluster-change-ntf")
        equal((role, settle), (told["role"], told["settle"]), "what was changed next")
    next_event(events, "cluster-del-ntf")


def made_for_another_ipv4():
    """IPv4."""
    made_for_another(4)


def made_for_another_ipv6():
    """IPv6."""
    made_for_another(6)


def the_role_alone(version):
    """All else stays, whatever it is."""
    whole, ynl = one_machine(version, hash="keyed", key=bytes(range(16)), spill=1,
                             nodes=[node(1, version, weight=7), node(2, version, state="draining"),
                                    node(3, 6, way="tunnel")])
    ynl.do("cluster-set", whole)
    ynl.do("cluster-set", {**whole, "epoch": 2, "table": table(3, 1, 1)})
    before = ynl.do("cluster-get", name_of(version))
    with another(ynl) as events:
        events.ntf_subscribe("events")
        for role in ("director", "standby", "standby", "director"):
            previous = ynl.do("cluster-get", name_of(version))["role"]
            ynl.do("cluster-role-set", {**name_of(version), "role": role})
            equal({**before, "role": role}, ynl.do("cluster-get", name_of(version)), "all of it")
            if previous != role:
                equal(role, next_event(events, "cluster-change-ntf")["role"], "role told")
    # The device goes, and comes back.
    ip_commands("link del eth0")
    ynl.do("cluster-role-set", {**name_of(version), "role": "standby"})
    equal((0, "standby"), device_and_role(ynl, version), "without a device")
    ynl.do("cluster-role-set", {**name_of(version), "role": "director"})
    ip_commands("link add eth0 type dummy", "link set eth0 up")
    wait_until(lambda: device_and_role(ynl, version) ==
               (socket.if_nametoindex("eth0"), "director"), "the device is back")


def device_and_role(ynl, version):
    """Of the cluster IP."""
    told = ynl.do("cluster-get", name_of(version))
    return told["device"], told["role"]


def the_role_alone_ipv4():
    """IPv4."""
    the_role_alone(4)


def the_role_alone_ipv6():
    """IPv6."""
    the_role_alone(6)


def roles_that_are_refused():
    """Only who directs has another role, and only one of those."""
    whole, ynl = one_machine()
    name = name_of(4)
    role = {**name, "role": "director"}
    refused(errno.ENOENT, ynl.do, "cluster-role-set", role)
    ynl.do("cluster-set", whole)
    before = everything(ynl)
    for wrong in ("shared", "directed"):
        refused(errno.EINVAL, ynl.do, "cluster-role-set", {**name, "role": wrong})
    missing = refused(errno.EINVAL, ynl.do, "cluster-role-set", name).get("miss-type")
    equal("role", missing, "missing attribute")
    refused(errno.ERANGE, ynl.do, "cluster-role-set", {**name, "role": 4})
    for more in ({"epoch": 9}, {"port": 80}):
        refused(errno.EINVAL, ynl.do, "cluster-role-set", {**role, **more})
    refused(errno.ENOENT, ynl.do, "cluster-role-set", {**role, "protocol": 6})
    equal(before, everything(ynl), "what is served")
    for other in ({"role": "directed"}, {"role": "shared", "mac": bytes.fromhex("0300c0ffee01")}):
        ynl.do("cluster-set", {**whole, "node": 1, **other})
        refused(errno.ENOENT, ynl.do, "cluster-role-set", role)
    # Without the capability in the namespace's own user namespace.
    ynl.do("cluster-set", whole)
    before = everything(ynl)
    os.setresuid(65534, 65534, 65534)
    ynl.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    refused(errno.EPERM, ynl.do, "cluster-role-set", role)
    equal(before, everything(ynl), "what is served")


def no_role_is_lost():
    """One changes all but the role, for the generation that it has read; another one the role."""
    whole, ynl = one_machine()
    ynl.do("cluster-set", whole)
    child = os.fork()
    if child == 0:
        ynl = another(ynl)
        for settle in itertools.count(1):
            number = generation(ynl)
            present = ynl.do("cluster-get", name_of(4))
            try:
                ynl.do("cluster-set", {**whole, "role": present["role"], "settle": settle,
                                       "generation": number})
            except NlError as error:
                if error.error != errno.EAGAIN:
                    os._exit(1)
    seen = set()
    for number in range(150):
        role = ("director", "standby")[number % 2]
        ynl.do("cluster-role-set", {**name_of(4), "role": role})
        told = [ynl.do("cluster-get", name_of(4)) for _ in range(3)]
        seen.update(one["settle"] for one in told)
        equal([role] * 3, [one["role"] for one in told], f"role in round {number}")
    equal((0, 0), os.waitpid(child, os.WNOHANG), "whether the other one has ended")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    expect(len(seen) > 9, f"the other one changed something: {len(seen)}")


def decide(directs):
    """As keepalived does: the address, then the role."""
    if directs != ("eth0" in holders()):
        ip_commands(f"addr {'add' if directs else 'del'} {ADDRESS}/32 dev eth0")
    return sgctl("role", "director" if directs else "standby", ADDRESS, status=None)


def outcome(directs):
    """What there is to be afterwards."""
    return ("director", ["eth0"]) if directs else ("standby", [])


def a_role_at_any_moment():
    """keepalived decides before any message of apply: that counts, and the file is applied."""
    one_machine()
    file = File()
    file.write(("lb1", "lb2"))
    file.apply()
    equal(outcome(False), (shown()[0], holders()), "at first")
    for moment in itertools.count(1):
        directs = bool(moment % 2)
        file.settle(59 + moment, 60 + moment)
        traced = file.traced()
        is_there = all(traced.sends() for _ in range(moment))
        if is_there:
            decide(directs)
        said = traced.end()
        equal(0, traced.status, f"status: {said}")
        if not is_there:
            break
        equal((*outcome(directs), 60 + moment), (shown()[0], holders(), shown()[1]),
              f"after message {moment}: {said}")
    expect(moment > 9, f"messages: {moment}")


def a_role_while_it_comes():
    """The same while apply has the machine serve the address for the first time."""
    _, ynl = one_machine()
    file = File()
    file.write(("lb1", "lb2"))
    decided = 0
    for directs in (True, False):
        for moment in itertools.count(1):
            if shown():
                ynl.do("cluster-del", {**name_of(4), "address": socket.inet_aton(ADDRESS)})
            has = "eth0" in holders()
            if has == directs:
                ip_commands(f"addr {'del' if has else 'add'} {ADDRESS}/32 dev eth0")
            traced = file.traced()
            is_there = all(traced.sends() for _ in range(moment))
            if is_there:
                decided += "no director" not in decide(directs)
            said = traced.end()
            equal(0, traced.status, f"status: {said}")
            if not is_there:
                break
            equal(outcome(directs), (shown()[0], holders()), f"after message {moment}: {said}")
        expect(moment > 9, f"messages: {moment}")
    expect(decided > 1, "some roles were told to the module")


def addresses_left_behind():
    """What apply has added goes when nothing needs it, whichever change that is."""
    one_machine()
    ip_commands("link add eth1 type dummy", "link set eth1 up")
    file = File()
    file.write(("lb1",))
    file.apply()
    equal(("director", ["eth0"]), (shown()[0], holders()), "the only director")
    # Another one comes, and keepalived: the one that directs has the address until it does no more.
    file.write(("lb1", "lb2"))
    file.apply()
    equal(("director", ["eth0"]), (shown()[0], holders()), "one of two")
    sgctl("role", "standby")
    equal(("standby", []), (shown()[0], holders()), "the standby")
    file.write(("lb1",), device="eth1")
    file.apply()
    equal(("director", ["eth1"]), (shown()[0], holders()), "on another device")
    file.write(("lb1",))
    file.apply()
    equal(["eth0"], holders(), "on the first one")
    # It is a node.
    file.write(("lb2",))
    file.apply("a")
    equal(("directed", ["lo"]), (shown()[0], holders()), "a node")
    file.apply()
    equal((None, []), (shown(), holders()), "no part")
    # The module has forgotten it meanwhile.
    file.write(("lb1",))
    file.apply()
    open_family().do("cluster-del", {**name_of(4), "address": socket.inet_aton(ADDRESS)})
    equal(["eth0"], holders(), "what is left")
    file.write(())
    file.apply()
    equal([], holders(), "what is left")


def addresses_of_others():
    """They are neither taken over nor removed, and those that nobody needs are named."""
    one_machine()
    file = File()
    file.write(("lb1",))
    ip_commands(f"addr add {ADDRESS}/32 dev lo", f"addr add {ADDRESS}/32 dev eth0")
    said = file.apply()
    expect(f"{ADDRESS}/32 on lo stays" in said and "on eth0 stays" not in said, said)
    equal(["lo", "eth0"], holders(), "a director")
    said = file.apply("a")
    expect(f"{ADDRESS}/32 on eth0 stays" in said and "on lo stays" not in said, said)
    told = json.loads(sgctl("apply", file.path, "--node", "a", "--json"))
    equal([f"{ADDRESS}/32 on eth0"], told["left"], "what is named")
    # A node that does not serve an address any more, and has it, would answer for all machines.
    file.write(())
    for device in "lo", "eth0":
        said = file.apply(status=1)
        expect(f"ip address del {ADDRESS}/32 dev {device}" in said, said)
        equal("directed", shown()[0], "a node")
        ip_commands(f"addr del {ADDRESS}/32 dev {device}")
    file.apply()
    equal((None, []), (shown(), holders()), "what is left")
    # It comes between the look and the step, and what follows fails: it stays.
    file.write(("lb1",))
    traced = Traced([SGCTL, "cluster", "set", ADDRESS, "--settle", "9", "--file", file.path,
                     "--node", "lb1"])
    while not shown():
        expect(traced.sends(), "it is served")
    ip_commands(f"addr add {ADDRESS}/32 dev eth0")
    os.unlink(file.path)
    os.mkdir(file.path)
    said = traced.end()
    expect(traced.status != 0 and said.rstrip().endswith("nothing has changed"), said)
    equal((None, ["eth0"]), (shown(), holders()), "what is left")


if __name__ == "__main__":
    sys.exit(run_tests("cluster_updates", [
        generations, made_for_another_ipv4, made_for_another_ipv6, the_role_alone_ipv4,
        the_role_alone_ipv6, roles_that_are_refused, no_role_is_lost, a_role_at_any_moment,
        a_role_while_it_comes, addresses_left_behind, addresses_of_others,
    ]))
