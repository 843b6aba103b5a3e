#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a cluster IP needs goes away while packets come: the module, a namespace, a device, memory.

SG_MODULE is the module's path. What cannot be let go shows in the kernel's log, in a device or
module that stays, or as a leak after all tests.
"""

import errno
import os
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
from clusters import (CLUSTER, MAC, PORT, TCP, UDP, Cluster, Directed, config,  # noqa: E402
                      name_of, open_family_on, table, takes_connections)
from family import forget_family, open_family  # noqa: E402
from machines import FAMILIES, ip_commands  # noqa: E402
from service_group import (Skip, die_with_parent, equal, expect, run_tests,  # noqa: E402
                           wait_until)

# What neighbour solicitations for the IPv6 address are sent to.
SOLICITED = "3333ff000100"
FAILSLAB = "/sys/kernel/debug/failslab/ignore-gfp-wait"
# No operation allocates as often; the walk does not end by itself.
MOST_FAILURES = 2000


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


def unload():
    """Removes the module; nothing holds it for long."""
    wait_until(lambda: not subprocess.run(["rmmod", "service_group"], capture_output=True,
                                          check=False).returncode, "rmmod")


def load():
    """Loads it."""
    subprocess.run(["insmod", os.environ["SG_MODULE"]], check=True)


def joined(machine):
    """Whether a machine's device receives what is sent to a cluster IP."""
    with machine, open("/proc/thread-self/net/dev_mcast", encoding="ascii") as file:
        groups = [line.split()[4] for line in file if line.split()[1] == "eth0"]
    return MAC.hex() in groups or SOLICITED in groups


def unload_and_load(machines=()):
    """Whatever happens it is there afterwards; between, these machines receive nothing for it."""
    try:
        unload()
        equal([], [machine.number for machine in machines if joined(machine)], "who still receives")
    finally:
        if not os.path.exists("/sys/module/service_group"):
            load()


def module_goes(cluster, busy, counter, configure, joins=True):
    """A cluster IP does not hold the module, nor do packets; it is configured anew afterwards."""
    machines = cluster.nodes + cluster.directors
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, busy, counter)
            equal(joins, joined(busy), "receives")
            unload_and_load(machines)
            forget_family()
            open_family_on(machines)
            equal([], busy.ynl.dump("cluster-get", {}), "what is left")
            configure()
        comes(cluster, busy, counter)
        takes_connections(cluster, 3)


def module_shared():
    """From all nodes."""
    cluster = Cluster(4)
    cluster.set()
    module_goes(cluster, cluster.nodes[0], "owned", cluster.set)


def module_directed():
    """From a director, which forwards to MAC addresses, and its nodes."""
    cluster = Directed(6)
    module_goes(cluster, cluster.directors[0], "forwarded", lambda: cluster.direct(0))


def module_tunnelled():
    """The same with tunnels."""
    cluster = Directed(4, "tunnel", 6)
    module_goes(cluster, cluster.directors[0], "forwarded", lambda: cluster.direct(0), joins=False)


def end(machine):
    """Lets go of a machine's namespace, and waits until its device is gone."""
    machine.ynl.sock.close()
    os.close(machine.inside)
    port = f"port{machine.number}"
    wait_until(lambda: port not in [name for _, name in socket.if_nameindex()],
               "the namespace's end")


def namespace_shared():
    """A node's, and then what was its is another's."""
    cluster = Cluster(6)
    cluster.set()
    with Traffic(cluster):
        gone = cluster.nodes[2]
        comes(cluster, gone, "owned")
        end(gone)
        del cluster.nodes[2]
        cluster.set(epoch=2, table=table(1, 2, 1))
        takes_connections(cluster, 4, owners=(1, 2, 1))
    unload_and_load()


