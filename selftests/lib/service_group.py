# SPDX-License-Identifier: GPL-2.0
"""The option and a KTAP harness for tests in Python.

Each test is run in a process and a network namespace of its own, with a folder of its own for what
tempfile makes."""

import fcntl
import os
import signal
import socket
import struct
import sys
import time

# What only some programs need is imported where it is needed, as outcomes.py is started a dozen
# times, and in an emulated machine each of these takes as long as a test.
# pylint: disable=import-outside-toplevel

SO_SERVICE_GROUP = 0x5347
SO_SERVICE_GROUP_LEAVE = 0x5348
LEAVE_DRAIN = 1
SO_SERVICE_GROUP_SETTINGS = 0x5349
SO_COOKIE = 57
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 1
PR_SET_PDEATHSIG = 1
PORT = 8080
# Seconds; a test that waits longer waits in vain.
PATIENCE = 90
# Seconds; a test that takes longer hangs.
LIMIT = 600
# The settings, in the order of the struct and of the bits that say which are given.
SETTINGS = ("policy", "when_full", "stall", "weight", "rewrite", "adopt")
# The same of struct service_group_info.
INFO = ("size", "id", "members", "state", "queued", "half_open", "backlog", "reserved", "home",
        "redirected_in", "redirected_out", "dropped", "rescued_in", "rescued_out", "accepted")
STALLED = 5
# Of a suite that is random: what it began with.
SEEDS = []
# What is done when a test has ended.
AT_END = []
# With which a test's process ends that is skipped, as kselftests have it.
SKIPPED = 4


class Skip(Exception):
    """A test that cannot be made here."""


def checkout():
    """The folder of the repository."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# The tool.
SGCTL = os.environ.get("SG_BIN", f"{checkout()}/build/bin") + "/sgctl"


def enter_namespace():
    """Goes into a fresh network namespace with the loopback device up."""
    os.unshare(CLONE_NEWNET)
    switch("lo", True)


def switch(name, on):
    """Sets a device of the present namespace up or down; a program of its own takes long."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = struct.pack("=16sh22x", name.encode(), 0)
        flags, = struct.unpack_from("=16xh", fcntl.ioctl(sock, SIOCGIFFLAGS, asked))
        flags = flags | IFF_UP if on else flags & ~IFF_UP
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("=16sh22x", name.encode(), flags))


def write(path, value):
    """Writes into a file of the kernel's."""
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


def die_with_parent():
    """Has the present process killed when the one that started it ends, or is killed."""
    import ctypes
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, **how):
    """Starts a program that ends with the present process, if not before."""
    import ctypes  # noqa: F401 - the child finds it
    import subprocess
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


def leave(sock, flags=0):
    """Takes a socket out of its group."""
    sock.setsockopt(socket.SOL_IP, SO_SERVICE_GROUP_LEAVE, struct.pack("=I", flags))


def configure(sock, **settings):
    """Changes what a socket's group does, or the socket's weight."""
    given = sum(1 << bit for bit, name in enumerate(SETTINGS) if name in settings)
    numbers = [settings.get(name, 0) for name in SETTINGS]
    option = struct.pack("=8I", 32, given, *numbers)
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


def seed():
    """What random tests of a suite begin with, which is printed; each of them that fails tells it."""
    SEEDS[:] = [os.environ.get("SG_SEED") or "1"]
    print(f"# SG_SEED={SEEDS[0]}", flush=True)
    return SEEDS[0]


def run_tests(suite, tests):
    """Runs functions as tests, and prints KTAP; the exit status."""
    import tempfile
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
        have_module()
        failed += status not in (0, SKIPPED)
        word = "ok" if status in (0, SKIPPED) else "not ok"
        directive = " # SKIP" if status == SKIPPED else ""
        print(f"{word} {number} {suite}.{test.__name__}{directive}")
    return 1 if failed else 0


def have_module():
    """Loads the module if a test that was killed has left it unloaded, which others need."""
    path = os.environ.get("SG_MODULE")
    if path and not os.path.exists("/sys/module/service_group"):
        os.spawnlp(os.P_WAIT, "insmod", "insmod", path)


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
        import traceback
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        for number in SEEDS:
            print(f"# SG_SEED={number}")
        return 1
    finally:
        for action in AT_END:
            action()
