#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster apply: two at once, a cluster IP that gets another device, and a module that is older
than the tool."""

import os
import subprocess
import sys

from cluster_updates import decide, outcome
from family import open_family
from machines import ip_commands
from older import OlderModule
from service_group import (CLONE_NEWNET, PATIENCE, enter_namespace, equal, expect,
                           run_tests, start)
from tool_clusters import ADDRESS, SGCTL, sgctl
from tool_file import File, holders, one_machine, shown
from traced import Traced

WAITS = "another sgctl changes /run/sgctl/network-namespace-{}: waiting until it is done\n"


def applies(file):
    """Another apply, which the caller does not wait for."""
    return start([SGCTL, "cluster", "apply", file.path, "--node", "lb1"], stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE, text=True)


def one_after_the_other():
    """Of two at once the second one waits, and says so, whatever the first one has done by then;
    another network namespace is nobody's concern."""
    one_machine()
    first, second = File(), File()
    first.write(("lb1",), settle=61)
    second.write(("lb1",), settle=62)
    inode = os.stat("/proc/self/ns/net").st_ino
    traced = first.traced()
    expect(traced.sends(), "it is about to begin")
    waiting = applies(second)
    equal(f"sgctl: {WAITS.format(inode)}", waiting.stderr.readline(), "what the second one says")
    there = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter_namespace()
    one_machine()
    second.apply()
    equal(("director", 62), shown(), "in another namespace")
    os.setns(there, CLONE_NEWNET)
    seen = set()
    while traced.sends():
        equal(None, waiting.poll(), "whether the second one has ended")
        seen.add(shown())
    equal(0, traced.status, f"status of the first one: {traced.end()}")
    expect(seen <= {None, ("director", 61)}, f"what is served meanwhile: {seen}")
    said, wrong = waiting.communicate(timeout=PATIENCE)
    equal((0, ""), (waiting.returncode, wrong), f"the second one: {said}")
    equal((("director", 62), ["eth0"]), (shown(), holders()), "what is served")


def a_change_comes_first():
    """While one changes the file, another applies it: it waits, and applies what was changed. The file
    is replaced last, and until then it says what this machine does not do any more."""
    one_machine()
    file = File()
    file.write(("lb1",), settle=61)
    file.apply()
    traced = Traced([SGCTL, "cluster", "set", ADDRESS, "--settle", "62", "--file", file.path,
                     "--node", "lb1"])
    while shown() == ("director", 61):
        expect(traced.sends(), f"it ends before it has done anything: {traced.status}")
    with open(file.path, encoding="utf-8") as text:
        expect("settle = 61\n" in text.read(), "the file is replaced last")
    waiting = applies(file)
    inode = os.stat("/proc/self/ns/net").st_ino
    equal(f"sgctl: {WAITS.format(inode)}", waiting.stderr.readline(), "what the second one says")
    expect(traced.status is None, "the first one is not done")
    said = traced.end()
    equal(0, traced.status, f"status of the first one: {said}")
    said, wrong = waiting.communicate(timeout=PATIENCE)
    equal((0, ""), (waiting.returncode, wrong), f"the second one: {said}")
    equal((("director", 62), ["eth0"]), (shown(), holders()), "what is served")


def another_device(*files, by_keepalived=False):
    """A director's file names these directors, one after the other, and then another device: who directs
    and has the address in the end."""
    one_machine()
    ip_commands("link add eth1 type dummy", "link set eth1 up")
    file = File()
    for names in files:
        file.write(names)
        file.apply()
    if by_keepalived:
        decide(True)
    equal(outcome(True), (shown()[0], holders()), "at first")
    file.write(files[-1], device="eth1")
    said = file.apply()
    equal("director", shown()[0], f"role: {said}")
    return holders()


def another_device_of_the_only_one():
    """The address moves."""
    equal(["eth1"], another_device(("lb1",)), "what is left")


def another_device_of_one_of_two():
    """So does what apply has given as long as there was no other one."""
    equal(["eth1"], another_device(("lb1",), ("lb1", "lb2")), "what is left")


def another_device_by_keepalived():
    """What keepalived has given stays until keepalived is told of the other device."""
    equal(["eth0"], another_device(("lb1", "lb2"), by_keepalived=True), "what is left")


def older(*words):
    """What the tool says of a module without generations, places of addresses and the operation for
    the role alone, and its status."""
    with open_family() as ynl:
        traced = OlderModule([SGCTL, "cluster", *words], ynl.nlproto.family_id)
    return traced.end(), traced.status


def older_module():
    """An older module is changed as a whole; a machine is ready only if it can be made the director."""
    one_machine()
    file = File()
    file.write(("lb1", "lb2"))
    said, status = older("apply", file.path, "--node", "lb1")
    equal((0, outcome(False)), (status, (shown()[0], holders())), f"apply: {said}")
    said, status = older("ready", ADDRESS)
    equal((0, f"{ADDRESS}: standby\n"), (status, said), "ready of a standby")
    for directs in (True, False, True):
        role = "director" if directs else "standby"
        if directs != bool(holders()):
            ip_commands(f"addr {'add' if directs else 'del'} {ADDRESS}/32 dev eth0")
        if directs:
            # The address comes first: until then it would draw what it does not direct.
            equal(1, older("ready", ADDRESS)[1], "ready of a standby with the address")
        said, status = older("role", role)
        equal((0, f"{ADDRESS}: {role}\n"), (status, said), f"role {role}")
        equal(outcome(directs), (shown()[0], holders()), f"what a {role} has")
        equal(0, older("ready", ADDRESS)[1], f"ready of a {role}")
    ip_commands(f"addr del {ADDRESS}/32 dev eth0")
    said, status = older("ready", ADDRESS)
    expect(status == 1 and said.count("\n") == 1 and "does not have the address" in said,
           f"ready of a director without its address: {status}, {said}")
    file.settle(60, 61)
    said, status = older("apply", file.path, "--node", "lb1")
    equal((0, ("director", 61)), (status, shown()), f"apply: {said}")
    # Now it is the only one.
    file.write(("lb1",), settle=62)
    said, status = older("apply", file.path, "--node", "lb1")
    equal((0, ("director", 62), ["eth0"]), (status, shown(), holders()), f"apply: {said}")
    sgctl("role", "standby")
    equal(("standby", []), (shown()[0], holders()), "with the module as it is")


if __name__ == "__main__":
    sys.exit(run_tests("cluster_applied", [
        one_after_the_other, a_change_comes_first, another_device_of_the_only_one,
        another_device_of_one_of_two, another_device_by_keepalived, older_module,
    ]))
