#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Programs that are reloaded, or started again, while clients come: none is reset, none has to ask
twice, and what listens afterwards is the group that was attached before."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from service_group import (PATIENCE, PORT, SGCTL, equal, expect, new_socket,
                           run_tests, start, wait_until)

ADDRESS = ("127.0.0.1", PORT)
CLIENTS = 6
LISTEN = "0A"
# Where struct tcp_info has tcpi_total_retrans, and tcpi_dsack_dups.
RETRANSMITTED_AT, DUPLICATES_AT = 100, 216

NGINX = """
worker_processes {count};
daemon off;
user root;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:8080 reuseport backlog=16;
        location / {{ return 200 "served"; }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 100
    nbthread 4
defaults
    mode http
    timeout client 60s
    timeout connect 60s
    timeout server 60s
frontend shop
    bind 127.0.0.1:8080 shards {count} backlog 16
    http-request return status 200 content-type text/plain string served
"""


def listening():
    """The inodes of the sockets that listen at the port."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {int(row[9]) for row in rows if row[3] == LISTEN and row[1].endswith(f":{PORT:04X}")}


def sgctl(*words):
    """What the tool prints."""
    done = subprocess.run([SGCTL, *words], capture_output=True, text=True, check=False)
    equal(0, done.returncode, f"{words}: {done.stdout} {done.stderr}")
    return done.stdout


def the_group():
    """The only group."""
    groups = json.loads(sgctl("show", "--json"))
    equal(1, len(groups), f"groups: {groups}")
    return groups[0]


def members():
    """The inodes of its members that listen, and are not about to go."""
    told = the_group()["members"]
    return {member["inode"] for member in told if member["state"] in ("listening", "stalled")}


def complete(count):
    """Whether so many sockets listen, all of them members."""
    sockets = listening()
    return len(sockets) == count and sockets == members() and sockets == listening()


class Clients:
    """They come one after the other until they are stopped."""

    def __init__(self):
        self.stopped = threading.Event()
        self.served = self.late = 0
        self.errors = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.come) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def come(self):
        """What a client does."""
        while not self.stopped.is_set():
            late, error = 0, None
            try:
                late = self.visit()
            except OSError as problem:
                error = repr(problem)
            with self.lock:
                self.served += error is None
                self.late += late
                self.errors += [error] if error else []

    @staticmethod
    def visit():
        """Asks, and is answered; how many packets had to be sent again. What the other end had
        already does not count: on a busy machine an ACK may come late."""
        with new_socket() as sock:
            sock.settimeout(PATIENCE)
            sock.connect(ADDRESS)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while data := sock.recv(4096):
                answer += data
            if not answer.endswith(b"served"):
                raise OSError(f"answered {answer!r}")
            about = sock.getsockopt(socket.SOL_TCP, socket.TCP_INFO, DUPLICATES_AT + 4)
            again, needless = (struct.unpack_from("=I", about, place)[0]
                               for place in (RETRANSMITTED_AT, DUPLICATES_AT))
            return again - needless

    def more(self):
        """Waits until some more were served."""
        wanted = self.served + 4 * CLIENTS
        wait_until(lambda: self.served >= wanted or self.errors, "clients are served")

    def check(self):
        """No client was lost, and none had to ask twice."""
        equal([], self.errors, f"errors beside {self.served} that were served")
        equal(0, self.late, f"packets sent again for {self.served} clients")


def written(text, count):
    """The folder of a configuration for so many listeners."""
    folder = tempfile.gettempdir()
    with open(f"{folder}/new", "w", encoding="ascii") as file:
        file.write(text.format(count=count, folder=folder))
    os.rename(f"{folder}/new", f"{folder}/conf")
    return folder


@contextlib.contextmanager
def nginx(count):
    """nginx with so many workers, which listen; its process."""
    folder = written(NGINX, count)
    # Workers live on without their master.
    master = start(["nginx", "-p", folder, "-c", f"{folder}/conf"], stderr=subprocess.DEVNULL,
                   process_group=0)
    try:
        wait_until(lambda: len(listening()) == count, "nginx listens")
        yield master
    finally:
        stop(master, signal.SIGKILL)


def stop(master, sig):
    """Sends the signal to all processes of nginx, and waits until nobody listens."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(master.pid, sig)
    master.wait(PATIENCE)
    wait_until(lambda: not listening(), "nobody listens")


