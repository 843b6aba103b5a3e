#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""directing = "one": links choose which director directs, and no agent is needed for that."""

import itertools
import json
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from machines import FAMILIES, Machine, bound, has_arp_hooks, ip_commands
from service_group import PATIENCE, SGCTL, Skip, equal, expect, run_tests, start, switch, wait_until
from sgctl_agent import Agents
from tool_clusters import converse, sgctl

ADDRESSES = {4: "10.9.0.100", 6: "fd09::100"}
PORT = 80
NODES, DIRECTORS = "ab", "cd"
EXPORT = 9100


class Directors(Agents):
    """Two nodes, and two machines that own no slots and may direct; and a client."""

    def __init__(self, version=4):
        if version == 4 and not has_arp_hooks():
            raise Skip("this kernel does not show ARP packets, so the module does not answer")
        super().__init__(NODES + DIRECTORS, version=version)
        self.version = version
        self.ports = itertools.count(20000)
        text = self.read("a")
        # An emulated machine may halt for some hundreds of milliseconds.
        text = text.replace("[cluster]\n", "[cluster]\nheartbeat = 200\n")
        for name in DIRECTORS:
            text = text.replace(f'name = "{name}"\n', f'name = "{name}"\nstate = "draining"\n')
        text += (f'[[address]]\nip = "{ADDRESSES[version]}"\nmode = "directed"\ndirecting = "one"\n'
                 'directors = ["c", "d"]\ndevice = "eth0"\n')
        self.write("a", text)
        sgctl("plan", self.file("a"))
        self.client = Machine(9)
        ip_commands(*self.client.cable())
        self.client.plug_in()

    def begin(self):
        """All agents run, and the first director directs."""
        self.start()
        self.all_up()
        self.directs("c")

    def run(self, name, *words, status=0):
        """What the tool says on that machine."""
        with self.machines[name]:
            return sgctl(*words, status=status)

    def shown(self, name):
        """The cluster IP, as the tool shows it there."""
        told = json.loads(self.run(name, "show", "--json", "--file", self.file("a")))
        return told[0] if told else {}

    def role(self, name):
        """What a machine is, and why."""
        shown = self.shown(name)
        return shown.get("role"), shown.get("role_reason")

    def directs(self, name):
        """Waits until this machine directs, and the other one does not."""
        other = DIRECTORS.replace(name, "")
        wait_until(lambda: self.role(name) == ("director", "first"), f"{name} directs")
        wait_until(lambda: self.role(other)[0] == "standby", f"{other} stands by")

    def serve(self):
        """Connections are served by the nodes."""
        address = ADDRESSES[self.version]
        listeners = {name: bound(self.machines[name], socket.SOCK_STREAM, address, PORT) for name in NODES}
        for port in itertools.islice(self.ports, 6):
            with self.client, socket.socket(FAMILIES[self.version]) as client:
                client.settimeout(PATIENCE)
                client.bind(("", port))
                client.connect((address, PORT))
                name = wait_until(lambda: next((it for it in NODES if is_ready(listeners[it])), None),
                                  "who has taken it")
                server = listeners[name].accept()[0]
                server.settimeout(PATIENCE)
                converse(client, server)
                server.close()
        for listener in listeners.values():
            listener.close()

    def has_address(self, name):
        """The devices of a machine that have the cluster IP."""
        with self.machines[name]:
            told = json.loads(subprocess.check_output(["ip", "-json", "addr"]))
        return [device["ifname"] for device in told for address in device["addr_info"]
                if address.get("local") == ADDRESSES[self.version]]


def is_ready(listener):
    """Whether a connection waits there."""
    return bool(select.select([listener], [], [], 0)[0])


def is_chosen(version):
    """The first one directs, and both have the address where nobody asks for it."""
    agents = Directors(version)
    agents.begin()
    equal(("standby", "preferred"), agents.role("d"), "the other one")
    for name in DIRECTORS:
        equal(["lo"], agents.has_address(name), f"where {name} has the address")
    agents.serve()
    switch("port3", False)
    wait_until(lambda: agents.role("d") == ("director", "first"), "the other one directs")
    agents.serve()
    switch("port3", True)
    agents.all_up()
    agents.directs("c")
    agents.serve()


def is_chosen_ipv4():
    """When its cable is cut the other one takes over, and it takes over again when it is back."""
    is_chosen(4)


def is_chosen_ipv6():
    """The same."""
    is_chosen(6)


