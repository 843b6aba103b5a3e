#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Cluster IPs: how they are set, and machines that share the packets of one."""

import ctypes
import errno
import ipaddress
import os
import select
import socket
import struct
import subprocess
import sys

from clusters import (CLUSTER, MAC, PORT, TCP, UDP, Cluster, accepted, config,
                      exchange, name_of, node, ready, table, takes_connections)
from family import another, next_event, open_family, refused
from machines import FAMILIES, bound, ip_commands
from service_group import (CLONE_NEWNET, PATIENCE, equal, expect, run_tests,
                           wait_until)

CLONE_NEWUSER = 0x10000000
PR_SET_DUMPABLE = 4


def takes_datagrams(cluster, *sizes):
    """Each datagram is its owner's, and nobody else's."""
    services = cluster.listeners(UDP)
    for size in sizes:
        client = cluster.client_socket(UDP)
        client.send(b"d" * size)
        owner = cluster.owner(client, UDP)
        equal([owner.number], [machine.number for machine in ready(services)], "who got it")
        data, peer = services[owner].recvfrom(8000)
        equal(size, len(data), "length")
        services[owner].sendto(data, peer)
        equal(data, client.recv(8000), "answer")
        client.close()


def shared(version):
    """TCP and UDP in shared mode."""
    cluster = Cluster(version)
    cluster.set()
    taken = takes_connections(cluster, 12)
    expect(all(taken.values()), f"all nodes: {taken.values()}")
    equal(MAC.hex(":"), cluster.client.knows(cluster.address), "MAC address at the client")
    takes_datagrams(cluster, 10, 10, 10, 4000)
    for machine in cluster.nodes:
        # The owner may have answered before.
        wait_until(lambda node=machine: cluster.counters(node)["reassembled"], "reassembled")
        counters = cluster.counters(machine)
        expect(counters["owned"] > 0 and counters["ignored"] > 0, f"counters: {counters}")
        equal((1, 0, 0), tuple(counters[name] for name in
                               ("reassembled", "dropped-malformed", "silent")), "others")
        expect(counters["answered"] > 0 or not cluster.asks, "answered")


def shared_ipv4():
    """IPv4, sum5."""
    shared(4)


def shared_ipv6():
    """IPv6, sum5."""
    shared(6)


def other_hashes():
    """sum3: one owner for a client; keyed: as the oracle has it, with more slots than nodes."""
    cluster = Cluster(4)
    cluster.set(hash="sum3")
    taken = takes_connections(cluster, 3, hash_name="sum3")
    equal([0, 0, 3], sorted(taken.values()), "sum3")
    key, owners = bytes(range(16)), (1, 2, 3, 3, 2, 1, 0x0, 1)
    owners = owners[:6] + (2, 1)
    cluster.set(hash="keyed", key=key, table=table(*owners), epoch=2, settle=0)
    takes_connections(cluster, 8, hash_name="keyed", key=key, owners=owners)


def echo(cluster, protocol, kind):
    """How many answers an echo request gets."""
    with cluster.client:
        sock = socket.socket(FAMILIES[cluster.version], socket.SOCK_RAW, protocol)
    sock.connect((cluster.address, 0))
    sock.settimeout(PATIENCE)
    # The checksum of ICMPv6 is the kernel's matter; that of ICMP is right for these.
    sock.send(struct.pack("!BBHHH", kind, 0, 0xffff - (kind << 8) - 7 - 1, 7, 1))
    sock.recv(1000)
    return 1 + len(select.select([sock], [], [], 0.5)[0])


def echoes(version, protocol, kind):
    """Echoes are answered by one node."""
    cluster = Cluster(version)
    cluster.set()
    equal(1, echo(cluster, protocol, kind), "answers")
    equal(1, sum(cluster.counters(machine)["owned"] for machine in cluster.nodes), "owners")


def echoes_ipv4():
    """ICMP."""
    echoes(4, socket.IPPROTO_ICMP, 8)


def echoes_ipv6():
    """ICMPv6."""
    echoes(6, socket.IPPROTO_ICMPV6, 128)


def change(version):
    """Connections outlive a change of the table, and of the number of slots."""
    cluster = Cluster(version)
    cluster.set()
    listeners = cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(9)]
    for epoch, owners in ((2, (2, 3, 1)), (3, (3, 1)), (4, (1, 1, 1))):
        cluster.set(epoch=epoch, table=table(*owners))
        for client, server in pairs:
            exchange(client, server)
        pairs.append(accepted(cluster, listeners, owners=owners))
    known = [cluster.counters(machine)["known"] for machine in cluster.nodes]
    silent = [cluster.counters(machine)["silent"] for machine in cluster.nodes]
    expect(sum(known) > 0 and sum(silent) > 0, f"known {known}, silent {silent}")


