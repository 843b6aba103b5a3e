# SPDX-License-Identifier: GPL-2.0
"""Failures of memory, of which a kernel with fault injection makes as many as are asked for."""

import contextlib
import errno
import os
import socket
import struct

from family import another, open_family
from machines import ip_commands
from service_group import (PATIENCE, Skip, equal, expect, form, listener, new_socket,
                           write)

FAILSLAB = "/sys/kernel/debug/failslab"
FAIL_PAGE_ALLOC = "/sys/kernel/debug/fail_page_alloc"
# All that is set here, or counted down by each failure.
SET = [*(f"{FAILSLAB}/{name}" for name in ("ignore-gfp-wait", "interval", "space", "probability",
                                           "times")),
       *(f"{FAIL_PAGE_ALLOC}/{name}" for name in ("ignore-gfp-wait", "min-order", "task-filter",
                                                  "interval", "space", "probability", "times")),
       "/sys/kernel/debug/fail_usercopy/times"]
NLMSG_ERROR, NLMSG_DONE, NLM_F_DUMP = 2, 3, 0x300
# No operation allocates as often; the walk does not end by itself.
MOST_FAILURES = 2000


def needs_injection():
    """Without it there is nothing to test."""
    if not os.path.exists(FAILSLAB):
        raise Skip("this kernel has no fault injection (no /proc/self/fail-nth)")


def read(path):
    """A file of the kernel's."""
    with open(path, encoding="ascii") as file:
        return file.read().strip()


@contextlib.contextmanager
def kept():
    """Afterwards all is set as before, whatever becomes of the tests meanwhile: for a suite's first
    process, which they do not kill."""
    before = {path: read(path) for path in SET if os.path.exists(path)}
    try:
        yield
    finally:
        for path, value in before.items():
            write(path, value)


class Sometimes:
    """While it is so, allocations that must not wait, which are those for packets, fail now and
    then, wherever they are: so many of them, and then no more."""

    def __init__(self, count, percent):
        needs_injection()
        self.settings = {"ignore-gfp-wait": "Y", "interval": 1, "space": 0, "times": count,
                         "probability": percent}

    def __enter__(self):
        for name, value in self.settings.items():
            write(f"{FAILSLAB}/{name}", value)
        return self

    def __exit__(self, *_):
        write(f"{FAILSLAB}/probability", 0)
        write(f"{FAILSLAB}/times", 1)

    @staticmethod
    def over():
        """Whether all have been met."""
        with open(f"{FAILSLAB}/times", encoding="ascii") as file:
            return int(file.read()) == 0


class OnlyPages:
    """While it is so, processes that meet failures get no memory of more than two pages at a time: what
    is to be a page has a little more where the allocator is checked."""

    SETTINGS = {"task-filter": "Y", "ignore-gfp-wait": "N", "min-order": 2, "interval": 1, "space": 0,
                "times": -1, "probability": 100}

    def __enter__(self):
        needs_injection()
        for name, value in self.SETTINGS.items():
            write(f"{FAIL_PAGE_ALLOC}/{name}", value)

    def __exit__(self, *_):
        for name, value in (("probability", 0), ("task-filter", "N"), ("times", 1), ("min-order", 0)):
            write(f"{FAIL_PAGE_ALLOC}/{name}", value)


def meets_failures(pid):
    """From now on this process does."""
    write(f"/proc/{pid}/make-it-fail", 1)


class NthForPackets:
    """Has one allocation fail that must not wait, the nth from a moment on, wherever it is. Those of
    other programs count as well, so that there should be none."""

    def __init__(self):
        needs_injection()
        self.listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self):
        write(f"{FAILSLAB}/ignore-gfp-wait", "Y")
        write(f"{FAILSLAB}/space", 0)
        return self

    def __exit__(self, *_):
        write(f"{FAILSLAB}/probability", 0)
        write(f"{FAILSLAB}/interval", 1)
        write(f"{FAILSLAB}/times", 1)

    def arm(self, nth):
        """From now on. The kernel counts on from where it was, so the one before is met first, by
        packets that nobody misses."""
        write(f"{FAILSLAB}/interval", nth)
        write(f"{FAILSLAB}/times", 1)
        write(f"{FAILSLAB}/probability", 100)
        while not Sometimes.over():
            self.nonsense()
        write(f"{FAILSLAB}/times", 1)

    def nonsense(self):
        """A connection that is given up."""
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.connect_ex(self.listener.getsockname())
        self.listener.setblocking(False)
        with contextlib.suppress(OSError):
            self.listener.accept()[0].close()

    @staticmethod
    def met():
        """Whether it was; from now on none fails."""
        write(f"{FAILSLAB}/probability", 0)
        return Sometimes.over()


def walk_packets(send):
    """Has each allocation for what is sent fail once; how many there are."""
    nth, missed = 0, 0
    with NthForPackets() as failures:
        # What is not met once may be another program's.
        while missed < 3:
            nth += 1
            expect(nth < MOST_FAILURES, "no end")
            failures.arm(nth)
            send()
            missed = 0 if failures.met() else missed + 1
    return nth - missed


class Captured(Exception):
    """What was to be sent."""


class Capture:
    """Has a request's bytes in place of an answer."""

    @staticmethod
    def send(payload, *_):
        """To nobody."""
        raise Captured(payload)


def request(ynl, command, attributes, mode="do"):
    """A request as bytes, so that nothing but the request itself fails."""
    sock, ynl.sock = ynl.sock, Capture()
    try:
        getattr(ynl, mode)(command, attributes)
    except Captured as captured:
        return captured.args[0]
    finally:
        ynl.sock = sock
    raise AssertionError("nothing was sent")


