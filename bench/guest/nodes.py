# SPDX-License-Identifier: GPL-2.0
"""The machines of `change`, `failover` and `heartbeat`, each of them a network namespace on one bridge,
and the module on them."""

import itertools
import os
import socket
import subprocess
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, f"{CHECKOUT}/selftests/lib")
# pylint: disable=wrong-import-position
from clusters import CLUSTER, MAC, PORT, config, name_of, node, table  # noqa: E402
from family import another, open_family  # noqa: E402
from machines import ip_commands, segment  # noqa: E402
from peers import comes_to, is_machine, link  # noqa: E402

SLOTS = 251
SOURCES = 64
ADDRESS = CLUSTER[4]
# Seconds for an answer: many times what TCP takes to send again.
PATIENCE = 6


def run(*words):
    """Runs a program."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def all_linked(machines, pairs=None, **how):
    """Links between these pairs of machines, or between all."""
    pairs = pairs or list(itertools.combinations(machines, 2))
    peers = {machine: [] for machine in machines}
    for one, other in pairs:
        peers[one].append(other.number)
        peers[other].append(one.number)
    for machine in machines:
        is_machine(machine, peers[machine])
    for pair in pairs:
        link(*pair, **how)
    for one, other in pairs:
        comes_to(one, other.number, state="up")
        comes_to(other, one.number, state="up")


class Segment:
    """The machines."""

    def __init__(self, size):
        *machines, self.client = segment(size + 3)
        self.nodes, self.directors = machines[:size], machines[size:]
        family = open_family()
        for machine in machines:
            machine.set("ipv4/conf/all/arp_ignore", 1)
            machine.set("ipv4/conf/all/arp_announce", 2)
            with machine:
                ip_commands(f"addr add {ADDRESS}/32 dev lo")
                machine.ynl = another(family)
            self.join(machine)
        with self.client:
            ip_commands(*(f"addr add 10.9.1.{number}/24 dev eth0"
                          for number in range(1, SOURCES + 1)))

    def join(self, machine):
        """Has its link up, and a way to the client."""
        with machine:
            ip_commands("link set eth0 up", "route replace 10.9.1.0/24 dev eth0")

    def told(self, mac):
        """Tells the client who has the address."""
        with self.client:
            ip_commands(f"neigh replace {ADDRESS} lladdr {mac} dev eth0")

    def client_socket(self, number):
        """A client's, which has one of the addresses."""
        with self.client:
            sock = socket.socket()
        sock.bind((f"10.9.1.{number % SOURCES + 1}", 0))
        return sock

    def connect(self, number):
        """A client."""
        sock = self.client_socket(number)
        sock.settimeout(PATIENCE)
        sock.connect((ADDRESS, PORT))
        return sock


class ClusterIp:
    """The module. The table of a change differs from the one before only where it has to."""

    def __init__(self, segment_, directed):
        self.segment, self.directed = segment_, directed
        self.table = [1 + slot % len(segment_.nodes) for slot in range(SLOTS)]

    def set(self, machines, role, **changes):
        """Tells machines."""
        given = {"mac": None} if self.directed else {}
        states = changes.pop("states", {})
        members = self.segment.nodes + (self.segment.directors if self.directed else [])
        # A director without slots is nobody's deputy.
        first = {machine.number: "draining" for machine in self.segment.directors}
        states = {**first, **states}
        nodes = [{**node(machine.number, 4), "state": states.get(machine.number, "up")}
                 for machine in members]
        for machine in machines:
            machine.ynl.do("cluster-set", config(4, machine.device(), machine.number, role=role,
                                                 nodes=nodes, table=table(*self.table), **given,
                                                 **changes))

    def set_all(self, active=0, skip=None, **changes):
        """Tells all that live, one after the other."""
        nodes = [machine for machine in self.segment.nodes if machine is not skip]
        if not self.directed:
            self.set(nodes, "shared", **changes)
            return
        self.set(nodes, "directed", **changes)
        self.set([self.segment.directors[active]], "director", **changes)
        self.set([self.segment.directors[1 - active]], "standby", **changes)

    def begin(self):
        """All nodes."""
        self.set_all()
        self.segment.told(self.segment.directors[0].mac() if self.directed else MAC.hex(":"))

    def remove(self, gone, event):
        """One node less."""
        others = [machine.number for machine in self.segment.nodes if machine is not gone]
        self.table = [others[slot % len(others)] if owner == gone.number else owner
                      for slot, owner in enumerate(self.table)]
        state = "down" if event == "dead" else "draining"
        self.set_all(active=int(event == "takeover"), skip=gone if event == "dead" else None,
                     epoch=2, states={gone.number: state})

    def end(self):
        """Nothing is left."""
        for machine in self.segment.nodes + self.segment.directors * self.directed:
            machine.ynl.do("cluster-del", name_of(4))
