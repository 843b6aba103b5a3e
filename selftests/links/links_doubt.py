#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Machines that believe different things of each other, as some of them cannot hear some others, or as one has
forgotten all: each SYN is answered, each connection goes on at the node that has it, and nobody resets it.
"""

import itertools
import select
import selectors
import socket
import sys

from agents import Cuts
from clusters import PORT, Cluster, Directed, exchange, name_of, node
from links_deputies import port_to, taken, to_slot_of
from machines import FAMILIES, nft
from peers import all_linked, is_machine, link, told
from service_group import PATIENCE, equal, expect, run_tests, switch, wait_until
from sniffer import Sniffer

# Milliseconds. Who comes and goes is held back for a multiple of it.
HEARTBEAT = {"heartbeat": 400}
# What a client does not hear.
DEAF = ("table inet deaf { set from { type ether_addr; }; "
        "chain c { type filter hook prerouting priority -450; "
        "tcp flags & (syn | ack) == (syn | ack) ether saddr @from drop; }; }")


class Scene:
    """A cluster whose machines are linked: with a director, or with packets that all nodes receive."""

    def __init__(self, version, is_directed, way="neighbour"):
        self.version, self.is_directed = version, is_directed
        if is_directed:
            self.cluster = Directed(version, way)
            nodes = [node(number, version, way=way, state="up" if number <= 3 else "draining")
                     for number in range(1, 6)]
            self.cluster.direct(0, nodes=nodes, epoch=2)
        else:
            self.cluster = Cluster(version)
            self.cluster.set()
        self.nodes = self.cluster.nodes
        self.machines = [*self.nodes, *self.cluster.directors[:1]]
        all_linked(self.machines, HEARTBEAT, away=0)
        for machine in self.machines:
            self.believes(machine, [])
        self.listeners = self.cluster.listeners()
        self.cuts = Cuts(self.machines)
        self.selector = selectors.DefaultSelector()
        self.sniffer = Sniffer(self.cluster.address, self.watch, lambda _: "a connection")
        nft(self.cluster.client, DEAF)

    def watch(self, sock, events, handler):
        """Has what comes seen when there is time."""
        self.selector.register(sock, events, handler)

    def look(self):
        """Sees what has come: nobody resets anything."""
        for key, _ in self.selector.select(0):
            key.data(key.fileobj)

    def believes(self, machine, away):
        """Waits until a machine believes these nodes to be away."""
        def seen():
            nodes = machine.ynl.do("cluster-get", name_of(self.version))["nodes"]
            return [one["id"] for one in nodes if one["away"]]

        wait_until(lambda: seen() == away, f"{away} away for {machine.number}")

    def cut(self, one, *others):
        """These do not hear each other any more."""
        both = [pair for other in others for pair in ((one, other), (other, one))]
        self.cuts.change(self.cuts.cut | set(both))

    def heals(self):
        """All hear each other, and are linked again."""
        self.cuts.change(set())
        wait_until(self.are_linked, "that all are linked")
        for machine in self.machines:
            self.believes(machine, [])

    def are_linked(self):
        """Whether all are; links those that are not. A link may end although its machines hear each other, as
        TCP sends what was lost some time later."""
        views = {pair: told(pair[0], pair[1].number)
                 for pair in itertools.permutations(self.machines, 2)}
        for one, other in itertools.combinations(self.machines, 2):
            if "secure" not in views[one, other] or "secure" not in views[other, one]:
                link(one, other)
        return all((view["state"], view["away"]) == ("up", 0) for view in views.values())

    def answers(self, port):
        """The numbers of those that have answered the SYNs of a client's port, as often as they have."""
        self.look()
        return [int(machine) for _, machine, packet in self.sniffer.segments
                if packet.ports()[1] == port and packet.flags() == "SA"]

    def hears(self, machines):
        """The client hears answers of these nodes only."""
        deaf = [one.mac() for one in self.nodes if one not in machines]
        rules = "flush set inet deaf from\n"
        if deaf:
            rules += f"add element inet deaf from {{ {', '.join(deaf)} }}\n"
        nft(self.cluster.client, rules)

    def begins(self, machine):
        """A connection of a slot that a machine has, which is not complete yet."""
        port = port_to(self.cluster, machine)
        with self.cluster.client:
            sock = socket.socket(FAMILIES[self.version], socket.SOCK_STREAM)
        sock.bind(("", port))
        sock.setblocking(False)
        sock.connect_ex((self.cluster.address, PORT))
        return sock, port

    def connects(self, machine):
        """The same, complete: who has taken it, and both ends. With a director one node has answered."""
        client = to_slot_of(self.cluster, machine)
        taker, server = taken(client, self.listeners)
        answers = set(self.answers(client.getsockname()[1]))
        expect(taker.number in answers and (len(answers) == 1 or not self.is_directed), f"{answers}")
        exchange(client, server)
        return taker, client, server


