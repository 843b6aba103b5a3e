#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks of the services behind a cluster IP, which the agents do: a node whose check fails gets no new
connections, keeps those that it has, and gets new ones when the check succeeds again."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

from service_group import SGCTL, equal, expect, run_tests, start, wait_until
from tool_clusters import ADDRESS, NODES, PORT, Cluster, accepted, conversations, converse, sgctl

# No machine is suspect, however busy this one is.
FILE = f"""[cluster]
id = "{'5a' * 16}"
link-security = "none"
heartbeat = 2000

{NODES}
[[address]]
ip = "{ADDRESS}"
protocol = "tcp"
port = {PORT}
device = "eth0"
check = {{{{ {{}}, rise = 2, fall = 2 }}}}
"""
# No check that ends takes so long, and one that does not end only so long.
OFTEN = "interval = 100, timeout = 60000"
SHORT = "interval = 100, timeout = 5000"
# Fails, or does not end, on the machines of whose network namespaces there is such a file.
PROGRAM = """#!/bin/sh
net=$(stat -Lc %i /proc/self/ns/net)
[ -e {0}/hangs-$net ] && {{ sleep 86399 & wait; }}
[ "$SERVICE_GROUP_ADDRESS:$SERVICE_GROUP_PORT" = 198.51.100.7:80 ] && ! [ -e {0}/fails-$net ]
"""
ALL = ["a", "b", "c"]


class Checked(Cluster):
    """Three linked machines that share an address, and check their services."""

    def __init__(self, check):
        super().__init__(FILE.format(check))
        self.folder = os.path.dirname(self.file)
        os.mkdir(f"{self.folder}/checks")
        with open(f"{self.folder}/checks/web", "w", encoding="utf-8") as program:
            program.write(PROGRAM.format(self.folder))
        os.chmod(f"{self.folder}/checks/web", 0o755)
        sgctl("plan", self.file)
        for name, machine in self.machines.items():
            with machine, open(f"{self.folder}/{name}.log", "w", encoding="utf-8") as log:
                start([SGCTL, "agent", "--json", "--file", self.file, "--node", name], stdout=log,
                      stderr=subprocess.STDOUT)
        for name in ALL:
            wait_until(lambda of=name: self.states(of) == ["up", "up"], f"links of {name}")
        self.services = self.serve()

    def states(self, name):
        """What the links of a machine are."""
        told = json.loads(self.run(name, "status", "--json", "--file", self.file))
        return [link["state"] for link in told["links"]]

    def mark(self, what, name):
        """The file that tells the program what to do on a machine."""
        with self.machines[name]:
            return f"{self.folder}/{what}-{os.stat('/proc/thread-self/ns/net').st_ino}"

    def away(self, *names):
        """Waits until all machines give new connections of these to others, and of nobody else."""
        def seen(of):
            nodes = self.shown(of)["nodes"]
            return [ALL[node["id"] - 1] for node in nodes if node["away"]]
        for name in ALL:
            wait_until(lambda of=name: seen(of) == list(names), f"{names} away for {name}")

    def health(self, name):
        """What a machine says of its own service."""
        shown = self.shown(name)
        return shown["healthy"], shown["ready"]

    def says(self, name, event):
        """What the agent of a machine has said of that kind."""
        with open(f"{self.folder}/{name}.log", encoding="utf-8") as log:
            said = [json.loads(line) for line in log if line.startswith("{")]
        return [it["text"] for it in said if it["event"] == event]

    def takers(self, count):
        """Who takes that many new connections."""
        names = set()
        for _ in range(count):
            client = self.connect()
            name, server = accepted(self.services)
            converse(client, server)
            names.add(name)
        return names

    def comes_back(self, name):
        """Waits until it is not away any more, and has it take a new connection."""
        self.away()
        equal((True, True), self.health(name), "healthy, and ready")
        wait_until(lambda: name in self.takers(1), f"{name} takes one")


def told_of_b(cluster, pair, *_):
    """All ways to look say that b is not ready, and who its deputies are; one connection of b's is given."""
    why = "b is not ready, as nothing listens there, or a check fails"
    told = json.loads(cluster.run("a", "status", "--json", "--file", cluster.file))["addresses"][0]
    away, = told["away"]
    equal(("b", "not-ready"), (away["name"], away["reason"]), "who is away, and why")
    slots = {one["name"]: one["slots"] for one in away["deputies"]}
    equal({"a", "c"}, set(slots), "deputies")
    b = next(node for node in cluster.shown("a")["nodes"] if node["id"] == 2)
    equal((b["slots"], b["slots"]), (b["deputised"], sum(slots.values())), "slots with deputies")
    for words in ("status", "show"):
        said = cluster.run("a", words, "--file", cluster.file)
        expect(f"{why}: a has {slots['a']} slots of it, c has" in said, said)
    said = cluster.run("b", "show", "--file", cluster.file)
    expect("b is not ready, as a check fails: a has" in said, said)
    # One of its own connections, and who would get it now.
    host, port = pair[0].getsockname()
    said = cluster.run("a", "owner", f"{host}:{port}", f"{ADDRESS}:{PORT}", "tcp", "--file", cluster.file)
    expect(f"node b's\n{why}, as this machine believes: its deputy " in said, said)
    with cluster.machines["a"]:
        said = subprocess.run([SGCTL, "why", f"{ADDRESS}:{PORT}", f"{host}:{port}", "--json"], check=True,
                              capture_output=True, text=True).stdout
        whose = json.loads(said)["cluster"]
        equal((2, "not-ready"), (whose["owner"]["node"], whose["away"]["reason"]), "whose it is")
        expect(whose["deputy"]["node"] in (1, 3), f"whose it is: {whose}")
        said = subprocess.run([SGCTL, "top", "--once", "--interval", "100ms"], check=True,
                              capture_output=True, text=True).stdout
    expect("1 cluster IP, 2 links" in said and "node 2 is not ready" in said, said)