def change_ipv4():
    """IPv4."""
    change(4)


def change_ipv6():
    """IPv6."""
    change(6)


def macvlan():
    """The device is a macvlan, which receives no more than it was told to. What it is made on
    receives the same, and neither answers nor serves."""
    cluster = Cluster(4, kind="macvlan mode bridge")
    cluster.set()
    takes_connections(cluster, 4)
    takes_datagrams(cluster, 10, 10, 10, 10, 10, 4000)
    if cluster.asks:
        equal([MAC.hex(":")] * 3, cluster.client.asks(cluster.address, 3), "answers")


def vlan():
    """The device is a VLAN."""
    cluster = Cluster(6, kind="vlan id 5")
    cluster.set()
    takes_connections(cluster, 4)


def one_machine():
    """A machine of its own with a device, and the family."""
    ip_commands("link add dummy0 type dummy", "link set dummy0 up")
    return socket.if_nametoindex("dummy0"), open_family()


def refusals():
    """What makes no sense is refused, and changes nothing."""
    device, ynl = one_machine()
    whole = config(4, device, 1)
    wrong = [
        {"family": socket.AF_INET6}, {"address": bytes(5)}, {"address": bytes(4)},
        {"address": bytes([127, 0, 0, 1])}, {"address": bytes([224, 0, 0, 1])},
        {"port": 80}, {"port": 80, "protocol": 1}, {"nodes": []}, {"nodes": None},
        {"nodes": [node(1, 4), node(1, 4)]},
        {"nodes": [node(number, 6) for number in (1, 2, 3)], "role": "directed", "mac": None},
        *({"nodes": [node(1, 4, address=bytes(strange)), node(2, 4), node(3, 4)]}
          for strange in ((169, 254, 1, 1), (240, 0, 0, 1), (255, 255, 255, 255), (0, 1, 2, 3))),
        *({"nodes": [node(1, 6, address=bytes(begin) + bytes(14 - len(begin)) + b"\xff\x01",
                          way="tunnel"), node(2, 4), node(3, 4)]}
          for begin in ((0xfe, 0x80), (0xff, 2), ())),
        {"nodes": [node(1, 4, address=bytes(3)), node(2, 4), node(3, 4)]},
        {"table": b""}, {"table": None}, {"table": bytes(6)}, {"table": table(1, 4)},
        {"mac": bytes.fromhex("0200c0ffee01")}, {"mac": bytes([255] * 6)}, {"mac": None},
        {"role": "director"}, {"key": bytes(16)}, {"hash": "keyed"}, {"node": None},
        {"node": 4}, {"role": None}, {"epoch": None}, {"settle": None}, {"device": None},
    ]
    for changes in wrong:
        given = {name: value for name, value in {**whole, **changes}.items() if value is not None}
        refused(errno.EINVAL, ynl.do, "cluster-set", given)
    for name, value in (("role", 4), ("hash", 3), ("epoch", 0), ("node", 0), ("device", 0)):
        refused(errno.ERANGE, ynl.do, "cluster-set", {**whole, name: value})
    refused(errno.E2BIG, ynl.do, "cluster-set",
            config(4, device, 1, nodes=[node(1, 4, id=number) for number in range(1, 258)]))
    for wrong_device in (1, 9999):
        refused(errno.ENODEV, ynl.do, "cluster-set", config(4, wrong_device, 1))
    equal([], ynl.dump("cluster-get", {}), "cluster IPs")
    refused(errno.ENOENT, ynl.do, "cluster-get", name_of(4))
    refused(errno.ENOENT, ynl.do, "cluster-del", name_of(4))

    ynl.do("cluster-set", {**whole, "epoch": 5})
    refused(errno.ESTALE, ynl.do, "cluster-set", {**whole, "epoch": 4})
    refused(errno.ESTALE, ynl.do, "cluster-set",
            {**whole, "epoch": 5, "table": table(1, 2, 2)})
    ynl.do("cluster-set", {**whole, "epoch": 5, "settle": 7})
    told = ynl.do("cluster-get", name_of(4))
    equal((5, 7, table(1, 2, 3)), tuple(told[name] for name in ("epoch", "settle", "table")),
          "present one")


