"""What this machine is, found out without importing torch: device, precision, threads, versions."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapterstilts.errors import EnvironmentFault, Fault, UsageError

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4

# oneDNN reads it when it computes for the first time.
_KERNELS_KEPT = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
KERNELS_KEPT = 256
"""Compiled kernels that oneDNN keeps in this process, unless the environment has another number."""

_PACKAGES = ("adapterstilts", "torch", "adapters", "transformers", "tokenizers", "numpy")
# What a backbone in 8 or 4 bits needs.
QUANTIZING = ("bitsandbytes", "accelerate")
# Where Linux says what a container may use, in versions 2 and 1 of its control groups.
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_PATIENCE = 20.0
# CPU features with native bf16 matrix products; elsewhere bf16 is emulated and slower than fp32.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def find_device(wanted: str = "auto") -> str:
    """Return ``cpu`` or ``cuda``.

    Raises:
        UsageError: for a name that is neither, nor ``auto``.
        EnvironmentFault: when CUDA is asked for and no device is visible.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(Fault("--device", f"{wanted!r} is not a device", "use auto, cpu or cuda"))
    visible = has_cuda()
    if wanted == "cuda" and not visible:
        raise EnvironmentFault(
            Fault("--device cuda", "no CUDA device is visible", "use --device cpu, or see `doctor`")
        )
    return "cuda" if visible and wanted != "cpu" else "cpu"


@dataclass(frozen=True)
class Devices:
    """What computes.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        names: of the devices, where they were named one by one: by them ``CUDA_VISIBLE_DEVICES`` chooses; on a CPU
            they only say how many processes there are.
    """

    kind: str
    names: tuple[str, ...] = ()


def find_devices(wanted: str = "auto") -> Devices:
    """Return what ``auto``, ``cpu``, ``cuda``, or a list as ``cuda:0,1`` or ``cpu:0,1`` means here.

    Raises:
        UsageError: for anything else, and for a device that is named twice.
        EnvironmentFault: when CUDA is asked for and not all that was named is visible.
    """
    kind, colon, numbers = wanted.partition(":")
    if not colon:
        return Devices(find_device(wanted))
    if kind not in ("cpu", "cuda") or not re.fullmatch(r"[0-9]+(,[0-9]+)*", numbers):
        raise UsageError(Fault("--device", f"{wanted!r} names no devices", "write cuda:0,1 or cpu:0,1"))
    find_device(kind)
    names = numbers.split(",")
    if len({int(name) for name in names}) < len(names):
        raise UsageError(Fault("--device", f"{wanted!r} names a device twice", "name each of them once"))
    return Devices(kind, tuple(names) if kind == "cpu" else _visible(wanted, [int(name) for name in names]))


def _visible(wanted: str, numbers: list[int]) -> tuple[str, ...]:
    there = cuda_devices()
    absent = [str(number) for number in numbers if number >= len(there)]
    if absent:
        what = f"no CUDA device {', '.join(absent)}: {len(there)} visible, numbered from 0"
        raise EnvironmentFault(Fault(f"--device {wanted}", what, "name others, or see CUDA_VISIBLE_DEVICES"))
    return tuple(there[number] for number in numbers)


def has_cuda() -> bool:
    """Whether torch was built for CUDA and the driver shows a device."""
    try:
        built = "+cpu" not in importlib.metadata.version("torch") and sys.platform == "linux"
    except importlib.metadata.PackageNotFoundError:
        return False
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
    return built and not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


def cuda_devices() -> list[str]:
    """Return the names by which ``CUDA_VISIBLE_DEVICES`` can choose among the devices that this process may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def device_memory(device: str) -> int | None:
    """Return the bytes that a process may use at most, of the smallest device that it may use; None where unknown.

    Args:
        device: ``cpu`` for the machine's own memory, or what a container is given of it; ``cuda``.
    """
    return _cuda_memory() if device == "cuda" else _own_memory()


def _own_memory() -> int | None:
    known = [_number_in(path) for path in _CGROUP_LIMITS]
    with contextlib.suppress(OSError, ValueError, AttributeError):  # not every system tells it
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((number for number in known if number is not None), default=None)


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # no such limit; version 2 then says "max"


def _cuda_memory() -> int | None:
    """Ask the driver's own tool, as torch is not there yet."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        told = subprocess.run(
            [*command, *(["--id", chosen] if chosen else [])],
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE,
        )
        return min(int(line) << 20 for line in told.stdout.split("\n") if line.strip())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def auto_precision(device: str) -> str:
    """Return what ``precision: auto`` means: ``bf16`` where the device computes it natively, else ``fp32``."""
    return "bf16" if device == "cuda" or cpu_flags() & _BF16_FLAGS else "fp32"


def quantization_fault(quantize: str, device: str) -> Fault | None:
    """Return why a quantised backbone cannot be had here; None where it can.

    Args:
        quantize: ``none``, ``8bit`` or ``4bit``.
        device: ``cpu`` or ``cuda``.
    """
    if quantize == "none":
        return None
    where = f"backbone.quantize: {quantize}"
    if quantize == "4bit" and device == "cpu":
        what = "in 4 bits a CPU can train, but not be switched from evaluation back to training"
        return Fault(where, what, "use 8bit on a CPU, or a GPU")
    absent = [name for name in QUANTIZING if importlib.util.find_spec(name) is None]
    if absent:
        what = f"{' and '.join(absent)} is missing"
        return Fault(where, what, "pip install 'adapterstilts[quantize]'")
    return None


@functools.cache
def cpu_flags() -> frozenset[str]:
    """Return the CPU's feature flags; empty where the system does not list them."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return frozenset()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def cpu_name() -> str:
    """Return the CPU's model name."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def reuse_freed_memory() -> None:
    """Keep freed memory in the process, where the C library can be told to (glibc).

    A whole model's gradient of the word embeddings is hundreds of megabytes a step. Fetched from the system anew each
    time it costs more than the arithmetic: a step of full fine-tuning (12 layers of 384, 512 subwords, two cores) took
    0.57 s, and takes 0.26 s with it.
    """
    if (mallopt := _c_library("mallopt")) is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def keep_few_kernels() -> None:
    """Have oneDNN keep the kernels of the last batches alone, if it has not computed yet.

    It compiles one for each shape of a product and keeps 1024 of them. A batch of packed tokens has a shape of its own,
    which hardly comes again, and its kernels stay behind in the middle of the memory that the next batches want:
    training on 1024 tweets (12 layers of 384, bf16) peaked at 2.49 GB so, and does at 2.27 with `KERNELS_KEPT`, which
    are those of some six steps (``python -m benchmarks.memory --texts 1024``, with and without the variable).
    """
    os.environ.setdefault(_KERNELS_KEPT, str(KERNELS_KEPT))


def return_freed_memory() -> None:
    """Give the system what is free in the process, also between what is not, where the C library does it (glibc).

    A whole model leaves holes that the next one does not fit into exactly: without this the third full fine-tuning of a
    process (12 layers of 384, 250,000 subwords) had 9.0 GB, where the first one had 4.8.
    """
    gc.collect()  # modules hold each other
    if (trim := _c_library("malloc_trim")) is not None:
        trim(0)


def _c_library(function: str) -> Callable[..., int] | None:
    """Return a function of the C library, None where it has no such function."""
    if sys.platform != "linux":
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), function)
    except (OSError, AttributeError):
        return None
    return found


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that compute; ``missing`` for one that is not installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found
