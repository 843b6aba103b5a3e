#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tracepoints: what each tells as text, and the scripts of tools/bpftrace, which
need a kernel with BTF."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile

import outcomes
from service_group import (PORT, Skip, checkout, cookie_of, equal, expect,
                           group_of, run_tests, wait_until, write)

TRACING = "/sys/kernel/tracing"
# Seconds; bpftrace alone takes ten and more in an emulated machine.
LIMIT = 150


@contextlib.contextmanager
def recording():
    """Records our tracepoints, apart from whatever else is traced; gives the file."""
    if not os.path.isdir(f"{TRACING}/instances"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=True)
    folder = f"{TRACING}/instances/service_group_selftest"
    if os.path.isdir(folder):
        # Of a test that was killed.
        os.rmdir(folder)
    os.mkdir(folder)
    try:
        # The order of events of two processors: a kernel's clock may be too coarse to tell.
        write(f"{folder}/trace_clock", "counter")
        write(f"{folder}/events/service_group/enable", "1")
        yield f"{folder}/trace"
    finally:
        write(f"{folder}/events/service_group/enable", "0")
        os.rmdir(folder)


def events_in(file):
    """The name and the fields of each event of ours."""
    with open(file, encoding="ascii") as lines:
        return re.findall(r"\bservice_group_(\w+): (.*)", lines.read())


def recorded(last, make, *arguments):
    """Makes something, and tells what came of it and what the tracepoints wrote until
    the last event, which may come after what it is about is seen."""
    with recording() as file:
        scene = make(*arguments)
        wait_until(lambda: last in dict(events_in(file)), f"the event {last}")
        return scene, events_in(file)


def expect_decision(event, reason, scene, events, local=f"127.0.0.1:{PORT}"):
    """One event of this kind, with all that it tells."""
    host, port = scene.peer
    peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    taker = 0 if event == "drop" else cookie_of(scene.sibling)
    text = (f"group={group_of(scene.sibling)} reason={reason} local={local} peer={peer} "
            f"from={scene.cookie} to={taker}")
    # A SYN that was dropped comes again.
    told = {fields for name, fields in events if name == event}
    equal({text}, told, event)


def redirect():
    """Both families; an IPv6 socket's IPv4 connection is IPv4."""
    for family, local in (("ipv4", "127.0.0.1"), ("mapped", "127.0.0.1"), ("ipv6", "[fd00::1]")):
        scene, events = recorded("redirect", outcomes.redirected, family)
        equal(["redirect"], [name for name, _ in events], "events")
        expect_decision("redirect", "queue-full", scene, events, f"{local}:{PORT}")
        scene.home.close()
        scene.sibling.close()


def hand_over():
    """A half-open request of a listener that is closed."""
    scene, events = recorded("hand_over", outcomes.handed)
    equal(["hand_over"], [name for name, _ in events], "events")
    expect_decision("hand_over", "leaving", scene, events)


def rescue():
    """A connection that waits behind a hung worker."""
    scene, events = recorded("rescue", outcomes.rescued)
    equal(["stall_begin", "rescue"], [name for name, _ in events], "events")
    expect_decision("rescue", "stalled", scene, events)


def drop():
    """A SYN that is dropped, and one that is answered."""
    for make in outcomes.dropped, outcomes.reset:
        scene, events = recorded("drop", make)
        # The queues were filled before.
        equal({"redirect", "drop"}, {name for name, _ in events}, "events")
        expect_decision("drop", "full", scene, events)
        for sock in (scene.home, scene.sibling, scene.client, *scene.kept):
            sock.close()


def spilled():
    """A SYN for which nobody had room but another node of the cluster."""
    # It loads much that the others do not need.
    # pylint: disable=import-outside-toplevel
    from clusters import Directed
    from spill import TABLE, Service
    service = Service(Directed(4, table=TABLE, spill=1))
    client = service.fill()[-1]
    home, sibling = service.members[service.cluster.nodes[0]]
    return outcomes.scene(home, sibling, client, service)


def spill():
    """A SYN that another node was given, of either member: the client's port tells which."""
    scene, events = recorded("spill", spilled)
    host, port = scene.peer
    possible = {f"group={group_of(scene.home)} reason=full local=10.9.0.100:{PORT} "
                f"peer={host}:{port} from={cookie_of(sock)} to=0"
                for sock in (scene.home, scene.sibling)}
    # A SYN may come twice.
    told = {fields for name, fields in events if name == "spill"}
    expect(len(told) == 1 and told <= possible, f"{told}, not one of {possible}")


