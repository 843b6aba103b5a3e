# SPDX-License-Identifier: GPL-2.0
"""Links between machines: sockets that are given to the module, and peers that a test plays."""

import contextlib
import ctypes
import fcntl
import itertools
import mmap
import os
import select
import signal
import socket
import struct
import threading

from family import another
from machines import FAMILIES
from service_group import PATIENCE, die_with_parent, equal, wait_until

CLUSTER_ID = bytes(range(16))
BOOT_ID = b"B" * 16
MAGIC = 0x4c475653
HELLO, HEARTBEAT, BYE = 1, 2, 3
PORT = 5347
# So long, in milliseconds, that a peer that is played need not send any; and so short that it is missed
# soon.
SLOW, FAST = 10000, 20
# Of linux/tls.h and linux/tcp.h.
TCP_ULP, SOL_TLS, TLS_TX, TLS_RX, TLS_SET_RECORD_TYPE = 31, 282, 1, 2, 1
TLS_1_3, CHACHA20_POLY1305 = 0x0304, 54
KEYS = b"1" * 32, b"2" * 32
# Of linux/userfaultfd.h.
SYS_USERFAULTFD, UFFDIO_API, UFFDIO_REGISTER = 323, 0xc018aa3f, 0xc020aa00
LIBC = ctypes.CDLL(None, use_errno=True)


def is_machine(machine, peers, **changes):
    """Says who a machine is, and which peers it has."""
    machine.ynl.do("machine-set", {"id": machine.number, "cluster-id": CLUSTER_ID, "insecure": 1,
                                   "peers": peers, **changes})


