"""The peak of a stage's memory: exact where the system tells it, sampled elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapterstilts.stages import peak
from adapterstilts.stages.peak import PeakMemory

SIZE = 64 << 20


def test_what_is_taken_for_a_moment_counts(cpu: torch.device) -> None:
    memory = PeakMemory(cpu)
    before = memory.bytes
    taken = torch.ones(SIZE // 4)
    memory.sample()
    del taken
    assert memory.bytes - before > SIZE // 2


def test_elsewhere_it_is_the_largest_that_was_seen(
    cpu: torch.device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peak, "_FORGET", tmp_path / "absent" / "file")
    memory = PeakMemory(cpu)
    before = memory.bytes
    assert before > 10**7
    taken = torch.ones(SIZE // 4)
    memory.sample()
    seen = memory.bytes
    del taken
    assert memory.bytes >= seen > before
