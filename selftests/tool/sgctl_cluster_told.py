#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster: what it tells of files and machines that are not as they should be."""

import os
import subprocess
import sys
import tempfile

from machines import ip_commands
from service_group import PATIENCE, equal, expect, run_tests
from tool_clusters import ADDRESS, DIRECTED, SGCTL, SHARED, TUNNELLED, Cluster


def what_is_wrong_is_told():
    """With the line, and nothing is changed."""
    cluster = Cluster(SHARED.replace('id = 3', 'id = 2'))
    before = os.stat(cluster.file).st_mtime_ns
    said = cluster.run("a", "apply", cluster.file, "--node", "a", status=2)
    expect("cluster.toml:" in said, f"where: {said}")
    equal(said, cluster.run("a", "check", cluster.file, status=1), "what a check tells")
    equal(before, os.stat(cluster.file).st_mtime_ns, "the file")
    equal(None, cluster.shown("a"), "what is served")


def what_may_not_be_meant_is_told():
    """It is done all the same."""
    cluster = Cluster(SHARED)
    cluster.run("a", "plan", cluster.file)
    change = ("--file", cluster.file, "--no-apply")
    said = cluster.run("a", "node", "del", "c", *change)
    expect("connections that it has break" in said and "from c to a" in said, f"del: {said}")
    expect("sgctl: " not in cluster.run("a", "drain", "b", *change), "a drain that moves slots")
    said = cluster.run("a", "drain", "a", *change)
    expect("no node is up" in said, f"drain: {said}")
    cluster.run("a", "check", cluster.file)


def checked(cluster, name):
    """What a check tells on that machine, as a host of that name."""
    command = 'hostname "$0" && exec "$@"'
    with cluster.machines[name]:
        done = subprocess.run(["unshare", "--uts", "sh", "-c", command, name, SGCTL, "cluster",
                               "check", cluster.file], capture_output=True, text=True,
                              timeout=3 * PATIENCE, check=False)
    equal(0, done.returncode, f"status: {done.stderr}")
    return done.stderr


def strict_sources_are_told():
    """A node where what comes in tunnels may be dropped says so, and what to do."""
    cluster = Cluster(TUNNELLED)
    cluster.run("a", "plan", cluster.file)
    cluster.apply()
    machine, remedy = cluster.machines["a"], "set net.ipv4.conf.eth0.rp_filter to 2"

    def all_tell(name):
        told = {remedy in said for said in (checked(cluster, name), cluster.run(name, "show"),
                                            cluster.run(name, "show", "--json"))}
        equal(1, len(told), f"what {name} tells")
        return told.pop()

    expect(not all_tell("a"), "sources are not validated")
    machine.set("ipv4/conf/eth0/rp_filter", 1)
    expect(all_tell("a"), "there is no route to clients")
    expect(not all_tell("b"), "another one validates")
    with machine:
        ip_commands("link add wan type dummy", "link set wan up", "route add default dev wan metric 9")
    expect(all_tell("a"), "the route leads elsewhere")
    with machine:
        ip_commands("route add default dev eth0 metric 5")
    expect(not all_tell("a"), "the route leads by the device")
    with machine:
        ip_commands("route del default dev eth0")
    # As the warning says.
    machine.set("ipv4/conf/all/rp_filter", 1)
    machine.set("ipv4/conf/eth0/rp_filter", 2)
    expect(not all_tell("a"), "validation is loose")


