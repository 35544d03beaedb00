"""Controls, floors, settings by name, language adapters: run on next to nothing, from the recipe to the scores."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from conftest import Done
from safetensors.torch import load_file

from adapterstilts.metrics.files import read_predictions
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.execute import execute
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.specs import INIT, LONGER, MODEL
from adapterstilts.stages import STAGES
from adapterstilts.stages.evaluate import model_of
from adapterstilts.stages.predict import Predictor
from adapterstilts.store.record import Record


@pytest.fixture(scope="module")
def ran(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Every method of `tiny.MORE_METHODS`, and adapters that come from elsewhere."""
    folder = tmp_path_factory.mktemp("more")
    torch.set_num_threads(1)
    recipe = tiny.write_recipe(
        folder, backbone_folder, methods=tiny.MORE_METHODS, languages=["en", "xx"], seeds=[0], more=tiny.MORE
    )
    options = Options(store=folder / "store", out=folder / "out", threads=1, keep=True)
    run = execute(prepare(str(recipe), options=options))
    run.raise_failures()
    return Done(recipe, options, run)


def record(ran: Done, name: str) -> Record:
    return ran.run.prepared.store.get(ran.keys[name]).record


def adapter(ran: Done, name: str) -> Mapping[str, torch.Tensor]:
    return load_file(str(ran.path(name) / "adapter" / "adapter.safetensors"))


def head(ran: Done, name: str) -> Mapping[str, torch.Tensor]:
    return load_file(str(ran.path(name) / "head" / "model_head.safetensors"))


def equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def predictions(ran: Done, name: str) -> list[Any]:
    return [(one.id, one.prediction, one.probabilities) for one in read_predictions(ran.path(name))]


def test_every_method_has_a_score(ran: Done) -> None:
    scored = {row.method for row in ran.run.rows if row.target == "topics" and row.value is not None}
    assert scored == {str(method) for method in ran.run.prepared.recipe.methods}
    empty = {row.method for row in ran.run.rows if row.target == "match" and row.artifact is None}
    assert empty == {
        "head_only",
        "majority",
        "longer(pairs)",
        "stack(words-xx, fuse(pairs, reply), target)",
        "stack(<language>, target)",
        "fuse(stack(<language>, pairs), stack(<language>, reply))",
        "fuse(pairs, stack(<language>, target))",
    }


# ---- what trains and what is written


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("target/topics/head_only@0", {"head", "curve.jsonl"}),
        ("control/random@0", {"adapter"}),
        ("majority/topics", {"counts.json"}),
        ("target/topics/longer(pairs)@0", {"adapter", "head", "curve.jsonl"}),
        ("target/topics/init_from(pairs)@0", {"adapter", "head", "curve.jsonl"}),
        ("target/topics/stack(parallel(pairs, reply), target)@0", {"adapter", "head", "curve.jsonl"}),
        (
            "target/topics/stack(words-xx, fuse(pairs, reply), target)@0",
            {"adapter", "fusion", "head", "curve.jsonl"},
        ),
        (
            "fusion/topics/fuse(stack(<language>, pairs), stack(<language>, reply))@0",
            {"fusion", "head", "curve.jsonl"},
        ),
        ("intermediate/words-en@0", {"adapter", "curve.jsonl"}),
    ],
)
def test_an_artifact_holds_what_its_stage_makes(ran: Done, name: str, parts: set[str]) -> None:
    assert {path.split("/")[0] for path in record(ran, name).files} == parts


def test_methods_start_from_the_same_head_and_see_the_same_batches(ran: Done) -> None:
    curves = {}
    for method in ("target", "head_only", "stack(random, target)", "init_from(pairs)", "with(lora, target)"):
        lines = (ran.path(f"target/topics/{method}@0") / "curve.jsonl").read_text().splitlines()
        curves[method] = [json.loads(line)["examples"] for line in lines]
    assert len({tuple(examples) for examples in curves.values()}) == 1


