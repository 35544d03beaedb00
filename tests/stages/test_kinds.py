"""Every kind of task from a recipe to scores: trained, mixed, few-shot, steered by validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kinds
import pytest
from conftest import Command, Done
from tiny import TOPICS

from adapterstilts.data.inputs import Input
from adapterstilts.errors import UsageError
from adapterstilts.metrics.files import read_predictions
from adapterstilts.runner.execute import Run, execute
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.stages.predict import Predictor


def run(folder: Path, more: str, steps: int, **overrides: Any) -> Run:
    recipe = kinds.write_recipe(folder, more, steps=steps)
    changes = {name.replace("__", "."): value for name, value in overrides.items()}
    done = execute(prepare(str(recipe), changes, Options(store=folder / "store", out=folder / "out")))
    done.raise_failures()
    return done


def main_scores(done: Run) -> dict[tuple[str, str, str], float]:
    return {
        (row.target, row.language, row.method): row.value
        for row in done.rows
        if row.main and row.value is not None
    }


# Chance, or always the same answer: 0 for spans of tags, 0.25 for passages, 0.67 for sets, 0 and 0.1 for the rest.
@pytest.mark.parametrize(
    ("target", "language", "least"),
    [
        ("tags", "en", 0.3),
        ("tags", "xx", 0.2),
        ("spans", "en", 0.8),
        ("spans", "xx", 0.35),
        ("sets", "en", 0.72),
        ("numbers", "en", 0.8),
        ("several", "en", 0.8),
    ],
)
def test_a_kind_is_learned(every_kind: Done, target: str, language: str, least: float) -> None:
    assert main_scores(every_kind.run)[target, language, "target"] > least


def test_long_sentences_keep_a_tag_a_word(every_kind: Done) -> None:
    row = next(row for row in every_kind.run.rows if (row.target, row.language) == ("tags", "en"))
    predictions = every_kind.run.stored(row.artifact or "")
    lengths = [len(one.gold) for one in predictions]
    assert max(lengths) > 24, "no sentence is longer than a window"
    assert [len(one.prediction) for one in predictions] == lengths


def test_answers_are_cut_from_their_passages(every_kind: Done) -> None:
    row = next(row for row in every_kind.run.rows if (row.target, row.language) == ("spans", "en"))
    predictions = every_kind.run.stored(row.artifact or "")
    assert any(one.prediction == "" for one in predictions)
    assert any(one.prediction and one.prediction in one.gold for one in predictions)
    assert all(one.group for one in predictions)


def test_a_mix_trains_one_adapter_and_a_head_a_task(tmp_path: Path) -> None:
    more = """\
intermediate: [{name: all, mix: [tags, sets, {task: plain, languages: [en, xx]}], cap: 40}]
targets: [numbers]
methods: [target, "stack(all, target)", full_stilts(all)]
"""
    done = run(tmp_path, more, steps=12)
    store = done.prepared.store
    (mixed,) = [one for one in store.artifacts() if one.record.name.startswith("intermediate/all@")]
    assert {data["kind"] for data in mixed.record.spec["data"]} == {"tagging", "multilabel", "mlm"}
    heads = sorted(path.name for path in (mixed.path / "heads").iterdir())
    assert len(heads) == 2, "masked language modelling keeps no head"
    assert (mixed.path / "adapter" / "adapter.safetensors").is_file()
    assert len(main_scores(done)) == 3


def test_few_examples_go_on_from_the_source(tmp_path: Path) -> None:
    more = """\
targets:
  - {task: tags, name: zero, languages: [xx]}
  - {task: tags, name: few, languages: [xx], setting: {few_shot: {k: 10, draws: 2}}}
  - {task: tags, name: own, languages: [xx], setting: in_language}
methods: [target]
"""
    done = run(tmp_path, more, steps=6)
    few = [row for row in done.rows if row.target == "few" and row.main]
    assert [row.draw for row in few] == [0, 1]
    continued = [one for one in done.prepared.store.artifacts() if one.record.spec.get("continues")]
    assert len(continued) == 2
    assert all(one.record.results["examples"] >= 10 for one in continued)
    first = {one.record.inputs["init"] for one in continued}
    assert len(first) == 1, "both draws go on from the one model of the source"
    assert {row.setting for row in done.rows} == {"zero_shot", "few_shot k=10", "in_language"}


def test_every_kind_has_its_floors(tmp_path: Path) -> None:
    more = "targets: [tags, spans, sets, numbers, several]\nmethods: [majority, head_only]\n"
    scores = main_scores(run(tmp_path, more, steps=2, report__baseline="majority"))
    assert len(scores) == 2 * 7
    # No entity; a quarter of the passages without an answer; numbers that do not vary.
    assert scores["tags", "en", "majority"] == 0
    assert scores["spans", "en", "majority"] == pytest.approx(0.25, abs=0.15)
    assert scores["numbers", "en", "majority"] == 0


def test_every_kind_has_its_placebo(tmp_path: Path) -> None:
    more = """\
