#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Machines whose device is a bridge that other machines are behind, as hosts of virtual machines
and of containers have it; netfilter is shown what the bridge passes on (br_netfilter)."""

import subprocess
import sys

from clusters import (UDP, Cluster, Directed, accepted, exchange, ready, table,
                      takes_connections)
from machines import has_arp_hooks, ip_commands
from service_group import Skip, equal, run_tests, wait_until

CALLS = "iptables", "ip6tables", "arptables"
# More than one fragment.
LONG = 4000


def shows_frames(machine):
    """Has netfilter be shown the frames that the machine's bridge passes on."""
    subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    for call in CALLS:
        try:
            machine.set(f"bridge/bridge-nf-call-{call}", 1)
        except FileNotFoundError as error:
            raise Skip("the kernel has no br_netfilter") from error


def takes_datagrams(cluster, sizes=(10, LONG)):
    """Each is its owner's, fragments included."""
    services = cluster.listeners(UDP)
    for size in sizes:
        for _ in cluster.nodes:
            client = cluster.client_socket(UDP)
            client.send(b"d" * size)
            owner = cluster.owner(client, UDP)
            equal([owner.number], [machine.number for machine in ready(services)], "who got it")
            equal(size, len(services[owner].recv(2 * LONG)), "length")
    for service in services.values():
        service.close()


def all_answer(cluster):
    """When a client asks who has the address, each node hears of it."""
    if not has_arp_hooks():
        return
    before = {machine: cluster.counters(machine)["answered"] for machine in cluster.nodes}
    with cluster.client:
        ip_commands("neigh flush dev eth0")
    takes_connections(cluster, 1)
    for machine, count in before.items():
        wait_until(lambda node=machine, old=count: cluster.counters(node)["answered"] > old,
                   f"an answer of node {machine.number}")


def shared(version, host):
    """Each node gets every packet, those that are behind the bridge of another one as well."""
    cluster = Cluster(version, host=host)
    shows_frames([*cluster.nodes, cluster.client][host - 1])
    cluster.set()
    taken = takes_connections(cluster, 6)
    equal([2, 2, 2], list(taken.values()), "connections of nodes")
    takes_datagrams(cluster)
    all_answer(cluster)
    # Each packet counts once at each node: two ignore what the third one takes.
    counters = [cluster.counters(machine) for machine in cluster.nodes]
    owned, ignored = (sum(one[name] for one in counters) for name in ("owned", "ignored"))
    equal(2 * owned, ignored, "ignored by nodes")


def shared_ipv4():
    """IPv4."""
    shared(4, 1)


def shared_ipv6():
    """IPv6."""
    shared(6, 1)


def directed(version, host, way="neighbour", outer=None):
    """What passes a node's or the director's bridge gets to who it was sent to, and there only."""
    cluster = Directed(version, way, outer, host=host)
    shows_frames([*cluster.nodes, *cluster.directors][host - 1])
    takes_connections(cluster, 6)
    takes_datagrams(cluster)
    counters = {machine.number: cluster.counters(machine)
                for machine in [*cluster.nodes, *cluster.directors]}
    forwarded = {number: one["forwarded"] for number, one in counters.items() if one["forwarded"]}
    equal([cluster.directors[0].number], list(forwarded), "who forwarded")
    equal(sum(forwarded.values()), sum(one["owned"] for one in counters.values()), "owned")
    listeners = cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(6)]
    cluster.direct(0, epoch=2, table=table(2, 3, 1))
    for client, server in pairs:
        exchange(client, server)


def at_a_node_ipv4():
    """The bridge is a node's."""
    directed(4, 1)


def at_a_node_ipv6():
    """The same."""
    directed(6, 1)


def at_the_director_ipv4():
    """The bridge is the director's."""
    directed(4, 4)


def at_the_director_ipv6():
    """The same."""
    directed(6, 4)


def tunnelled_ipv4():
    """Tunnels between others pass a node's bridge, and end there."""
    directed(4, 1, "tunnel")


def tunnelled_ipv6():
    """The same, with IPv4 in IPv6."""
    directed(4, 1, "tunnel", 6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_bridge", [
        shared_ipv4, shared_ipv6, at_a_node_ipv4, at_a_node_ipv6, at_the_director_ipv4,
        at_the_director_ipv6, tunnelled_ipv4, tunnelled_ipv6,
    ]))
