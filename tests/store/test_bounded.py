"""Files under a bound: the least recently used go first, and what another process does is no error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterstilts.errors import UsageError
from adapterstilts.store.bounded import BOUND_VARIABLE, cache_bound, make_room, mark_used


def fill(folder: Path, sizes: dict[str, int]) -> None:
    folder.mkdir(exist_ok=True)
    for age, (name, size) in enumerate(sizes.items()):
        (folder / name).write_bytes(b"x" * size)
        os.utime(folder / name, (1000 + age, 1000 + age))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("bound", "left"),
    [(60, ["a", "b", "c"]), (59, ["b", "c"]), (50, ["b", "c"]), (30, ["c"]), (29, ["b"]), (0, [])],
)
def test_the_oldest_go_until_the_rest_fits(tmp_path: Path, bound: int, left: list[str]) -> None:
    fill(tmp_path, {"a": 10, "b": 20, "c": 30})
    make_room(tmp_path, bound)
    assert names(tmp_path) == left


def test_what_can_never_stay_takes_nothing_else_with_it(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 20, "huge": 300})
    make_room(tmp_path, 50)
    assert names(tmp_path) == ["a", "b"]


def test_what_was_used_stays_longer(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 10, "b": 20, "c": 30})
    mark_used(tmp_path / "a")
    make_room(tmp_path, 45)
    assert names(tmp_path) == ["a", "c"]


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    make_room(tmp_path / "none", 0)
    mark_used(tmp_path / "none")
    assert names(tmp_path) == []


@pytest.mark.parametrize(("given", "bytes_"), [(None, 10_000_000_000), ("0", 0), ("2.5", 2_500_000_000)])
def test_the_bound_is_set_in_gigabytes(
    monkeypatch: pytest.MonkeyPatch, given: str | None, bytes_: int
) -> None:
    monkeypatch.delenv(BOUND_VARIABLE, raising=False)
    if given is not None:
        monkeypatch.setenv(BOUND_VARIABLE, given)
    assert cache_bound() == bytes_


@pytest.mark.parametrize("given", ["-1", "much", "nan", "inf"])
def test_a_bound_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(BOUND_VARIABLE, given)
    with pytest.raises(UsageError, match="is no number of gigabytes"):
        cache_bound()
