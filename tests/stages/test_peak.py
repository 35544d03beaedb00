"""The peak of a stage's memory: exact where the system tells it, sampled elsewhere."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from adapterstilts.stages import peak
from adapterstilts.stages.peak import PeakMemory

SIZE = 64 << 20


def test_what_is_taken_for_a_moment_counts(cpu: torch.device) -> None:
    memory = PeakMemory(cpu)
    before = memory.bytes
    # New pages, where an allocator would hand out what it has.
    with mmap.mmap(-1, SIZE) as taken:
        taken.write(bytes(SIZE))
        memory.sample()
    assert memory.bytes - before > SIZE // 2


def test_it_begins_anew(cpu: torch.device) -> None:
    with mmap.mmap(-1, 4 * SIZE) as taken:
        taken.write(bytes(4 * SIZE))
        during = PeakMemory(cpu).bytes
    assert during - PeakMemory(cpu).bytes > SIZE


def test_elsewhere_it_is_the_largest_that_was_seen(
    cpu: torch.device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = iter([20, 50, 30, 10])
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=next(sizes)))
    monkeypatch.setattr(peak.psutil, "Process", lambda: process)
    monkeypatch.setattr(peak, "_FORGET", tmp_path / "absent" / "file")
    memory = PeakMemory(cpu)
    memory.sample()
    memory.sample()
    assert memory.bytes == 50
