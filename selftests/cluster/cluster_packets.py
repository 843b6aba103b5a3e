#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Thousands of packets that make no sense, for cluster IPs which serve as ever afterwards.

They are random, and the same each time; SG_SEED makes others, SG_PACKETS says how many there are in
each test. What the kernel has to say of them is a matter of its log.
"""

import ipaddress
import os
import random
import socket
import sys

from clusters import (MAC, PORT, TCP, UDP, Cluster, Directed, accepted, exchange,
                      ready, takes_connections)
from machines import ETH_P_ARP, has_arp_hooks, ip_commands, pin
from rubbish import (GRE, SOURCE_MAC, TUNNELS, TYPES, UDP as UDP_HEADER, Rubbish, arp,
                     flawed, flawed_arp, flawed_solicitations, no_second_chances, plain,
                     second_chance, solicitation)
from service_group import Skip, equal, expect, run_tests, seed, wait_until

SEED = seed()
IS_SLOW = os.path.exists("/sys/kernel/debug/kmemleak")
PACKETS = int(os.environ.get("SG_PACKETS") or (400 if IS_SLOW else 1000))
NETWORKS = {4: "10.9.0.0/24", 6: "fd09::/64"}
# Of whom the packets seem to come from.
NOBODY = bytes.fromhex("020000000099")
# So many frames have room where all wait (net.core.netdev_max_backlog), with the fragments of one
# packet more, once for each port of the segment, and what they cause.
BURST = 16
# A packet that is decided about counts for one of these; what is passed on counts for none.
FATES = ("owned", "known", "ignored", "forwarded", "second-chance", "silent", "dropped-no-owner",
         "dropped-spent", "dropped-malformed", "dropped-unreachable", "dropped-hop-limit",
         "dropped-tunnel")


class Sender:
    """Sends frames from the client's device; whom they seem to come from answers nothing."""

    def __init__(self, cluster, name):
        pin()
        self.rng = random.Random(f"{SEED} {name}")
        self.version = cluster.version
        self.services = cluster.listeners(UDP)
        # Of each node: a client whose datagrams are that node's.
        self.clients = {}
        while len(self.clients) < len(self.services):
            client = cluster.client_socket(UDP)
            self.clients[cluster.owner(client, UDP)] = client
        # Frames, and datagrams of the clients.
        self.sent = self.sound = 0
        with cluster.client:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.bind(("eth0", 0))
        self.rubbish = Rubbish(self.rng, self.version, NETWORKS[self.version], cluster.address)

    def send(self, packet, mac, kind=None):
        """Sends a packet in a frame."""
        kind = (kind or TYPES[self.version]).to_bytes(2, "big")
        self.sock.send(mac + NOBODY + kind + packet[:1500])
        self.sent += 1

    def arrive(self):
        """Waits until each node has got a datagram, and all that was sent before it."""
        for machine, client in self.clients.items():
            self.sound += 1
            data = f"datagram {self.sound}".encode()
            client.send(data)
            # Some of the rubbish may be for the service.
            while self.services[machine].recv(4000) != data:
                pass

    def send_each(self, packets, mac, kind=None):
        """Sends packets, a few at a time."""
        for number, packet in enumerate(packets, 1):
            self.send(packet, mac, kind)
            if number % BURST == 0:
                self.arrive()
        self.arrive()

    def send_all(self, packets, count, mac, kind=None):
        """Sends what `packets` makes until there were so many, a few at a time."""
        end, burst = self.sent + count, 0
        while self.sent < end:
            if self.sent >= burst:
                self.arrive()
                burst = self.sent + BURST
            for packet in packets():
                self.send(packet, mac, kind)
        self.arrive()

    def close(self):
        """Ends the services."""
        for sock in [*self.services.values(), *self.clients.values()]:
            sock.close()


def counted(cluster, machine, since=None):
    """What a machine has counted."""
    now = cluster.counters(machine)
    return {name: count - (since or {}).get(name, 0) for name, count in now.items()}


def still_serves(cluster):
    """Connections and datagrams get to their owners."""
    takes_connections(cluster, 3)
    services = cluster.listeners(UDP)
    client = cluster.client_socket(UDP)
    client.send(b"x" * 3000)
    equal([cluster.owner(client, UDP)], ready(services), "who got it")


def drop_all_flawed(cluster, sender, machines, mac):
    """Machines drop each packet that contradicts itself."""
    packets = flawed(cluster.version, sender.rubbish.source(), sender.rubbish.destination)
    before = {machine: counted(cluster, machine) for machine in machines}
    for packet in packets:
        sender.send(packet, mac)
    sender.arrive()
    for machine, since in before.items():
        equal(len(packets), counted(cluster, machine, since)["dropped-malformed"], "flawed ones")


