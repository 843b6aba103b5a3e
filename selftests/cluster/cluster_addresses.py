#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Addresses of cluster IPs come to a machine and go, and that is told."""

import subprocess
import sys

from clusters import VRF, name_of
from family import next_event
from machines import ip_commands
from served import Served
from service_group import equal, run_tests, wait_until

# Others than the cluster IPs.
OTHER = {4: "10.9.0.77/32", 6: "fd09::77/128"}


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


if __name__ == "__main__":
    sys.exit(run_tests("cluster_addresses", [
        director_ipv4, director_ipv6, shared_ipv4, directed_ipv6, vlan_ipv4, vlan_ipv6, vrf_ipv4,
        vrf_ipv6, routed_ipv4, routed_ipv6, there_before_ipv4, there_before_ipv6, down_ipv4,
        down_ipv6, kept, probed, duplicate, device_goes_ipv4, device_goes_ipv6,
    ]))
