# SPDX-License-Identifier: GPL-2.0
"""Clusters of machines that a file describes and sgctl sets up, and connections to them."""

import itertools
import json
import os
import re
import select
import socket
import subprocess
import tempfile

from machines import bound, has_arp_hooks, ip_commands, segment
from service_group import PATIENCE, SGCTL, equal

ADDRESS = "198.51.100.7"
PORT = 80
# The one that the nodes share, if the file does not say otherwise.
MAC = "03:53:c6:33:64:07"
MACHINES = ["a", "b", "c", "lb"]
# Clients' ports begin here, one after another, so that each node has its turn; the kernel chooses
# higher ones.
FIRST_PORT = 20000


def node(name, more=""):
    """The entry of a node."""
    number = 1 + MACHINES.index(name)
    return f'[[node]]\nname = "{name}"\nid = {number}\naddress = "10.9.0.{number}"\n{more}\n'


NODES = "".join(node(name) for name in "abc")
SHARED = f"""{NODES}
[[address]]
ip = "{ADDRESS}"
device = "eth0"
"""
DIRECTS = f"""
[[address]]
ip = "{ADDRESS}"
mode = "directed"
directors = ["lb"]
device = "eth0"
"""
DIRECTED = f"""{NODES}
[[director]]
name = "lb"
{DIRECTS}"""
TUNNEL = 'way = "tunnel"'
TUNNELLED = f"""{"".join(node(name, TUNNEL) for name in "abc")}
{node("lb", 'state = "draining"')}
{DIRECTS}"""


def sgctl(*words, status=0):
    """What the tool says; without a status any will do."""
    done = subprocess.run([SGCTL, "cluster", *words], capture_output=True, text=True,
                          timeout=3 * PATIENCE, check=False)
    said = done.stdout + done.stderr
    if status is not None:
        equal(status, done.returncode, f"status of {words}: {said}")
    return said


class Cluster:
    """Machines with a file, which all of them have in one place, and a client."""

    def __init__(self, text):
        self.file = f"{tempfile.mkdtemp()}/cluster.toml"
        self.ports = itertools.count(FIRST_PORT)
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, 0o600)
        # In the order of their numbers: nodes, then who only directs.
        names = re.findall(r'^name = "(\w+)"', text, re.MULTILINE)
        *machines, self.client = segment(len(names) + 1)
        self.machines = dict(zip(names, machines))
        self.nodes = {name: self.machines[name] for name in "abc"}
        with self.client:
            ip_commands(f"route add {ADDRESS}/32 dev eth0")
            if text == SHARED and not has_arp_hooks():
                ip_commands(f"neigh add {ADDRESS} lladdr {MAC} dev eth0")
        for machine in machines:
            machine.set("ipv4/conf/all/rp_filter", 0)
            machine.set("ipv4/conf/eth0/rp_filter", 0)
            if not has_arp_hooks():
                machine.set("ipv4/conf/all/arp_ignore", 1)
                machine.set("ipv4/conf/all/arp_announce", 2)

    def run(self, name, *words, status=0):
        """What the tool says on that machine."""
        with self.machines[name]:
            return sgctl(*words, status=status)

    def apply(self, *more, but=()):
        """Has every machine do what the file says, or all but some."""
        for name in set(self.machines) - set(but):
            self.run(name, "apply", self.file, "--node", name, *more)

    def shown(self, name):
        """The only cluster IP, as the tool shows it."""
        told = json.loads(self.run(name, "show", "--json"))
        if isinstance(told, dict):
            told = told["clusters"]
        return told[0] if told else None

    def counter(self, name, counter):
        """One of its counters on a machine."""
        return self.shown(name)["counters"][counter]

    def owner(self, client):
        """Whose a connection is, as the tool computes it."""
        host, port = client.getsockname()
        told = json.loads(self.run("a", "owner", f"{host}:{port}", f"{ADDRESS}:{PORT}", "tcp",
                                   "--file", self.file, "--json"))
        return told["node"]

    def serve(self, names="abc"):
        """A listener on each node, or on these."""
        return {name: bound(self.nodes[name], socket.SOCK_STREAM, ADDRESS, PORT)
                for name in names}

    def connect(self):
        """A connection to the cluster IP."""
        with self.client:
            client = socket.socket()
            client.settimeout(PATIENCE)
            client.bind(("", next(self.ports)))
            client.connect((ADDRESS, PORT))
        return client


def accepted(services):
    """The node that has got the next connection, and its socket."""
    ready, _, _ = select.select(list(services.values()), [], [], PATIENCE)
    equal(1, len(ready), "who has got it")
    name = next(name for name, service in services.items() if service is ready[0])
    server = ready[0].accept()[0]
    server.settimeout(PATIENCE)
    return name, server


def converse(client, server):
    """A byte goes there and back."""
    client.sendall(b"?")
    equal(b"?", server.recv(1), "what came")
    server.sendall(b"!")
    equal(b"!", client.recv(1), "answer")


def conversations(cluster, services, count):
    """So many connections, each at its owner; the first one's is asked for."""
    pairs = []
    for number in range(count):
        client = cluster.connect()
        name, server = accepted(services)
        if not number:
            equal(cluster.owner(client), name, "owner")
        converse(client, server)
        pairs.append((client, name, server))
    return pairs


def served(cluster, name):
    """All that a machine serves, and its addresses; what is counted is left out."""
    told = json.loads(cluster.run(name, "show", "--json"))
    with cluster.machines[name]:
        addresses = subprocess.check_output(["ip", "-brief", "addr"], text=True)
    return [one | {"counters": None} for one in told], sorted(addresses.split())
