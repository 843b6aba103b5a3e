#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Addresses of cluster IPs come to a machine and go, and that is told.

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

HERE = os.path.dirname(os.path.abspath(__file__))
# The checkout stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))
# pylint: disable=wrong-import-position
from clusters import CLUSTER, LENGTH, VRF, config, open_family_on, name_of  # noqa: E402
from family import another, forget_family, next_event  # noqa: E402
from machines import ip_commands, segment  # noqa: E402
from service_group import equal, run_tests, start, wait_until  # noqa: E402

# Others than the cluster IPs.
OTHER = {4: "10.9.0.77/32", 6: "fd09::77/128"}
# Namespaces that end, and modules that are unloaded.
ROUNDS = 4


class Served:
    """A machine that serves a cluster IP, and who is told events of it."""

    def __init__(self, version, role="director", kind=None, before=()):
        self.version = version
        self.address = f"{CLUSTER[version]}/{LENGTH[version]}"
        self.machine, = segment(1, kind)
        self.change(*before)
        self.open()
        self.set(role)

    def open(self):
        """The family, when there is the module."""
        open_family_on([self.machine])
        with self.machine:
            self.events = another(self.machine.ynl)
        self.events.ntf_subscribe("events")

    def set(self, role, **changes):
        """Has the machine serve it in this role."""
        mac = {} if role == "shared" else {"mac": None}
        given = config(self.version, self.machine.device(), 1, role=role, **mac, **changes)
        self.machine.ynl.do("cluster-set", given)

    def change(self, *lines):
        """Runs commands of ip on the machine."""
        with self.machine:
            ip_commands(*lines)

    def give(self, device, *flags, address=None):
        """Gives a device the address, or another one; IPv6 looks for no duplicates, if nothing else
        is said."""
        flags = flags or (("nodad",) if self.version == 6 else ())
        self.change(" ".join(("addr add", address or self.address, "dev", device, *flags)))

    def take(self, device, address=None):
        """Takes it away."""
        self.change(f"addr del {address or self.address} dev {device}")

    def local(self):
        """Where the machine has the address, as all requests tell."""
        ynl = self.machine.ynl
        told = [ynl.do("cluster-get", name_of(self.version))]
        for request in ({}, {"brief": 1}):
            told += ynl.dump("cluster-get", request)
        equal(3, len(told), "answers")
        equal({told[0]["local"]}, {one["local"] for one in told}, "answers")
        return told[0]["local"]

    def told(self, local, device=None):
        """The next event tells that the address is there, and so do requests."""
        event = next_event(self.events, "cluster-change-ntf")
        device = self.machine.device() if device is None else device
        equal((local, device), (event["local"], event["device"]), "what an event tells")
        equal(local, self.local(), "what is told")


def comes_and_goes(version, role="director", kind=None):
    """To the loopback device, to the device, and back; other addresses are of no matter."""
    served = Served(version, role, kind)
    served.told("absent")
    served.give("lo")
    served.told("elsewhere")
    served.give("eth0")
    served.told("device")
    served.give("eth0", address=OTHER[version])
    served.take("eth0", OTHER[version])
    served.take("eth0")
    served.told("elsewhere")
    served.take("lo")
    served.told("absent")
    served.give("eth0")
    served.told("device")
    served.change("addr flush dev eth0")
    served.told("absent")


def director_ipv4():
    """IPv4."""
    comes_and_goes(4)


def director_ipv6():
    """IPv6."""
    comes_and_goes(6)


def shared_ipv4():
    """A node's, IPv4."""
    comes_and_goes(4, "shared")


def directed_ipv6():
    """A node's that is directed, IPv6."""
    comes_and_goes(6, "directed")


def vlan_ipv4():
    """A VLAN, IPv4."""
    comes_and_goes(4, kind="vlan id 7")


def vlan_ipv6():
    """A VLAN, IPv6."""
    comes_and_goes(6, kind="vlan id 7")


def vrf(version):
    """The loopback device is in no VRF, and counts."""
    served = Served(version, before=(f"link add {VRF} type vrf table 10", f"link set {VRF} up",
                                     f"link set eth0 master {VRF}"))
    served.told("absent")
    served.give("lo")
    served.told("elsewhere")
    served.give("eth0")
    served.told("device")
    served.take("lo")
    served.take("eth0")
    # Between the two it was on the device still.
    served.told("absent")


def vrf_ipv4():
    """IPv4."""
    vrf(4)


def vrf_ipv6():
    """IPv6."""
    vrf(6)


def routed(version):
    """A route of the type local does as well."""
    served = Served(version, "directed")
    served.told("absent")
    served.change(f"route add local {served.address} dev lo")
    equal("elsewhere", served.local(), "with a route")
    served.change(f"route del local {served.address} dev lo")
    equal("absent", served.local(), "without it")


