#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster: machines that a file makes a cluster, told by the tool alone."""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
from machines import bound, has_arp_hooks, ip_commands, segment  # noqa: E402
from service_group import PATIENCE, checkout, equal, expect, run_tests  # noqa: E402

SGCTL = os.environ.get("SG_BIN", f"{checkout()}/build/bin") + "/sgctl"
ADDRESS = "198.51.100.7"
PORT = 80
# The one that the nodes share, if the file does not say otherwise.
MAC = "03:53:c6:33:64:07"
NODES = "".join(f'[[node]]\nname = "{name}"\nid = {number}\naddress = "10.9.0.{number}"\n'
                for number, name in enumerate("abc", 1))
SHARED = f"""{NODES}
[[address]]
ip = "{ADDRESS}"
device = "eth0"
"""
DIRECTED = f"""{NODES}
[[director]]
name = "lb"

[[address]]
ip = "{ADDRESS}"
mode = "directed"
directors = ["lb"]
device = "eth0"
"""


class Cluster:
    """Machines with a file, which all of them have in one place, and a client."""

    def __init__(self, text):
        folder = tempfile.mkdtemp()
        self.file = f"{folder}/cluster.toml"
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, 0o600)
        names = [*"abc", *re.findall(r'director..\nname = "(\w+)"', text)]
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

    def run(self, name, *words, status=0):
        """What the tool says on that machine."""
        with self.machines[name]:
            done = subprocess.run([SGCTL, "cluster", *words], capture_output=True, text=True,
                                  timeout=3 * PATIENCE, check=False)
        said = done.stdout + done.stderr
        equal(status, done.returncode, f"status of {words}: {said}")
        return said

    def apply(self, *more):
        """Has every machine do what the file says."""
        for name in self.machines:
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

    def serve(self):
        """A listener on each node."""
        return {name: bound(machine, socket.SOCK_STREAM, ADDRESS, PORT)
                for name, machine in self.nodes.items()}

    def connect(self):
        """A connection to the cluster IP."""
        with self.client:
            client = socket.socket()
            client.settimeout(PATIENCE)
            client.connect((ADDRESS, PORT))
        return client


def accepted(services):
    """Who has got the next connection, and its socket."""
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


def life(text):
    """From nothing to a cluster, through a drain, and back."""
    cluster = Cluster(text)
    said = cluster.run("a", "plan", cluster.file)
    expect(ADDRESS in said, f"plan: {said}")
    cluster.run("a", "apply", cluster.file, "--node", "a", "--dry-run")
    equal(None, cluster.shown("a"), "what a dry run leaves")
    cluster.apply()
    services = cluster.serve()
    pairs = conversations(cluster, services, 24)
    equal(set("abc"), {name for _, name, _ in pairs}, "nodes that serve")

    cluster.run("b", "drain", "b", "--file", cluster.file, "--node", "b")
    cluster.apply()
    equal(2, cluster.shown("c")["epoch"], "epoch")
    for client, _, server in pairs:
        converse(client, server)
    later = conversations(cluster, services, 12)
    expect("b" not in {name for _, name, _ in later}, "b is given nothing new")
    cluster.run("a", "node", "set", "b", "--state", "up", "--file", cluster.file, "--node", "a")
    cluster.apply()
    for client, _, server in pairs + later:
        converse(client, server)

    cluster.run("a", "del", ADDRESS, "--file", cluster.file, "--node", "a")
    cluster.apply()
    equal(None, cluster.shown("c"), "what is left")
    for name, machine in cluster.machines.items():
        with machine:
            left = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True)
        expect(ADDRESS not in left.stdout, f"address on {name}")
    for sock in [sock for client, _, server in pairs + later for sock in (client, server)]:
        sock.close()


def shared():
    """Every node receives everything."""
    life(SHARED)


def directed():
    """A director that is no node."""
    life(DIRECTED)


def what_is_wrong_is_told():
    """With the line, and nothing is changed."""
    cluster = Cluster(SHARED.replace('id = 3', 'id = 2'))
    with contextlib.suppress(FileNotFoundError):
        before = os.stat(cluster.file).st_mtime_ns
    said = cluster.run("a", "apply", cluster.file, "--node", "a", status=2)
    expect("cluster.toml:" in said, f"where: {said}")
    equal(before, os.stat(cluster.file).st_mtime_ns, "the file")
    equal(None, cluster.shown("a"), "what is served")


def an_older_file_is_refused():
    """A machine does not go back."""
    cluster = Cluster(SHARED)
    cluster.run("a", "plan", cluster.file)
    with open(cluster.file, encoding="utf-8") as file:
        older = file.read()
    cluster.run("a", "drain", "b", "--file", cluster.file, "--node", "a")
    with open(cluster.file, "w", encoding="utf-8") as file:
        file.write(older)
    said = cluster.run("a", "apply", cluster.file, "--node", "a", status=1)
    expect("epoch" in said, f"why: {said}")
    equal(2, cluster.shown("a")["epoch"], "epoch")


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_cluster", [
        shared, directed, what_is_wrong_is_told, an_older_file_is_refused,
    ]))
