#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How links end, and what does not end them: they are taken away or replaced, peers are silent, do not
read or are cut off, programs and namespaces go, the module is to go, and a user holds a socket's lock.

SG_MODULE is the module's path.
"""

import errno
import os
import signal
import socket
import struct
import sys

from clusters import open_family_on
from family import refused
from machines import ip_commands, segment
from peers import (FAST, HEARTBEAT, HELLO, SLOW, Locked, Played, comes_to, connected, ended, give, hears,
                   is_machine, link, listening, played, played_up, told)
from service_group import die_with_parent, equal, expect, run_tests, wait_until
from unloading import load, rmmod, stays, unload

# Of a bye: enum service_group_link_reason.
REPLACED, REMOVED = 3, 4


def linked(count=2, **changes):
    """So many machines, of which the first two have a link."""
    machines = segment(count)
    open_family_on(machines)
    one, other = machines[:2]
    is_machine(one, [2], **changes)
    is_machine(other, [1], **changes)
    link(one, other)
    for machine, peer in ((one, 2), (other, 1)):
        comes_to(machine, peer, state="up", away=0)
    return machines


def taken_away():
    """By link-del; both sides tell of it, and a new link may come."""
    one, other = linked()
    events = listening(other)
    refused(errno.EINVAL, one.ynl.do, "link-del", {})
    refused(errno.ENOENT, one.ynl.do, "link-del", {"peer": 3})
    one.ynl.do("link-del", {"peer": 2})
    seen = told(one, 2)
    equal(("unreachable", "removed", None), (seen["state"], seen["reason"], seen.get("secure")), "here")
    refused(errno.ENOENT, one.ynl.do, "link-del", {"peer": 2})
    hears(events, 1, state="unreachable", reason="closed", away=1)
    comes_to(one, 2, away=1)
    link(one, other)
    # It was up before, and so has to be up for a while.
    comes_to(one, 2, state="up", away=0, reason="removed")
    comes_to(other, 1, state="up", away=0, reason="closed")


def comes_and_goes():
    """Each time it has to be up for longer before it gets new flows."""
    one, client = segment(2)
    open_family_on([one])
    is_machine(one, [9], heartbeat=SLOW)
    held = []
    for _ in range(3):
        peer = played(one, 9, client)
        peer.hello()
        peer.heartbeat()
        held.append(comes_to(one, 9, state="up").get("held", 0))
        peer.sock.shutdown(socket.SHUT_WR)
        comes_to(one, 9, state="unreachable")
    equal(0, held[0], "at first")
    expect(held[1] <= SLOW < held[2] <= 2 * SLOW, f"held back: {held}")


def peers_change():
    """Links to peers that are expected no more end, the others go on; all end if the machine is another
    one, or of another cluster, or is forgotten; and those without TLS, if they may not be."""
    machines = segment(2)
    one, client = machines
    open_family_on([one])
    is_machine(one, [8, 9], heartbeat=SLOW)
    stay, go = (played_up(one, number, client) for number in (8, 9))
    is_machine(one, [8], heartbeat=SLOW)
    equal(REMOVED, go.ends(), "reason of the bye")
    refused(errno.ENOENT, told, one, 9)
    stay.heartbeat(epoch=8)
    comes_to(one, 8, state="up", epoch=8)
    for changes in ({"id": 5}, {"cluster-id": b"C" * 16}, {"insecure": 0}):
        is_machine(one, [8], heartbeat=SLOW, **changes)
        equal(REMOVED, stay.ends(), "reason of the bye")
        is_machine(one, [8], heartbeat=SLOW)
        stay = played(one, 8, client)
        stay.hello()
        stay.heartbeat()
        comes_to(one, 8, state="up")
    one.ynl.do("machine-del", {})
    equal(REMOVED, stay.ends(), "reason of the bye")
    equal([], one.ynl.dump("link-get", {}), "peers")


def replaced():
    """Another link takes its place, and the peer is there all the time."""
    one, client = segment(2)
    open_family_on([one])
    is_machine(one, [9], heartbeat=SLOW)
    old = played_up(one, 9, client)
    events = listening(one)
    new = played(one, 9, client)
    equal(REPLACED, old.ends(), "reason of the bye")
    equal(("up", 0, "replaced"), tuple(told(one, 9)[name] for name in ("state", "away", "reason")), "then")
    new.hello()
    new.heartbeat(epoch=8)
    comes_to(one, 9, state="up", away=0, epoch=8)
    equal({"replaced": 1}, ended(one, 9), "why")
    # It was never away.
    hears(events, 9, state="up", away=0)


def heartbeats_change():
    """A machine that is to send heartbeats more often, or less often, says so on links that there are: the
    peer is missed after as many of those."""
    one, client = segment(2)
    open_family_on([one])
    events = listening(one)
    is_machine(one, [9], heartbeat=FAST)
    peer = played(one, 9, client)
    peer.hello()
    peer.heartbeat()
    comes_to(one, 9, state="up")

    def sent_with(period):
        """When the first one was sent that says so, and the one before, in milliseconds."""
        last = None
        while True:
            kind, body = peer.receive()
            equal(HEARTBEAT, kind, "what comes")
            now, said = struct.unpack_from("<Q20xI", body)
            if said == period:
                return now // 10 ** 6, last
            last = now // 10 ** 6

    equal(HELLO, peer.receive()[0], "what comes at first")
    sent_with(FAST)
    is_machine(one, [9], heartbeat=SLOW)
    now, last = sent_with(SLOW)
    # It does not come when one would be due.
    expect(last is None or now - last < SLOW, f"at {now}, behind {last}")
    is_machine(one, [9], heartbeat=FAST)
    sent_with(FAST)
    # As long as the peer sends few, it is not missed.
    peer.heartbeat(period=FAST)
    seen = hears(events, 9, state="suspect", away=1)
    expect(seen["heard"] < 3 * SLOW, f"it is suspected too late: {seen}")
    hears(events, 9, state="unreachable", reason="silent")


def lingers():
    """A socket that is to linger when it is closed holds up its own link, and no other file."""
    machines = segment(3)
    one, cut, client = machines
    open_family_on([one])
    is_machine(one, [8, 9], heartbeat=SLOW)
    own, end = connected(one, cut)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 3600))
    give(one, own, 8)
    own.close()
    peer = Played(end, 8)
    peer.hello()
    peer.heartbeat()
    comes_to(one, 8, state="up")
    other = played_up(one, 9, client)
    # Its end is not acknowledged.
    ip_commands("link set port2 down")
    one.ynl.do("link-del", {"peer": 8})
    wait_until(lambda: FIN_WAIT1 in states(one, cut), "the end of the first one")
    one.ynl.do("link-del", {"peer": 9})
    other.ends()
    wait_until(lambda: not open_to(one, client), "the file of the second one")
    equal(1, len(open_to(one, cut)), "files of the first one")
    ip_commands("link set port2 up")
    wait_until(lambda: not open_to(one, cut), "the file of the first one")


# Of tcp_states.h.
FIN_WAIT1 = 4


def connections(machine, to):
    """A machine's connections to another one: the state of each, and the inode of its file, or 0."""
    address = socket.inet_aton(to.address(4))[::-1].hex().upper()
    with machine, open("/proc/thread-self/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return [(int(row[3], 16), int(row[9])) for row in rows if row[2].startswith(f"{address}:")]


def states(machine, to):
    """Of all of them."""
    return [state for state, _ in connections(machine, to)]


def open_to(machine, to):
    """The inodes of those that have a file."""
    return [inode for _, inode in connections(machine, to) if inode]


def silent():
    """A peer that says nothing any more is suspect, then unreachable, and its link ends; as does one that
    never said anything."""
    one, client = segment(2)
    open_family_on([one])
    events = listening(one)
    is_machine(one, [9], heartbeat=FAST)
    never = played(one, 9, client)
    hears(events, 9, reason="silent", state="unreachable")
    never.ends()
    peer = played(one, 9, client)
    peer.hello(heartbeat=100)
    peer.heartbeat()
    hears(events, 9, state="up")
    hears(events, 9, state="suspect", away=1)
    hears(events, 9, state="unreachable", away=1, reason="silent")
    peer.ends()
    equal({"silent": 2}, ended(one, 9), "why")


def without_a_link():
    """A peer that no link comes of is unreachable after ten heartbeats."""
    one, = segment(1)
    open_family_on([one])
    events = listening(one)
    is_machine(one, [9], heartbeat=100)
    equal(0, told(one, 9)["away"], "away at first")
    seen = hears(events, 9, state="unreachable", away=1, reason="none")
    expect("heard" not in seen, "it was never heard of")


def does_not_read():
    """A peer that does not read what it is sent loses its link."""
    one, client = segment(2)
    open_family_on([one])
    is_machine(one, [9], heartbeat=FAST)
    own, other = connected(one, client, SO_RCVBUF=1)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    give(one, own, 9)
    own.close()
    peer = Played(other, 9)
    peer.hello()

    def is_over():
        # It is heard of all the time.
        peer.heartbeat()
        return ended(one, 9)

    wait_until(is_over, "the end")
    equal({"overflow": 1}, ended(one, 9), "why")


def cut_off():
    """Whose cable is cut is suspect, and up again if that is soon over; else it is unreachable."""
    one, other = linked(heartbeat=2000)
    ip_commands("link set port2 down")
    for machine, peer in ((one, 2), (other, 1)):
        comes_to(machine, peer, state="suspect", away=1)
    ip_commands("link set port2 up")
    for machine, peer in ((one, 2), (other, 1)):
        comes_to(machine, peer, state="up", away=0)
        equal({}, ended(machine, peer), "ends")
    is_machine(one, [2], heartbeat=100)
    is_machine(other, [1], heartbeat=2000)
    comes_to(one, 2, state="up")
    ip_commands("link set port2 down")
    comes_to(one, 2, state="unreachable", away=1, reason="silent")


def program_killed():
    """The program that gave the link is killed: it goes on."""
    machines = segment(2)
    open_family_on(machines)
    one, other = machines
    is_machine(one, [2])
    is_machine(other, [1])
    program = os.fork()
    if not program:
        die_with_parent()
        # The sockets of requests are the parent's.
        open_family_on(machines)
        link(one, other)
        signal.pause()
    comes_to(one, 2, state="up")
    os.kill(program, signal.SIGKILL)
    os.waitpid(program, 0)
    before = told(one, 2)["frames-in"]
    wait_until(lambda: told(one, 2)["frames-in"] > before + 5, "heartbeats")
    equal(("up", {}), (told(one, 2)["state"], ended(one, 2)), "state, and ends")


def namespace_left():
    """A namespace that nobody is in any more ends, although it has links."""
    one, other, third = linked(3)
    is_machine(other, [1, 3], heartbeat=100)
    is_machine(third, [2])
    link(other, third)
    comes_to(third, 2, state="up")
    other.ynl.sock.close()
    os.close(other.inside)
    wait_until(lambda: not os.path.exists("/sys/class/net/port2"), "the end of the namespace")
    comes_to(one, 2, state="unreachable")
    comes_to(third, 2, state="unreachable")


def module_goes():
    """Links hold the module, each once; without any it goes."""
    one, other = linked()
    stays(2)
    is_machine(one, [2, 3])
    stays(2)
    one.ynl.do("link-del", {"peer": 2})
    comes_to(other, 1, state="unreachable")
    try:
        unload()
    finally:
        if not os.path.exists("/sys/module/service_group"):
            load()


def lock_held():
    """A user who holds the lock of a link's socket holds up that link, and nothing else."""
    machines = segment(3)
    open_family_on(machines)
    one, other, client = machines
    is_machine(one, [2, 8, 9], heartbeat=100)
    is_machine(other, [1], heartbeat=100)
    link(one, other)
    own, end = connected(one, client)
    with Locked(own):
        give(one, own, 9)
        own.close()
        # It is judged all the same.
        Played(end, 9).hello()
        comes_to(one, 9, state="unreachable", reason="silent")
        refused(errno.ENOENT, one.ynl.do, "link-del", {"peer": 9})
        another_end, _ = connected(one, client)
        give(one, another_end, 9)
        one.ynl.do("link-del", {"peer": 9})
        before = told(one, 2)["frames-in"]
        wait_until(lambda: told(one, 2)["frames-in"] > before + 5, "heartbeats of the other link")
        one.ynl.do("machine-del", {})
        comes_to(other, 1, state="unreachable")
        # Of the thread that waits.
        stays(1)
    # The rest of the child is gone, so the thread goes on.
    try:
        wait_until(lambda: not rmmod(), "rmmod")
    finally:
        if not os.path.exists("/sys/module/service_group"):
            load()


if __name__ == "__main__":
    sys.exit(run_tests("links_end", [
        taken_away, comes_and_goes, peers_change, replaced, heartbeats_change, lingers, silent,
        without_a_link, does_not_read, cut_off, program_killed, namespace_left, module_goes, lock_held,
    ]))
