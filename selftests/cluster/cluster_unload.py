#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a cluster IP needs goes away while packets come: the module, a namespace, a device, memory.

A namespace that serves cluster IPs holds the module. SG_MODULE is the module's path. What cannot
be let go shows in the kernel's log, in a device or module that stays, or as a leak after all
tests.
"""

import contextlib
import errno
import os
import socket
import sys

from clusters import (MAC, PORT, PROTOCOL, TCP, UDP, Cluster, Directed, accepted, config,
                      exchange, introduce, name_of, open_family_on, table, takes_connections)
from failures import Sometimes, kept, walk_packets
from family import NlError, another, forget_family, refused
from machines import FAMILIES, ip_commands
from service_group import PATIENCE, equal, expect, run_tests, wait_until
from unloading import Traffic, Unloading, comes, delete_module, forget, load, stays, unload

# What neighbour solicitations for the IPv6 address are sent to.
SOLICITED = "3333ff000100"
# How many allocations for packets fail.
FAILED_PACKETS = 500
# How often the module goes in the moment in which it can, and while a cluster IP comes.
ROUNDS = 3
EITHER = 5


def joined(machine):
    """Whether a machine's device receives what is sent to a cluster IP."""
    with machine, open("/proc/thread-self/net/dev_mcast", encoding="ascii") as file:
        groups = [line.split()[4] for line in file if line.split()[1] == "eth0"]
    return MAC.hex() in groups or SOLICITED in groups


def unload_and_load(machines=()):
    """Whatever happens it is there afterwards; between, these machines receive nothing for it."""
    try:
        unload()
        equal([], [machine.number for machine in machines if joined(machine)], "who still receives")
    finally:
        if not os.path.exists("/sys/module/service_group"):
            load()


def module_goes(cluster, busy, counter, configure, joins=True):
    """Cluster IPs hold the module, one namespace like all of them; packets do not. They are configured
    anew afterwards."""
    machines = cluster.nodes + cluster.directors
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, busy, counter)
            equal(joins, joined(busy), "receives")
            stays(len(machines))
            comes(cluster, busy, counter)
            forget(set(machines) - {busy})
            stays(1)
            forget([busy])
            unload_and_load(machines)
            forget_family()
            open_family_on(machines)
            equal([], busy.ynl.dump("cluster-get", {}), "what is left")
            configure()
        comes(cluster, busy, counter)
        takes_connections(cluster, 3)


def module_counts():
    """A namespace holds the module once for all its cluster IPs, also when they change, and when one
    is refused; in the test's own namespace as in another one."""
    cluster = Cluster(4)
    node, = cluster.nodes[:1]
    cluster.set([node])
    cluster.set([node], port=PORT, protocol=PROTOCOL[TCP])
    cluster.set([node], epoch=2, table=table(2, 3, 1))
    refused(errno.ESTALE, cluster.set, [node])
    refused(errno.ENODEV, cluster.nodes[1].ynl.do, "cluster-set", config(4, 4711, 2))
    stays(1)
    own = another(node.ynl)
    with contextlib.closing(own.sock):
        own.do("cluster-set", config(4, socket.if_nametoindex("segment"), 1))
        stays(2)
        own.do("cluster-del", name_of(4))
    stays(1)
    node.ynl.do("cluster-del", name_of(4))
    stays(1)
    node.ynl.do("cluster-del", name_of(4, PROTOCOL[TCP], PORT))
    unload_and_load()


def module_shared():
    """From all nodes."""
    cluster = Cluster(4)
    cluster.set()
    module_goes(cluster, cluster.nodes[0], "owned", cluster.set)


def module_directed():
    """From a director, which forwards to MAC addresses, and its nodes."""
    cluster = Directed(6)
    module_goes(cluster, cluster.directors[0], "forwarded", lambda: cluster.direct(0))


def module_tunnelled():
    """The same with tunnels."""
    cluster = Directed(4, "tunnel", 6)
    module_goes(cluster, cluster.directors[0], "forwarded", lambda: cluster.direct(0), joins=False)


