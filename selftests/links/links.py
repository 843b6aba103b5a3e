#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Links between machines: who may give one, what a peer may send, and what is known of it.

links_end.py has how links end, links_deputies.py what follows for the flows of cluster IPs.
"""

import errno
import socket
import struct
import sys
import tempfile

from clusters import open_family_on
from family import become_nobody, refused
from machines import segment
from peers import (BOOT_ID, BYE, CLUSTER_ID, HEARTBEAT, HELLO, KEYS, MAGIC, SENT_LOAD_LENGTH, SLOW, SOL_TLS,
                   TCP_ULP, TLS_SET_RECORD_TYPE, TLS_TX, comes_to, connected, encrypt, encrypted, ended,
                   give, hears, is_machine, key_of, link, listening, load, played, played_up, told)
from service_group import equal, expect, run_tests, wait_until

MOST_PEERS = 256


def machines(count=2):
    """So many, each with the family open."""
    made = segment(count)
    open_family_on(made)
    return made


def who_a_machine_is():
    """It is told as it was said, and forgotten."""
    machine, = machines(1)
    do = machine.ynl.do
    refused(errno.ENOENT, do, "machine-get", {})
    refused(errno.ENOENT, do, "machine-del", {})
    is_machine(machine, [7, 3], insecure=0)
    seen = do("machine-get", {})
    boot = seen.pop("boot-id")
    equal(16, len(boot), "length of the boot id")
    equal({"id": 1, "cluster-id": CLUSTER_ID, "heartbeat": 100, "insecure": 0, "peers": [3, 7]}, seen,
          "machine")
    is_machine(machine, [], heartbeat=10000)
    seen = do("machine-get", {})
    equal((10000, 1, boot, None), (seen["heartbeat"], seen["insecure"], seen["boot-id"],
                                   seen.get("peers")), "changed")
    do("machine-del", {})
    refused(errno.ENOENT, do, "machine-get", {})


def what_no_machine_is():
    """Each error of machine-set; nothing has changed."""
    machine, = machines(1)
    is_machine(machine, [2])
    for error, given in (
            (errno.EINVAL, {"id": None}), (errno.EINVAL, {"cluster-id": None}),
            (errno.ERANGE, {"id": 0}), (errno.ERANGE, {"cluster-id": bytes(15)}),
            (errno.ERANGE, {"heartbeat": 9}), (errno.ERANGE, {"heartbeat": 10001}),
            (errno.ERANGE, {"insecure": 2}), (errno.ERANGE, {"peers": [0]}),
            (errno.EINVAL, {"peers": [1]}), (errno.EINVAL, {"peers": [3, 3]}),
            (errno.E2BIG, {"peers": list(range(2, MOST_PEERS + 3))})):
        whole = {"id": 1, "cluster-id": CLUSTER_ID, "peers": [9], **given}
        refused(error, machine.ynl.do, "machine-set",
                {name: value for name, value in whole.items() if value is not None})
    equal([2], machine.ynl.do("machine-get", {})["peers"], "peers")
    is_machine(machine, list(range(2, MOST_PEERS + 2)))
    equal(list(range(2, MOST_PEERS + 2)), [peer["peer"] for peer in machine.ynl.dump("link-get", {})],
          "all peers")


def who_may_change():
    """Everybody may look, an administrator may change."""
    machine, = machines(1)
    is_machine(machine, [2])
    # Nobody comes back out of the namespace.
    machine.__enter__()  # pylint: disable=unnecessary-dunder-call
    become_nobody(machine.ynl)
    equal([2], machine.ynl.do("machine-get", {})["peers"], "peers")
    equal("none", told(machine, 2)["state"], "state")
    for name, given in (("machine-set", {"id": 1, "cluster-id": CLUSTER_ID}), ("machine-del", {}),
                        ("link-add", {"peer": 2, "fd": 0}), ("link-del", {"peer": 2})):
        refused(errno.EPERM, machine.ynl.do, name, given)


def what_is_no_link():
    """Each error of link-add, and which comes first."""
    one, other = machines()
    add = lambda error, peer, fd: refused(error, one.ynl.do, "link-add", {"peer": peer, "fd": fd})
    ends = connected(one, other)
    add(errno.ENOENT, 2, ends[0].fileno())
    is_machine(one, [2], insecure=0)
    add(errno.ENOENT, 3, ends[0].fileno())
    add(errno.EBADF, 2, 999)
    add(errno.EBADF, 2, 0xffffffff)
    with tempfile.TemporaryFile() as file, socket.socket(socket.AF_UNIX) as local, one:
        add(errno.ENOTSOCK, 2, file.fileno())
        add(errno.EPROTONOSUPPORT, 2, local.fileno())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            add(errno.EPROTONOSUPPORT, 2, sock.fileno())
        with socket.socket() as sock:
            add(errno.ENOTCONN, 2, sock.fileno())
            sock.listen()
            add(errno.ENOTCONN, 2, sock.fileno())
    add(errno.EXDEV, 2, ends[1].fileno())
    add(errno.EOPNOTSUPP, 2, ends[0].fileno())
    is_machine(one, [2])
    give(one, ends[0], 2)
    add(errno.EBUSY, 2, ends[0].fileno())
    refused(errno.EINVAL, one.ynl.do, "link-add", {"peer": 2})
    refused(errno.EINVAL, one.ynl.do, "link-add", {"fd": 0})
    # A connection that its peer has ended is none, though it was one.
    ends = connected(one, other)
    ends[1].close()
    equal(b"", ends[0].recv(1), "the end")
    add(errno.ENOTCONN, 2, ends[0].fileno())


def half_encrypted():
    """kTLS in one direction is not enough."""
    one, other = machines()
    ends = connected(one, other)
    encrypted(*ends)
    is_machine(one, [2], insecure=0)
    plain, _ = connected(one, other)
    plain.setsockopt(socket.SOL_TCP, TCP_ULP, b"tls")
    refused(errno.EOPNOTSUPP, give, one, plain, 2)
    plain.setsockopt(SOL_TLS, TLS_TX, key_of(KEYS[0]))
    refused(errno.EOPNOTSUPP, give, one, plain, 2)
    give(one, ends[0], 2)


def two_machines(version, encrypt):
    """A link between two machines comes up, on both sides, and is told."""
    one, other = machines()
    events = listening(one)
    is_machine(one, [2], insecure=int(not encrypt))
    is_machine(other, [1], insecure=int(not encrypt))
    equal(("none", "none", 0), tuple(told(one, 2)[name] for name in ("state", "reason", "away")), "at first")
    link(one, other, version, encrypt)
    hears(events, 2, state="up", away=0)
    seen = comes_to(other, 1, state="up", away=0, secure=int(encrypt), version=1)
    equal(one.ynl.do("machine-get", {})["boot-id"], seen["boot-id"], "boot id of the peer")
    mine = told(one, 2)
    for name in ("family", "local-address", "local-port", "peer-address", "peer-port"):
        mirror = name.replace("local", "x").replace("peer", "local").replace("x", "peer")
        equal(mine[name], seen[mirror], name)
    equal(socket.inet_pton(mine["family"], one.address(version)), bytes(mine["local-address"]), "address")
    expect(mine["heard"] < 90000 and mine["since"] < 90000, f"times: {mine}")
    before = mine["frames-in"]
    wait_until(lambda: told(one, 2)["frames-in"] > before + 3, "heartbeats")
    expect(told(one, 2)["bytes-out"] >= 12 * told(one, 2)["frames-out"], "bytes")


def two_machines_ipv4():
    """IPv4."""
    two_machines(4, False)


def two_machines_ipv6():
    """IPv6."""
    two_machines(6, False)


def two_machines_encrypted():
    """With kTLS."""
    two_machines(4, True)


def what_is_sent():
    """The first frame is a hello, then come heartbeats, which tell when the peer was heard."""
    one, client = machines()
    is_machine(one, [9])
    peer = played(one, 9, client)
    kind, body = peer.receive()
    seen = struct.unpack("<IHHI16s16sII", body)
    equal((HELLO, MAGIC, 1, 1, 1, CLUSTER_ID), (kind, *seen[:5]), "hello")
    equal((bytes(one.ynl.do("machine-get", {})["boot-id"]), 100, 0), seen[5:], "the rest of the hello")
    heards = []
    while len(heards) < 3:
        kind, body = peer.receive()
        sent, echo, heard, flags, epoch, period, count, stride = struct.unpack_from("<QQIIIIHH", body)
        equal((HEARTBEAT, 0, 1, 0, 100, 0, SENT_LOAD_LENGTH),
              (kind, echo, flags & 1, epoch, period, count, stride), "heartbeat")
        expect(sent > 0, "when it was sent")
        heards.append(heard)
    equal(sorted(heards), heards, "since it was heard of")
    peer.hello()
    peer.heartbeat()
    while echo != 1:
        echo, = struct.unpack_from("<8xQ", peer.receive()[1])


def what_a_peer_says():
    """It is told: the epoch, the version, and that it cannot serve."""
    one, client = machines()
    events = listening(one)
    is_machine(one, [9], heartbeat=SLOW)
    peer = played(one, 9, client)
    peer.hello(version=5, least=1)
    seen = comes_to(one, 9, version=1, epoch=7)
    equal(BOOT_ID, bytes(seen["boot-id"]), "boot id")
    peer.heartbeat(epoch=9)
    hears(events, 9, state="up", away=0, ready=1, epoch=9)
    peer.heartbeat(ready=0)
    hears(events, 9, state="up", away=1, ready=0)
    peer.heartbeat(ready=1)
    hears(events, 9, state="up", away=0, ready=1)
    # It does not hear this machine.
    peer.heartbeat(heard=3 * SLOW + 1)
    seen = hears(events, 9, state="suspect", away=1)
    expect(seen["heard"] < 3 * SLOW, f"it is not suspected for its silence: {seen}")
    peer.heartbeat()
    hears(events, 9, state="up")
    # What a newer version sends is skipped.
    peer.frame(77, b"?" * 1000)
    peer.frame(4711, b"!" * 65524, version=9)
    peer.frame(HEARTBEAT, struct.pack("<QQIIIIHH", 1, 0, 0, 1, 11, SLOW, 1, SENT_LOAD_LENGTH + 4) + load()
               + b"12345678", version=3)
    comes_to(one, 9, epoch=11, state="up")


# What a peer does that breaks the format, and the reason that is counted. Before all but the first ones
# it has said hello.
BREAKS = (
    ("bad-hello", lambda peer: peer.heartbeat()),
    ("bad-hello", lambda peer: peer.frame(77)),
    ("bad-hello", lambda peer: peer.hello(magic=MAGIC + 1)),
    ("bad-hello", lambda peer: peer.hello(heartbeat=9)),
    ("bad-hello", lambda peer: peer.hello(machine=0)),
    ("bad-frame", lambda peer: peer.frame(HELLO, b"short")),
    ("bad-frame", lambda peer: peer.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")),
    ("other-cluster", lambda peer: peer.hello(cluster=bytes(16))),
    ("other-machine", lambda peer: peer.hello(machine=8)),
    ("version", lambda peer: peer.hello(version=3, least=2)),
    ("closed", lambda peer: peer.sock.shutdown(socket.SHUT_WR)),
    ("bad-hello", lambda peer: (peer.hello(), peer.hello())),
    ("bad-frame", lambda peer: (peer.hello(), peer.frame(HEARTBEAT, length=11))),
    ("bad-frame", lambda peer: (peer.hello(), peer.frame(77, length=0xffffffff))),
    ("bad-frame", lambda peer: (peer.hello(), peer.frame(77, length=65537))),
    ("bad-frame", lambda peer: (peer.hello(), peer.frame(77, sequence=5))),
    ("bad-frame", lambda peer: (peer.hello(), peer.frame(77, version=0))),
    ("bad-frame", lambda peer: (peer.hello(), peer.frame(HEARTBEAT, b"x"))),
    ("bad-frame", lambda peer: (peer.hello(), peer.heartbeat(count=1))),
    ("bad-frame", lambda peer: (peer.hello(), peer.heartbeat(period=9))),
    ("bad-frame", lambda peer: (peer.hello(), peer.heartbeat(period=10001))),
    ("bad-frame", lambda peer: (peer.hello(), peer.heartbeat(loads=[load()] * 257))),
    ("bad-frame", lambda peer: (peer.hello(), peer.heartbeat(loads=[load(family=3)]))),
    # The end in the middle of a frame.
    ("closed", lambda peer: (peer.hello(), peer.frame(77, length=1000),
                             peer.sock.shutdown(socket.SHUT_WR))),
    ("closed", lambda peer: (peer.hello(), peer.frame(BYE, bytes(4)))),
    ("reset", lambda peer: (peer.hello(), reset(peer.sock))),
)


def reset(sock):
    """Resets a connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=II", 1, 0))
    sock.close()


