# SPDX-License-Identifier: GPL-2.0
"""The module goes and comes while packets of cluster IPs do. SG_MODULE is its path."""

import ctypes
import os
import signal
import socket
import subprocess

from clusters import CLUSTER, PORT, TCP, UDP
from machines import FAMILIES
from service_group import die_with_parent, expect, wait_until

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_DELETE_MODULE = 176


class Traffic:
    """A process that sends datagrams, whole and in fragments, and begins connections, to ports
    without a service. It holds no namespace but the client's, and ends with the test."""

    def __init__(self, cluster):
        with cluster.client:
            udp = socket.socket(FAMILIES[cluster.version], UDP)
            self.process = os.fork()
            if not self.process:
                die_with_parent()
                os.dup2(udp.fileno(), 3)
                os.closerange(4, 4096)
                self.send(cluster.version)
            udp.close()

    @staticmethod
    def send(version):
        """Without an end."""
        udp = socket.socket(fileno=3)
        udp.setblocking(False)
        while True:
            for size in (10, 2000):
                try:
                    udp.sendto(b"d" * size, (CLUSTER[version], PORT + 1))
                except OSError:
                    pass
            tcp = socket.socket(FAMILIES[version], TCP)
            tcp.setblocking(False)
            tcp.connect_ex((CLUSTER[version], PORT + 2))
            tcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def comes(cluster, machine, counter):
    """Waits until packets have come to a machine, from now on."""
    before = cluster.counters(machine)[counter]
    wait_until(lambda: cluster.counters(machine)[counter] > before + 10, f"{counter} packets")


def rmmod():
    """Tries to remove the module; what is said if it stays, or nothing."""
    done = subprocess.run(["rmmod", "service_group"], capture_output=True, text=True, check=False)
    return done.returncode and done.stdout + done.stderr


def unload():
    """Removes the module; nothing holds it for long."""
    wait_until(lambda: not rmmod(), "rmmod")


def stays(namespaces):
    """The module cannot be removed: so many namespaces hold it, once each."""
    def holders():
        with open("/sys/module/service_group/refcnt", encoding="ascii") as file:
            return int(file.read())

    # What was before may end late.
    wait_until(lambda: holders() == namespaces, f"{namespaces} references")
    said = rmmod()
    expect(said and "in use" in said, f"rmmod: {said}")


def forget(machines):
    """Has machines serve no cluster IP any more."""
    for machine in machines:
        for cluster in machine.ynl.dump("cluster-get", {"brief": 1}):
            name = {key: cluster[key] for key in ("family", "protocol", "port")}
            machine.ynl.do("cluster-del", {**name, "address": bytes(cluster["address"])})


def load():
    """Loads it."""
    subprocess.run(["insmod", os.environ["SG_MODULE"]], check=True)


class Unloading:
    """A process that tries to remove the module all the time, until it is gone. It holds no
    namespace but the test's."""

    def __init__(self, *machines):
        self.process = os.fork()
        if not self.process:
            die_with_parent()
            for machine in machines:
                os.close(machine.inside)
                machine.ynl.sock.close()
            while delete_module():
                pass
            os._exit(0)

    def over(self):
        """Whether it is gone."""
        if self.process and os.waitpid(self.process, os.WNOHANG)[0]:
            self.process = 0
        return not self.process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        if not os.path.exists("/sys/module/service_group"):
            load()


def delete_module():
    """The system call, without a program around it that takes long; its errno, or 0."""
    failed = LIBC.syscall(SYS_DELETE_MODULE, b"service_group", os.O_NONBLOCK)
    return ctypes.get_errno() if failed else 0
