#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What seems to come from another node in a tunnel: only what nodes send is taken out. And how long
what is in a tunnel may be."""

import socket
import struct
import subprocess
import sys

from clusters import (Cluster, Directed, accepted, config, exchange, introduce,
                      name_of, node, table)
from documented import replaced, rules
from forged import ACK, CLIENT, NOBODY, SYN, Forger, at_times, never, packed, segment_of
from machines import SEGMENT, ip_commands, nft, snmp
from rubbish import TCP, TYPES, checksum, plain
from service_group import equal, expect, run_tests, wait_until


def learnt_nothing(machine):
    """No message of the segment had an effect."""
    with machine:
        told = [subprocess.run(["ip", "-6", *words], check=True, capture_output=True,
                               text=True).stdout
                for words in (("route", "show", "proto", "ra"), ("neigh", "show"),
                              ("addr", "show", "dev", "eth0"))]
    equal("", told[0], "routes of a router")
    expect(NOBODY.hex(":") not in told[1], f"neighbours: {told[1]}")
    expect("2001:db8:bad" not in told[2], f"addresses: {told[2]}")


def directed(version, outer):
    """Any node and the director may send a node what is of the service, and nothing else."""
    cluster = Directed(version, "tunnel", outer)
    director, node = cluster.directors[0], cluster.nodes[0]
    packets = never(version, cluster.address)
    sound = at_times(version, cluster.address)
    sound.append(plain(version, packed(CLIENT[version]), packed(cluster.address), TCP,
                       segment_of(SYN)))
    for target, origin in ((node, director), (node, cluster.nodes[1]), (director, node)):
        forger = Forger(cluster, target, origin, outer)
        for gre in (False, True):
            equal({"dropped-tunnel": len(packets)}, forger.counts(gre, packets), "dropped ones")
            learnt_nothing(target)
            seen = forger.counts(gre, sound)
            equal((None, len(sound) if gre else None),
                  (seen.get("dropped-tunnel"), seen.get("second-chance-in")), f"sound: {seen}")


def directed_ipv4():
    """IPv4 in IPv4."""
    directed(4, 4)


def directed_ipv6():
    """IPv6 in IPv6."""
    directed(6, 6)


def directed_crosswise():
    """IPv6 in IPv4."""
    directed(6, 4)


def shared(version):
    """Nodes that spill send each other SYNs, and nothing else."""
    cluster = Cluster(version)
    cluster.set(spill=1)
    forger = Forger(cluster, *cluster.nodes[:2])
    others = never(version, cluster.address) + at_times(version, cluster.address)
    syn = [plain(version, packed(CLIENT[version]), packed(cluster.address), TCP, segment_of(SYN))]
    expected = {"dropped-tunnel": len(others)}
    equal(expected, forger.counts(True, others), "dropped ones")
    equal(expected, forger.counts(False, others), "dropped ones without GRE")
    equal({"dropped-tunnel": 1}, forger.counts(False, syn), "a SYN without GRE")
    seen = forger.counts(True, syn)
    equal((None, 1), (seen.get("dropped-tunnel"), seen.get("second-chance-in")), f"a SYN: {seen}")
    learnt_nothing(cluster.nodes[0])


def shared_ipv4():
    """IPv4 in IPv4."""
    shared(4)


def shared_ipv6():
    """IPv6 in IPv6."""
    shared(6)


def of_another(version):
    """A tunnel between two nodes of one cluster IP is none of another one's."""
    cluster = Directed(version, "tunnel")
    machine, stranger = cluster.nodes[0], cluster.client
    other = {**name_of(version), "address": packed(SEGMENT[version].format(0x77))}
    machine.ynl.do("cluster-set", config(version, machine.device(), machine.number, **other, **{
        **cluster.given, "role": "directed", "table": table(machine.number),
        "nodes": [node(one.number, version, way="tunnel") for one in (machine, stranger)]}))

    def counted():
        return {name: count for name, count in
                machine.ynl.do("cluster-get", other)["counters"].items() if count}

    syn = [plain(version, packed(CLIENT[version]), end, TCP, segment_of(SYN))
           for end in (packed(cluster.address), other["address"])]
    forger = Forger(cluster, machine, stranger)
    for gre in (False, True):
        equal({}, forger.counts(gre, syn[:1]), "of the other one")
    equal({}, counted(), "nothing was its own")
    forger.counts(False, syn[1:])
    equal({"owned": 1}, counted(), "its own")
    forger = Forger(cluster, machine, cluster.nodes[1])
    forger.counts(False, syn[1:])
    equal({"owned": 1}, counted(), "its own from a node of the other one")


def of_another_ipv4():
    """IPv4 in IPv4."""
    of_another(4)


def of_another_ipv6():
    """IPv6 in IPv6."""
    of_another(6)


def clamp(cluster, outer):
    """What the documentation has nodes ask clients for."""
    longer = 20 * [cluster.version, outer].count(6)
    family = {4: "ip", 6: "ip6"}[cluster.version]
    text = replaced(rules("maxseg"), ("ip saddr 198.51.100.7", f"{family} saddr {cluster.address}"),
                    ("size set 1436", f"size set {1436 - longer}"))
    for machine in cluster.nodes:
        nft(machine, text)