def at_once(version):
    """The module goes in the moment in which nothing holds it any more, while packets come and the last
    cluster IP is on its way out."""
    cluster = Cluster(version)
    with Traffic(cluster):
        for _ in range(ROUNDS):
            cluster.set()
            comes(cluster, cluster.nodes[0], "owned")
            with Unloading(*cluster.nodes) as unloading:
                forget(cluster.nodes)
                wait_until(unloading.over, "the end of the module")
            forget_family()
            open_family_on(cluster.nodes)


def at_once_ipv4():
    """IPv4."""
    at_once(4)


def at_once_ipv6():
    """IPv6."""
    at_once(6)


def either():
    """A cluster IP comes while the module goes: it is refused, or the module stays."""
    cluster = Cluster(4)
    node = cluster.nodes[0]
    for _ in range(EITHER):
        cluster.set([node])
        with Unloading(*cluster.nodes) as unloading:
            while not unloading.over():
                try:
                    node.ynl.do("cluster-del", name_of(4))
                    cluster.set([node])
                except NlError as refusal:
                    equal(errno.ENOENT, refusal.error, "errno")
                    wait_until(unloading.over, "the end of the module")
                    break
                equal(1, len(node.ynl.dump("cluster-get", {"brief": 1})), "is served")
                equal(errno.EWOULDBLOCK, delete_module(), "errno of unloading")
        forget_family()
        open_family_on(cluster.nodes)


def end(machine):
    """Lets go of a machine's namespace, and waits until its device is gone."""
    machine.ynl.sock.close()
    os.close(machine.inside)
    port = f"port{machine.number}"
    wait_until(lambda: port not in [name for _, name in socket.if_nameindex()],
               "the namespace's end")


def all_end(machines):
    """Namespaces end that serve cluster IPs, and with the last one the module goes."""
    stays(len(machines))
    with Unloading(*machines) as unloading:
        for machine in machines:
            machine.ynl.sock.close()
            os.close(machine.inside)
        wait_until(unloading.over, "the end of the module")


def namespace_shared():
    """A node's, and then what was its is another's."""
    cluster = Cluster(6)
    cluster.set()
    with Traffic(cluster):
        gone = cluster.nodes[2]
        comes(cluster, gone, "owned")
        end(gone)
        del cluster.nodes[2]
        cluster.set(epoch=2, table=table(1, 2, 1))
        takes_connections(cluster, 4, owners=(1, 2, 1))
        all_end(cluster.nodes)


def namespace_directed(way, outer):
    """A node's, and then its director's, of which another one takes the place."""
    cluster = Directed(4, way, outer)
    with Traffic(cluster):
        comes(cluster, cluster.directors[0], "forwarded")
        end(cluster.nodes[2])
        del cluster.nodes[2]
        cluster.direct(0, epoch=2, table=table(1, 2, 1))
        comes(cluster, cluster.directors[0], "forwarded")
        end(cluster.directors.pop(0))
        cluster.direct(0)
        comes(cluster, cluster.directors[0], "forwarded")
        takes_connections(cluster, 4, owners=(1, 2, 1))
        all_end(cluster.nodes + cluster.directors)


def namespace_neighbours():
    """Directed to MAC addresses."""
    namespace_directed("neighbour", 4)


def namespace_tunnelled():
    """Directed by tunnels of the other family."""
    namespace_directed("tunnel", 6)


def replug(machine):
    """A machine's device goes, and it gets another one."""
    with machine:
        # It waits until no program keeps it.
        ip_commands("link del eth0")
    ip_commands(*machine.cable())
    machine.plug_in()


def device_shared():
    """A node's device."""
    cluster = Cluster(4)
    cluster.set()
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, cluster.nodes[0], "owned")
            replug(cluster.nodes[0])
            cluster.set([cluster.nodes[0]])
        takes_connections(cluster, 4)


def device_directed():
    """A director's, and a node's."""
    cluster = Directed(6)
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, cluster.directors[0], "forwarded")
            comes(cluster, cluster.nodes[1], "owned")
            replug(cluster.nodes[1])
            replug(cluster.directors[0])
            # What it announces is lost before the bridge forwards for its port.
            introduce(cluster.directors[0], cluster.client, 6)
            cluster.direct(0)
        comes(cluster, cluster.directors[0], "forwarded")
        takes_connections(cluster, 4)


