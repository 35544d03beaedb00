"""How long the command line takes before it does anything.

    python -m benchmarks.startup [--rounds 5] [--out FILE.json]

``help_s``: ``adapterstilts --help``. ``plan_s``: ``adapterstilts recipe plan quickstart`` with an empty store.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from statistics import median

from benchmarks.command import Outcome, Setting, run
from benchmarks.turns import in_turns


def measure(setting: Setting) -> Outcome:
    """Return seconds of whole processes."""
    plan = ("recipe", "plan", "quickstart", "--store", str(setting.folder / "store"))
    commands = {"help_s": ("--help",), "plan_s": plan}
    for command in commands.values():
        _seconds(command)
    found = in_turns({name: partial(_seconds, one) for name, one in commands.items()}, setting.rounds)
    return Outcome({name: median(values) for name, values in found.items()}, found, "s")


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "adapterstilts", *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    return run("startup", __doc__, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
