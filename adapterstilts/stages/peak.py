"""The most memory that a stage takes: the device's, or the process's where a CPU computes."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# What Linux understands as: begin to measure the peak anew.
_PEAK_ANEW = "5"


class PeakMemory:
    """Measures from its making on.

    Where the system does not tell the peak of a process, or does not begin it anew, it is the largest of all `sample`.

    Args:
        device: that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._told = not self._cuda and _begin_anew()
        self._seen = 0
        if self._cuda:
            # The first to touch the device may be this, which alone would not start it.
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
        self._device = device
        self.sample()

    def sample(self) -> None:
        """Look once, where nothing else looks all the time."""
        if not self._cuda and not self._told:
            self._seen = max(self._seen, psutil.Process().memory_info().rss)

    @property
    def bytes(self) -> int:
        """The peak so far."""
        if self._cuda:
            return int(torch.cuda.max_memory_allocated(self._device))
        self.sample()
        return _told_peak() if self._told else self._seen


def _begin_anew() -> bool:
    try:
        _FORGET.write_text(_PEAK_ANEW, encoding="ascii")
        return _told_peak() > 0
    except (OSError, LookupError):
        return False


def _told_peak() -> int:
    """Return the process's peak in bytes.

    Raises:
        LookupError: when the system does not tell it.
    """
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise LookupError("VmHWM")
