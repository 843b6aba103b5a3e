#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A walk of memory failures through what packets have a group do: each allocation that must not wait
fails once, on the way of a SYN that a sibling takes, of the ACK that completes a handshake for which
the queue is too full, and of the move that the stall timer makes then, while a program listens for events.
Nothing is lost but what the packet was about, and all goes on afterwards.

Packets of cluster IPs are walked by cluster_unload.py. It needs a kernel with fault injection.
"""

import contextlib
import socket
import sys
import time

from failures import kept, walk_packets
from family import open_family
from outcomes import address, pair
from service_group import PORT, configure, equal, expect, info, run_tests, wait_until

# Handshakes wait for what the client says.
TCP_DEFER_ACCEPT = 9
# Seconds; what a failure has kept from happening is not waited for any longer.
MOMENT = 0.05


def new_client(family):
    """A connection to the home listener's address, of which nobody waits for anything: on the loopback
    device all packets of a handshake are through when connect() returns."""
    client = socket.socket(socket.AF_INET6 if family == "ipv6" else socket.AF_INET)
    client.setblocking(False)
    client.connect_ex((address(family, 1)[1], PORT))
    return client


def say(client):
    """Something that completes a handshake that waits for it."""
    with contextlib.suppress(OSError):
        client.send(b"x")


def serve(listeners):
    """Accepts all there is."""
    for listener in listeners:
        listener.setblocking(False)
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()


def close(clients):
    """All of them, and at once, so that their addresses are free again."""
    for client in clients:
        client.close()


class Group:
    """Two listeners, a program that listens for events, and a connection that is there all the time."""

    def __init__(self, family):
        self.family = family
        self.listeners = pair(family, (1, 8))
        self.events = open_family()
        self.events.ntf_subscribe("events")
        self.client = socket.create_connection((address(family, 1)[1], PORT))
        self.server, _ = self.listeners[0].accept()

    def walk(self, send):
        """Walks, and looks whether all goes on."""
        count = walk_packets(send)
        print(f"# {self.family}: {count} allocations")
        expect(count > 3, "some allocations")
        self.client.sendall(b"y")
        equal(b"y", self.server.recv(1), "what comes by the connection")
        wait_until(self.is_over, "the end of what was begun")
        self.goes_on()

    def is_over(self):
        """Whether nothing of the walk is left; what comes of requests is accepted."""
        serve(self.listeners)
        return not any(info(listener)["half_open"] or info(listener)["queued"]
                       for listener in self.listeners)

    def goes_on(self):
        """Three connections, the last of which is too much for the home listener."""
        before = info(self.listeners[1])["redirected_in"]
        clients = [socket.create_connection((address(self.family, 1)[1], PORT)) for _ in range(3)]
        wait_until(lambda: info(self.listeners[1])["redirected_in"] == before + 1, "a redirection")
        served = []
        for listener, count in zip(self.listeners, (2, 1)):
            wait_until(lambda: info(listener)["queued"] == count,  # pylint: disable=W0640
                       "connections")
            served += [listener.accept()[0] for _ in range(count)]
        for client in clients:
            client.sendall(b"z")
        for server in served:
            server.setblocking(True)
            equal(b"z", server.recv(1), "what it says")
        close(clients + served)


def syn(family):
    """The home listener is full: a sibling takes the third SYN."""
    group = Group(family)

    def send():
        clients = [new_client(family) for _ in range(3)]
        serve(group.listeners)
        close(clients)

    group.walk(send)


def overflow(family):
    """Two handshakes that are completed when there is room for one: the other one's connection is
    queued all the same, and moved to the sibling by the ticker."""
    group = Group(family)
    home, sibling = group.listeners

    def send():
        home.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 100)
        home.listen(8)
        clients = [new_client(family) for _ in range(3)]
        home.listen(0)
        for client in clients:
            say(client)
        end = time.monotonic() + MOMENT
        while info(sibling)["queued"] < 2 and time.monotonic() < end:
            time.sleep(0.001)
        serve(group.listeners)
        close(clients)

    # Without a failure they come where they are to.
    before = info(sibling)["rescued_in"]
    send()
    wait_until(lambda: serve(group.listeners) or info(sibling)["rescued_in"] >= before + 1,
               "a connection that is moved")
    group.walk(lambda: (send(), home.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 0),
                        home.listen(1)))


def hung(family):
    """The home listener is found stalled, and is back: both are told."""
    group = Group(family)
    home = group.listeners[0]

    def send():
        configure(home, stall=10)
        client = new_client(family)
        end = time.monotonic() + MOMENT
        while info(home)["queued"] and info(home)["state"] != 5 and time.monotonic() < end:
            time.sleep(0.001)
        serve(group.listeners)
        configure(home, stall=0)
        close([client])

    group.walk(send)


def syn_ipv4():
    """IPv4."""
    syn("ipv4")


def syn_ipv6():
    """IPv6."""
    syn("ipv6")


def syn_mapped():
    """IPv4 for listeners of IPv6."""
    syn("mapped")


def overflow_ipv4():
    """IPv4."""
    overflow("ipv4")


def overflow_ipv6():
    """IPv6."""
    overflow("ipv6")


def hung_ipv4():
    """IPv4."""
    hung("ipv4")


if __name__ == "__main__":
    with kept():
        sys.exit(run_tests("faults_packets", [
            syn_ipv4, syn_ipv6, syn_mapped, overflow_ipv4, overflow_ipv6, hung_ipv4,
        ]))
