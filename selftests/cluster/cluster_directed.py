#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Cluster IPs whose packets a director gives to their owners."""

import ipaddress
import socket
import struct
import subprocess
import sys

from clusters import (NODES, TCP, UDP, Directed, accepted, exchange, introduce,
                      name_of, node, ready, table, takes_connections)
from machines import FAMILIES, ip_commands
from rubbish import too_big
from service_group import equal, expect, run_tests, wait_until


EVERYBODY = "ff:ff:ff:ff:ff:ff"


def directed(version, way, outer=None):
    """TCP and UDP through a director, and a change of the table."""
    cluster = Directed(version, way, outer)
    director = cluster.directors[0]
    takes_connections(cluster, 6)
    equal(director.mac(), cluster.client.knows(cluster.address), "MAC address at the client")
    services = cluster.listeners(UDP)
    for size in (10, 4000):
        client = cluster.client_socket(UDP)
        client.send(b"d" * size)
        owner = cluster.owner(client, UDP)
        equal([owner.number], [machine.number for machine in ready(services)], "who got it")
        equal(size, len(services[owner].recv(8000)), "length")
    counters = cluster.counters(director)
    expect(counters["forwarded"] > 20 and counters["reassembled"] == 1, f"director: {counters}")
    equal(way == "tunnel", counters["too-big"] > 0, "too big")
    told = director.ynl.do("cluster-get", name_of(version))
    equal(counters["forwarded"], sum(one["forwarded"] for one in told["nodes"]), "forwarded")
    owned = [cluster.counters(machine)["owned"] for machine in cluster.nodes]
    equal(counters["forwarded"], sum(owned), "owned by all")

    listeners = cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(6)]
    cluster.direct(0, epoch=2, table=table(2, 3, 1))
    for client, server in pairs:
        exchange(client, server)
    pairs += [accepted(cluster, listeners, owners=(2, 3, 1)) for _ in range(3)]
    for client, server in pairs:
        exchange(client, server)
    total = {name: sum(cluster.counters(machine)[name] for machine in cluster.nodes)
             for name in ("second-chance", "second-chance-in", "known", "dropped-spent")}
    expect(total["second-chance"] > 10 and total["known"] > 10, f"second chances: {total}")
    # What was merged where it was sent is counted once there.
    expect(total["second-chance-in"] >= total["second-chance"], f"second chances: {total}")
    equal(0, total["dropped-spent"], "lost")


def directed_ipv4():
    """To MAC addresses."""
    directed(4, "neighbour")


def directed_ipv6():
    """The same."""
    directed(6, "neighbour")


def tunnelled_ipv4():
    """IPv4 in IPv4."""
    directed(4, "tunnel")


def tunnelled_ipv6():
    """IPv6 in IPv6."""
    directed(6, "tunnel")


def tunnelled_crosswise():
    """IPv4 in IPv6."""
    directed(4, "tunnel", 6)


def tunnelled_crosswise_back():
    """IPv6 in IPv4."""
    directed(6, "tunnel", 4)


class Lasting:
    """Connections that outlive changes of the table."""

    def __init__(self, cluster):
        self.cluster, self.epoch, self.pairs = cluster, 1, []
        self.listeners = cluster.listeners()
        self.how = {}
        self.begin(6)

    def begin(self, count):
        """So many more."""
        for _ in range(count):
            pair = accepted(self.cluster, self.listeners, **self.how)
            self.pairs.append((self.cluster.owner(pair[0], TCP, **self.how), pair))

    def change(self, *owners, hash_name="sum5", key=b"", **changes):
        """Another table: all go on, some of them not with the owner of their packets."""
        self.epoch += 1
        self.how = {"owners": owners, "hash_name": hash_name, "key": key}
        self.cluster.direct(0, epoch=self.epoch, table=table(*owners), hash=hash_name,
                            key=key or None, **changes)
        asked = self.second_chances()
        for _, pair in self.pairs:
            exchange(*pair)
        expect(self.second_chances() > asked, f"second chances of epoch {self.epoch}")
        self.begin(3)

    def second_chances(self):
        """Of all nodes."""
        return sum(self.cluster.counters(machine)["second-chance"]
                   for machine in self.cluster.nodes)

    def lose(self, gone):
        """A node dies, and what it had is lost; the caller tells the others."""
        expect(any(node is gone for node, _ in self.pairs), "something to lose")
        with gone:
            ip_commands("link set eth0 down")
        self.pairs = [(node, pair) for node, pair in self.pairs if node is not gone]


