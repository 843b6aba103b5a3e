#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Links choose which one of several directors directs: the first one that is there. It tells its neighbours
so, and when the others see each other again after they did not, one of them goes on.
"""

import errno
import os
import select
import socket
import struct
import subprocess
import sys

from agents import Cuts
from clusters import CLUSTER, Cluster, config, exchange, name_of, open_family_on, ready
from family import refused
from machines import ETH_P_ARP, ip_commands, segment
from peers import (SLOW, all_linked, comes_to, is_machine, link, listening, load, played,
                   played_up)
from service_group import PATIENCE, Skip, equal, expect, run_tests, switch, wait_until

# Milliseconds; an emulated machine may halt for some hundreds.
HEARTBEAT = 200
# Flags of a load report.
READY, DIRECTS, ACTIVE = 1, 8, 16
ETH_P_IPV6 = 0x86dd
ND_ADVERTISEMENT = 136
# As often as the address is announced.
ANNOUNCEMENTS = 5


class Directors(Cluster):
    """Nodes 1 to 3, and two machines more that may direct: 4, the preferred one, and 5."""

    def __init__(self, version):
        super().__init__(version, directors=2)
        if not self.asks:
            raise Skip("this kernel does not show ARP packets, so the module does not answer")
        self.first, self.second = self.directors
        self.all = [*self.nodes, *self.directors]
        for machine in self.all:
            machine.is_patient()
            self.apply(machine)

    def apply(self, machine, **changes):
        """Has a machine do its part; changes stay."""
        role, this = "directed", machine.number
        if machine in self.directors:
            role, this = "standby", None
        machine.ynl.do("cluster-set", config(self.version, machine.device(), this, **{
            "role": role, "mac": None, "directors": [4, 5], **changes}))

    def has_links(self):
        """All are linked, and the first one directs."""
        all_linked(self.all, {"heartbeat": HEARTBEAT})
        self.directs(self.first)

    def seen(self, machine):
        """What a machine is, why, and who directs as it believes."""
        return role_of(machine, name_of(self.version))

    def directs(self, machine, but=()):
        """Waits until this one directs, and all but some machines agree about it."""
        other = self.second if machine == self.first else self.first
        becomes(machine, name_of(self.version), "director", "first", machine.number)
        for one in self.nodes + [other]:
            if one in but:
                continue
            role = "standby" if one == other else "directed"
            wait_until(lambda it=one, of=role: (self.seen(it)[0], self.seen(it)[2]) == (of, machine.number),
                       f"{one.number} believes that {machine.number} directs")

    def serves(self):
        """New connections are served, by whichever nodes."""
        listeners = self.listeners()
        for _ in range(6):
            client = self.client_socket()
            machines = ready(listeners)
            equal(1, len(machines), "how many took it")
            server, _ = listeners[machines[0]].accept()
            server.settimeout(PATIENCE)
            exchange(client, server)
            server.close()
            client.close()
        for listener in listeners.values():
            listener.close()

    def is_known(self, machine):
        """Waits until the client sends to this one; nobody has it ask."""
        wait_until(lambda: self.client.knows(self.address) == machine.mac(),
                   f"the client knows that {machine.number} has the address")

    @staticmethod
    def are_lost(one, *others):
        """Waits until links to a machine are given up."""
        for other in others:
            comes_to(one, other.number, state="unreachable")
            comes_to(other, one.number, state="unreachable")

    @staticmethod
    def linked_again(one, *others):
        """Links to a machine that were lost are made anew."""
        for other in others:
            link(one, other)
        for other in others:
            comes_to(one, other.number, state="up")
            comes_to(other, one.number, state="up")


def role_of(machine, name):
    """What a machine is, why, and who directs as it believes."""
    served = machine.ynl.do("cluster-get", name)
    return served["role"], served["role-reason"], served.get("acting")


def becomes(machine, name, role, reason, acting):
    """Waits until a machine is that."""
    expected = role, reason, acting
    seen = []

    def is_so():
        seen[:] = role_of(machine, name)
        return tuple(seen) == expected

    try:
        wait_until(is_so, "")
    except AssertionError as error:
        raise AssertionError(f"{machine.number} is {expected}: seen {seen}") from error


def cluster_of(version):
    """Directors with links, and a client that has found the first one."""
    cluster = Directors(version)
    cluster.has_links()
    equal("preferred", cluster.seen(cluster.second)[1], "why the second one stands by")
    cluster.serves()
    cluster.is_known(cluster.first)
    return cluster


def listens(machine):
    """Whether the device receives solicitations for the address; that of the test lets all pass."""
    with machine:
        told_groups = subprocess.check_output(["ip", "maddr", "show", "dev", "eth0"], text=True)
    return "33:33:ff:00:01:00" in told_groups


def takes_over(version):
    """The cable of the one that directs is cut for a while."""
    cluster = cluster_of(version)
    first, second = cluster.directors
    equal([version == 6] * 2, [listens(first), listens(second)], "who receives solicitations")
    switch("port4", False)
    cluster.directs(second, but=[first])
    cluster.is_known(second)
    cluster.serves()
    # Who asks is answered as well.
    with cluster.client:
        ip_commands(f"neigh flush to {cluster.address} dev eth0")
    cluster.serves()
    cluster.is_known(second)
    # Its device has no carrier: what it believes of the others does not matter.
    becomes(first, name_of(version), "standby", "unable", 0)
    cluster.are_lost(first, second, *cluster.nodes)
    switch("port4", True)
    cluster.linked_again(first, second, *cluster.nodes)
    cluster.directs(first)
    cluster.is_known(first)
    cluster.serves()


def takes_over_ipv4():
    """The other one directs, the client sends to that without asking, and back."""
    takes_over(4)


def takes_over_ipv6():
    """The same by neighbour discovery."""
    takes_over(6)


def is_destroyed(version):
    """The machine that directs is gone for good: nothing of it says so."""
    cluster = cluster_of(version)
    first, second = cluster.directors
    switch("port4", False)
    first.ynl.sock.close()
    os.close(first.inside)
    cluster.directors, cluster.all = [second], [*cluster.nodes, second]
    becomes(second, name_of(version), "director", "first", 5)
    cluster.is_known(second)
    cluster.serves()
    wait_until(lambda: not os.path.exists("/sys/class/net/port4"), "the end of the namespace")
    equal("director", cluster.seen(second)[0], "role of the other one")


def is_destroyed_ipv4():
    """A namespace ends that has links and a cluster IP."""
    is_destroyed(4)


def is_destroyed_ipv6():
    """The same."""
    is_destroyed(6)


def is_healed(version):
    """Two directors do not hear each other, and all others hear both."""
    cluster = cluster_of(version)
    first, second = cluster.directors
    cuts = Cuts(cluster.directors)
    cuts.change({(first, second), (second, first)})
    for one in cluster.directors:
        becomes(one, name_of(version), "director", "first", one.number)
    # It was the last one to announce the address.
    cluster.is_known(second)
    cluster.serves()
    cluster.are_lost(first, second)
    cuts.change(set())
    cluster.linked_again(first, second)
    cluster.directs(first)
    cluster.is_known(first)
    cluster.serves()


def is_healed_ipv4():
    """Both direct, and both serve; then one goes on, and announces the address anew."""
    is_healed(4)


def is_healed_ipv6():
    """The same."""
    is_healed(6)


def announced(sock, version, mac):
    """Waits for an announcement of the address by this machine, and nobody else."""
    while select.select([sock], [], [], PATIENCE)[0]:
        frame = sock.recv(2000)
        if frame[6:12] != bytes.fromhex(mac.replace(":", "")):
            continue
        if version == 4 and frame[28:32] == frame[38:42] == socket.inet_aton(CLUSTER[4]):
            return
        target = socket.inet_pton(socket.AF_INET6, CLUSTER[6])
        # Unsolicited, and to override what is known.
        if version == 6 and frame[54] == ND_ADVERTISEMENT and frame[62:78] == target:
            equal(0x20, frame[58], "flags of the advertisement")
            return
    raise AssertionError("no announcement")


def announces(version):
    """How often the machine that takes over says so."""
    cluster = cluster_of(version)
    with cluster.client:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                             socket.htons(ETH_P_ARP if version == 4 else ETH_P_IPV6))
    sock.bind(("eth0", ETH_P_ARP if version == 4 else ETH_P_IPV6))
    switch("port4", False)
    for _ in range(ANNOUNCEMENTS):
        announced(sock, version, cluster.second.mac())


def announces_ipv4():
    """Gratuitous ARP."""
    announces(4)


def announces_ipv6():
    """Unsolicited advertisements."""
    announces(6)


def of_an_older_table():
    """A director that is back does not take over before it has the table of the one that directs."""
    cluster = cluster_of(4)
    first, second = cluster.directors
    switch("port4", False)
    cluster.directs(second, but=[first])
    for machine in [second, *cluster.nodes]:
        cluster.apply(machine, epoch=2)
    equal("director", cluster.seen(second)[0], "role after a change")
    cluster.are_lost(first, second, *cluster.nodes)
    switch("port4", True)
    cluster.linked_again(first, second, *cluster.nodes)
    becomes(first, name_of(4), "standby", "older", 5)
    cluster.serves()
    cluster.apply(first, epoch=2)
    cluster.directs(first)
    cluster.is_known(first)
    cluster.serves()


def played_director(ranks):
    """A machine, 1, that may direct; another one, 9, is played."""
    one, client = segment(2)
    open_family_on([one])
    one.ynl.do("cluster-set", config(4, one.device(), None, role="standby", mac=None, directors=ranks))
    becomes(one, name_of(4), "standby", "unlinked", 0)
    return one, client


def says(peer, flags, address=CLUSTER[4], **more):
    """The director that is played says that of the cluster IP, or of another address."""
    report = load(address, protocol=0, port=0, flags=flags, epoch=1)
    peer.heartbeat(loads=[report], version=2, **more)


def who_comes_and_goes():
    """It does not take over as long as the one that directs holds it back."""
    one, client = played_director([1, 9])
    is_machine(one, [9], heartbeat=SLOW)
    # Nothing was heard yet, and that takes ten heartbeats.
    becomes(one, name_of(4), "standby", "waiting", 0)
    peer = played(one, 9, client)
    peer.hello()
    says(peer, READY | DIRECTS | ACTIVE, held=1)
    becomes(one, name_of(4), "standby", "held", 9)
    says(peer, READY | DIRECTS | ACTIVE)
    becomes(one, name_of(4), "director", "first", 1)
    # The other one is slow.
    says(peer, READY | DIRECTS | ACTIVE, held=1)
    comes_to(one, 9, state="up")
    becomes(one, name_of(4), "director", "first", 1)
    says(peer, READY | DIRECTS)
    # Nobody directs in the meantime: it need not wait.
    one.ynl.do("machine-del", {})
    becomes(one, name_of(4), "standby", "unlinked", 0)
    is_machine(one, [9], heartbeat=SLOW)
    peer = played(one, 9, client)
    peer.hello()
    says(peer, READY | DIRECTS, held=1)
    becomes(one, name_of(4), "director", "first", 1)


def without_a_gap():
    """The one that directs goes on until it hears that the preferred one does."""
    one, client = played_director([9, 1])
    is_machine(one, [], heartbeat=SLOW)
    becomes(one, name_of(4), "director", "first", 1)
    is_machine(one, [9], heartbeat=SLOW)
    peer = played_up(one, 9, client)
    # It cannot direct, whatever it says besides.
    says(peer, READY | ACTIVE)
    comes_to(one, 9, epoch=7)
    becomes(one, name_of(4), "director", "first", 1)
    says(peer, READY | DIRECTS)
    becomes(one, name_of(4), "director", "leaving", 1)
    says(peer, READY | DIRECTS | ACTIVE)
    becomes(one, name_of(4), "standby", "preferred", 9)
    # What it says of another address does not count.
    says(peer, READY | DIRECTS | ACTIVE, "10.9.0.101")
    becomes(one, name_of(4), "director", "first", 1)


def what_is_told():
    """Peers hear who can direct and who does; programs hear of changes."""
    one, client = played_director([1, 9])
    events = listening(one)
    is_machine(one, [9], heartbeat=SLOW)
    peer = played(one, 9, client)
    peer.hello()
    says(peer, READY | DIRECTS)
    flags = 0
    while flags != READY | DIRECTS | ACTIVE:
        kind, body = peer.receive()
        expect(kind is not None, "the link lasts")
        if len(body) >= 72 and struct.unpack_from("<H", body, 32)[0] == 1:
            flags, = struct.unpack_from("<I", body, 56)
            equal(1, struct.unpack_from("<I", body, 68)[0], "epoch of the table")
    said = []
    for event in events.poll_ntf(duration=PATIENCE):
        if event["name"] == "cluster-change-ntf":
            said.append((event["msg"]["role"], event["msg"]["role-reason"], event["msg"]["acting"]))
        if said and said[-1] == ("director", "first", 1):
            return
    raise AssertionError(f"it is told that it directs: {said}")


def without_its_device():
    """A machine whose device is down or gone does not direct."""
    one, _ = played_director([1, 9])
    is_machine(one, [], heartbeat=SLOW)
    becomes(one, name_of(4), "director", "first", 1)
    with one:
        switch("eth0", False)
    becomes(one, name_of(4), "standby", "unable", 0)
    with one:
        switch("eth0", True)
    becomes(one, name_of(4), "director", "first", 1)
    # None of the directors.
    is_machine(one, [9], heartbeat=SLOW, id=3)
    becomes(one, name_of(4), "standby", "unlinked", 0)


def told_role(events, settle):
    """The role in the notification of the change to this settle time."""
    for event in events.poll_ntf(duration=PATIENCE):
        if event["name"] == "cluster-change-ntf" and event["msg"]["settle"] == settle:
            return event["msg"]["role"]
    raise AssertionError(f"no notification of settle {settle}")


def stays():
    """What is set anew leaves the role as it is, all the time."""
    one, _ = played_director([1, 9])
    is_machine(one, [], heartbeat=SLOW)
    becomes(one, name_of(4), "director", "first", 1)
    events = listening(one)
    again = config(4, one.device(), None, role="standby", mac=None, directors=[1, 9], settle=7)
    one.ynl.do("cluster-set", again)
    equal("director", told_role(events, 7), "role")
    # From now on nobody chooses.
    del again["directors"]
    one.ynl.do("cluster-set", again)
    equal(("standby", "given", None), role_of(one, name_of(4)), "role that is given")
    one.ynl.do("cluster-role-set", {**name_of(4), "role": "director"})
    equal(("director", "given", None), role_of(one, name_of(4)), "role that is given")
    # And the other way round.
    one.ynl.do("cluster-set", {**again, "directors": [1, 9], "settle": 8})
    equal("director", told_role(events, 8), "role")
    becomes(one, name_of(4), "director", "first", 1)


def refusals():
    """Nothing changes."""
    one, _ = played_director([1, 9])
    right = config(4, one.device(), None, role="standby", mac=None, directors=[1, 9], epoch=9)
    for error, change in (
            (errno.E2BIG, {"directors": list(range(1, 34))}),
            (errno.EINVAL, {"directors": [1, 9, 1]}),
            (errno.ERANGE, {"directors": [1, 0]}),
            (errno.EINVAL, {"role": "shared", "mac": bytes.fromhex("0300c0ffee01"), "node": 1}),
    ):
        refused(error, one.ynl.do, "cluster-set", {**right, **change})
    for role in "director", "standby":
        refused(errno.EBUSY, one.ynl.do, "cluster-role-set", {**name_of(4), "role": role})
    served = one.ynl.do("cluster-get", name_of(4))
    equal((1, [1, 9]), (served["epoch"], served["directors"]), "epoch, and directors")
    one.ynl.do("cluster-set", {**right, "directors": list(range(1, 33))})
    equal(list(range(1, 33)), one.ynl.do("cluster-get", name_of(4))["directors"], "as many as there may be")


if __name__ == "__main__":
    sys.exit(run_tests("links_directors", [
        takes_over_ipv4, takes_over_ipv6, is_destroyed_ipv4, is_destroyed_ipv6, is_healed_ipv4,
        is_healed_ipv6, announces_ipv4, announces_ipv6, of_an_older_table, who_comes_and_goes,
        without_a_gap, what_is_told, without_its_device, stays, refusals,
    ]))
