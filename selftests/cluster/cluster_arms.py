#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets of cluster IPs that come by another device than the cluster IP's, and directors that nodes are
reached from by another device than clients."""

import socket
import subprocess
import sys

from clusters import (LENGTH, PORT, UDP, VRF, Cluster, Directed, config, exchange,
                      outlives, ready, takes_connections)
from documented import found
from machines import FAMILIES, LENGTHS, Machine, ip_commands, lay_cable, nft, snmp
from service_group import PATIENCE, Skip, equal, expect, run_tests, wait_until


def machine_index(machine, name):
    """Index of a device of a machine."""
    with machine:
        return socket.if_nametoindex(name)


def cross(machine, other, cluster, how=""):
    """Connects two machines by devices that are called cross; by that the other one sends to the
    cluster IP."""
    net = {4: "10.10.0.", 6: "fd10::"}[cluster.version]
    own = LENGTHS[cluster.version]
    lay_cable(machine, other, by="cross", addresses=(f"{net}1/{own}", f"{net}2/{own}"),
              more=[f"route add {cluster.address}/{LENGTH[cluster.version]} via {net}1 {how}"])


def crossed(version, way="neighbour"):
    """A cluster whose client has another way to the director, by devices that are called cross; by
    that it sends to the cluster IP, from the address that it has on the segment."""
    cluster = Directed(version, way)
    director, client = cluster.directors[0], cluster.client
    cross(director, client, cluster, f"dev cross src {client.address(version)}")
    for machine in (director, client):
        machine.set("ipv4/conf/cross/rp_filter", 0)
        machine.set("ipv4/conf/all/rp_filter", 0)
    return cluster


def other_device(version, way):
    """Clients that reach the director by another device of its are served as well."""
    cluster = crossed(version, way)
    director = cluster.directors[0]
    before = cluster.counters(director)["forwarded"]
    takes_connections(cluster, 6)
    expect(cluster.counters(director)["forwarded"] > before, "forwarded")
    services = cluster.listeners(UDP)
    sock = cluster.client_socket(UDP)
    sock.send(b"x" * 4000)
    equal([cluster.owner(sock, UDP).number], [one.number for one in ready(services)], "who got it")


def two_arms(version):
    """A director that clients reach by one device, and nodes by another one."""
    cluster = crossed(version)
    director = cluster.directors[0]
    arm = machine_index(director, "cross")

    def direct(**how):
        cluster.given.update(how)
        cluster.set(role="directed", **cluster.given)
        director.ynl.do("cluster-set", config(version, arm, director.number, role="director",
                                              **cluster.given))

    cluster.set([cluster.directors[1]], role="directed", **cluster.given)
    direct()
    outlives(cluster, direct)
    services = cluster.listeners(UDP)
    for length in 10, 4000:
        sock = cluster.client_socket(UDP)
        sock.send(b"x" * length)
        owner = cluster.owner(sock, UDP, owners=(2, 3, 1))
        equal([owner.number], [one.number for one in ready(services)], "who got it")
        equal(length, len(services[owner].recv(5000)), "what came")
    # A route with a router leads to no neighbour: then it is the segment of the clients.
    with director:
        ip_commands(*(f"route add {machine.address(version)}/{LENGTH[version]} via "
                      f"{cluster.directors[1].address(version)}" for machine in cluster.nodes))
    before = cluster.counters(director)["forwarded"]

    def is_asked_for():
        cluster.client_socket(UDP).send(b"x")
        return told_by_ip(director, f"neigh show dev cross {cluster.nodes[0].address(version)}")

    wait_until(is_asked_for, "a neighbour on the segment of clients")
    expect(cluster.counters(director)["forwarded"] > before, "forwarded")


def told_by_ip(machine, words):
    """What ip says."""
    with machine:
        return subprocess.run(["ip", *words.split()], check=True, text=True,
                              capture_output=True).stdout


def two_arms_ipv4():
    """With ARP."""
    two_arms(4)


def two_arms_ipv6():
    """With neighbour discovery."""
    two_arms(6)


def beside_a_node(version):
    """A client at another device than the cluster IP's, as what runs on the node is, is served
    by that node, whose ever the packet would be."""
    cluster = Cluster(version)
    cluster.set()
    machine = cluster.nodes[0]
    inner = Machine(100)
    cross(machine, inner, cluster)
    listeners = cluster.listeners()
    cluster.client = inner
    for _ in range(6):
        client = cluster.client_socket()
        equal([machine.number], [one.number for one in ready(listeners)], "who took it")
        server, _ = listeners[machine].accept()
        server.settimeout(PATIENCE)
        exchange(client, server)
    equal([0, 0, 0], [cluster.counters(one)["owned"] for one in cluster.nodes], "owned")


def beside_a_node_ipv4():
    """IPv4."""
    beside_a_node(4)


def beside_a_node_ipv6():
    """IPv6."""
    beside_a_node(6)


def other_device_ipv4():
    """To MAC addresses."""
    other_device(4, "neighbour")


def other_device_ipv6():
    """The same."""
    other_device(6, "neighbour")


def other_device_tunnelled():
    """IPv4 in IPv4."""
    other_device(4, "tunnel")


def other_vrf(version):
    """What comes by a device of another VRF is not the cluster IP's, but that VRF's."""
    cluster = crossed(version)
    director = cluster.directors[0]
    if version == 6:
        director.set("ipv6/conf/cross/keep_addr_on_down", 1)
    with director:
        ip_commands(f"link add {VRF} type vrf table 10", f"link set {VRF} up",
                    f"link set cross master {VRF}")
        tenant = socket.socket(FAMILIES[version], UDP)
    tenant.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, VRF.encode())
    tenant.bind(("", PORT))
    tenant.settimeout(PATIENCE)
    for length in (10, 4000):
        cluster.client_socket(UDP).send(b"x" * length)
        equal(length, len(tenant.recv(5000)), "what the VRF got")
    equal(0, cluster.counters(director)["forwarded"], "forwarded")


def other_vrf_ipv4():
    """IPv4."""
    other_vrf(4)


def other_vrf_ipv6():
    """IPv6."""
    other_vrf(6)


def other_device_strict():
    """A client that sends by another device in the name of an address elsewhere is refused, as the kernel
    would do it."""
    cluster = crossed(4)
    director = cluster.directors[0]
    director.set("ipv4/conf/cross/rp_filter", 1)
    # It validates who asks as well.
    cluster.client.set("ipv4/conf/cross/arp_announce", 2)
    for count in 1, 2:
        cluster.client_socket(UDP).send(b"x")
        wait_until(lambda count=count: snmp(director, "TcpExtIPReversePathFilter") == count, "refused sources")
    equal(0, cluster.counters(director)["forwarded"], "forwarded")


def other_device_documented():
    """The same with IPv6, by the rule that the documentation has for it."""
    cluster = crossed(6)
    director, client = cluster.directors[0], cluster.client

    def forwarded(expected):
        """Sends a packet whose source is elsewhere, and one behind it whose source is not: so many are
        given."""
        before = cluster.counters(director)["forwarded"]
        for source in (client.address(6), "fd10::2"):
            with client, socket.socket(FAMILIES[6], UDP) as sock:
                sock.bind((source, 0))
                sock.sendto(b"x", (cluster.address, PORT))
        wait_until(lambda: cluster.counters(director)["forwarded"] >= before + expected, "packets")
        introduce_by_cross(cluster)
        equal(expected, cluster.counters(director)["forwarded"] - before, "what is given")

    forwarded(2)
    rule = found(r"`(fib saddr \. iif oif missing drop)`")
    nft(director, f"table inet f {{ chain c {{ type filter hook prerouting priority raw; {rule}; }}; }}",
        needed=False)
    with director:
        told = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True)
    if "fib saddr" not in told.stdout:
        raise Skip("this kernel's nft looks up no routes")
    forwarded(1)


def introduce_by_cross(cluster):
    """What was sent before by the client's other way has come."""
    with cluster.directors[0], socket.socket(FAMILIES[6], UDP) as service:
        service.bind(("fd10::1", PORT + 1))
        service.settimeout(PATIENCE)
        with cluster.client, socket.socket(FAMILIES[6], UDP) as sock:
            sock.sendto(b"x", ("fd10::1", PORT + 1))
        service.recv(10)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_arms", [
        other_device_ipv4, other_device_ipv6, other_device_tunnelled, other_device_strict,
        other_device_documented,
        other_vrf_ipv4, other_vrf_ipv6, two_arms_ipv4, two_arms_ipv6, beside_a_node_ipv4,
        beside_a_node_ipv6,
    ]))
