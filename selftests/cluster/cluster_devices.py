#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Devices of cluster IPs go and are made anew, and belong to a VRF."""

import errno
import socket
import sys

from clusters import (UDP, VRF, Cluster, Directed, config, enslave, name_of,
                      outlives, ready, takes_connections)
from family import another, next_event, refused
from machines import LENGTHS, gives, ip_commands
from service_group import equal, run_tests


def device_of(machine, version):
    """Index of the device that a machine says."""
    return machine.ynl.do("cluster-get", name_of(version))["device"]


def listen(machine):
    """A socket that is told events of a machine."""
    with machine:
        events = another(machine.ynl)
        events.ntf_subscribe("events")
    return events


def told_of(events, machine, version, device):
    """The next event tells of the cluster IP and of this device."""
    event = next_event(events, "cluster-change-ntf")
    equal(device, event["device"], "device in an event")
    equal(device, device_of(machine, version), "device")


def anew(cluster, machine):
    """The device goes, and is back with the same name."""
    version, events = cluster.version, listen(machine)
    with machine:
        ip_commands("link del eth0")
    told_of(events, machine, version, 0)
    # One of another name is another one.
    with machine:
        ip_commands("link add other type dummy", "link set other up")
    equal(0, device_of(machine, version), "device")
    ip_commands(*machine.cable())
    machine.plug_in()
    told_of(events, machine, version, machine.device())


def shared(version):
    """A node serves again with the new device, and all others as ever."""
    cluster = Cluster(version)
    cluster.set()
    takes_connections(cluster, 3)
    for machine in cluster.nodes[:2]:
        anew(cluster, machine)
    takes_connections(cluster, 6)
    services = cluster.listeners(UDP)
    for _ in cluster.nodes:
        client = cluster.client_socket(UDP)
        client.send(b"x" * 3000)
        owner = cluster.owner(client, UDP)
        equal([owner.number], [one.number for one in ready(services)], "who got it")
        services[owner].recv(4000)


def shared_ipv4():
    """IPv4."""
    shared(4)


def shared_ipv6():
    """IPv6."""
    shared(6)


def directed(version, way):
    """A node and the director serve again."""
    cluster = Directed(version, way)
    takes_connections(cluster, 3)
    director = cluster.directors[0]
    for machine in (cluster.nodes[0], director):
        anew(cluster, machine)
    with cluster.client:
        ip_commands("neigh flush all dev eth0")
    cluster.told(director.mac())
    takes_connections(cluster, 6)


def directed_ipv4():
    """To MAC addresses."""
    directed(4, "neighbour")


def directed_ipv6():
    """In tunnels."""
    directed(6, "tunnel")


def renamed():
    """A new device that gets its name later is found as well; one that is called otherwise stays the
    one that it is."""
    cluster = Cluster(4)
    cluster.set()
    machine = cluster.nodes[0]
    events = listen(machine)
    with machine:
        ip_commands("link set eth0 down", "link set eth0 name wire0", "link set wire0 up")
    equal(machine_index(machine, "wire0"), device_of(machine, 4), "device")
    with machine:
        ip_commands("link del wire0")
    told_of(events, machine, 4, 0)
    with machine:
        ip_commands("link add eth9 type dummy", "link set eth9 name wire0")
    told_of(events, machine, 4, machine_index(machine, "wire0"))


def narrow(role):
    """A new device that is too narrow for IPv6 (RFC 8200) is taken when it has become wider."""
    cluster = Directed(6) if role == "director" else Cluster(6)
    if role == "shared":
        cluster.set()
    machine = (cluster.directors or cluster.nodes)[0]
    events = listen(machine)
    with machine:
        ip_commands("link del eth0")
    told_of(events, machine, 6, 0)
    link, master = machine.cable()
    ip_commands(link.replace("eth0", "eth0 mtu 1000"), master)
    with machine:
        ip_commands("link set eth0 up")
    equal(0, device_of(machine, 6), "device without IPv6")
    with machine:
        ip_commands("link set eth0 mtu 1500")
    told_of(events, machine, 6, machine.device())
    with machine:
        ip_commands(*(gives(f"{machine.address(version)}/{LENGTHS[version]}", "eth0")
                      for version in (4, 6)))
    if role == "director":
        with cluster.client:
            ip_commands("neigh flush all dev eth0")
        cluster.told(machine.mac())
    takes_connections(cluster, 3)


def narrow_shared():
    """A node's."""
    narrow("shared")


def narrow_director():
    """A director's."""
    narrow("director")


def stands_by(version):
    """A director whose device is gone can be told to stand by: when the device is back it does."""
    cluster = Directed(version)
    director, other = cluster.directors
    events = listen(director)
    with director:
        ip_commands("link del eth0")
    told_of(events, director, version, 0)
    given = config(version, None, director.number, role="standby", **cluster.given)
    director.ynl.do("cluster-set", given)
    told_of(events, director, version, 0)
    other.ynl.do("cluster-set", config(version, None, other.number, role="director",
                                       **cluster.given))
    ip_commands(*director.cable())
    director.plug_in()
    told_of(events, director, version, director.device())
    with cluster.client:
        ip_commands("neigh flush all dev eth0")
    cluster.told(other.mac())
    takes_connections(cluster, 3)
    equal(0, cluster.counters(director)["answered"], "answers of the standby")
    equal(other.mac(), cluster.client.knows(cluster.address), "whose the address is")
    # As a new one it has to be told its device.
    director.ynl.do("cluster-del", name_of(version))
    refused(errno.EINVAL, director.ynl.do, "cluster-set", given)


def stands_by_ipv4():
    """IPv4."""
    stands_by(4)


def stands_by_ipv6():
    """IPv6."""
    stands_by(6)


def machine_index(machine, name):
    """Index of a device of a machine."""
    with machine:
        return socket.if_nametoindex(name)


def vrf_itself():
    """A VRF is no device that packets come by."""
    cluster = Cluster(4)
    machine = cluster.nodes[0]
    enslave(cluster, [machine])
    given = config(4, machine_index(machine, VRF), machine.number)
    refused(errno.EMEDIUMTYPE, machine.ynl.do, "cluster-set", given)


def vrf_shared_ipv4():
    """Shared, IPv4."""
    cluster = Cluster(4)
    enslave(cluster, cluster.nodes)
    cluster.set()
    outlives(cluster, cluster.set)


def vrf_shared_ipv6():
    """Shared, IPv6."""
    cluster = Cluster(6)
    enslave(cluster, cluster.nodes)
    cluster.set()
    outlives(cluster, cluster.set)


def vrf_directed(version, way):
    """What is directed and second chances are sent in the VRF as well."""
    cluster = Directed(version, way)
    enslave(cluster, [*cluster.nodes, *cluster.directors])
    outlives(cluster, lambda **how: cluster.direct(0, **how))


def vrf_directed_ipv4():
    """To MAC addresses."""
    vrf_directed(4, "neighbour")


def vrf_tunnelled_ipv4():
    """IPv4 in IPv4."""
    vrf_directed(4, "tunnel")


def vrf_tunnelled_ipv6():
    """IPv6 in IPv6."""
    vrf_directed(6, "tunnel")


if __name__ == "__main__":
    sys.exit(run_tests("cluster_devices", [
        shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6, renamed, narrow_shared,
        narrow_director, stands_by_ipv4, stands_by_ipv6, vrf_shared_ipv4, vrf_shared_ipv6, vrf_itself, vrf_directed_ipv4,
        vrf_tunnelled_ipv4, vrf_tunnelled_ipv6,
    ]))