def a_program_fails():
    """The status of a program says it; several in a row are needed, and all is told."""
    cluster = Checked(f'command = "web", {OFTEN}')
    cluster.away()
    pairs = conversations(cluster, cluster.services, 12)
    equal(set(ALL), {name for _, name, _ in pairs}, "who takes connections")
    with cluster.machines["b"], subprocess.Popen(
            [SGCTL, "monitor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as monitor:
        monitor.stderr.readline()
        with open(cluster.mark("fails", "b"), "w", encoding="utf-8"):
            cluster.away("b")
        line = next(line for line in monitor.stdout if "not ready as a check fails" in line)
        expect(f"cluster {ADDRESS} tcp port {PORT} changed" in line, line)
        monitor.terminate()
    equal((False, False), cluster.health("b"), "healthy, and ready")
    equal((True, True), cluster.health("a"), "healthy, and ready")
    equal(["not healthy: the check ends with status 1"], cluster.says("b", "health"), "what b says")
    equal([], cluster.says("a", "health"), "what a says")
    told_of_b(cluster, *(pair for pair in pairs if pair[1] == "b"))
    equal({"a", "c"}, cluster.takers(12), "who takes connections")
    for client, _, server in pairs:
        converse(client, server)
    # What is known outlives another table.
    cluster.run("a", "node", "set", "a", "--weight", "2", "--file", cluster.file, "--node", "a")
    wait_until(lambda: all(cluster.shown(name)["epoch"] == 2 for name in ALL), "the new table")
    cluster.away("b")
    equal({"a", "c"}, cluster.takers(12), "who takes connections")
    os.unlink(cluster.mark("fails", "b"))
    cluster.away()
    equal("healthy", cluster.says("b", "health")[-1], "what b says")
    for client, _, server in pairs:
        converse(client, server)


def a_program_hangs():
    """What takes too long is ended, with all that it has begun, and has failed."""
    def left():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as line:
                found += [pid] if b"86399" in line.read() else []
        return found

    cluster = Checked(f'command = "web", {SHORT}')
    with open(cluster.mark("hangs", "c"), "w", encoding="utf-8"):
        cluster.away("c")
    equal(["not healthy: the check took longer than 5s"], cluster.says("c", "health"), "what c says")
    os.unlink(cluster.mark("hangs", "c"))
    cluster.comes_back("c")
    wait_until(lambda: not left(), "all are ended")


class Page:
    """A server of HTTP on a machine that answers with this status; None: it says nothing."""

    def __init__(self, machine):
        self.status = 200
        with machine:
            self.listener = socket.create_server(("127.0.0.1", 8080), backlog=64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """Answers one after the other."""
        silent = []
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                asked = sock.recv(1000)
                if self.status is None:
                    silent.append(sock)
                    continue
                path = asked.split()[1].decode()
                status = self.status if path == "/health" else 404
                sock.sendall(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())
                sock.close()


def http_fails():
    """The status of an answer says it, and that there is none."""
    cluster = Checked(f'http = "http://127.0.0.1:8080/health", {SHORT}')
    # Nobody answers yet: all are away, and so none is.
    wait_until(lambda: all(cluster.health(name) == (False, False) for name in ALL), "none is healthy")
    pages = {name: Page(cluster.machines[name]) for name in ALL}
    cluster.away()
    wait_until(lambda: all(cluster.health(name) == (True, True) for name in ALL), "all are healthy")
    for status, why in (503, "answers with status 503"), (None, "does not answer within 5s"):
        pages["a"].status = status
        cluster.away("a")
        expect(why in cluster.says("a", "health")[-1], f"what a says: {cluster.says('a', 'health')}")
        equal({"b", "c"}, cluster.takers(9), "who takes connections")
        pages["a"].status = 200
        cluster.comes_back("a")


def no_check_any_more():
    """Without a check, or with another one, what the last one said is forgotten."""
    cluster = Checked(f'command = "web", {OFTEN}')
    with open(cluster.mark("fails", "b"), "w", encoding="utf-8"):
        cluster.away("b")
    more = ("--protocol", "tcp", "--port", str(PORT), "--file", cluster.file, "--node", "a")
    cluster.run("a", "set", ADDRESS, "--no-check", *more)
    cluster.comes_back("b")
    expect("no check" in cluster.says("b", "health")[-1], "what b says")
    # The first check that fails is enough.
    check = f'command = "web", {OFTEN}, fall = 1000'
    cluster.run("a", "set", ADDRESS, "--check", check, *more)
    cluster.away("b")
    said = cluster.run("b", "show", "--file", cluster.file)
    expect("not ready as a check fails" in said, said)


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_checks", [
        a_program_fails, a_program_hangs, http_fails, no_check_any_more,
    ]))
