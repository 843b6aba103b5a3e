#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""SYNs that a node's group has no room for: another node takes them, and keeps the connection."""

import contextlib
import os
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
from clusters import PORT, TCP, Cluster, Directed, enslave, exchange, ready, table  # noqa: E402
from machines import FAMILIES  # noqa: E402
from rubbish import checksum  # noqa: E402
from service_group import (PATIENCE, configure, equal, expect, form, info,  # noqa: E402
                           new_socket, run_tests, wait_until)

TCP_REPAIR = 19
SYN = 2
# All slots are node 1's but one, which makes node 2 the one that node 1 spills to.
TABLE = table(*([1] * 7 + [2]))
OTHER = table(*([1] * 7 + [3]))


class Service:
    """A group of two members on each node; on node 1 without room, once it is full."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.members = {}
        for machine in cluster.nodes:
            with machine:
                pair = [new_socket(FAMILIES[cluster.version]) for _ in range(2)]
                for sock in pair:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    sock.bind((cluster.address, PORT))
                    # No more than one waits.
                    sock.listen(0 if machine is cluster.nodes[0] else 64)
                form(pair)
                configure(pair[0], stall=0)
            self.members[machine] = pair

    def connect(self):
        """A connection whose slot is node 1's: its client."""
        client = self.client_of_first()
        client.connect((self.cluster.address, PORT))
        return client

    def connect_until_refused(self):
        """Connections until one is answered with a reset."""
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                self.connect()

    def client_of_first(self):
        """A socket whose slot is node 1's, but that is not connected."""
        client = self.client_socket()
        while self.cluster.owner(client, TCP, (1,) * 7 + (2,)).number != 1:
            client = self.client_socket()
        return client

    def client_socket(self):
        """A socket that knows where it is, but is not connected."""
        client = self.cluster.client
        with client:
            sock = socket.socket(FAMILIES[self.cluster.version], TCP)
        sock.settimeout(PATIENCE)
        sock.bind((client.address(self.cluster.version), 0))
        return sock

    def accept(self, machine):
        """The oldest connection of that machine."""
        sockets = dict(enumerate(self.members[machine]))
        number = ready(sockets)[0]
        server, _ = sockets[number].accept()
        server.settimeout(PATIENCE)
        return server

    def pairs(self, machine, clients):
        """The connections of these clients, all of them with that machine: both their ends."""
        servers = [self.accept(machine) for _ in clients]
        servers = {server.getpeername()[:2]: server for server in servers}
        return [(client, servers[client.getsockname()[:2]]) for client in clients]

    def fill(self):
        """Connections until node 1 has no room: their clients."""
        clients = []
        first, second = self.cluster.nodes[:2]
        while not self.cluster.counters(first)["spilled-out"]:
            clients.append(self.connect())
        wait_until(lambda: self.cluster.counters(second)["spilled-in"], "what was spilled")
        return clients


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
