#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets for cluster IPs, and the tunnels that they come in, meet the firewall and the validation of
sources."""

import socket
import subprocess
import sys

from clusters import PORT, UDP, Cluster, Directed, accepted, exchange, introduce, ready
from documented import replaced, rules
from forged import CLIENT, NOBODY, Forger, datagram, packed
from machines import FAMILIES, ip_commands, nft, snmp
from rubbish import GRE, TYPES, UDP as UDP_HEADER, plain
from service_group import equal, expect, run_tests, wait_until

WAN = "02:00:00:00:00:77"
# A client that is behind the default route.
FAR = {4: "192.0.2.55", 6: "2001:db8::55"}


def dropped_by(machine):
    """How many packets the rule has dropped."""
    with machine:
        told = subprocess.run(["nft", "list", "counter", "inet", "f", "seen"], check=True,
                              capture_output=True, text=True).stdout.split()
    return int(told[told.index("packets") + 1])


def rule(hook, priority, condition):
    """A table with a rule that drops."""
    return (f"table inet f {{ counter seen {{ }}; chain c {{ type filter hook {hook} "
            f"priority {priority}; {condition} counter name seen drop; }}; }}")


TUNNELLED = "meta l4proto { 4, 41, 47 }"


def firewall(version, outer=None):
    """Rules see a tunnel as they see one of the kernel's; and what was in it as well."""
    cluster = Directed(version, "tunnel", outer)
    director, node = cluster.directors[0], cluster.nodes[0]
    forger = Forger(cluster, node, director, outer)
    packet = plain(version, packed(CLIENT[version]), packed(cluster.address), UDP_HEADER,
                   datagram())
    outers = [("prerouting", "raw"), ("prerouting", "mangle"), ("input", "filter"),
              ("input", "security")]
    for hook, priority in outers:
        nft(node, rule(hook, priority, TUNNELLED))
        for gre in (False, True):
            equal({}, forger.counts(gre, [packet]), f"counts with a rule in {hook} {priority}")
        equal(2, dropped_by(node), f"dropped in {hook} {priority}")
        nft(node, "delete table inet f")
    for hook, priority in (("prerouting", "raw"), ("prerouting", "mangle"), ("input", "filter")):
        nft(node, rule(hook, priority, f"udp dport {PORT}"))
        for gre in (False, True):
            expect(forger.counts(gre, [packet]), "it is counted where the tunnel ends")
        # Of two only one may be the node's, but that one is seen.
        expect(dropped_by(node) in (1, 2), f"dropped in {hook} {priority}")
        nft(node, "delete table inet f")


def firewall_ipv4():
    """IPv4 in IPv4."""
    firewall(4)


def firewall_ipv6():
    """IPv6 in IPv6."""
    firewall(6)


def documented_at_a_director(version):
    """The rule of the documentation: a director gives nothing from one client to its nodes."""
    cluster = Directed(version)
    director, node = cluster.directors[0], cluster.nodes[0]
    forger = Forger(cluster, director, node)
    outside = cluster.client.address(version)

    def counted():
        """For a packet of either client."""
        before = cluster.counters(director)["forwarded"]
        for client in (CLIENT[version], outside):
            packet = plain(version, packed(client), packed(cluster.address), UDP_HEADER, datagram())
            forger.sock.send(forger.mac + NOBODY + TYPES[version].to_bytes(2, "big") + packet)
            introduce(cluster.client, director, version)
        return cluster.counters(director)["forwarded"] - before

    equal(2, counted(), "what is given without a rule")
    family = {4: "ip", 6: "ip6"}[version]
    nft(director, replaced(rules("chain early"), ("ip saddr 192.0.2.66", f"{family} saddr {outside}"),
                           ("ip daddr 198.51.100.7", f"{family} daddr {cluster.address}")))
    equal(1, counted(), "what is given")


def documented_at_a_director_ipv4():
    """IPv4."""
    documented_at_a_director(4)


def documented_at_a_director_ipv6():
    """IPv6."""
    documented_at_a_director(6)


