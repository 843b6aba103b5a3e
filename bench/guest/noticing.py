# SPDX-License-Identifier: GPL-2.0
"""What notices for `failover` that a node is dead, and gives its share to others."""

import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

from nodes import ADDRESS, ClusterIp, all_linked, run
from clusters import MAC, PORT
from rubbish import checksum
from service_group import die_with_parent, start

TABLE = ("iptables", "-w", "-t", "mangle")
# Seconds between two checks of those that are as fast as links; a node is dead after three of them.
FAST, MOST = 0.1, 3


class Links:
    """The module, with links."""

    is_directed = False
    # Seconds between two checks.
    period = FAST

    def __init__(self, segment):
        self.cluster = ClusterIp(segment, self.is_directed)
        self.machines = segment.nodes + segment.directors[:1] * self.is_directed

    @staticmethod
    def fits(*_):
        """Whether so many nodes, and this event, are measured."""
        return True

    def begin(self):
        """All machines."""
        self.cluster.begin()
        all_linked(self.machines, encrypt=True)

    def end(self):
        """Nothing is left."""
        for machine in self.machines:
            machine.ynl.do("machine-del", {})
        self.cluster.end()


class Directed(Links):
    """In directed mode."""

    is_directed = True


class Keepalived:
    """keepalived on the director, which checks nodes, and has IPVS know those that are there."""

    # Its own timers: a check a minute, which may take 5 seconds and is repeated once, a second later.
    timers = ""
    # Checks begin at random moments.
    period = 0

    def __init__(self, segment):
        self.segment, self.director = segment, segment.directors[0]
        self.folder = tempfile.TemporaryDirectory(dir="/run")
        self.process = None

    @staticmethod
    def fits(_, event):
        """What it does when it is wrong does not depend on its timers."""
        return event == "dead"

    def config(self):
        """Its file."""
        nodes = "".join(f"real_server {machine.address(4)} {PORT} {{ TCP_CHECK {{ }} }}\n"
                        for machine in self.segment.nodes).replace("{ ", "{\n").replace(" }", "\n}")
        return (f"virtual_server {ADDRESS} {PORT} {{\nprotocol TCP\nlvs_method DR\nlvs_sched rr\n"
                f"{self.timers}\n{nodes}}}\n")

    def begin(self):
        """Starts it, and waits until IPVS has all nodes."""
        path = self.folder.name
        with open(f"{path}/conf", "w", encoding="ascii") as file:
            file.write(self.config())
        os.chmod(f"{path}/conf", 0o600)
        # Connections of a node that is not there any more begin anew with another one.
        self.director.set("ipv4/vs/expire_nodest_conn", 1)
        with self.director:
            run("ipvsadm", "-C")
            with open(f"{path}/log", "w", encoding="ascii") as log:
                self.process = start(
                    ["keepalived", "--dont-fork", "--log-console", "--check",
                     f"--use-file={path}/conf", f"--pid={path}/pid", f"--vrrp_pid={path}/vrrp",
                     f"--checkers_pid={path}/checkers", f"--bfd_pid={path}/bfd"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 30
        while self.known() < len(self.segment.nodes):
            if time.monotonic() > end:
                with open(f"{path}/log", encoding="ascii") as log:
                    raise AssertionError(log.read())
            time.sleep(0.05)
        self.segment.told(self.director.mac())

    def known(self):
        """How many nodes IPVS has."""
        with self.director:
            listed = subprocess.run(["ipvsadm", "-Ln"], check=True, text=True,
                                    capture_output=True).stdout
        return listed.count("->") - 1

    def end(self):
        """Nothing is left."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()
        with self.director:
            run("ipvsadm", "-C")
        self.folder.cleanup()


class FastKeepalived(Keepalived):
    """The same with short timers."""

    timers = (f"delay_loop {FAST}\nconnect_timeout {FAST}\nretry {MOST - 1}\n"
              f"delay_before_retry {FAST}\nwarmup {FAST}")
    period = FAST

    @staticmethod
    def fits(*_):
        """All are measured."""
        return True


class Match:
    """iptables' match on all nodes, and a script on each."""

    period = FAST
    fits = Links.fits

    def __init__(self, segment):
        self.segment = segment
        self.scripts = []

    def take(self, place):
        """A node takes this share. iptables 1.8.11 takes no mask of more than five nodes, so that each share
        has a rule of its own."""
        run(*TABLE, "-I", "PREROUTING", "-d", ADDRESS, "-m", "cluster", "--cluster-total-nodes",
            str(len(self.segment.nodes)), "--cluster-local-node", str(place + 1),
            "--cluster-hash-seed", "0xdeadbeef", "-j", "ACCEPT")

    def begin(self):
        """All nodes."""
        self.segment.told(MAC.hex(":"))
        nodes = self.segment.nodes
        for place, machine in enumerate(nodes):
            with machine:
                run(*TABLE, "-F", "PREROUTING")
                run(*TABLE, "-A", "PREROUTING", "-d", ADDRESS, "-j", "DROP")
                self.take(place)
        for place, machine in enumerate(nodes):
            script = os.fork()
            if not script:
                die_with_parent()
                self.ping(machine, place)
                os._exit(0)
            self.scripts.append(script)

    def ping(self, machine, place):
        """The script on a node."""
        before = (place - 1) % len(self.segment.nodes)
        with machine, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.connect((self.segment.nodes[before].address(4), 0))
            missed = 0
            while missed < MOST:
                missed = 0 if is_answered(sock, place) else missed + 1
            self.take(before)

    def end(self):
        """Nothing is left."""
        for script in self.scripts:
            os.kill(script, signal.SIGKILL)
            os.waitpid(script, 0)
        for machine in self.segment.nodes:
            with machine:
                run(*TABLE, "-F", "PREROUTING")


def is_answered(sock, place):
    """Pings, and waits until the next ping is due."""
    echo = struct.pack("!BBHHH", 8, 0, 0, place, 1)
    sock.send(echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:])
    end, found = time.monotonic() + FAST, False
    while (left := end - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            # The type of the message behind the IP header, and its identifier.
            reply = sock.recv(100)
            found |= (reply[20], reply[25]) == (0, place)
    return found


SYSTEMS = {"directed": Directed, "shared": Links, "default": Keepalived, "fast": FastKeepalived,
           "cluster": Match}
