#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster keepalived: of two directors one directs, and the other one when it cannot.

It is frozen, killed, or does not serve the address any more; and it comes back."""

import contextlib
import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import tool_clusters
from clusters import open_family_on
from machines import bound, has_arp_hooks
from service_group import (PATIENCE, Skip, equal, expect, run_tests, start,
                           switch, wait_until)
from tool_clusters import NODES, PORT, Cluster, conversations, converse

ADDRESSES = {4: tool_clusters.ADDRESS, 6: "fd09::100"}
# How the addresses of nodes begin, whose number follows.
PREFIX = {4: "10.9.0.", 6: "fd09::"}
NAMES = ("lb1", "lb2")
OTHER = {"lb1": "lb2", "lb2": "lb1"}
# As the tool has them: the one that is named first is preferred.
PRIORITIES = {"lb1": 200, "lb2": 195}
ETH_P_IP = 0x0800
VRRP = 112


def text(version):
    """The file of a cluster with two directors."""
    nodes = NODES.replace(PREFIX[4], PREFIX[version])
    directors = "".join(f'[[director]]\nname = "{name}"\n' for name in NAMES)
    return f"""{nodes}
{directors}
[[address]]
ip = "{ADDRESSES[version]}"
mode = "directed"
directors = ["lb1", "lb2"]
device = "eth0"
"""


class Cluster6(Cluster):
    """The same with an IPv6 address."""

    def owner(self, client):
        """Whose a connection is, as the tool computes it."""
        host, port = client.getsockname()[:2]
        said = self.run("a", "owner", f"[{host}]:{port}", f"[{ADDRESSES[6]}]:{PORT}", "tcp",
                        "--file", self.file)
        return re.search(r"^slot \d+ is node (\w+)'s$", said, re.MULTILINE)[1]

    def serve(self, names="abc"):
        """A listener on each node, or on these."""
        return {name: bound(self.nodes[name], socket.SOCK_STREAM, ADDRESSES[6], PORT)
                for name in names}

    def connect(self):
        """A connection to the cluster IP."""
        with self.client:
            client = socket.socket(socket.AF_INET6)
        client.settimeout(PATIENCE)
        client.bind(("", next(self.ports)))
        client.connect((ADDRESSES[6], PORT))
        return client


class Keepalived:
    """The program on one machine, with the configuration that the tool makes."""

    def __init__(self, cluster, name, folder):
        self.machine = cluster.machines[name]
        path = tempfile.mkdtemp(dir=folder)
        self.log = f"{path}/log"
        config = f"{path}/conf"
        made = cluster.run(name, "keepalived", cluster.file, "--node", name)
        # An emulated machine takes as long as a second for a check, and may halt for seconds.
        slower = made
        for one, other in ("    interval 1\n", "    interval 3\n"), ("advert_int 1\n",
                                                                     "advert_int 2\n"):
            slower = slower.replace(one, other)
            expect(one in made, f"not as often: {made}")
        with open(config, "w", encoding="utf-8") as file:
            file.write(slower)
        os.chmod(config, 0o600)
        with self.machine, open(self.log, "w", encoding="utf-8") as log:
            found = subprocess.run(
                ["keepalived", "--log-console", f"--use-file={config}", "--config-test"],
                capture_output=True, text=True, check=False)
            equal((0, ""), (found.returncode, found.stdout + found.stderr), "what is wrong with it")
            self.process = start(
                ["keepalived", "--dont-fork", "--log-console", "--vrrp", f"--use-file={config}",
                 f"--pid={path}/pid", f"--vrrp_pid={path}/vrrp",
                 f"--checkers_pid={path}/checkers", f"--bfd_pid={path}/bfd"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def signal(self, number):
        """To all of its processes."""
        os.killpg(self.process.pid, number)

    def kill(self):
        """Without a chance to tell anybody."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def lives(self):
        """Whether it was not killed."""
        return self.process.returncode is None

    def said(self):
        """Its log."""
        with open(self.log, encoding="utf-8") as file:
            return file.read()


class Directors:
    """Two of them, three nodes and a client."""

    def __init__(self, version, folder):
        self.version, self.folder = version, folder
        self.cluster = {4: Cluster, 6: Cluster6}[version](text(version))
        self.cluster.run("a", "plan", self.cluster.file)
        self.cluster.apply()
        self.daemons = {}
        self.services = self.cluster.serve()
        self.pairs = []

    def start(self, name):
        """Starts keepalived there."""
        self.daemons[name] = Keepalived(self.cluster, name, self.folder)

    def role(self, name):
        """What that machine is."""
        return (self.cluster.shown(name) or {}).get("role")

    def directing(self):
        """The one that directs, if only one does."""
        found = [name for name, daemon in self.daemons.items()
                 if daemon.lives() and self.role(name) == "director"]
        return found[0] if len(found) == 1 else None

    def wait_for(self, name):
        """Until it directs, and nobody else."""
        # It begins with checks, each of which may take seconds.
        wait_until(lambda: self.directing() == name, f"{name} directs", 4 * PATIENCE)

    def has_address(self, name):
        """Whether its device has the cluster IP."""
        with self.cluster.machines[name]:
            told = subprocess.run(["ip", "addr", "show", "dev", "eth0"], check=True, text=True,
                                  capture_output=True).stdout
        return f" {ADDRESSES[self.version]}/" in told

    def connections(self):
        """Those that there are go on, and new ones are served."""
        for client, _, server in self.pairs:
            converse(client, server)
        self.pairs += conversations(self.cluster, self.services, 9)


