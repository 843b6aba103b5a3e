#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl agent: machines are linked, stay so without their agents, and notice when one is gone."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile

from machines import gives, ip_commands, segment
from service_group import SGCTL, equal, expect, run_tests, start, switch, wait_until
from tool_clusters import sgctl
from unloading import load, rmmod, unload

NAMES = "abc"


class Agents:
    """Machines on a segment, each with a key and an agent of its own, and one file."""

    def __init__(self, names=NAMES, version=4, security="tls", own_files=False):
        # Debian's kernel has it as a module, which a namespace's user does not load.
        subprocess.run(["modprobe", "tls"], check=False, capture_output=True)
        self.folder = tempfile.mkdtemp()
        self.own_files = own_files
        self.machines = dict(zip(names, segment(len(names))))
        self.running = {}
        self.write("a", self.described(version, security))
        if own_files:
            for name in names[1:]:
                self.write(name, self.read("a"))

    def described(self, version, security):
        """The text of the file."""
        text = f'[cluster]\nid = "{"5a" * 16}"\nlink-security = "{security}"\n'
        for name, machine in self.machines.items():
            os.mkdir(self.keys(name))
            text += f'[[node]]\nname = "{name}"\nid = {machine.number}\n'
            text += f'address = "{machine.address(version)}"\n'
            if security == "tls":
                told = json.loads(sgctl("init", "--name", name, "--keys", self.keys(name), "--file",
                                        f"{self.folder}/none.toml", "--json"))
                text += f'fingerprint = "{told["fingerprint"]}"\n'
        return text

    def keys(self, name):
        """The folder of a machine's key."""
        return f"{self.folder}/{name}"

    def file(self, name):
        """The file as a machine has it."""
        return f"{self.folder}/{name if self.own_files else 'cluster'}.toml"

    def read(self, name):
        """Its text."""
        with open(self.file(name), encoding="utf-8") as file:
            return file.read()

    def write(self, name, text):
        """Gives it another text, all at once."""
        draft = f"{self.folder}/draft"
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(draft, 0o600)
        os.rename(draft, self.file(name))

    def start(self, *names):
        """Starts the agents of these machines, or of all."""
        for name in names or self.machines:
            with self.machines[name], open(self.log(name), "a", encoding="utf-8") as log:
                before = self.says(name, "begin")
                self.running[name] = start(
                    [SGCTL, "agent", "--json", "--file", self.file(name), "--node", name,
                     "--keys", self.keys(name)], stdout=log, stderr=subprocess.STDOUT)
            wait_until(lambda it=name, old=before: self.says(it, "begin") > old,
                       f"the agent of {name} begins")

    def end(self, name, how=signal.SIGTERM):
        """Ends an agent; its status."""
        agent = self.running.pop(name)
        agent.send_signal(how)
        return agent.wait()

    def log(self, name):
        """The file with what an agent says."""
        return f"{self.folder}/{name}.log"

    def says(self, name, event, text="", machine=None):
        """How often an agent has said something."""
        with open(self.log(name), encoding="utf-8") as file:
            lines = file.read().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        agent = self.running.get(name)
        expect(agent is None or agent.poll() is None, f"the agent of {name} ended: {lines[-3:]}")
        return sum(it["event"] == event and text in it["text"]
                   and machine in (None, it.get("machine")) for it in said)

    def status(self, name):
        """The links of a machine, by the name of the peer."""
        with self.machines[name]:
            told = json.loads(sgctl("status", "--json", "--file", self.file("a")))
        return {link["name"]: link for link in told["links"]}

    def states(self, name):
        """The states of its peers."""
        return {peer: link["state"] for peer, link in self.status(name).items()}

    def are(self, **states):
        """Waits until these machines have those states on all others but those that have them."""
        def seen():
            return all(self.states(name).get(peer) == state for name in self.machines
                       for peer, state in states.items() if name not in states)
        wait_until(seen, f"{states}")

    def all_up(self):
        """Waits until all machines are linked to all others."""
        for name in self.machines:
            peers = set(self.machines) - {name}
            wait_until(lambda of=name, to=peers: self.states(of) == dict.fromkeys(to, "up"),
                       f"the links of {name}")

    def links(self):
        """What tells one link from another, for each pair of machines."""
        return {(name, peer): (link["local"], link["remote"]) for name in self.machines
                for peer, link in self.status(name).items()}


