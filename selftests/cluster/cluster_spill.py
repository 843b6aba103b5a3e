#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""SYNs that a node's group has no room for: another node takes them, and keeps the connection."""

import socket
import struct
import sys

from clusters import PORT, Cluster, Directed, enslave, exchange, table
from machines import FAMILIES
from rubbish import checksum
from service_group import configure, equal, expect, info, run_tests, wait_until
from spill import TABLE, Service

TCP_REPAIR = 19
SYN = 2
# The same with node 3 as the other one.
OTHER = table(*([1] * 7 + [3]))


def spilled(cluster):
    """Connections that are spilled stay where they are, through changes of the table."""
    setting = {"table": TABLE, "spill": 1, "settle": 0, "epoch": 2}
    start(cluster, **setting)
    service = Service(cluster)
    first, second = cluster.nodes[:2]
    clients = service.fill()
    held = clients[-1:] + [service.connect() for _ in range(3)]
    # A SYN may come twice.
    expect(cluster.counters(second)["spilled-in"] >= len(held), "spilled")
    pairs = service.pairs(second, held)
    # The others wait where they belong.
    for client, server in pairs + service.pairs(first, clients[:-1]):
        exchange(client, server)
    # Now another node is the one that node 1 spills to, and then another one owns it all.
    for epoch, slots in ((3, OTHER), (4, table(*([3] * 8)))):
        start(cluster, **{**setting, "table": slots, "epoch": epoch, "settle": 60})
        for client, server in pairs:
            exchange(client, server)


def start(cluster, **how):
    """Has the cluster do that, with or without a director."""
    if isinstance(cluster, Directed):
        cluster.direct(0, **how)
    else:
        cluster.set(**how)


def shared_ipv4():
    """Every node receives everything."""
    spilled(Cluster(4))


def shared_ipv6():
    """The same."""
    spilled(Cluster(6))


def directed_ipv4():
    """To MAC addresses."""
    spilled(Directed(4))


def directed_ipv6():
    """In tunnels."""
    spilled(Directed(6, "tunnel"))


def vrf(version):
    """The device is one of a VRF."""
    cluster = Cluster(version)
    enslave(cluster, cluster.nodes)
    spilled(cluster)


def vrf_ipv4():
    """IPv4."""
    vrf(4)


def vrf_ipv6():
    """IPv6."""
    vrf(6)


def not_allowed():
    """Without leave a SYN that has no room is dropped, or answered with a reset."""
    cluster = Cluster(4)
    cluster.set(table=TABLE)
    service = Service(cluster)
    with cluster.nodes[0]:
        configure(service.members[cluster.nodes[0]][0], when_full=1)
    service.connect_until_refused()
    for machine in cluster.nodes:
        counters = cluster.counters(machine)
        equal((0, 0), (counters["spilled-out"], counters["spilled-in"]), "spilled")


def full_everywhere():
    """A node that is spilled to spills no further: its group decides."""
    cluster = Cluster(4)
    cluster.set(table=TABLE, spill=1)
    service = Service(cluster)
    for machine in cluster.nodes:
        for sock in service.members[machine]:
            sock.listen(0)
        with machine:
            configure(service.members[machine][0], when_full=1)
    service.connect_until_refused()
    first, second, third = (cluster.counters(machine) for machine in cluster.nodes)
    expect(first["spilled-out"] > 0 and second["spilled-in"] > 0, f"{first} {second}")
    equal((0, 0), (second["spilled-out"], third["spilled-in"]), "spilled on")


def tables_differ():
    """Two nodes that each think the other one spills to it: what one gave, the other keeps."""
    cluster = Directed(4, table=TABLE, spill=1)
    service = Service(cluster)
    first, second = cluster.nodes[:2]
    # As one that was told of a change before the others.
    cluster.set([second], role="directed", **{**cluster.given, "table": table(*([2] * 7 + [1])),
                                              "epoch": 2})
    for machine in (first, second):
        for sock in service.members[machine]:
            sock.listen(0)
        with machine:
            configure(service.members[machine][0], when_full=1)
    service.connect_until_refused()
    counters = [cluster.counters(machine) for machine in (first, second)]
    expect(counters[0]["spilled-out"] > 0, f"{counters}")
    equal((0, 0), (counters[1]["spilled-out"], counters[0]["spilled-in"]), "given back")


def unwanted(version):
    """A reset by a client that asked for nothing ends what is half open, and goes nowhere else."""
    cluster = Cluster(version)
    start(cluster, table=TABLE, spill=1, epoch=2)
    service = Service(cluster)
    first = cluster.nodes[0]
    source = service.client_of_first()
    local = source.getsockname()
    source.close()
    with cluster.client:
        raw = socket.socket(FAMILIES[version], socket.SOCK_RAW, socket.IPPROTO_TCP)
    if version == 6:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 16)
    header = struct.pack("!HHIIBBHHH", local[1], PORT, 1, 0, 5 << 4, SYN, 1024, 0, 0)
    if version == 4:
        pseudo = socket.inet_aton(local[0]) + socket.inet_aton(cluster.address)
        total = checksum(pseudo + struct.pack("!HH", socket.IPPROTO_TCP, len(header)) + header)
        header = header[:16] + struct.pack("!H", total) + header[18:]
    raw.sendto(header, (cluster.address, 0))
    # The client's machine knows of no such connection.
    wait_until(lambda: cluster.counters(first)["owned"] >= 2, "the SYN and the reset")
    with first:
        wait_until(lambda: not sum(info(sock)["half_open"] for sock in service.members[first]),
                   "the end of what was half open")


def unwanted_ipv4():
    """Shared."""
    unwanted(4)


def unwanted_ipv6():
    """The same."""
    unwanted(6)


def resets():
    """Directed: a packet of a connection that nobody has is answered with a reset, once asked."""
    # With an earlier table there could be several to ask, of whom none would be sure.
    cluster = Directed(4, table=TABLE, spill=1, settle=0)
    service = Service(cluster)
    service.fill()
    client = service.connect()
    server = service.accept(cluster.nodes[1])
    while server.getpeername()[:2] != client.getsockname()[:2]:
        server = service.accept(cluster.nodes[1])
    # It ends without a word to the client.
    server.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    server.close()
    client.sendall(b"x")
    try:
        client.recv(1)
        raise AssertionError("no reset")
    except ConnectionResetError:
        pass


if __name__ == "__main__":
    sys.exit(run_tests("cluster_spill", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6, not_allowed, full_everywhere,
        tables_differ, unwanted_ipv4, unwanted_ipv6, resets, vrf_ipv4, vrf_ipv6,
    ]))
