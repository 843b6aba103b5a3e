# SPDX-License-Identifier: GPL-2.0
"""The netlink family, through the kernel's own library and our spec.

The spec is read once, when this is imported, which is before a suite forks its tests: that takes
longer than most of them. KSRC is the kernel's source; its library is there, unless SG_PYYNL names
its folder or the selftests were built, beside which it is then.
"""

import copy
import errno
import os
import socket
import struct
import subprocess
import sys

from service_group import PATIENCE, checkout, equal

NOBODY = 65534
SPEC = f"{checkout()}/Documentation/netlink/specs/service_group.yaml"


def library():
    """The folder of the kernel's library."""
    given, source = os.environ.get("SG_PYYNL"), os.environ.get("KSRC")
    built = os.environ.get("SG_SELFTESTS_OUT") or f"{checkout()}/build/selftests"
    if not given and not source and os.path.exists(f"{built}/pyynl/lib"):
        given = f"{built}/pyynl"
    if not given and not source:
        source = subprocess.run([f"{checkout()}/qemu/kdir", "--source"], check=True,
                                capture_output=True, text=True).stdout.strip()
    return given or f"{source}/tools/net/ynl/pyynl"


sys.path.insert(0, library())
# pylint: disable=wrong-import-position
from lib import NlError, SpecFamily, YnlFamily  # noqa: E402

# What all families have in common; its form is checked where code is generated from it.
READ = SpecFamily(SPEC, "")


class ReadSpec(SpecFamily):
    """Takes the place of the class that reads the spec, for the one that is derived from it."""

    def __init__(self, *_, **__):  # pylint: disable=super-init-not-called
        self.__dict__.update(READ.__dict__)


class Family(YnlFamily, ReadSpec):
    """The kernel's class, which finds ReadSpec in place of its own base."""


def open_family(**options):
    """The family."""
    return Family(SPEC, **options)


def kernel_family(name):
    """One of the kernel's own families, by the kernel's spec: built beside the library, or in the source."""
    beside, below = f"{library()}/specs", "Documentation/netlink/specs"
    folder = beside if os.path.exists(beside) else f"{library()}/../../../../{below}"
    return YnlFamily(f"{folder}/{name}.yaml", schema="")


def forget_family():
    """Has the family looked up again, which has another number when the module was away."""
    sys.modules[YnlFamily.__module__].GenlProtocol.genl_family_name_to_id = {}


def another(ynl):
    """The same once more, for the namespace that the caller is in; the spec is not read again."""
    other = copy.copy(ynl)
    other.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ynl.nlproto.proto_num)
    level, capped, extended, strict = 270, 10, 11, 12
    for option in (capped, extended, strict):
        other.sock.setsockopt(level, option, 1)
    return other


def become_nobody(ynl):
    """From now on the process has no privilege, nor has the socket of its requests; the spec, which
    is read already, need not be readable for everybody."""
    os.setresuid(NOBODY, NOBODY, NOBODY)
    ynl.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)


def refused(error, function, *arguments):
    """Expects this error of a request; returns what the kernel says of it."""
    try:
        function(*arguments)
    except NlError as answer:
        equal(errno.errorcode[error], errno.errorcode[answer.error], f"error of {arguments}")
        return answer.nl_msg.extack or {}
    raise AssertionError(f"no {errno.errorcode[error]} of {arguments}")


def raw_request(ynl, command, payload):
    """Sends a request by hand; the error of the answer."""
    body = struct.pack("=BBH", command, 1, 0) + payload
    header = struct.pack("=IHHII", 16 + len(body), ynl.nlproto.family_id, 5, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as sock:
        sock.send(header + body)
        return struct.unpack_from("=i", sock.recv(8192), 16)[0]


def next_event(ynl, name):
    """The next notification, which must be this one."""
    for event in ynl.poll_ntf(duration=PATIENCE):
        equal(name, event["name"], "notification")
        return event["msg"]
    raise AssertionError(f"no {name}")


def members_of(ynl, group):
    """The members of a group by their cookies."""
    return {member["cookie"]: member for member in ynl.dump("member-get", {"group": group})}
