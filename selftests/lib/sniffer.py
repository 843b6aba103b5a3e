# SPDX-License-Identifier: GPL-2.0
"""What machines send on the segment of a test: how often a packet was given on, and resets."""

import ipaddress
import selectors
import socket

from service_group import expect

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, b"\x08\x00", b"\x86\xdd"
TCP, IPIP, IPV6, GRE = 6, 4, 41, 47
RST = 4
# Of a packet as a client sends it, and how often a packet may be given to another machine.
TTL, MOST_HOPS = 64, 2
BUFFER = 1 << 22


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

    def resets(self):
        """The client's port, if it is a reset."""
        if self.protocol != TCP or self.is_fragment or len(self.body) < 20:
            return None
        return int.from_bytes(self.body[2:4]) if self.body[13] & RST else None


class Sniffer:
    """Sees each frame once, as the bridge receives it. `lives` tells whether the connection of a
    client's address and port is to live."""

    def __init__(self, address, watch, lives):
        self.address = ipaddress.ip_address(address).packed
        self.lives = lives
        self.seen = self.resets = 0
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

    def judge(self, packet, machine):
        """A packet that a machine has sent."""
        if packet.destination == self.address:
            self.seen += 1
            expect(packet.ttl >= TTL - MOST_HOPS,
                   f"{machine} has sent a packet that has {packet.ttl} hops left")
        elif packet.source == self.address and (port := packet.resets()):
            self.resets += 1
            host = str(ipaddress.ip_address(packet.destination))
            one = self.lives((host, port))
            expect(not one, f"{machine} resets {one}")