# Memory.

def no_memory(version, way, outer):
    """Packets for which there is none are lost, through a director and to their second chance.
    Afterwards traffic goes on, and so do connections."""
    sometimes = Sometimes(FAILED_PACKETS, 10)
    cluster = Directed(version, way, outer)
    director, listeners = cluster.directors[0], cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(3)]
    for listener in listeners.values():
        listener.close()
    # None is with the owner of its packets any more.
    cluster.direct(0, epoch=2, table=table(2, 3, 1))

    def over():
        for client, _ in pairs:
            client.send(b"x")
        return sometimes.over()

    with Traffic(cluster):
        comes(cluster, director, "forwarded")
        with sometimes:
            wait_until(over, "failures", 4 * PATIENCE)
        comes(cluster, director, "forwarded")
        for client, server in pairs:
            exchange(client, server)
        takes_connections(cluster, 3, owners=(2, 3, 1))


def no_memory_neighbours():
    """IPv6, directed to MAC addresses."""
    no_memory(6, "neighbour", 6)


def no_memory_tunnelled():
    """IPv4, directed by tunnels of the other family."""
    no_memory(4, "tunnel", 6)


def one_by_one(cluster, **how):
    """Each allocation on the way of packets fails once: datagrams, whole and in fragments, a SYN, and
    what connections send. The connections go on afterwards, and so does all else."""
    listeners = cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(3)]
    for listener in listeners.values():
        listener.close()
    services, datagrams = cluster.listeners(UDP), cluster.client_socket(UDP)
    datagrams.setblocking(False)
    if how:
        # None is with the owner of its packets any more.
        cluster.direct(0, epoch=2, table=table(*how["owners"]))

    def send():
        for size in (10, 2000):
            with contextlib.suppress(OSError):
                datagrams.send(b"d" * size)
        for client, _ in pairs:
            client.send(b"x")
        with cluster.client, socket.socket(FAMILIES[cluster.version], TCP) as syn:
            syn.setblocking(False)
            syn.connect_ex((cluster.address, PORT + 2))
        for service in services.values():
            service.setblocking(False)
            with contextlib.suppress(OSError):
                while True:
                    service.recv(4000)

    send()
    print(f"# {walk_packets(send)} allocations")
    for service in services.values():
        service.close()
    for client, server in pairs:
        # What was sent above comes first.
        client.sendall(b"end")
        seen = b""
        while not seen.endswith(b"end"):
            data = server.recv(8000)
            expect(data, "the connection has ended")
            seen += data
        exchange(client, server)
    takes_connections(cluster, 3, **how)


def one_by_one_shared():
    """IPv4."""
    cluster = Cluster(4)
    cluster.set()
    one_by_one(cluster)


def one_by_one_shared_ipv6():
    """IPv6."""
    cluster = Cluster(6)
    cluster.set()
    one_by_one(cluster)


def one_by_one_neighbours():
    """IPv6, directed to MAC addresses."""
    one_by_one(Directed(6), owners=(2, 3, 1))


def one_by_one_tunnelled():
    """IPv4, directed by tunnels of the other family."""
    one_by_one(Directed(4, "tunnel", 6), owners=(2, 3, 1))


def one_by_one_tunnelled_back():
    """The other way round."""
    one_by_one(Directed(6, "tunnel", 4), owners=(2, 3, 1))


if __name__ == "__main__":
    with kept():
        sys.exit(run_tests("cluster_unload", [
            module_shared, module_directed, module_tunnelled, module_counts, at_once_ipv4,
            at_once_ipv6, either, namespace_shared,
            namespace_neighbours, namespace_tunnelled, device_shared, device_directed,
            no_memory_neighbours, no_memory_tunnelled, one_by_one_shared, one_by_one_shared_ipv6,
            one_by_one_neighbours, one_by_one_tunnelled, one_by_one_tunnelled_back,
        ]))
