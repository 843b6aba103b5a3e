#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl agent on machines that an operator changes: another machine in place of one, another address."""

import json
import os
import re
import subprocess
import sys

from machines import gives, ip_commands
from service_group import PATIENCE, SGCTL, equal, expect, run_tests, start, wait_until
from sgctl_agent import Agents
from tool_clusters import sgctl


def another(agents, text):
    """What the file says of a machine d in the place of c."""
    told = sgctl("init", "--name", "d", "--keys", agents.keys("c"), "--file",
                 f"{agents.folder}/none.toml", "--force", "--json")
    text = text.replace('name = "c"', 'name = "d"')
    return re.sub(r"SHA256:[^\"]*", json.loads(told)["fingerprint"], text)


def another_gets_the_id():
    """A machine that was never linked is no dead one, also if one that is gone had its id."""
    agents = Agents()
    agents.start()
    agents.all_up()
    two, _, three = agents.read("a").rpartition("[[node]]")
    agents.write("a", two)
    wait_until(lambda: agents.says("a", "reload") == 1, "c is expected no more")
    agents.write("a", two + "[[node]]" + another(agents, three))
    wait_until(lambda: agents.says("a", "reload") == 2, "d is in the file")
    frames = agents.status("a")["b"]["frames_in"]
    # Longer than a machine is silent that is given up.
    wait_until(lambda: agents.status("a")["b"]["frames_in"] > frames + 30, "they talk")
    equal(("none", False), (agents.states("a")["d"], agents.status("a")["d"]["away"]), "d")


def from_its_own_address():
    """A machine connects from the address at which it listens; the kernel would choose another one."""
    agents = Agents("ab")
    with agents.machines["a"]:
        ip_commands("addr del 10.9.0.1/24 dev eth0", gives("10.9.0.100/24", "eth0"),
                    gives("10.9.0.1/24", "eth0"))
        route = subprocess.check_output(["ip", "route", "get", "10.9.0.2"], text=True)
    expect("src 10.9.0.100" in route, f"what the kernel chooses: {route}")
    agents.start()
    agents.all_up()
    remote = agents.status("b")["a"]["remote"]
    expect(remote.startswith("10.9.0.1:"), f"the address of a: {remote}")


def listens_where_it_did():
    """A file that cannot be applied does not move the agent to another address."""
    agents = Agents("ab")
    agents.start()
    agents.all_up()
    with agents.machines["b"]:
        ip_commands(gives("10.9.0.99/24", "eth0"))
    agents.write("a", agents.read("a") + 'listen = "10.9.0.99:99"\n[[address]]\nip = "198.51.100.7"\n'
                 'device = "eth0"\n')
    wait_until(lambda: agents.says("b", "refused", "it has no table yet"), "it refuses the file")
    with agents.machines["b"]:
        listens = subprocess.check_output(["ss", "-ltnH"], text=True)
    expect("10.9.0.2:5347" in listens and ":99" not in listens, f"it listens at {listens}")


def another_cluster():
    """An agent of another cluster does not end the links that a network namespace has."""
    agents = Agents("ab", own_files=True)
    agents.start()
    agents.all_up()
    other = f"{agents.folder}/other.toml"
    with open(other, "w", encoding="utf-8") as file:
        file.write(agents.read("a").replace(f'"{"5a" * 16}"', f'"{"6b" * 16}"\nport = 99'))
    with agents.machines["a"]:
        done = subprocess.run([SGCTL, "agent", "--file", other, "--node", "a", "--keys", agents.keys("a")],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
    equal(1, done.returncode, "the status")
    expect("has links of another cluster, " + "5a" * 16 in done.stderr, done.stderr)
    equal("up", agents.states("a")["b"], "the link")
    agents.end("a")
    with agents.machines["a"]:
        sgctl("leave")
        two = start([SGCTL, "agent", "--file", other, "--node", "a", "--keys", agents.keys("a")],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    while "listens at 10.9.0.1:99" not in said:
        line = two.stdout.readline()
        expect(line, f"another cluster after the first one: {said}")
        said += line
    two.terminate()
    two.wait()


def no_place_for_the_file():
    """Nobody is given a file that one of the machines cannot write."""
    agents = Agents(own_files=True)
    folder = agents.keys("c")
    os.rename(agents.file("c"), f"{folder}/cluster.toml")
    os.symlink(f"{folder}/cluster.toml", agents.file("c"))
    agents.start()
    agents.all_up()
    before = agents.read("b")
    agents.write("a", before + "# Another one.\n")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        with agents.machines["a"]:
            said = sgctl("push", agents.file("a"), "--node", "a", "--keys", agents.keys("a"), status=1)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    expect("Read-only file system" in said and "no machine was given the file" in said, said)
    equal([before] * 2, [agents.read(name) for name in "bc"], "what they have")


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_agent_changes", [
        another_gets_the_id, another_cluster, from_its_own_address, listens_where_it_did,
        no_place_for_the_file,
    ]))
