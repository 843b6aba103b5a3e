# SPDX-License-Identifier: GPL-2.0
"""Programs that are stopped at a moment that is told, for something else to happen then."""

import ctypes
import os
import signal
import struct
import subprocess
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, PTRACE_SYSCALL, PTRACE_SETOPTIONS, PTRACE_GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420e
PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL = 1, 1 << 20
SYSCALL_STOP = signal.SIGTRAP | 0x80
SYSCALL_ENTRY, SENDTO, RECVFROM = 1, 44, 45


class Call:
    """A system call, as it begins or has ended."""

    def __init__(self, info):
        self.is_entry = info[0] == SYSCALL_ENTRY
        if self.is_entry:
            self.number, *self.arguments = struct.unpack_from("=7Q", info, 24)
        else:
            self.number, self.result = None, struct.unpack_from("=q", info, 24)[0]


class Traced:
    """A program, which stops before it sends to the kernel."""

    def __init__(self, command):
        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        # A pipe would be full at some time, as nobody reads before the end.
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command, preexec_fn=lambda: LIBC.ptrace(PTRACE_TRACEME, 0, 0, 0),
            stdout=self.output, stderr=subprocess.STDOUT)
        self.signal, self.status = 0, None
        os.waitpid(self.process.pid, 0)
        self.ptrace(PTRACE_SETOPTIONS, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

    def ptrace(self, request, first, second):
        """Of this process."""
        arguments = [ctypes.c_void_p(first),
                     second if isinstance(second, ctypes.Array) else ctypes.c_void_p(second)]
        if LIBC.ptrace(request, self.process.pid, *arguments) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def call(self):
        """Goes on to where a system call begins or ends; which, or None at the program's end."""
        while True:
            self.ptrace(PTRACE_SYSCALL, 0, self.signal)
            _, status = os.waitpid(self.process.pid, 0)
            if not os.WIFSTOPPED(status):
                self.status = os.waitstatus_to_exitcode(status)
                return None
            self.signal = os.WSTOPSIG(status)
            if self.signal != SYSCALL_STOP:
                continue
            self.signal = 0
            info = ctypes.create_string_buffer(88)
            self.ptrace(PTRACE_GET_SYSCALL_INFO, len(info), info)
            return Call(info.raw)

    def sends(self):
        """Goes on; whether it is about to send, or has ended."""
        while (call := self.call()) is not None:
            if call.is_entry and call.number == SENDTO:
                return True
        return False

    def end(self):
        """Goes on to its end; what it has said."""
        while self.status is None:
            self.sends()
        return self.said()

    def said(self):
        """What it has said, when it has ended."""
        self.process.returncode = self.status
        with self.output:
            self.output.seek(0)
            return self.output.read()
