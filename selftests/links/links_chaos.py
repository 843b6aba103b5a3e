#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Machines with links on a network that loses, delays and reorders, that hear each other in one direction
only, are cut off from each other, freeze, die, forget their links, or cannot serve, under load.

Machines believe what their links bring, and believe different things at the same time. Whatever they
believe:

- with a director no packet that begins a flow is taken by two nodes;
- no packet goes in circles: it is given on twice at most;
- nobody resets a connection that a living machine has, and none breaks. This is so for connections that
  do not live as long as a change is young, so those that take longer are given up;
- when all is quiet again all machines agree, and each flow goes to the owner of its slot.

The same is tested of a model, on the host, in tools/logic/tests/links_model.rs.

Each test begins with machines that have agreed for long and come to disagree while many connections begin.
Then come, in a random order, a machine that does not hear another one, a partition, a freeze and a death; the
rest is random, and begins with SG_SEED. As time decides what machines believe it is not the same each time.
SG_CHAOS_EVENTS says how much happens in each test.
"""

import itertools
import os
import random
import re
import socket
import sys
import time

from agents import Agents
from clusters import MAC, NODES, TCP, Cluster, config, name_of, node, table
from load import Load
from peers import told
from service_group import equal, expect, run_tests, seed, wait_until
from sniffer import Sniffer
from troubles import Troubles

SEED = seed()
IS_SLOW = os.path.exists("/sys/kernel/debug/kmemleak")
EVENTS = int(os.environ.get("SG_CHAOS_EVENTS") or (6 if IS_SLOW else 10))
SLOTS = 13
# Seconds: for how long a change is young, how long a connection may take, and how long it is calm until no
# change is young. They are longer, as is all that follows from heartbeats, on a machine that takes longer to
# make a cluster.
SETTLE, LIFETIME, CALM = 6, 3, 7
USUAL, MOST_SLOW = 1.5, 8
# How many connections there are at most.
MANY = 150
BACKLOG = 4096
# Of linux/tcp.h: a socket that is repaired is closed without a word.
TCP_REPAIR = 19
# How often it is looked whether all is as it is to be.
TRIES = 5
# Besides others: a director that is no node.
DIRECTOR = NODES + 1


class Flows(Load):
    """A load, any of which any node may take, until the owners alone are to take it."""

    def __init__(self, cluster, lots, owners, lifetime, is_directed):
        source = cluster.client.address(cluster.version)
        super().__init__(cluster, lots, owners, "sum5", b"", [source])
        self.lifetime, self.is_directed = lifetime, is_directed
        self.is_settled = False
        self.begun = {}
        # If two nodes answer a SYN one of the requests waits in vain. There are so many that cookies would
        # be sent, which here all nodes would take for their own.
        for key in self.selector.get_map().values():
            if key.fileobj.type == TCP:
                key.fileobj.listen(BACKLOG)

    def owners(self, slot, since):
        """Who may take it."""
        return super().owners(slot, since) if self.is_settled else set(range(1, NODES + 1))

    def alive(self, slot):
        """The same: a node that is dead may be back before a connection is."""
        return self.owners(slot, self.oldest)

    def begin(self):
        """One connection more."""
        super().begin()
        self.begun[next(reversed(self.connections))] = time.monotonic()

    def step(self, begin=0.3, timeout=0.002):
        """A little of everything; what takes too long is given up."""
        late = time.monotonic() - self.lifetime
        self.begun = {source: since for source, since in self.begun.items()
                      if source in self.connections}
        if not self.is_settled:
            for source in [source for source, since in self.begun.items() if since < late]:
                self.give_up(self.connections[source])
        super().step(begin, timeout)

    def taken_by(self, node, number):
        """A datagram has come to a node, and belongs to one, if one machine says to which."""
        super().taken_by(node, number)
        takers = self.datagrams[number][-1]
        expect(len(takers) == 1 or not self.is_directed, f"a datagram was taken by {takers}")

    def living(self, source):
        """A connection that is to live."""
        one = self.connections.get(source)
        is_over = one and one.server and one.server.fileno() < 0
        return None if is_over else one


class Chaos:
    """A cluster, and what happens to it. `director` is the number of the machine that directs, if one
    does."""

    def __init__(self, name, version, director=None, way="neighbour", outer=None, heartbeat=100):
        self.rng = random.Random(f"{SEED} {name}")
        self.version, self.way, self.outer = version, way, outer or version
        self.director = director
        begin = time.monotonic()
        self.cluster = Cluster(version, directors=int(director == DIRECTOR))
        took = time.monotonic() - begin
        self.slow = min(max(1, took / USUAL), MOST_SLOW)
        self.machines = self.cluster.nodes + self.cluster.directors
        self.log = [f"IPv{version}, director {director}, {way}; took {took:.1f} s, {self.slow:.1f} as slow"]
        owners = [slot % NODES + 1 for slot in range(SLOTS)]
        self.rng.shuffle(owners)
        for machine in self.machines:
            machine.set("ipv6/conf/eth0/keep_addr_on_down", 1)
            self.tell(machine, owners)
        if director:
            self.cluster.told(self.machines[director - 1].mac())
        self.cluster.client.is_patient()
        lots = random.Random(f"{SEED} load {name}")
        self.load = Flows(self.cluster, lots, owners, LIFETIME * self.slow, bool(director))
        self.heartbeat = round(heartbeat * self.slow)
        self.agents = Agents(self.machines, self.load.watch, self.load.forget,
                             heartbeat=self.heartbeat)
        self.looked = 0
        self.troubles = Troubles(self.rng, self.cluster, self.machines, self.load, self.agents)
        self.sniffer = Sniffer(self.cluster.address, self.load.watch, self.load.living)

    def tell(self, machine, owners):
        """Has a machine know the table."""
        nodes = [node(one.number, self.outer, way=self.way,
                      state="up" if one.number <= NODES else "draining") for one in self.machines]
        role = "shared" if not self.director else "directed"
        if machine.number == self.director:
            role = "director"
        machine.ynl.do("cluster-set", config(
            self.version, machine.device(), machine.number, role=role,
            settle=round(SETTLE * self.slow),
            mac=None if self.director else MAC, nodes=nodes, table=table(*owners)))

    def go_on(self, beats):
        """The load, and the agents, for so many heartbeats."""
        end = time.monotonic() + beats * self.heartbeat / 1000
        while time.monotonic() < end:
            self.load.step()
            if time.monotonic() - self.looked > 0.1:
                self.agents.look()
                self.looked = time.monotonic()

    def doubt(self):
        """Others hear a node no more, which they take some heartbeats to notice, and the node takes longer to
        learn. Many connections begin meanwhile, and go on when it is over. If one machine directs, all do
        not hear it: others give a flow to the node that is the owner for them."""
        self.agree()
        if not self.director:
            # The change before would hide what is to be seen.
            self.calm()
        lost = self.rng.choice(self.cluster.nodes)
        others = [one for one in self.machines if one != lost]
        deaf = others if self.director else self.rng.sample(others, 1)
        self.troubles.cuts.change({(lost, one) for one in deaf})
        self.go_on(2)
        end = time.monotonic() + 3 * self.heartbeat / 1000
        while time.monotonic() < end:
            if len(self.load.connections) < MANY:
                self.load.begin()
            self.load.step()
        self.log.append(f"{[one.number for one in deaf]} come not to hear {lost.number}")
        self.troubles.heal()
        self.go_on(5)

    def calm(self):
        """Nothing happens for so long that no change is young, if that can be."""
        self.troubles.undo()
        self.go_on(CALM * self.slow * 1000 / self.heartbeat)
        return "calm"

    # How it goes.

    def run(self):
        """Some of all this, and in the end quiet."""
        load = self.load
        try:
            for _ in range(2):
                self.doubt()
            for event in self.plan():
                self.happen(event)
            wait_until(self.has_load, "some load")
            self.quiet()
            if not self.director:
                wait_until(self.is_reset, "a reset of what nobody has")
        except AssertionError as error:
            # What was sent on the connections that it names.
            for port in re.findall(r"connection from \('[^']*', (\d+)\)", str(error)):
                self.log.append(f"now {time.monotonic():.3f}, {port}:{self.sniffer.told(int(port))}")
            raise
        finally:
            self.log.append(
                f"heartbeat {self.heartbeat}, {load.completed} connections complete, {load.doomed} "
                f"given up, {load.taken} of {len(load.datagrams)} datagrams taken, {self.agents.made} "
                f"links, {self.sniffer.seen} packets, {self.sniffer.resets} resets")
            print("# " + "\n# ".join("\n".join(self.log).splitlines()))

    def plan(self):
        """What is to happen; nothing stands for something by lot."""
        troubles = self.troubles
        due = [troubles.deafen, troubles.partition, troubles.freeze, troubles.kill]
        plan = due + [None] * (EVENTS - len(due))
        self.rng.shuffle(plan)
        return plan

    def happen(self, event):
        """What is due, or something by lot."""
        what = self.troubles
        troubles = [what.deafen] * 3 + [what.partition, what.freeze, what.kill, what.forget,
                                        what.close, what.sicken, what.spoil]
        remedies = [what.heal, what.thaw, what.revive, what.recover, what.clear, self.calm]
        if not event:
            event = self.rng.choice(self.rng.choices((troubles, remedies), (3, 2))[0])
        said = event()
        if not said:
            # Only a node that is frozen or dead already cannot be so.
            what.undo()
            said = event()
        if said:
            self.log.append(said)
        self.go_on(self.rng.randrange(1, 25) * 100 * self.slow / self.heartbeat)

    def has_load(self):
        """Goes on; whether there was enough of it yet."""
        self.troubles.undo()
        self.go_on(1)
        return self.load.completed > EVENTS and self.load.taken > EVENTS

    def agree(self):
        """Waits until all machines believe the same: that nobody is away."""
        def are_up():
            self.go_on(1)
            views = [told(one, other.number) for one, other in
                     itertools.permutations(self.machines, 2)]
            nodes = [one for machine in self.machines
                     for one in machine.ynl.do("cluster-get", name_of(self.version))["nodes"]]
            return all((view["state"], view["away"]) == ("up", 0) for view in views) and not any(
                one["away"] or one["deputised"] for one in nodes)

        wait_until(are_up, "that all machines agree")

    def quiet(self):
        """Nothing happens any more: all agree, all connections end well, and owners take all."""
        self.troubles.undo()
        for left in reversed(range(TRIES)):
            self.agree()
            begin = time.monotonic()
            try:
                self.owners_take_all()
                return
            except AssertionError:
                self.load.is_settled = False
                # A host that halts for long has machines miss each other.
                if not left or not self.was_disturbed(begin):
                    raise

    def was_disturbed(self, begin):
        """Whether what a machine believes has changed since then."""
        milliseconds = (time.monotonic() - begin) * 1000
        views = [told(one, other.number) for one, other in
                 itertools.permutations(self.machines, 2)]
        return any(view["since"] < milliseconds or view["away"] for view in views)

    def is_over(self):
        """Goes on, but begins nothing; whether all connections have ended."""
        self.load.step(begin=0)
        return not self.load.connections

    def owners_take_all(self):
        """Datagrams and connections."""
        load = self.load
        wait_until(self.is_over, "the end of all connections")
        load.is_settled = True
        load.takes_all(lambda: [load.send() for _ in range(10)])
        before = load.completed
        for _ in range(10):
            load.begin()
        wait_until(self.is_over, "the end of new connections")
        equal(before + 10, load.completed, "connections that were completed")

    def is_reset(self):
        """Whether a segment of a connection that nobody has is reset soon."""
        load = self.load
        load.begin()
        one = load.connections[next(reversed(load.connections))]
        wait_until(lambda: load.turn(0.01) or one.server, "a connection")
        one.server.setsockopt(socket.SOL_TCP, TCP_REPAIR, 1)
        for sock in one.client, one.server:
            load.selector.unregister(sock)
        one.server.close()
        del load.connections[one.source]
        one.client.settimeout(1)
        try:
            one.client.send(b"x")
            return not one.client.recv(1)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def shared_ipv4():
    """Every node receives everything."""
    Chaos("shared_ipv4", 4).run()


def shared_ipv6():
    """The same, and machines take longer to notice that they do not agree."""
    Chaos("shared_ipv6", 6, heartbeat=400).run()


def directed_ipv4():
    """A director that is no node."""
    Chaos("directed_ipv4", 4, DIRECTOR).run()


def directed_by_a_node():
    """One that is."""
    Chaos("directed_by_a_node", 6, 1).run()


def tunnelled():
    """By tunnels, IPv4 in IPv6."""
    Chaos("tunnelled", 4, DIRECTOR, "tunnel", 6).run()


if __name__ == "__main__":
    sys.exit(run_tests("links_chaos", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_by_a_node, tunnelled,
    ]))
