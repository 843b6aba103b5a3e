# SPDX-License-Identifier: GPL-2.0
"""Failures of memory, of which a kernel with fault injection makes as many as are asked for."""

import errno
import os
import socket
import sys

from family import open_family
from machines import ip_commands
from service_group import Skip, equal, expect

FAILSLAB = "/sys/kernel/debug/failslab"
# No operation allocates as often; the walk does not end by itself.
MOST_FAILURES = 2000


def needs_injection():
    """Without it there is nothing to test."""
    if not os.path.exists(FAILSLAB):
        raise Skip("this kernel has no fault injection (no /proc/self/fail-nth)")


def write(path, value):
    """Into a file of the kernel's."""
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


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
        # As it was.
        write(f"{FAILSLAB}/times", 1)

    @staticmethod
    def over():
        """Whether all have been met."""
        with open(f"{FAILSLAB}/times", encoding="ascii") as file:
            return int(file.read()) == 0


class Captured(Exception):
    """What was to be sent."""


class Capture:
    """Has a request's bytes in place of an answer."""

    @staticmethod
    def send(payload, *_):
        """To nobody."""
        raise Captured(payload)


def request(ynl, command, attributes):
    """A request as bytes, so that nothing but the request itself fails."""
    sock, ynl.sock = ynl.sock, Capture()
    try:
        ynl.do(command, attributes)
    except Captured as captured:
        return captured.args[0]
    finally:
        ynl.sock = sock
    raise AssertionError("nothing was sent")


class Failures:
    """An operation of which each allocation fails once."""

    def __init__(self):
        needs_injection()
        write(f"{FAILSLAB}/ignore-gfp-wait", "N")
        write("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N")
        write("/sys/kernel/debug/fail_page_alloc/min-order", "0")
        self.nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        ip_commands("link add dummy0 type dummy", "link set dummy0 up")
        self.device = socket.if_nametoindex("dummy0")
        self.ynl = open_family()

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
        """The error of a request, and whether a failure was met."""
        sock = self.ynl.sock
        self.arm(nth)
        try:
            sock.send(payload)
            error = 0
        except OSError as failed:
            error = failed.errno
        met = self.disarm()
        if not error:
            try:
                error = -int.from_bytes(sock.recv(1 << 16)[16:20], sys.byteorder, signed=True)
            except OSError as failed:
                error = failed.errno
        return error, met

    def state(self):
        """All there is, and what the device receives for it."""
        told = [self.ynl.do("cluster-get", {name: one[name] for name in
                                            ("family", "protocol", "port", "address")})
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
                self.ynl.do("cluster-del", {name: one[name] for name in
                                            ("family", "protocol", "port", "address")})
            for one in those:
                self.ynl.do("cluster-set", one)
        return prepare

    def end(self):
        """Nothing holds the device."""
        self.only()()
        # It waits for whoever keeps it.
        ip_commands("link del dummy0")

    def walk(self, prepare, command, attributes):
        """Each failure is told and has changed nothing, or all is done."""
        payload = request(self.ynl, command, attributes)
        prepare()
        before = self.state()
        equal(0, self.attempt(payload, 0)[0], "without a failure")
        now = done = self.state()
        failures = 0
        for nth in range(1, MOST_FAILURES):
            if now != before:
                prepare()
                equal(before, self.state(), f"what is there before failure {nth}")
            error, met = self.attempt(payload, nth)
            now = self.state()
            if not met:
                equal((0, done), (error, now), "what was done in the end")
                print(f"# {command}: {nth - 1} allocations, {failures} errors")
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
