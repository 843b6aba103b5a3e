#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""To be given to another node costs a packet a hop, whatever the way: so none goes in circles."""

import errno
import ipaddress
import socket
import struct
import sys

from clusters import (PORT, UDP, Directed, config, introduce, name_of, node, ready,
                      table)
from machines import FAMILIES, LENGTHS, SEGMENT, gives, ip_commands, nft
from service_group import equal, run_tests, wait_until

# Level, how many a socket's packets may take, whether it tells of those that came, and of errors.
OPTIONS = {4: (socket.IPPROTO_IP, socket.IP_TTL, 12, 11),
           6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, socket.IPV6_RECVHOPLIMIT, 25)}
HOPS = 10
# Errors would begin circles of their own.
SILENCE = ("table inet f { chain o { type filter hook output priority 0; "
           "icmp type time-exceeded drop; icmpv6 type time-exceeded drop; }; }")


def spent(version, way="neighbour", outer=None):
    """A packet that may go no further is dropped, and its sender told; one that may comes with one
    hop less."""
    cluster = Directed(version, way, outer)
    level, hops, tells_hops, tells_errors = OPTIONS[version]
    services = cluster.listeners(UDP)
    for service in services.values():
        service.setsockopt(level, tells_hops, 1)
    client = cluster.client_socket(UDP)
    client.setsockopt(level, tells_errors, 1)
    client.setsockopt(level, hops, 1)
    client.send(b"x")
    director = cluster.directors[0]
    wait_until(lambda: cluster.counters(director)["dropped-hop-limit"] == 1, "the last hop")
    try:
        client.recv(10)
    except OSError as error:
        equal(errno.EHOSTUNREACH, error.errno, "what the sender is told")
    client.setsockopt(level, hops, 2)
    client.send(b"y")
    owner, = ready(services)
    data, told, _, _ = services[owner].recvmsg(10, 100)
    equal((b"y", 1), (data, struct.unpack("=i", told[0][2])[0]), "what came, and its hops")


def spent_near_ipv4():
    """To MAC addresses."""
    spent(4)


def spent_near_ipv6():
    """The same."""
    spent(6)


def spent_ipv4():
    """IPv4 in IPv4."""
    spent(4, "tunnel")


def spent_ipv6():
    """IPv6 in IPv6."""
    spent(6, "tunnel")


def spent_crosswise():
    """IPv4 in IPv6."""
    spent(4, "tunnel", 6)


class Circle:
    """Two machines each of which gives the other one what comes to its own address."""

    def __init__(self, version):
        self.version = version
        cluster = Directed(version)
        self.machines = one, other = cluster.directors
        for machine in self.machines:
            nft(machine, SILENCE)
        introduce(one, other, version)
        introduce(other, one, version)
        introduce(cluster.client, one, version)
        with cluster.client:
            self.client = socket.socket(FAMILIES[version], UDP)
        level, hops, *_ = OPTIONS[version]
        self.client.setsockopt(level, hops, HOPS)
        self.client.connect((one.address(version), PORT))

    def name(self, machine):
        """What is served there."""
        address = ipaddress.ip_address(machine.address(self.version)).packed
        return {**name_of(self.version), "address": address}

    def serve(self, **changes):
        """Each is told so; `changes` may be made with it and the other one."""
        for machine, other in (self.machines, self.machines[::-1]):
            how = {name: change(machine, other) for name, change in changes.items()}
            whole = {"mac": None, "table": table(other.number), **self.name(machine), **how}
            machine.ynl.do("cluster-set", config(self.version, machine.device(), None, **whole))

    def ends(self, counter):
        """What is sent there goes as far as it may, counted as that."""
        self.client.send(b"x")

        def total(name):
            return sum(one.ynl.do("cluster-get", self.name(one))["counters"][name]
                       for one in self.machines)

        wait_until(lambda: total("dropped-hop-limit") or total("too-big"), "the end of it")
        equal((HOPS - 1, 1, 0), tuple(total(name) for name in (
            counter, "dropped-hop-limit", "too-big")), "rounds")


def directors(version):
    """Two direct each other's addresses: each wraps what the other one has wrapped."""
    circle = Circle(version)
    circle.serve(role=lambda *_: "director", nodes=lambda _, other: [
        node(other.number, version, way="tunnel")])
    circle.ends("forwarded")


def directors_ipv4():
    """IPv4 in IPv4."""
    directors(4)


def directors_ipv6():
    """IPv6 in IPv6."""
    directors(6)


def second_chances(version):
    """The same with nodes, which know each other by more addresses than those."""
    circle = Circle(version)

    def more(machine):
        return SEGMENT[version].format(machine.number + 16)

    for machine in circle.machines:
        with machine:
            ip_commands(gives(f"{more(machine)}/{LENGTHS[version]}", "eth0"))
    circle.serve(role=lambda *_: "directed", node=lambda one, _: one.number,
                 nodes=lambda one, other: [
                     node(one.number, version, address=ipaddress.ip_address(more(one)).packed),
                     node(other.number, version)])
    circle.ends("second-chance")


def second_chances_ipv4():
    """IPv4 in IPv4."""
    second_chances(4)


def second_chances_ipv6():
    """IPv6 in IPv6."""
    second_chances(6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_hops", [
        spent_near_ipv4, spent_near_ipv6, spent_ipv4, spent_ipv6, spent_crosswise,
        directors_ipv4, directors_ipv6, second_chances_ipv4, second_chances_ipv6,
    ]))
