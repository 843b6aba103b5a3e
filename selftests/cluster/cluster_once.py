#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is sent to an address that machines share is answered once, whatever it is; and who asks for
it is believed as much as the kernel believes him."""

import ipaddress
import socket
import struct
import subprocess
import sys

from clusters import (MAC, NODES, PORT, UDP, Cluster, config, introduce,
                      node, ready, table, takes_connections)
from machines import ETH_P_ARP, has_arp_hooks, ip_commands, pin
from rubbish import ICMP, ICMPV6, TYPES, UDP as UDP_HEADER, arp, checksum, plain
from service_group import Skip, equal, expect, run_tests

NOBODY = bytes.fromhex("020000000099")
# What may come back: to an echo, a timestamp, an information and a mask request, or errors.
ANSWERS = {4: (0, 14, 16, 18, 3), 6: (129, 140, 1)}
QUESTIONS = {4: (8, 13, 15, 17), 6: (128, 139)}


def packed(address):
    """The bytes of an address."""
    return ipaddress.ip_address(address).packed


class Asker:
    """Sends packets to all nodes, and counts what comes back."""

    def __init__(self, cluster):
        pin()
        self.cluster, self.version = cluster, cluster.version
        self.ends = packed(cluster.client.address(self.version)), packed(cluster.address)
        with cluster.client:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.bind(("eth0", 0))
        for machine in cluster.nodes:
            introduce(machine, cluster.client, self.version)

    def answers(self, protocol, upper):
        """How many messages of ICMP a packet brings."""
        client, version = self.cluster.client, self.version
        with client:
            seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPES[version]))
        with seen:
            seen.bind(("eth0", TYPES[version]))
            self.sock.send(MAC + bytes.fromhex(client.mac().replace(":", "")) +
                           TYPES[version].to_bytes(2, "big") +
                           plain(version, *self.ends, protocol, upper))
            # Whatever a node answers comes before what it sends then.
            for machine in self.cluster.nodes:
                introduce(client, machine, version)
                introduce(machine, client, version)
            seen.setblocking(False)
            return sum(self.is_answer(frame[14:]) for frame in frames(seen))

    def is_answer(self, packet):
        """Whether it is one from the cluster IP."""
        if self.version == 6:
            return (packet[8:24] == self.ends[1] and packet[6] == ICMPV6 and
                    packet[40] in ANSWERS[6])
        return packet[12:16] == self.ends[1] and packet[9] == ICMP and packet[20] in ANSWERS[4]

    def question(self, kind):
        """A message of ICMP."""
        body = struct.pack("!BBHHH", kind, 0, 0, 7, 1) + bytes(12)
        if self.version == 4:
            return ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        total = checksum(b"".join(self.ends) + struct.pack("!II", len(body), ICMPV6) + body)
        return ICMPV6, body[:2] + struct.pack("!H", total) + body[4:]

    def datagram(self, port):
        """One to a port where nobody listens."""
        upper = struct.pack("!HHHH", 40000, port, 8, 0)
        if self.version == 6:
            total = checksum(b"".join(self.ends) + struct.pack("!II", 8, UDP_HEADER) + upper)
            upper = upper[:6] + struct.pack("!H", total)
        return UDP_HEADER, upper


def frames(sock):
    """All that have come."""
    while True:
        try:
            yield sock.recv(2000)
        except BlockingIOError:
            return


def once(version):
    """Questions to machines and echoes; one machine takes each."""
    cluster = Cluster(version)
    cluster.set()
    asker = Asker(cluster)
    for kind in QUESTIONS[version]:
        expect(asker.answers(*asker.question(kind)) <= 1, f"answers to ICMP {kind}")
    expected = {4: (8, 13), 6: (128,)}
    for kind in expected[version]:
        equal(1, asker.answers(*asker.question(kind)), f"answers to ICMP {kind}")
    expect(asker.answers(*asker.datagram(9)) <= 1, "answers to a datagram")


def once_ipv4():
    """ICMP."""
    once(4)


def once_ipv6():
    """ICMPv6."""
    once(6)


def one_service(version):
    """Only one port of the address is shared: what else comes for all nodes is nobody's."""
    cluster = Cluster(version)
    for machine in cluster.nodes:
        machine.ynl.do("cluster-set", config(version, machine.device(), machine.number,
                                             protocol=6, port=PORT))
    asker = Asker(cluster)
    for kind in QUESTIONS[version]:
        equal(0, asker.answers(*asker.question(kind)), f"answers to ICMP {kind}")
    equal(0, asker.answers(*asker.datagram(PORT)), "answers to a datagram")
    # And it is found, by a question to all, and one to who is known to have it.
    takes_connections(cluster, 3)
    with cluster.client:
        ip_commands(f"neigh change {cluster.address} lladdr {MAC.hex(':')} nud probe dev eth0")
    takes_connections(cluster, 3)
    if cluster.asks:
        equal(MAC.hex(":"), cluster.client.knows(cluster.address), "MAC address at the client")


