# SPDX-License-Identifier: GPL-2.0
"""Agents of machines, played by a test: they make links, and make those anew that have ended. And the
network between machines: who does not hear whom.
"""

import itertools
import selectors
import socket
import time

from family import NlError
from machines import bound, nft
from peers import PORT, give, is_machine, told

# Seconds; a connection that takes longer is tried anew.
SOON = 1
# Before the hook of the module, and before fragments are reassembled.
EARLY = -450
CUTS = (f"table inet cut {{ set from {{ type ether_addr; }}; "
        f"chain c {{ type filter hook prerouting priority {EARLY}; ether saddr @from drop; }}; }}")


class Cuts:
    """Pairs of machines, the second of which hears nothing of the first one."""

    def __init__(self, machines):
        self.macs = {machine: machine.mac() for machine in machines}
        self.cut = set()
        for machine in machines:
            nft(machine, CUTS)

    def change(self, pairs):
        """From now on these are cut, and no others."""
        for word, changed in (("add", pairs - self.cut), ("delete", self.cut - pairs)):
            for one, other in changed:
                nft(other, f"{word} element inet cut from {{ {self.macs[one]} }}")
        self.cut = set(pairs)


class Agents:
    """One on each machine. What happens on sockets comes through a selector, as `watch` has it: with
    the socket, and with what was given."""

    def __init__(self, machines, watch, forget, **how):
        self.machines, self.watch, self.forget = machines, watch, forget
        self.how = how
        # Of pairs, the socket that connects, and since when.
        self.connecting = {}
        self.made = 0
        for machine in machines:
            self.introduce(machine)
            listener = bound(machine, socket.SOCK_STREAM, machine.address(4), PORT)
            listener.setblocking(False)
            watch(listener, selectors.EVENT_READ, self.accept, machine)

    def introduce(self, machine):
        """Says who a machine is."""
        others = [other.number for other in self.machines if other != machine]
        is_machine(machine, others, **self.how)

    def forgets(self, machine):
        """A machine forgets all links, and is told who it is once more."""
        machine.ynl.do("machine-del", {})
        self.introduce(machine)

    def pairs(self):
        """All pairs; the first machine connects."""
        return itertools.combinations(self.machines, 2)

    def look(self):
        """Begins what is missing."""
        for pair in self.pairs():
            sock, since = self.connecting.get(pair, (None, 0))
            if sock and time.monotonic() - since < SOON:
                continue
            if sock:
                self.drop(pair)
            if "secure" not in told(pair[0], pair[1].number):
                self.connect(pair)

    def connect(self, pair):
        """Begins to connect."""
        with pair[0]:
            sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((pair[1].address(4), PORT))
        self.connecting[pair] = sock, time.monotonic()
        self.watch(sock, selectors.EVENT_WRITE, self.connected, pair)

    def drop(self, pair):
        """Connects no more."""
        sock, _ = self.connecting.pop(pair)
        self.forget(sock)

    def connected(self, sock, pair):
        """A connection is there, or cannot be."""
        self.made += self.hand_over(sock, pair[0], pair[1].number)
        self.drop(pair)

    def accept(self, listener, machine):
        """One has come."""
        try:
            sock, (host, _) = listener.accept()
        except OSError:
            return
        with sock:
            self.hand_over(sock, machine, int(host.split(".")[-1]))

    @staticmethod
    def hand_over(sock, machine, peer):
        """Gives a connection to the module, unless it has ended meanwhile; whether it has it."""
        try:
            give(machine, sock, peer)
            return True
        except NlError:
            return False
