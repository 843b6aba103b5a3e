#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What strangers make up is not multiplied without bounds: packets of connections that nobody knows go
to one node that may have them, and only so many a second to more."""

import ctypes
import os
import socket
import struct
import sys
import time

from clusters import Directed, name_of, table
from forged import ACK, CLIENT, NOBODY, packed, segment_of
from machines import ip_commands, pin
from rubbish import TCP, TYPES, plain
from service_group import Skip, equal, expect, run_tests

# So many packets a second may go to more than one node, as docs/cluster.md says, and fewer with a
# kernel that checks its memory. They are counted by the second, so that each second that has begun may
# have them all.
RATE = 500 if os.path.exists("/sys/kernel/debug/kmemleak") else 10_000
# So many are sent with one call, and so long at most.
FRAMES, SECONDS = 200, 40


class Message(ctypes.Structure):
    """struct msghdr."""
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32),
                ("parts", ctypes.c_void_p), ("part_count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Frame(ctypes.Structure):
    """struct mmsghdr."""
    _fields_ = [("message", Message), ("length", ctypes.c_uint32)]


class Part(ctypes.Structure):
    """struct iovec."""
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Flood:
    """The same frame to a machine, again and again, by its port of the segment; those that it gives
    the packet to are behind a device that loses all."""

    def __init__(self, cluster, machine):
        pin()
        self.cluster, self.machine = cluster, machine
        version = cluster.version
        packet = plain(version, packed(CLIENT[version]), packed(cluster.address), TCP,
                       segment_of(ACK))
        data = (bytes.fromhex(machine.mac().replace(":", "")) + NOBODY +
                struct.pack("!H", TYPES[version]) + packet)
        self.bytes = ctypes.create_string_buffer(data, len(data))
        self.part = Part(ctypes.addressof(self.bytes), len(data))
        self.frames = (Frame * FRAMES)()
        for frame in self.frames:
            frame.message.parts, frame.message.part_count = ctypes.addressof(self.part), 1
        self.library = ctypes.CDLL(None, use_errno=True)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.bind((f"port{machine.number}", 0))
        with machine:
            ip_commands("link add sink type dummy", "link set sink up", *(
                f"route add {node.address(version)}/{128 if version == 6 else 32} dev sink"
                for node in cluster.nodes if node is not machine))

    def given(self):
        """How many packets the machine has given to each other node, the most first."""
        told = self.machine.ynl.do("cluster-get", name_of(self.cluster.version))
        return sorted((one["forwarded"] for one in told["nodes"]), reverse=True)[:2]

    def copied(self, factor):
        """Sends until there were so many times as many packets as may be copied, by the clock: how
        many went to a node, how many of them to another one as well, and how many may."""
        before, begin = self.given(), time.monotonic()
        while True:
            sent = self.library.sendmmsg(self.sock.fileno(), self.frames, FRAMES, 0)
            expect(sent > 0, f"sending: {os.strerror(ctypes.get_errno())}")
            packets, copies = (now - then for now, then in zip(self.given(), before))
            seconds = time.monotonic() - begin
            # The one that it began in, and the one that it ended in.
            allowed = RATE * (seconds + 2)
            if packets > factor * allowed:
                print(f"# {packets} packets in {seconds:.1f} s, {copies} copies")
                return packets, copies, allowed
            if seconds > SECONDS:
                raise Skip(f"this machine is too slow: {packets / seconds:.0f} packets a second")


def copies(version):
    """A node whose slot two others had gives packets that it does not know to one of them, and no more
    than allowed to the other one as well; while a change is young it may be ten times as many."""
    cluster = Directed(version, table=table(1), settle=0)
    owner = cluster.nodes[2]
    for epoch, former in ((2, 2), (3, 3)):
        cluster.direct(0, table=table(former), epoch=epoch)
    flood = Flood(cluster, owner)
    packets, copied, allowed = flood.copied(1.2)
    expect(copied <= allowed, f"{copied} copies of {packets} packets, {allowed:.0f} allowed")
    expect(copied >= RATE, f"only {copied} copies of {packets} packets")
    cluster.set([owner], role="directed", **{**cluster.given, "settle": 3600})
    packets, copied, _ = flood.copied(1.2)
    equal(packets, copied, "copies of a young change")


def copies_ipv4():
    """IPv4."""
    copies(4)


def copies_ipv6():
    """IPv6."""
    copies(6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_copies", [copies_ipv4, copies_ipv6]))
