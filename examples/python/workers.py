#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two listening sockets of one port become a group, which serves a connection.

workers.py [PORT]: without a port the kernel chooses one.
"""

import select
import socket
import struct
import sys

SO_SERVICE_GROUP = 0x5347
# struct service_group_request: size, flags, count, port, reserved
REQUEST = struct.Struct("=IIIHH")
# struct service_group_entry: fd, family, reserved, scope_id, reserved2, addr
ENTRY = struct.Struct("=iHHII16s")
# struct service_group_info: eight numbers, then six counters
INFO = struct.Struct("=8I6Q")


def bound(address, port):
    """A socket that others share the address and port with."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((address, port))
    return sock


def form_group(sockets):
    """The sockets are bound: the request says nothing of a port."""
    option = REQUEST.pack(REQUEST.size, 0, len(sockets), 0, 0)
    for sock in sockets:
        option += ENTRY.pack(sock.fileno(), 0, 0, 0, 0, b"")
    sockets[0].setsockopt(socket.SOL_IP, SO_SERVICE_GROUP, option)


def print_member(number, sock):
    info = INFO.unpack(sock.getsockopt(socket.SOL_IP, SO_SERVICE_GROUP, INFO.size))
    _, group, members, state, queued, _, backlog, *_ = info
    if number == 1:
        print(f"group {group}")
    print(f"member {number} of {members}: state {state}, {queued} of {backlog} queued")


def serve_once(sockets):
    """Connects to the group, and serves that by the socket that got it."""
    with socket.create_connection(sockets[0].getsockname()) as client:
        ready, _, _ = select.select(sockets, [], [])
        served, _ = ready[0].accept()
        with served:
            served.sendall(b"hello")
        print(f"member {sockets.index(ready[0]) + 1} said {client.recv(16).decode()}")


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    first = bound("127.0.0.1", port)
    sockets = [first, bound(*first.getsockname())]
    form_group(sockets)
    for number, sock in enumerate(sockets, 1):
        sock.listen(16)
        print_member(number, sock)
    serve_once(sockets)


if __name__ == "__main__":
    main()
