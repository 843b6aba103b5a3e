#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Services behind NAT that is IPVS's, or whose packets flowtables send on: their connections outlive
changes of the table as well."""

import os
import subprocess
import sys

from cluster_nat import POD, SERVICE, Lasting, behind_nat, drains, pod
from clusters import PORT, TCP, Cluster, Directed
from machines import bound, nft
from service_group import Skip, equal, run_tests

# What a node sends on where that is fast.
FAST = """table inet fast {
  flowtable known { hook ingress priority filter; devices = { eth0, pod0 }; }
  counter slow { }
  chain c { type filter hook forward priority filter; counter name slow; meta l4proto tcp flow add @known; }
}"""
# Conntrack looks at packets only where a rule asks for that.
TRACKED = "table ip tracked { chain c { type filter hook input priority filter; ct state new; }; }"


def behind_ipvs(cluster):
    """The same by IPVS."""
    cluster.pods = {machine: pod(machine, cluster.version) for machine in cluster.nodes}
    service = f"{cluster.address}:{PORT}"
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr"], capture_output=True, check=False)
    for machine in cluster.nodes:
        with machine:
            if not os.path.exists("/proc/sys/net/ipv4/vs/conntrack"):
                raise Skip("IPVS tells conntrack nothing here")
            for words in (["-A", "-t", service, "-s", "rr"],
                          ["-a", "-t", service, "-r", f"{POD[4]}:{SERVICE}", "-m"]):
                subprocess.run(["ipvsadm", *words], check=True)
        machine.set("ipv4/vs/conntrack", 1)
        nft(machine, TRACKED)
    return {machine: bound(inner, TCP, POD[cluster.version], SERVICE)
            for machine, inner in cluster.pods.items()}


def behind_flowtables(cluster):
    """By NAT, on nodes that send on what conntrack knows without asking it each time."""
    listeners = behind_nat(cluster)
    for machine in cluster.nodes:
        nft(machine, FAST, needed=False)
        if slow(machine) is None:
            raise Skip("this kernel has no flowtables")
    return listeners


def slow(machine):
    """How many packets a node has sent on the slow way."""
    with machine:
        told = subprocess.run(["nft", "list", "counter", "inet", "fast", "slow"], text=True,
                              check=False, capture_output=True).stdout.split()
    return int(told[told.index("packets") + 1]) if told else None


def ipvs_shared():
    """IPVS, and all nodes receive all packets."""
    cluster = Cluster(4)
    cluster.set()
    drains(cluster, cluster.set, behind_ipvs)


def ipvs_tunnelled():
    """A director gives them to nodes, in tunnels."""
    cluster = Directed(4, "tunnel")
    drains(cluster, lambda **how: cluster.direct(0, **how), behind_ipvs)


def flowtables_shared():
    """What is sent on the fast way passes the module by; that of others does not."""
    cluster = Cluster(4)
    cluster.set()
    lasting = Lasting(cluster, cluster.set, behind_flowtables)
    lasting.table(2, 3, 1)
    before = [slow(machine) for machine in cluster.nodes]
    lasting.go_on()
    equal(before, [slow(machine) for machine in cluster.nodes], "what was sent on the slow way")
    lasting.table(3, 1, 2)
    lasting.end()


def flowtables_tunnelled():
    """What comes in tunnels meets the module, and entries of conntrack that are offloaded."""
    cluster = Directed(4, "tunnel")
    drains(cluster, lambda **how: cluster.direct(0, **how), behind_flowtables)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_nat_fast", [
        ipvs_shared, ipvs_tunnelled, flowtables_shared, flowtables_tunnelled,
    ]))
