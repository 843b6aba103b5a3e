#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The cluster's hashes once more, to check the module's own.

Written from docs/cluster-hash.md, not from the Rust code. Prints random flows
and the slot that each has, one a line:

    HASH KEY SLOTS SOURCE SOURCE_PORT DESTINATION DESTINATION_PORT PROTOCOL VALUE SLOT

KEY is 32 hexadecimal digits, or - for a sum. VALUE is what is divided by
SLOTS. The arguments are the number of lines and the seed.
"""

import ipaddress
import random
import sys

MAX_SLOTS = 4096
EDGES = {16: [0, 1, 0x7FFF, 0x8000, 0xFFFF], 32: [0, 1, 1 << 31, (1 << 32) - 1]}
PROTOCOLS = [6, 17, 136, 132, 33, 1, 58, 0, 255]


def sip_round(v):
    """One SipRound on four numbers, as the paper's figure 2.1 draws it."""

    def rotate(number, by):
        return (number << by | number >> (64 - by)) % 2**64

    a, b, c, d = v
    a, c = (a + b) % 2**64, (c + d) % 2**64
    b, d = rotate(b, 13) ^ a, rotate(d, 16) ^ c
    a = rotate(a, 32)
    c, a = (c + b) % 2**64, (a + d) % 2**64
    b, d = rotate(b, 17) ^ c, rotate(d, 21) ^ a
    return [a, b, rotate(c, 32), d]


def siphash(key, message):
    """SipHash-2-4."""
    k = [int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")]
    constants = b"somepseudorandomlygeneratedbytes"
    v = [
        int.from_bytes(constants[8 * i : 8 * i + 8], "big") ^ k[i % 2]
        for i in range(4)
    ]
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= word
        v = sip_round(sip_round(v))
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        v = sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def check_siphash():
    """The example of the paper's appendix A."""
    assert siphash(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


def words(address):
    """An IPv4 address as a number; the sum of an IPv6 address's four words."""
    packed = address.packed
    return sum(
        int.from_bytes(packed[at : at + 4], "big") for at in range(0, len(packed), 4)
    )


def value(name, key, flow):
    """What is divided by the number of slots."""
    source, source_port, destination, destination_port, protocol = flow
    if name == "sum3":
        return words(source) + words(destination) + destination_port
    if name == "sum5":
        ports = source_port + destination_port
        return words(source) + words(destination) + ports + protocol
    message = source.packed + destination.packed
    message += source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    return siphash(key, message + bytes([protocol]))


def number(rng, bits):
    """A random number, with the edges more often than chance has them."""
    if rng.random() < 0.2:
        return rng.choice(EDGES[bits])
    return rng.getrandbits(bits)


def address(rng, version):
    """A random address."""
    if version == 4:
        return ipaddress.IPv4Address(number(rng, 32))
    return ipaddress.IPv6Address(b"".join(number(rng, 32).to_bytes(4, "big") for _ in range(4)))


def slots(rng):
    """A random number of slots."""
    return rng.choice([1, 2, 3, 256, MAX_SLOTS, rng.randint(1, 16), rng.randint(1, MAX_SLOTS)])


def main(lines, seed):
    """Prints so many lines."""
    check_siphash()
    rng = random.Random(seed)
    for _ in range(lines):
        name = rng.choice(["sum3", "sum5", "keyed"])
        key = rng.randbytes(16) if name == "keyed" else b""
        version = rng.choice([4, 6])
        flow = (
            address(rng, version),
            number(rng, 16),
            address(rng, version),
            number(rng, 16),
            rng.choice(PROTOCOLS),
        )
        count = slots(rng)
        divided = value(name, key, flow)
        print(name, key.hex() or "-", count, *flow, divided, divided % count)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