def director_without_its_address():
    """It is not fit to direct until it has the address again, and is told what to do."""
    cluster = Cluster(DIRECTED)
    cluster.run("a", "plan", cluster.file)
    cluster.apply()
    missing = "its address is missing"

    def all_tell(name, local):
        equal(local, cluster.shown(name)["local"], f"where {name} has it")
        return missing in cluster.run(name, "show", "--file", cluster.file)

    expect("director" in cluster.run("lb", "ready", ADDRESS), "a director is fit")
    equal((False, False), (all_tell("lb", "device"), all_tell("a", "elsewhere")), "who lacks it")
    for name, device in (("lb", "eth0"), ("a", "lo")):
        with cluster.machines[name]:
            ip_commands(f"addr del {ADDRESS}/32 dev {device}")
        expect(all_tell(name, "absent"), f"{name} lacks it")
    said = cluster.run("lb", "ready", ADDRESS, status=1)
    for told in f'"ip address add {ADDRESS}/32 dev eth0"', '"sgctl cluster apply"':
        expect(told in said, f"ready: {said}")
    # On the loopback device nobody would send for it.
    with cluster.machines["lb"]:
        ip_commands(f"addr add {ADDRESS}/32 dev lo")
    expect(all_tell("lb", "elsewhere"), "it is on the device no more")
    cluster.run("lb", "ready", ADDRESS, status=1)
    cluster.apply()
    equal((False, False), (all_tell("lb", "device"), all_tell("a", "elsewhere")), "who lacks it")
    cluster.run("lb", "ready", ADDRESS)
    # A standby that has it says so. What "apply" has added goes with the role.
    cluster.run("lb", "role", "standby", ADDRESS)
    expect("standby" in cluster.run("lb", "ready", ADDRESS), "a standby is fit")
    with cluster.machines["lb"]:
        ip_commands(f"addr add {ADDRESS}/32 dev eth0")
    said = cluster.run("lb", "ready", ADDRESS, status=1)
    expect("role director" in said, f"ready: {said}")
    with cluster.machines["lb"]:
        ip_commands(f"addr del {ADDRESS}/32 dev eth0", f"addr del {ADDRESS}/32 dev lo")
    expect("standby" in cluster.run("lb", "ready", ADDRESS), "a standby is fit without it")
    expect(not all_tell("lb", "absent"), "a standby needs none")


def a_device_is_made_anew():
    """Each step tells the next one, until the machine directs again."""
    cluster = Cluster(DIRECTED)
    machine, apply = cluster.machines["lb"], ("apply", cluster.file, "--node", "lb")
    cluster.run("a", "plan", cluster.file)
    cluster.apply()

    def all_tell(*told, status=1):
        said = cluster.run("lb", "ready", ADDRESS, status=status)
        equal(1, said.count("\n"), f"one sentence: {said}")
        expect(all(one in said for one in told), f"ready: {said}")

    with machine:
        ip_commands("link del eth0")
    all_tell("is gone", "of the same name", "sgctl cluster apply")
    said = cluster.run("lb", *apply, status=1)
    expect('no device "eth0": make it anew' in said, f"apply: {said}")
    # One of that name that can have no cluster IP.
    with machine:
        ip_commands("link add eth0 type vrf table 7", "link set eth0 up")
    all_tell("is gone", "an Ethernet device of the same name")
    said = cluster.run("lb", *apply, status=1)
    expect("its device is a VRF" in said, f"apply: {said}")
    with machine:
        ip_commands("link del eth0", "link add eth0 type ipip local 192.0.2.1 remote 192.0.2.2")
    all_tell("is gone", "an Ethernet device of the same name")
    said = cluster.run("lb", *apply, status=1)
    expect("its device is no Ethernet device" in said, f"apply: {said}")
    with machine:
        ip_commands("link del eth0")
    ip_commands(*machine.cable())
    machine.plug_in()
    all_tell("but eth0 does not have the address", "made anew", "sgctl cluster apply")
    said = cluster.run("lb", *apply)
    expect(f"{ADDRESS} added to eth0" in said, f"apply: {said}")
    all_tell("director", status=0)


def a_wrong_folder_is_told():
    """And nothing is made, whatever is to be done with the file."""
    folder = tempfile.mkdtemp()
    file = f"{folder}/nodir/cluster.toml"
    change = ("--file", file, "--no-apply")
    for words in (("node", "add", "a", "--address", "192.0.2.1", *change),
                  ("node", "add", "a", "--address", "192.0.2.1", *change, "--dry-run")):
        done = subprocess.run([SGCTL, "cluster", *words], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        equal(1, done.returncode, f"status: {done.stderr}")
        expect(f"there is no folder {folder}/nodir: " in done.stderr, f"why: {done.stderr}")
        equal("", done.stdout, "output")
        equal([], os.listdir(folder), "what is made")
    os.mkdir(f"{folder}/nodir")
    subprocess.run([SGCTL, "cluster", "node", "add", "a", "--address", "192.0.2.1", *change],
                   capture_output=True, timeout=PATIENCE, check=True)
    expect(os.path.exists(file), "with the folder it is written")


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_cluster_told", [
        what_is_wrong_is_told, what_may_not_be_meant_is_told, strict_sources_are_told,
        director_without_its_address, a_device_is_made_anew, a_wrong_folder_is_told,
    ]))