def told_again():
    """What was set is told; the key to those only who may change it."""
    device, ynl = one_machine()
    nodes = [node(1, 4, weight=7), node(2, 4, state="draining"), node(3, 6, way="tunnel"),
             node(9, 4, state="down")]
    whole = config(4, device, 2, protocol=6, port=443, hash="keyed", key=bytes(range(16)),
                   nodes=nodes, table=table(1, 0, 2, 1), epoch=77, spill=1)
    ynl.do("cluster-set", whole)
    told = ynl.do("cluster-get", name_of(4, 6, 443))
    equal([2, 1, 0, 0], [one.pop("slots") for one in told["nodes"]], "slots")
    for name in "forwarded", "away", "deputised":
        equal([0] * 4, [one.pop(name) for one in told["nodes"]], name)
    equal(set([0]), set(told.pop("counters").values()), "counters")
    equal("absent", told.pop("local"), "where the address is")
    equal("given", told.pop("role-reason"), "why it has its role")
    # Nothing listens.
    equal((1, 0), (told.pop("healthy"), told.pop("ready")), "healthy, and ready")
    equal(whole, {**told, "address": bytes(told["address"])}, "what was set")
    dumped, = ynl.dump("cluster-get", {})
    expect("table" not in dumped and dumped["key"] == bytes(range(16)), "dumped")
    os.setresuid(65534, 65534, 65534)
    ynl.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    expect("key" not in ynl.do("cluster-get", name_of(4, 6, 443)), "no key")
    dumped, = ynl.dump("cluster-get", {})
    expect("key" not in dumped, "no key in a dump")
    refused(errno.EPERM, ynl.do, "cluster-set", {**whole, "epoch": 78})
    refused(errno.EPERM, ynl.do, "cluster-del", name_of(4, 6, 443))


def become_root_of_own(user):
    """From now on root of a user's own user namespace, with a network namespace of its own."""
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # The maps are the user's own to write.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)
    os.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    only = f"0 {user} 1"
    for name, text in (("setgroups", "deny"), ("uid_map", only), ("gid_map", only)):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def user_namespaces():
    """Root of a user namespace has cluster IPs where that owns the network, nowhere else."""
    device, ynl = one_machine()
    whole = config(4, device, 1, hash="keyed", key=bytes(16))
    ynl.do("cluster-set", whole)
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    become_root_of_own(65534)
    # By a socket of the one outside, whichever process opened it.
    refused(errno.EPERM, ynl.do, "cluster-set", {**whole, "epoch": 2})
    refused(errno.EPERM, ynl.do, "cluster-del", name_of(4))
    expect("key" not in ynl.do("cluster-get", name_of(4)), "no key")
    try:
        os.setns(outside, CLONE_NEWNET)
        raise AssertionError("the namespace outside can be entered")
    except PermissionError:
        pass

    inside = another(ynl)
    equal([], inside.dump("cluster-get", {}), "cluster IPs inside")
    ip_commands("link add dummy1 type dummy", "link set dummy1 up")
    own = {**whole, "device": socket.if_nametoindex("dummy1")}
    for epoch in (5, 6):
        inside.do("cluster-set", {**own, "epoch": epoch})
        told, = inside.dump("cluster-get", {})
        equal((epoch, bytes(16)), (told["epoch"], told["key"]), "what was set inside")
    equal(1, ynl.do("cluster-get", name_of(4))["epoch"], "the one outside")
    inside.do("cluster-del", name_of(4))
    equal([], inside.dump("cluster-get", {}), "what is left inside")
    equal(1, len(ynl.dump("cluster-get", {})), "what is left outside")


def limits():
    """As many as there may be, and as large."""
    device, ynl = one_machine()
    nodes = [node(1, 4, id=number) for number in range(1, 257)]
    large = config(4, device, 1, nodes=nodes, table=table(*(1 + at % 256 for at in range(4096))))
    for port in range(1, 256):
        ynl.do("cluster-set", config(4, device, 1, protocol=6, port=port))
    ynl.do("cluster-set", large)
    refused(errno.ENOSPC, ynl.do, "cluster-set", config(4, device, 1, protocol=17))
    # The kernel makes longer messages for who has offered room for them, if there is memory.
    for fresh, asked in (False, {}), (True, {}), (True, {"brief": 1}):
        dumped = (another(ynl) if fresh else ynl).dump("cluster-get", asked)
        equal((256, asked == {}), (len(dumped), "nodes" in dumped[0]), "dumped")
    told = ynl.do("cluster-get", name_of(4))
    equal((256, 4 * 4096), (len(told["nodes"]), len(told["table"])), "the largest")
    ynl.do("cluster-del", name_of(4, 6, 100))
    ynl.do("cluster-set", config(4, device, 1, protocol=17))


