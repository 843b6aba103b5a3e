#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Somebody else gives a member other operations, and the module's back later, as ovpn does with a TCP
connection that is a peer's: whatever the order, the module counts each of its references once.

Where the kernel has no ovpn, as the debug kernel, the tests are skipped.
"""

import socket
import struct
import subprocess
import sys
import time

from service_group import (PATIENCE, Skip, equal, form, leave, new_socket, run_tests)

NLM_F_REQUEST_ACK = 5
NESTED = 0x8000
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
OVPN_CMD_PEER_NEW, OVPN_CMD_PEER_DEL = 1, 4
OVPN_A_IFINDEX, OVPN_A_PEER = 1, 2
OVPN_A_PEER_ID, OVPN_A_PEER_SOCKET = 1, 6
PEER = 7


def attribute(kind, value):
    """A netlink attribute."""
    value = struct.pack("=I", value) if isinstance(value, int) else value
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


class Generic:
    """Generic netlink, by hand."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)

    def ask(self, family, command, payload):
        """The answer, or the acknowledgement."""
        body = struct.pack("=BBH", command, 1, 0) + payload
        self.sock.send(struct.pack("=IHHII", 16 + len(body), family, NLM_F_REQUEST_ACK, 1, 0) + body)
        answers = self.sock.recv(65536)
        if family == 16:
            self.sock.recv(65536)
        kind, = struct.unpack_from("=H", answers, 4)
        if kind == 2:
            equal(0, struct.unpack_from("=i", answers, 16)[0], "netlink's answer")
        return answers

    def family(self, name):
        """The number of a family."""
        wanted = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
        answer = self.ask(16, CTRL_CMD_GETFAMILY, wanted)
        at = 20
        while at < len(answer):
            length, kind = struct.unpack_from("=HH", answer, at)
            if kind == CTRL_ATTR_FAMILY_ID:
                return struct.unpack_from("=H", answer, at + 4)[0]
            at += length + 3 & ~3
        raise AssertionError(f"no family {name}")


class Ovpn:
    """A device of ovpn, and its peer."""

    def __init__(self):
        if subprocess.run(["modprobe", "-q", "ovpn"], check=False).returncode:
            raise Skip("the kernel has no ovpn")
        subprocess.run(["ip", "link", "add", "vpn", "type", "ovpn"], check=True)
        self.device = socket.if_nametoindex("vpn")
        self.netlink = Generic()
        self.family = self.netlink.family("ovpn")

    def command(self, command, peer):
        """Does something to the peer."""
        payload = attribute(OVPN_A_IFINDEX, self.device) + attribute(OVPN_A_PEER | NESTED, peer)
        self.netlink.ask(self.family, command, payload)

    def take(self, sock):
        """Has the connection be the peer's."""
        self.command(OVPN_CMD_PEER_NEW, attribute(OVPN_A_PEER_ID, PEER) +
                     attribute(OVPN_A_PEER_SOCKET, sock.fileno()))

    def give_back(self):
        """Has the connection be its program's again."""
        self.command(OVPN_CMD_PEER_DEL, attribute(OVPN_A_PEER_ID, PEER))


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


def settled(before):
    """Waits for sockets to end, which keep references; there are as many again."""
    subprocess.run(["ip", "link", "del", "vpn"], check=True)
    for _ in range(PATIENCE * 10):
        if references() <= before:
            break
        time.sleep(0.1)
    equal(before, references(), "references to the module")


def leaves_meanwhile():
    """It leaves its group while it is the peer's, and is its program's again when it is closed."""
    before = references()
    ovpn = Ovpn()
    member, peer = connected_member()
    ovpn.take(member)
    leave(member)
    ovpn.give_back()
    member.close()
    peer.close()
    settled(before)


def stays():
    """It stays a member while it is the peer's."""
    before = references()
    ovpn = Ovpn()
    member, peer = connected_member()
    ovpn.take(member)
    ovpn.give_back()
    member.close()
    peer.close()
    settled(before)


def is_closed_meanwhile():
    """It is closed while it is the peer's."""
    before = references()
    ovpn = Ovpn()
    member, peer = connected_member()
    ovpn.take(member)
    member.close()
    peer.close()
    settled(before)


def leaves_and_is_closed_meanwhile():
    """It leaves its group, and is closed, while it is the peer's."""
    before = references()
    ovpn = Ovpn()
    member, peer = connected_member()
    ovpn.take(member)
    leave(member)
    member.close()
    peer.close()
    settled(before)


if __name__ == "__main__":
    sys.exit(run_tests("replaced", [leaves_meanwhile, stays, is_closed_meanwhile,
                                    leaves_and_is_closed_meanwhile]))