def namespace_directed(way, outer):
    """A node's, and then its director's, of which another one takes the place."""
    cluster = Directed(4, way, outer)
    with Traffic(cluster):
        comes(cluster, cluster.directors[0], "forwarded")
        end(cluster.nodes[2])
        del cluster.nodes[2]
        cluster.direct(0, epoch=2, table=table(1, 2, 1))
        comes(cluster, cluster.directors[0], "forwarded")
        end(cluster.directors.pop(0))
        cluster.direct(0)
        comes(cluster, cluster.directors[0], "forwarded")
        takes_connections(cluster, 4, owners=(1, 2, 1))
    unload_and_load()


def namespace_neighbours():
    """Directed to MAC addresses."""
    namespace_directed("neighbour", 4)


def namespace_tunnelled():
    """Directed by tunnels of the other family."""
    namespace_directed("tunnel", 6)


def replug(machine):
    """A machine's device goes, and it gets another one."""
    with machine:
        # It waits for whoever keeps it.
        ip_commands("link del eth0")
    ip_commands(*machine.cable())
    machine.plug_in()


def device_shared():
    """A node's device."""
    cluster = Cluster(4)
    cluster.set()
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, cluster.nodes[0], "owned")
            replug(cluster.nodes[0])
            cluster.set([cluster.nodes[0]])
        takes_connections(cluster, 4)


def device_directed():
    """A director's, and a node's."""
    cluster = Directed(6)
    with Traffic(cluster):
        for _ in range(2):
            comes(cluster, cluster.directors[0], "forwarded")
            comes(cluster, cluster.nodes[1], "owned")
            replug(cluster.nodes[1])
            replug(cluster.directors[0])
            cluster.direct(0)
        comes(cluster, cluster.directors[0], "forwarded")
        takes_connections(cluster, 4)


# Failures.

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
        if not os.path.exists(FAILSLAB):
            raise Skip("this kernel has no fault injection (no /proc/self/fail-nth)")
        for path, value in ((FAILSLAB, "N"),
                            ("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N"),
                            ("/sys/kernel/debug/fail_page_alloc/min-order", "0")):
            with open(path, "w", encoding="ascii") as file:
                file.write(value)
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

    def walk(self, prepare, command, attributes):
        """Each failure is told and has changed nothing, or all is done."""
        payload = request(self.ynl, command, attributes)
        prepare()
        before = self.state()
        equal(0, self.attempt(payload, 0)[0], "without a failure")
        done = self.state()
        failures = 0
        for nth in range(1, MOST_FAILURES):
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


def failures(version):
    """A first cluster IP, another one, a change of one, and the end of it."""
    walks = Failures()
    ynl = walks.ynl
    whole = config(version, walks.device, 1)
    other = config(version, walks.device, 1, protocol=6, port=PORT)
    keyed = {**whole, "epoch": 2, "hash": "keyed", "key": bytes(16), "table": table(*[1, 2] * 30),
             "mac": bytes.fromhex("0300c0ffee02")}

    def only(*those):
        def prepare():
            for one in ynl.dump("cluster-get", {}):
                ynl.do("cluster-del", {name: one[name] for name in
                                       ("family", "protocol", "port", "address")})
            for one in those:
                ynl.do("cluster-set", one)
        return prepare

    walks.walk(only(), "cluster-set", whole)
    walks.walk(only(whole), "cluster-set", other)
    walks.walk(only(other, whole), "cluster-set", keyed)
    walks.walk(only(whole), "cluster-set", {**whole, "epoch": 2, "table": table(3, 1, 2)})
    walks.walk(only(other, whole), "cluster-del", name_of(version))
    only()()
    # It waits for whoever keeps it.
    ip_commands("link del dummy0")


def failures_ipv4():
    """IPv4."""
    failures(4)


def failures_ipv6():
    """IPv6."""
    failures(6)


if __name__ == "__main__":
    sys.exit(run_tests("cluster_unload", [
        module_shared, module_directed, module_tunnelled, namespace_shared, namespace_neighbours,
        namespace_tunnelled, device_shared, device_directed, failures_ipv4,
        failures_ipv6,
    ]))
