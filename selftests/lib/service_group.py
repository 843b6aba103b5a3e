# SPDX-License-Identifier: GPL-2.0
"""The option and a KTAP harness for tests in Python.

Each test is run in a process and a network namespace of its own."""

import os
import socket
import struct
import subprocess
import sys
import traceback

SO_SERVICE_GROUP = 0x5347
SO_SERVICE_GROUP_LEAVE = 0x5348
CLONE_NEWNET = 0x40000000
PORT = 8080


def checkout():
    """The folder of the repository."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def enter_namespace():
    """Goes into a fresh network namespace with the loopback device up."""
    os.unshare(CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


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


def group_of(sock):
    """The id of a socket's group."""
    return struct.unpack_from("=II", sock.getsockopt(socket.SOL_IP, SO_SERVICE_GROUP, 128))[1]


def new_socket(family=socket.AF_INET):
    """A TCP socket (not MPTCP)."""
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)


def listener(host=1, backlog=1, port=PORT):
    """A listener at 127.0.0.host."""
    sock = new_socket()
    sock.bind((f"127.0.0.{host}", port))
    sock.listen(backlog)
    return sock


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
        child = os.fork()
        if child == 0:
            status = 1
            try:
                enter_namespace()
                test()
                status = 0
            except BaseException:  # pylint: disable=broad-exception-caught
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}")
            sys.stdout.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        failed += status != 0
        print(f"{'ok' if status == 0 else 'not ok'} {number} {suite}.{test.__name__}")
    return 1 if failed else 0