def other_slots(version, way):
    """Connections go on while the numbers of slots and the hash change, and a node dies."""
    cluster = Directed(version, way)
    lasting = Lasting(cluster)
    lasting.change(2, 3, 1, 1, 2, 3, 3)
    lasting.change(3, 1, 2, 2, 1)
    keyed = {"hash_name": "keyed", "key": bytes(range(16))}
    lasting.change(1, 3, 2, 3, 1, **keyed)
    lasting.lose(cluster.nodes[2])
    lasting.change(2, 1, 1, 2, 2, **keyed, nodes=[
        {**one, "state": "down" if one["id"] == NODES else "up"} for one in cluster.given["nodes"]])


def other_slots_neighbour():
    """To MAC addresses."""
    other_slots(4, "neighbour")


def other_slots_tunnelled():
    """IPv6 in IPv6."""
    other_slots(6, "tunnel")


def ipsec(version):
    """What IPsec's policies forbid neither leaves a director nor enters a node."""
    cluster = Directed(version, "tunnel")
    director, target = cluster.directors[0], cluster.nodes[0]
    services = cluster.listeners(UDP)
    client = cluster.client_socket(UDP)
    while cluster.owner(client, UDP) is not target:
        client = cluster.client_socket(UDP)
    policy = (f"src {director.address(version)} dst {target.address(version)} "
              f"proto {'4' if version == 4 else '41'} dir")
    for machine, direction in (director, "out"), (target, "in"):
        with machine:
            ip_commands(f"xfrm policy add {policy} {direction} action block")
        client.send(direction.encode())
        wait_until(lambda node=machine: cluster.counters(node)["dropped-unreachable"],
                   f"what is blocked {direction}")
        with machine:
            ip_commands(f"xfrm policy delete {policy} {direction}")
    client.send(b"allowed")
    equal(b"allowed", services[target].recv(8), "what has come")


def ipsec_ipv4():
    """IPv4 in IPv4."""
    ipsec(4)


def ipsec_ipv6():
    """IPv6 in IPv6."""
    ipsec(6)


def path_mtu(version):
    """A router that cannot send on what is in a tunnel is heard; the client is told, in turn."""
    cluster = Directed(version, "tunnel")
    director, target = cluster.directors[0], cluster.nodes[0]
    ends = [ipaddress.ip_address(machine.address(version)).packed for machine in (director, target)]
    if version == 4:
        quoted = struct.pack("!BBHHHBBH4s4s8x", 0x45, 0, 1500, 0, 0x4000, 9, 4, 0, *ends)
    else:
        quoted = struct.pack("!IHBB16s16s8x", 6 << 28, 1460, 41, 9, *ends)
    protocol, error = too_big(version, 1400, quoted)
    with cluster.client, socket.socket(FAMILIES[version], socket.SOCK_RAW, protocol) as raw:
        raw.sendto(error, (director.address(version), 0))

    def route():
        with director:
            return subprocess.run(["ip", "route", "get", target.address(version)], check=True,
                                  capture_output=True, text=True).stdout

    wait_until(lambda: "mtu 1400" in route(), "the path's MTU")
    listeners = cluster.listeners()
    while True:
        client, server = accepted(cluster, listeners)
        exchange(client, server)
        if cluster.owner(client, TCP) == target:
            break
    equal(1400 - {4: 20, 6: 40}[version], mtu_of(client, version), "MTU at the client")


def mtu_of(sock, version):
    """What a connected socket thinks of its path."""
    level, name = {4: (socket.IPPROTO_IP, 14), 6: (socket.IPPROTO_IPV6, 24)}[version]
    return sock.getsockopt(level, name)


def path_mtu_ipv4():
    """ICMP: fragmentation needed."""
    path_mtu(4)


def path_mtu_ipv6():
    """ICMPv6: packet too big."""
    path_mtu(6)


def standby():
    """Another machine directs when the one that did is gone; the connections go on."""
    cluster = Directed(4)
    listeners = cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(3)]
    gone = cluster.directors[0]
    with gone:
        ip_commands("link set eth0 down")
    cluster.set([cluster.directors[1]], role="director", **cluster.given)
    cluster.told(cluster.directors[1].mac())
    wait_until(lambda: cluster.client.knows(cluster.address) == cluster.directors[1].mac(),
               "the announcement")
    for client, server in pairs:
        exchange(client, server)
    pairs.append(accepted(cluster, listeners))
    # Only one director is asked for the address.
    with gone:
        ip_commands("link set eth0 up")
    cluster.set([gone], role="standby", **cluster.given)
    if cluster.asks:
        with cluster.client:
            ip_commands(f"neigh del {cluster.address} dev eth0")
    for client, server in pairs:
        exchange(client, server)
    equal(cluster.directors[1].mac(), cluster.client.knows(cluster.address), "who has it")