def what_breaks_a_link():
    """Each reason is counted; the peer is told, and may come again."""
    one, client = machines()
    is_machine(one, [9], heartbeat=SLOW)
    counted = {}
    for number, (reason, breaks) in enumerate(BREAKS):
        peer = played(one, 9, client)
        breaks(peer)
        counted[reason] = counted.get(reason, 0) + 1
        wait_until(lambda: ended(one, 9) == counted, f"{reason} by number {number}")
        seen = told(one, 9)
        equal((reason, None), (seen["reason"], seen.get("secure")), "why, and the link")
        if peer.sock.fileno() >= 0:
            peer.ends()
    played_up(one, 9, client)


def one_byte_at_a_time():
    """Frames may come in any pieces, and several at once."""
    one, client = machines()
    is_machine(one, [9], heartbeat=SLOW)
    peer = played(one, 9, client)
    peer.sock.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
    whole, peer.sock = peer.sock, Collector()
    peer.hello()
    peer.heartbeat(loads=[load()] * 2)
    for byte in peer.sock.bytes:
        whole.sendall(bytes([byte]))
    comes_to(one, 9, state="up", epoch=7)
    peer.sock.bytes = b""
    for epoch in range(100, 200):
        peer.heartbeat(epoch=epoch)
    whole.sendall(peer.sock.bytes)
    comes_to(one, 9, epoch=199)
    peer.sock = whole