def stall():
    """The beginning and the end of one."""
    scene, events = recorded("stall_end", outcomes.stalled)
    who = f"group={group_of(scene.home)} member={scene.cookie}"
    equal([("stall_begin", f"{who} queued=1"), ("stall_end", f"{who} queued=0")], events, "events")


def run_script(script, kind, awaited):
    """Runs a script while something of this kind happens, until it has printed this;
    tells what happened and what was printed."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise Skip("the kernel has no BTF")
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/output"
        # It splits the command at spaces; what it prints goes to the file, which is
        # the script's alone.
        command = f"{sys.executable} {__file__} --make {kind} {output} {awaited}"
        done = subprocess.run(
            ["bpftrace", "-o", output, "-c", command, f"{checkout()}/tools/bpftrace/{script}.bt"],
            timeout=LIMIT, capture_output=True, text=True, check=False)
        with open(output, encoding="utf-8") as lines:
            printed = lines.read()
    expect(done.returncode == 0, f"bpftrace: {done.stdout}{done.stderr}{printed}")
    return json.loads(done.stdout), printed


def make_one(kind, output, awaited):
    """As run_script() has it run: makes something, and waits for what is printed."""
    scene = spilled() if kind == "spilled" else outcomes.KINDS[kind]()
    print(json.dumps({"group": group_of(scene.sibling), "home": scene.cookie,
                      "taker": cookie_of(scene.sibling)}), flush=True)

    def is_printed():
        with open(output, encoding="utf-8") as lines:
            return awaited in lines.read()

    wait_until(is_printed, f"{awaited} in the script's output")


def expect_lines(printed, *lines):
    """Expects each of these among the lines."""
    for line in lines:
        expect(line in printed.splitlines(), f"no {line!r} in {printed!r}")


def redirect_script():
    """Counts by reason each second, and by members at the end."""
    made, printed = run_script("redirect", "redirected", "@redirected[")
    expect_lines(printed, f"@redirected[{made['group']}, queue_full]: 1",
                 f"@from_to[{made['home']}, {made['taker']}]: 1")


def hand_over_script():
    """Counts by members each second, and by clients at the end."""
    made, printed = run_script("hand_over", "handed", "@handed[")
    key = f"{made['group']}, leaving, {made['home']}, {made['taker']}"
    expect_lines(printed, f"@handed[{key}]: 1", "@clients[127.0.0.1]: 1")


def rescue_script():
    """Counts by reason each second, and by members at the end."""
    made, printed = run_script("rescue", "rescued", "@rescued[")
    expect_lines(printed, f"@rescued[{made['group']}, stalled]: 1",
                 f"@from_to[{made['home']}, {made['taker']}]: 1")


def drop_script():
    """Counts by reason and by clients each second."""
    made, printed = run_script("drop", "reset", "@clients[")
    expect_lines(printed, f"@dropped[{made['group']}, full]: 1", "@clients[127.0.0.1]: 1")


def spill_script():
    """Counts by reason and by clients each second."""
    made, printed = run_script("spill", "spilled", "@clients[")
    for key in f"@spilled[{made['group']}, full]", "@clients[10.9.0.6]":
        expect(f"{key}: " in printed, f"no {key} in {printed!r}")


def stall_script():
    """Tells of each, and how long it took."""
    made, printed = run_script("stall", "stalled", "back,")
    who = f"group {made['group']}: member {made['home']}"
    told = [line.partition(" ")[2] for line in printed.splitlines() if who in line]
    equal([f"{who} is stalled, 1 wait", f"{who} is back, 0 wait"], told, "lines")
    expect_lines(printed, f"@stalled_ms[{made['group']}]:")
    expect("@since" not in printed, f"what is over is left: {printed!r}")
    counts = re.findall(r"^[\[(].*[\])]\s+(\d+) \|", printed, re.MULTILINE)
    equal(["1"], [count for count in counts if count != "0"], "stalls in the histogram")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make_one(*sys.argv[2:])
        sys.exit()
    sys.exit(run_tests("trace", [
        redirect, hand_over, rescue, drop, spill, stall, redirect_script, hand_over_script,
        rescue_script, drop_script, spill_script, stall_script,
    ]))
