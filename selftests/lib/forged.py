# SPDX-License-Identifier: GPL-2.0
"""Tunnels in the name of another machine, with anything in them."""

import ipaddress
import socket
import struct

from clusters import PORT, introduce
from machines import pin
from rubbish import (FRAGMENT, GRE, ICMP, ICMPV6, TCP, TUNNELS, TYPES, UDP, checksum, plain,
                     second_chance, too_big)

NOBODY = bytes.fromhex("020000000099")
CLIENT = {4: "10.9.0.200", 6: "fd09::200"}
LINK_LOCAL = "fe80::dead:beef"
SYN, ACK = 2, 16


def packed(address):
    """The bytes of an address."""
    return ipaddress.ip_address(address).packed


def icmpv6(source, destination, kind, rest, hops=255):
    """A message of ICMPv6, as on one's own segment."""
    source, destination = packed(source), packed(destination)
    body = struct.pack("!BBH", kind, 0, 0) + rest
    total = checksum(source + destination + struct.pack("!II", len(body), ICMPV6) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), ICMPV6, hops) + source + destination + body


def icmp(source, destination, kind, rest, code=0):
    """One of ICMP."""
    body = struct.pack("!BBH", kind, code, 0) + rest
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return plain(4, packed(source), packed(destination), ICMP, body)


def segment_of(flags, port=40000):
    """A TCP header."""
    return struct.pack("!HHIIBBHHH", port, PORT, 1, 0, 5 << 4, flags, 1000, 0, 0)


def datagram(data=b"", port=40000):
    """A UDP header, and what follows."""
    return struct.pack("!HHHH", port, PORT, 8 + len(data), 0) + data


class Forger:
    """Sends frames to a machine, tunnels that seem to come from another one in them."""

    def __init__(self, cluster, target, origin, outer=None):
        pin()
        self.cluster, self.target = cluster, target
        self.version, self.outer = cluster.version, outer or cluster.version
        self.ends = [packed(machine.address(self.outer)) for machine in (origin, target)]
        self.mac = bytes.fromhex(target.mac().replace(":", ""))
        self.sock = self.open(cluster.client, "eth0")

    @staticmethod
    def open(machine, device):
        """A socket that sends frames."""
        with machine:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.bind((device, 0))
        return sock

    def wrap(self, gre, packet):
        """A tunnel with a packet in it."""
        version = self.version
        inner = (GRE, second_chance(version, packet)) if gre else (TUNNELS[version], packet)
        return plain(self.outer, *self.ends, *inner)

    def send(self, gre, packet):
        """Sends a packet in a tunnel."""
        kind = TYPES[self.outer].to_bytes(2, "big")
        self.sock.send(self.mac + NOBODY + kind + self.wrap(gre, packet))

    def counts(self, gre, packets):
        """What the machine counts for these in tunnels."""
        before = self.cluster.counters(self.target)
        for packet in packets:
            self.send(gre, packet)
            introduce(self.cluster.client, self.target, self.version)
        now = self.cluster.counters(self.target)
        return {name: now[name] - before[name] for name in now if now[name] != before[name]}


def of_the_segment(address):
    """ICMPv6 that is of a segment only, and other messages that are for a machine."""
    own = bytes([1, 1]) + NOBODY
    prefix = bytes([3, 4, 64, 0xc0]) + struct.pack("!III", 3600, 3600, 0) + packed("2001:db8:bad::")
    advertisement = struct.pack("!BBHII", 64, 0, 1800, 0, 0) + own + prefix
    rests = {
        133: bytes(4) + own, 134: advertisement, 135: bytes(4) + packed(address) + own,
        136: struct.pack("!I", 0xe0000000) + packed(LINK_LOCAL) + bytes([2, 1]) + NOBODY,
        137: bytes(4) + packed(LINK_LOCAL) + packed(CLIENT[6]), 130: bytes(20), 131: bytes(20),
        132: bytes(20), 143: bytes(4), 139: bytes(12), 0: bytes(4), 5: bytes(4), 255: bytes(4),
    }
    return [icmpv6(source, address, kind, rest) for kind, rest in rests.items()
            for source in (LINK_LOCAL, CLIENT[6])]


def of_machines(address):
    """The same for ICMP, redirects among them."""
    quoted = plain(4, packed(address), packed(CLIENT[4]), TCP, segment_of(ACK))
    redirect = icmp(CLIENT[4], address, 5, packed("10.9.0.201") + quoted, 1)
    return [redirect] + [icmp(CLIENT[4], address, kind, bytes(16))
                         for kind in (1, 2, 6, 9, 10, 13, 14, 15, 16, 17, 18, 30, 40, 42, 255)]


def never(version, address):
    """Packets that no node sends another one, whatever the cluster is."""
    end, client = packed(address), packed(CLIENT[version])
    uppers = (TCP, segment_of(SYN)), (UDP, datagram())
    if version == 4:
        packets = of_machines(address)
        wrong = address, "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "255.255.255.255"
        cut = bytearray(plain(4, client, end, UDP, datagram(bytes(8))))
        for field in (0x2000, 1, 0x2001):
            cut[6:8] = struct.pack("!H", field)
            cut[10:12] = bytes(2)
            cut[10:12] = struct.pack("!H", checksum(bytes(cut[:20])))
            packets.append(bytes(cut))
    else:
        packets = of_the_segment(address)
        wrong = address, LINK_LOCAL, "::", "::ffff:192.0.2.1"
        packets += [plain(6, client, end, FRAGMENT,
                          struct.pack("!BBHI", UDP, 0, field, 7) + datagram(bytes(8)))
                    for field in (1, 8, 9)]
    return packets + [plain(version, packed(source), end, *upper) for source in wrong
                      for upper in uppers]


def at_times(version, address):
    """What a director gives to nodes, and nodes to another one; a SYN is not among them."""
    ends = packed(CLIENT[version]), packed(address)
    quoted = plain(version, *ends[::-1], UDP, struct.pack("!HHHH", PORT, 40000, 1480, 0))
    protocol, error = too_big(version, 1300, quoted)
    if version == 6:
        errors = [icmpv6(CLIENT[6], address, error[0], error[4:], 64),
                  icmpv6(CLIENT[6], address, 128, bytes(4))]
    else:
        errors = [plain(4, *ends, protocol, error), icmp(CLIENT[4], address, 8, bytes(4))]
    uppers = [(TCP, segment_of(ACK)), (UDP, datagram()), (132, datagram() + bytes(8)),
              (50, bytes(20))]
    return errors + [plain(version, *ends, *upper) for upper in uppers]