def test_longer_takes_the_steps_of_the_other_on_top(ran: Done) -> None:
    longer, plain = record(ran, "target/topics/longer(pairs)@0"), record(ran, "target/topics/target@0")
    other = record(ran, "intermediate/pairs@0")
    assert longer.inputs == {LONGER: other.key}
    assert longer.results["steps"] == plain.results["steps"] + other.results["steps"] == 16
    assert longer.results["parameters"] == plain.results["parameters"]
    assert longer.results["examples_seen"] > 1.5 * plain.results["examples_seen"]


def test_a_random_adapter_is_as_large_and_no_other_starts_like_it(ran: Done) -> None:
    found = adapter(ran, "control/random@0")
    trained = adapter(ran, "intermediate/pairs@0")
    assert {name: one.shape for name, one in found.items()} == {
        name: one.shape for name, one in trained.items()
    }
    assert record(ran, "control/random@0").results["parameters"] == sum(one.numel() for one in found.values())
    backbone = ran.context().backbone(
        ran.run.prepared.plan.stages[ran.keys["control/random@0"]].spec.backbone, {}
    )  # type: ignore[union-attr]
    spec: Any = ran.run.prepared.plan.stages[ran.keys["control/random@0"]].spec
    for role in ("target", "intermediate"):
        with assembled(backbone, Blueprint("self", adapter=spec.adapter, seed=0, role=role)) as assembly:
            fresh = dict(assembly.model.named_parameters())
            assert not any(torch.equal(found[name], fresh[name]) for name in found if name.endswith("weight"))


# ---- placebos


def test_a_placebo_is_trained_on_the_same_texts_with_other_labels(ran: Done) -> None:
    stages = ran.run.prepared.plan.stages
    real, control = (stages[ran.keys[f"intermediate/{name}@0"]] for name in ("pairs", "placebo(pairs)"))
    context = ran.context()
    before, after = (context.rows(one.data[0]).rows for one in (real, control))
    assert [row.text for row in before] == [row.text for row in after]  # type: ignore[union-attr]
    assert Counter(row.label for row in before) == Counter(row.label for row in after)  # type: ignore[union-attr]
    assert before != after
    assert (
        record(ran, control.name).results["examples_seen"] == record(ran, real.name).results["examples_seen"]
    )
    assert not equal(adapter(ran, real.name), adapter(ran, control.name))


# ---- going on


def rerun(ran: Done, name: str, folder: Path, **changes: Any) -> Path:
    """Run a stage again with changes to its training, and return where it wrote."""
    stage = ran.run.prepared.plan.stages[ran.keys[name]]
    training = dataclasses.replace(stage.spec.training, **changes)  # type: ignore[union-attr]
    spec: Any = dataclasses.replace(stage.spec, training=training)  # type: ignore[type-var]
    folder.mkdir()
    again: Stage = dataclasses.replace(stage, spec=spec, key=f"again-{name.replace('/', '-')}")
    STAGES[spec.kind](again, ran.context(), folder)
    return folder


def test_what_goes_on_starts_where_the_intermediate_ended(ran: Done, tmp_path: Path) -> None:
    # One step at next to no rate: what is written is what it started from.
    name = "target/topics/init_from(pairs)@0"
    assert record(ran, name).inputs == {INIT: ran.keys["intermediate/pairs@0"]}
    folder = rerun(ran, name, tmp_path / "x", steps=1, learning_rate=1e-12, weight_decay=0.0)
    start, source = (
        load_file(str(path / "adapter" / "adapter.safetensors"))
        for path in (folder, ran.path("intermediate/pairs@0"))
    )
    assert all(torch.allclose(start[key], source[key], atol=1e-9) for key in source)
    # The head is a fresh one, that of every other method: labels differ.
    fresh = rerun(
        ran, "target/topics/target@0", tmp_path / "y", steps=1, learning_rate=1e-12, weight_decay=0.0
    )
    heads = [load_file(str(path / "head" / "model_head.safetensors")) for path in (folder, fresh)]
    assert all(torch.allclose(heads[0][key], heads[1][key], atol=1e-9) for key in heads[0])


