#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Links where there are as many as there may be, of all that a peer may say, and where there is no memory."""

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import sys

from clusters import PORT, PROTOCOL, TCP, config, name_of, node, open_family_on, table
from failures import OnlyPages, meets_failures
from family import NOBODY, open_family, refused
from machines import segment
from peers import CLUSTER_ID, HEARTBEAT, HELLO, SLOW, comes_to, is_machine, load, played, played_up
from service_group import (CLONE_NEWNET, die_with_parent, equal, expect, run_tests, switch, wait_until,
                           write)

MOST_PEERS = 256
# Load reports in a heartbeat.
MOST_LOADS = 256
MOST_SLOTS = 4096
CLONE_NEWUSER = 0x10000000


class Owned:
    """A namespace that an unprivileged user has made, and whom it is looked at from: sockets that were
    made there come out of it."""

    def __init__(self, ynl, count):
        here, there = socket.socketpair()
        if not os.fork():
            die_with_parent()
            here.close()
            os.unshare(CLONE_NEWUSER | CLONE_NEWNET)
            switch("lo", True)
            sockets = [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ynl.nlproto.proto_num)]
            with socket.create_server(("127.0.0.1", 0), backlog=count) as listener:
                for _ in range(count):
                    sockets.append(socket.create_connection(listener.getsockname()))
                    sockets.append(listener.accept()[0])
            send_all(there, sockets)
            # The namespace is there as long as somebody has one of them.
            os._exit(0)
        there.close()
        netlink, *ends = receive_all(here, 2 * count + 1)
        here.close()
        for level, option in ((270, 10), (270, 11), (270, 12)):
            netlink.setsockopt(level, option, 1)
        self.ynl = open_family()
        self.ynl.sock = netlink
        # The own ends, and those of the peers, who say nothing.
        self.owns, self.peers = ends[::2], ends[1::2]
        self.do("machine-set", {"id": 1, "cluster-id": CLUSTER_ID, "insecure": 1, "heartbeat": SLOW,
                                "peers": list(range(2, count + 2))})

    def do(self, *request):
        """A request in it."""
        return self.ynl.do(*request)

    def add(self, index):
        """A link."""
        self.do("link-add", {"peer": index + 2, "fd": self.owns[index].fileno()})

    def close(self):
        """Nobody has it any more."""
        for sock in (self.ynl.sock, *self.owns, *self.peers):
            sock.close()


def send_all(channel, sockets):
    """Sends them, as many at once as there may be."""
    for begin in range(0, len(sockets), 200):
        socket.send_fds(channel, [b"x"], [sock.fileno() for sock in sockets[begin:begin + 200]])
        channel.recv(1)


def receive_all(channel, count):
    """So many."""
    sockets = []
    while len(sockets) < count:
        _, numbers, _, _ = socket.recv_fds(channel, 1, 200)
        expect(numbers, "the sockets of a namespace")
        channel.sendall(b"x")
        sockets += [socket.socket(fileno=number) for number in numbers]
    return sockets


def of_a_user():
    """A user has as many links as a namespace may have, in all namespaces together, wherever the requests
    for them come from; one that ends makes room."""
    ynl = open_family()
    raise_limit()
    os.setresuid(NOBODY, NOBODY, NOBODY)
    with contextlib.ExitStack() as stack:
        owned = [Owned(ynl, count) for count in (MOST_PEERS, MOST_PEERS, 1)]
        for one in owned:
            stack.callback(one.close)
        for one in owned[:2]:
            for index in range(MOST_PEERS):
                one.add(index)
        refused(errno.EUSERS, owned[2].add, 0)
        equal(0, len(owned[2].ynl.do("link-get", {"peer": 2}).get("ended", [])), "links that were")
        owned[0].do("link-del", {"peer": 2})
        wait_until(lambda: can(owned[2].add, 0), "room for one more")


def can(function, *arguments):
    """Whether it is done, and not too much."""
    try:
        function(*arguments)
    except Exception as answer:  # pylint: disable=broad-exception-caught
        equal(errno.EUSERS, getattr(answer, "error", None), "error")
        return False
    return True


