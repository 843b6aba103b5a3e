# SPDX-License-Identifier: GPL-2.0
"""Packets as no sane program makes them."""

import ipaddress
import struct

TCP, UDP, ICMP, ICMPV6, SCTP, UDP_LITE = 6, 17, 1, 58, 132, 136
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
TUNNELS = {4: 4, 6: 41}
GRE = 47
# Of frames, and of what is in GRE.
TYPES = {4: 0x0800, 6: 0x86dd}
SOLICITATION, SOURCE_MAC = 135, 1


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


def too_big(version, mtu, quoted):
    """The protocol and the error of a router which could not send on what is quoted. With IPv6 the
    kernel sees to the checksum."""
    if version == 6:
        return ICMPV6, struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
    error = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
    return ICMP, error[:2] + struct.pack("!H", checksum(error)) + error[4:]


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


def second_chance(version, packet, flags=0, kind=None):
    """GRE about a packet; flags and another kind are not as a node sends it."""
    return struct.pack("!HH", flags, TYPES[version] if kind is None else kind) + packet


def no_second_chances(version, packet):
    """GRE that no node sends: other flags, versions and kinds, and what is too short."""
    yield from (second_chance(version, packet, 1 << bit) for bit in range(16))
    kinds = (TYPES[10 - version], 0, 0x0806, 0x6558, 0xffff)
    yield from (second_chance(version, packet, kind=kind) for kind in kinds)
    # As long as a packet without anything in it would be.
    shortest = 4 + {4: 20, 6: 40}[version]
    yield from (second_chance(version, packet)[:length] for length in range(shortest))


def arp(mac, sender, target, hardware=1, kind=0x0800, lengths=(6, 4), operation=1):
    """A question for a MAC address, if nothing else is given."""
    return struct.pack("!HHBBH6s4s6s4s", hardware, kind, *lengths, operation, mac, sender, bytes(6),
                       target)


def flawed_arp(mac, sender, target):
    """What looks like such a request, and is none."""
    yield from (arp(mac, sender, target)[:length] for length in range(28))
    yield from (arp(mac, sender, target, hardware=number) for number in (0, 2, 15, 0xffff))
    yield from (arp(mac, sender, target, kind=number) for number in (0, 0x0806, 0x86dd, 0xffff))
    lengths = ((0, 4), (6, 0), (4, 6), (8, 4), (6, 16), (255, 255))
    yield from (arp(mac, sender, target, lengths=both) + bytes(40) for both in lengths)
    yield from (arp(mac, sender, target, operation=number) for number in (0, 2, 3, 4, 9, 0xffff))
    # An announcement.
    yield arp(mac, target, target)


def solicitation(source, target, options=b"", code=0, hops=255, length=None, destination=None,
                 wrong=0, more=0):
    """A question for a MAC address with IPv6, if nothing else is given."""
    destination = destination or bytes.fromhex("ff0200000000000000000001ff") + target[13:]
    body = (struct.pack("!BBHI", SOLICITATION, code, 0, 0) + target + options)[:length]
    total = checksum(source + destination + struct.pack("!II", len(body), ICMPV6) + body)
    body = (body[:2] + struct.pack("!H", total ^ wrong) + body[4:])[:len(body)]
    header = struct.pack("!IHBB", 6 << 28, len(body) + more, ICMPV6, hops)
    return header + source + destination + body


def flawed_solicitations(mac, source, target):
    """What looks like such a request, and has to be discarded."""
    own = bytes([SOURCE_MAC, 1]) + mac
    yield from (solicitation(source, target, length=length) for length in range(24))
    yield from (solicitation(source, target, own, length=length) for length in range(25, 32))
    options = (bytes([SOURCE_MAC, 0]) + mac, bytes([SOURCE_MAC, 2]) + mac,
               bytes([SOURCE_MAC, 255]) + mac, bytes([14, 0]) + mac + own, own + bytes([14, 0]),
               own + bytes(8), own + bytes([14, 2]) + mac, own + b"\x0e")
    yield from (solicitation(source, target, option) for option in options)
    flaws = ({"code": 1}, {"hops": 254}, {"hops": 1}, {"wrong": 1}, {"more": 1}, {"more": 0x7fff})
    yield from (solicitation(source, target, own, **flaw) for flaw in flaws)
    # Nobody has no MAC address, and asks everybody.
    yield solicitation(bytes(16), target, own)
    yield solicitation(bytes(16), target, destination=target)


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
        """A client that no machine can reach."""
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

    def gre(self, version, packet):
        """A second chance, which may have flags or another kind, or end too early."""
        flags = 0 if self.chance(0.85) else self.rng.getrandbits(16)
        kinds = (*TYPES.values(), 0x6558, self.rng.getrandbits(16))
        kind = TYPES[version] if self.chance(0.85) else self.rng.choice(kinds)
        whole = second_chance(version, packet, flags, kind)
        return whole if self.chance(0.9) else whole[:self.rng.randrange(len(whole) + 1)]

    def question(self, mac):
        """A question for the MAC address, more or less."""
        if self.version == 4:
            changes = {"hardware": self.rng.randrange(9), "kind": self.rng.getrandbits(16),
                       "lengths": tuple(self.rng.randbytes(2)), "operation": self.rng.randrange(4)}
            data = arp(mac, self.source(), self.destination, **self.few(changes))
            data += self.noise()
        else:
            changes = {"code": self.rng.randrange(256), "hops": self.rng.randrange(256),
                       "destination": self.destination, "wrong": self.rng.getrandbits(16),
                       "more": self.rng.randrange(99)}
            options = b"".join(bytes([self.rng.randrange(9), self.rng.choice((1, 1, 1, 0, 2))]) +
                               self.rng.randbytes(6) for _ in range(self.rng.randrange(4)))
            data = solicitation(self.source(), self.destination, options, **self.few(changes))
        return data[:self.rng.randrange(len(data) + 1)] if self.chance(0.1) else data

    def few(self, changes):
        """Some of them."""
        return {name: value for name, value in changes.items() if self.chance(0.1)}

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
