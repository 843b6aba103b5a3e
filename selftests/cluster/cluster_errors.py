#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Errors of routers about what a cluster IP has sent: who has the connection gets them, and nobody
else. Where there are no connections, as with UDP, that is the owner."""

import ipaddress
import socket
import struct
import sys

from clusters import (PORT, TCP, UDP, VALUE, Cluster, Directed, accepted, exchange,
                      introduce, table)
from machines import FAMILIES, bound, pin
from rubbish import ICMP, ICMPV6, plain, too_big
from service_group import equal, run_tests, wait_until

# Of the kernel's interface.
TCP_INFO, TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 11, 19, 20, 21
SEND_QUEUE = 2
REPAIR_OFF_WITHOUT_PROBE = -1
INFO_PMTU = 60
IP_MTU, IPV6_MTU = 14, 24
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2
UDP_HEADER, SCTP, UDP_LITE, ESP = 17, 132, 136, 50


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


class Flow:
    """A flow of a protocol that has no connections, as its replies show it."""

    def __init__(self, cluster, protocol, port):
        self.cluster, self.version, self.protocol = cluster, cluster.version, protocol
        self.port = port

    def upper(self):
        """How a reply begins, behind the IP header."""
        if self.protocol == ICMP:
            return struct.pack("!BBHHH", 0, 0, 0, self.port, 1)
        if self.protocol == ICMPV6:
            return struct.pack("!BBHHH", 129, 0, 0, self.port, 1)
        if self.protocol == ESP:
            return struct.pack("!II", self.port, 1)
        return struct.pack("!HHHH", PORT, self.port, 1400, 0) + bytes(8)

    def owner(self, owners):
        """The number of the node that has it."""
        port, to = {ICMP: (self.port, 0), ICMPV6: (self.port, 0),
                    ESP: (0, 0)}.get(self.protocol, (self.port, PORT))
        client = ipaddress.ip_address(self.cluster.client.address(self.version))
        flow = client, port, ipaddress.ip_address(self.cluster.address), to, self.protocol
        return owners[VALUE("sum5", b"", flow) % len(owners)]

    def error(self):
        """A router says that a reply is too long."""
        ends = [ipaddress.ip_address(end).packed for end in (
            self.cluster.address, self.cluster.client.address(self.version))]
        protocol, error = too_big(self.version, 1300, plain(self.version, *ends, self.protocol,
                                                            self.upper()))
        with self.cluster.client, socket.socket(FAMILIES[self.version], socket.SOCK_RAW,
                                                protocol) as raw:
            raw.sendto(error, (self.cluster.address, 0))


def reach_owners(cluster, owners):
    """Errors about each kind of flow reach the flow's owner, and nobody else."""
    machines = cluster.nodes + cluster.directors
    arrive(cluster, machines)
    echo = ICMPV6 if cluster.version == 6 else ICMP
    for protocol in (UDP_HEADER, SCTP, UDP_LITE, echo, ESP):
        for port in range(40000, 40000 + len(cluster.nodes)):
            flow = Flow(cluster, protocol, port)
            expected = {machine: errors(machine, cluster.version) for machine in machines}
            owner = cluster.nodes[flow.owner(owners) - 1]
            expected[owner] += 1
            flow.error()
            wait_until(lambda node=owner, count=expected[owner]:
                       errors(node, cluster.version) == count,
                       f"an error at node {owner.number}, protocol {protocol}, port {port}")
            arrive(cluster, machines)
            seen = {machine: errors(machine, cluster.version) for machine in machines}
            equal(list(expected.values()), list(seen.values()),
                  f"errors of machines, protocol {protocol}, port {port}")


def path_mtu_of_datagrams(cluster, owners):
    """A service learns how long its datagrams may be."""
    version, client = cluster.version, cluster.client.address(cluster.version)
    flow = Flow(cluster, UDP_HEADER, 40100)
    machine = cluster.nodes[flow.owner(owners) - 1]
    level, name, number = ((socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU) if version == 4 else
                           (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU))
    with bound(machine, UDP, cluster.address, PORT) as service:
        service.setsockopt(level, name, PMTUDISC_DO)
        service.connect((client, 40100))
        flow.error()
        wait_until(lambda: service.getsockopt(level, number) == 1300, "the MTU of the path")


def flows(cluster, start):
    """With a first table; one that has changed just now, and long ago; and with spilling."""
    pin()
    changes = [((1, 2, 3), {}), ((2, 3, 1), {"settle": 3600}), ((3, 1, 2), {"settle": 0}),
               ((2, 3, 1), {"settle": 3600, "spill": 1}), ((1, 2, 3), {"settle": 0, "spill": 1})]
    for epoch, (owners, how) in enumerate(changes, 1):
        start(epoch=epoch, table=table(*owners), **how)
        reach_owners(cluster, owners)
    path_mtu_of_datagrams(cluster, owners)


def flows_shared(version):
    """Every node receives the errors."""
    cluster = Cluster(version)
    flows(cluster, cluster.set)


def flows_directed(version, way, outer=None):
    """The director gives them to their owners."""
    cluster = Directed(version, way, outer)
    flows(cluster, lambda **how: cluster.direct(0, **how))


def flows_shared_ipv4():
    """IPv4."""
    flows_shared(4)


def flows_shared_ipv6():
    """IPv6."""
    flows_shared(6)


def flows_directed_ipv4():
    """To MAC addresses."""
    flows_directed(4, "neighbour")


def flows_directed_ipv6():
    """The same."""
    flows_directed(6, "neighbour")


def flows_tunnelled_ipv4():
    """IPv4 in IPv4."""
    flows_directed(4, "tunnel")


def flows_tunnelled_ipv6():
    """IPv6 in IPv4."""
    flows_directed(6, "tunnel", 4)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_errors", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6, tunnelled_ipv4, tunnelled_ipv6,
        flows_shared_ipv4, flows_shared_ipv6, flows_directed_ipv4, flows_directed_ipv6,
        flows_tunnelled_ipv4, flows_tunnelled_ipv6,
    ]))
