# SPDX-License-Identifier: GPL-2.0
"""One machine that serves a cluster IP, whose address comes to the machine and goes."""

from clusters import CLUSTER, LENGTH, config, name_of, open_family_on
from family import another, next_event
from machines import ip_commands, segment
from service_group import equal


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
