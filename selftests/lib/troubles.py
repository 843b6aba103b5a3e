# SPDX-License-Identifier: GPL-2.0
"""What can happen to machines that have links, and to the network between them."""

import itertools
import subprocess

from agents import Cuts
from clusters import name_of
from peers import told
from service_group import expect, switch


class Troubles:
    """What happens. What an action returns says what it was, and is nothing if it cannot be now. How long
    it lasts, and what else happens meanwhile, is random."""

    def __init__(self, rng, cluster, machines, load, agents):
        self.rng, self.cluster, self.machines = rng, cluster, machines
        self.load, self.agents = load, agents
        self.frozen, self.dead, self.sick = set(), set(), set()
        self.cuts = Cuts(machines)

    def some(self, count=1, of=None):
        """Some machines."""
        return self.rng.sample(of or self.machines, count)

    def deafen(self):
        """One machine does not hear another one, which hears it."""
        pair = tuple(self.some(2))
        self.cuts.change(self.cuts.cut | {pair})
        return f"{pair[1].number} does not hear {pair[0].number}"

    def partition(self):
        """Some do not hear the others, and these do not hear them."""
        part = self.some(self.rng.randrange(1, len(self.machines) - 1))
        rest = [machine for machine in self.machines if machine not in part]
        both = set(itertools.product(part, rest)) | set(itertools.product(rest, part))
        self.cuts.change(both)
        return f"{[machine.number for machine in part]} are cut off"

    def heal(self):
        """All hear each other."""
        self.cuts.change(set())
        return "all hear each other"

    def freeze(self):
        """A machine cannot be reached, by its own end of the cable or by the other one."""
        machine, = self.some()
        if machine in self.dead:
            return None
        is_own = self.rng.random() < 0.5
        self.frozen.add((machine, is_own))
        self.plug(machine, is_own, False)
        return f"{machine.number} is frozen"

    @staticmethod
    def plug(machine, is_own, is_up):
        """Sets an end of a cable up or down."""
        if not is_own:
            switch(f"port{machine.number}", is_up)
            return
        with machine:
            switch("eth0", is_up)

    def thaw(self):
        """All that are frozen are back."""
        for machine, is_own in self.frozen:
            self.plug(machine, is_own, True)
        self.frozen.clear()
        return "nobody is frozen"

    def kill(self):
        """A node loses its connections, and its links."""
        node_, = self.some(of=self.cluster.nodes)
        if self.dead or node_ in [machine for machine, _ in self.frozen]:
            return None
        self.plug(node_, True, False)
        self.load.died(node_.number)
        self.dead.add(node_)
        return f"{node_.number} is dead"

    def revive(self):
        """The dead are back, and know nothing."""
        for machine in self.dead:
            self.agents.forgets(machine)
            self.plug(machine, True, True)
            self.load.dead.discard(machine.number)
        self.dead.clear()
        return "nobody is dead"

    def forget(self):
        """A machine ends all links."""
        machine, = self.some()
        self.agents.forgets(machine)
        return f"{machine.number} forgets its links"

    def close(self):
        """A machine ends a link, if there is one."""
        one, other = self.some(2)
        if "secure" not in told(one, other.number):
            return None
        one.ynl.do("link-del", {"peer": other.number})
        return f"{one.number} ends its link to {other.number}"

    def sicken(self):
        """A node's service is said to be bad."""
        node_, = self.some(of=self.cluster.nodes)
        self.sick.add(node_)
        self.says(node_, False)
        return f"{node_.number} is not healthy"

    def says(self, machine, is_healthy):
        """What the check of a service has found."""
        machine.ynl.do("health-set", {**name_of(self.cluster.version), "healthy": int(is_healthy)})

    def recover(self):
        """All are good."""
        for machine in self.sick:
            self.says(machine, True)
        self.sick.clear()
        return "all are healthy"

    def spoil(self):
        """The network of some machines is bad, or slow."""
        for machine in [self.cluster.client, *self.some(self.rng.randrange(1, 3))]:
            words = self.rng.choice(("delay 3ms 2ms reorder 20% loss 5%", "loss 5%",
                                     "delay 5ms 4ms", f"delay {self.rng.randrange(50, 400)}ms"))
            if machine is self.cluster.client:
                words = "loss 5%"
            netem(machine, "replace", *words.split())
        return "a bad network"

    def clear(self):
        """The network is good. What waits there is lost."""
        for machine in [self.cluster.client, *self.machines]:
            netem(machine, "del")
        return "a good network"

    def undo(self):
        """All is as it was."""
        for action in (self.heal, self.thaw, self.revive, self.recover, self.clear):
            action()


def netem(machine, action, *words):
    """Has a machine's network spoil what it sends."""
    with machine:
        done = subprocess.run(["tc", "qdisc", action, "dev", "eth0", "root", "netem", *words],
                              capture_output=True, text=True, check=False)
    expect(done.returncode == 0 or action == "del", f"netem: {done.stderr}")