def test_a_head_goes_on_where_kind_and_labels_agree(backbone_folder: Path, tmp_path: Path, ran: Done) -> None:
    recipe = tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "init_from(again)"],
        languages=["en"],
        more_targets=(),
        seeds=[0],
    )
    overrides = {
        "intermediate": [{"name": "again", "task": "topics"}],
        "training.target.steps": 1,
        "training.target.learning_rate": 1e-12,
        "training.target.weight_decay": 0.0,
    }
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    prepared = prepare(str(recipe), overrides, options)
    execute(prepared).raise_failures()
    names = {one.name: one for one in prepared.plan.stages.values()}
    first, then = names["intermediate/again@0"], names["target/topics/init_from(again)@0"]
    assert then.note == "its head goes on as well"
    for part in ("adapter/adapter.safetensors", "head/model_head.safetensors"):
        old, new = (load_file(str(prepared.store.path(one.key) / part)) for one in (first, then))
        assert all(torch.allclose(old[key], new[key], atol=1e-9) for key in old)


# ---- floors


def test_the_majority_is_one_answer_for_all(ran: Done) -> None:
    told = [
        json.loads(line)["label"]
        for line in (ran.recipe.parent / "data/topics.en.train.jsonl").read_text().splitlines()
    ]
    most = Counter(told).most_common(1)[0][0]
    for language in ("en", "xx"):
        found = predictions(ran, f"evaluate/topics.{language}.test/majority")
        assert {answer for _, answer, _ in found} == {most}
        assert found[0][2] == {
            label: pytest.approx(told.count(label) / len(told), abs=1e-6) for label in tiny.TOPICS
        }
    row = next(
        row for row in ran.run.rows if (row.method, row.language, row.main) == ("majority", "xx", True)
    )
    assert (row.parameters, row.composition, row.seconds) == (0, "majority", 0.0)


def test_a_head_alone_predicts_as_any_model(ran: Done) -> None:
    key = ran.keys["target/topics/head_only@0"]
    model = Predictor.load(key, store=ran.options.store)
    stage = ran.run.prepared.plan.stages[ran.keys["evaluate/topics.xx.test/head_only@0"]]
    texts = [row.text for row in ran.context().rows(stage.data[0]).rows]  # type: ignore[union-attr]
    expected = [answer for _, answer, _ in predictions(ran, stage.name)]
    assert [one.prediction for one in model.predict(texts)] == expected


# ---- languages


@pytest.mark.parametrize(
    ("method", "composition"),
    [
        ("stack(<language>, target)", "stack(x0, self)"),
        ("fuse(stack(<language>, pairs), stack(<language>, reply))", "fuse(stack(x0, x1), stack(x0, x2))"),
    ],
)
def test_the_adapter_of_a_language_is_swapped_and_all_else_stays(
    ran: Done, method: str, composition: str
) -> None:
    stages = ran.run.prepared.plan.stages
    scored = stages[ran.keys[f"evaluate/topics.xx.test/{method}@0"]]
    trained = stages[scored.inputs[MODEL]]
    _, swapped = model_of(scored, scored.spec, ran.context())  # type: ignore[arg-type]
    _, plain = model_of(dataclasses.replace(scored, inputs={MODEL: trained.key}), scored.spec, ran.context())  # type: ignore[arg-type]
    assert swapped.composition == plain.composition == composition
    assert swapped.trained == plain.trained == ran.run.prepared.store.path(trained.key)
    differing = {place for place in swapped.inputs if swapped.inputs[place] != plain.inputs[place]}
    (place,) = differing
    assert swapped.inputs[place] == ran.path("intermediate/words-xx@0") / "adapter"
    assert plain.inputs[place] == ran.path("intermediate/words-en@0") / "adapter"


def test_a_swapped_language_adapter_changes_the_answers(ran: Done, tmp_path: Path) -> None:
    name = "evaluate/topics.xx.test/stack(<language>, target)@0"
    scored = ran.run.prepared.plan.stages[ran.keys[name]]
    shown = {}
    for case, inputs in (("swapped", scored.inputs), ("not", {MODEL: scored.inputs[MODEL]})):
        (tmp_path / case).mkdir()
        STAGES["evaluate"](dataclasses.replace(scored, inputs=inputs), ran.context(), tmp_path / case)
        shown[case] = [one.probabilities for one in read_predictions(tmp_path / case)]
    assert shown["swapped"] != shown["not"]
    assert shown["swapped"] == [probabilities for _, _, probabilities in predictions(ran, name)]


