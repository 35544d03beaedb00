"""Test text met in training: found, reported, and taken out on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from adapterstilts.report.overlaps import OVERLAP_FILE, Met, read_overlaps
from adapterstilts.runner.execute import Run, execute
from adapterstilts.runner.overlaps import overlaps
from adapterstilts.runner.prepare import Options, prepare

LEAKED = 7


@pytest.fixture
def recipe(backbone_folder: Path, tmp_path: Path) -> Path:
    """A recipe of which seven test examples are in the training data too."""
    path = tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "stack(pairs, target)"],
        more_targets=(),
        seeds=[0],
        steps=2,
    )
    train, test = tmp_path / "data" / "topics.en.train.jsonl", tmp_path / "data" / "topics.en.jsonl"
    lines = [json.loads(line) for line in test.read_text(encoding="utf-8").splitlines()[:LEAKED]]
    with train.open("a", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps({**line, "id": f"new-{line['id']}"}) + "\n")
    return path


def run(recipe: Path, overrides: Any = ()) -> Run:
    folder = recipe.parent
    options = Options(store=folder / "store", out=folder / "out", threads=1)
    done = execute(prepare(str(recipe), overrides, options))
    done.raise_failures()
    return done


def by_names(found: list[Met]) -> dict[tuple[str, str], Met]:
    return {(one.training, one.test): one for one in found}


def test_test_text_in_training_data_is_reported(recipe: Path) -> None:
    done = run(recipe)
    found = by_names(read_overlaps(done.out))
    # A text of one language is never met in another.
    assert set(found) == {
        ("topics.en.train", "topics.en.test"),
        ("pairs.en.train", "topics.en.test"),
    }
    own = found["topics.en.train", "topics.en.test"]
    assert (own.rows, own.met["exact"], own.met["normalised"]) == (21, LEAKED, LEAKED)
    assert found["pairs.en.train", "topics.en.test"].met["exact"] == 0
    report = (done.out / "report.md").read_text(encoding="utf-8")
    assert "## Test data met in training" in report
    assert "| `topics.en.train` | `topics.en.test` | 21 | 7 |" in report


def test_test_text_is_taken_out_on_request(recipe: Path) -> None:
    done = run(recipe, {"remove_overlap": True})
    own = by_names(read_overlaps(done.out))["topics.en.train", "topics.en.test"]
    assert (own.met["exact"], own.met["normalised"]) == (0, 0)
    stages = {stage.name: stage.key for stage in done.prepared.plan.stages.values()}
    results = done.prepared.store.get(stages["target/topics/target@0"]).record.results
    assert results["dropped"] == {"in a test split": LEAKED}
    assert results["examples"] == 60
    assert "Test data met" not in (done.out / "report.md").read_text(encoding="utf-8")


def test_figures_are_kept_by_content(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(recipe)
    prepared = done.prepared
    first = read_overlaps(done.out)
    monkeypatch.setattr("adapterstilts.runner.overlaps.overlap", None)
    assert overlaps(prepared.plan, prepared.store, prepared.roots) == first


def test_a_damaged_file_of_overlaps_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / OVERLAP_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(Exception, match="run the recipe again"):
        read_overlaps(tmp_path)
    assert read_overlaps(tmp_path / "none") == []


def test_texts_are_met_whatever_their_labels_and_borrowed_steps_bring_none(recipe: Path) -> None:
    prepared = prepare(
        str(recipe),
        {"methods": ["target", "stack(placebo(pairs), target)"]},
        Options(store=recipe.parent / "store", device="cpu"),
    )
    names = {one.training for one in overlaps(prepared.plan, prepared.store, prepared.roots)}
    assert names == {"topics.en.train", "pairs.en.train"}
    longer = prepare(str(recipe), {"methods": ["target", "longer(pairs)"]}, prepared.options)
    assert {one.training for one in overlaps(longer.plan, longer.store, longer.roots)} == {"topics.en.train"}