def linked(version=4, security="tls"):
    """Each pair has one link, which the one with the lower number has made."""
    agents = Agents(version=version, security=security)
    agents.start()
    agents.all_up()
    port = ":5347"
    for (name, peer), (local, remote) in agents.links().items():
        ends = (local, remote) if name > peer else (remote, local)
        expect(ends[0].endswith(port) and not ends[1].endswith(port), f"{name} to {peer}: {ends}")
    for name in agents.machines:
        for link in agents.status(name).values():
            equal(security == "tls", link["secure"], "whether it is encrypted")
            expect(link["heard_ms"] is not None and link["frames_in"] > 0, f"heard: {link}")


def linked_by_ipv6():
    """The addresses may be IPv6 ones."""
    linked(version=6)


def linked_in_the_clear():
    """Without keys, if the file says so; the agent says so as well."""
    linked(security="none")


def without_agents():
    """Links go on without the agents, which find them again."""
    agents = Agents()
    agents.start()
    agents.all_up()
    before = agents.links()
    equal(0, agents.end("a"), "status of SIGTERM")
    agents.end("b", signal.SIGKILL)
    agents.running["c"].send_signal(signal.SIGSTOP)
    frames = agents.status("a")["b"]["frames_in"]
    wait_until(lambda: agents.status("a")["b"]["frames_in"] > frames + 5, "they talk")
    agents.all_up()
    agents.running["c"].send_signal(signal.SIGCONT)
    agents.start("a", "b")
    agents.all_up()
    equal(before, agents.links(), "links")


def cut_off():
    """A machine whose cable is cut is suspected, and then given up, and is linked again afterwards."""
    agents = Agents()
    agents.start()
    agents.all_up()
    switch("port3", False)
    agents.are(c="unreachable")
    for name in "ab":
        expect(agents.status(name)["c"]["away"], f"it gets new flows from {name}")
        equal("up", agents.states(name)["ab".replace(name, "")], "the other one")
        expect(agents.says(name, "state", "unreachable", "c"), f"what the agent of {name} says")
    switch("port3", True)
    agents.all_up()


def gone_at_once():
    """A machine that ends says so: nobody waits for its silence."""
    agents = Agents("ab")
    agents.start()
    agents.all_up()
    with agents.machines["b"]:
        said = sgctl("leave")
    expect("no links any more" in said, f"leave: {said}")
    agents.are(b="unreachable")
    agents.running["b"].send_signal(signal.SIGHUP)
    agents.all_up()


def strangers():
    """Another key, another cluster: both sides say why, and there is no link."""
    agents = Agents("ab", own_files=True)
    text = agents.read("a")
    sgctl("init", "--name", "b", "--keys", agents.keys("b"), "--file",
          f"{agents.folder}/none.toml", "--force")
    agents.start("a")
    with agents.machines["b"]:
        refused = subprocess.run(
            [SGCTL, "agent", "--file", agents.file("b"), "--node", "b", "--keys",
             agents.keys("b")], capture_output=True, text=True, check=False)
    equal(1, refused.returncode, "status of a machine with another key than the file's")
    expect("has the fingerprint" in refused.stderr, refused.stderr)
    # As if somebody else had taken its address.
    told = sgctl("init", "--name", "b", "--keys", agents.keys("b"), "--file",
                 f"{agents.folder}/none.toml", "--json")
    new = json.loads(told)["fingerprint"]
    old = re.findall(r'fingerprint = "(.*)"', text)[1]
    agents.write("b", text.replace(old, new))
    agents.start("b")
    wait_until(lambda: agents.says("a", "failed", "its certificate is", "b"), "a says why")
    wait_until(lambda: agents.says("b", "refused", "does not know the certificate", "a"),
               "b says why")
    # The file is told to be changed by its date alone.
    agents.write("a", text.replace(old, new))
    agents.all_up()
    agents.write("b", text.replace(old, new).replace("5a" * 16, "5b" * 16))
    for name in "ab":
        wait_until(lambda it=name: agents.says(it, "failed" if it == "a" else "refused",
                                               "another cluster"), f"{name} says why")
    equal("unreachable", wait_until(lambda: agents.states("a")["b"], "a state"), "state")


def another_key():
    """A machine that has another key in the file is linked anew, also if the file has changed while the
    agent of the other one was not there."""
    agents = Agents("ab", own_files=True)
    agents.start()
    agents.all_up()
    for is_there in True, False:
        before = agents.links()
        if not is_there:
            agents.end("a")
        agents.end("b")
        sgctl("init", "--name", "b", "--keys", agents.keys("b"), "--file", agents.file("b"), "--force")
        text = agents.read("b")
        agents.start("b")
        equal(before, agents.links(), "the links are there until the other one has the file")
        agents.write("a", text)
        if not is_there:
            agents.start("a")
        wait_until(lambda: agents.links().get(("a", "b")) not in (before["a", "b"], (None, None), None),
                   "another link")
        agents.all_up()


