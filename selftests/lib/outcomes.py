#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that do not stay with their home listener, one of each kind.

As a program: outcomes.py [--stay] NAME makes one in its network namespace, and
prints LOCAL PEER INODE INODE GROUP COOKIE COOKIE: both ends, and who the home
listener and its sibling are. With --stay it then stays until it is killed.
"""

import collections
import errno
import signal
import socket
import sys

from service_group import (PATIENCE, PORT, STALLED, configure, cookie_of, equal, form,
                           group_of, info, inode_of, listener_at, new_socket, wait_until)

# Milliseconds; a sibling that is only slow to accept is not to be found stalled too.
STALL = 500
# It is started often, see service_group.py.
# pylint: disable=import-outside-toplevel
SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27

# The home listener and its sibling, the client's socket, what else stays open; and,
# as sockets may end, the client's address and who the listener is.
Scene = collections.namedtuple("Scene", "home sibling client kept peer cookie inode")


def scene(home, sibling, client, *kept):
    """A scene whose client is bound, and whose home listener is open still."""
    peer = client.getsockname()[:2]
    return Scene(home, sibling, client, kept, peer, cookie_of(home), inode_of(home))


def address(family, host):
    """The host's address, and the one that its clients ask for."""
    if family == "ipv6":
        return f"fd00::{host}", f"fd00::{host}"
    asked = f"127.0.0.{host}"
    return (f"::ffff:{asked}", asked) if family == "mapped" else (asked, asked)


def pair(family="ipv4", backlogs=(0, 8)):
    """A group of two listeners."""
    if family == "ipv6":
        import subprocess
        for host in 1, 2:
            subprocess.run(["ip", "address", "replace", f"fd00::{host}/128", "dev", "lo", "nodad"],
                           check=True)
    sockets = [listener_at(address(family, host)[0], backlog)
               for host, backlog in zip((1, 2), backlogs)]
    form(sockets)
    # What waits stays, unless that is what it is about.
    configure(sockets[0], stall=0)
    return sockets


def connect(family="ipv4"):
    """A connection to the home listener's address."""
    return socket.create_connection((address(family, 1)[1], PORT), timeout=PATIENCE)


def start_connect(filtered=False):
    """A connection that nobody waits for; if filtered, it does not see the SYN-ACK."""
    client = new_socket()
    client.setblocking(False)
    if filtered:
        import ctypes
        # BPF_RET | BPF_K with 0: not a byte of the packet.
        code = (ctypes.c_uint64 * 1)(0x06)
        program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(code))
        client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(program))
    equal(errno.EINPROGRESS, client.connect_ex(("127.0.0.1", PORT)), "connect()")
    return client


def redirected(family="ipv4"):
    """A SYN that came for a full queue."""
    home, sibling = pair(family)
    first = connect(family)
    return scene(home, sibling, connect(family), first)


def handed():
    """A half-open request of a listener that was closed."""
    home, sibling = pair(backlogs=(8, 8))
    client = start_connect(filtered=True)
    wait_until(lambda: info(home)["half_open"] == 1, "a half-open request")
    made = scene(home, sibling, client)
    home.close()
    equal(1, info(sibling)["half_open"], "half-open requests of the sibling")
    return made


def rescued(family="ipv4"):
    """A connection that waited behind a hung worker."""
    home, sibling = pair(family, (8, 8))
    client = connect(family)
    configure(home, stall=STALL)
    served, _ = sibling.accept()
    # It is counted and told last.
    wait_until(lambda: info(home)["rescued_out"] == 1, "a rescued connection")
    return scene(home, sibling, client, served)


def dropped():
    """A SYN for which nobody had room."""
    home, sibling = pair(backlogs=(0, 0))
    others = [connect(), connect()]
    client = start_connect()
    wait_until(lambda: info(home)["dropped"] >= 1, "a dropped SYN")
    return scene(home, sibling, client, *others)


def reset():
    """The same, of a group that says so."""
    home, sibling = pair(backlogs=(0, 0))
    configure(home, when_full=1)
    others = [connect(), connect()]
    client = new_socket()
    client.bind(("127.0.0.1", 0))
    # It has no port any more when it is refused.
    made = scene(home, sibling, client, *others)
    equal(errno.ECONNREFUSED, client.connect_ex(("127.0.0.1", PORT)), "connect()")
    return made


def stalled():
    """A worker that is hung, alone in its group, and is back."""
    home = listener_at("127.0.0.1", 8)
    form([home])
    configure(home, stall=STALL)
    client = connect()
    wait_until(lambda: info(home)["state"] == STALLED, "a stalled member")
    served, _ = home.accept()
    return scene(home, home, client, served)


def main(arguments):
    """Makes one, as the command line says."""
    made = KINDS[arguments[-1]]()
    local, client = f"127.0.0.1:{PORT}", "{}:{}".format(*made.peer)
    print(local, client, made.inode, inode_of(made.sibling), group_of(made.sibling),
          made.cookie, cookie_of(made.sibling), flush=True)
    while arguments[0] == "--stay":
        signal.pause()


KINDS = {kind.__name__: kind for kind in (redirected, handed, rescued, dropped, reset, stalled)}

if __name__ == "__main__":
    main(sys.argv[1:])
