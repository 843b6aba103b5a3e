#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a cluster IP needs goes away while packets come: the module, a namespace, a device, memory.

SG_MODULE is the module's path. What cannot be let go shows in the kernel's log, in a device or
module that stays, or as a leak after all tests.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys

from clusters import (CLUSTER, MAC, PORT, TCP, UDP, Cluster, Directed, accepted,
                      exchange, introduce, open_family_on, table, takes_connections)
from failures import Sometimes, kept, walk_packets
from family import forget_family
from machines import FAMILIES, ip_commands
from service_group import (PATIENCE, die_with_parent, equal, expect, run_tests,
                           wait_until)

# What neighbour solicitations for the IPv6 address are sent to.
SOLICITED = "3333ff000100"
# How many allocations for packets fail.
FAILED_PACKETS = 500


class Traffic:
    """A process that sends datagrams, whole and in fragments, and begins connections, to ports
    without a service. It holds no namespace but the client's, and ends with the test."""

    def __init__(self, cluster):
        with cluster.client:
            udp = socket.socket(FAMILIES[cluster.version], UDP)
            self.process = os.fork()
            if not self.process:
                die_with_parent()
                os.dup2(udp.fileno(), 3)
                os.closerange(4, 4096)
                self.send(cluster.version)
            udp.close()

    @staticmethod
    def send(version):
        """Without an end."""
        udp = socket.socket(fileno=3)
        udp.setblocking(False)
        while True:
            for size in (10, 2000):
                try:
                    udp.sendto(b"d" * size, (CLUSTER[version], PORT + 1))
                except OSError:
                    pass
            tcp = socket.socket(FAMILIES[version], TCP)
            tcp.setblocking(False)
            tcp.connect_ex((CLUSTER[version], PORT + 2))
            tcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def comes(cluster, machine, counter):
    """Waits until packets have come to a machine, from now on."""
    before = cluster.counters(machine)[counter]
    wait_until(lambda: cluster.counters(machine)[counter] > before + 10, f"{counter} packets")


def unload():
    """Removes the module; nothing holds it for long."""
    wait_until(lambda: not subprocess.run(["rmmod", "service_group"], capture_output=True,
                                          check=False).returncode, "rmmod")


def load():
    """Loads it."""
    subprocess.run(["insmod", os.environ["SG_MODULE"]], check=True)


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
    """A cluster IP does not hold the module, nor do packets; it is configured anew afterwards."""
    machines = cluster.nodes + cluster.directors
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, busy, counter)
            equal(joins, joined(busy), "receives")
            unload_and_load(machines)
            forget_family()
            open_family_on(machines)
            equal([], busy.ynl.dump("cluster-get", {}), "what is left")
            configure()
        comes(cluster, busy, counter)
        takes_connections(cluster, 3)


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


def end(machine):
    """Lets go of a machine's namespace, and waits until its device is gone."""
    machine.ynl.sock.close()
    os.close(machine.inside)
    port = f"port{machine.number}"
    wait_until(lambda: port not in [name for _, name in socket.if_nameindex()],
               "the namespace's end")


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
    unload_and_load()


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
    unload_and_load()


def namespace_neighbours():
    """Directed to MAC addresses."""
    namespace_directed("neighbour", 4)


def namespace_tunnelled():
    """Directed by tunnels of the other family."""
    namespace_directed("tunnel", 6)


def replug(machine):
    """A machine's device goes, and it gets another one."""
    with machine:
        # It waits for whoever keeps it.
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
            module_shared, module_directed, module_tunnelled, namespace_shared,
            namespace_neighbours, namespace_tunnelled, device_shared, device_directed,
            no_memory_neighbours, no_memory_tunnelled, one_by_one_shared, one_by_one_shared_ipv6,
            one_by_one_neighbours, one_by_one_tunnelled, one_by_one_tunnelled_back,
        ]))