def wrong_files():
    """A file that is wrong is told, and changes nothing."""
    agents = Agents("ab")
    agents.start()
    agents.all_up()
    before, text = agents.links(), agents.read("a")
    agents.write("a", text + "[[node]]\nname = 7\n")
    wait_until(lambda: agents.says("a", "refused", "cluster.toml:"), "the agent says so")
    agents.write("a", text + "# The same.\n")
    wait_until(lambda: agents.says("a", "reload"), "it is right again")
    equal(before, agents.links(), "links")


def machines_come_and_go():
    """A machine that the file has no more has no links, one that it has again has."""
    agents = Agents()
    agents.start()
    agents.all_up()
    text = agents.read("a")
    two, _, three = text.rpartition("[[node]]")
    agents.write("a", two)
    for name in "ab":
        wait_until(lambda it=name: "c" not in agents.states(it) and len(agents.states(it)) == 1,
                   "it is expected no more")
    agents.write("a", f"{two}[[node]]{three}")
    agents.all_up()


def pushed():
    """A file is given to all machines, or to none if one refuses it."""
    agents = Agents(own_files=True)
    agents.start()
    agents.all_up()

    def push(text, *more, status=0):
        agents.write("a", text)
        with agents.machines["a"]:
            done = subprocess.run([SGCTL, "cluster", "push", agents.file("a"), "--node", "a", "--keys",
                                   agents.keys("a"), "--json", *more], capture_output=True,
                                  text=True, check=False)
        equal(status, done.returncode, f"status: {done.stderr}")
        told = json.loads(done.stdout)
        return told["given"], {it["machine"]: it["reason"] for it in told["machines"]}

    before = agents.links()
    text = agents.read("a") + "# Another one.\n"
    equal((False, {"b": None, "c": None}), push(text, "--dry-run"), "who would take it")
    equal((True, {"b": None, "c": None}), push(text), "who takes it")
    equal([text] * 2, [agents.read(name) for name in "bc"], "what they have")
    # c has no such device.
    with agents.machines["c"]:
        ip_commands("link set eth0 down", "link set eth0 name eth9", "link set eth9 up")
    agents.all_up()
    other = text + '[[address]]\nip = "198.51.100.7"\ndevice = "eth0"\nslots = 4\n'
    agents.write("a", other)
    sgctl("plan", agents.file("a"))
    planned = agents.read("a")
    given, reasons = push(planned, status=1)
    equal((False, None), (given, reasons["b"]), "it is given, and b refuses")
    expect("no device \"eth0\"" in reasons["c"], f"c refuses: {reasons}")
    equal([text] * 2, [agents.read(name) for name in "bc"], "what they have")
    equal(True, push(planned, "--anyway", status=1)[0], "it is given")
    equal([planned, text], [agents.read(name) for name in "bc"], "what they have")
    expect(agents.says("c", "refused", "no device", "a"), "c says why")
    if before["a", "b"] != agents.links()["a", "b"]:
        raise AssertionError("the link of those that had no reason is another one")