intermediate: [tags, spans, sets, numbers, several]
targets: [{task: numbers, limit: 5}]
methods: [target, "stack(placebo(<intermediate>), target)"]
"""
    done = run(tmp_path, more, steps=2)
    names = {one.record.name for one in done.prepared.store.artifacts()}
    assert {
        f"intermediate/placebo({kind})@0" for kind in ("tags", "spans", "sets", "numbers", "several")
    } <= names


def test_accumulated_balanced_steps_train(tmp_path: Path) -> None:
    more = """\
targets: [tags, several]
methods: [target]
"""
    changes = {"training__default__accumulate": 3, "training__default__class_weights": "balanced"}
    done = run(tmp_path, more, steps=4, **changes)
    specs = [one.record.spec for one in done.prepared.store.artifacts() if one.record.kind == "train_adapter"]
    weights = {spec["data"][0]["kind"]: spec["training"].get("class_weights", "none") for spec in specs}
    assert weights == {"tagging": "balanced", "multi_select": "none"}
    assert {spec["training"]["accumulate"] for spec in specs} == {3}
    plain = run(tmp_path / "plain", more, steps=4, training__default__accumulate=3)
    assert main_scores(done).keys() == main_scores(plain).keys()
    losses = [
        {
            one.record.spec["data"][0]["kind"]: one.record.results["final_loss"]
            for one in ran.prepared.store.artifacts()
            if one.record.kind == "train_adapter"
        }
        for ran in (done, plain)
    ]
    assert losses[0]["tagging"] != losses[1]["tagging"]
    assert losses[0]["multi_select"] == losses[1]["multi_select"]


def test_validation_keeps_the_best_state(tmp_path: Path) -> None:
    more = """\
targets: [tags]
methods: [target]
"""
    done = run(tmp_path, more, steps=30, training__target__evaluations=5)
    (trained,) = [one for one in done.prepared.store.artifacts() if one.record.kind == "train_adapter"]
    results = trained.record.results
    assert results["best_step"] in (6, 12, 18, 24, 30)
    assert 0 <= results["validation"] <= 1
    assert {row.select_on for row in done.rows} == {"source"}


def test_unknown_predictions_are_kept_as_written(every_kind: Done) -> None:
    for row in every_kind.run.rows:
        if row.artifact:
            assert len(read_predictions(every_kind.run.prepared.store.get(row.artifact).path)) == row.n


# ---- answers to what users type in


def predictor(every_kind: Done, task: str) -> Predictor:
    return Predictor.load(every_kind.keys[f"target/{task}/target@0"], store=every_kind.options.store)


@pytest.mark.parametrize(
    ("task", "given", "form"),
    [
        ("tags", {"tokens": ["en1", "north0"]}, list),
        ("spans", {"question": "north0", "context": "en1 north2 en3"}, str),
        ("sets", "en1 north0", list),
        ("numbers", "en1 north0", float),
        ("several", {"context": "en1", "choices": ["north0 north1", "west0 west1"]}, list),
    ],
)
def test_a_kind_answers_what_is_typed_in(every_kind: Done, task: str, given: Input, form: type) -> None:
    (answer,) = predictor(every_kind, task).predict([given])
    assert (answer.gold, type(answer.prediction)) == (None, form)


def test_wrong_fields_are_a_clear_error(every_kind: Done) -> None:
    with pytest.raises(UsageError, match="a span_qa model needs question and context; found text"):
        predictor(every_kind, "spans").predict([{"text": "en1"}])


def test_entities_of_documents_are_written_for_brat(every_kind: Done, cli: Command, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    text = "en1 en2 north0 north1 en3.\r\nen4 west2 en5"
    (notes / "a.txt").write_bytes(text.encode())
    (notes / "b.txt").write_text("", encoding="utf-8")
    key = every_kind.keys["target/tags/target@0"]
    ask = ("adapter", "predict", key, "--input", notes, "--to", "brat", "--store", every_kind.options.store)
    answer = cli(*ask, "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    lines = (tmp_path / "out" / "a.ann").read_text(encoding="utf-8").splitlines()
    assert answer.json == {"a": len(lines), "b": 0}
    assert lines
    for line in lines:
        _, place, shown = line.split("\t")
        kind, start, end = place.split()
        assert kind in TOPICS
        assert text[int(start) : int(end)] == shown
    assert (tmp_path / "out" / "b.ann").read_text(encoding="utf-8") == ""
    assert cli(*ask, "--out", tmp_path / "out").code == 3, "nothing is written over"
    assert cli(*ask).code == 2


def test_only_entities_can_be_written_for_brat(every_kind: Done) -> None:
    with pytest.raises(UsageError, match="finds no entities: it is a multilabel model"):
        predictor(every_kind, "sets").predict_documents({})