def connected(one, other, version=4, **options):
    """The two ends of a connection between machines: the first one's, and the other's."""
    with other, socket.socket(FAMILIES[version], socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option, value in options.items():
            listener.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
        listener.bind((other.address(version), PORT))
        listener.listen(1)
        with one:
            sock = socket.socket(FAMILIES[version], socket.SOCK_STREAM)
        sock.connect(listener.getsockname()[:2])
        accepted, _ = listener.accept()
    for end in sock, accepted:
        end.settimeout(PATIENCE)
    return sock, accepted


def give(machine, sock, peer):
    """Gives a socket to the module."""
    machine.ynl.do("link-add", {"peer": peer, "fd": sock.fileno()})


def link(one, other, version=4, encrypt=False):
    """Makes a link between two machines."""
    ends = connected(one, other, version)
    if encrypt:
        encrypted(*ends)
    give(one, ends[0], other.number)
    give(other, ends[1], one.number)
    for end in ends:
        end.close()


def key_of(key):
    """A key as the kernel takes it."""
    return struct.pack("=HH12s32s8s", TLS_1_3, CHACHA20_POLY1305, bytes(12), key, bytes(8))


def encrypt(sock, tx, rx):
    """Has the kernel encrypt what a socket sends, and decrypt what it receives, as after a handshake."""
    sock.setsockopt(socket.SOL_TCP, TCP_ULP, b"tls")
    sock.setsockopt(SOL_TLS, TLS_TX, key_of(tx))
    sock.setsockopt(SOL_TLS, TLS_RX, key_of(rx))


def encrypted(one, other):
    """The same for both ends of a connection."""
    encrypt(one, *KEYS)
    encrypt(other, *KEYS[::-1])


def told(machine, peer):
    """What a machine knows of a peer."""
    return machine.ynl.do("link-get", {"peer": peer})


def comes_to(machine, peer, **what):
    """Waits until a machine knows that of a peer."""
    def is_so():
        seen.update(told(machine, peer))
        return all(seen.get(name.replace("_", "-")) == value for name, value in what.items())

    seen = {}
    try:
        wait_until(is_so, "")
    except AssertionError as error:
        raise AssertionError(f"{what} of {peer}: seen {seen}") from error
    return seen


def all_linked(machines, how=None, **what):
    """Each has a link to each other one, and knows that of it."""
    numbers = [machine.number for machine in machines]
    for machine in machines:
        is_machine(machine, [number for number in numbers if number != machine.number],
                   **(how or {}))
    for one, other in itertools.combinations(machines, 2):
        link(one, other)
    for one, other in itertools.permutations(machines, 2):
        comes_to(one, other.number, state="up", **what)


def ended(machine, peer):
    """How many links to a peer ended, by reason."""
    return {end["reason"]: end["times"] for end in told(machine, peer).get("ended", [])}


def listening(machine):
    """A socket that hears of what becomes of a machine's peers."""
    with machine:
        ynl = another(machine.ynl)
    ynl.ntf_subscribe("events")
    return ynl


def hears(ynl, peer, **what):
    """Waits for a notification about a peer that says so."""
    for event in ynl.poll_ntf(duration=PATIENCE):
        if event["name"] != "link-change-ntf" or event["msg"]["peer"] != peer:
            continue
        if all(event["msg"].get(name) == value for name, value in what.items()):
            return event["msg"]
    raise AssertionError(f"no link-change-ntf of {peer} with {what}")


# How long a load report is that the module sends, and in the first version, as peers are played.
SENT_LOAD_LENGTH, LOAD_LENGTH = 36, 32


def load(address="10.9.0.100", family=socket.AF_INET, port=8080, flags=3, protocol=6, epoch=None):
    """A load report; with an epoch it is of the second version."""
    report = struct.pack("<BBH16sIII", family, protocol, port, socket.inet_aton(address) + bytes(12), flags,
                         0, 0)
    return report if epoch is None else report + struct.pack("<I", epoch)


class Played:
    """A peer that the test plays, on one end of a connection."""

    def __init__(self, sock, number):
        self.sock, self.number, self.sent = sock, number, 0
        self.buffer, self.period = b"", SLOW

    def frame(self, kind, body=b"", length=None, version=1, sequence=None):
        """Sends a frame; it may contradict itself."""
        sequence = self.sent if sequence is None else sequence
        length = 12 + len(body) if length is None else length
        self.sock.sendall(struct.pack("<IHHI", length, kind, version, sequence) + body)
        self.sent += 1

    def hello(self, **changes):
        """Says who it is."""
        said = {"magic": MAGIC, "version": 1, "least": 1, "machine": self.number,
                "cluster": CLUSTER_ID, "boot": BOOT_ID, "heartbeat": SLOW, "epoch": 7, **changes}
        self.period = said["heartbeat"]
        self.frame(HELLO, struct.pack("<IHHI16s16sII", *said.values()))

    def heartbeat(self, heard=0, ready=1, away=0, held=0, epoch=7, loads=(), count=None, period=None,
                  sent=1, version=1):
        """Says that it is there."""
        count = len(loads) if count is None else count
        self.period = period or self.period
        body = struct.pack("<QQIIIIHH", sent, 0, heard, ready | away << 1 | held << 2,
                           epoch, self.period, count, LOAD_LENGTH if version == 1 else SENT_LOAD_LENGTH)
        self.frame(HEARTBEAT, body + b"".join(loads), version=version)

    def receive(self):
        """The next frame: its kind and its body."""
        while len(self.buffer) < 12 or len(self.buffer) < struct.unpack_from("<I", self.buffer)[0]:
            data = self.sock.recv(65536)
            if not data:
                return None, b""
            self.buffer += data
        length, kind = struct.unpack_from("<IH", self.buffer)
        frame, self.buffer = self.buffer[:length], self.buffer[length:]
        return kind, frame[12:]

    def ends(self):
        """Waits for the end of the link; the reason of its bye, or None."""
        reason = None
        with contextlib.suppress(ConnectionError):
            while True:
                kind, body = self.receive()
                if kind is None:
                    break
                if kind == BYE:
                    reason, = struct.unpack_from("<H", body)
        return reason


def played(machine, number, client, **options):
    """A peer of a machine that the test plays on another machine, with its link just given."""
    own, other = connected(machine, client, **options)
    give(machine, own, number)
    own.close()
    return Played(other, number)


def played_up(machine, number, client):
    """The same, when the machine has heard of it."""
    peer = played(machine, number, client)
    peer.hello()
    peer.heartbeat()
    comes_to(machine, number, state="up", away=0)
    return peer


class Locked:
    """While it is so, a process holds a socket's lock: an option is copied from a page that does not
    come."""

    def __init__(self, sock):
        self.sock = sock
        self.process = 0

    def __enter__(self):
        ready, told_ready = os.pipe()
        self.process = os.fork()
        if not self.process:
            die_with_parent()
            hold(self.sock.fileno(), told_ready)
        equal([ready], select.select([ready], [], [], PATIENCE)[0], "who waits for the page")
        os.close(ready)
        os.close(told_ready)
        return self

    def __exit__(self, *_):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def hold(number, told_ready):
    """Sets an option whose last bytes are in the page, for ever."""
    size = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    memory[0] = 1
    faults = LIBC.syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
    fcntl.ioctl(faults, UFFDIO_API, struct.pack("=QQQ", 0xaa, 0, 0))
    fcntl.ioctl(faults, UFFDIO_REGISTER, struct.pack("=QQQQ", address + size, size, 1, 0))

    def tell():
        select.select([faults], [], [])
        os.write(told_ready, b"x")

    threading.Thread(target=tell, daemon=True).start()
    LIBC.setsockopt(number, socket.SOL_SOCKET, socket.SO_LINGER, ctypes.c_void_p(address + size - 4), 8)
    os._exit(0)