def events():
    """Those who listen are told."""
    device, ynl = one_machine()
    ynl.ntf_subscribe("events")
    ynl.do("cluster-set", config(4, device, 1, hash="keyed", key=bytes(16)))
    told = next_event(ynl, "cluster-change-ntf")
    expect("key" not in told and told["epoch"] == 1, f"event: {told}")
    # The same once more is no news.
    for healthy in (1, 0, 0, 1):
        ynl.do("health-set", {**name_of(4), "healthy": healthy})
    for healthy in (0, 1):
        equal(healthy, next_event(ynl, "cluster-change-ntf")["healthy"], "what a check says")
    ynl.do("cluster-del", name_of(4))
    equal(CLUSTER[4], str(ipaddress.ip_address(next_event(ynl, "cluster-del-ntf")["address"])),
          "address")


def receives(device, mac):
    """Whether a device was made to receive a MAC address."""
    text = subprocess.run(["ip", "maddr", "show", "dev", device], check=True, text=True,
                          capture_output=True).stdout
    return mac in text


def nothing_left():
    """A device does nothing for a cluster IP that is not served; one that goes is let go."""
    device, ynl = one_machine()
    shared_mac, solicited = "03:00:c0:ff:ee:01", "33:33:ff:00:01:00"
    for _ in range(2):
        for version in (4, 6):
            ynl.do("cluster-set", config(version, device, 1))
        expect(receives("dummy0", shared_mac) and receives("dummy0", solicited), "joined")
        ynl.do("cluster-set", config(6, device, 1, mac=bytes.fromhex("0300c0ffee02")))
        ynl.do("cluster-del", name_of(6))
        expect(receives("dummy0", shared_mac), "the other one's")
        expect(not receives("dummy0", solicited), "the solicited-node group is left")
        expect(not receives("dummy0", "03:00:c0:ff:ee:02"), "its MAC address as well")
        ynl.do("cluster-del", name_of(4))
        expect(not receives("dummy0", shared_mac), "all is left")
    ynl.do("cluster-set", config(4, device, 1))
    ip_commands("link del dummy0")
    equal(0, ynl.do("cluster-get", name_of(4))["device"], "device that is gone")
    refused(errno.ENODEV, ynl.do, "cluster-set", config(4, device, 1, epoch=2))
    # The rest goes with the namespace.


def other_services():
    """The most specific one has a packet; what is for none of them goes on as ever."""
    cluster = Cluster(4)
    # All of the address is node 1's, but for one port.
    cluster.set(table=table(1))
    cluster.set(table=table(2), protocol=6, port=PORT)
    cluster.set(table=table(3), protocol=17)
    takes_connections(cluster, 2, owners=(2,))
    services = cluster.listeners(UDP)
    client = cluster.client_socket(UDP)
    client.send(b"x")
    equal([3], [machine.number for machine in ready(services)], "who got it")
    # The node's own address is no cluster IP.
    own = bound(cluster.nodes[0], TCP, cluster.nodes[0].address(4), PORT + 1)
    with cluster.client:
        other = socket.create_connection(own.getsockname(), PATIENCE)
    server, _ = own.accept()
    exchange(other, server)
    # On the node itself nobody else is asked.
    local = bound(cluster.nodes[0], TCP, cluster.address, PORT + 2)
    with cluster.nodes[0]:
        other = socket.create_connection(local.getsockname(), PATIENCE)
    server, _ = local.accept()
    exchange(other, server)


def malformed():
    """What contradicts itself is dropped, and counted."""
    cluster = Cluster(4)
    cluster.set()
    client = cluster.client_socket(UDP)
    client.send(b"x")
    with cluster.client:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for protocol, payload in ((6, bytes(12)), (6, bytes(12) + b"\x10" + bytes(7)),
                                  (17, b"\0\1\0\2\0\x07\0\0"), (1, b"\x03\1\0\0")):
            header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, protocol, 0, bytes(4),
                                 socket.inet_aton(cluster.address))
            raw.sendto(header + payload, (cluster.address, 0))
    for machine in cluster.nodes:
        wait_until(lambda node=machine: cluster.counters(node)["dropped-malformed"] == 4,
                   "malformed packets")


def own_messages():
    """Neighbour messages that a program makes by itself; IPv6, though the cluster IP is not."""
    cluster = Cluster(4)
    cluster.set()
    machine = cluster.nodes[0]
    device = machine.device()
    with machine, socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        for kind in (133, 135, 136):
            raw.sendto(bytes([kind]) + bytes(23), ("ff02::2", 0, 0, device))
    takes_connections(cluster, 3)


if __name__ == "__main__":
    sys.exit(run_tests("cluster", [
        refusals, told_again, user_namespaces, limits, events, nothing_left, shared_ipv4,
        shared_ipv6, other_hashes, macvlan, vlan, echoes_ipv4, echoes_ipv6, change_ipv4,
        change_ipv6, other_services, malformed, own_messages,
    ]))
