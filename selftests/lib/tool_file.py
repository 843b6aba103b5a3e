# SPDX-License-Identifier: GPL-2.0
"""One machine, and a file whose cluster IP sgctl has it serve."""

import os
import socket
import subprocess
import tempfile

from clusters import config
from family import open_family
from machines import ip_commands
from tool_clusters import ADDRESS, SGCTL, sgctl
from traced import Traced


def one_machine(version=4, **changes):
    """A machine of its own with a device, a director's cluster IP for it, and the family."""
    ip_commands("link set lo up", "link add eth0 type dummy", "link set eth0 up")
    whole = config(version, socket.if_nametoindex("eth0"), None, role="standby", mac=None, **changes)
    return whole, open_family()


class File:
    """Of a cluster of which this machine is a director, or the only one."""

    def __init__(self):
        self.path = f"{tempfile.mkdtemp()}/cluster.toml"

    def write(self, directors, settle=60, device="eth0", mode="directed"):
        """With these directors; what is as before has its table still."""
        nodes = "".join(f'[[node]]\nname = "{name}"\nid = {number}\naddress = "192.0.2.{number}"\n'
                        for number, name in enumerate("ab", 1))
        others = "".join(f'[[director]]\nname = "{name}"\n' for name in ("lb1", "lb2"))
        names = ", ".join(f'"{name}"' for name in directors)
        address = (f'[[address]]\nip = "{ADDRESS}"\nmode = "{mode}"\ndevice = "{device}"\n'
                   f'slots = 4\nsettle = {settle}\n')
        if mode == "directed":
            address += f"directors = [{names}]\n"
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(nodes + others + (address if directors else ""))
        os.chmod(self.path, 0o600)
        sgctl("plan", self.path)

    def settle(self, before, after):
        """Another time, which needs no other table."""
        with open(self.path, encoding="utf-8") as file:
            text = file.read().replace(f"settle = {before}\n", f"settle = {after}\n")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def apply(self, own="lb1", status=0):
        """Has this machine do what it says."""
        return sgctl("apply", self.path, "--node", own, status=status)

    def traced(self):
        """The same, which stops here and there."""
        return Traced([SGCTL, "cluster", "apply", self.path, "--node", "lb1"])


def shown():
    """Role and settle time of the cluster IP, if there is one."""
    with open_family() as ynl:
        told = ynl.dump("cluster-get", {"brief": 1})
    return (told[0]["role"], told[0]["settle"]) if told else None


def holders():
    """The devices that have the address."""
    told = subprocess.run(["ip", "-4", "-o", "addr", "show"], check=True, capture_output=True,
                          text=True).stdout
    return [line.split()[1] for line in told.splitlines() if f" {ADDRESS}/32 " in line]
