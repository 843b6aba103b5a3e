#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sgctl cluster: machines that a file makes a cluster, told by the tool alone."""

import json
import re
import signal
import socket
import subprocess
import sys

from machines import bound, has_arp_hooks
from service_group import PATIENCE, equal, expect, run_tests, start, wait_until
from tool_clusters import (ADDRESS, DIRECTED, NODES, SGCTL, SHARED, TUNNEL, TUNNELLED, Cluster,
                           conversations, converse, served)

# Other cluster IPs.
OTHER, NINTH = "198.51.100.8", "198.51.100.9"


def life(text):
    """From nothing to a cluster, through a drain, and back."""
    cluster = Cluster(text)
    said = cluster.run("a", "plan", cluster.file)
    expect(ADDRESS in said, f"plan: {said}")
    cluster.run("a", "apply", cluster.file, "--node", "a", "--dry-run")
    equal(None, cluster.shown("a"), "what a dry run leaves")
    cluster.apply()
    services = cluster.serve()
    pairs = conversations(cluster, services, 24)
    equal(set("abc"), {name for _, name, _ in pairs}, "nodes that serve")
    if "lb" in cluster.machines:
        equal(cluster.machines["lb"].mac(), cluster.client.knows(ADDRESS), "MAC address")

    cluster.run("b", "drain", "b", "--file", cluster.file, "--node", "b")
    cluster.apply()
    equal(2, cluster.shown("c")["epoch"], "epoch")
    for client, _, server in pairs:
        converse(client, server)
    later = conversations(cluster, services, 12)
    expect("b" not in {name for _, name, _ in later}, "b is given nothing new")
    cluster.run("a", "node", "set", "b", "--state", "up", "--file", cluster.file, "--node", "a")
    cluster.apply()
    for client, _, server in pairs + later:
        converse(client, server)

    cluster.run("a", "del", ADDRESS, "--file", cluster.file, "--node", "a")
    cluster.apply()
    equal(None, cluster.shown("c"), "what is left")
    for name, machine in cluster.machines.items():
        with machine, open("/proc/sys/net/ipv4/conf/eth0/arp_ignore", encoding="ascii") as setting:
            left = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True)
            equal("0", setting.read().strip(), f"arp_ignore on {name}")
        expect(ADDRESS not in left.stdout, f"address on {name}")
    for sock in [sock for client, _, server in pairs + later for sock in (client, server)]:
        sock.close()


def shared():
    """Every node receives everything."""
    life(SHARED)


def directed():
    """A director that is no node."""
    life(DIRECTED)


def tunnelled():
    """A director that is a node without slots, so that nodes take what it sends in tunnels."""
    life(TUNNELLED)


def a_director_of_tunnels_is_a_node():
    """Or the tool refuses it, whatever is done with the file, and the file stays."""
    cluster = Cluster(DIRECTED.replace("id = 2", f"id = 2\n{TUNNEL}"))
    for words in (["apply", cluster.file], ["plan", cluster.file],
                  ["node", "set", "a", "--weight", "2", "--file", cluster.file],
                  ["lint", "--pcap", "/dev/null", "--file", cluster.file]):
        said = cluster.run("lb", *words, status=2)
        expect("cluster.toml:24: " in said and "[[node]]" in said, f"{words}: {said}")
    equal(None, cluster.shown("lb"), "what is served")


def an_address_of_ipv6_is_no_source():
    """A director and a node serve it, and begin connections of their own from others."""
    text = re.sub(r'"10\.9\.0\.(\d)"', r'"fd09::\1"', DIRECTED).replace(ADDRESS, "fd09::100")
    cluster = Cluster(text)
    cluster.run("a", "plan", cluster.file)
    cluster.apply()
    for name in "a", "lb":
        machine = cluster.machines[name]
        with machine:
            told = subprocess.run(["ip", "-6", "-o", "addr", "show"], capture_output=True,
                                  text=True, check=True).stdout
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.connect((cluster.client.address(6), 9))
                source = sock.getsockname()[0]
        expect("fd09::100/128" in told, f"addresses: {told}")
        equal(machine.address(6), source, f"source at {name}")
    # It is there once more, and goes.
    cluster.apply()
    cluster.run("lb", "del", "fd09::100", "--file", cluster.file, "--node", "lb")


def another_hash_is_applied():
    """It has another epoch, or the kernel would refuse it."""
    cluster = Cluster(SHARED)
    cluster.run("a", "plan", cluster.file)
    cluster.run("a", "apply", cluster.file, "--node", "a")
    for epoch, words in enumerate(("--hash=sum3", "--hash=keyed", "--new-key", "--slots=502"), 2):
        cluster.run("a", "set", ADDRESS, words, "--file", cluster.file, "--node", "a")
        equal(epoch, cluster.shown("a")["epoch"], f"epoch after {words}")
    with open(cluster.file, encoding="utf-8") as file:
        text = file.read().replace('"keyed"', '"sum5"')
    with open(cluster.file, "w", encoding="utf-8") as file:
        file.writelines(line for line in text.splitlines(True) if not line.startswith("key ="))
    said = cluster.run("a", "apply", cluster.file, "--node", "a", status=2)
    expect("another hash or key" in said, f"apply: {said}")
    cluster.run("a", "plan", cluster.file)
    cluster.run("a", "apply", cluster.file, "--node", "a")
    equal("sum5", cluster.shown("a")["hash"], "hash")


