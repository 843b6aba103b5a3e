# SPDX-License-Identifier: GPL-2.0
"""How much the targets of make ask of the suites and jobs that can do more or less.

Each value can be set in the environment: SG_STRESS_DEBUG, SG_MODEL_STOCK, and so on for
those on a kernel, else by its own name.
"""

import os

# By variable, then by target; `test` is meant where a target says nothing.
ON_KERNEL = {
    ("SG_STRESS_OPS", "SG_STRESS"): {
        "stock": {"test": 20_000, "long": 1_000_000, "repeat": 5_000},
        "debug": {"test": 100_000, "long": 1_000_000},
        "debug-qemu": {"test": 2_000},
    },
    ("SG_MODEL_STEPS", "SG_MODEL"): {
        "stock": {"test": 2_000, "long": 20_000},
        "debug": {"test": 2_000, "long": 20_000},
        "debug-qemu": {"test": 200},
    },
}
EVERYWHERE = {
    "SG_FUZZ_SECONDS": {"test": 10, "check": 2, "long": 300},
    "SG_CHAOS_EVENTS": {"long": 200},
    "SG_PACKETS": {"long": 10_000},
    "SG_HOSTILE_CONNECTIONS": {"long": 3_000},
}
# Seconds after which a job hangs.
LIMIT = {"test": 1800, "long": 4 * 3600}


def kernel_settings(target, environ=os.environ):
    """The variables for each kernel."""
    found = {}
    for (variable, prefix), kernels in ON_KERNEL.items():
        for kernel, values in kernels.items():
            own = f"{prefix}_{kernel.upper().replace('-', '_')}"
            value = environ.get(own) or values.get(target, values["test"])
            found.setdefault(kernel, {})[variable] = value
    return found


def settings(target, environ=os.environ):
    found = {}
    for variable, values in EVERYWHERE.items():
        value = environ.get(variable) or values.get(target, values.get("test"))
        if value:
            found[variable] = value
    return found


def limit(target, environ=os.environ):
    return int(environ.get("SG_SUITE_SECONDS") or LIMIT.get(target, LIMIT["test"]))


def grace(environ=os.environ):
    return int(environ.get("SG_SUITE_GRACE") or 90)