def two_answers(scene, is_deputys):
    """An owner and its deputy answer one SYN, and the client completes the handshake with one of them:
    what it sends to that one the other one does not reset."""
    cluster = scene.cluster
    owner = scene.nodes[1]
    others = [machine for machine in scene.machines if machine != owner]
    scene.hears([])
    scene.cut(owner, *others)
    for machine in others:
        scene.believes(machine, [2])
    client, port = scene.begins(owner)
    wait_until(lambda: set(scene.answers(port)) - {2}, "the deputy's answer")
    if scene.is_directed:
        # The client asks once more.
        scene.heals()
    wait_until(lambda: len(set(scene.answers(port))) == 2, "both answers")
    deputy = scene.nodes[max(set(scene.answers(port)) - {2}) - 1]
    chosen, other = (deputy, owner) if is_deputys else (owner, deputy)
    scene.hears([chosen])
    equal([client], select.select([], [client], [], PATIENCE)[1], "that it is connected")
    client.settimeout(PATIENCE)
    taker, server = taken(client, scene.listeners)
    equal(chosen.number, taker.number, "who has it")
    scene.hears(scene.nodes)
    before = scene.answers(port).count(other.number)
    wait_until(lambda: scene.answers(port).count(other.number) > before, "the other's answer once more")
    exchange(client, server)
    if not scene.is_directed:
        scene.heals()
    exchange(client, server)
    scene.look()
    equal([], [machine.number for machine in cluster.nodes
               if select.select([scene.listeners[machine]], [], [], 0)[0]], "who has another one")


def some_hear(scene):
    """Two nodes do not hear each other, or one does not hear the other one, and the rest hears all. With a
    director that does not hear one of them either, and without."""
    one, two, three = scene.nodes
    old = [scene.connects(machine) for machine in scene.nodes]
    for is_both in True, False:
        if is_both:
            scene.cut(two, three)
        else:
            scene.cuts.change({(two, three)})
        # Who is not heard hears that of the other one.
        scene.believes(two, [3])
        scene.believes(three, [2])
        for machine in [one, *scene.machines[3:]]:
            scene.believes(machine, [])
        for machine in scene.nodes:
            old.append(scene.connects(machine))
            expect(not scene.is_directed or old[-1][0] == machine, "the director knows the owner")
        for _, client, server in old:
            exchange(client, server)
        if scene.is_directed:
            scene.cut(two, scene.machines[3])
            scene.believes(scene.machines[3], [2])
            old += [scene.connects(machine) for machine in scene.nodes]
        scene.heals()
        for _, client, server in old:
            exchange(client, server)
        scene.look()


def splits(scene):
    """One node, with the director if there is one, does not hear the two others, and they do not hear it. It
    takes what they would have, and all of that goes on when all hear each other."""
    # One of the two is not whom the third one takes for its deputy.
    for one in scene.nodes[0], scene.nodes[2]:
        rest = [machine for machine in scene.nodes if machine != one]
        for other in rest:
            scene.cut(other, one, *scene.machines[3:])
        for machine in [one, *scene.machines[3:]]:
            scene.believes(machine, [other.number for other in rest])
        begun = [scene.connects(machine) for machine in scene.nodes]
        expect(not scene.is_directed or {taker for taker, *_ in begun} == {one}, "it has all slots")
        scene.heals()
        for _, client, server in begun:
            exchange(client, server)
        scene.look()


def forgets(version, is_anew):
    """A node that was cut off knows nothing when it is back: of its slots a deputy has connections."""
    scene = Scene(version, False)
    one, two, three = scene.nodes
    switch("port2", False)
    for machine in one, three:
        scene.believes(machine, [2])
    _, client, server = scene.connects(two)
    two.ynl.do("machine-del", {})
    if is_anew:
        two.ynl.do("cluster-del", name_of(version))
        is_machine(two, [1, 3])
        scene.cluster.set([two])
    else:
        scene.believes(two, [])
    switch("port2", True)
    exchange(client, server)
    scene.look()


def shared_ipv4():
    """All nodes receive all."""
    scene = Scene(4, False)
    some_hear(scene)
    splits(scene)


def shared_ipv6():
    """The same."""
    scene = Scene(6, False)
    some_hear(scene)
    splits(scene)


def directed_ipv4():
    """A director gives flows."""
    scene = Scene(4, True)
    some_hear(scene)
    splits(scene)


def directed_ipv6():
    """In tunnels."""
    scene = Scene(6, True, "tunnel")
    some_hear(scene)
    splits(scene)


def two_answers_shared_ipv4():
    """The client goes on with the owner."""
    two_answers(Scene(4, False), False)


def two_answers_shared_ipv6():
    """The client goes on with the deputy."""
    two_answers(Scene(6, False), True)


def two_answers_directed_ipv4():
    """The client goes on with the deputy."""
    two_answers(Scene(4, True), True)


def two_answers_directed_ipv6():
    """The client goes on with the owner."""
    two_answers(Scene(6, True, "tunnel"), False)


def forgets_links_ipv4():
    """It has its cluster IPs still."""
    forgets(4, False)


def forgets_links_ipv6():
    """It has its cluster IPs still."""
    forgets(6, False)


def forgets_all_ipv4():
    """As after a reboot."""
    forgets(4, True)


def forgets_all_ipv6():
    """As after a reboot."""
    forgets(6, True)


if __name__ == "__main__":
    sys.exit(run_tests("links_doubt", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6,
        two_answers_shared_ipv4, two_answers_shared_ipv6,
        two_answers_directed_ipv4, two_answers_directed_ipv6,
        forgets_links_ipv4, forgets_links_ipv6, forgets_all_ipv4, forgets_all_ipv6,
    ]))
