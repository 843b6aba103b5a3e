# SPDX-License-Identifier: GPL-2.0
"""A program that meets a module which is older than itself: its messages are changed on their way, to
what they would be with that."""

import struct

from traced import RECVFROM, SENDTO, Traced

# What the older module does not have: an operation, attributes of cluster IPs (the generation that a
# change is made for, and where the address is), and one of the totals.
ROLE_SET, CLUSTER_COMMANDS, STATS_GET = 20, (15, 16, 17), 5
CLUSTER_ATTRIBUTES, TOTALS = (19, 20), (7,)
# Nobody has a number like that.
UNKNOWN_COMMAND, UNKNOWN_ATTRIBUTE = 255, 0x3ff0
# Of attributes; and the length of a message's two headers.
TYPE_MASK, HEADERS = 0x3fff, 20


class OlderModule(Traced):
    """The program. Requests for what the module does not have are refused as such by the kernel, and
    what it would not tell is not known to the program."""

    def __init__(self, command, family):
        super().__init__(command)
        self.family, self.memory = family, None

    def end(self):
        """Goes on to its end; what it has said."""
        with open(f"/proc/{self.process.pid}/mem", "r+b", buffering=0) as self.memory:
            begun = None
            while (call := self.call()) is not None:
                if call.is_entry and call.number == SENDTO:
                    self.change(call.arguments[1], call.arguments[2])
                elif begun and begun.number == RECVFROM and call.result > 0:
                    self.change(begun.arguments[1], call.result)
                begun = call if call.is_entry else None
        return self.said()

    def change(self, place, length):
        """Messages that are sent, or were received."""
        self.memory.seek(place)
        data = bytearray(self.memory.read(length))
        at = 0
        while at + HEADERS <= len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if kind == self.family:
                self.change_one(data, at, min(at + size, len(data)))
            at += max(size + 3 & ~3, HEADERS)
        self.memory.seek(place)
        self.memory.write(data)

    @staticmethod
    def change_one(data, begin, end):
        """A message of the family."""
        command = data[begin + 16]
        if command == ROLE_SET:
            data[begin + 16] = UNKNOWN_COMMAND
        unknown = {STATS_GET: TOTALS, **dict.fromkeys(CLUSTER_COMMANDS, CLUSTER_ATTRIBUTES)}
        at = begin + HEADERS
        while at + 4 <= end:
            size, kind = struct.unpack_from("=HH", data, at)
            if kind & TYPE_MASK in unknown.get(command, ()):
                struct.pack_into("=H", data, at + 2, UNKNOWN_ATTRIBUTE)
            at += max(size + 3 & ~3, 4)
