"""Leases: one holder, given up when it is silent or dead, and never by a look at two clocks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapterstilts.store import lease as lease_module
from adapterstilts.store.lease import Lease, Leases, Sign, this_place

KEY, OTHER = "ab12", "cd34"
FAR = "another machine"


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path, 60.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the observer's time pass."""
    now = [100.0]
    monkeypatch.setattr(lease_module.time, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


def taken(leases: Leases, key: str = KEY) -> Lease:
    lease = leases.take(key)
    assert lease is not None
    return lease


def held_elsewhere(folder: Path, generation: int = 1, **changes: object) -> Path:
    """Write the lease of a process of another machine."""
    sign = Sign(**{"token": "t", "place": FAR, "pid": 1, "seconds": 30.0, **changes})  # type: ignore[arg-type]
    path = folder / KEY / str(generation)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(vars(sign)), encoding="utf-8")
    return path


# ---- one holder


def test_a_key_has_one_holder(leases: Leases, tmp_path: Path) -> None:
    assert (leases.ended(KEY), leases.is_free(KEY)) == (0, True)
    with taken(leases):
        for other in (leases, Leases(tmp_path, 60.0)):
            assert (other.ended(KEY), other.take(KEY), other.is_free(KEY)) == (None, None, False)
        with taken(leases, OTHER):
            pass
    assert (leases.ended(KEY), leases.is_free(KEY)) == (1, True)
    assert taken(leases).generation == 2


def test_of_many_takers_one_wins(tmp_path: Path) -> None:
    # All have seen the same end, and take at the same time.
    held_elsewhere(tmp_path, released=True)
    start, won = threading.Barrier(8), []

    def take() -> None:
        start.wait()
        if (lease := Leases(tmp_path, 60.0).take(KEY, after=1)) is not None:
            won.append(lease.generation)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [2]


def test_an_end_seen_by_another_process_of_the_run_is_enough(leases: Leases, tmp_path: Path) -> None:
    held_elsewhere(tmp_path)
    assert leases.take(KEY) is None
    assert leases.take(KEY, after=7) is None
    lease = leases.take(KEY, after=1)
    assert lease is not None
    assert leases.take(KEY, after=1) is None


# ---- who is given up


def test_a_holder_of_another_machine_is_given_up_after_silence(
    leases: Leases, tmp_path: Path, clock: Callable[[float], None]
) -> None:
    held_elsewhere(tmp_path)
    assert leases.ended(KEY) is None
    clock(29)
    assert leases.take(KEY) is None
    clock(2)
    assert leases.ended(KEY) == 1
    assert taken(leases).generation == 2


def test_a_beat_begins_the_silence_anew(
    leases: Leases, tmp_path: Path, clock: Callable[[float], None]
) -> None:
    for beat in range(5):
        held_elsewhere(tmp_path, beat=beat)
        assert leases.ended(KEY) is None
        clock(20)
    clock(11)
    assert leases.ended(KEY) == 1


def test_the_holder_s_promise_counts_and_not_the_observer_s(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    held_elsewhere(tmp_path, seconds=500.0)
    hasty = Leases(tmp_path, 1.0)
    assert hasty.ended(KEY) is None
    clock(499)
    assert hasty.ended(KEY) is None
    clock(2)
    assert hasty.ended(KEY) == 1


def test_times_of_files_mean_nothing(leases: Leases, tmp_path: Path) -> None:
    path = held_elsewhere(tmp_path)
    for age in (-1e7, 1e7):
        os.utime(path, (time.time() + age,) * 2)
        assert leases.ended(KEY) is None


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "\0\0"])
def test_a_lease_that_was_never_finished_is_given_up_after_silence(
    leases: Leases, tmp_path: Path, clock: Callable[[float], None], text: str
) -> None:
    held_elsewhere(tmp_path).write_text(text, encoding="utf-8")
    assert leases.ended(KEY) is None
    assert not leases.is_free(KEY)
    clock(61)
    assert leases.ended(KEY) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("waited_for", [True, False])
def test_a_process_of_this_machine_that_died_is_given_up_at_once(
    leases: Leases, tmp_path: Path, waited_for: bool
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        held_elsewhere(tmp_path, place=this_place(), pid=process.pid)
        assert leases.ended(KEY) is None
        process.send_signal(signal.SIGKILL)
        if waited_for:
            process.wait()
        deadline = time.monotonic() + 10
        while leases.ended(KEY) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert leases.ended(KEY) == 1


def test_a_number_of_another_machine_says_nothing_about_ours(leases: Leases, tmp_path: Path) -> None:
    held_elsewhere(tmp_path, pid=2**22 + 1)
    assert leases.ended(KEY) is None


# ---- the heartbeat


def test_a_holder_beats(tmp_path: Path) -> None:
    with taken(Leases(tmp_path, 0.06)):
        observer = Leases(tmp_path, 0.06)
        deadline = time.monotonic() + 1.0
        beats = set()
        while time.monotonic() < deadline and len(beats) < 4:
            assert observer.is_free(KEY) is False
            beats.add(lease_module._read(tmp_path / KEY / "1"))
            time.sleep(0.01)
        assert len(beats) == 4


def test_a_holder_learns_that_it_was_given_up_and_changes_nothing(tmp_path: Path) -> None:
    with taken(Leases(tmp_path, 0.06)) as first:
        held_elsewhere(tmp_path, generation=2)
        deadline = time.monotonic() + 10
        while not first.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert first.lost
    # Its release ends its own lease, not that of its successor.
    assert Leases(tmp_path, 60.0).ended(KEY) is None
    assert Leases(tmp_path, 60.0).is_free(KEY) is False


def test_before_publishing_a_holder_makes_sure(leases: Leases, tmp_path: Path) -> None:
    first = taken(leases)
    assert first.advance()
    assert first.generation == 2
    held_elsewhere(tmp_path, generation=3)
    assert not first.advance()
    assert (first.lost, first.generation) == (True, 2)


def test_an_answer_that_got_lost_is_no_other_holder(leases: Leases, tmp_path: Path) -> None:
    first = taken(leases)
    # A server that is asked twice has made the file at the first time.
    held_elsewhere(tmp_path, generation=2, **vars(replace(first.sign, beat=1)))
    assert first.advance()
    assert first.generation == 2


def test_a_beat_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    lease = taken(Leases(tmp_path / "gone", 0.06))
    with lease:
        for path in (tmp_path / "gone" / KEY).iterdir():
            path.unlink()
        (tmp_path / "gone" / KEY).rmdir()
        (tmp_path / "gone" / KEY).write_bytes(b"in the way")
        time.sleep(0.1)
    assert not lease.lost


def test_what_nobody_needs_is_forgotten(leases: Leases, tmp_path: Path) -> None:
    with taken(leases):
        pass
    leases.forget(KEY)
    leases.forget(OTHER)
    assert not list(tmp_path.iterdir())
