# SPDX-License-Identifier: GPL-2.0
"""Machines of a cluster: network namespaces on one segment, a bridge of the test's own namespace.

A machine has one device, eth0, with the address 10.9.0.N and fd09::N.
"""

import contextlib
import fcntl
import gzip
import ipaddress
import os
import socket
import struct
import subprocess

from service_group import AT_END, CLONE_NEWNET, PATIENCE, checkout, equal, expect, switch

SEGMENT = {4: "10.9.0.{}", 6: "fd09::{:x}"}
LENGTHS = {4: 24, 6: 64}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
SIOCGIFHWADDR = 0x8927
ETH_P_ARP = 0x0806
ARP_REPLY = b"\0\2"
NAMESPACE = "/proc/thread-self/ns/net"


def ip_commands(*lines):
    """Runs commands of ip, in one process."""
    text = "".join(f"{line}\n" for line in lines)
    # It may wait for ever for a program that keeps a device; our own output is not to wait for it.
    done = subprocess.run(["ip", "-batch", "-"], input=text, capture_output=True, text=True,
                          check=False)
    equal(0, done.returncode, f"status of ip: {done.stderr}")


class Machine:
    """A network namespace; `with` it, what is made is made there."""

    def __init__(self, number):
        self.number = number
        self.outside = os.open(NAMESPACE, os.O_RDONLY)
        os.unshare(CLONE_NEWNET)
        self.inside = os.open(NAMESPACE, os.O_RDONLY)
        switch("lo", True)
        os.setns(self.outside, CLONE_NEWNET)
        AT_END.append(self.gives_up_soon)

    def __enter__(self):
        os.setns(self.inside, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        os.setns(self.outside, CLONE_NEWNET)

    def gives_up_soon(self):
        """A connection whose program and peer are gone keeps the namespace, its cluster IPs, and with
        those the module, until the kernel gives up."""
        with contextlib.suppress(OSError):
            self.set("ipv4/tcp_orphan_retries", 1)

    def address(self, version):
        """Its own address."""
        return SEGMENT[version].format(self.number)

    def cable(self, kind=None, bridge="segment"):
        """The commands that connect it to the bridge."""
        return (f"link add port{self.number} type veth peer name {'low0' if kind else 'eth0'} "
                f"netns /proc/{os.getpid()}/fd/{self.inside}",
                f"link set port{self.number} master {bridge} up")

    def plug_in(self, kind=None, *more):
        """Has it use its device, one of that kind on the one that the cable is in, if one is
        given; and runs more commands there."""
        lower = ("link set low0 up", f"link add link low0 name eth0 type {kind}") if kind else ()
        if kind == "bridge":
            lower = ("link add eth0 type bridge", "link set low0 master eth0 up")
        with self:
            ip_commands(*lower, gives(f"{self.address(4)}/{LENGTHS[4]}", "eth0"),
                        gives(f"{self.address(6)}/{LENGTHS[6]}", "eth0"),
                        "link set eth0 up", *more)

    def device(self):
        """Index of its device."""
        with self:
            return socket.if_nametoindex("eth0")

    def mac(self):
        """The MAC address of its device."""
        with self, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            answer = fcntl.ioctl(sock, SIOCGIFHWADDR, struct.pack("=16s24x", b"eth0"))
        return answer[18:24].hex(":")

    def set(self, name, value):
        """Sets a sysctl."""
        with self, open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def is_patient(self):
        """It does not give up a neighbour that is held up for some seconds."""
        for family in "ipv4", "ipv6":
            self.set(f"{family}/neigh/eth0/mcast_solicit", PATIENCE)

    def asks(self, address, count):
        """The MAC addresses of the first answers when it asks for an IPv4 address."""
        own = bytes.fromhex(self.mac().replace(":", ""))
        request = struct.pack("!6s6sHHHBBH6s4s6s4s", b"\xff" * 6, own, ETH_P_ARP, 1, 0x0800, 6, 4,
                              1, own, socket.inet_aton(self.address(4)), bytes(6),
                              socket.inet_aton(address))
        answers = []
        with self, socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as sock:
            sock.bind(("eth0", ETH_P_ARP))
            sock.settimeout(PATIENCE)
            sock.send(request)
            while len(answers) < count:
                frame = sock.recv(100)
                if frame[20:22] == ARP_REPLY:
                    answers.append(frame[22:28].hex(":"))
        return answers

    def knows(self, address):
        """The MAC address that it knows for an address."""
        with self:
            words = subprocess.run(["ip", "neigh", "show", address], check=True, text=True,
                                   capture_output=True).stdout.split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None


def gives(address, device):
    """The line for ip that gives a device an address, which can be used at once."""
    return f"addr add {address} dev {device}{' nodad' if ':' in address else ''}"


def nft(machine, rules, needed=True):
    """Has a machine filter in that way; what is not needed the kernel may not have."""
    with machine:
        done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True,
                              check=False)
    expect(done.returncode == 0 or not needed, f"nft: {done.stderr}")


def snmp(machine, name):
    """A counter of the kernel's."""
    with machine:
        told = subprocess.run(["nstat", "-asz", name], capture_output=True, text=True,
                              check=True).stdout
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith(name))


def segment(count, kind=None, serves=None, address=None, first=1, host=None):
    """So many machines on a bridge, with numbers from the first on. Some of them have another
    address as well, which they do not tell. The bridge is the device of the machine `host`, if one
    is given."""
    machines = [Machine(number) for number in range(first, first + count)]
    name = "eth0" if host else "segment"
    cables = [line for machine in machines if machine.number != host
              for line in machine.cable(kind, name)]
    with machines[host - first] if host else contextlib.nullcontext():
        ip_commands(f"link add {name} type bridge mcast_snooping 0", f"link set {name} up", *cables)
    for machine in machines:
        own = [gives(address, "lo")] if machine.number <= (serves or 0) else []
        machine.plug_in(kind, *own)
    return machines


def lay_cable(one, other, *, by, addresses, peer=None, more=()):
    """Lays a cable between two machines, apart from the segment: the name and the address (with a
    length) of its device in each, and what the other one runs then."""
    with one:
        ip_commands(f"link add {by} type veth peer name {peer or by} "
                    f"netns /proc/{os.getpid()}/fd/{other.inside}",
                    gives(addresses[0], by), f"link set {by} up")
    with other:
        ip_commands(gives(addresses[1], peer or by), f"link set {peer or by} up", *more)


def bound(machine, kind, address, port):
    """A socket of the machine, bound there; a TCP one listens."""
    version = ipaddress.ip_address(address).version
    with machine:
        sock = socket.socket(FAMILIES[version], kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
    sock.settimeout(PATIENCE)
    return sock


def pin():
    """From now on one processor sends all, which so stays in its order."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def has_arp_hooks():
    """Whether the kernel shows ARP packets to netfilter; those of distributions do."""
    try:
        with gzip.open("/proc/config.gz", "rt") as file:
            return "CONFIG_NETFILTER_FAMILY_ARP=y\n" in file.read()
    except FileNotFoundError:
        return True


def oracle():
    """The hashes once more, in Python."""
    names = {}
    path = f"{checkout()}/tools/logic/oracle/cluster_hash.py"
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), names)  # pylint: disable=exec-used
    return names["value"]
