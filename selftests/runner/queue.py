# SPDX-License-Identifier: GPL-2.0
"""The suites that wait for a guest, as files that guests take.

The folder lies below build/, which each guest sees. A guest takes a suite by moving
its file, named RANK:SUITE:SEED, from `waiting` to a folder of its own: the move is
atomic on the host, and of two guests one fails. So it does not matter that a guest
in the emulator keeps what it has read of the folder (9p, cache=loose): it lists the
folder anew each time, and a file that is no longer there cannot be moved. Files are
empty, so that nothing stale can be read. The guest's half is lib/queue.bash.
"""

import shutil
from pathlib import Path


class Queue:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.jobs = {}  # by the file's name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.waiting.mkdir(parents=True)

    @property
    def waiting(self):
        return self.folder / "waiting"

    def add(self, job, rank):
        entry = f"{rank:05d}:{job.suite}:{job.seed}"
        self.jobs[entry] = job
        (self.waiting / entry).touch()

    def left(self):
        """The jobs that nobody has taken."""
        return [self.jobs[path.name] for path in sorted(self.waiting.iterdir())]

    def guest_folder(self, guest):
        folder = self.folder / guest
        folder.mkdir()
        return folder

    def taken(self, guest):
        """The entries that a guest has taken, whether it ran them or not."""
        return sorted(path.name for path in (self.folder / guest).iterdir())

    def take_all(self):
        """Takes what is left, so that no guest does."""
        taken = []
        folder = self.guest_folder(f"host-{len(list(self.folder.iterdir()))}")
        for path in sorted(self.waiting.iterdir()):
            try:
                path.rename(folder / path.name)
                taken.append(self.jobs[path.name])
            except FileNotFoundError:  # a guest was faster
                pass
        return taken