class Collector:
    """Takes what is sent."""

    bytes = b""

    def sendall(self, data):
        """As a socket has it."""
        self.bytes += data


def no_encrypted_data():
    """A record that is not encrypted as agreed, and one that is no data, end the link; an alert that
    closes it is its end."""
    one, client = machines()
    is_machine(one, [9], insecure=0, heartbeat=SLOW)
    for number, (reason, is_plain, record) in enumerate((
            ("crypto", True, b""), ("crypto", False, b"\x16"), ("closed", False, b"\x15"))):
        own, peer = connected(one, client)
        encrypt(own, *KEYS)
        if is_plain:
            peer.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
        else:
            encrypt(peer, *KEYS[::-1])
            peer.sendmsg([b"\1\0"], [(SOL_TLS, TLS_SET_RECORD_TYPE, record)])
        give(one, own, 9)
        own.close()
        wait_until(lambda: sum(ended(one, 9).values()) == number + 1, "the end")
        equal(reason, told(one, 9)["reason"], "why")


if __name__ == "__main__":
    sys.exit(run_tests("links", [
        who_a_machine_is, what_no_machine_is, who_may_change, what_is_no_link, half_encrypted,
        two_machines_ipv4, two_machines_ipv6, two_machines_encrypted, what_is_sent, what_a_peer_says,
        what_breaks_a_link, one_byte_at_a_time, no_encrypted_data,
    ]))
