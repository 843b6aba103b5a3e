#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What follows from links for the flows of cluster IPs: a node that is away gets no new flow, keeps the
connections that it has, and gets new ones when it is back; what a deputy began stays with that one.

A node is away that is not heard of, or that says that it cannot serve, as nothing listens there or a
check of its service has failed.
"""

import errno
import itertools
import sys

from clusters import (PORT, PROTOCOL, TCP, UDP, Cluster, Directed, exchange, name_of, node, ready,
                      takes_connections)
from family import refused
from machines import bound, ip_commands
from peers import all_linked, comes_to, is_machine, link
from service_group import equal, expect, run_tests, wait_until

# Milliseconds. A host that halts has no machine miss three of them.
HEARTBEAT = {"heartbeat": 1000}


def believes(machine, name, away):
    """Waits until a machine believes these nodes of a cluster IP to be away."""
    def seen():
        nodes = machine.ynl.do("cluster-get", name)["nodes"]
        return [one["id"] for one in nodes if one["away"]]

    wait_until(lambda: seen() == away, f"{away} away for {machine.number}")
    slots = {one["id"]: (one["slots"], one["deputised"])
             for one in machine.ynl.do("cluster-get", name)["nodes"] if one["id"] <= 3}
    # Each has one slot, and has it still, as it was given.
    equal({number: (1, int(number in away)) for number in (1, 2, 3)}, slots, "slots, and with deputies")


def port_to(cluster, machine):
    """A client's port whose slot a machine has."""
    while True:
        # A datagram socket connects without a packet.
        with cluster.client_socket(UDP) as probe:
            if cluster.owner(probe, TCP) == machine:
                return probe.getsockname()[1]


def to_slot_of(cluster, machine):
    """A client's socket whose slot a machine has."""
    cluster.ports = itertools.chain([port_to(cluster, machine)], cluster.ports)
    return cluster.client_socket()


def taken(client, listeners):
    """The only machine that took a client's connection, and its socket."""
    machines = ready(listeners)
    equal(1, len(machines), f"how many took it: {machines}")
    server, _ = listeners[machines[0]].accept()
    server.settimeout(90)
    return machines[0], server


def to_node(cluster, listeners, machine):
    """A connection to a node by its slot: both ends."""
    client = to_slot_of(cluster, machine)
    taker, server = taken(client, listeners)
    equal(machine.number, taker.number, "who took it")
    return client, server


def goes_and_comes(cluster, machines, name, goes, comes):
    """A node goes away and is back."""
    gone = cluster.nodes[1]
    rest = [machine for machine in machines if machine != gone]
    all_linked(machines, HEARTBEAT, away=0)
    for machine in machines:
        believes(machine, name, [])
    takes_connections(cluster, 6)
    listeners = cluster.listeners()
    old = to_node(cluster, listeners, gone)
    goes(gone)
    for machine in rest:
        believes(machine, name, [2])
    # All name the same deputy.
    begun = []
    for _ in range(3):
        client = to_slot_of(cluster, gone)
        taker, server = taken(client, listeners)
        exchange(client, server)
        begun.append((taker, client, server))
    equal(1, len({taker.number for taker, _, _ in begun}), "deputies")
    expect(begun[0][0] != gone, "its slot has a deputy")
    for machine in cluster.nodes[0], cluster.nodes[2]:
        exchange(*to_node(cluster, listeners, machine))
    comes(gone, old)
    for machine in machines:
        believes(machine, name, [])
    exchange(*old)
    for _, client, server in begun:
        exchange(client, server)
    exchange(*to_node(cluster, listeners, gone))


def shared():
    """All nodes receive all; the cable of one is cut for a while."""
    cluster = Cluster(4)
    cluster.set()

    def plugged(gone, _):
        rest = [machine for machine in cluster.nodes if machine != gone]
        # The links break, and do not go on with what is sent anew.
        for machine in rest:
            comes_to(gone, machine.number, state="unreachable")
            comes_to(machine, gone.number, state="unreachable")
        ip_commands(f"link set port{gone.number} up")
        for machine in rest:
            link(machine, gone)

    goes_and_comes(cluster, cluster.nodes, name_of(4),
                   lambda gone: ip_commands(f"link set port{gone.number} down"), plugged)