class Failures:
    """An operation of which each allocation fails once, while a program listens for events. What is
    there is the matter of those that are derived from it."""

    def __init__(self):
        needs_injection()
        write(f"{FAILSLAB}/ignore-gfp-wait", "N")
        write(f"{FAIL_PAGE_ALLOC}/ignore-gfp-wait", "N")
        write(f"{FAIL_PAGE_ALLOC}/min-order", "0")
        self.nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        self.ynl = open_family()
        self.listens = another(self.ynl)
        self.listens.ntf_subscribe("events")
        self.buffer = bytearray(1 << 18)
        self.view, self.last = memoryview(self.buffer), 0

    def arm(self, nth):
        """The copy of the number itself may be what fails, if one is due; then none is."""
        try:
            os.pwrite(self.nth, str(nth).encode(), 0)
        except OSError:
            os.pwrite(self.nth, str(nth).encode(), 0)

    def disarm(self):
        """Whether the one that was to fail was met."""
        try:
            left = int(os.pread(self.nth, 16, 0).split(b"\0")[0])
        except OSError:
            # This very copy was the one.
            left = 1
        self.arm(0)
        return left == 0

    def attempt(self, payload, nth):
        """The error of a request, whether a failure was met, and the answer."""
        # One that a failure has kept from its end serves for nothing else.
        sock = another(self.ynl).sock
        sock.settimeout(PATIENCE)
        # The parts of a dump are made when they are received, other answers when it is sent.
        dumps = struct.unpack_from("=H", payload, 6)[0] & NLM_F_DUMP == NLM_F_DUMP
        met, length = None, 0
        self.arm(nth)
        try:
            sock.send(payload)
            if not dumps:
                met = self.disarm()
            length = self.receive(sock)
            error = -struct.unpack_from("=i", self.buffer, self.last + 16)[0]
        except OSError as failed:
            error = failed.errno
        if met is None:
            met = self.disarm()
        sock.close()
        return error, met, list(self.messages(length))

    def receive(self, sock):
        """Has all that comes in the buffer; its length. Nothing is allocated here that could be what
        fails."""
        length = 0
        while True:
            end = length + sock.recv_into(self.view[length:])
            while length < end:
                size, kind = struct.unpack_from("=IH", self.buffer, length)
                self.last = length
                length += size + 3 & ~3
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    return length

    def messages(self, length):
        """What is in them, but for the last one, which tells the error."""
        at = 0
        while at < length:
            size, kind = struct.unpack_from("=IH", self.buffer, at)
            if kind not in (NLMSG_ERROR, NLMSG_DONE):
                yield bytes(self.buffer[at + 16:at + size])
            at += size + 3 & ~3

    def walk(self, prepare, command, attributes, mode="do"):
        """Each failure is told and has changed nothing, or all is done."""
        payload = request(self.ynl, command, attributes, mode)
        prepare()
        before = self.state()
        error, _, expected = self.attempt(payload, 0)
        equal(0, error, "without a failure")
        now = done = self.state()
        failures = 0
        for nth in range(1, MOST_FAILURES):
            if now != before:
                prepare()
                equal(before, self.state(), f"what is there before failure {nth}")
            error, met, answer = self.attempt(payload, nth)
            now = self.state()
            if not error:
                equal(self.essence(expected), self.essence(answer), "answer")
            if not met:
                equal((0, done), (error, now), "what was done in the end")
                print(f"# {command} {mode}: {nth - 1} allocations, {failures} errors")
                expect(failures > 3, "some failures")
                return
            if error:
                failures += 1
                expect(error in (errno.ENOMEM, errno.ENOBUFS, errno.EFAULT),
                       f"failure {nth}: {errno.errorcode.get(error, error)}")
                # The answer itself may not have found room.
                expect(now == before or error == errno.ENOBUFS and now == done,
                       f"failure {nth} has left something: {before}, {now}")
            else:
                equal(done, now, f"failure {nth} was not told")
        raise AssertionError("no end")

    @staticmethod
    def essence(answer):
        """What is the same of it each time."""
        return answer


class GroupFailures(Failures):
    """Two groups, of two members and of one."""

    def __init__(self):
        super().__init__()
        self.sockets = [listener(1), listener(2), new_socket()]
        self.group, self.other = form(self.sockets[:2]), form(self.sockets[2:])

    def state(self):
        """All there is."""
        return self.ynl.dump("group-get", {}), self.ynl.dump("member-get", {})


class ClusterFailures(Failures):
    """Cluster IPs of a device."""

    def __init__(self):
        super().__init__()
        ip_commands("link add dummy0 type dummy", "link set dummy0 up")
        self.device = socket.if_nametoindex("dummy0")

    def state(self):
        """All there is, and what the device receives for it."""
        told = [self.ynl.do("cluster-get", name_in(one))
                for one in self.ynl.dump("cluster-get", {})]
        # But not for how many, the kernel's own among them, of which it forgets some.
        with open("/proc/net/dev_mcast", encoding="ascii") as file:
            groups = [line.split()[4] for line in file]
        with open("/proc/net/igmp6", encoding="ascii") as file:
            return told, groups, [line.split()[:4] for line in file]

    def only(self, *those):
        """A function after which there are those cluster IPs, and no others."""
        def prepare():
            for one in self.ynl.dump("cluster-get", {}):
                self.ynl.do("cluster-del", name_in(one))
            for one in those:
                self.ynl.do("cluster-set", one)
        return prepare

    def end(self):
        """Nothing holds the device."""
        self.only()()
        # It waits until no program keeps it.
        ip_commands("link del dummy0")


def name_in(cluster):
    """What a cluster IP is called."""
    return {name: cluster[name] for name in ("family", "protocol", "port", "address")}
