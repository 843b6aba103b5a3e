# SPDX-License-Identifier: GPL-2.0
"""Clusters of machines: what they are told, and how to see who has a packet."""

import ipaddress
import itertools
import select
import socket
import struct

from family import another, open_family
from machines import FAMILIES, bound, has_arp_hooks, ip_commands, oracle, segment
from service_group import PATIENCE, equal, expect, wait_until

CLUSTER = {4: "10.9.0.100", 6: "fd09::100"}
LENGTH = {4: 32, 6: 128}
MAC = bytes.fromhex("0300c0ffee01")
PORT = 8080
# Clients' ports begin here, one after another, so that with a sum all slots have their turn; the
# kernel chooses higher ones.
FIRST_PORT = 20000
NODES = 3
# Of a machine that serves in one.
VRF = "service"
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
PROTOCOL = {TCP: 6, UDP: 17}
VALUE = oracle()


def node(number, version, **changes):
    """A node as netlink has it."""
    address = ipaddress.ip_address({4: f"10.9.0.{number}", 6: f"fd09::{number:x}"}[version])
    return {"id": number, "weight": 1, "state": "up", "address": address.packed,
            "way": "neighbour", **changes}


def table(*owners):
    """A table as netlink has it."""
    return struct.pack(f"={len(owners)}I", *owners)


def name_of(version, protocol=0, port=0):
    """What a cluster IP is called."""
    return {"family": FAMILIES[version], "protocol": protocol, "port": port,
            "address": ipaddress.ip_address(CLUSTER[version]).packed}


def config(version, device, this, **changes):
    """A whole cluster IP: three nodes in shared mode, with one slot each."""
    whole = {**name_of(version), "role": "shared", "device": device, "mac": MAC, "hash": "sum5",
             "node": this, "settle": 60, "epoch": 1,
             "nodes": [node(number, version) for number in range(1, NODES + 1)],
             "table": table(1, 2, 3), **changes}
    return {name: value for name, value in whole.items() if value is not None}


def open_family_on(machines):
    """Opens the family on each machine."""
    ynl = open_family()
    for machine in machines:
        with machine:
            machine.ynl = another(ynl)


def slot_of(sock, address, kind, count, hash_name="sum5", key=b""):
    """The slot of what a client's socket sends to a cluster IP, of so many."""
    source, port = sock.getsockname()[:2]
    flow = (ipaddress.ip_address(source), port, ipaddress.ip_address(address), PORT, PROTOCOL[kind])
    return VALUE(hash_name, key, flow) % count


class Cluster:
    """Three nodes and a client, on one segment; the client is the last machine."""

    def __init__(self, version, directors=0, kind=None, host=None):
        self.version = version
        self.address = CLUSTER[version]
        self.ports = itertools.count(FIRST_PORT)
        serves = NODES + directors
        *machines, self.client = segment(serves + 1, kind, serves,
                                         f"{self.address}/{LENGTH[version]}", host=host)
        self.nodes, self.directors = machines[:NODES], machines[NODES:]
        open_family_on(machines)
        # Without its hooks in ARP the module does not answer.
        self.asks = version == 6 or has_arp_hooks()
        self.told(MAC.hex(":"))

    def told(self, mac):
        """Tells the client who has the address, if it cannot ask."""
        if not self.asks:
            with self.client:
                ip_commands(f"neigh replace {self.address} lladdr {mac} dev eth0")

    def set(self, machines=None, **changes):
        """Has all nodes, or these, serve it."""
        for machine in machines or self.nodes:
            machine.ynl.do("cluster-set", config(self.version, machine.device(), machine.number,
                                                 **changes))

    def counters(self, machine):
        """What a machine counts."""
        return machine.ynl.do("cluster-get", name_of(self.version))["counters"]

    def owner(self, sock, kind, owners=(1, 2, 3), hash_name="sum5", key=b""):
        """The machine that owns what a client's socket sends."""
        slot = slot_of(sock, self.address, kind, len(owners), hash_name, key)
        return self.nodes[owners[slot] - 1]

    def listeners(self, kind=TCP):
        """A service on each node."""
        return {machine: bound(machine, kind, self.address, PORT) for machine in self.nodes}

    def client_socket(self, kind=TCP):
        """A client that knows where to send to."""
        with self.client:
            sock = socket.socket(FAMILIES[self.version], kind)
        sock.settimeout(PATIENCE)
        sock.bind(("", next(self.ports)))
        sock.connect((self.address, PORT))
        return sock


