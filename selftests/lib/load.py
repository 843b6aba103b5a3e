# SPDX-License-Identifier: GPL-2.0
"""A load of connections and datagrams for a cluster IP, which checks what becomes of each.

What may be the case is computed from the tables: who owned a slot while a datagram was under way,
or while a connection began. Nothing depends on time.
"""

import ipaddress
import re
import selectors
import socket
import struct
import subprocess

from clusters import PORT, PROTOCOL, TCP, UDP, VALUE
from machines import FAMILIES, bound
from service_group import equal, expect, wait_until

# What connections carry, from an offset of their own on.
BYTES = bytes((at * 167 + (at >> 8) * 59) & 255 for at in range(1 << 16))
IN, OUT = selectors.EVENT_READ, selectors.EVENT_WRITE
SENDERS = 12
ABORT = struct.pack("=ii", 1, 0)


class Connection:
    """A connection, with both of its ends."""

    def __init__(self, client, slot, goal):
        self.client, self.slot, self.goal = client, slot, goal
        self.source = client.getsockname()[:2]
        self.port = self.source[1]
        self.server = self.node = None
        # The nodes that its SYN may have reached.
        self.owners = set()
        self.connected = False
        self.sent = self.got = self.echoed = self.back = 0

    def bytes(self, begin, end):
        """A part of what it carries."""
        first = self.port % 30000
        return BYTES[first + begin:first + end]

    def __str__(self):
        return (f"connection from {self.source}, slot {self.slot}, node {self.node}, begun at "
                f"{sorted(self.owners)}, {self.sent} sent, {self.got} came, {self.back} back")


