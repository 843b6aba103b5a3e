# SPDX-License-Identifier: GPL-2.0
"""Packets as no sane program makes them."""

import ipaddress
import struct

TCP, UDP, ICMP, ICMPV6, SCTP, UDP_LITE = 6, 17, 1, 58, 132, 136
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
TUNNELS = {4: 4, 6: 41}


def checksum(data):
    """The Internet checksum."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def plain(version, source, destination, protocol, upper):
    """An IP packet without any flaw."""
    if version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(upper), protocol, 64)
        return header + source + destination + upper
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(upper), 0, 0, 64, protocol, 0, source,
                         destination)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + upper


def flawed(version, source, destination):
    """Packets each of which contradicts itself, in a way of its own."""
    icmp, error = {4: (ICMP, b"\3"), 6: (ICMPV6, b"\1")}[version]

    def tcp(words):
        return struct.pack("!HHIIBBHHH", 1, 8080, 0, 0, words << 4, 2, 0, 0, 0)

    def quoting(*packet):
        return error + bytes(7) + plain(version, *packet)

    uppers = [
        (TCP, tcp(5)[:19]), (TCP, tcp(4)), (TCP, tcp(6)),
        (UDP, bytes(7)), (UDP, struct.pack("!HHHH", 1, 8080, 7, 0)),
        (UDP, struct.pack("!HHHH", 1, 8080, 9, 0)), (UDP_LITE, bytes(7)), (SCTP, bytes(11)),
        (AUTHENTICATION, bytes([UDP, 255]) + bytes(30)),
        (icmp, error + bytes(6)), (icmp, error + bytes(17)),
        (icmp, quoting(source, destination, UDP, bytes(8))),
        (icmp, quoting(destination, source, UDP, bytes(3))),
        (icmp, quoting(destination, source, icmp, error + bytes(7))),
    ]
    if version == 6:
        options, later = bytes([DESTINATION, 0]) + bytes(6), bytes([UDP, 0, 0, 8]) + bytes(12)
        uppers += [(DESTINATION, 8 * options + bytes([UDP, 0]) + bytes(14)),
                   (DESTINATION, bytes([UDP, 1]) + bytes(6)),
                   (icmp, quoting(destination, source, FRAGMENT, later))]
    return [plain(version, source, destination, *upper) for upper in uppers]


class Rubbish:
    """Random packets of a family, from one network to one address."""

    def __init__(self, rng, version, network, destination):
        self.rng, self.version = rng, version
        self.network = ipaddress.ip_network(network)
        self.destination = ipaddress.ip_address(destination).packed

    def chance(self, part):
        """Now and then."""
        return self.rng.random() < part

    def source(self):
        """Somebody whom nobody can reach."""
        return self.network[self.rng.randrange(128, 250)].packed

    def packets(self):
        """A packet, or the fragments of one."""
        protocol, upper = self.upper()
        source = self.source()
        if self.chance(0.25):
            return self.fragments(source, protocol, upper)
        return [self.whole(source, self.destination, protocol, upper)]

    def whole(self, source, destination, protocol, upper):
        """An IP packet."""
        make = self.ipv4 if self.version == 4 else self.ipv6
        return make(source, destination, protocol, upper)

    # The upper layer.

    def upper(self):
        """A protocol, and what follows the IP header."""
        kinds = ((TCP, self.tcp), (UDP, self.udp), (ICMP, self.icmp), (ICMPV6, self.icmp),
                 (TUNNELS[self.version], self.nested), (self.rng.randrange(256), self.noise))
        protocol, make = self.rng.choice(kinds)
        upper = make()
        if self.chance(0.15):
            upper = upper[:self.rng.randrange(len(upper) + 1)]
        return protocol, upper

    def noise(self, most=80):
        """Any bytes."""
        return self.rng.randbytes(self.rng.randrange(most))

    def tcp(self):
        """A segment with any flags, and perhaps options that end nowhere."""
        options = self.rng.randbytes(4 * self.rng.randrange(11)) if self.chance(0.4) else b""
        words = 5 + len(options) // 4 if self.chance(0.8) else self.rng.randrange(16)
        flags = self.rng.choice((2, 2, 16, 4, 17, self.rng.randrange(256)))
        return struct.pack("!HHIIBBHHH", self.port(), self.port(), self.rng.getrandbits(32),
                           self.rng.getrandbits(32), words << 4, flags, 1000, 0,
                           0) + options + self.noise(20)

    def udp(self):
        """A datagram, whose length may be another one."""
        data = self.noise(200)
        length = 8 + len(data) if self.chance(0.7) else self.rng.randrange(1 << 16)
        return struct.pack("!HHHH", self.port(), self.port(), length, 0) + data

    def port(self):
        """A port that has a service, now and then."""
        return self.rng.choice((8080, 0, self.rng.randrange(1 << 16)))

    def icmp(self):
        """An echo, or an error about something; the checksum is right for IPv4."""
        kind = self.rng.choice((8, 0, 3, 5, 11, 12, 128, 129, 1, 2, 3, 4, 135, 136,
                                self.rng.randrange(256)))
        quoted = self.noise()
        if self.chance(0.6):
            # What the cluster might have sent; and rubbish at the end of it.
            upper = self.tcp() if self.chance(0.5) else self.noise()
            protocol = self.rng.choice((TCP, UDP, ICMP, ICMPV6, 4, 41))
            ends = [self.destination, self.source()]
            quoted = self.whole(*ends, protocol, upper)[:self.rng.randrange(1, 120)]
        body = struct.pack("!BBHI", kind, self.rng.randrange(16), 0, self.rng.getrandbits(32))
        body += quoted
        return body[:2] + struct.pack("!H", checksum(body)) + body[4:]

    def nested(self):
        """A packet in a packet, and so on."""
        upper, protocol = self.tcp(), TCP
        for _ in range(self.rng.randrange(1, 5)):
            upper = self.whole(self.source(), self.destination, protocol, upper)
            protocol = TUNNELS[self.version]
        return upper

    # The IP header.

    def ipv4(self, source, destination, protocol, upper, part=None):
        """With options, and a length of its own, at times."""
        options = self.rng.randbytes(4 * self.rng.randrange(1, 11)) if self.chance(0.1) else b""
        words = 5 + len(options) // 4
        length = 4 * words + len(upper)
        if self.chance(0.1):
            length = self.rng.randrange(1 << 16 if self.chance(0.3) else length + 1)
        if self.chance(0.03):
            words = self.rng.randrange(16)
        identifier, place = part or (self.rng.randrange(1 << 16), 0)
        if part is None and self.chance(0.05):
            place = self.rng.randrange(1 << 16)
        hops = self.rng.choice((64, 64, 64, 1, 0, 255))
        header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, length & 0xffff, identifier, place,
                             hops, protocol, 0, source, destination) + options
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + upper

    def ipv6(self, source, destination, protocol, upper):
        """With a chain of extension headers, at times."""
        while self.chance(0.3):
            upper, protocol = self.extension(protocol) + upper, self.last
        length = len(upper)
        if self.chance(0.1):
            length = self.rng.randrange(1 << 16 if self.chance(0.3) else length + 1)
        return struct.pack("!IHBB", 6 << 28, length & 0xffff, protocol,
                           self.rng.choice((64, 64, 1, 0))) + source + destination + upper

    def extension(self, protocol):
        """An extension header; what it is called is in `last`."""
        self.last = self.rng.choice((HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION,
                                     59, 135, 139))
        size = 0 if self.last == FRAGMENT else self.rng.randrange(3)
        told = size if self.chance(0.9) else self.rng.randrange(256)
        unit = 4 if self.last == AUTHENTICATION else 8
        body = bytes(6) if self.chance(0.5) else self.rng.randbytes(6)
        return bytes([protocol, told]) + body + bytes(unit * size)

    # Fragments.

    def fragments(self, source, protocol, upper):
        """Tiny, overlapping, twice, in any order, not all of them, or just right."""
        upper = upper.ljust(24, b"f")
        step = self.rng.choice((8, 8, 16, 64))
        identifier = self.rng.getrandbits(16)
        cuts = [[at, min(at + step, len(upper))] for at in range(0, len(upper), step)]
        if self.chance(0.4):
            for cut in cuts:
                cut[1] = min(cut[1] + 8 * self.rng.randrange(2), len(upper))
        if self.chance(0.2):
            cuts.append(self.rng.choice(cuts))
        if self.chance(0.3):
            self.rng.shuffle(cuts)
        if self.chance(0.3):
            cuts.pop(self.rng.randrange(len(cuts)))
        return [self.fragment(source, protocol, upper, identifier, *cut) for cut in cuts[:30]]

    def fragment(self, source, protocol, upper, identifier, begin, end):
        """One of them."""
        more = end < len(upper)
        if self.version == 4:
            return self.ipv4(source, self.destination, protocol, upper[begin:end],
                             (identifier, begin // 8 | more << 13))
        header = struct.pack("!BBHI", protocol, 0, begin | more, identifier)
        return self.ipv6(source, self.destination, FRAGMENT, header + upper[begin:end])