def black_hole(version, outer):
    """A client that is not told what is too big for a tunnel sends shorter segments all the same, if
    nodes ask for them; also when they go with a second chance, in one piece."""
    cluster = Directed(version, "tunnel", outer)
    director = cluster.directors[0]
    nft(cluster.client, "table inet f { chain i { type filter hook prerouting priority raw; "
                        "icmp type destination-unreachable drop; "
                        "icmpv6 type packet-too-big drop; }; }")

    def refused():
        return cluster.counters(director)["too-big"]

    listeners = cluster.listeners()
    client, _ = accepted(cluster, listeners)
    client.sendall(b"x" * 5000)
    wait_until(refused, "what does not fit")
    # It is not to send that again.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    client.close()
    clamp(cluster, outer)
    pairs = [accepted(cluster, listeners) for _ in range(6)]
    before = refused()
    for pair in pairs:
        exchange(*pair)
    cluster.direct(0, epoch=2, table=table(2, 3, 1))
    for pair in pairs:
        exchange(*pair)
    expect(any(cluster.counters(one)["second-chance-in"] for one in cluster.nodes), "none")
    name = {4: "IpReasmReqds", 6: "Ip6ReasmReqds"}[outer]
    equal([0, 0, 0], [snmp(machine, name) for machine in cluster.nodes], "fragments")
    equal(before, refused(), "too big")


def black_hole_ipv4():
    """IPv4 in IPv4."""
    black_hole(4, 4)


def black_hole_ipv6():
    """IPv6 in IPv6."""
    black_hole(6, 6)


def black_hole_crosswise():
    """IPv4 in IPv6."""
    black_hole(4, 6)


# So much is merged of a connection's segments, which is more than lengths of headers can say.
MERGED = 100_000
WIDE = 200_000
# See packet(7); and what a frame with such a header is, in linux/virtio_net.h.
SOL_PACKET, PACKET_VNET_HDR = 263, 15
NEEDS_CHECKSUM, GSO_TCP = 1, {4: 1, 6: 4}


def merged(version, source, destination):
    """The frame's header for the kernel, and the packet: one that was merged."""
    packet = bytearray(plain(version, source, destination, TCP, segment_of(ACK)))
    if version == 4:
        packet[2:4] = packet[10:12] = bytes(2)
        packet[10:12] = struct.pack("!H", checksum(bytes(packet[:20])))
    else:
        packet[4:6] = bytes(2)
    headers = 14 + len(packet)
    about = struct.pack("=BBHHHH", NEEDS_CHECKSUM, GSO_TCP[version], headers, 1000, headers - 20, 16)
    return about, bytes(packet) + bytes(MERGED)


def widen(cluster):
    """Devices take and merge more than 64 KiB."""
    sizes = " ".join(f"{kind}_max_size {WIDE}" for kind in ("gso", "gro", "gso_ipv4", "gro_ipv4"))
    machines = [*cluster.nodes, *cluster.directors, cluster.client]
    ip_commands(*(f"link set port{machine.number} {sizes}" for machine in machines))
    for machine in machines:
        with machine:
            ip_commands(f"link set eth0 {sizes}")


def long_ones(version, outer):
    """What was merged of more than a length can say (BIG TCP) goes into a tunnel and comes out of it,
    also with a second chance."""
    cluster = Directed(version, "tunnel", outer)
    widen(cluster)
    director, *others = machines = [cluster.directors[0], *cluster.nodes]
    for one in machines:
        for other in others:
            if one is not other:
                introduce(one, other, outer)
    sock = Forger.open(cluster.client, "eth0")
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    about, packet = merged(version, packed(CLIENT[version]), packed(cluster.address))
    frame = (about + bytes.fromhex(director.mac().replace(":", "")) + NOBODY +
             TYPES[version].to_bytes(2, "big") + packet)

    def counts(name):
        return sum(cluster.counters(machine)[name] for machine in cluster.nodes)

    sock.send(frame)
    wait_until(lambda: counts("owned") or counts("dropped-malformed"), "the packet")
    equal((1, 0), (counts("owned"), counts("dropped-malformed")), "owned, and malformed")
    equal(1, cluster.counters(director)["forwarded"], "in one piece")
    cluster.direct(0, epoch=2, table=table(2, 3, 1))
    sock.send(frame)
    wait_until(lambda: counts("second-chance-in") or counts("dropped-malformed"), "the packet")
    equal((1, 1, 0), tuple(counts(name) for name in (
        "second-chance", "second-chance-in", "dropped-malformed")), "second chance, and malformed")


def long_ipv4():
    """IPv4 in IPv4."""
    long_ones(4, 4)


def long_ipv6():
    """IPv6 in IPv6."""
    long_ones(6, 6)


def long_crosswise():
    """IPv4 in IPv6."""
    long_ones(4, 6)


def long_crosswise_back():
    """IPv6 in IPv4."""
    long_ones(6, 4)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_tunnels", [
        directed_ipv4, directed_ipv6, directed_crosswise, shared_ipv4, shared_ipv6,
        of_another_ipv4, of_another_ipv6, black_hole_ipv4, black_hole_ipv6, black_hole_crosswise,
        long_ipv4, long_ipv6, long_crosswise, long_crosswise_back,
    ]))
