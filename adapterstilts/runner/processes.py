"""How processes of this machine are started, and how each begins."""

from __future__ import annotations

import os
import pickle
import signal
from multiprocessing import get_all_start_methods, get_context
from typing import Any

from adapterstilts.runner.site import Site

# Not forked from here: a fork would inherit the threads' locks and the device's state. Where it can be, each is
# forked from a server that has imported the slow libraries and done nothing else.
_METHOD = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
PROCESSES: Any = get_context(_METHOD)


def begin(site: bytes, device: str | None) -> Site:
    """Settle a process that was just started, and return its surroundings.

    Args:
        site: the surroundings, pickled.
        device: the one that it may use, by its name in ``CUDA_VISIBLE_DEVICES``; None for all.
    """
    # Requests to stop come from the coordinator, which alone is to hear the keyboard and the batch system.
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    opened: Site = pickle.loads(site)
    # The tokenizers' own threads.
    os.environ["RAYON_NUM_THREADS"] = str(opened.threads)
    return opened


def how_it_ended(code: int) -> str:
    """Return an exit code (negative: the signal) in words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended"
