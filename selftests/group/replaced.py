#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Somebody else gives a member, or a connection that is shown another address, other operations, and the
module's back later, as ovpn does with a TCP connection that is a peer's: whatever the order, the module
counts each of its references once.

Where the kernel has no ovpn, as the debug kernel, the tests are skipped.
"""

import contextlib
import socket
import subprocess
import sys

from family import kernel_family
from service_group import (PATIENCE, PORT, Skip, configure, equal, form, leave, listener, new_socket,
                           run_tests, wait_until)

PEER = 7


class Ovpn:
    """A device of ovpn, and its peer."""

    def __init__(self):
        if subprocess.run(["modprobe", "-q", "ovpn"], check=False).returncode:
            raise Skip("the kernel has no ovpn")
        subprocess.run(["ip", "link", "add", "vpn", "type", "ovpn"], check=True)
        self.device = socket.if_nametoindex("vpn")
        self.netlink = kernel_family("ovpn")

    def take(self, sock):
        """Has the connection be the peer's."""
        self.netlink.do("peer-new", {"ifindex": self.device,
                                     "peer": {"id": PEER, "socket": sock.fileno()}})

    def give_back(self):
        """Has the connection be its program's again."""
        self.netlink.do("peer-del", {"ifindex": self.device, "peer": {"id": PEER}})


def references():
    """How many there are to the module."""
    with open("/sys/module/service_group/refcnt", encoding="ascii") as file:
        return int(file.read())


def connected_member():
    """A member that is connected, and the other end."""
    server = socket.create_server(("127.0.0.1", 0))
    member = new_socket()
    form([member])
    member.settimeout(PATIENCE)
    member.connect(server.getsockname())
    return member, server.accept()[0]


def shown_another_address():
    """A connection whose program is shown the address of the listener that has accepted it, and what it
    needs."""
    listeners = home, other = listener(1, 0), listener(2, 0)
    form(listeners)
    configure(home, rewrite=1)
    clients = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(2)]
    server = other.accept()[0]
    is_shown_the_listeners(server)
    return server, *listeners, *clients


def is_shown_the_listeners(server):
    """What it is shown is the address of the listener that has accepted it."""
    equal(("127.0.0.2", PORT), server.getsockname(), "the address that is shown")


@contextlib.contextmanager
def connection_of_the_peer(make=connected_member):
    """A socket whose connection ovpn has taken. It is closed in the end, and all references to the module
    that came with it are gone."""
    before = references()
    ovpn = Ovpn()
    taken, *others = make()
    ovpn.take(taken)
    yield ovpn, taken
    for sock in taken, *others:
        sock.close()
    subprocess.run(["ip", "link", "del", "vpn"], check=True)
    # Sockets that end keep some for a moment.
    wait_until(lambda: references() <= before, "references to the module")
    equal(before, references(), "references to the module")


def leaves_meanwhile():
    """It leaves its group while it is the peer's, and is its program's again when it is closed."""
    with connection_of_the_peer() as (ovpn, member):
        leave(member)
        ovpn.give_back()


def stays():
    """It stays a member while it is the peer's."""
    with connection_of_the_peer() as (ovpn, _):
        ovpn.give_back()


def is_closed_meanwhile():
    """It is closed while it is the peer's."""
    with connection_of_the_peer():
        pass


def leaves_and_is_closed_meanwhile():
    """It leaves its group, and is closed, while it is the peer's."""
    with connection_of_the_peer() as (_, member):
        leave(member)


def connection_is_closed_meanwhile():
    """A connection that is shown another address is closed while it is the peer's."""
    with connection_of_the_peer(shown_another_address):
        pass


def connection_is_given_back():
    """It is its program's again when it is closed, and is shown that address again."""
    with connection_of_the_peer(shown_another_address) as (ovpn, server):
        ovpn.give_back()
        is_shown_the_listeners(server)


if __name__ == "__main__":
    sys.exit(run_tests("replaced", [leaves_meanwhile, stays, is_closed_meanwhile,
                                    leaves_and_is_closed_meanwhile, connection_is_closed_meanwhile,
                                    connection_is_given_back]))
