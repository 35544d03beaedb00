"""What a figure depends on beside the code: processor, precision, libraries, and what else the machine was doing."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from adapterstilts.machine import auto_precision, cores, cpu_flags, cpu_name, versions

_PEERS = ("peft", "accelerate")
_SHAPE = (2048, 384, 1536)
_REPETITIONS = 7


def surroundings(threads: int) -> dict[str, Any]:
    """Return the facts that a table has to come with.

    Args:
        threads: of torch.
    """
    import torch

    torch.set_num_threads(threads)
    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
        "bf16": sorted(flag for flag in cpu_flags() if "bf16" in flag),
        "precision: auto": auto_precision("cpu"),
        "mkl": {name: value for name, value in os.environ.items() if name.startswith("MKL_")},
        "gflops": _products(),
        "versions": {**versions(), **{name: _version(name) for name in _PEERS}},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _products() -> dict[str, int]:
    """Return 1e9 operations a second of products: plain (by MKL, where torch has it), and laid out once."""
    import torch

    from adapterstilts.engine.linear import PLAIN, best_product

    rows, width, out = _SHAPE
    speeds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, matrix = torch.ones(rows, width, dtype=dtype), torch.ones(out, width, dtype=dtype)
        for product in (PLAIN, best_product(x.device, dtype)):
            arranged = product.arrange(matrix)
            seconds = _usual(lambda one=product, to=arranged, by=x: one.multiply(by, to, None))  # type: ignore[misc]
            name = f"{str(dtype).removeprefix('torch.')} {product.name}"
            speeds[name] = round(2 * rows * width * out / seconds / 1e9)
    return speeds


def _usual(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_REPETITIONS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds)