@contextlib.contextmanager
def directors(version=4, first="lb1"):
    """Two directors, of which this one directs."""
    if not shutil.which("keepalived"):
        raise Skip("there is no keepalived")
    if version == 4 and not has_arp_hooks():
        raise Skip("this kernel does not show ARP packets, so the module does not answer")
    # It runs no script that others than root could change, nor one in a folder that they could.
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        tool_clusters.SGCTL = shutil.copy(tool_clusters.SGCTL, folder)
        both = Directors(version, folder)
        try:
            both.start(first)
            both.wait_for(first)
            both.start(OTHER[first])
            wait_until(lambda: "BACKUP STATE" in both.daemons[OTHER[first]].said(), "the other one")
            both.wait_for(first)
            both.connections()
            yield both
        except BaseException:
            for name, daemon in both.daemons.items():
                print("".join(f"# {name}: {line}\n" for line in daemon.said().splitlines()))
            raise
        finally:
            for daemon in both.daemons.values():
                if daemon.lives():
                    daemon.kill()


def one_takes_over(version):
    """When the other one is dead."""
    with directors(version) as both:
        both.daemons["lb1"].kill()
        with both.cluster.machines["lb1"]:
            switch("eth0", False)
        before = both.cluster.counter("lb1", "forwarded")
        both.wait_for("lb2")
        both.connections()
        equal(before, both.cluster.counter("lb1", "forwarded"), "forwarded by the dead one")
        expect(both.cluster.counter("lb2", "forwarded") > 18, "forwarded by the other one")


def takes_over():
    """Connections go on, and new ones are served."""
    one_takes_over(4)


def takes_over_ipv6():
    """The same with VRRP version 3."""
    one_takes_over(6)


def is_frozen(name):
    """A director that tells nobody that it lives, and after a while does so again."""
    with directors(first=name) as both:
        both.daemons[name].signal(signal.SIGSTOP)
        wait_until(lambda: both.role(OTHER[name]) == "director", "the other one",
                   4 * PATIENCE)
        both.connections()
        both.daemons[name].signal(signal.SIGCONT)
        # Both have directed, and the preferred one goes on.
        both.wait_for("lb1")
        wait_until(lambda: not both.has_address("lb2"), "the other one has the address no more")
        expect(both.has_address("lb1"), "the one that directs has the address")
        both.connections()


def the_preferred_one_is_frozen():
    """It directs again when it is thawed."""
    is_frozen("lb1")


def the_other_one_is_frozen():
    """It directs no more when it is thawed."""
    is_frozen("lb2")


def advertised(both, count):
    """The priorities in that many advertisements from now on."""
    found = []
    with both.cluster.client:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    with sock:
        sock.settimeout(PATIENCE)
        while len(found) < count:
            packet = sock.recv(100)
            if packet[9] == VRRP:
                found.append(packet[4 * (packet[0] & 15) + 2])
    return found


def comes_back():
    """Though it is preferred it stands by, until it is needed."""
    with directors() as both:
        both.daemons["lb1"].kill()
        both.wait_for("lb2")
        equal("director", both.role("lb1"), "role of the dead one, which nobody has told")
        both.start("lb1")
        wait_until(lambda: "BACKUP STATE" in both.daemons["lb1"].said(), "it is back")
        # It would have directed after three of them.
        equal({PRIORITIES["lb2"]}, set(advertised(both, 8)), "who advertises")
        both.wait_for("lb2")
        expect(not both.has_address("lb1"), "the one that is back has no address")
        both.connections()
        both.daemons["lb2"].kill()
        with both.cluster.machines["lb2"]:
            switch("eth0", False)
        both.wait_for("lb1")
        both.connections()


def serves_no_more():
    """One that is alive and does not serve the address, or is not told that it directs."""
    with directors() as both:
        one = both.cluster.machines["lb1"]
        open_family_on([one])
        with one:
            one.ynl.do("cluster-del", {
                "family": socket.AF_INET, "protocol": 0, "port": 0,
                "address": ipaddress.ip_address(ADDRESSES[4]).packed})
        expect(both.has_address("lb1"), "keepalived has not been told")
        both.wait_for("lb2")
        wait_until(lambda: not both.has_address("lb1"), "it has the address no more", 4 * PATIENCE)
        both.connections()
        both.cluster.run("lb1", "apply", both.cluster.file, "--node", "lb1")
        equal("standby", both.role("lb1"), "role of the one that serves again")
        both.cluster.run("lb2", "role", "standby")
        both.wait_for("lb1")
        wait_until(lambda: not both.has_address("lb2"), "it has the address no more")
        both.connections()


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_keepalived", [
        takes_over, takes_over_ipv6, the_preferred_one_is_frozen, the_other_one_is_frozen,
        comes_back, serves_no_more,
    ]))
