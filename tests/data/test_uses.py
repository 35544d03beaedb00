"""Rows of uses: read once, told apart by content, and without test texts where that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapterstilts.data.sources import DataRoots
from adapterstilts.data.uses import REMOVED, Rows
from adapterstilts.errors import DataError
from adapterstilts.recipe.plan import DataUse
from adapterstilts.specs import FewShot
from adapterstilts.tasks.spec import FileSource, Format, Split, TaskSpec

TEXTS = [f"text number {n} of the training data" for n in range(20)]


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    write(tmp_path / "train.jsonl", TEXTS)
    write(tmp_path / "test.jsonl", [*TEXTS[:6], "TEXT number 6, of the training data!", "another"])
    write(tmp_path / "all.jsonl", TEXTS)
    return Rows(DataRoots(tmp_path))


def write(path: Path, texts: list[str]) -> None:
    lines = [
        json.dumps({"id": f"{path.stem}{n}", "text": text, "label": "ab"[n % 2]})
        for n, text in enumerate(texts)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def use(file: str, **changes: object) -> DataUse:
    split = "test" if file != "train" else "train"
    splits = {"en": {split: Split(FileSource((f"{file}.jsonl",)), Format("jsonl"))}}
    task = TaskSpec(
        str(changes.pop("name", "toy")), "classification", "", splits, ("accuracy",), labels=("a", "b")
    )
    return DataUse(task, "en", split, **{"limit": None, **changes})  # type: ignore[arg-type]


def test_a_split_is_read_once(rows: Rows) -> None:
    assert rows.of(use("train")) is rows.of(use("train"))
    assert rows.of(use("train")) is rows.of(use("train", name="other")), "names tell nothing apart"
    assert rows.of(use("train")) is not rows.of(use("train", limit=3))


def test_content_tells_uses_apart(rows: Rows, tmp_path: Path) -> None:
    few = use("train", few_shot=FewShot(4, 0))
    identities = {rows.identity(one) for one in (use("train"), use("test"), use("train", limit=3), few)}
    assert len(identities) == 4
    assert rows.identity(use("all")) != rows.identity(use("train")), "unlabelled rows stay in test splits"
    before = rows.identity(use("train"))
    write(tmp_path / "train.jsonl", TEXTS[1:])
    assert rows.identity(use("train")) != before


def test_test_texts_are_taken_out_and_counted(rows: Rows) -> None:
    reduced = rows.of(use("train", without=(use("test"),)))
    assert [row.id for row in reduced.rows] == [f"train{n}" for n in range(7, 20)]
    assert reduced.dropped == {REMOVED: 7}


def test_samples_are_drawn_from_what_is_left(rows: Rows) -> None:
    few = rows.of(use("train", few_shot=FewShot(10, 0), without=(use("test"),)))
    assert len(few.rows) == 10
    assert not {row.id for row in few.rows} & {f"train{n}" for n in range(7)}
    assert len(rows.of(use("train", limit=12, without=(use("test"),))).rows) == 12


def test_nothing_left_is_an_error(rows: Rows) -> None:
    with pytest.raises(DataError, match="all of its 20 examples are in a test split"):
        rows.of(use("train", without=(use("all"),)))


def test_a_permuted_use_has_other_labels_and_an_identity_of_its_own(rows: Rows) -> None:
    plain, first, second = (rows.of(use("train", permuted=seed)).rows for seed in (None, 0, 1))
    assert len({rows.identity(use("train", permuted=seed)) for seed in (None, 0, 1)}) == 3
    assert [row.id for row in plain] == [row.id for row in first]
    assert len({tuple(getattr(row, "label", "") for row in some) for some in (plain, first, second)}) == 3


def test_a_sample_is_drawn_before_its_labels_are_permuted(rows: Rows) -> None:
    few = FewShot(6, 0)
    plain, control = rows.of(use("train", few_shot=few)), rows.of(use("train", few_shot=few, permuted=2))
    assert [row.id for row in plain.rows] == [row.id for row in control.rows]