def without_agents():
    """Agents that are dead or frozen change nothing, and need not act when the other one takes over."""
    agents = Directors()
    agents.begin()
    agents.end("c", signal.SIGKILL)
    agents.running["d"].send_signal(signal.SIGSTOP)
    frames = agents.status("d")["c"]["frames_in"]
    # Longer than a machine is silent that is given up.
    wait_until(lambda: agents.status("d")["c"]["frames_in"] > frames + 15, "they talk")
    equal(("director", "first"), agents.role("c"), "the one whose agent is dead")
    equal(("standby", "preferred"), agents.role("d"), "the one whose agent is frozen")
    agents.serve()
    switch("port3", False)
    wait_until(lambda: agents.role("d") == ("director", "first"), "the other one directs")
    agents.serve()
    agents.running["d"].send_signal(signal.SIGCONT)


def is_told():
    """Each command says who directs, and why this machine does or does not."""
    agents = Directors()
    agents.begin()
    why = "as a director that comes before it is there"
    for name, expected in (("a", "c directs\n"),
                           ("c", "this machine directs, as no director that comes before it is there\n"),
                           ("d", f"c directs, and this machine stands by, {why}\n")):
        wait_until(lambda it=name, of=expected: of in agents.run(it, "status", "--file", agents.file("a")),
                   f"status on {name}")
        expect(f" {expected}" in agents.run(name, "show", "--file", agents.file("a")), f"show on {name}")
    told = json.loads(agents.run("d", "status", "--json"))["addresses"][0]
    equal(("standby", [3, 4], 3, "preferred"),
          tuple(told[it] for it in ("role", "directors", "acting", "role_reason")), "status --json")
    page = metrics(agents.machines["d"])
    for line in ("role", "3"), ("acting", "3"), ("role_reason", "3"), ("address", "1"):
        expect(f'cluster_{line[0]}{{address="10.9.0.100",protocol="0",port="0"}} {line[1]}\n' in page,
               f"{line} of {page}")
    with agents.machines["d"]:
        monitor = start([SGCTL, "monitor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    expect("listening" in monitor.stderr.readline(), "monitor listens")
    switch("port3", False)
    next(line for line in monitor.stdout if "this machine directs, as no director" in line)
    monitor.terminate()
    expect("can be applied" in agents.run("d", "check", agents.file("a")), "check")


def metrics(machine):
    """What Prometheus is told."""
    with machine:
        start([SGCTL, "export", "--listen", f"127.0.0.1:{EXPORT}"], stdout=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{EXPORT}/metrics") as answer:
                    return answer.read().decode()
            except urllib.error.URLError:
                expect(time.monotonic() < end, "the export answers")
                time.sleep(0.01)


def is_nobody_elses():
    """keepalived's commands are refused, and change nothing, until the file says that it chooses."""
    agents = Directors()
    agents.begin()
    address = ADDRESSES[4]
    for words in ("role", "standby"), ("role", "standby", address), ("ready", address):
        said = agents.run("c", *words, status=1)
        expect(f"links say who directs {address}" in said, f"{words}: {said}")
    said = agents.run("c", "keepalived", agents.file("a"), "--node", "c", status=2)
    expect("directing" in said, said)
    equal(("director", "first"), agents.role("c"), "role")
    agents.run("c", "set", address, "--directing", "given", "--file", agents.file("a"), "--node", "c",
               "--keys", agents.keys("c"), "--no-push")
    wait_until(lambda: agents.role("c")[1] == "given" and agents.role("d")[1] == "given",
               "the agents have applied the file")
    agents.run("c", "role", "standby", address)
    equal(("standby", "given"), agents.role("c"), "role that is given")
    agents.run("c", "ready", address)
    agents.run("c", "set", address, "--directing", "one", "--file", agents.file("a"), "--node", "c",
               "--keys", agents.keys("c"), "--no-push")
    agents.directs("c")


def without_links():
    """Before an agent has begun nobody directs; and a file is refused of which a director has no links."""
    agents = Directors()
    text = agents.read("a")
    agents.run("c", "apply", agents.file("a"), "--node", "c")
    equal(("standby", "unlinked"), agents.role("c"), "role")
    said = agents.run("c", "show", "--file", agents.file("a"))
    expect("no machine directs, and this machine stands by, as it expects no links" in said, said)
    before, name, rest = text.partition('name = "c"')
    agents.write("a", before + name + re.sub("fingerprint.*\n", "", rest, count=1))
    said = agents.run("c", "check", agents.file("a"), status=1)
    expect('"c" has no links' in said and "sgctl cluster init" in said, said)


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_directing", [
        is_chosen_ipv4, is_chosen_ipv6, without_agents, is_told, is_nobody_elses, without_links,
    ]))