def enslave(cluster, machines):
    """Has machines serve in a VRF."""
    version = cluster.version
    for machine in machines:
        machine.set("ipv4/tcp_l3mdev_accept", 1)
        machine.set("ipv4/udp_l3mdev_accept", 1)
        if version == 6:
            machine.set("ipv6/conf/eth0/keep_addr_on_down", 1)
        with machine:
            ip_commands(f"link add {VRF} type vrf table 10", f"link set {VRF} up",
                        f"link set eth0 master {VRF}")


def ready(sockets):
    """The machines whose sockets have something to read."""
    seen = select.select(list(sockets.values()), [], [], PATIENCE)[0]
    return [machine for machine, sock in sockets.items() if sock in seen]


def introduce(one, other, version):
    """Has a datagram come from one machine to another one's own address: they know each other's
    MAC addresses then, and what was sent before it has come as well."""
    service = bound(other, UDP, other.address(version), PORT + 1)
    with one, socket.socket(FAMILIES[version], UDP) as sock:
        sock.sendto(b"x", service.getsockname())
    service.recv(10)
    service.close()


def exchange(client, server):
    """Both ways, both ends. A socket with a time limit does not wait for all by itself."""
    for one, other in ((client, server), (server, client)):
        one.sendall(b"x" * 5000)
        left = 5000
        while left:
            data = other.recv(left)
            expect(data, f"{left} bytes are missing")
            left -= len(data)


def takes_connections(cluster, rounds, **how):
    """Each connection is its owner's, and nobody else's; returns who had how many."""
    listeners = cluster.listeners()
    taken = {machine: 0 for machine in cluster.nodes}
    for _ in range(rounds):
        client, server = accepted(cluster, listeners, **how)
        exchange(client, server)
        taken[cluster.owner(client, TCP, **how)] += 1
        server.close()
        client.close()
    for listener in listeners.values():
        listener.close()
    return taken


def accepted(cluster, listeners, **how):
    """A connection: its client's and its server's socket."""
    client = cluster.client_socket()
    owner = cluster.owner(client, TCP, **how)
    equal([owner.number], [machine.number for machine in ready(listeners)], "who took it")
    server, _ = listeners[owner].accept()
    server.settimeout(PATIENCE)
    return client, server


def outlives(cluster, change):
    """Connections, and what becomes of them when the table changes."""
    takes_connections(cluster, 6)
    listeners = cluster.listeners()
    pairs = [accepted(cluster, listeners) for _ in range(6)]
    change(epoch=2, table=table(2, 3, 1))
    for client, server in pairs:
        exchange(client, server)
    for client, server in [accepted(cluster, listeners, owners=(2, 3, 1)) for _ in range(3)]:
        exchange(client, server)
    wait_until(lambda: any(cluster.counters(one)["known"] for one in cluster.nodes), "known ones")


class Directed(Cluster):
    """The same with two machines more, of which the first one directs: 4 and 5, nodes without
    slots."""

    def __init__(self, version, way="neighbour", outer=None, kind=None, host=None, **changes):
        super().__init__(version, directors=2, kind=kind, host=host)
        self.given = {"mac": None, "nodes": [node(number, outer or version, way=way)
                                             for number in range(1, NODES + 3)]}
        self.direct(0, **changes)

    def direct(self, active, **changes):
        """Has a machine direct, and all know the table."""
        self.given.update(changes)
        self.set(role="directed", **self.given)
        for number, machine in enumerate(self.directors):
            role = "director" if number == active else "standby"
            self.set([machine], role=role, **self.given)
        self.told(self.directors[active].mac())
