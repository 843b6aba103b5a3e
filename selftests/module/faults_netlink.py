#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A walk of memory failures through every operation of the netlink family: the first allocation
fails, then the second, until the operation succeeds without meeting one. Each failure is told, and
has changed nothing.

WALKS is compared with the spec: an operation without a walk fails. Options are walked by faults and
faults_end, in C; packets by cluster_unload.py. It needs a kernel with fault injection.
"""

import ipaddress
import socket
import sys

import outcomes
from clusters import PORT, config, name_of, node, table
from failures import (ClusterFailures, Failures, GroupFailures, OnlyPages, kept, meets_failures)
from family import READ, NlError
from service_group import (PORT as SERVICE, SGCTL, cookie_of, equal,
                           expect, run_tests)
from traced import Traced

# The most that there may be.
MOST_CLUSTERS, MOST_NODES, MOST_SLOTS = 256, 256, 4096
# It is told first, so that it is what the shortest message has no room for.
LARGEST = 0


def nothing():
    """What reading needs."""


def group_get():
    """One group, and all."""
    walks = GroupFailures()
    walks.walk(nothing, "group-get", {"id": walks.group})
    walks.walk(nothing, "group-get", {}, "dump")


def member_get():
    """All members, and those of a group."""
    walks = GroupFailures()
    walks.walk(nothing, "member-get", {}, "dump")
    walks.walk(nothing, "member-get", {"group": walks.group}, "dump")


def group_set():
    """All settings."""
    walks = GroupFailures()
    before = walks.ynl.do("group-get", {"id": walks.group})
    names = ("id", "policy", "when-full", "stall", "rewrite", "adopt")
    walks.walk(lambda: walks.ynl.do("group-set", {name: before[name] for name in names}),
               "group-set", {"id": walks.group, "policy": "balance", "when-full": "reset",
                             "stall": 777, "rewrite": 1, "adopt": 5})


def member_set():
    """The weight."""
    walks = GroupFailures()
    member = {"group": walks.group, "cookie": cookie_of(walks.sockets[0])}
    walks.walk(lambda: walks.ynl.do("member-set", {**member, "weight": 1}),
               "member-set", {**member, "weight": 7})


def stats_get():
    """The totals."""
    GroupFailures().walk(nothing, "stats-get", {})


class Decisions(GroupFailures):
    """Of whose answer the last attribute is its age."""

    def __init__(self):
        super().__init__()
        for sock in self.sockets:
            sock.close()
        self.scene = outcomes.redirected()

    @staticmethod
    def essence(answer):
        """What is the same of it each time."""
        return [message[:-8] for message in answer]


def decision_get():
    """Of a connection that was redirected."""
    walks = Decisions()
    walks.walk(nothing, "decision-get", {
        "family": socket.AF_INET, "local-port": SERVICE, "peer-port": walks.scene.peer[1],
        "local-address": bytes([127, 0, 0, 1]), "peer-address": bytes([127, 0, 0, 1])})


def clusters(version):
    """A first cluster IP, another one, a change of one, reading them, and the end of one."""
    walks = ClusterFailures()
    walk, only = walks.walk, walks.only
    whole = config(version, walks.device, 1)
    other = config(version, walks.device, 1, protocol=6, port=PORT)
    keyed = {**whole, "epoch": 2, "hash": "keyed", "key": bytes(16), "table": table(*[1, 2] * 30),
             "mac": bytes.fromhex("0300c0ffee02")}

    walk(only(), "cluster-set", whole)
    walk(only(whole), "cluster-set", other)
    walk(only(other, whole), "cluster-set", keyed)
    walk(only(whole), "cluster-set", {**whole, "epoch": 2, "table": table(3, 1, 2)})
    walk(only(other, keyed), "cluster-get", name_of(version))
    walk(only(other, keyed), "cluster-get", {}, "dump")
    walk(only(other, whole), "cluster-del", name_of(version))
    walks.end()


def clusters_ipv4():
    """IPv4."""
    clusters(4)


def clusters_ipv6():
    """IPv6."""
    clusters(6)


def clusters_directed():
    """The same of a director with tunnels of both families, whose nodes spill."""
    walks = ClusterFailures()
    walk, only = walks.walk, walks.only
    nodes = [node(1, 6), node(2, 6, way="tunnel"), node(3, 4, way="tunnel")]
    whole = config(6, walks.device, 1, role="director", mac=None, spill=1, nodes=nodes)
    other = {**whole, "protocol": 6, "port": PORT}
    # Other owners and another way; then another number of slots.
    moved = {**whole, "epoch": 2, "table": table(3, 1, 2),
             "nodes": [nodes[0], node(2, 6), {**nodes[2], "state": "draining"}]}
    divided = {**moved, "epoch": 3, "table": table(*[2, 1] * 30)}

    walk(only(), "cluster-set", whole)
    walk(only(other, whole), "cluster-set", moved)
    walk(only(whole, moved), "cluster-set", divided)
    walk(only(other, moved), "cluster-role-set", {**name_of(6), "role": "standby"})
    walk(only(other, {**moved, "role": "standby"}), "cluster-role-set",
         {**name_of(6), "role": "director"})
    walk(only(other, whole), "cluster-del", name_of(6))
    walks.end()


class ManyClusters(ClusterFailures):
    """As many cluster IPs as there may be, whose tables are as large as they may be, and of which one
    has as many nodes as it may have. A machine stands by for them, so that it need not tell neighbours
    of any."""

    def __init__(self):
        super().__init__()
        # All of it is there: a page that is not could be what fails.
        self.buffer = bytearray(b"\1" * (1 << 20))
        self.view = memoryview(self.buffer)
        owners = [1 + slot % 3 for slot in range(MOST_SLOTS)]
        for number in range(MOST_CLUSTERS):
            nodes = MOST_NODES if number == LARGEST else 3
            self.ynl.do("cluster-set", config(
                6, self.device, None, address=self.address(number), role="standby", mac=None,
                table=table(*owners), nodes=[node(one, 6) for one in range(1, nodes + 1)]))

    @staticmethod
    def address(number):
        """Of the one with this number."""
        return ipaddress.ip_address(f"fd09::1:{number:x}").packed

    def state(self):
        """All there is, without what a look at a few is enough for."""
        return self.ynl.dump("cluster-get", {"brief": 1})


def all_clusters():
    """All of as many and as large ones as may be, in full and in brief; and the largest one."""
    walks = ManyClusters()
    equal(MOST_CLUSTERS, len(walks.state()), "cluster IPs")
    walks.walk(nothing, "cluster-get", {}, "dump")
    walks.walk(nothing, "cluster-get", {"brief": 1}, "dump")
    walks.walk(nothing, "cluster-get", {**name_of(6), "address": walks.address(LARGEST)})


def ready_without_large_memory():
    """Whether a machine may direct is answered while there is no memory but pages."""
    walks = ManyClusters()
    address = str(ipaddress.ip_address(walks.address(LARGEST)))

    def sgctl(*words):
        traced = Traced([SGCTL, "cluster", *words])
        # It needs more to begin, before it asks for anything.
        expect(traced.sends(), "it asks")
        meets_failures(traced.process.pid)
        said = traced.end()
        return traced.status, said

    equal(0, sgctl("show")[0], "status of show with memory")
    with OnlyPages():
        # It needs more.
        expect(sgctl("show")[0] != 0, "show has had memory")
        equal((0, f"{address}: standby\n"), sgctl("ready", address), "what ready says")


class LinkFailures(Failures):
    """A machine that expects peers, and a connection that may be the link to one. Heartbeats are as slow
    as may be, so that nothing happens by itself."""

    def __init__(self):
        super().__init__()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.sockets = []
        self.connect()

    def connect(self):
        """A connection that is no link yet, in the place of the one that may be one; it has the same
        descriptors."""
        for sock in self.sockets:
            sock.close()
        client = socket.create_connection(self.server.getsockname())
        self.sockets = [client, self.server.accept()[0]]

    def says(self, *peers, **changes):
        """Who the machine is."""
        return {"id": 1, "cluster-id": bytes(16), "heartbeat": 10000, "insecure": 1, "peers": list(peers),
                **changes}

    def state(self):
        """Who it is, and its peers, with whether they have links."""
        try:
            machine = self.ynl.do("machine-get", {})
        except NlError:
            return None
        return machine, [(peer["peer"], "secure" in peer) for peer in self.ynl.dump("link-get", {})]

    def only(self, *peers, **changes):
        """A function after which it is this machine, with these peers and no link."""
        def prepare():
            if self.state():
                self.ynl.do("machine-del", {})
            if peers:
                self.ynl.do("machine-set", self.says(*peers, **changes))
        return prepare

    def linked(self):
        """It has a link to the first of two peers."""
        self.only(2, 3)()
        self.connect()
        self.ynl.do("link-add", {"peer": 2, "fd": self.sockets[0].fileno()})

    @staticmethod
    def essence(answer):
        """Without times, and what comes and goes meanwhile."""
        return [message[:20] for message in answer]


def machine():
    """Who a machine is is said, said anew and forgotten."""
    walks = LinkFailures()
    walks.walk(walks.only(), "machine-set", walks.says(2, 3, 4))
    walks.walk(walks.only(2, 3), "machine-set", walks.says(3, 4, heartbeat=9000))
    walks.walk(walks.only(2, 3), "machine-get", {})
    walks.walk(walks.linked, "machine-del", {})


def link():
    """A link comes, takes the place of another one, is read and goes."""
    walks = LinkFailures()
    descriptor = walks.sockets[0].fileno()

    def unlinked():
        walks.only(2, 3)()
        walks.connect()
        equal(descriptor, walks.sockets[0].fileno(), "descriptor")

    walks.walk(unlinked, "link-add", {"peer": 2, "fd": descriptor})
    walks.walk(walks.linked, "link-get", {"peer": 2})
    walks.walk(walks.linked, "link-get", {}, "dump")
    walks.walk(walks.linked, "link-del", {"peer": 2})


def health():
    """Of a cluster IP."""
    walks = ClusterFailures()
    whole = config(4, walks.device, 1)
    only = walks.only(whole)
    walks.walk(only, "health-set", {**name_of(4), "healthy": 0})


# Of each operation and way to use it: a test with its walk.
WALKS = {
    ("group-get", "do"): group_get, ("group-get", "dump"): group_get,
    ("member-get", "dump"): member_get, ("group-set", "do"): group_set,
    ("member-set", "do"): member_set, ("stats-get", "do"): stats_get,
    ("decision-get", "do"): decision_get, ("cluster-get", "do"): clusters_ipv4,
    ("cluster-get", "dump"): clusters_ipv4, ("cluster-set", "do"): clusters_ipv4,
    ("cluster-del", "do"): clusters_ipv4, ("cluster-role-set", "do"): clusters_directed,
    ("machine-get", "do"): machine, ("machine-set", "do"): machine, ("machine-del", "do"): machine,
    ("link-get", "do"): link, ("link-get", "dump"): link, ("link-add", "do"): link,
    ("link-del", "do"): link, ("health-set", "do"): health,
}


def every_operation_is_walked():
    """A new one needs a walk."""
    equal({(name, mode) for name, operation in READ.ops.items()
           for mode in operation.modes & {"do", "dump"}}, set(WALKS), "operations with walks")


if __name__ == "__main__":
    with kept():
        sys.exit(run_tests("faults_netlink", [
            every_operation_is_walked, *dict.fromkeys(WALKS.values()), clusters_ipv6, all_clusters,
            ready_without_large_memory,
        ]))
