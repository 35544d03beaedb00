"""Named points at which a test can kill the process.

Resuming is only proved by dying. The variable ``ADAPTERSTILTS_KILL_AT=point:n`` makes the process kill
itself, as ``kill -9`` would, when it reaches `point` for the n-th time. Without the variable a point costs
one dictionary look-up.

Points: ``optimiser_step``, ``checkpoint_write`` (half of the checkpoint is on disk), ``before_rename``,
``after_rename``, ``evaluation``, ``cache_write`` (a part of an entry is on disk); of a study ``trial_asked``,
``trial_planned``, ``trial_tell``, ``trial_told``.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "ADAPTERSTILTS_KILL_AT"
_reached: Counter[str] = Counter()


def reach(point: str) -> None:
    """Say that `point` is reached; dies here when a test asked for it."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    _reached[point] += 1
    if wanted == f"{point}:{_reached[point]}":
        # SIGKILL does not exist on Windows; SIGTERM ends a process there just as hard.
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