def raise_limit():
    """Of open files."""
    import resource  # pylint: disable=import-outside-toplevel
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))


def served(one, **changes):
    """A cluster IP of this machine and machine 2, which gives it flows."""
    service = {"protocol": PROTOCOL[TCP], "port": PORT}
    nodes = [node(number, 4) for number in (1, 2)]
    one.ynl.do("cluster-set", config(4, one.device(), 1, **{"nodes": nodes, "table": table(1, 2), **service,
                                                            **changes}))
    return name_of(4, **service)


def away(one, name):
    """The nodes that are away."""
    return [node["id"] for node in one.ynl.do("cluster-get", name)["nodes"] if node["away"]]


def all_that_peers_say():
    """As many peers as there may be, each of which cannot serve as many cluster IPs as a message has room
    for; and this machine cannot serve its own one either."""
    one, client = segment(2)
    open_family_on([one])
    raise_limit()
    name = served(one)
    is_machine(one, list(range(2, MOST_PEERS + 2)), heartbeat=SLOW)
    others = [load(str(ipaddress.ip_address("192.0.2.0") + number), flags=0) for number in range(MOST_LOADS)]
    peers = []
    for number in range(2, MOST_PEERS + 2):
        peers.append(played(one, number, client))
        peers[-1].hello()
        peers[-1].heartbeat(loads=others)
        comes_to(one, number, state="up", away=0)
    # Nothing listens here.
    wait_until(lambda: away(one, name) == [1], "what is known of this machine")
    peers[0].heartbeat(loads=[*others[1:], load(flags=0)])
    wait_until(lambda: away(one, name) == [1, 2], "what the peer says")
    peers[0].heartbeat(loads=others)
    wait_until(lambda: away(one, name) == [1], "what the peer says then")


def workers():
    """The kernel's, and who makes new ones, which are what that one is."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/comm", encoding="ascii") as file:
            if file.read().startswith(("kworker/", "kthreadd")):
                yield entry


@contextlib.contextmanager
def workers_with_pages_only():
    """While it is so, the kernel's workers get no memory for a large table, but for what is smaller."""
    with OnlyPages():
        for process in workers():
            meets_failures(process)
        try:
            yield
        finally:
            for process in workers():
                write(f"/proc/{process}/make-it-fail", 0)


def without_memory():
    """What cluster IPs are not told for lack of memory they are told when there is some again; until then
    peers are told that their slots have deputies."""
    one, client = segment(2)
    open_family_on([one])
    name = served(one, table=table(*[1, 2] * (MOST_SLOTS // 2)))
    is_machine(one, [2], heartbeat=100)
    peer = played_up(one, 2, client)
    peer.heartbeat(ready=0)
    wait_until(lambda: 2 in away(one, name), "who is away")
    says(peer, away=1)
    with workers_with_pages_only():
        peer.heartbeat(ready=1, sent=2)
        says(peer, echo=2)
        # Each is behind a judgement, or two.
        for _ in range(5):
            equal(1, says(peer)["away"], "that its slots have deputies")
        expect(2 in away(one, name), "they have")
        one.ynl.do("machine-del", {})
        peer.ends()
        expect(2 in away(one, name), "they have")
    wait_until(lambda: away(one, name) == [], "that nobody is away")


def says(peer, **what):
    """The next heartbeat to a peer that says so: whether its slots have deputies, and which heartbeat of its
    own it is an answer to."""
    while True:
        kind, body = peer.receive()
        expect(kind in (HELLO, HEARTBEAT), "a link")
        if kind == HEARTBEAT:
            echo, flags = struct.unpack_from("<8xQ4xI", body)
            said = {"away": flags >> 1 & 1, "echo": echo}
            if what.items() <= said.items():
                return said


if __name__ == "__main__":
    sys.exit(run_tests("links_limits", [of_a_user, all_that_peers_say, without_memory]))