class Load:
    """The owners, and what is under way."""

    def __init__(self, cluster, rng, table, hash_name, key, sources):
        self.cluster, self.rng, self.sources = cluster, rng, sources
        self.hash_name, self.key = hash_name, key
        # By epoch, which begins at 1; the epochs that are in force on some machine.
        self.tables = {1: table}
        self.oldest = self.newest = 1
        self.dead = set()
        self.duplicates = False
        self.connections = {}
        self.completed = self.doomed = self.broken = self.taken = 0
        self.selector = selectors.DefaultSelector()
        for machine in cluster.nodes:
            for kind, handler in ((TCP, self.accept), (UDP, self.take)):
                sock = bound(machine, kind, cluster.address, PORT)
                sock.setblocking(False)
                self.watch(sock, IN, handler, machine.number)
        self.senders = [self.socket(UDP) for _ in range(SENDERS)]
        self.datagrams = []

    def socket(self, kind):
        """A client's socket, which has a port."""
        version = self.cluster.version
        with self.cluster.client:
            sock = socket.socket(FAMILIES[version], kind)
        sock.setblocking(False)
        sock.bind((self.rng.choice(self.sources), 0))
        if kind == UDP:
            sock.connect((self.cluster.address, PORT))
        return sock

    def watch(self, sock, events, handler, *arguments):
        """Has a handler called when there is something to do."""
        self.selector.register(sock, events, (handler, sock, arguments))

    def forget(self, sock):
        """Ends a socket that was watched, without a word if there is one to be said."""
        self.selector.unregister(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        sock.close()

    def slot(self, sock, kind):
        """The slot of what a client's socket sends."""
        host, port = sock.getsockname()[:2]
        flow = (ipaddress.ip_address(host), port, ipaddress.ip_address(self.cluster.address), PORT,
                PROTOCOL[kind])
        return VALUE(self.hash_name, self.key, flow) % len(self.tables[1])

    def owners(self, slot, since):
        """All who have owned it since that epoch."""
        return {self.tables[epoch][slot] for epoch in range(since, self.newest + 1)}

    def alive(self, slot):
        """Its owner, of the nodes that live."""
        return self.owners(slot, self.oldest) - self.dead

    # What is sent.

    def begin(self):
        """One connection more."""
        sock = self.socket(TCP)
        one = Connection(sock, self.slot(sock, TCP), self.rng.randrange(500, 12000))
        one.owners = self.alive(one.slot)
        self.connections[one.source] = one
        self.watch(sock, IN | OUT, self.client, one)
        sock.connect_ex((self.cluster.address, PORT))

    def say(self, one):
        """Sends a part of what a connection is to carry."""
        more = self.rng.randrange(1, 3000)
        data = one.bytes(one.sent, min(one.sent + more, one.goal))
        try:
            one.sent += one.client.send(data)
            if one.sent == one.goal:
                one.client.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError as error:
            self.broke(one, error)

    def send(self, sender=None):
        """Sends a datagram; the kernel's error is one of an earlier one."""
        sender = sender or self.rng.choice(self.senders)
        size = 1600 if self.rng.random() < 0.1 else 4
        try:
            sender.send(struct.pack("=I", len(self.datagrams)).ljust(size, b"d"))
        except OSError:
            return
        self.datagrams.append((sender, self.slot(sender, UDP), self.oldest, []))

    def step(self, begin=0.3, timeout=0.002):
        """A little of everything."""
        if len(self.connections) < 24 and self.rng.random() < begin:
            self.begin()
        for one in list(self.connections.values()):
            if one.connected and one.sent < one.goal and self.rng.random() < 0.1:
                self.say(one)
        self.send()
        self.turn(timeout)

    def takes_all(self, send):
        """Has datagrams sent while nothing happens and nothing is lost: each is taken once."""
        # What could not be found lately may be looked for in vain a while longer.
        begin = len(self.datagrams)
        wait_until(lambda: self.reaches_all(begin), "a datagram of each sender")
        begin = len(self.datagrams)
        send()
        try:
            wait_until(lambda: self.turn(0.01) or not self.missing(begin), "all datagrams")
        except AssertionError:
            self.tell_losses(begin)
            raise
        for sender, slot, _, takers in self.datagrams[begin:]:
            equal([self.tables[self.newest][slot]], takers,
                  f"who took a datagram of {sender.getsockname()[:2]}")

    def missing(self, begin):
        """Datagrams, of those from there on, that nobody has taken."""
        return [one for one in self.datagrams[begin:] if not one[-1]]

    def tell_losses(self, begin):
        """Says what is missing, and what each machine knows of losses."""
        for sender, slot, *_ in self.missing(begin):
            print(f"# missing: from {sender.getsockname()[:2]}, slot {slot}, owned by "
                  f"{self.tables[self.newest][slot]}")
        cluster = self.cluster
        for machine in [*cluster.nodes, *cluster.directors]:
            print(f"# {machine.number}: {cluster.counters(machine)}")
            with machine:
                told = subprocess.run(["nstat", "-asz", "*Error*", "*Discard*", "*Fail*"],
                                      capture_output=True, text=True, check=False).stdout
            losses = re.findall(r"^(\w+) +([1-9]\d*)", told, re.MULTILINE)
            print(f"# {machine.number}: {losses}")

    def reaches_all(self, begin):
        """Whether a datagram of each sender, of those from `begin` on, was taken; sends others."""
        reached = {sender for sender, *_, takers in self.datagrams[begin:] if takers}
        for sender in self.senders:
            if sender not in reached:
                self.send(sender)
        self.turn(0.01)
        return len(reached) == len(self.senders)

    # What comes.

    def turn(self, timeout):
        """Does what there is to do."""
        for key, _ in self.selector.select(timeout):
            handler, sock, arguments = key.data
            if sock.fileno() >= 0:
                handler(sock, *arguments)

    def take(self, sock, node):
        """Datagrams have come to a node. None is left, or there would soon be no room."""
        while True:
            try:
                number, = struct.unpack_from("=I", sock.recv(4000))
            except BlockingIOError:
                return
            self.taken_by(node, number)

    def taken_by(self, node, number):
        """A datagram has come to a node."""
        _, slot, since, takers = self.datagrams[number]
        owners = self.owners(slot, since)
        expect(node in owners, f"node {node} took a datagram of slot {slot}, owned by {owners}")
        expect(self.duplicates or node not in takers, f"node {node} took a datagram twice")
        takers.append(node)
        self.taken += 1

    def accept(self, listener, node):
        """A connection has come to a node."""
        try:
            server, peer = listener.accept()
        except BlockingIOError:
            return
        one = self.connections.get(peer[:2])
        if not one:
            # It was given up, as a node that may have had it has died.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            server.close()
            return
        expect(one.server is None, f"accepted twice, now by {node}: {one}")
        expect(node in one.owners, f"accepted by {node}: {one}")
        server.setblocking(False)
        one.server, one.node = server, node
        self.watch(server, IN, self.serve, one)

    def serve(self, server, one):
        """The server's end echoes."""
        try:
            data = server.recv(8000)
            expect(data == one.bytes(one.got, one.got + len(data)), f"bytes at the node of {one}")
            one.got += len(data)
            while one.echoed < one.got:
                one.echoed += server.send(one.bytes(one.echoed, one.got))
            if not data:
                equal(one.goal, one.got, f"all bytes of {one}")
                self.selector.unregister(server)
                server.close()
        except BlockingIOError:
            # Less than fits into any buffer is ever under way.
            pass
        except OSError as error:
            self.broke(one, error)

    def client(self, sock, one):
        """Something has happened at the client's end."""
        if not one.connected:
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.broke(one, error)
                return
            one.connected = True
            self.selector.modify(sock, IN, (self.client, sock, (one,)))
        try:
            data = sock.recv(8000)
        except BlockingIOError:
            return
        except OSError as error:
            self.broke(one, error)
            return
        expect(data == one.bytes(one.back, one.back + len(data)), f"bytes at the client of {one}")
        one.back += len(data)
        if not data:
            equal(one.goal, one.back, f"all bytes of {one}")
            self.completed += 1
            del self.connections[one.source]
            self.selector.unregister(sock)
            sock.close()

    @staticmethod
    def broke(one, error):
        """A connection whose node lives has ended too early."""
        raise AssertionError(f"{error!r}: {one}")

    # What happens.

    def give_up(self, one):
        """A connection is lost."""
        del self.connections[one.source]
        self.doomed += 1
        for sock in (one.client, one.server):
            if sock and sock.fileno() >= 0:
                self.forget(sock)

    def died(self, node):
        """A node can be reached no more; what it had, or may have had, is lost."""
        self.dead.add(node)
        for one in list(self.connections.values()):
            if node == one.node or one.node is None and node in one.owners:
                self.give_up(one)

    def changing(self, table):
        """A new table is about to be told to the machines, one after another."""
        self.newest += 1
        self.tables[self.newest] = table
        for one in self.connections.values():
            if one.node is None:
                one.owners |= self.alive(one.slot)

    def changed(self):
        """All know the new table."""
        self.oldest = self.newest

    def holders(self):
        """Which nodes have connections, or may have, in each slot."""
        holders = {}
        for one in self.connections.values():
            nodes = one.owners if one.node is None else {one.node}
            holders.setdefault(one.slot, set()).update(nodes)
        return holders
