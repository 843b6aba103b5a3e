#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Services behind NAT (containers, pods): their connections have no socket on the node, and outlive
changes of the table all the same."""

import contextlib
import ipaddress
import os
import socket
import struct
import subprocess
import sys

from clusters import (MAC, PORT, TCP, Cluster, Directed, accepted, exchange, name_of,
                      node, table, takes_connections)
from machines import LENGTHS, Machine, bound, lay_cable, nft, snmp
from rubbish import TCP as TCP_HEADER, TYPES, plain, too_big
from service_group import Skip, equal, expect, run_tests, wait_until

# On each node alike: the service, and the node as it sees it.
POD = {4: "10.66.0.2", 6: "fd66::2"}
GATE = {4: "10.66.0.1", 6: "fd66::1"}
SERVICE = 9090
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
SEND_QUEUE, REPAIR_OFF_NO_WP = 2, -1
ACK = 16
CONNTRACK = "/sys/module/nf_conntrack"
# What asks conntrack, and what that needs.
USERS = ("nft_flow_offload", "nf_flow_table_inet", "nf_flow_table", "ip_vs_rr", "ip_vs",
         "nft_chain_nat", "nft_nat", "nft_redir", "nft_masq", "nft_ct", "nf_nat", "nf_conntrack")


def pod(machine, version):
    """A namespace behind a node, to which the node gives what is for the cluster IP."""
    inner = Machine(100 + machine.number)
    own = LENGTHS[version]
    lay_cable(machine, inner, by="pod0", peer="eth0",
              addresses=(f"{GATE[version]}/{own}", f"{POD[version]}/{own}"),
              more=[f"route add default via {GATE[version]}"])
    machine.set({4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}[version], 1)
    return inner


def translate(cluster, machine, what):
    """The rule that a container's engine makes."""
    family = {4: "ip", 6: "ip6"}[cluster.version]
    nft(machine, f"table {family} nat {{ chain c {{ type nat hook prerouting priority dstnat; "
                 f"{family} daddr {cluster.address} tcp dport {PORT} {what}:{SERVICE}; }}; }}")


def behind_nat(cluster):
    """The services' sockets, by the node that each is behind; conntrack may not be there before."""
    cluster.pods = {machine: pod(machine, cluster.version) for machine in cluster.nodes}
    to = {4: POD[4], 6: f"[{POD[6]}]"}[cluster.version]
    for machine in cluster.nodes:
        translate(cluster, machine, f"dnat to {to}")
    return {machine: bound(inner, TCP, POD[cluster.version], SERVICE)
            for machine, inner in cluster.pods.items()}


def redirected(cluster):
    """The same, of services on the nodes themselves, at other ports."""
    cluster.pods = {}
    for machine in cluster.nodes:
        translate(cluster, machine, "redirect to ")
    return {machine: bound(machine, TCP, machine.address(cluster.version), SERVICE)
            for machine in cluster.nodes}


def resets(cluster):
    """How many resets anybody has sent."""
    machines = [*cluster.nodes, *cluster.directors, *cluster.pods.values(), cluster.client]
    return sum(snmp(machine, "TcpOutRsts") for machine in machines)


class Lasting:
    """Connections that outlive all that happens, by pairs of sockets."""

    def __init__(self, cluster, change, listeners=behind_nat):
        self.cluster, self.change, self.pairs, self.epoch = cluster, change, [], 1
        self.listeners = listeners(cluster)
        self.begin((1, 2, 3))

    def begin(self, owners):
        """New ones are their owners' at once."""
        for _ in range(6):
            self.pairs.append(accepted(self.cluster, self.listeners, owners=owners))
        self.go_on()

    def go_on(self):
        """All go on, with whom they are."""
        for client, server in self.pairs:
            exchange(client, server)

    def table(self, *owners, **changes):
        """Another table."""
        self.epoch += 1
        self.change(epoch=self.epoch, table=table(*owners), **changes)
        self.go_on()
        self.begin(owners)

    def end(self):
        """They end as others do."""
        for number, (client, server) in enumerate(self.pairs):
            first, last = (client, server) if number % 2 else (server, client)
            first.close()
            equal(b"", last.recv(1), "the end")
            last.close()
        equal(0, resets(self.cluster), "resets")


def drains(cluster, change, listeners=behind_nat):
    """A node drains, comes back, and spills: nothing breaks, be it old or new."""
    lasting = Lasting(cluster, change, listeners)
    nodes = [node(number, cluster.version, state="draining" if number == 2 else "up")
             for number in range(1, len(cluster.nodes) + len(cluster.directors) + 1)]
    lasting.table(1, 3, 3, nodes=nodes)
    wait_until(lambda: cluster.counters(cluster.nodes[1])["known"], "known ones")
    lasting.table(2, 3, 1, nodes=[{**one, "state": "up"} for one in nodes])
    lasting.table(2, 1, 3, spill=1)
    lasting.end()


def shared_ipv4():
    """All nodes receive all packets."""
    cluster = Cluster(4)
    cluster.set()
    drains(cluster, cluster.set)


def shared_ipv6():
    """IPv6."""
    cluster = Cluster(6)
    cluster.set()
    drains(cluster, cluster.set)


def other_port():
    """Only the port is another one."""
    cluster = Cluster(4)
    cluster.set()
    drains(cluster, cluster.set, redirected)


def directed(version, way):
    """A director gives them to nodes."""
    cluster = Directed(version, way)
    drains(cluster, lambda **how: cluster.direct(0, **how))


def directed_ipv4():
    """To MAC addresses."""
    directed(4, "neighbour")


def directed_ipv6():
    """The same."""
    directed(6, "neighbour")


def tunnelled_ipv4():
    """IPv4 in IPv4."""
    directed(4, "tunnel")


