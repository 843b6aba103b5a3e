#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A cluster of two kernels: two guests with a cable between them, see two_guests.

Each guest has a bridge, with two machines and one end of the cable on it. SG_GUEST=1 has node 1 and
the client; it runs the tests. SG_GUEST=2 has node 3 and the director, 4; it does what it is told
over the cable.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from clusters import (CLUSTER, LENGTH, MAC, PORT, TCP, config, name_of, node,
                      open_family_on, slot_of, table)
from machines import FAMILIES, bound, gives, ip_commands, segment
from service_group import (CLONE_NEWNET, LIMIT, PATIENCE, enter_namespace, equal,
                           expect, run_tests, wait_until)

GUEST = int(os.environ.get("SG_GUEST", "1"))
NODES = (1, 3)
CLIENT, DIRECTOR = 2, 4
CONTROL = ("10.9.0.4", 7000)
CABLE = "eth0"


def take_cable():
    """Moves the end of the cable into the present namespace."""
    # Where it is built in there is nothing to load.
    subprocess.run(["modprobe", "-q", "virtio_net"], check=False)
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    os.setns(os.open("/proc/1/ns/net", os.O_RDONLY), CLONE_NEWNET)
    wait_until(lambda: CABLE in [name for _, name in socket.if_nameindex()], "the cable")
    ip_commands(f"link set {CABLE} netns /proc/{os.getpid()}/fd/{ours}")
    os.setns(ours, CLONE_NEWNET)


class Guest:
    """This guest's machines: a node, and another one."""

    def __init__(self, first):
        enter_namespace()
        take_cable()
        self.machines = {machine.number: machine for machine in segment(2, first=first)}
        ip_commands(f"link set {CABLE} master segment up")
        open_family_on(self.machines.values())
        self.node = self.machines[first]
        with self.node:
            ip_commands(*(gives(f"{CLUSTER[version]}/{LENGTH[version]}", "lo")
                          for version in CLUSTER))
        for machine in self.machines.values():
            machine.is_patient()

    def serve(self):
        """Its node has a service, from now on."""
        for version in CLUSTER:
            listener = bound(self.node, TCP, CLUSTER[version], PORT)
            listener.settimeout(None)
            start(accept, listener, self.node.number)

    def tell(self, version, mode, owners, epoch):
        """Has the machines that are for it serve a cluster IP."""
        for number, machine in self.machines.items():
            role = "director" if number == DIRECTOR else mode
            if number in NODES or (mode == "directed" and number == DIRECTOR):
                machine.ynl.do("cluster-set", config(
                    version, machine.device(), number, role=role, table=table(*owners),
                    mac=MAC if mode == "shared" else None, epoch=epoch, settle=3600,
                    nodes=[node(one, version) for one in (*NODES, DIRECTOR)]))

    def forget(self, version):
        """Ends that."""
        for machine in self.machines.values():
            if machine.ynl.dump("cluster-get", {}):
                machine.ynl.do("cluster-del", name_of(version))

    def counters(self, version, number):
        """What a machine counts."""
        return self.machines[number].ynl.do("cluster-get", name_of(version))["counters"]


def start(function, *arguments):
    """In the background, until the process ends."""
    threading.Thread(target=function, args=arguments, daemon=True).start()


def accept(listener, number):
    """Takes connections for ever."""
    while True:
        start(serve, listener.accept()[0], number)


def serve(server, number):
    """Tells the client the node's number, and then returns what it gets."""
    with server:
        server.sendall(bytes([number]))
        while data := server.recv(1 << 16):
            server.sendall(data)


class Other:
    """The other guest, as the client reaches it."""

    def __init__(self, client):
        end = time.monotonic() + LIMIT
        with client:
            while not (connected := self.reached()):
                # It boots.
                expect(time.monotonic() < end, "the other guest does not come")
        self.file = connected.makefile("rw", encoding="ascii")

    @staticmethod
    def reached():
        """A connection to it, once it can be reached."""
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        return sock if sock.connect_ex(CONTROL) == 0 else None

    def do(self, *order):
        """Has it call a method of its Guest."""
        self.file.write(json.dumps(order) + "\n")
        self.file.flush()
        answer = self.file.readline()
        expect(answer, "the other guest is gone")
        return json.loads(answer)