def changes_at_once():
    """None is lost: one waits for the other."""
    cluster = Cluster(SHARED)
    numbers = range(10, 18)
    with cluster.machines["a"]:
        running = [start([SGCTL, "cluster", "node", "add", f"n{number}", "--no-apply",
                          "--address", f"10.9.0.{number}", "--file", cluster.file],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                   for number in numbers]
    for one in running:
        said = one.communicate(timeout=3 * PATIENCE)[1]
        equal(0, one.returncode, f"status: {said}")
    with open(cluster.file, encoding="utf-8") as file:
        text = file.read()
    equal(3 + len(numbers), text.count("[[node]]"), "nodes")
    expect(f"epoch = {len(numbers)}\n" in text, f"one epoch for each: {text}")


def watched_traffic_is_told_early():
    """An interrupt ends the watch, and what has come is told."""
    cluster = Cluster(SHARED)
    machine = cluster.machines["a"]
    with machine:
        command = [SGCTL, "cluster", "lint", "--live", "eth0", "--seconds", "3600", "--nodes", "2",
                   "--json"]
        watch = start(command, stdout=subprocess.PIPE, text=True)

    def unread():
        """What waits for the watch, of each socket that it has."""
        with machine, open("/proc/thread-self/net/packet", encoding="ascii") as file:
            lines = [line.split() for line in file]
        return [line[6] for line in lines if line[3] == "0003"]

    wait_until(unread, "the watch has begun")
    with cluster.client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for port in range(1, 9):
            service = bound(machine, socket.SOCK_DGRAM, machine.address(4), port)
            client.sendto(b"?", service.getsockname())
            # The watch had it before.
            service.recv(10)
    wait_until(lambda: set(unread()) == {"0"}, "the watch has read all")
    watch.send_signal(signal.SIGINT)
    told = json.loads(watch.communicate(timeout=PATIENCE)[0])
    equal(0, watch.returncode, "status")
    expect(told["addresses"][0]["flows"] >= 8, f"flows: {told}")


def a_new_node_resets_nothing():
    """It is told who had its slots before, though it has never served any."""
    cluster = Cluster(DIRECTED)
    change = ("node", "set", "c", "--file", cluster.file, "--node", "a", "--state")
    cluster.run("a", "plan", cluster.file)
    cluster.run("a", *change, "down")
    cluster.apply(but="c")
    services = cluster.serve("ab")
    pairs = conversations(cluster, services, 16)
    cluster.run("a", *change, "up")
    cluster.apply()
    services.update(cluster.serve("c"))
    expect("c" in (cluster.owner(client) for client, _, _ in pairs), "some were of c's slots")
    for client, _, server in pairs:
        converse(client, server)
    later = conversations(cluster, services, 16)
    expect("c" in {name for _, name, _ in later}, "the new one serves")
    cluster.run("a", "set", ADDRESS, "--file", cluster.file, "--node", "a", "--spill", "true")
    expect(cluster.shown("a")["spill"], "may spill")
    expect(", spill" in cluster.run("a", "show"), "it is told")


def an_older_file_is_refused():
    """A machine does not go back."""
    cluster = Cluster(SHARED)
    cluster.run("a", "plan", cluster.file)
    with open(cluster.file, encoding="utf-8") as file:
        older = file.read()
    cluster.run("a", "drain", "b", "--file", cluster.file, "--node", "a")
    with open(cluster.file, "w", encoding="utf-8") as file:
        file.write(older)
    said = cluster.run("a", "apply", cluster.file, "--node", "a", status=1)
    expect("epoch" in said, f"why: {said}")
    equal(2, cluster.shown("a")["epoch"], "epoch")


def all_or_nothing():
    """What was done before the kernel refuses something is undone; what that loses is told."""
    eighth = f'[[address]]\nip = "{OTHER}"\ndevice = "eth0"\n'
    cluster = Cluster(SHARED + eighth)
    cluster.run("a", "plan", cluster.file)
    cluster.apply(but="bc")
    answers = has_arp_hooks()
    if answers:
        cluster.client.asks(ADDRESS, 1)
    with open(cluster.file, encoding="utf-8") as file:
        right = file.read()
    before = served(cluster, "a")
    # The kernel takes Ethernet devices only; the tool leaves that to it.
    refused = right.replace(f'{OTHER}"\ndevice = "eth0"', f'{OTHER}"\ndevice = "lo"')
    more = eighth.replace(OTHER, NINTH)
    young = refused.replace(f'{ADDRESS}"\n', f'{ADDRESS}"\nsettle = 5\n') + more
    moved = refused.replace("id = 2\n", 'id = 2\nstate = "draining"\n') + more
    less = NODES + more.replace("eth0", "lo")
    for text, failed, lost in ((young, OTHER, ""), (less, NINTH, ""), (moved, OTHER, ADDRESS)):
        with open(cluster.file, "w", encoding="utf-8") as file:
            file.write(text)
        cluster.run("a", "plan", cluster.file)
        said = cluster.run("a", "apply", cluster.file, "--node", "a", status=1)
        outcome = "; all is served as it was, but " if lost else "; nothing has changed"
        expect(f"{failed} was not set up: " in said and outcome in said, said)
        equal(before, served(cluster, "a"), f"what is served after: {said}")
        if answers:
            equal(bool(lost), not cluster.counter("a", "answered"), f"whether counts are lost: {said}")
        equal(bool(lost), said.endswith(f" of {lost}\n"), f"whether that is told: {said}")


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_cluster", [
        shared, directed, tunnelled, a_director_of_tunnels_is_a_node,
        an_address_of_ipv6_is_no_source, another_hash_is_applied, changes_at_once,
        watched_traffic_is_told_early, a_new_node_resets_nothing, an_older_file_is_refused,
        all_or_nothing,
    ]))