def documented_at_a_node(version, outer):
    """The rules of the documentation: a node lets in tunnels of those that they name, and no others."""
    cluster = Directed(version, "tunnel", outer)
    director, node, other = cluster.directors[0], cluster.nodes[0], cluster.nodes[1]
    packet = plain(version, packed(CLIENT[version]), packed(cluster.address), UDP_HEADER,
                   datagram())
    named = (director, node, other)
    with node:
        seen = socket.socket(FAMILIES[outer], socket.SOCK_RAW, GRE)
    seen.setblocking(False)

    def sees_strangers():
        """Whether a tunnel of a machine that is none of the cluster's gets to the node's programs."""
        Forger(cluster, node, cluster.client, outer).send(True, packet)
        introduce(cluster.client, node, version)
        return has_come(seen)

    expect(sees_strangers(), "without a rule nothing is seen")
    nft(node, replaced(rules("meta l4proto"), *(
        pair for number, machine in enumerate(named, 10)
        for pair in ((f"192.0.2.{number}", machine.address(4)),
                     (f"2001:db8::{number}", machine.address(6))))))
    for origin, is_let_in in ((director, True), (other, True), (cluster.nodes[2], False)):
        forger = Forger(cluster, node, origin, outer)
        for gre in (False, True):
            equal(is_let_in, bool(forger.counts(gre, [packet])),
                  f"whether what comes from {origin.number} is let in, GRE: {gre}")
    expect(not sees_strangers(), "a stranger's tunnel is let in")


def has_come(sock):
    """Whether there is anything to receive."""
    try:
        return bool(sock.recv(4000))
    except BlockingIOError:
        return False


def documented_at_a_node_ipv4():
    """IPv4 in IPv4."""
    documented_at_a_node(4, 4)


def documented_at_a_node_ipv6():
    """IPv6 in IPv6."""
    documented_at_a_node(6, 6)


def documented_at_a_node_crosswise():
    """IPv4 in IPv6."""
    documented_at_a_node(4, 6)


def stateful():
    """A tunnel that the firewall lets in is a flow that conntrack knows afterwards."""
    cluster = Directed(4, "tunnel")
    director, node = cluster.directors[0], cluster.nodes[0]
    forger = Forger(cluster, node, director)
    packet = plain(4, packed(CLIENT[4]), packed(cluster.address), UDP_HEADER, datagram())
    nft(node, f"table inet f {{ counter seen {{ }}; chain c {{ type filter hook input priority 0; "
              f"{TUNNELLED} ct status confirmed counter name seen; }}; }}")
    for _ in range(3):
        expect(forger.counts(False, [packet]), "let in")
    equal(2, dropped_by(node), "packets of a known flow")


def of_all_machines(cluster, machine, name):
    """Drops in the raw table are for any machine: those that direct or share included."""
    client = cluster.client_socket(UDP)
    family = "ip6" if cluster.version == 6 else "ip"
    services = cluster.listeners(UDP)
    client.send(b"before")
    owner = ready(services)[0]
    equal(b"before", services[owner].recv(100), "what came")
    nft(machine, rule("prerouting", "raw", f"{family} daddr {cluster.address} udp dport {PORT}"))
    before = cluster.counters(machine)
    client.send(b"within")
    wait_until(lambda: dropped_by(machine) == 1, "a drop")
    equal(before, cluster.counters(machine), f"counts {name}")
    nft(machine, "delete table inet f")
    client.send(b"after")
    wait_until(lambda: cluster.counters(machine) != before, f"a packet {name}")


def raw_at_a_director():
    """What it would give to a node."""
    cluster = Directed(4)
    of_all_machines(cluster, cluster.directors[0], "forwarded")


def raw_at_a_director_ipv6():
    """The same."""
    cluster = Directed(6, "tunnel")
    of_all_machines(cluster, cluster.directors[0], "forwarded")


def raw_at_a_node():
    """What all nodes have received."""
    cluster = Cluster(4)
    cluster.set()
    of_all_machines(cluster, cluster.nodes[0], "received")