class Cluster:
    """A cluster IP that both guests serve."""

    def __init__(self, version, mode):
        self.version, self.mode = version, mode
        self.owners, self.epoch = None, 0
        GUEST_1.serve()

    def change(self, *owners):
        """Gives all a table."""
        self.owners = owners
        self.epoch += 1
        order = (self.version, self.mode, owners, self.epoch)
        GUEST_1.tell(*order)
        GUEST_2.do("tell", *order)

    def connect(self):
        """A connection, and its owner, which must have accepted it."""
        with GUEST_1.machines[CLIENT]:
            client = socket.socket(FAMILIES[self.version], TCP)
        client.settimeout(PATIENCE)
        address = CLUSTER[self.version]
        client.connect((address, PORT))
        owner = self.owners[slot_of(client, address, TCP, len(self.owners))]
        equal(owner, client.recv(1)[0], "who took it")
        return client, owner

    def connect_both(self):
        """Connections, until each node has some."""
        clients, seen = [], set()
        while seen != set(self.owners) or len(clients) < 8:
            client, owner = self.connect()
            clients.append(client)
            seen.add(owner)
        return clients

    def counters(self):
        """Of both nodes."""
        return (GUEST_1.counters(self.version, NODES[0]),
                GUEST_2.do("counters", self.version, NODES[1]))

    def forget(self):
        """Ends it."""
        GUEST_1.forget(self.version)
        GUEST_2.do("forget", self.version)


def exchange(client):
    """There and back again."""
    data = os.urandom(20000)
    start(client.sendall, data)
    seen = b""
    while len(seen) < len(data):
        part = client.recv(len(data))
        expect(part, "it ended")
        seen += part
    expect(data == seen, "something else came back")


def serves(version, mode):
    """Each kernel takes its own connections, and those that it knows when the table changes."""
    cluster = Cluster(version, mode)
    cluster.change(1, 3, 1)
    clients = cluster.connect_both()
    for client in clients:
        exchange(client)
    for owners in ((3, 1, 3), (1, 1, 1), (3, 3, 3), (1, 3, 1)):
        cluster.change(*owners)
        clients += cluster.connect_both()
        for client in clients:
            exchange(client)
    counters = cluster.counters()
    for one in counters:
        expect(one["owned"] > 0 and one["known"] > 0, f"{counters}")
    if mode == "shared":
        expect(counters[0]["ignored"] > 0 and counters[1]["ignored"] > 0, f"{counters}")
    else:
        expect(counters[0]["second-chance"] > 0 and counters[1]["second-chance"] > 0, f"{counters}")
    cluster.forget()


def shared_ipv4():
    """Both receive all, at a multicast MAC address."""
    serves(4, "shared")


def shared_ipv6():
    """The same."""
    serves(6, "shared")


def directed_ipv4():
    """The director is with one of them."""
    serves(4, "directed")


def directed_ipv6():
    """The same."""
    serves(6, "directed")


def obeys():
    """The second guest: it does what the first one says, until that is done."""
    guest = Guest(NODES[1])
    guest.serve()
    with guest.machines[DIRECTOR]:
        listener = socket.create_server(CONTROL)
    control = listener.accept()[0].makefile("rw", encoding="ascii")
    for line in control:
        # What it is asked takes as long as several tests.
        signal.alarm(LIMIT)
        method, *arguments = json.loads(line)
        control.write(json.dumps(getattr(guest, method)(*arguments)) + "\n")
        control.flush()


if __name__ == "__main__":
    if GUEST == 2:
        sys.exit(run_tests("two_kernels", [obeys]))
    GUEST_1 = Guest(NODES[0])
    GUEST_2 = Other(GUEST_1.machines[CLIENT])
    sys.exit(run_tests("two_kernels", [shared_ipv4, shared_ipv6, directed_ipv4, directed_ipv6]))
