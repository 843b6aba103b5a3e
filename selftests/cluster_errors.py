#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Errors of routers about what a cluster IP has sent: who has the connection gets them, and nobody
else."""

import ipaddress
import os
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
from clusters import (PORT, TCP, Cluster, Directed, accepted, exchange, introduce,  # noqa: E402
                      table)
from machines import FAMILIES, pin  # noqa: E402
from rubbish import plain, too_big  # noqa: E402
from service_group import equal, run_tests, wait_until  # noqa: E402

# Of the kernel's interface.
TCP_INFO, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 11, 19, 20, 21
SEND_QUEUE = 2
REPAIR_OFF_WITHOUT_PROBE = -1
INFO_PMTU = 60


def sequence(sock):
    """The sequence number of what a connection sends next; no other may be quoted."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
    number = sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, 4)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_WITHOUT_PROBE)
    return struct.unpack("=I", number)[0]


def path_mtu(sock):
    """How long a connection thinks that its packets may be."""
    return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 64), INFO_PMTU)[0]


def send_too_big(cluster, client, server, mtu):
    """The client's machine is a router that could not send on what the server has sent."""
    ends = [ipaddress.ip_address(end).packed for end in (cluster.address, client.getsockname()[0])]
    ports = struct.pack("!HHI", PORT, client.getsockname()[1], sequence(server))
    quoted = plain(cluster.version, *ends, 6, ports + bytes(12))
    protocol, error = too_big(cluster.version, mtu, quoted)
    with cluster.client, socket.socket(FAMILIES[cluster.version], socket.SOCK_RAW, protocol) as raw:
        raw.sendto(error, (cluster.address, 0))


def errors(machine, version):
    """How many such errors the kernel of a machine was given."""
    with machine:
        if version == 6:
            with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
                return int(dict(line.split() for line in file)["Icmp6InPktTooBigs"])
        with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = (line.split() for line in file if line.startswith("Icmp:"))
    return int(values[names.index("InDestUnreachs")])


def arrive(cluster, machines):
    """Waits until each machine has got all that the client has sent before."""
    for machine in machines:
        introduce(cluster.client, machine, cluster.version)


def reach(cluster, pairs, mtu):
    """An error about each connection is its node's: all others send as they did."""
    machines = cluster.nodes + cluster.directors
    arrive(cluster, machines)
    got = {machine: errors(machine, cluster.version) for machine in machines}
    old = {machine: path_mtu(server) for machine, (_, server) in pairs.items()}
    for machine, (client, server) in pairs.items():
        send_too_big(cluster, client, server, mtu)
        got[machine] += 1
        old[machine] = mtu
        wait_until(lambda sock=server: path_mtu(sock) == mtu, f"MTU of node {machine.number}")
        arrive(cluster, machines)
        equal(list(old.values()), [path_mtu(server) for _, server in pairs.values()], "MTUs")
        exchange(client, server)
    equal(list(got.values()), [errors(machine, cluster.version) for machine in machines],
          "errors of machines")


def connections(cluster):
    """One of each node."""
    listeners = cluster.listeners()
    pairs = {}
    while len(pairs) < len(cluster.nodes):
        pair = accepted(cluster, listeners)
        pairs[cluster.owner(pair[0], TCP)] = pair
    return pairs


def shared(version):
    """Every node receives every error, also when others own what the connections were begun by."""
    pin()
    cluster = Cluster(version)
    cluster.set()
    pairs = connections(cluster)
    reach(cluster, pairs, 1400)
    arrive(cluster, cluster.nodes)
    before = [cluster.counters(machine)["owned"] for machine in cluster.nodes]
    cluster.set(epoch=2, table=table(2, 3, 1))
    reach(cluster, pairs, 1300)
    equal(before, [cluster.counters(machine)["owned"] for machine in cluster.nodes], "owned")


def shared_ipv4():
    """Fragmentation needed."""
    shared(4)


def shared_ipv6():
    """Packet too big."""
    shared(6)


def directed(version, way, outer=None):
    """They are forwarded as their connections are, and have a second chance as these have."""
    pin()
    cluster = Directed(version, way, outer)
    pairs = connections(cluster)
    reach(cluster, pairs, 1400)
    cluster.direct(0, epoch=2, table=table(2, 3, 1))
    reach(cluster, pairs, 1300)


def directed_ipv4():
    """To MAC addresses."""
    directed(4, "neighbour")


def directed_ipv6():
    """The same."""
    directed(6, "neighbour")


def tunnelled_ipv4():
    """IPv4 in IPv6."""
    directed(4, "tunnel", 6)


def tunnelled_ipv6():
    """IPv6 in IPv4."""
    directed(6, "tunnel", 4)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_errors", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6, tunnelled_ipv4, tunnelled_ipv6,
    ]))
