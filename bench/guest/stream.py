# SPDX-License-Identifier: GPL-2.0
"""Connections for `failover`: new ones at a steady rate, and some that live long. All ends are here."""

import selectors
import socket
import struct
import time

from nodes import ADDRESS
from clusters import PORT, TCP
from machines import bound

IN, OUT = selectors.EVENT_READ, selectors.EVENT_WRITE
ABORT = struct.pack("=ii", 1, 0)
# How many live long.
LONG = 48
# Seconds: until a client gives up, and for how long all are to be served at once in the end.
PATIENCE, GOOD = 10, 3
# Longer than anything takes to notice a death; and as programs listen.
LONGEST, BACKLOG = 90, 4096
# So long a connection takes at most that is not late.
SOON = 0.5
# Of struct tcp_info, in bytes: its beginning, and where it says how many segments were sent again.
TCP_INFO_LENGTH, TOTAL_RETRANS = 104, 100


class Client:
    """A connection's."""

    def __init__(self, sock, lives):
        self.sock, self.lives = sock, lives
        self.source = sock.getsockname()
        self.begun = time.monotonic()
        self.is_connected = self.is_late = False
        self.served = self.error = None

    def lasts(self):
        """Seconds until it was served, or until now."""
        return (self.served or time.monotonic()) - self.begun

    def is_lost(self):
        """Whether it was given up, or refused."""
        return bool(self.error) or self.lasts() > PATIENCE


class Stream:
    """All of them."""

    def __init__(self, segment, rate):
        self.segment, self.every = segment, 1 / rate
        self.selector = selectors.DefaultSelector()
        self.machines, self.servers, self.listeners = {}, [], []
        for machine in segment.nodes:
            for address in ADDRESS, machine.address(4):
                sock = bound(machine, TCP, address, PORT)
                sock.setblocking(False)
                sock.listen(BACKLOG)
                self.listeners.append(sock)
                self.watch(sock, IN, self.accept, machine, address == ADDRESS)
        self.gone, self.struck = None, 0
        self.clients = []
        self.lasting = [self.begin(lives=True) for _ in range(LONG)]
        self.turn_until(lambda: all(client.served for client in self.lasting))
        self.next = time.monotonic()

    def watch(self, sock, events, handler, *arguments):
        """Has a handler called."""
        self.selector.register(sock, events, (handler, sock, arguments))

    def begin(self, lives=False):
        """One client more."""
        sock = self.segment.client_socket(len(self.clients))
        sock.setblocking(False)
        client = Client(sock, lives)
        self.clients.append(client)
        sock.connect_ex((ADDRESS, PORT))
        self.watch(sock, OUT, self.connected, client)
        return client

    # What happens on sockets.

    def accept(self, listener, machine, is_service):
        """A client, or a check."""
        server, source = listener.accept()
        if not is_service:
            server.close()
            return
        server.setblocking(False)
        self.machines[source] = machine
        self.servers.append(server)
        self.watch(server, IN, self.serve)

    def serve(self, server):
        """Sends back what has come."""
        try:
            if data := server.recv(10):
                server.send(data)
                return
        except OSError:
            pass
        self.selector.unregister(server)
        server.close()

    def connected(self, sock, client):
        """A client asks."""
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_LENGTH)
        client.is_late = struct.unpack_from("=I", info, TOTAL_RETRANS)[0] > 0
        self.selector.modify(sock, IN, (self.answered, sock, (client,)))
        try:
            sock.send(b"x")
            client.is_connected = True
        except OSError as error:
            self.fails(client, error)

    def answered(self, sock, client):
        """It has its answer."""
        try:
            if not sock.recv(10):
                raise ConnectionError("closed")
        except OSError as error:
            self.fails(client, error)
            return
        client.served = time.monotonic()
        if not client.lives:
            self.selector.unregister(sock)
            sock.close()

    def fails(self, client, error):
        """It is refused, or reset."""
        client.error = error
        self.selector.unregister(client.sock)
        client.sock.close()

    # What is to happen.

    def turn(self, timeout):
        """Does what there is to do."""
        for key, _ in self.selector.select(max(0, timeout)):
            handler, sock, arguments = key.data
            if sock.fileno() >= 0:
                handler(sock, *arguments)

    def turn_until(self, condition):
        """Until it is true, or nobody waits any longer; whether it is."""
        end = time.monotonic() + PATIENCE
        while not (found := condition()) and time.monotonic() < end:
            self.turn(0.1)
        return found

    def step(self):
        """Until the next one begins."""
        now = time.monotonic()
        if now >= self.next:
            self.next += self.every
            self.begin()
        self.turn(self.next - now)

    def go_on(self, seconds):
        """For so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()

    def is_struck(self, gone):
        """From now on a node is gone, or seems so."""
        self.gone, self.struck = gone, time.monotonic()

    def new(self):
        """Those that have begun since, or were not served then."""
        return [client for client in self.clients if not client.lives and (
            client.begun >= self.struck or not client.served or client.served > self.struck)]

    def go_on_until_served(self):
        """Until all are served at once."""
        self.go_on(GOOD)
        while not self.all_served() and time.monotonic() < self.struck + LONGEST:
            self.go_on(GOOD / 4)

    def all_served(self):
        """Whether nothing that began lately was late."""
        now = time.monotonic()
        lately = [client for client in self.new() if now - GOOD < client.begun < now - SOON]
        return all(client.served and not client.is_late for client in lately)

    def result(self):
        """What became of all."""
        new = self.new()
        self.turn_until(lambda: all(client.served or client.is_lost() for client in new))
        lost = [client for client in new if client.is_lost()]
        # It had a connection, and so was a node's.
        cut = [client for client in lost if client.is_connected]
        late = [client for client in new if client.is_late and client not in lost]
        bad = [client for client in [*lost, *late] if client not in cut]
        own, others = self.broken()
        since = lambda times: max((at - self.struck for at in times), default=0) * 1000
        return {
            "new": len(new), "lost": len(lost) - len(cut), "late": len(late), "cut": len(cut),
            "outage_ms": since([client.begun for client in bad]),
            "last_late_ms": since([client.served for client in late]),
            "live": LONG, "of_node": sum(self.is_own(client) for client in self.lasting),
            "own": own, "others": others,
        }

    def is_own(self, client):
        """Whether it is a client of the node that is gone."""
        return self.machines[client.source] is self.gone

    def broken(self):
        """How many of those that live long get no answer: the node's, and others'."""
        for client in self.lasting:
            client.served = None
            try:
                client.sock.send(b"x")
            except OSError as error:
                if not client.error:
                    self.fails(client, error)
        self.turn_until(lambda: all(client.served or client.error for client in self.lasting))
        broken = [client for client in self.lasting if not client.served]
        own = sum(self.is_own(client) for client in broken)
        return own, len(broken) - own

    def close(self):
        """Without a farewell, which could come to another system."""
        for sock in [client.sock for client in self.clients] + self.servers:
            if sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                sock.close()
        for listener in self.listeners:
            listener.close()
        self.selector.close()
