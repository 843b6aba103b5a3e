#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Cluster IPs on bridges that snoop, on devices that are bridges, and directed ones on devices that
are made on others."""

import sys

from clusters import MAC, UDP, Cluster, Directed, introduce, outlives, ready
from machines import ip_commands, pin
from service_group import equal, run_tests, wait_until


def snooping(version):
    """A bridge as it is made, that nobody asked to be told who listens."""
    cluster = Cluster(version)
    ip_commands("link set segment type bridge mcast_snooping 1")
    cluster.set()
    outlives(cluster, cluster.set)
    equal(MAC.hex(":"), cluster.client.knows(cluster.address), "MAC address at the client")


def snooping_ipv4():
    """IPv4."""
    snooping(4)


def snooping_ipv6():
    """IPv6, with solicitations to a group that nobody reported."""
    snooping(6)


def reached(cluster, client):
    """The nodes that get what a client sends."""
    def came(machine):
        counters = cluster.counters(machine)
        return counters["owned"] + counters["ignored"]

    before = {machine: came(machine) for machine in cluster.nodes}
    client.send(b"x")
    for machine in cluster.nodes:
        # It was sent later.
        introduce(cluster.client, machine, cluster.version)
    return [machine.number for machine, count in before.items() if came(machine) > count]


def querier(version):
    """A bridge that asks who listens passes shared packets on to multicast routers only, for which
    the nodes have to be taken."""
    pin()
    cluster = Cluster(version)
    cluster.set()
    # Or the client would be refused.
    services = cluster.listeners(UDP)
    client = cluster.client_socket(UDP)
    equal([1, 2, 3], reached(cluster, client), "who gets it at first")
    # It would ask in vain while nobody hears it.
    with cluster.client:
        ip_commands(f"neigh replace {cluster.address} lladdr {MAC.hex(':')} dev eth0 nud permanent")
    # It asks without delay, and with IPv6 again and again until it has an address.
    ip_commands("link set segment type bridge mcast_query_response_interval 1",
                "link set segment type bridge mcast_startup_query_interval 10",
                "link set segment type bridge mcast_query_interval 100",
                "link set segment type bridge mcast_snooping 1 mcast_querier 1")
    wait_until(lambda: not reached(cluster, client), "nobody gets it")
    ports = [f"link set port{machine.number} type bridge_slave mcast_router 2"
             for machine in cluster.nodes]
    ip_commands(*ports)
    equal([1, 2, 3], reached(cluster, client), "who gets it then")
    equal([cluster.owner(client, UDP)], ready(services), "whose it is")
    if cluster.asks:
        with cluster.client:
            ip_commands(f"neigh del {cluster.address} dev eth0")
    outlives(cluster, cluster.set)


def querier_ipv4():
    """IGMP."""
    querier(4)


def querier_ipv6():
    """MLD."""
    querier(6)


def bridge_ipv4():
    """The nodes' devices are bridges."""
    cluster = Cluster(4, kind="bridge")
    cluster.set()
    outlives(cluster, cluster.set)


def bridge_ipv6():
    """The same."""
    cluster = Cluster(6, kind="bridge")
    cluster.set()
    outlives(cluster, cluster.set)


def directed(version, kind):
    """All machines have a device of a kind."""
    cluster = Directed(version, kind=kind)
    director = cluster.directors[0]
    for machine in cluster.nodes:
        # What a macvlan is made on would answer for the node's own address.
        machine.set("ipv4/conf/all/arp_ignore", 1)
    outlives(cluster, lambda **how: cluster.direct(0, **how))
    equal(director.mac(), cluster.client.knows(cluster.address), "MAC address at the client")

    def all_came():
        seen = [cluster.counters(machine) for machine in cluster.nodes]
        came = sum(one["owned"] + one["second-chance"] for one in seen)
        return came and came == cluster.counters(director)["forwarded"]

    wait_until(all_came, "nodes decide about all that is forwarded")


def directed_macvlan():
    """IPv4."""
    directed(4, "macvlan mode bridge")


def directed_vlan():
    """IPv6."""
    directed(6, "vlan id 5")


def directed_bridge():
    """IPv4."""
    directed(4, "bridge")


if __name__ == "__main__":
    sys.exit(run_tests("cluster_links", [
        snooping_ipv4, snooping_ipv6, querier_ipv4, querier_ipv6, bridge_ipv4, bridge_ipv6,
        directed_macvlan, directed_vlan, directed_bridge,
    ]))
