# SPDX-License-Identifier: GPL-2.0
"""A service on each node of a cluster, whose first node has no room once it is full, so that it
spills to the second one."""

import contextlib
import socket

from clusters import PORT, TCP, ready, table
from machines import FAMILIES
from service_group import PATIENCE, configure, form, new_socket, wait_until

# All slots are node 1's but one, which makes node 2 the one that node 1 spills to.
TABLE = table(*([1] * 7 + [2]))


class Service:
    """A group of two members on each node; on node 1 without room, once it is full."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.members = {}
        for machine in cluster.nodes:
            with machine:
                pair = [new_socket(FAMILIES[cluster.version]) for _ in range(2)]
                for sock in pair:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    sock.bind((cluster.address, PORT))
                    # No more than one waits.
                    sock.listen(0 if machine is cluster.nodes[0] else 64)
                form(pair)
                configure(pair[0], stall=0)
            self.members[machine] = pair

    def connect(self):
        """A connection whose slot is node 1's: its client."""
        client = self.client_of_first()
        client.connect((self.cluster.address, PORT))
        return client

    def connect_until_refused(self):
        """Connections until one is answered with a reset."""
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                self.connect()

    def client_of_first(self):
        """A socket whose slot is node 1's, but that is not connected."""
        client = self.client_socket()
        while self.cluster.owner(client, TCP, (1,) * 7 + (2,)).number != 1:
            client = self.client_socket()
        return client

    def client_socket(self):
        """A socket that knows where it is, but is not connected."""
        client = self.cluster.client
        with client:
            sock = socket.socket(FAMILIES[self.cluster.version], TCP)
        sock.settimeout(PATIENCE)
        sock.bind((client.address(self.cluster.version), 0))
        return sock

    def accept(self, machine):
        """The oldest connection of that machine."""
        sockets = dict(enumerate(self.members[machine]))
        number = ready(sockets)[0]
        server, _ = sockets[number].accept()
        server.settimeout(PATIENCE)
        return server

    def pairs(self, machine, clients):
        """The connections of these clients, all of them with that machine: both their ends."""
        servers = [self.accept(machine) for _ in clients]
        servers = {server.getpeername()[:2]: server for server in servers}
        return [(client, servers[client.getsockname()[:2]]) for client in clients]

    def fill(self):
        """Connections until node 1 has no room: their clients."""
        clients = []
        first, second = self.cluster.nodes[:2]
        while not self.cluster.counters(first)["spilled-out"]:
            clients.append(self.connect())
        wait_until(lambda: self.cluster.counters(second)["spilled-in"], "what was spilled")
        return clients