def changed_everywhere():
    """What changes the file changes it on all machines, or on none if one refuses or is not there."""
    agents = Agents(own_files=True)

    def change(*words, status=0, of="a"):
        with agents.machines[of]:
            done = subprocess.run([SGCTL, "cluster", *words, "--file", agents.file(of), "--node", of,
                                   "--keys", agents.keys(of)], capture_output=True, text=True, check=False)
        equal(status, done.returncode, f"status of {words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    said = change("node", "set", "b", "--weight", "2")
    expect("on this machine only, as no agent runs here" in said, f"without an agent: {said}")
    for name in "bc":
        agents.write(name, agents.read("a"))
    agents.start()
    agents.all_up()
    said = change("add", "198.51.100.7", "--device", "eth0", "--slots", "9", of="b")
    expect("a: has the file" in said and "c: has the file" in said, f"all have it: {said}")
    text = agents.read("a")
    expect("198.51.100.7" in text, text)
    equal([text] * 3, [agents.read(name) for name in "abc"], "what they have")
    for name in "abc":
        with agents.machines[name]:
            equal("198.51.100.7", json.loads(sgctl("show", "--json"))[0]["address"], "what they serve")
    told = json.loads(change("drain", "c", "--dry-run", "--json"))["push"]
    equal((False, [True, True]), (told["given"], [it["ok"] for it in told["machines"]]), "who would")
    # No machine has such a program.
    said = change("set", "198.51.100.7", "--check", 'command = "web"', status=1)
    expect("nothing was changed" in said and "checks/web" in said, f"all refuse: {said}")
    equal([text] * 3, [agents.read(name) for name in "abc"], "what they have")
    agents.end("c")
    said = change("drain", "c", status=1)
    expect("b: would have taken it" in said and "c: nobody listens" in said, f"c is away: {said}")
    equal([text] * 3, [agents.read(name) for name in "abc"], "what they have")
    said = change("drain", "c", "--anyway", status=1)
    expect("b: has the file" in said and "cluster push" in said, f"c is away: {said}")
    equal([agents.read("a"), text], [agents.read(name) for name in "bc"], "what they have")
    expect("draining" in agents.read("b"), agents.read("b"))
    said = change("node", "set", "c", "--weight", "3", "--no-push")
    expect("copy it" in said and agents.read("a") != agents.read("b"), f"only here: {said}")
    agents.start("c")
    agents.all_up()
    told = json.loads(change("node", "add", "d", "--address", "10.9.0.77", "--json"))["push"]
    equal((True, {"b", "c"}), (told["given"], {it["machine"] for it in told["machines"]}), "who has it")
    equal([agents.read("a")] * 2, [agents.read(name) for name in "bc"], "what they have")


def moved():
    """A machine listens at another address when the file says so, without its links."""
    agents = Agents("ab")
    agents.start()
    agents.all_up()
    with agents.machines["b"]:
        ip_commands(gives("10.9.0.99/24", "eth0"))
    agents.write("a", agents.read("a") + 'listen = "10.9.0.99:99"\n')
    wait_until(lambda: agents.says("b", "reload"), "it reads the file")
    with agents.machines["b"]:
        listens = subprocess.check_output(["ss", "-ltnH"], text=True)
    expect("10.9.0.99:99" in listens and ":5347" not in listens, f"it listens at {listens}")


def the_module_is_held():
    """As long as a machine is linked, and no longer."""
    agents = Agents("ab")
    agents.start()
    agents.all_up()
    said = rmmod()
    expect(said and "in use" in said, f"rmmod: {said}")
    for name in "ab":
        agents.end(name)
        with agents.machines[name]:
            sgctl("leave")
    unload()
    load()


def one_after_the_other():
    """A machine whose agent was never started is not taken for a dead one; one that was linked is, also
    after a reboot."""
    agents = Agents()
    agents.start("a", "b")
    wait_until(lambda: agents.states("a")["b"] == "up", "two are linked")
    frames = agents.status("a")["b"]["frames_in"]
    # Longer than a machine is silent that is given up.
    wait_until(lambda: agents.status("a")["b"]["frames_in"] > frames + 30, "they talk")
    for name in "ab":
        equal(("none", False), (agents.states(name)["c"], agents.status(name)["c"]["away"]), "c")
    agents.start("c")
    agents.all_up()
    switch("port3", False)
    agents.are(c="unreachable")
    # As at a reboot: the kernel knows nobody.
    agents.end("a")
    with agents.machines["a"]:
        sgctl("leave")
    agents.start("a")
    agents.are(c="unreachable")
    expect(agents.status("a")["c"]["away"], "it gets new flows")
    wait_until(lambda: agents.states("a")["b"] == "up", "the other one is linked")
    switch("port3", True)
    agents.all_up()


# Connections that say nothing, and begin anew when they have ended.
SILENT = """
import select, socket, sys
sockets = set()
while True:
    while len(sockets) < 40:
        sockets.add(socket.create_connection((sys.argv[1], 5347)))
    for sock in select.select(list(sockets), [], [])[0]:
        sockets.discard(sock)
        sock.close()
"""


def silent_strangers():
    """Connections that say nothing keep no machine out, also if they come from that machine."""
    agents = Agents("ab")
    agents.start("b")
    silent = []
    for name in "ab":
        with agents.machines[name]:
            silent.append(start([sys.executable, "-c", SILENT, agents.machines["b"].address(4)],
                                stderr=subprocess.DEVNULL))
    agents.start("a")
    agents.all_up()
    for program in silent:
        program.kill()
        program.wait()


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_agent", [
        linked, linked_by_ipv6, linked_in_the_clear, without_agents, cut_off, gone_at_once,
        strangers, another_key, wrong_files, machines_come_and_go, pushed, changed_everywhere, moved,
        the_module_is_held, silent_strangers, one_after_the_other,
    ]))