def other_device(version):
    """A tunnel from a node's address, by a device that does not lead there: dropped by the kernel
    if it validates sources, else here."""
    cluster = Directed(version, "tunnel")
    director, node = cluster.directors[0], cluster.nodes[0]
    forger = Forger(cluster, node, director)
    net = {4: "203.0.113", 6: "2001:db8:5:"}[version]
    dot = "." if version == 4 else ":"
    with node:
        ip_commands(f"link add wan address {WAN} type veth peer name wanpeer", "link set wan up",
                    "link set wanpeer up",
                    f"addr add {net}{dot}1/{24 if version == 4 else 64} dev wan"
                    f"{'' if version == 4 else ' nodad'}",
                    f"route add default via {net}{dot}254 dev wan")
    node.set("ipv4/conf/all/rp_filter", 0)
    node.set("ipv4/conf/wan/rp_filter", 0)
    node.set("ipv4/conf/eth0/rp_filter", 0)
    packets = [plain(version, packed(client), packed(cluster.address), UDP_HEADER,
                     datagram(port=port))
               for client in (CLIENT[version], FAR[version]) for port in (40000, 40001, 40002)]
    for gre in (False, True):
        expect("dropped-tunnel" not in forger.counts(gre, packets), "by the node's device")
    forger.sock, forger.mac = forger.open(node, "wanpeer"), bytes.fromhex(WAN.replace(":", ""))
    for gre in (False, True):
        equal({"dropped-tunnel": len(packets)}, forger.counts(gre, packets), "by another device")
    if version == 4:
        node.set("ipv4/conf/wan/rp_filter", 1)
        before = snmp(node, "TcpExtIPReversePathFilter")
        equal({}, forger.counts(False, packets), "with rp_filter")
        equal(before + len(packets), snmp(node, "TcpExtIPReversePathFilter"), "reverse path")


def other_device_ipv4():
    """IPv4 in IPv4."""
    other_device(4)


def other_device_ipv6():
    """IPv6 in IPv6."""
    other_device(6)


def reverse_path_within():
    """What was in a tunnel and does not pass the validation of its own source is counted where the
    kernel counts it."""
    cluster = Directed(4, "tunnel")
    director, node = cluster.directors[0], cluster.nodes[0]
    forger = Forger(cluster, node, director)
    node.set("ipv4/conf/eth0/rp_filter", 1)
    packets = [plain(4, packed(FAR[4]), packed(cluster.address), UDP_HEADER, datagram(port=port))
               for port in (40000, 40001, 40002)]
    with node:
        ip_commands("link add wan type dummy", "link set wan up", "route add 192.0.2.0/24 dev wan")
    before = snmp(node, "TcpExtIPReversePathFilter")
    seen = forger.counts(False, packets)
    equal(seen["owned"], snmp(node, "TcpExtIPReversePathFilter") - before, "reverse path")
    expect(seen["owned"], "some were owned")


def still_serves(version):
    """Connections in tunnels, with a firewall that has nothing against them and strict sources."""
    cluster = Directed(version, "tunnel")
    for machine in cluster.nodes:
        machine.set("ipv4/conf/eth0/rp_filter", 1)
        nft(machine, "table inet g { chain p { type filter hook prerouting priority raw; "
                     "fib saddr . iif oif missing drop; }; }", needed=False)
        nft(machine, "table inet f { chain i { type filter hook input priority 0; policy drop; "
                     "ct state established accept; meta l4proto "
                     f"{{ 4, 41, 47, 58 }} accept; tcp dport {PORT} accept; }}; }}")
    listeners = cluster.listeners()
    for _ in range(6):
        exchange(*accepted(cluster, listeners))


def still_serves_ipv4():
    """IPv4 in IPv4."""
    still_serves(4)


def still_serves_ipv6():
    """IPv6 in IPv6."""
    still_serves(6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_firewall", [
        firewall_ipv4, firewall_ipv6, documented_at_a_director_ipv4, documented_at_a_director_ipv6,
        documented_at_a_node_ipv4, documented_at_a_node_ipv6, documented_at_a_node_crosswise, stateful, raw_at_a_director, raw_at_a_director_ipv6,
        raw_at_a_node, other_device_ipv4, other_device_ipv6, reverse_path_within,
        still_serves_ipv4, still_serves_ipv6,
    ]))
