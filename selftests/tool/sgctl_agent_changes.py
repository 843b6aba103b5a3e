#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl agent on machines that an operator changes: another machine in place of one, another address."""

import subprocess
import sys

from machines import gives, ip_commands
from service_group import expect, run_tests, wait_until
from sgctl_agent import Agents


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


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_agent_changes", [
        from_its_own_address, listens_where_it_did,
    ]))
