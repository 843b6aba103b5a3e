#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets of all kinds, at machines of all roles: each is counted where and as what the model of a
cluster says (tools/logic/model/cluster.rs).

They are random, and the same each time; SG_SEED makes others, SG_PACKETS says how many there are
at least in each test, and with more there are more tests. One that is counted otherwise is made as
simple as it can be, and told.
"""

import collections
import dataclasses
import ipaddress
import itertools
import os
import random
import sys

from clusters import PORT, Cluster, Directed
from kinds import Case, Kinds
from rubbish import GRE, TUNNELS
from scenes import NETWORKS, Scene, first_table
from service_group import equal, expect, run_tests, seed

SEED = seed()
USUAL_PACKETS = 60
PACKETS = int(os.environ.get("SG_PACKETS") or USUAL_PACKETS)
# Until each kind has come once, so many times as many are sent.
MOST = 10
# So many frames have room where all wait, with what they cause.
BURST = 16
# So many that differ are told; the others are counted.
TOLD = 3


@dataclasses.dataclass
class Sending:
    """A case, and how it is sent: of a case that tells what it is called then, its frames with where
    they go to, and what is counted."""
    case: Case
    how: callable


class Comparison:
    """Packets in a scene."""

    def __init__(self, scene):
        self.scene, self.rng = scene, scene.rng
        self.kinds = Kinds(scene.rng, scene.version, NETWORKS[scene.version],
                           scene.cluster.address, scene.flow and scene.flow[1])
        # How often the model has told of each counter; and what machines have counted up to now.
        self.expected = collections.Counter()
        self.identifiers = itertools.cycle(range(1 << 16))
        self.before = scene.counted()

    def alone(self):
        """Any packet."""
        mac, machines = self.scene.entries()
        number = "all" if len(machines) > 1 else machines[0].number

        def how(case):
            expected = collections.Counter()
            for packet in case.seen:
                expected += self.scene.told(packet, machines, case.is_gathered)
            frames = case.frames, self.scene.sock, mac, self.scene.version
            return f"{case.kind} to {number}", frames, expected

        return Sending(self.kinds.case(), how)

    def tunnel(self):
        """The same in a packet that seems to come from a machine to another one."""
        outer = self.scene.outer()
        target, origin = self.rng.sample(self.scene.machines, 2)
        origin_address = ipaddress.ip_address(origin.address(outer)).packed
        is_gre = self.kinds.chance(0.6)
        protocol = GRE if is_gre else TUNNELS[self.scene.version]
        header = self.kinds.gre(b"", flawed=0.1) if is_gre else b""
        # Of shared ones nothing else is taken out.
        upper = self.kinds.syn if self.kinds.chance(0.3) else self.kinds.upper
        way = "beside" if self.kinds.chance(0.1) else "near"
        chosen = self.rng.random()

        def how(case):
            outers = Kinds(random.Random(chosen), outer, NETWORKS[outer], target.address(outer))
            # No fragment is to meet one of another packet.
            outers.identifier = next(self.identifiers)
            around = outers.around(origin_address, protocol, header + case.frames[0])
            frames = ",".join(frame.hex() for frame in around.frames)
            expected = self.scene.oracle.ask("tunnel", target.number, way, frames)
            text = f"{case.kind} {around.kind} from {origin.number} to {target.number}, {way}"
            return text, (around.frames, *self.scene.way(target, way), outer), expected

        return Sending(self.kinds.case(upper), how)

    def beside(self):
        """Any packet by another device of a node, which serves it, whose ever it is."""
        target = self.rng.choice(self.scene.cluster.nodes)

        def how(case):
            expected = collections.Counter()
            for packet in case.seen:
                expected += self.scene.oracle.ask("packet", target.number, "beside", packet.hex())
            text = f"{case.kind} beside {target.number}"
            return text, (case.frames, *self.scene.way(target, "beside"), self.scene.version), expected

        return Sending(self.kinds.case(), how)

    def compare(self, sendings, tell=False):
        """Sends some; whether machines count what the model says."""
        scene = self.scene
        expected = collections.Counter()
        for sending in sendings:
            text, frames, counts = sending.how(sending.case)
            scene.send(*frames)
            expected += counts
        expected = scene.known(expected + scene.arrive())
        counted = scene.counted()
        seen = counted.copy()
        seen.subtract(self.before)
        seen, self.before = scene.known(seen), counted
        for (_, name), count in expected.items():
            self.expected[name] += count
        if tell:
            print(f"# {text}: {[frame.hex() for frame in frames[0]]}")
            print(f"#   the model says {told(expected - seen)}, the module {told(seen - expected)}")
        return seen == expected

    def simplest(self, sending):
        """The simplest that still is counted otherwise."""
        simpler = sending
        while simpler:
            sending = simpler
            simpler = next((other for case in self.kinds.simpler(sending.case)
                            if not self.compare([other := Sending(case, sending.how)])), None)
        return sending

    def differing(self, burst):
        """Tells those of a burst that are counted otherwise; how many these are."""
        found = [sending for sending in burst if not self.compare([sending])]
        expect(found, "a burst that is counted otherwise, but none of its packets is")
        for sending in found[:TOLD]:
            self.compare([sending], tell=True)
            self.compare([self.simplest(sending)], tell=True)
        return len(found)

    def burst(self, makers):
        """What these make, as much as is sent at once."""
        burst = []
        while sum(len(one.case.frames) for one in burst) < BURST:
            burst.append(self.rng.choice(makers)())
        return burst

    def run(self, makers, expected):
        """Sends what these make, and goes on until everything of `expected` was counted once."""
        sent = differing = 0
        missing = set(expected.split())
        while differing < TOLD and (sent < PACKETS or missing and sent < MOST * PACKETS):
            burst = self.burst(makers)
            if not self.compare(burst):
                differing += self.differing(burst)
            sent += len(burst)
            missing -= set(self.expected)
        print(f"# {sent} packets: {dict(self.expected)}")
        equal(0, differing, "packets that are counted otherwise")
        equal(set(), missing, "kinds that did not come")


def told(counts):
    """What each machine counts, as text."""
    words = [f"{number}:{name}" + (f"*{count}" if count > 1 else "")
             for (number, name), count in sorted(counts.items())]
    return " ".join(words) or "nothing"


SHARED = "owned ignored dropped-no-owner dropped-malformed reassembled "
DIRECTED = ("owned forwarded second-chance second-chance-in dropped-no-owner dropped-malformed "
            "dropped-spent ")


def shared(version, age, expected="", spill=0):
    """Each node does with each packet what it should."""
    comparison = Comparison(Scene(Cluster(version), SEED, age, spill))
    makers = [comparison.alone] * 5 + [comparison.tunnel] * 2 + [comparison.beside]
    comparison.run(makers, SHARED + expected)


def directed(version, age, way, expected, spill=0, outer=None, directs_only=False):
    """The same with a director, one that stands by, and packets that come astray."""
    cluster = Directed(version, way, outer, table=first_table(age), spill=spill)
    scene = Scene(cluster, SEED, age, spill, directs_only)
    comparison = Comparison(scene)
    makers = [comparison.alone] * 4 + [comparison.tunnel] * 3 + [comparison.beside]
    comparison.run(makers, DIRECTED + expected)


def shared_first_ipv4():
    """The first table there is."""
    shared(4, "first")


def shared_first_ipv6():
    """The same."""
    shared(6, "first")


def shared_young_ipv4():
    """A change is young."""
    shared(4, "young", "silent known")


def shared_young_ipv6():
    """The same."""
    shared(6, "young", "silent known")


def shared_spilled_ipv4():
    """Slots may spill; no change is young."""
    shared(4, "settled", "silent known spilled-in second-chance-in dropped-tunnel", 1)


def shared_spilled_ipv6():
    """The same."""
    shared(6, "settled", "silent known spilled-in second-chance-in dropped-tunnel", 1)


def shared_service(version):
    """A service of one protocol and port; whatever else comes is nobody's."""
    comparison = Comparison(Scene(Cluster(version), SEED, "first", protocol=17, port=PORT))
    comparison.run([comparison.alone], SHARED)