def haproxy(count, *words):
    """haproxy with so many listeners."""
    folder = written(HAPROXY, count)
    return start(["haproxy", "-db", "-q", "-f", f"{folder}/conf", *words],
                 stderr=subprocess.DEVNULL)


def attach():
    """The group of what listens, which adopts."""
    sgctl("attach", "--port", str(PORT))
    group = the_group()
    expect(group["adopt_ms"] > 0, f"it does not adopt: {group}")
    return group["id"]


# The tests.


def nginx_reload():
    """With another number of workers each time, and checks of the configuration in between."""
    with nginx(4) as master:
        group = attach()
        with Clients() as clients:
            for count in 2, 5, 3, 6, 4:
                clients.more()
                folder = written(NGINX, count)
                check = ["nginx", "-t", "-q", "-p", folder, "-c", f"{folder}/conf"]
                equal(0, subprocess.run(check, check=False).returncode, "nginx -t")
                master.send_signal(signal.SIGHUP)
                wait_until(lambda count=count: complete(count), f"{count} listeners are the group")
            clients.more()
        clients.check()
        told = the_group()
        equal((group, 4), (told["id"], len(told["members"])), "the group afterwards")
        equal((6, 0), (told["adopted"], told["not_adopted"]), "adopted, and not")


def haproxy_reload():
    """A process takes over from another one, with listeners of its own."""
    process = haproxy(2)
    wait_until(lambda: len(listening()) == 2, "haproxy listens")
    group = attach()
    with Clients() as clients:
        for count in 2, 3, 1, 2:
            clients.more()
            old, process = process, haproxy(count, "-sf", str(process.pid))
            equal(0, old.wait(PATIENCE), "the old process ends")
            wait_until(lambda count=count: complete(count), f"{count} listeners are the group")
        clients.more()
    clients.check()
    told = the_group()
    equal((group, 2), (told["id"], len(told["members"])), "the group afterwards")
    equal((8, 0), (told["adopted"], told["not_adopted"]), "who was adopted, and who was not")


def killed_and_started_again():
    """As systemd does it: meanwhile nobody listens."""
    group = None
    for sig in None, signal.SIGTERM, signal.SIGKILL:
        with nginx(3) as master:
            if not group:
                group = attach()
                sgctl("set", "--group", str(group), "--policy", "balance")
            wait_until(lambda: complete(3), "all are members")
            told = the_group()
            equal((group, "balance"), (told["id"], told["policy"]), "the group")
            equal(0, Clients.visit(), "packets sent again")
            stop(master, sig or signal.SIGTERM)
            wait_until(lambda: not the_group()["members"], "the group waits")
            expect("It waits" in sgctl("show"), "that it waits is not told")


def without_adopting():
    """A new program is a stranger."""
    with nginx(2) as master:
        sgctl("attach", "--port", str(PORT), "--adopt", "off")
        written(NGINX, 3)
        master.send_signal(signal.SIGHUP)
        wait_until(lambda: len(listening()) == 3, "there is one more")
        equal(2, len(the_group()["members"]), "members")


def another_user():
    """An administrator that starts the program as another user is told why it is in no group."""
    with nginx(2) as master:
        group = attach()
        stop(master, signal.SIGTERM)
    wait_until(lambda: not the_group()["members"], "the group waits")
    watcher = start([SGCTL, "monitor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    expect("listening" in watcher.stderr.readline(), "monitor listens")
    program = ("import os, socket, sys; os.setresuid(1001, 1001, 1001); "
               f"s = socket.socket(); s.bind({ADDRESS}); s.listen(8); sys.stdin.read()")
    # Another user's program is not killed with this one, but reads the end of the pipe.
    start([sys.executable, "-SIc", program], stdin=subprocess.PIPE)
    line = watcher.stdout.readline()
    expect(f"group {group} changed" in line and "not adopted" in line and "EPERM" in line, line)
    told = the_group()
    equal((1, []), (told["not_adopted"], told["members"]), "who was not adopted")
    expect("EPERM" in told["not_adopted_reason"], told["not_adopted_reason"])


if __name__ == "__main__":
    sys.exit(run_tests("sgctl_reload", [
        nginx_reload, haproxy_reload, killed_and_started_again, without_adopting, another_user,
    ]))
