#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Cluster IPs whose machines die, freeze, drain, come and get other weights, under load and on a
network that loses, delays, doubles and reorders packets.

In each test a node dies and a node freezes, and where there are directors, one takes over. The rest
is random, as is the order, and begins with SG_SEED. It is not quite the same each time: what
becomes of the load depends on time and on the ports that the kernel chooses, and what may happen on
the load. SG_CHAOS_EVENTS says how much happens in each test.

Some networks lose nothing. There each datagram is taken once while nothing happens.
"""

import os
import random
import subprocess
import sys

from clusters import MAC, NODES, Cluster, config, node, table
from load import Load
from machines import LENGTHS, SEGMENT, gives, ip_commands
from service_group import expect, run_tests, seed, switch, wait_until

SEED = seed()
IS_SLOW = os.path.exists("/sys/kernel/debug/kmemleak")
EVENTS = int(os.environ.get("SG_CHAOS_EVENTS") or (3 if IS_SLOW else 10))
STEPS = 12
# Numbers of the client's other addresses: with sum3 all that one address sends has one owner.
SOURCES = (201, 202, 204)
ACTIVE, STANDBY = "director", "standby"


class Chaos:
    """A cluster, what its machines are told, and what happens to them."""

    def __init__(self, name, version, hash_name, way=None, outer=None, loses=True):
        self.rng = random.Random(f"{SEED} {name}")
        rng = self.rng
        self.version, self.way, self.outer = version, way, outer or version
        self.loses = loses
        self.cluster = Cluster(version, directors=2 if way else 0)
        self.machines = self.cluster.nodes + self.cluster.directors
        for machine in self.machines:
            machine.set("ipv6/conf/eth0/keep_addr_on_down", 1)
        self.hash_name = hash_name
        self.key = rng.randbytes(16) if self.hash_name == "keyed" else b""
        slots = rng.choice((3, 7, 16, 61))
        self.weights = {number: rng.randrange(1, 9) for number in range(1, NODES + 1)}
        # Of the nodes that are there; who is absent is not even told of, or down.
        self.states = {1: "up", 2: "up"}
        self.absent = {3: None}
        self.active = 0
        first = [rng.choice((1, 2)) for _ in range(slots)]
        # Of each node: whom it was told of, by slots.
        self.heard = {number: [set() for _ in range(slots)] for number in self.states}
        # How often it draws depends on time.
        lots = random.Random(f"{SEED} load {name}")
        self.load = Load(self.cluster, lots, first, self.hash_name, self.key, self.sources())
        self.load.dead.add(3)
        self.move(self.cluster.nodes[2], "down")
        for machine in self.there():
            self.tell(machine, 1)
        if way:
            self.cluster.told(self.cluster.directors[0].mac())
        self.log = [f"IPv{version}, {way or 'shared'}, {self.hash_name}, {slots} slots"]

    def sources(self):
        """The client's addresses."""
        client, form = self.cluster.client, SEGMENT[self.version]
        with client:
            ip_commands(*(gives(f"{form.format(number)}/{LENGTHS[self.version]}", "eth0")
                          for number in SOURCES))
        client.is_patient()
        return [form.format(number) for number in (client.number, *SOURCES)]

    def there(self):
        """The machines that can be told something."""
        return [machine for machine in self.machines if machine.number not in self.absent]

    def role(self, machine):
        """What a machine is to do."""
        if not self.way:
            return "shared"
        if machine not in self.cluster.directors:
            return "directed"
        active = self.cluster.directors[self.active] is machine
        return ACTIVE if active else STANDBY

    def tell(self, machine, epoch):
        """Has a machine know the table of an epoch."""
        given = {**self.states, **{number: "down" for number, how in self.absent.items()
                                   if how == "down"}}
        given.update({one.number: "draining" for one in self.cluster.directors})
        nodes = [node(number, self.outer, way=self.way or "neighbour", state=state,
                      weight=self.weights.get(number, 1)) for number, state in given.items()]
        machine.ynl.do("cluster-set", config(
            self.version, machine.device(), machine.number, role=self.role(machine), epoch=epoch,
            mac=None if self.way else MAC, hash=self.hash_name, key=self.key or None, settle=3600,
            nodes=nodes, table=table(*self.load.tables[epoch])))

    def owner(self, slot, old, holders):
        """The next owner of a slot: one that was told of all who have connections of it, or to
        whom that does not matter, as packets are shared."""
        def fits(new):
            heard = self.heard[new][slot] | {new, old}
            return not self.way or holders.get(slot, set()) & set(self.states) <= heard

        there = {state: [new for new in self.states if self.states[new] == state and fits(new)]
                 for state in ("up", "draining")}
        if old in there["up"] and self.rng.random() < 0.6:
            return old
        fit = there["up"] or there["draining"]
        expect(fit, f"slot {slot} of {old}: {holders.get(slot)}, {self.heard}")
        return self.rng.choices(fit, [self.weights[new] for new in fit])[0]

    def change(self):
        """A new table, told to one machine after another while the load goes on."""
        load = self.load
        old, holders = load.tables[load.newest], load.holders()
        new = [self.owner(slot, owner, holders) for slot, owner in enumerate(old)]
        for heard in self.heard.values():
            for slot, owner in zip(heard, old):
                slot.add(owner)
        load.changing(new)
        machines = self.there()
        self.rng.shuffle(machines)
        for machine in machines:
            self.tell(machine, load.newest)
            self.go_on(self.rng.randrange(3))
        load.changed()

    def go_on(self, steps=STEPS):
        """The load."""
        for _ in range(steps):
            self.load.step()

    @staticmethod
    def move(machine, state):
        """Sets a machine's device up or down."""
        with machine:
            switch("eth0", state == "up")

    # What can happen; each returns what it was, or nothing if it cannot be now.

    def kill(self):
        """A node dies, and the others are told so some time later."""
        up = [number for number, state in self.states.items() if state == "up"]
        if len(up) < 2:
            return None
        number = self.rng.choice(list(self.states))
        if up == [number]:
            return None
        self.move(self.cluster.nodes[number - 1], "down")
        self.load.died(number)
        self.go_on(4)
        del self.states[number], self.heard[number]
        self.absent[number] = self.rng.choice(("down", None))
        self.change()
        return f"{number} dies"

    def add(self):
        """A node comes, which is told of the present table first, as of what was before."""
        absent = [number for number in self.absent if number <= NODES]
        if not absent:
            return None
        number = self.rng.choice(absent)
        del self.absent[number]
        self.states[number] = "up"
        self.heard[number] = [set() for _ in self.load.tables[1]]
        machine = self.cluster.nodes[number - 1]
        self.weights[number] = self.rng.randrange(1, 9)
        self.tell(machine, self.load.newest)
        self.move(machine, "up")
        self.load.dead.discard(number)
        self.change()
        return f"{number} comes"

    def freeze(self):
        """A node cannot be reached for a while, and nobody is told."""
        return self.freeze_one(self.rng.choice(list(self.states)))

    def freeze_director(self):
        """The same of who directs, or stands by."""
        return self.freeze_one(self.rng.choice(self.cluster.directors).number)

    def freeze_one(self, number):
        """By its own end of the cable, or by the other one."""
        machine = self.machines[number - 1]
        if self.rng.random() < 0.5:
            self.move(machine, "down")
            self.go_on()
            self.move(machine, "up")
        else:
            switch(f"port{number}", False)
            self.go_on()
            switch(f"port{number}", True)
        return f"{number} was frozen"

    def drain(self, number=None):
        """A node drains, or does so no more."""
        number = number or self.rng.choice(list(self.states))
        others = [state for other, state in self.states.items() if other != number]
        if self.states[number] == "up" and "up" not in others:
            return None
        self.states[number] = "draining" if self.states[number] == "up" else "up"
        self.change()
        return f"{number} is {self.states[number]}"

    def bring_up(self):
        """One node more is up."""
        draining = [number for number, state in self.states.items() if state == "draining"]
        return self.drain(draining[0]) if draining else self.add()

    def weigh(self):
        """Nodes get other weights."""
        for number in self.weights:
            self.weights[number] = self.rng.randrange(1, 9)
        self.change()
        return f"weights {self.weights}"

    def take_over(self):
        """The director dies, and the other one directs; later it is back, and stands by."""
        gone = self.cluster.directors[self.active]
        self.move(gone, "down")
        self.go_on(4)
        self.active = 1 - self.active
        self.tell(self.cluster.directors[self.active], self.load.newest)
        self.cluster.told(self.cluster.directors[self.active].mac())
        self.go_on()
        self.tell(gone, self.load.newest)
        self.move(gone, "up")
        return f"{self.cluster.directors[self.active].number} directs"

    def run(self):
        """Some of all this, and in the end all that was begun comes to its end."""
        load = self.load
        try:
            self.log.append(self.spoil())
            self.go_on()
            for event in self.plan():
                self.happen(event)
            wait_until(self.has_load, "some load")
            self.finish()
            self.log.append(f"{load.completed} connections complete, {load.doomed} lost with their "
                            f"nodes, {load.taken} of {len(load.datagrams)} datagrams taken")
        finally:
            print("# " + "\n# ".join(self.log))

    def plan(self):
        """What is to happen; nothing stands for something by lot."""
        due = [self.kill, self.freeze] + ([self.take_over] if self.way else [])
        plan = due + [None] * (EVENTS - len(due))
        self.rng.shuffle(plan)
        return plan

    def happen(self, event):
        """What is due, or something by lot. What cannot be is a death, if only one node is up."""
        events = [self.kill, self.add, self.freeze, self.drain, self.weigh]
        if self.way:
            events += [self.freeze_director, self.take_over]
        while not (what := (event or self.rng.choice(events))()):
            if event:
                self.log.append(self.bring_up())
        self.log.append(what)
        if self.loses:
            self.go_on()
        else:
            self.load.takes_all(self.go_on)

    def has_load(self):
        """Goes on; whether there was enough of it yet."""
        self.go_on(1)
        return self.load.completed > EVENTS and self.load.taken > EVENTS

    def finish(self):
        """Without any trouble all connections end well, and all datagrams arrive."""
        load = self.load
        self.repair()

        def over():
            load.step(begin=0)
            return not load.connections

        def send():
            for _ in range(10):
                load.send()
                load.begin()

        wait_until(over, "the end of all connections")
        load.takes_all(send)
        wait_until(over, "the end of new connections")

    def spoil(self):
        """Makes the network a bad one."""
        kinds = {"delay": f"{self.rng.randrange(1, 6)}ms {self.rng.randrange(1, 4)}ms",
                 "reorder": "20%", "loss": f"{self.rng.randrange(1, 4)}%", "duplicate": "2%"}
        possible = list(kinds)[:None if self.loses else 2]
        chosen = set(self.rng.sample(possible, self.rng.randrange(1, len(possible))))
        if self.loses:
            chosen.add("loss")
        if "reorder" in chosen:
            chosen.add("delay")
        words = " ".join(f"{kind} {kinds[kind]}" for kind in kinds if kind in chosen)
        for machine in [self.cluster.client, *self.cluster.nodes][:2 if IS_SLOW else None]:
            with machine:
                done = subprocess.run(["tc", "qdisc", "add", "dev", "eth0", "root", "netem",
                                       *words.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                print("# SKIP netem: this kernel has no sch_netem")
                return f"no netem: {done.stderr.strip()}"
        self.load.duplicates = "duplicate" in chosen
        return f"netem {words}"

    def repair(self):
        """The client's is a good one again. What waits there is lost."""
        with self.cluster.client:
            subprocess.run(["tc", "qdisc", "del", "dev", "eth0", "root"], capture_output=True,
                           check=False)


def shared_ipv4():
    """Every node receives everything."""
    Chaos("shared_ipv4", 4, "sum5").run()


def shared_ipv6():
    """The same, and another hash."""
    Chaos("shared_ipv6", 6, "sum3").run()


def shared_keyed():
    """The third hash; nothing is lost."""
    Chaos("shared_keyed", 4, "keyed", loses=False).run()


def directed_ipv4():
    """Two directors, which give packets to MAC addresses."""
    Chaos("directed_ipv4", 4, "sum3", "neighbour").run()


def directed_ipv6():
    """The same; nothing is lost."""
    Chaos("directed_ipv6", 6, "keyed", "neighbour", loses=False).run()


def tunnelled_ipv4():
    """By tunnels, IPv4 in IPv6; nothing is lost."""
    Chaos("tunnelled_ipv4", 4, "sum5", "tunnel", 6, loses=False).run()


def tunnelled_ipv6():
    """IPv6 in IPv4."""
    Chaos("tunnelled_ipv6", 6, "keyed", "tunnel", 4).run()


if __name__ == "__main__":
    sys.exit(run_tests("cluster_chaos", [
        shared_ipv4, shared_ipv6, shared_keyed, directed_ipv4, directed_ipv6, tunnelled_ipv4,
        tunnelled_ipv6,
    ]))
