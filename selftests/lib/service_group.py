# SPDX-License-Identifier: GPL-2.0
"""The option and a KTAP harness for tests in Python.

Each test is run in a process and a network namespace of its own, with a folder of its own for what
tempfile makes."""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

SO_SERVICE_GROUP = 0x5347
SO_SERVICE_GROUP_LEAVE = 0x5348
SO_SERVICE_GROUP_SETTINGS = 0x5349
SO_COOKIE = 57
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PORT = 8080
# Seconds; a test that waits longer waits in vain.
PATIENCE = 40
# Seconds; a test that takes longer hangs.
LIMIT = 600
# The settings, in the order of the struct and of the bits that say which are given.
SETTINGS = ("policy", "when_full", "stall", "weight", "rewrite")
# The same of struct service_group_info.
INFO = ("size", "id", "members", "state", "queued", "half_open", "backlog", "reserved", "home",
        "redirected_in", "redirected_out", "dropped", "rescued_in", "rescued_out", "accepted")
STALLED = 5
# With which a test's process ends that is skipped, as kselftests have it.
SKIPPED = 4


class Skip(Exception):
    """A test that cannot be made here."""


def checkout():
    """The folder of the repository."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def enter_namespace():
    """Goes into a fresh network namespace with the loopback device up."""
    os.unshare(CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def die_with_parent():
    """Has the present process killed when the one that started it ends, or is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, **how):
    """Starts a program that ends with the present process, if not before."""
    return subprocess.Popen(command, preexec_fn=die_with_parent, **how)


def form(sockets, port=0):
    """Forms a group of sockets."""
    request = struct.pack("=III2sH", 16, 0, len(sockets), port.to_bytes(2, "big"), 0)
    for sock in sockets:
        request += struct.pack("=iHHII16s", sock.fileno(), 0, 0, 0, 0, bytes(16))
    sockets[0].setsockopt(socket.SOL_IP, SO_SERVICE_GROUP, request)
    return group_of(sockets[0])


def join(sock, group):
    """Joins a socket to a group."""
    sock.setsockopt(socket.SOL_IP, SO_SERVICE_GROUP, struct.pack("=I", group))


def leave(sock):
    """Takes a socket out of its group."""
    sock.setsockopt(socket.SOL_IP, SO_SERVICE_GROUP_LEAVE, struct.pack("=I", 0))


def configure(sock, **settings):
    """Changes what a socket's group does, or the socket's weight."""
    given = sum(1 << bit for bit, name in enumerate(SETTINGS) if name in settings)
    numbers = [settings.get(name, 0) for name in SETTINGS]
    option = struct.pack("=7I", 28, given, *numbers)
    sock.setsockopt(socket.SOL_IP, SO_SERVICE_GROUP_SETTINGS, option)


def info(sock):
    """What a socket tells of its group and of itself."""
    option = sock.getsockopt(socket.SOL_IP, SO_SERVICE_GROUP, 128)
    return dict(zip(INFO, struct.unpack_from("=8I7Q", option)))


def group_of(sock):
    """The id of a socket's group."""
    return info(sock)["id"]


def cookie_of(sock):
    """The number that tells a socket from all others."""
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def inode_of(sock):
    """The inode number of a socket."""
    return os.fstat(sock.fileno()).st_ino


def new_socket(family=socket.AF_INET):
    """A TCP socket (not MPTCP)."""
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)


def listener(host=1, backlog=1, port=PORT):
    """A listener at 127.0.0.host."""
    return listener_at(f"127.0.0.{host}", backlog, port)


def listener_at(address, backlog, port=PORT):
    """A listener at this address; an IPv6 one if that is one."""
    sock = new_socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.bind((address, port))
    sock.listen(backlog)
    return sock


def wait_until(condition, what, patience=PATIENCE):
    """Waits until it is true; what it is then."""
    end = time.monotonic() + patience
    while not (found := condition()):
        expect(time.monotonic() < end, f"in vain: {what}")
        time.sleep(0.01)
    return found


def expect(condition, text):
    """Fails the test when the condition is false."""
    if not condition:
        raise AssertionError(text)


def equal(expected, seen, what):
    """Fails the test when the two differ."""
    expect(expected == seen, f"{what}: expected {expected!r}, seen {seen!r}")


def run_tests(suite, tests):
    """Runs functions as tests, and prints KTAP; the exit status."""
    failed = 0
    print("TAP version 13")
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as folder:
            child = os.fork()
            if child == 0:
                tempfile.tempdir = folder
                status = run_test(test)
                sys.stdout.flush()
                os._exit(status)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        failed += status not in (0, SKIPPED)
        word = "ok" if status in (0, SKIPPED) else "not ok"
        directive = " # SKIP" if status == SKIPPED else ""
        print(f"{word} {number} {suite}.{test.__name__}{directive}")
    return 1 if failed else 0


def run_test(test):
    """Runs one test in its namespace; what its process is to end with."""
    # Nobody catches it: it ends the process.
    signal.alarm(LIMIT)
    try:
        enter_namespace()
        test()
        return 0
    except Skip as why:
        print(f"# {why}")
        return SKIPPED
    except BaseException:  # pylint: disable=broad-exception-caught
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        return 1
