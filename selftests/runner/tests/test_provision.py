# SPDX-License-Identifier: GPL-2.0
"""qemu/provision stays with its kernel until the newest one is asked for, as tools/install does after an
upgrade of the host's kernel."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]

# The kernel's part of provision, with a mirror that has the kernels of $VERSIONS.
PART = r"""
. qemu/lib.bash; . qemu/steps.bash; . qemu/kernel.bash
HOST_KEYS=none SG_MIRROR=none SUITE=trixie
have() { local folder; folder=$(kernel_folder "$1") && whole "$folder"; }
apt() {
	local version
	[[ $3 == dumpavail ]] || return 0
	for version in $VERSIONS; do
		printf 'Package: %s\nVersion: %s-1\n\n' linux-source-7.3 "$version" \
			"linux-binary-unsigned-$version+deb13-amd64" "$version"
	done
}
download() { echo "$4" >>"$SG_CACHE/downloads"; }
unpack() { mkdir "$2/linux"; }
fetch_kernel; unpack_kernel
"""

FAKE_PROVISION = """#!/bin/bash
echo "$*" >>calls
[[ $* != --newest* ]] || mv newest kdir/include/config/kernel.release
"""


class Choice(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = Path(folder.name)
        (self.cache / "log").mkdir()

    def chosen(self, versions, newest=""):
        """The kernel that is chosen of these, and which ones were fetched until then."""
        env = {**os.environ, "SG_CACHE": str(self.cache), "VERSIONS": versions, "SG_NEWEST": newest}
        subprocess.run(["bash", "-c", PART], cwd=TOP, env=env, check=True, capture_output=True)
        return ((self.cache / "kernel").read_text().split()[0],
                (self.cache / "downloads").read_text().split())

    def test_it_stays_until_the_newest_one_is_asked_for(self):
        self.assertEqual(self.chosen("7.3.4"), ("7.3.4-1", ["7.3.4-1"]))
        self.assertEqual(self.chosen("7.3.4 7.3.5"), ("7.3.4-1", ["7.3.4-1"]))
        newer = ("7.3.5-1", ["7.3.4-1", "7.3.5-1"])
        self.assertEqual(self.chosen("7.3.4 7.3.5", newest="1"), newer)
        self.assertEqual(self.chosen("7.3.4 7.3.5", newest="1"), newer)
        # It goes back to one that it has.
        self.assertEqual(self.chosen("7.3.4", newest="1"), ("7.3.4-1", newer[1]))

    def test_what_is_there_is_chosen_again(self):
        self.chosen("7.3.4")
        (self.cache / "kernel").unlink()
        self.assertEqual(self.chosen("7.3.4"), ("7.3.4-1", ["7.3.4-1"]))

    def test_what_was_interrupted_goes_on(self):
        self.chosen("7.3.4")
        part = self.cache / "part-packages"
        part.mkdir()
        (part / "chosen").write_text("7.3 7.3.5+deb13-amd64 7.3.5-1\n")
        self.assertEqual(self.chosen("7.3.4 7.3.5"), ("7.3.4-1", ["7.3.4-1"]))
        self.assertEqual(self.chosen("7.3.4 7.3.5", newest="1")[0], "7.3.5-1")


class Install(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        for name in "tools", "qemu", "bin", "kdir/include/config":
            (self.top / name).mkdir(parents=True)
        shutil.copy(TOP / "tools/install", self.top / "tools")
        (self.top / "kdir/include/config/kernel.release").write_text("old\n")
        (self.top / "newest").write_text("new\n")
        for name, text in (("qemu/provision", FAKE_PROVISION), ("qemu/kdir", "#!/bin/sh\necho kdir\n"),
                           ("bin/make", '#!/bin/sh\necho "make $*" >>calls\n')):
            (self.top / name).write_text(text)
            (self.top / name).chmod(0o755)

    def install(self, release):
        """What is called for that, and what is told."""
        path = f"{self.top / 'bin'}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "RELEASE": release, "DESTDIR": str(self.top / "root")}
        env.pop("KDIR", None)
        # There is nothing to install.
        done = subprocess.run([self.top / "tools/install"], env=env, capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        return (self.top / "calls").read_text().splitlines(), done.stderr

    def test_the_kernel_that_is_there(self):
        calls, _ = self.install("old")
        self.assertEqual(calls[0], "stock")
        self.assertTrue(calls[1].startswith("make"), calls)

    def test_one_that_is_newer(self):
        calls, _ = self.install("new")
        self.assertEqual(calls[:2], ["stock", "--newest stock"])
        self.assertTrue(calls[2].startswith("make"), calls)

    def test_one_that_is_neither(self):
        calls, told = self.install("other")
        self.assertEqual(calls, ["stock", "--newest stock"])
        self.assertIn("upgrade to new", told)
