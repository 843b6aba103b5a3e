# SPDX-License-Identifier: GPL-2.0
"""A cluster beside the model of it (tools/logic/model/cluster.rs): what machines count for a packet,
and what the model says that they do."""

import collections
import ctypes
import ipaddress
import os
import random
import socket
import struct
import subprocess

from clusters import (MAC, PORT, TCP, UDP, Directed, introduce, name_of, slot_of, table)
from machines import ip_commands, pin
from rubbish import TYPES, UDP as UDP_HEADER, plain
from service_group import checkout, expect, start

NETWORKS = {4: "10.9.0.0/24", 6: "fd09::/64"}
NOBODY, WAN = bytes.fromhex("020000000099"), bytes.fromhex("020000000077")
# The owner of each slot, and the one before; slot 3 has none.
OWNERS = (2, 2, 3, 0, 1, 3, 3)
FORMER = (1, 2, 3, 3, 1, 2, 3)
# A packet is decided about after two others at most, see Scene.arrive().
HOPS = 3
# Attaches a filter that takes nothing.
SO_ATTACH_FILTER = 26


def first_table(age):
    """The table that all are told first."""
    return table(*(OWNERS if age == "first" else FORMER))


class Oracle:
    """The model, as a program."""

    def __init__(self):
        program = os.path.join(checkout(), "build", "bin", "cluster_oracle")
        self.process = start([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *words):
        """Tells what the cluster is."""
        print(*words, file=self.process.stdin, flush=True)

    def ask(self, *words):
        """What is counted: a number for each machine and name."""
        self.tell(*words)
        counts = collections.Counter()
        line = self.process.stdout.readline()
        expect(line, "the oracle has ended")
        for word in line.split():
            machine, name = word.split(":")
            counts[int(machine), name] += 1
        return counts


class Scene:
    """A cluster, what it is told, the model of it, and a client. `directs_only`: the director is no
    node, as the one that stands by never is."""

    def __init__(self, cluster, seed, age, spill=0, directs_only=False, protocol=0, port=0):
        pin()
        self.cluster, self.age, self.spill = cluster, age, spill
        self.directed = isinstance(cluster, Directed)
        self.version = cluster.version
        self.outsiders = cluster.directors[0 if directs_only else 1:]
        self.machines = [*cluster.nodes, *cluster.directors]
        self.name = {**name_of(self.version, protocol, port)}
        self.settle = 3600 if age == "young" else 0
        self.rng = random.Random(f"{seed} {self.version} {age} {spill} {directs_only} {protocol}")
        self.meet()
        self.flow = None
        # Sockets of machines' other devices.
        self.beside = {}
        if age != "first":
            self.configure(FORMER, 2)
            self.flow = self.connection()
        self.configure(OWNERS, 3)
        self.oracle = Oracle()
        self.tell()
        self.services = cluster.listeners(UDP)
        self.clients = self.find_clients()
        with cluster.client:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.bind(("eth0", 0))
        self.rounds = 0

    def meet(self):
        """All machines know each other, so that no packet is lost on the way."""
        for version in {self.version, self.outer()}:
            for one in self.machines:
                for other in self.machines:
                    if one is not other:
                        introduce(one, other, version)

    def outer(self):
        """The family of tunnels."""
        if not self.directed:
            return self.version
        return {4: 4, 16: 6}[len(self.cluster.given["nodes"][0]["address"])]

    def configure(self, owners, epoch):
        """Has all machines serve it."""
        how = {"table": table(*owners), "epoch": epoch, "settle": self.settle, "spill": self.spill,
               **self.name}
        if not self.directed:
            self.cluster.set(**how)
            return
        self.cluster.direct(0, **how)
        for machine in self.outsiders:
            role = "director" if machine is self.cluster.directors[0] else "standby"
            self.cluster.set([machine], role=role, **{**self.cluster.given, "node": None})

    def connection(self):
        """A connection whose slot moves: the machine that has it, and its flow. Its client hears
        nothing any more, and so says nothing."""
        listeners = self.cluster.listeners()
        while True:
            client = self.cluster.client_socket()
            slot = slot_of(client, self.cluster.address, TCP, len(FORMER))
            if FORMER[slot] not in (0, OWNERS[slot]) and OWNERS[slot]:
                break
            client.close()
        owner = self.cluster.nodes[FORMER[slot] - 1]
        server, peer = listeners[owner].accept()
        while peer[:2] != client.getsockname()[:2]:
            server, peer = listeners[owner].accept()
        for listener in listeners.values():
            listener.close()
        hear_nothing(client)
        self.held = client, server
        address, port = client.getsockname()[:2]
        return owner.number, (ipaddress.ip_address(address).packed, port, PORT)

    def tell(self):
        """Tells the model."""
        how, way = "shared", "neighbour"
        if self.directed:
            how, way = "directed", self.cluster.given["nodes"][0]["way"]
        self.oracle.tell("cluster", self.cluster.address, self.name["protocol"], self.name["port"],
                         how, "spill" if self.spill else "keep", way, self.age)
        self.oracle.tell("table", ",".join(map(str, OWNERS)))
        self.oracle.tell("former", ",".join(map(str, FORMER)))
        for machine in self.cluster.nodes:
            self.oracle.tell("machine", machine.number, how, "node")
        for machine, role in zip(self.cluster.directors, ("director", "standby")):
            kind = "none" if machine in self.outsiders else "node"
            self.oracle.tell("machine", machine.number, role, kind)
        if self.flow:
            machine, (source, *ports) = self.flow
            self.oracle.tell("known", machine, ipaddress.ip_address(source), *ports)

    def find_clients(self):
        """For each node a client whose datagrams are that node's, and such a datagram."""
        clients = {}
        while len(clients) < len(self.cluster.nodes):
            client = self.cluster.client_socket(UDP)
            owner = OWNERS[slot_of(client, self.cluster.address, UDP, len(OWNERS))]
            if owner and self.cluster.nodes[owner - 1] not in clients:
                source, port = client.getsockname()[:2]
                ends = [ipaddress.ip_address(end).packed for end in (source, self.cluster.address)]
                upper = struct.pack("!HHHH", port, PORT, 8, 0)
                packet = plain(self.version, *ends, UDP_HEADER, upper)
                clients[self.cluster.nodes[owner - 1]] = client, packet
        return clients

    def entries(self):
        """Where a frame may go to: a MAC address, and the machines that get it."""
        if not self.directed:
            return MAC, self.cluster.nodes
        director, standby = self.cluster.directors
        machine = self.rng.choice([director] * 6 + [standby] + self.cluster.nodes)
        return bytes.fromhex(machine.mac().replace(":", "")), [machine]

    def way(self, machine, way):
        """A socket by which frames get to a machine, and to which MAC address: near, from the segment;
        beside, by another device of its own, behind which nobody is."""
        if way == "near":
            return self.sock, bytes.fromhex(machine.mac().replace(":", ""))
        if machine not in self.beside:
            with machine:
                ip_commands(f"link add wan address {WAN.hex(':')} type veth peer name wanpeer",
                            "link set wan up", "link set wanpeer up")
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.bind(("wanpeer", 0))
            for device in "all", "wan":
                machine.set(f"ipv4/conf/{device}/rp_filter", 0)
            self.beside[machine] = sock
        return self.beside[machine], WAN

    @staticmethod
    def send(frames, sock, mac, version):
        """Sends frames."""
        for packet in frames:
            sock.send(mac + NOBODY + TYPES[version].to_bytes(2, "big") + packet)

    def arrive(self):
        """Waits until all that was sent has come, and what was sent of it to others; what is counted
        of that."""
        expected = collections.Counter()
        for _ in range(HOPS):
            self.rounds += 1
            data = str(self.rounds).encode()
            for machine, (client, packet) in self.clients.items():
                client.send(data)
                while self.services[machine].recv(4000) != data:
                    pass
                expected += self.told(packet, self.cluster.directors[:1] or self.cluster.nodes)
        return expected

    def told(self, packet, machines, gathered=False):
        """What the model says of a packet that comes to some machines."""
        expected = collections.Counter()
        for machine in machines:
            expected += self.oracle.ask("packet", machine.number, "gathered" if gathered else "whole",
                                        packet.hex())
        return expected

    def counted(self):
        """What all machines have counted."""
        counts = collections.Counter()
        for machine in self.machines:
            told = machine.ynl.do("cluster-get", self.name)["counters"]
            counts.update({(machine.number, name): count for name, count in told.items()})
        return counts

    def known(self, counts):
        """Without what the model knows nothing of: nodes may put together what a director has."""
        unknown = ("answered", "reassembled") if self.directed else ("answered",)
        return collections.Counter({key: count for key, count in counts.items()
                                    if count > 0 and key[1] not in unknown})


def hear_nothing(sock):
    """Attaches a filter that takes nothing."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))
    program = struct.pack("=H6xQ", 1, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
