# SPDX-License-Identifier: GPL-2.0
"""tools/kernel-internals sees changes of the kernel, of the module, and of the list."""

import importlib.machinery
import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[3] / "tools/kernel-internals"

LIST = """
| what | here | follows | read in | if the kernel changes | noticed by |
|---|---|---|---|---|---|
| A queue is left. | `queue.c` `svcg_leave` | `net/queue.c` `leave`, `struct queue`, `MOST` | - | it breaks | \
text; build: `first`; load: `svcg_look`; test: `stall` |
"""
KERNEL = """
#define MOST \\
	(1 + 2)

struct queue {
	int first;
};

static int
leave(struct queue *queue)
{
	/* Nobody knows why. */
	return queue->first;
}

int leave_all(void)
{
	return 0;
}
"""
MODULE = """
/* As in leave(), which leave_all() calls. */
static_assert(__same_type(((struct queue *)0)->first, int));

int svcg_leave(void)
{
	return svcg_look();
}
"""


def load():
    loader = importlib.machinery.SourceFileLoader("kernel_internals", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


class Internals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = load()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.kernel = Path(folder.name) / "module", Path(folder.name) / "kernel"
        for path, text in {
                self.root / "docs/kernel-internals.md": LIST, self.root / "src/queue.c": MODULE,
                self.root / "selftests/jobs": "stall  - 1\n", self.kernel / "net/queue.c": KERNEL,
                self.kernel / "Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n"}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.check().record(["all"])

    def check(self):
        return self.tool.Check(self.kernel, self.root)

    def change(self, path, old, new):
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))

    def assert_says(self, *parts):
        errors = self.check().run()
        self.assertEqual(len(errors), 1, errors)
        for part in parts:
            self.assertIn(part, errors[0])

    def test_nothing_has_changed(self):
        self.assertEqual(self.check().run(), [])
        self.assertIn("| 7.3.4 |", (self.root / "docs/kernel-internals.md").read_text())

    def test_comments_and_white_space_do_not_count(self):
        self.change(self.kernel / "net/queue.c", "/* Nobody knows why. */", "// Now we do.\n")
        self.change(self.kernel / "net/queue.c", "return 0;", "return 1;")
        self.assertEqual(self.check().run(), [])

    def test_a_function_has_changed(self):
        self.change(self.kernel / "net/queue.c", "queue->first;", "queue->first + 1;")
        self.assert_says("leave of net/queue.c", "7.3.4", "svcg_leave (queue.c)", "--read 'leave'")

    def test_a_struct_has_changed(self):
        self.change(self.kernel / "net/queue.c", "int first;", "int first, last;")
        self.assert_says("struct queue")

    def test_a_macro_has_changed(self):
        self.change(self.kernel / "net/queue.c", "(1 + 2)", "(1 + 3)")
        self.assert_says("MOST")

    def test_a_function_has_gone(self):
        self.change(self.kernel / "net/queue.c", "\nleave(", "\nleft(")
        self.assert_says("no leave of net/queue.c", "svcg_leave")

    def test_what_was_read_again_is_recorded(self):
        self.change(self.kernel / "net/queue.c", "queue->first;", "queue->first + 1;")
        self.change(self.kernel / "net/queue.c", "int first;", "int first, last;")
        self.change(self.kernel / "Makefile", "SUBLEVEL = 4", "SUBLEVEL = 5")
        self.check().record(["leave"])
        self.assert_says("struct queue", "7.3.5")

    def test_our_function_has_gone(self):
        self.change(self.root / "src/queue.c", "svcg_leave(", "svcg_left(")
        self.assert_says("no svcg_leave in src/queue.c")

    def test_an_assertion_has_gone(self):
        self.change(self.root / "src/queue.c", "static_assert", "unused")
        self.assert_says("no build check names first")

    def test_a_load_check_has_gone(self):
        self.change(self.root / "src/queue.c", "svcg_look()", "0")
        self.assert_says("no load check names svcg_look")

    def test_an_assertion_is_in_no_row(self):
        self.change(self.root / "src/queue.c", "int svcg_leave", "static_assert(MOST == 3);\nint svcg_leave")
        self.assert_says("src/queue.c", "MOST == 3")

    def test_a_suite_has_gone(self):
        self.change(self.root / "selftests/jobs", "stall", "stalled")
        self.assert_says("no suite stall")

    def test_a_comment_names_nothing(self):
        self.change(self.root / "src/queue.c", "leave_all()", "leave_none()")
        self.assert_says("src/queue.c", "leave_none()")

    def test_a_comment_follows_what_is_not_listed(self):
        self.change(self.root / "src/queue.c", "As in leave()", "As in leave_all()")
        self.assert_says("follows leave_all()")
