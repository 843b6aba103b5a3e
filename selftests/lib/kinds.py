# SPDX-License-Identifier: GPL-2.0
"""Packets of every kind that the module tells apart, made of parts that are sound, or flawed in one
place; in all of them it is known what the kernel shows the module."""

import ipaddress
import struct
from dataclasses import dataclass, replace

from rubbish import (AUTHENTICATION, DESTINATION, FRAGMENT, GRE, HOP_BY_HOP, ICMP, ICMPV6, ROUTING,
                     SCTP, TCP, TUNNELS, UDP, UDP_LITE, checksum)

DCCP, ESP, NOTHING = 33, 50, 59
SYN, RST, ACK = 2, 4, 16
TCP_HEADER = 20
WITH_PORTS = (TCP, UDP, UDP_LITE, SCTP, DCCP)
# What a packet may seem to come from, but for hosts of the segment: no host, one of a segment, and
# one that is far away.
ODD_SOURCES = {
    4: ("0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "198.51.100.1"),
    6: ("::", "::1", "fe80::dead", "ff02::1", "::ffff:192.0.2.1", "2001:db8::1"),
}
HOPS = (64, 64, 64, 64, 64, 2, 1, 0)


@dataclass(frozen=True)
class Parts:
    """Of what a packet is made."""
    # What its upper layer is called.
    name: str
    source: bytes
    # Extension headers, the first one first: which, and all of it but the next one's kind.
    chain: tuple
    protocol: int
    upper: bytes
    hops: int
    # Of IPv4.
    options: bytes
    # So many bytes are at its end that it does not tell of, or less than none are missing.
    more: int = 0


@dataclass
class Case:
    """A packet: what is sent of it, what machines see of that, and what it is called."""
    kind: str
    # One, or fragments.
    frames: list
    # The same, or what fragments make.
    seen: list
    parts: Parts
    is_gathered: bool = False


class Kinds:
    """Random packets of a family to an address. `flow` is that of a connection which exists: the
    client's address, its port and the service's."""

    def __init__(self, rng, version, network, destination, flow=None):
        self.rng, self.version, self.flow = rng, version, flow
        self.network = ipaddress.ip_network(network)
        self.destination = ipaddress.ip_address(destination).packed
        self.identifier = rng.getrandbits(15)

    def chance(self, part):
        """Now and then."""
        return self.rng.random() < part

    # The upper layer: its name, protocol and bytes.

    def upper(self, ports):
        """Any of them."""
        make = self.rng.choice((self.tcp, self.tcp, self.tcp, self.udp, self.others, self.others,
                                self.echo, self.error, self.error, self.error, self.message,
                                self.nested))
        return make(ports)

    def syn(self, ports):
        """What begins a connection."""
        return self.tcp(ports, (SYN, SYN | 0xc0))

    def tcp(self, ports, flags=(SYN, SYN, SYN | 0xc0, ACK, ACK, ACK | 8, RST, SYN | ACK, 0, 1)):
        """A segment; some have a data offset that is not theirs."""
        flags = self.rng.choice(flags)
        options = bytes(4 * self.rng.randrange(11))
        words = 5 + len(options) // 4
        if self.chance(0.1):
            words = self.rng.choice((0, 4, min(words + 1, 15), 15))
        header = struct.pack("!HHIIBBHHH", *ports, self.rng.getrandbits(32),
                             self.rng.getrandbits(32), words << 4, flags, 1000, 0, 0)
        return f"tcp-{flags:#x}", TCP, header + options + bytes(self.rng.choice((0, 1, 20)))

    def udp(self, ports):
        """A datagram; some have a length that is not theirs."""
        data = bytes(self.rng.choice((0, 1, 100)))
        length = 8 + len(data)
        if self.chance(0.2):
            length = self.rng.choice((0, 7, length - 1, length + 1, 65535))
        return "udp", UDP, struct.pack("!HHHH", *ports, length, 0) + data

    def others(self, ports):
        """Of another protocol, with ports or without."""
        protocol = self.rng.choice((UDP_LITE, SCTP, DCCP, ESP, NOTHING, 103, 255))
        size = self.rng.choice((8, 12, 13, 40))
        return f"protocol-{protocol}", protocol, struct.pack("!HH", *ports) + bytes(size - 4)

    def echo(self, _):
        """An echo, either way; the kernel gets no answer across."""
        kind = self.rng.choice({4: (0, 8), 6: (128, 129)}[self.version])
        return "echo", *self.icmp(kind, self.rng.getrandbits(32), bytes(8))

    def message(self, _):
        """Any other message but those that ask for the address."""
        kinds = {4: (1, 2, 6, 9, 10, 13, 14, 30, 255), 6: (0, 130, 131, 133, 134, 136, 137, 200)}
        kind = self.rng.choice(kinds[self.version])
        return f"message-{kind}", *self.icmp(kind, 0, bytes(self.rng.choice((0, 20))))

    def icmp(self, kind, word, rest):
        """An ICMP message, protocol first. With IPv6 its checksum is wrong, which is nobody's
        business before it is taken; so the kernel believes none of them."""
        body = struct.pack("!BBHI", kind, 0, 0, word) + rest
        if self.version == 6:
            return ICMPV6, body
        return ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:]

    def error(self, ports):
        """An error, or a redirect, about a packet that the cluster IP has sent; or about another
        one, about an error, about a fragment, or cut too short."""
        kind = self.rng.choice({4: (3, 4, 5, 11, 12), 6: (1, 2, 3, 4)}[self.version])
        name, protocol, upper = self.quoted(ports[::-1])
        ends = [self.destination, self.client]
        if self.chance(0.1):
            ends.reverse()
        part = self.rng.choice((None, None, None, None, (0, 1), (8, 0), (8, 1)))
        packet = self.headers(*ends, protocol, upper, part)
        if self.chance(0.2):
            packet = packet[:self.rng.randrange(len(packet))]
        return f"error/{name}", *self.icmp(kind, 0, packet)

    def quoted(self, ports):
        """What an error is about."""
        name, protocol, upper = self.rng.choice((self.tcp, self.udp, self.others, self.echo,
                                                 self.message, self.quoted_error))(ports)
        return name, protocol, upper[:self.rng.choice((8, len(upper)))]

    def quoted_error(self, _):
        """Another error, which there is none about."""
        return "error", *self.icmp(3, 0, bytes(28))

    def nested(self, ports):
        """A tunnel, with the same cluster IP in it."""
        _, protocol, upper = self.tcp(ports)
        inner = self.headers(self.client, self.destination, protocol, upper)
        kinds = ((TUNNELS[self.version], inner), (GRE, self.gre(inner)))
        return "tunnel", *self.rng.choice(kinds)

    def gre(self, packet, flawed=0.0):
        """A second chance; if flawed it is none."""
        flags, kind = 0, {4: 0x0800, 6: 0x86dd}[self.version]
        if self.chance(flawed):
            flags, kind = self.rng.choice(((1 << self.rng.randrange(16), kind), (0, 0x6558),
                                           (0, 0x0800 ^ 0x86dd ^ kind)))
        return struct.pack("!HH", flags, kind) + packet

    # What is around it.

    def headers(self, source, destination, protocol, upper, part=None):
        """The IP header and its extensions. `part`: where a fragment begins, and whether there are
        more."""
        if self.version == 4:
            return self.ipv4(source, destination, protocol, upper, part)
        if part:
            begin, more = part
            protocol, upper = FRAGMENT, struct.pack("!BBHI", protocol, 0, begin | more,
                                                    self.identifier) + upper
        return struct.pack("!IHBB", 6 << 28, len(upper), protocol,
                           self.hops) + source + destination + upper

    def ipv4(self, source, destination, protocol, upper, part=None):
        """With options at times, which are no operation."""
        begin, more = part or (0, 0)
        options = self.options
        header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0,
                             20 + len(options) + len(upper), self.identifier,
                             begin // 8 | more << 13, self.hops, protocol, 0, source,
                             destination) + options
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + upper

    def chain(self):
        """Extension headers before the upper layer, seldom too many."""
        kinds = (AUTHENTICATION,)
        if self.version == 6:
            kinds = (AUTHENTICATION, ROUTING, DESTINATION, FRAGMENT, HOP_BY_HOP)
        count = self.rng.choice((0, 0, 0, 0, 1, 1, 2, 8, 9, 10))
        return tuple(self.extension(self.rng.choice(kinds)) for _ in range(count))

    def extension(self, kind):
        """A header; one of options has nothing but padding, which the kernel takes anywhere."""
        if kind == FRAGMENT:
            return kind, struct.pack("!BHI", 0, 0, self.rng.getrandbits(32))
        if kind == AUTHENTICATION:
            words = self.rng.choice((1, 2, 4))
            return kind, bytes([words]) + bytes(4 * words + 6)
        return kind, bytes([0, 1, 4]) + bytes(4)

    # A packet.

    def case(self, make=None):
        """Any packet, as one of them is sent; or one with that upper layer."""
        source, ports = self.ends()
        self.header()
        name, protocol, upper = (make or self.upper)(ports)
        if self.chance(0.1):
            upper, name = upper[:self.rng.randrange(len(upper) + 1)], f"cut-{name}"
        parts = Parts(name, source, (), protocol, upper, self.hops, self.options)
        if self.chance(0.2):
            return self.fragments(parts)
        parts = replace(parts, chain=self.chain())
        return self.whole(replace(parts, more=self.flaw(len(self.whole(parts).frames[0]))))

    def whole(self, parts):
        """A packet of these, in one piece."""
        self.hops, self.options = parts.hops, parts.options
        protocol, upper = parts.protocol, parts.upper
        for kind, rest in reversed(parts.chain):
            protocol, upper = kind, bytes([protocol]) + rest + upper
        packet = self.headers(parts.source, self.destination, protocol, upper)
        packet = packet[:len(packet) + min(parts.more, 0)] + bytes(max(parts.more, 0))
        flaw = "padded" if parts.more > 0 else "short" if parts.more else ""
        chain = "+".join(str(kind) for kind, _ in parts.chain)
        kind = "/".join(part for part in (flaw, chain, parts.name) if part)
        return Case(kind, [packet], [packet], parts)

    def around(self, source, protocol, upper):
        """A packet with another one in it, now and then with options, extension headers, another length
        than it says, without its end, or in fragments."""
        self.header()
        plain = Parts(f"in-{protocol}", source, (), protocol, upper, HOPS[0], b"")
        choice = self.rng.random()
        if choice < 0.5:
            return self.whole(plain)
        if choice < 0.6:
            return self.whole(replace(plain, hops=self.hops, options=b"\1" * self.rng.choice((4, 40))))
        if choice < 0.75:
            return self.fragments(plain)
        if choice < 0.85:
            return self.whole(replace(plain, chain=self.chain()))
        if choice < 0.95:
            return self.whole(replace(plain, more=self.rng.choice((1, 26, -1, -8))))
        return self.whole(replace(plain, upper=upper[:self.rng.randrange(len(upper) + 1)]))

    def simpler(self, case):
        """Cases that are a step simpler, the simplest first."""
        parts = case.parts
        if len(case.frames) > 1:
            yield self.whole(parts)
        chains = [parts.chain[:at] + parts.chain[at + 1:] for at in range(len(parts.chain))]
        sizes = sorted({size for size in (8, 20, 40, len(parts.upper) // 2) if
                        size < len(parts.upper)})
        changes = [{"more": 0}, {"options": b""}, {"hops": HOPS[0]},
                   *({"chain": chain} for chain in ((), *chains)),
                   *({"upper": parts.upper[:size]} for size in sizes)]
        yield from (self.whole(simple) for simple in (replace(parts, **one) for one in changes)
                    if simple != parts)

    def header(self):
        """What is alike in all headers of a packet."""
        self.identifier = (self.identifier + 1) & 0xffff
        self.hops = self.rng.choice(HOPS)
        self.options = b"\1" * (4 * self.rng.choice((0, 0, 0, 1, 10)))

    def ends(self):
        """What a packet seems to come from, and its ports; also the receiver of the packet that it quotes."""
        choice = self.rng.random()
        ports = self.rng.choice((8080, 53)), self.rng.choice((8080, 8080, 53, 0))
        self.client = source = self.network[self.rng.randrange(128, 250)].packed
        if self.flow and choice < 0.25:
            self.client = source = self.flow[0]
            ports = self.flow[1:]
        elif choice < 0.35:
            odd = self.rng.choice(ODD_SOURCES[self.version])
            source = ipaddress.ip_address(odd).packed
        elif choice < 0.4:
            source = self.destination
        elif choice < 0.5:
            # Routers tell of errors by addresses of their own.
            source = self.network[self.rng.randrange(128, 250)].packed
        if source == self.client and not (self.flow and source == self.flow[0]):
            ports = self.rng.randrange(1, 1 << 16), ports[1]
        return source, ports

    def flaw(self, length):
        """How much longer a packet of that length is than it says; most are not."""
        choice = self.rng.random()
        if choice < 0.9:
            return 0
        if choice < 0.95:
            return self.rng.choice((1, 26))
        # What says that it has no length may have jumbo options.
        least = 40 if self.version == 6 else 0
        return self.rng.randrange(least, max(length, least + 1)) - length

    def fragments(self, parts):
        """All of a packet's, in any order, one of them twice; or all but one."""
        parts = replace(parts, upper=parts.upper.ljust(24, b"\0"))
        upper = parts.upper
        step = self.rng.choice((8, 16, 64))
        if len(upper) <= step:
            step = 8
        frames = [self.headers(parts.source, self.destination, parts.protocol, upper[at:at + step],
                               (at, at + step < len(upper))) for at in range(0, len(upper), step)]
        if self.chance(0.3):
            frames.reverse()
        if self.chance(0.2):
            frames.pop(self.rng.randrange(len(frames)))
            return Case(f"some-fragments/{parts.name}", frames, frames, parts)
        if self.chance(0.3):
            # Not the last one that comes, which would be kept.
            frames.insert(1, frames[0])
        if self.version == 6 and parts.protocol == TCP and step < TCP_HEADER:
            # RFC 8200: all headers have to be in the first one.
            return Case(f"too-early-fragments/{parts.name}", frames, frames, parts)
        whole = self.whole(parts).frames
        return Case(f"fragments/{parts.name}", frames, whole, parts, True)
