#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Addresses of cluster IPs come and go while namespaces end, and while the module is unloaded.

SG_MODULE is the module's path."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from clusters import name_of
from family import forget_family, next_event
from machines import ip_commands
from served import Served
from service_group import equal, have_module, run_tests, start, wait_until
from unloading import unload

# Namespaces that end, and modules that are unloaded.
ROUNDS = 4


def turmoil(served):
    """A program that gives and takes the address without an end; it has begun."""
    flag = " nodad" if served.version == 6 else ""
    lines = [f"addr {what} {served.address} dev {device}{flag if what == 'add' else ''}\n"
             for device in ("eth0", "lo") for what in ("add", "del")]
    with served.machine:
        process = start(["ip", "-force", "-batch", "-"], stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def feed():
        # It waits sometimes: a module that is unloaded waits for all who do not.
        while process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                os.write(process.stdin.fileno(), "".join(lines).encode())
            time.sleep(0.01)

    threading.Thread(target=feed, daemon=True).start()
    return process


def is_told(served):
    """Waits until changes are told, so many that not all can be read."""
    try:
        next_event(served.events, "cluster-change-ntf")
    except OSError as error:
        equal(errno.ENOBUFS, error.errno, "errno")


def namespace_ends(version):
    """While addresses come and go."""
    for _ in range(ROUNDS):
        served = Served(version)
        process = turmoil(served)
        for _ in range(3):
            is_told(served)
        served.events.sock.close()
        served.machine.ynl.sock.close()
        os.close(served.machine.inside)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: "port1" not in [name for _, name in socket.if_nameindex()],
                   "the namespace's end")
        ip_commands("link del segment")


def namespace_ends_ipv4():
    """IPv4."""
    namespace_ends(4)


def namespace_ends_ipv6():
    """IPv6."""
    namespace_ends(6)


def unloaded(version):
    """The module goes and comes while addresses do."""
    served = Served(version)
    process = turmoil(served)
    for _ in range(ROUNDS):
        for _ in range(3):
            is_told(served)
        served.machine.ynl.do("cluster-del", name_of(version))
        try:
            unload()
        finally:
            have_module()
        forget_family()
        served.open()
        served.set("director")
    process.kill()
    process.wait()
    # What it has left.
    served.change("addr flush dev eth0")
    served.change(f"addr replace {served.address} dev lo")
    wait_until(lambda: served.local() == "elsewhere", "the last one")


def unloaded_ipv4():
    """IPv4."""
    unloaded(4)


def unloaded_ipv6():
    """IPv6."""
    unloaded(6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_addresses_end", [
        namespace_ends_ipv4, namespace_ends_ipv6, unloaded_ipv4, unloaded_ipv6,
    ]))