def shared_service_ipv4():
    """IPv4."""
    shared_service(4)


def shared_service_ipv6():
    """IPv6."""
    shared_service(6)


def directed_first_ipv4():
    """To MAC addresses; the first table."""
    directed(4, "first", "neighbour", "dropped-hop-limit dropped-tunnel")


def directed_young_ipv6():
    """To MAC addresses; a change is young."""
    directed(6, "young", "neighbour", "dropped-hop-limit dropped-tunnel known")


def directed_spilled_ipv4():
    """The same where slots may spill and a change is settled."""
    directed(4, "settled", "neighbour", "dropped-hop-limit dropped-tunnel known spilled-in", 1)


def directed_settled_ipv6():
    """A change is settled."""
    directed(6, "settled", "neighbour", "dropped-hop-limit dropped-tunnel known")


def directs_only_ipv4():
    """The director is no node."""
    directed(4, "young", "neighbour", "dropped-hop-limit dropped-tunnel known", directs_only=True)


def directs_only_ipv6():
    """The same."""
    directed(6, "settled", "neighbour", "dropped-hop-limit dropped-tunnel known", 1,
             directs_only=True)


def tunnelled_young_ipv4():
    """IPv4 in IPv6."""
    directed(4, "young", "tunnel", "dropped-tunnel known", outer=6)


def tunnelled_spilled_ipv6():
    """IPv6 in IPv4."""
    directed(6, "young", "tunnel", "dropped-tunnel known spilled-in", 1, outer=4)


def tunnelled_settled_ipv4():
    """IPv4 in IPv4."""
    directed(4, "settled", "tunnel", "dropped-tunnel known")


def tunnelled_first_ipv6():
    """IPv6 in IPv6."""
    directed(6, "first", "tunnel", "dropped-tunnel")


# Of each role, age and family one; making the machines takes longest.
USUAL = [
    shared_first_ipv4, shared_young_ipv6, shared_spilled_ipv4, shared_service_ipv6,
    directed_first_ipv4, directed_young_ipv6, directed_spilled_ipv4, tunnelled_young_ipv4,
    tunnelled_spilled_ipv6, directs_only_ipv6,
]
MORE = [
    shared_first_ipv6, shared_young_ipv4, shared_spilled_ipv6, shared_service_ipv4,
    directed_settled_ipv6, tunnelled_settled_ipv4, tunnelled_first_ipv6, directs_only_ipv4,
]

if __name__ == "__main__":
    sys.exit(run_tests("cluster_kinds", USUAL + (MORE if PACKETS > USUAL_PACKETS else [])))