def test_an_intermediate_is_trained_on_its_language_adapter(backbone_folder: Path, tmp_path: Path) -> None:
    recipe = tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "stack(<language>, pairs, target)"],
        languages=["xx"],
        more_targets=(),
        seeds=[0],
        more=tiny.MORE,
    )
    on = {"name": "pairs", "task": "pairs", "on_language": True}
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    prepared = prepare(str(recipe), {"intermediate": [on]}, options)
    execute(prepared).raise_failures()
    assert prepared.missing
    (one,) = [stage for stage in prepared.plan.stages.values() if stage.name == "intermediate/pairs@0"]
    assert prepared.store.get(one.key).record.spec["composition"] == "stack(x0, self)"


# ---- trained elsewhere


def test_a_published_adapter_stands_where_an_intermediate_does(
    ran: Done, backbone_folder: Path, tmp_path: Path
) -> None:
    """Its folder is one of our own here; that any plain folder is taken is told by the tests of imports."""
    source = ran.path("intermediate/pairs@0") / "adapter"
    recipe = tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=[
            "target",
            "stack(pairs, target)",
            "stack(old, target)",
            "init_from(old)",
            "fuse(stored, target)",
            "stack(average(old, reply), target)",
        ],
        languages=["en"],
        more_targets=("match",),
        seeds=[0],
    )
    pretrained = [
        {"name": "old", "path": str(source)},
        {"name": "stored", "path": ran.keys["intermediate/reply@0"][:12]},
    ]
    options = Options(store=ran.options.store, out=tmp_path / "out", threads=1)
    prepared = prepare(str(recipe), {"pretrained": pretrained}, options)
    run = execute(prepared)
    run.raise_failures()
    names = {stage.name: key for key, stage in prepared.plan.stages.items()}
    found = load_file(str(prepared.store.path(names["pretrained/old"]) / "adapter" / "adapter.safetensors"))
    numbers = sorted(one.flatten().tolist() for one in found.values())
    assert numbers == sorted(one.flatten().tolist() for one in adapter(ran, "intermediate/pairs@0").values())
    scores = {
        row.method: prepared.store.get(row.artifact or "").record.results["scores"]
        for row in run.rows
        if row.target == "match" and row.main and row.artifact
    }
    assert scores["stack(old, target)"] == scores["stack(pairs, target)"]
    ours, theirs = (
        read_predictions(prepared.store.path(names[f"evaluate/topics.en.test/stack({name}, target)@0"]))
        for name in ("pairs", "old")
    )
    assert [one.probabilities for one in ours] == [one.probabilities for one in theirs]


# ---- settings by name


def test_named_settings_make_the_adapters_of_their_methods(ran: Done) -> None:
    assert any("lora" in name for name in adapter(ran, "target/topics/with(lora, target)@0"))
    assert any("lora" in name for name in adapter(ran, "intermediate/with(lora, pairs)@0"))
    assert not any("lora" in name for name in adapter(ran, "intermediate/pairs@0"))
    layers = {
        name.split(".layer.")[1][0]
        for name in adapter(ran, "target/topics/with(upper, stack(pairs, target))@0")
    }
    assert layers == {"1", "2"}


def test_checkpointing_changes_no_bit(ran: Done, tmp_path: Path) -> None:
    for name in ("target/topics/stack(parallel(pairs, reply), target)@0", "target/topics/head_only@0"):
        stage = ran.run.prepared.plan.stages[ran.keys[name]]
        folder = tmp_path / name.rsplit("/", maxsplit=1)[-1]
        folder.mkdir()
        context = dataclasses.replace(ran.context(), checkpointing=True)
        STAGES[stage.spec.kind](dataclasses.replace(stage, key=f"saving-{stage.key}"), context, folder)
        assert equal(load_file(str(folder / "head" / "model_head.safetensors")), head(ran, name))
