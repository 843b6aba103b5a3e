#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Cluster IPs whose packets a director gives to their owners."""

import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
from clusters import (PORT, TCP, UDP, Directed, accepted, exchange, name_of, ready,  # noqa: E402
                      table, takes_connections)
from machines import bound, ip_commands  # noqa: E402
from service_group import PATIENCE, equal, expect, run_tests, wait_until  # noqa: E402


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


def two_directors():
    """Two that think it is the other's packet do not send it to and fro."""
    cluster = Directed(4)
    one, other = cluster.directors
    for machine, owner in ((one, 5), (other, 4)):
        cluster.set([machine], **{**cluster.given, "role": "director", "epoch": 2,
                                  "table": table(owner)})
    # They know each other.
    for machine, peer in ((one, other), (other, one)):
        service = bound(peer, UDP, peer.address(4), PORT)
        with machine:
            sock = socket.socket(socket.AF_INET, UDP)
        sock.sendto(b"x", service.getsockname())
        service.settimeout(PATIENCE)
        service.recv(10)
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
        tunnelled_crosswise_back, standby, two_directors,
    ]))