def from_the_beginning():
    """Where slots may spill, others may have a connection from the first packet on."""
    cluster = Cluster(4)
    cluster.set(spill=1)
    lasting = Lasting(cluster, cluster.set)
    lasting.end()


def next_to_send(sock):
    """The sequence number of a socket's next byte."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
    number = struct.unpack("=I", sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, 4))[0]
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP)
    return number


class Stranger:
    """Sends what seems to be of a connection."""

    def __init__(self, cluster, mac):
        self.cluster, self.mac = cluster, mac
        with cluster.client:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.bind(("eth0", 0))

    def send(self, client, protocol, upper):
        """Such a packet of the client's."""
        version = self.cluster.version
        source, destination = ends(client)
        self.sock.send(self.mac + bytes.fromhex(self.cluster.client.mac().replace(":", "")) +
                       TYPES[version].to_bytes(2, "big") +
                       plain(version, source, destination, protocol, upper))

    def acknowledges(self, client, sequence, acknowledged):
        """An ACK without data; nobody checks its sum before the owner."""
        port = client.getsockname()[1]
        self.send(client, TCP_HEADER, struct.pack("!HHIIBBHHH", port, PORT, sequence % 2**32,
                                                  acknowledged % 2**32, 5 << 4, ACK, 100, 0, 0))


def ends(client):
    """The addresses of a client's socket."""
    return [ipaddress.ip_address(name[0]).packed
            for name in (client.getsockname(), client.getpeername())]


def counted(cluster, machine, name, send):
    """By how much a count of a machine, which all packets come to, grows with one of them."""
    def whole():
        return sum(cluster.counters(machine)[each] for each in ("known", "owned", "ignored", "silent"))

    before, total = cluster.counters(machine)[name], whole()
    send()
    wait_until(lambda: whole() == total + 1, "a packet")
    return cluster.counters(machine)[name] - before


def left_behind():
    """A connection behind NAT whose slot another node has now: the cluster, who had the slot, and
    both ends."""
    cluster = Cluster(4)
    cluster.set()
    # They listen as long as there is the cluster.
    cluster.services = behind_nat(cluster)
    client, server = accepted(cluster, cluster.services)
    exchange(client, server)
    old = cluster.owner(client, TCP)
    cluster.set(epoch=2, table=table(2, 3, 1))
    return cluster, old, client, server


def not_of_that_connection():
    """An entry that a connection left behind is not mistaken for another one of the same client and
    port; and what is about a connection goes where that is."""
    cluster, old, client, server = left_behind()
    exchange(client, server)
    ours, theirs = next_to_send(client), next_to_send(server)
    stranger = Stranger(cluster, MAC)

    def known(sequence, acknowledged):
        return counted(cluster, old, "known",
                       lambda: stranger.acknowledges(client, sequence, acknowledged))

    equal(1, known(ours, theirs), "what it has")
    equal(1, known(ours + 100, theirs - 100), "what it may have")
    equal(0, known(ours + 2**31, theirs), "another one's")
    equal(0, known(ours, theirs + 2**31), "another one's")
    source, destination = ends(client)
    quoted = plain(4, destination, source, TCP_HEADER,
                   struct.pack("!HHI", PORT, client.getsockname()[1], theirs))
    equal(1, counted(cluster, old, "known",
                     lambda: stranger.send(client, *too_big(4, 1400, quoted))), "an error")
    exchange(client, server)
    client.close()
    equal(b"", server.recv(1), "the end")
    server.close()


def closed():
    """A connection that was reset is there no more."""
    cluster, old, client, server = left_behind()
    ours, theirs = next_to_send(client), next_to_send(server)
    source, port = client.getsockname()
    destination = client.getpeername()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    before = cluster.counters(old)["known"]
    client.close()
    wait_until(lambda: cluster.counters(old)["known"] == before + 1, "the reset")
    with contextlib.suppress(ConnectionResetError):
        expect(not server.recv(1), "a reset")
    with cluster.client:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((source, port))
        sock.connect(destination)
    stranger = Stranger(cluster, MAC)
    equal(0, counted(cluster, old, "known",
                     lambda: stranger.acknowledges(sock, ours + 1, theirs)), "what comes then")


def unload():
    """Has conntrack go, which nobody uses any more."""
    def is_gone():
        subprocess.run(["modprobe", "-r", *USERS], capture_output=True, check=False)
        return not os.path.exists(CONNTRACK)

    wait_until(is_gone, "conntrack goes")


def comes_and_goes():
    """Conntrack comes when cluster IPs are served already, is asked then, stays as long as there are
    any, and no longer; twice."""
    if subprocess.run(["modinfo", "-n", "nf_conntrack"], capture_output=True, text=True,
                      check=False).stdout.strip() in ("", "(builtin)"):
        raise Skip("conntrack is no module here")
    unload()
    cluster = Cluster(4)
    for listeners in behind_nat, redirected:
        cluster.set()
        takes_connections(cluster, 3)
        expect(not os.path.exists(CONNTRACK), "conntrack was loaded")
        Lasting(cluster, cluster.set, listeners).table(2, 3, 1)
        for machine in cluster.nodes:
            nft(machine, "flush ruleset")
        done = subprocess.run(["modprobe", "-r", *USERS], capture_output=True, check=False)
        expect(done.returncode != 0 and os.path.exists(CONNTRACK), "conntrack is gone")
        for machine in cluster.nodes:
            machine.ynl.do("cluster-del", name_of(4))
        unload()


if __name__ == "__main__":
    sys.exit(run_tests("cluster_nat", [
        shared_ipv4, shared_ipv6, other_port, directed_ipv4, directed_ipv6, tunnelled_ipv4,
        from_the_beginning, not_of_that_connection, closed, comes_and_goes,
    ]))
