#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster keepalived: of two directors one directs, and the other one when it is dead."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
import sgctl_cluster  # noqa: E402
from machines import has_arp_hooks, switch  # noqa: E402
from service_group import Skip, equal, expect, run_tests, start, wait_until  # noqa: E402
from sgctl_cluster import ADDRESS, NODES, Cluster, conversations, converse  # noqa: E402

TEXT = f"""{NODES}
[[director]]
name = "lb1"

[[director]]
name = "lb2"

[[address]]
ip = "{ADDRESS}"
mode = "directed"
directors = ["lb1", "lb2"]
device = "eth0"
"""


class Keepalived:
    """The program on one machine, with the configuration that the tool makes."""

    def __init__(self, cluster, name, folder):
        self.machine = cluster.machines[name]
        path = f"{folder}/{name}"
        with open(f"{path}.conf", "w", encoding="utf-8") as file:
            file.write(cluster.run(name, "keepalived", cluster.file, "--node", name))
        os.chmod(f"{path}.conf", 0o600)
        with self.machine, open(f"{path}.log", "w", encoding="utf-8") as self.log:
            self.process = start(
                ["keepalived", "--dont-fork", "--log-console", "--vrrp",
                 f"--use-file={path}.conf", f"--pid={path}.pid", f"--vrrp_pid={path}.vrrp",
                 f"--checkers_pid={path}.checkers", f"--bfd_pid={path}.bfd"],
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                start_new_session=True)

    def kill(self):
        """Without a chance to tell anybody."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def lives(self):
        """Whether it was not killed."""
        return self.process.returncode is None

    def said(self):
        """Its log."""
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()


def takes_over():
    """Connections go on, and new ones are served."""
    if not shutil.which("keepalived"):
        raise Skip("there is no keepalived")
    if not has_arp_hooks():
        raise Skip("this kernel does not show ARP packets, so the module does not answer")
    # It runs no script that others than root could change, nor one in a folder that they could.
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        sgctl_cluster.SGCTL = shutil.copy(sgctl_cluster.SGCTL, folder)
        one_takes_over(folder)


def one_takes_over(folder):
    """With the tool in that folder."""
    cluster = Cluster(TEXT)
    cluster.run("a", "plan", cluster.file)
    cluster.apply()
    daemons = {name: Keepalived(cluster, name, folder) for name in ("lb1", "lb2")}

    def directing():
        """The one that directs, if only one does."""
        found = [name for name, daemon in daemons.items()
                 if daemon.lives() and cluster.shown(name)["role"] == "director"]
        return found[0] if len(found) == 1 else None

    try:
        # On a slow machine it may be either of them.
        active = wait_until(directing, "a director")
        standby = {"lb1": "lb2", "lb2": "lb1"}[active]
        services = cluster.serve()
        pairs = conversations(cluster, services, 9)
        daemons[active].kill()
        with cluster.machines[active]:
            switch("eth0", False)
        before = cluster.counter(active, "forwarded")
        wait_until(lambda: directing() == standby, "the other one")
        for client, _, server in pairs:
            converse(client, server)
        pairs += conversations(cluster, services, 9)
        equal(before, cluster.counter(active, "forwarded"), "forwarded by the dead one")
        expect(cluster.counter(standby, "forwarded") > 18, "forwarded by the other one")
    except BaseException:
        for name, daemon in daemons.items():
            print("".join(f"# {name}: {line}\n" for line in daemon.said().splitlines()))
        raise
    finally:
        for daemon in daemons.values():
            if daemon.lives():
                daemon.kill()


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_keepalived", [takes_over]))