def routed_ipv4():
    """IPv4."""
    routed(4)


def routed_ipv6():
    """IPv6."""
    routed(6)


def there_before(version):
    """It is there when it begins to be served, and roles change."""
    served = Served(version)
    served.told("absent")
    served.machine.ynl.do("cluster-del", name_of(version))
    equal("absent", next_event(served.events, "cluster-del-ntf")["local"], "at the end")
    served.give("eth0")
    for role in ("director", "standby", "directed", "shared", "standby"):
        served.set(role)
        served.told("device")
    served.take("eth0")
    served.told("absent")
    served.set("director")
    served.told("absent")
    served.give("eth0")
    served.told("device")


def there_before_ipv4():
    """IPv4."""
    there_before(4)


def there_before_ipv6():
    """IPv6."""
    there_before(6)


def down_ipv4():
    """An IPv4 address stays on a device that is down."""
    served = Served(4)
    served.told("absent")
    served.give("eth0")
    served.told("device")
    served.change("link set eth0 down", "link set eth0 up")
    served.take("eth0")
    served.told("absent")


def down_ipv6():
    """An IPv6 address does not, nor where IPv6 is off."""
    served = Served(6)
    served.told("absent")
    for off, on in (("link set eth0 down", "link set eth0 up"),
                    ("link set eth0 mtu 1000", "link set eth0 mtu 1500")):
        served.give("eth0")
        served.told("device")
        served.change(off)
        served.told("absent")
        served.change(on)
    served.give("eth0")
    served.told("device")
    served.machine.set("ipv6/conf/eth0/disable_ipv6", 1)
    served.told("absent")


def kept():
    """One that is kept while the device is down cannot be used until it is up."""
    served = Served(6)
    served.told("absent")
    served.machine.set("ipv6/conf/eth0/keep_addr_on_down", 1)
    served.give("eth0", "scope", "global")
    served.told("device")
    served.change("link set eth0 down")
    served.told("absent")
    served.change("link set eth0 up")
    served.told("device")


def probed():
    """It is told when it can be used, which may be long after it was given, also to another
    device."""
    served = Served(6)
    served.told("absent")
    # Without a carrier nobody is asked.
    served.change("link set eth0 down")
    ip_commands("link set port1 down")
    served.change("link set eth0 up")
    served.give("eth0", "scope", "global")
    equal("absent", served.local(), "while it is tentative")
    served.change("link add dummy0 type dummy", "link set dummy0 up")
    served.give("dummy0", "scope", "global")
    served.told("elsewhere")
    ip_commands("link set port1 up")
    served.told("device")


def duplicate():
    """One that is a duplicate is not there."""
    served = Served(6, "standby")
    served.told("absent")
    served.machine.ynl.do("cluster-del", name_of(6))
    next_event(served.events, "cluster-del-ntf")
    ip_commands(f"addr add {served.address} dev segment nodad")
    served.give("eth0", "scope", "global")
    wait_until(lambda: shows(served.machine, "dadfailed"), "the duplicate")
    served.set("director")
    served.told("absent")
    served.take("eth0")
    served.give("eth0")
    served.told("device")


def shows(machine, what):
    """What addresses a machine has of a kind."""
    with machine:
        return subprocess.run(["ip", "-6", "addr", "show", what], check=True, text=True,
                              capture_output=True).stdout


def device_goes(version):
    """The device goes with its address, which is told once; the address comes later."""
    served = Served(version)
    served.told("absent")
    served.give("eth0")
    served.told("device")
    served.change("link del eth0")
    served.told("absent", 0)
    served.give("lo")
    served.told("elsewhere", 0)
    served.take("lo")
    served.told("absent", 0)
    ip_commands(*served.machine.cable())
    served.machine.plug_in()
    served.told("absent")
    served.give("eth0")
    served.told("device")


def device_goes_ipv4():
    """IPv4."""
    device_goes(4)


def device_goes_ipv6():
    """IPv6."""
    device_goes(6)


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
            wait_until(lambda: not subprocess.run(["rmmod", "service_group"], check=False,
                                                  capture_output=True).returncode, "rmmod")
        finally:
            if not os.path.exists("/sys/module/service_group"):
                subprocess.run(["insmod", os.environ["SG_MODULE"]], check=True)
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
    sys.exit(run_tests("cluster_addresses", [
        director_ipv4, director_ipv6, shared_ipv4, directed_ipv6, vlan_ipv4, vlan_ipv6, vrf_ipv4,
        vrf_ipv6, routed_ipv4, routed_ipv6, there_before_ipv4, there_before_ipv6, down_ipv4,
        down_ipv6, kept, probed, duplicate, device_goes_ipv4, device_goes_ipv6,
        namespace_ends_ipv4, namespace_ends_ipv6, unloaded_ipv4, unloaded_ipv6,
    ]))