def directed(version, way="neighbour"):
    """A director gives flows; a node has no link any more, but serves the connections that it has."""
    cluster = Directed(version, way)
    nodes = [node(number, version, way=way, state="up" if number <= 3 else "draining")
             for number in range(1, 6)]
    cluster.direct(0, nodes=nodes, epoch=2)
    machines = [*cluster.nodes, cluster.directors[0]]
    rest = [machine for machine in machines if machine != cluster.nodes[1]]

    def linked_again(gone, old):
        # It is alive all the time, and has its connection.
        exchange(*old)
        is_machine(gone, [machine.number for machine in rest], **HEARTBEAT)
        for machine in rest:
            link(machine, gone)

    goes_and_comes(cluster, machines, name_of(version), lambda gone: gone.ynl.do("machine-del", {}),
                   linked_again)


def directed_ipv4():
    """To MAC addresses."""
    directed(4)


def directed_ipv6():
    """In tunnels."""
    directed(6, "tunnel")


def who_can_serve():
    """A node on which nothing listens, or whose check has failed, gets no new flows, and does not answer
    them; without links nothing of that is so."""
    cluster = Cluster(4)
    service = {"protocol": PROTOCOL[TCP], "port": PORT}
    name = name_of(4, **service)
    cluster.set(**service)
    one, gone, three = cluster.nodes
    for machine in cluster.nodes:
        told = machine.ynl.do("cluster-get", name)
        equal((1, 0), (told["healthy"], told["ready"]), "healthy, and ready")
        believes(machine, name, [])
    listeners = {machine: bound(machine, TCP, cluster.address, PORT) for machine in (one, three)}
    all_linked(cluster.nodes, HEARTBEAT)
    for machine in cluster.nodes:
        believes(machine, name, [2])
    equal([1, 0, 1], [machine.ynl.do("cluster-get", name)["ready"] for machine in cluster.nodes], "ready")
    for _ in range(3):
        client = to_slot_of(cluster, gone)
        exchange(client, taken(client, listeners)[1])
    listeners[gone] = bound(gone, TCP, cluster.address, PORT)
    for machine in cluster.nodes:
        believes(machine, name, [])
    exchange(*to_node(cluster, listeners, gone))
    gone.ynl.do("health-set", {**name, "healthy": 0})
    told = gone.ynl.do("cluster-get", name)
    equal((0, 0), (told["healthy"], told["ready"]), "healthy, and ready")
    for machine in cluster.nodes:
        believes(machine, name, [2])
    client = to_slot_of(cluster, gone)
    expect(taken(client, listeners)[0] != gone, "its slot has a deputy")
    # It stays so when the cluster IP is set anew.
    cluster.set(epoch=2, **service)
    for machine in cluster.nodes:
        believes(machine, name, [2])
    gone.ynl.do("health-set", {**name, "healthy": 1})
    for machine in cluster.nodes:
        believes(machine, name, [])
    refused(errno.EINVAL, gone.ynl.do, "health-set", name)
    refused(errno.ERANGE, gone.ynl.do, "health-set", {**name, "healthy": 2})
    refused(errno.ENOENT, gone.ynl.do, "health-set", {**name_of(4), "healthy": 0})


def nobody_can_serve():
    """If all are away, or nobody is expected, the table is as it was given."""
    cluster = Cluster(4)
    service = {"protocol": PROTOCOL[TCP], "port": PORT}
    name = name_of(4, **service)
    cluster.set(**service)
    all_linked(cluster.nodes, HEARTBEAT)
    for machine in cluster.nodes:
        def seen():
            nodes = machine.ynl.do("cluster-get", name)["nodes"]
            return [(one["away"], one["deputised"]) for one in nodes]
        wait_until(lambda: seen() == [(1, 0)] * 3, "all away")
        machine.ynl.do("machine-del", {})
        wait_until(lambda: seen() == [(0, 0)] * 3, "nobody away")


if __name__ == "__main__":
    sys.exit(run_tests("links_deputies", [
        shared, directed_ipv4, directed_ipv6, who_can_serve, nobody_can_serve,
    ]))