def astray(version):
    """A client that has not heard who directs sends to the machine that stands by, which directs."""
    cluster = Directed(version)
    active, standby_one = cluster.directors
    wrong = f"neigh replace {cluster.address} lladdr {standby_one.mac()} dev eth0 nud permanent"
    with cluster.client:
        ip_commands(wrong)
    services = cluster.listeners(UDP)
    client = cluster.client_socket(UDP)
    owner = cluster.owner(client, UDP)

    def counted(name):
        return cluster.counters(standby_one)[name]

    # It knows whose the packet is.
    client.send(b"by a node")
    equal(b"by a node", services[owner].recv(10), "what came")
    equal((0, 1, 0), tuple(map(counted, ("second-chance", "forwarded", "ignored"))), "by a node")
    nodes = [node(number, version) for number in range(1, NODES + 1)]
    cluster.set([standby_one], **{**cluster.given, "role": "standby", "node": None,
                                  "nodes": nodes})
    client.send(b"by no node")
    equal(b"by no node", services[owner].recv(10), "what came")
    equal((0, 2), tuple(map(counted, ("second-chance", "forwarded"))), "by no node")
    # What all receive is nobody's: one node would answer for all, or each of them.
    with cluster.client:
        ip_commands(f"neigh replace {cluster.address} lladdr {EVERYBODY} dev eth0 nud permanent")
    before = cluster.counters(active)["forwarded"]
    client.send(b"by all")
    for machine in *cluster.directors, owner:
        wait_until(lambda it=machine: cluster.counters(it)["ignored"] == 1, "what is left alone")
    equal((before, 2), (cluster.counters(active)["forwarded"], counted("forwarded")), "by all")
    with cluster.client:
        ip_commands(wrong)
    # Now it is its turn, though the packet comes by a node, which it knows to be one.
    cluster.set([active], role="standby", **cluster.given)
    cluster.set([standby_one], **{**cluster.given, "role": "director", "node": None,
                                  "nodes": [*nodes, node(cluster.client.number, version)]})
    introduce(standby_one, cluster.client, version)
    client.send(b"directed")
    equal(b"directed", services[owner].recv(10), "what came")
    equal((0, 3), tuple(map(counted, ("second-chance", "forwarded"))), "directed")


def astray_ipv4():
    """With ARP."""
    astray(4)


def astray_ipv6():
    """With neighbour discovery."""
    astray(6)


def device_goes(version, way):
    """A director's device can be removed though packets went by it."""
    cluster = Directed(version, way)
    listeners = cluster.listeners()
    for _ in range(6):
        exchange(*accepted(cluster, listeners))
    with cluster.directors[0]:
        # It waits until no program keeps it.
        ip_commands("link del eth0")


def device_goes_ipv4():
    """To MAC addresses."""
    device_goes(4, "neighbour")


def device_goes_ipv6():
    """The same."""
    device_goes(6, "neighbour")


def device_goes_tunnelled():
    """IPv6 in IPv6."""
    device_goes(6, "tunnel")


def two_directors():
    """Two that think it is the other's packet do not send it to and fro."""
    cluster = Directed(4)
    one, other = cluster.directors
    for machine, owner in ((one, 5), (other, 4)):
        cluster.set([machine], **{**cluster.given, "role": "director", "epoch": 2,
                                  "table": table(owner)})
    # They know each other.
    introduce(one, other, 4)
    introduce(other, one, 4)
    cluster.told(one.mac())
    client = cluster.client_socket(UDP)
    client.send(b"x")

    def total(name):
        return sum(cluster.counters(machine)[name] for machine in (one, other))

    wait_until(lambda: total("dropped-spent"), "the end of it")
    equal((1, 1, 1), tuple(total(name) for name in ("forwarded", "second-chance",
                                                    "dropped-spent")), "hops")


if __name__ == "__main__":
    sys.exit(run_tests("cluster_directed", [
        directed_ipv4, directed_ipv6, tunnelled_ipv4, tunnelled_ipv6, tunnelled_crosswise,
        tunnelled_crosswise_back, other_slots_neighbour, other_slots_tunnelled, path_mtu_ipv4,
        path_mtu_ipv6, ipsec_ipv4, ipsec_ipv6, device_goes_ipv4,
        device_goes_ipv6, device_goes_tunnelled, standby, astray_ipv4, astray_ipv6,
        two_directors,
    ]))