def shared(version):
    """Each node does the same with each packet, but that one of them owns it."""
    cluster = Cluster(version)
    cluster.set()
    sender = Sender(cluster, f"shared {version}")
    sender.send_all(sender.rubbish.packets, PACKETS, MAC)
    seen = []

    def agreed():
        seen[:] = [counted(cluster, machine) for machine in cluster.nodes]
        owned, ignored = (sum(one[name] for one in seen) for name in ("owned", "ignored"))
        totals = {sum(one[name] for name in FATES) for one in seen}
        return len(totals) == 1 and ignored == 2 * owned

    try:
        wait_until(agreed, "the same on all nodes")
    finally:
        print("# " + "\n# ".join(str({name: count for name, count in one.items() if count})
                                 for one in seen))
    for name in ("dropped-malformed", "reassembled"):
        equal(1, len({one[name] for one in seen}), f"counts of {name}")
    total = sum(seen[0][name] for name in FATES) - sender.sound
    expect(sender.sent // 4 < total <= sender.sent, f"{total} of {sender.sent} packets counted")
    for name in set(FATES) - {"owned", "ignored", "dropped-malformed"}:
        equal(0, seen[0][name], name)
    expect(seen[0]["dropped-malformed"] > 10 and seen[0]["reassembled"] > 0, "all kinds")
    drop_all_flawed(cluster, sender, cluster.nodes, MAC)
    sender.close()
    still_serves(cluster)


def shared_ipv4():
    """IPv4."""
    shared(4)


def shared_ipv6():
    """IPv6."""
    shared(6)


def directed(version, way, outer=None):
    """What is forwarded has an owner; then packets in packets, straight to a node."""
    cluster = Directed(version, way, outer)
    listeners = cluster.listeners()
    # Neighbours are known from here on, so that none is lost on the way.
    reached = set()
    while len(reached) < 3:
        pair = accepted(cluster, listeners)
        exchange(*pair)
        reached.add(cluster.owner(pair[0], TCP))
    for listener in listeners.values():
        listener.close()
    director = cluster.directors[0]
    mac = bytes.fromhex(director.mac().replace(":", ""))
    before = {machine: counted(cluster, machine) for machine in [director, *cluster.nodes]}
    sender = Sender(cluster, f"{way} {version}")
    sender.send_all(sender.rubbish.packets, PACKETS, mac)
    seen = {}

    def agreed():
        seen.update({machine.number: counted(cluster, machine, since)
                     for machine, since in before.items()})
        # Out of tunnels nodes take nothing with hop-by-hop options, which they count as malformed,
        # and nothing that a tunnel must not bring, such as another tunnel.
        taken = sum(seen[machine.number][name] for machine in cluster.nodes
                    for name in ("owned", "dropped-malformed", "dropped-tunnel"))
        return seen[director.number]["forwarded"] == taken

    try:
        wait_until(agreed, "as many owned as forwarded")
    finally:
        print("# " + "\n# ".join(str({name: count for name, count in one.items() if count})
                                 for one in seen.values()))
    told = seen[director.number]
    total = sum(told[name] for name in FATES) - sender.sound
    expect(sender.sent // 4 < total <= sender.sent, f"{total} of {sender.sent} packets counted")
    expect(told["dropped-malformed"] > 10 and told["reassembled"] > 0, "all kinds")
    equal(0, told["second-chance"] + told["dropped-no-owner"], "others")
    refused = sum(seen[machine.number]["dropped-tunnel"] for machine in cluster.nodes)
    equal(way == "tunnel", refused > 0, "refused out of tunnels")
    drop_all_flawed(cluster, sender, [director], mac)
    if way == "tunnel":
        tunnelled(cluster, sender, outer or version)
    sender.close()
    still_serves(cluster)


class Tunnel:
    """What seems to come from the director to a node, which would open it."""

    def __init__(self, cluster, sender, outer):
        self.cluster, self.sender, self.outer = cluster, sender, outer
        self.node = cluster.nodes[0]
        self.mac = bytes.fromhex(self.node.mac().replace(":", ""))
        self.source = ipaddress.ip_address(cluster.directors[0].address(outer)).packed
        self.wrapper = Rubbish(sender.rng, outer, NETWORKS[outer], self.node.address(outer))

    def rubbish(self):
        """A tunnel as random as what is in it, and at times in fragments."""
        packets = self.sender.rubbish.packets()
        for packet in packets:
            version = self.sender.version
            kind = self.wrapper.rng.choice(((TUNNELS[version], packet),
                                            (GRE, self.wrapper.gre(version, packet))))
            if len(packets) == 1 and self.wrapper.chance(0.2):
                yield from self.wrapper.fragments(self.source, *kind)
            else:
                yield self.wrapper.whole(self.source, self.wrapper.destination, *kind)

    def counts(self, protocol, contents):
        """What the node counts for these in tunnels without a flaw."""
        before, sound = counted(self.cluster, self.node), self.sender.sound
        packets = [plain(self.outer, self.source, self.wrapper.destination, protocol, content)
                   for content in contents]
        self.sender.send_each(packets, self.mac, TYPES[self.outer])
        seen = counted(self.cluster, self.node, before)
        seen["owned"] -= (self.sender.sound - sound) // len(self.cluster.nodes)
        return {name: seen[name] for name in (*FATES, "second-chance-in") if seen[name]}


def tunnelled(cluster, sender, outer):
    """Rubbish in a packet from the director, which a node would open."""
    tunnel = Tunnel(cluster, sender, outer)
    before, sent, sound = counted(cluster, tunnel.node), sender.sent, sender.sound
    sender.send_all(tunnel.rubbish, PACKETS // 2, tunnel.mac, TYPES[outer])
    seen = counted(cluster, tunnel.node, before)
    sent, sound = sender.sent - sent, (sender.sound - sound) // len(cluster.nodes)
    expect(sum(seen[name] for name in FATES) - sound <= sent, f"counted of {sent}: {seen}")
    expect(seen["owned"] > sound, f"some were opened: {seen}")
    expect(seen["second-chance-in"], f"some had a second chance: {seen}")
    flawed_tunnels(tunnel, sender.version, sender.rubbish.source(), sender.rubbish.destination)


def flawed_tunnels(tunnel, version, *ends):
    """What contradicts itself in a tunnel is malformed; nobody looks into what is no tunnel."""
    packets = flawed(version, *ends)
    expected = {"dropped-malformed": len(packets)}
    equal(expected, tunnel.counts(TUNNELS[version], packets), "flawed ones")
    equal(expected, tunnel.counts(GRE, [second_chance(version, one) for one in packets]),
          "flawed ones with a second chance")
    sound = plain(version, *ends, UDP_HEADER, bytes(2) + PORT.to_bytes(2, "big") + b"\0\x08\0\0")
    equal(1, tunnel.counts(GRE, [second_chance(version, sound)])["second-chance-in"], "a sound one")
    equal({}, tunnel.counts(GRE, no_second_chances(version, sound)), "what is no second chance")
    equal({}, tunnel.counts(TUNNELS[10 - version], [sound]), "a packet of the other family")


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
    """IPv6 in IPv6."""
    directed(6, "tunnel")


def tunnelled_in_ipv4():
    """IPv4 in IPv4."""
    directed(4, "tunnel")


def tunnelled_back():
    """IPv6 in IPv4."""
    directed(6, "tunnel", 4)


def answered(cluster):
    """How many questions each node has answered."""
    return [cluster.counters(machine)["answered"] for machine in cluster.nodes]


def questions(version, mac, kind, flawed_ones, sound):
    """A question for the address is answered if it makes sense, whatever machine it seems to come from."""
    cluster = Cluster(version)
    cluster.set()
    # So that the client does not ask itself.
    with cluster.client:
        ip_commands(f"neigh replace {cluster.address} lladdr {MAC.hex(':')} dev eth0")
    sender = Sender(cluster, f"questions {version}")
    sender.arrive()
    before = answered(cluster)
    ends = sender.rubbish.source(), sender.rubbish.destination
    for packet in flawed_ones(NOBODY, *ends):
        sender.send_each([packet], mac, kind)
        equal(before, answered(cluster), f"answers to {packet.hex()}")
    sender.send_each(sound(*ends), mac, kind)
    equal([count + len(sound(*ends)) for count in before], answered(cluster), "sound ones")
    before = answered(cluster)
    sender.send_all(lambda: [sender.rubbish.question(NOBODY)], PACKETS // 2, mac, kind)
    since = {now - then for then, now in zip(before, answered(cluster))}
    expect(len(since) == 1 and 0 < min(since) < PACKETS // 2, f"answers of nodes: {since}")
    sender.close()
    still_serves(cluster)


def questions_ipv4():
    """ARP requests, to all."""
    if not has_arp_hooks():
        raise Skip("the kernel shows no ARP")
    questions(4, bytes([255] * 6), ETH_P_ARP, flawed_arp,
              lambda *ends: [arp(NOBODY, *ends), arp(NOBODY, *ends, hardware=6)])


def questions_ipv6():
    """Neighbour solicitations, to those who may have the address."""
    own = bytes([SOURCE_MAC, 1]) + NOBODY
    questions(6, bytes.fromhex("3333ff000100"), TYPES[6], flawed_solicitations,
              lambda *ends: [solicitation(*ends, own), solicitation(*ends),
                             solicitation(*ends, bytes([14, 1]) + bytes(6) + own),
                             solicitation(*ends, own, destination=ends[1]),
                             solicitation(bytes(16), ends[1])])


if __name__ == "__main__":
    sys.exit(run_tests("cluster_packets", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6, tunnelled_ipv4, tunnelled_ipv6,
        tunnelled_in_ipv4, tunnelled_back, questions_ipv4, questions_ipv6,
    ]))