def one_service_ipv4():
    """IPv4."""
    one_service(4)


def one_service_ipv6():
    """IPv6."""
    one_service(6)


def learnt(machine):
    """The neighbours that a machine knows by no machine's MAC address."""
    with machine:
        told = subprocess.run(["ip", "-4", "neigh", "show"], check=True, capture_output=True,
                              text=True).stdout
    return {line.split()[0] for line in told.splitlines() if NOBODY.hex(":") in line}


def whom_arp_believes():
    """Of those who ask for a cluster IP a machine learns whom it would learn from if they had asked
    for its own address."""
    if not has_arp_hooks():
        raise Skip("the kernel shows no ARP")
    cluster = Cluster(4)
    cluster.set()
    machine = cluster.nodes[0]
    asker = Asker(cluster)
    senders = ["10.9.0.77", "198.51.100.9", "127.0.0.1", "224.0.0.1", "255.255.255.255",
               "0.0.0.9", "240.0.0.1", machine.address(4), cluster.address, "10.9.0.255"]
    for strict in (0, 1):
        for name in ("all", "eth0"):
            machine.set(f"ipv4/conf/{name}/rp_filter", strict)
        seen = []
        for target in (machine.address(4), cluster.address):
            with machine:
                ip_commands("neigh flush all dev eth0")
            for sender in senders:
                packet = arp(NOBODY, packed(sender), packed(target))
                asker.sock.send(b"\xff" * 6 + NOBODY + ETH_P_ARP.to_bytes(2, "big") + packet)
            introduce(cluster.client, machine, 4)
            seen.append(learnt(machine))
        expect("10.9.0.77" in seen[0], f"what the kernel learnt: {seen[0]}")
        equal(seen[0], seen[1], f"who was learnt with rp_filter {strict}")


def other_family(version, other):
    """Nodes of a shared address are known by addresses of the other family; spilling as well."""
    cluster = Cluster(version)
    nodes = [node(number, other) for number in range(1, NODES + 1)]
    cluster.set(nodes=nodes)
    takes_connections(cluster, 6)
    cluster.set(nodes=nodes, spill=1, epoch=2, table=table(2, 3, 1))
    services = cluster.listeners(UDP)
    client = cluster.client_socket(UDP)
    client.send(b"x")
    equal([cluster.owner(client, UDP, (2, 3, 1)).number],
          [machine.number for machine in ready(services)], "who got it")


def ipv6_of_ipv4_nodes():
    """A shared IPv6 address."""
    other_family(6, 4)


def ipv4_of_ipv6_nodes():
    """A shared IPv4 address."""
    other_family(4, 6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_once", [
        once_ipv4, once_ipv6, one_service_ipv4, one_service_ipv6, whom_arp_believes,
        ipv6_of_ipv4_nodes, ipv4_of_ipv6_nodes,
    ]))
