#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster leave: how the module is replaced on machines that serve cluster IPs."""

import json
import os
import subprocess
import sys

from machines import ip_commands
from service_group import equal, expect, run_tests
from tool_clusters import (ADDRESS, DIRECTED, SHARED, TUNNELLED, Cluster, conversations,
                           served)
from unloading import load, stays, unload


def has_address(cluster, name):
    """Whether a machine has the cluster IP on any device."""
    with cluster.machines[name]:
        return ADDRESS in subprocess.check_output(["ip", "addr"], text=True)


def replace_module(text):
    """The module is held until the last machine has left; the next one serves as soon as the file is
    applied."""
    cluster = Cluster(text)
    cluster.run("a", "plan", cluster.file)
    cluster.apply()
    before = {name: served(cluster, name) for name in cluster.machines}
    said = cluster.run("a", "leave", "--dry-run")
    expect(f"{ADDRESS}: removed" in said and "nothing was changed" in said, f"leave: {said}")
    equal(before["a"], served(cluster, "a"), "what a dry run leaves")
    count = len(cluster.machines)
    for left, name in enumerate(cluster.machines):
        stays(count - left)
        told = json.loads(cluster.run(name, "leave", "--json"))
        equal(["removed"], [it["action"] for it in told["clusters"]], "actions")
        equal((None, False), (cluster.shown(name), has_address(cluster, name)), "what is left")
        expect("serves no cluster IP already" in cluster.run(name, "leave"), "there is nothing more")
    try:
        unload()
    finally:
        load()
    cluster.apply()
    equal(before, {name: served(cluster, name) for name in cluster.machines}, "what is served")
    conversations(cluster, cluster.serve(), 6)


def shared():
    """Every node receives everything."""
    replace_module(SHARED)


def directed():
    """A director that is no node."""
    replace_module(DIRECTED)


def tunnelled():
    """A director that is a node without slots."""
    replace_module(TUNNELLED)


def address_of_somebody_else():
    """It would draw the packets of all, so nothing is changed before it is gone."""
    cluster = Cluster(DIRECTED)
    cluster.run("a", "plan", cluster.file)
    cluster.apply()
    with cluster.machines["lb"]:
        ip_commands(f"addr del {ADDRESS}/32 dev eth0", f"addr add {ADDRESS}/32 dev eth0")
    before = served(cluster, "lb")
    said = cluster.run("lb", "leave", status=1)
    expect(f"ip address del {ADDRESS}/32 dev eth0" in said, f"leave: {said}")
    equal(before, served(cluster, "lb"), "what is served")
    with cluster.machines["lb"]:
        ip_commands(f"addr del {ADDRESS}/32 dev eth0")
    cluster.run("lb", "leave")
    equal(None, cluster.shown("lb"), "what is served")


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_cluster_leave", [
        shared, directed, tunnelled, address_of_somebody_else,
    ]))
