# SPDX-License-Identifier: GPL-2.0
"""What machines send on the segment of a test: how often a packet was given on, and resets."""

import collections
import ipaddress
import selectors
import socket
import time

from service_group import expect

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, b"\x08\x00", b"\x86\xdd"
TCP, IPIP, IPV6, GRE = 6, 4, 41, 47
RST = 4
FLAGS = "FSRPA"
# Of a packet as a client sends it, and how often a packet may be given to another machine.
TTL, MOST_HOPS = 64, 2
BUFFER = 1 << 22
# How many segments are remembered.
MANY = 20000


class Packet:
    """The innermost packet of a frame."""

    def __init__(self, packet):
        while True:
            form = packet[0] >> 4
            if form == 4:
                length, self.protocol, self.ttl = (packet[0] & 15) * 4, packet[9], packet[8]
                self.source, self.destination = packet[12:16], packet[16:20]
                self.is_fragment = bool((packet[6] & 31) << 8 | packet[7])
            else:
                length, self.protocol, self.ttl = 40, packet[6], packet[7]
                self.source, self.destination = packet[8:24], packet[24:40]
                self.is_fragment = False
            self.body = packet[length:]
            if self.is_fragment or self.protocol not in (IPIP, IPV6, GRE):
                break
            packet = self.body[4:] if self.protocol == GRE else self.body

    def is_segment(self):
        """Whether it is a whole one of TCP."""
        return self.protocol == TCP and not self.is_fragment and len(self.body) >= 20

    def ports(self):
        """Of whom it is, and for whom."""
        return int.from_bytes(self.body[:2]), int.from_bytes(self.body[2:4])

    def resets(self):
        """The client's port, if it is a reset."""
        return self.ports()[1] if self.is_segment() and self.body[13] & RST else None

    def flags(self):
        """Its flags."""
        return "".join(name for bit, name in enumerate(FLAGS) if self.body[13] >> bit & 1)

    def __str__(self):
        numbers = [int.from_bytes(self.body[at:at + 4]) for at in (4, 8)]
        return f"{self.ports()} {self.flags()} {numbers}, {len(self.body)} bytes, {self.ttl} hops left"


class Sniffer:
    """Sees each frame once, as the bridge receives it. `lives` tells whether the connection of a
    client's address and port is to live."""

    def __init__(self, address, watch, lives):
        self.address = ipaddress.ip_address(address).packed
        self.lives = lives
        self.seen = self.resets = 0
        self.segments = collections.deque(maxlen=MANY)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        watch(sock, selectors.EVENT_READ, self.see)

    def see(self, sock):
        """All that has come."""
        while True:
            try:
                frame, (device, *_) = sock.recvfrom(200)
            except BlockingIOError:
                return
            if device.startswith("port") and frame[12:14] in (ETH_P_IP, ETH_P_IPV6):
                self.judge(Packet(frame[14:]), device[4:])

    def told(self, port):
        """The segments of a client's port."""
        return "".join(f"\n  {when:.3f} {machine}: {packet}" for when, machine, packet in self.segments
                       if port in packet.ports())

    def judge(self, packet, machine):
        """A packet that a machine has sent."""
        if packet.is_segment():
            self.segments.append((time.monotonic(), machine, packet))
        if packet.destination == self.address:
            self.seen += 1
            expect(packet.ttl >= TTL - MOST_HOPS,
                   f"{machine} has sent a packet that has {packet.ttl} hops left")
        elif packet.source == self.address and (port := packet.resets()):
            self.resets += 1
            host = str(ipaddress.ip_address(packet.destination))
            one = self.lives((host, port))
            expect(not one, f"{machine} resets {one}")
