# SPDX-License-Identifier: GPL-2.0
"""Processes that end with this one: each is started in a group of its own, which is
ended as a whole, by a watchdog if the scheduler itself is killed."""

import asyncio
import os
import signal
import subprocess

# What make hands to its commands, and what its user meant for this run only.
NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR",
                 "NAME", "KERNEL", "KDIR", "SHUFFLE", "ROUNDS", "LOAD", "SECONDS_LONG")
GRACE = 20  # seconds between being asked to end and being killed
MOST_OF_A_LINE = 1 << 24


def environment(extra):
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return kept | {name: str(value) for name, value in extra.items()}


# It reads which groups there are, and ends them when nobody can write any more.
WATCHDOG = """
trap '' INT TERM HUP
while read -r what group; do
	if [ "$what" = begin ]; then groups[group]=$group; else unset "groups[group]"; fi
done
for group in "${groups[@]}"; do kill -TERM -- "-$group"; done 2>/dev/null
((${#groups[@]})) && sleep 5
for group in "${groups[@]}"; do kill -KILL -- "-$group"; done 2>/dev/null
"""
watchdog = None


def watch(what, group):
    global watchdog
    if watchdog is None:
        watchdog = subprocess.Popen(["bash", "-c", WATCHDOG], stdin=subprocess.PIPE, text=True,
                                    bufsize=1, start_new_session=True)
    watchdog.stdin.write(f"{what} {group}\n")


async def start(command, env, stdout, stderr):
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env=environment(env), stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        start_new_session=True, limit=MOST_OF_A_LINE)
    watch("begin", process.pid)
    return process


async def stop(process):
    """Ends the process and all of its group, whether it has ended itself or not."""
    if process.returncode is None:
        send(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except asyncio.TimeoutError:
            pass
    send(process, signal.SIGKILL)
    await process.wait()
    watch("end", process.pid)


def send(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


async def run_to_file(command, env, path, limit):
    """The exit status of a command whose output goes to a file; None if it was not done
    in time and was killed."""
    with open(path, "wb") as log:
        process = await start(command, env, log, log)
        try:
            return await asyncio.wait_for(process.wait(), limit)
        except asyncio.TimeoutError:
            return None
        finally:
            await stop(process)
