"""Stages that train: what they write, what they start from, and what they leave alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Done, state_of
from safetensors.torch import load_file

from adapterstilts.errors import Interrupted
from adapterstilts.paths import LIBRARY
from adapterstilts.recipe.plan import Stage
from adapterstilts.stages import STAGES
from adapterstilts.stages.context import Context
from adapterstilts.store.digest import digest_file

ADAPTER = "target/topics/stack(reply, target)@0"
FUSION = "fusion/topics/fuse(pairs, reply, target)@0"
BOTH = "target/topics/stack(fuse(pairs, reply), target)@0"
FULL = "target/topics/full_finetune@0"
STILTS = "target/topics/full_stilts(reply)@0"


def stage_of(done: Done, name: str, **changes: Any) -> Stage:
    stage = done.run.prepared.plan.stages[done.keys[name]]
    spec: Any = stage.spec
    training = {f: changes.pop(f) for f in list(changes) if hasattr(spec.training, f)}
    if training.get("backbone_dropout"):
        changes["numerics"] = dataclasses.replace(spec.numerics, path=LIBRARY)
    spec = dataclasses.replace(spec, training=dataclasses.replace(spec.training, **training), **changes)
    # Another key, so that no checkpoint of one test is found by another.
    return dataclasses.replace(stage, spec=spec, key=f"test-{abs(hash(str(spec)))}")


def run(done: Done, stage: Stage, folder: Path, context: Context | None = None) -> dict[str, Any]:
    folder.mkdir()
    return STAGES[stage.spec.kind](stage, context or done.context(), folder)


def files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): digest_file(p) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", [ADAPTER, FUSION, BOTH, FULL])
def test_a_stage_makes_the_same_bytes_again(done: Done, tmp_path: Path, name: str) -> None:
    torch.manual_seed(4711)
    run(done, stage_of(done, name), tmp_path / "again")
    record = done.run.prepared.store.get(done.keys[name]).record
    assert files(tmp_path / "again") == {path: file.sha256 for path, file in record.files.items()}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (ADAPTER, {"adapter", "head", "curve.jsonl"}),
        (FUSION, {"fusion", "head", "curve.jsonl"}),
        (BOTH, {"adapter", "fusion", "head", "curve.jsonl"}),
        (FULL, {"head", "curve.jsonl", "model.safetensors"}),
    ],
)
def test_an_artifact_holds_what_trained(done: Done, name: str, parts: set[str]) -> None:
    record = done.run.prepared.store.get(done.keys[name]).record
    assert {path.split("/")[0] for path in record.files} == parts


def numbers(folder: Path) -> int:
    return sum(t.numel() for path in folder.rglob("*.safetensors") for t in load_file(str(path)).values())


@pytest.mark.parametrize("name", [ADAPTER, FUSION, BOTH, FULL])
def test_a_stage_reports_what_it_did(done: Done, tmp_path: Path, name: str) -> None:
    results = run(done, stage_of(done, name), tmp_path / "again")
    assert results["parameters"] == numbers(tmp_path / "again")
    assert results["steps"] == 8
    assert results["examples"] == 60
    assert results["examples_seen"] > 60
    assert results["tokens_seen"] > 4 * results["examples_seen"]
    assert results["seconds"] > 0
    assert results["peak_bytes"] > 10**7
    assert (results["dropped"], results["repaired"]) == ({}, {})
    assert (
        results["final_loss"]
        == json.loads((tmp_path / "again/curve.jsonl").read_text().splitlines()[-1])["loss"]
    )


@pytest.mark.parametrize("name", [ADAPTER, FUSION, BOTH, FULL])
def test_the_shared_backbone_stays_as_it_was(done: Done, tmp_path: Path, name: str) -> None:
    context = done.context()
    stage = stage_of(done, name)
    backbone = context.backbone(stage.spec.backbone, stage.inputs)  # type: ignore[union-attr]
    backbone.model.requires_grad_(False)
    before = state_of(backbone)
    run(done, stage, tmp_path / "x", context)
    assert context.backbone(stage.spec.backbone, stage.inputs) is backbone  # type: ignore[union-attr]
    assert state_of(backbone) == before


def adapter(folder: Path) -> Mapping[str, torch.Tensor]:
    return load_file(str(folder / "adapter" / "adapter.safetensors"))


@pytest.mark.parametrize(
    "change", [{"seed": 7}, {"backbone_dropout": True}, {"learning_rate": 1e-3}, {"steps": 7}]
)
def test_what_is_in_the_spec_matters(done: Done, tmp_path: Path, change: dict[str, Any]) -> None:
    run(done, stage_of(done, ADAPTER, **change), tmp_path / "x")
    expected = adapter(done.path(ADAPTER))
    assert any(not torch.equal(expected[name], tensor) for name, tensor in adapter(tmp_path / "x").items())


def test_the_frozen_input_matters(done: Done) -> None:
    first, second = adapter(done.path(ADAPTER)), adapter(done.path("target/topics/target@0"))
    assert any(not torch.equal(first[name], tensor) for name, tensor in second.items())


def test_inputs_are_not_written_again(done: Done) -> None:
    names = adapter(done.path(ADAPTER))
    assert all(".adapters.trained." in name for name in names)


def test_a_whole_model_starts_from_its_intermediate_one(done: Done, tmp_path: Path) -> None:
    kept = stage_of(done, "intermediate/full(reply)@0")
    context = done.context()
    stage = stage_of(done, STILTS)
    made = tmp_path / "init"
    run(done, kept, made, context)
    digests = {}
    for name, inputs in (("with", {"init": "made"}), ("without", {})):
        linked = dataclasses.replace(stage, inputs=inputs, key=f"test-{name}")
        run(done, linked, tmp_path / name, _Made(context, made))
        digests[name] = files(tmp_path / name)["model.safetensors"]
    record = done.run.prepared.store.get(done.keys[STILTS]).record
    assert digests["with"] == record.files["model.safetensors"].sha256 != digests["without"]


class _Made(Context):
    """A context that finds the one artifact of this test."""

    def __init__(self, context: Context, folder: Path) -> None:
        super().__init__(
            **{
                f.name: getattr(context, f.name)
                for f in dataclasses.fields(context)
                if f.init and f.name[0] != "_"
            }
        )
        self._folder = folder

    def artifact(self, key: str) -> Any:
        from types import SimpleNamespace

        assert key == "made"
        return SimpleNamespace(path=self._folder)


class Remember:
    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, stage: str, settings: Mapping[str, Any]) -> None:
        self.events.append("start")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.events.append("log")

    def finish(self) -> None:
        self.events.append("finish")


def test_a_stop_leaves_a_checkpoint_and_a_clean_backbone(done: Done, tmp_path: Path) -> None:
    tracker = Remember()
    asked = iter([False, False, True])
    context = dataclasses.replace(done.context(), stop=lambda: next(asked), trackers=[tracker])
    stage = stage_of(done, FUSION, seed=3)
    backbone = context.backbone(stage.spec.backbone, {})  # type: ignore[union-attr]
    backbone.model.requires_grad_(False)
    before = state_of(backbone)
    with pytest.raises(Interrupted, match="step 3 of 8"):
        run(done, stage, tmp_path / "x", context)
    assert state_of(backbone) == before
    checkpoint = context.store.checkpoint(stage.key) / "checkpoint.pt"
    assert checkpoint.is_file()
    assert tracker.events == ["start", "log", "log", "log", "finish"]
    checkpoint.unlink()
    checkpoint.parent.rmdir()


@pytest.mark.parametrize(("given", "rates"), [(False, {0.0}), (True, {0.1})])
def test_the_backbones_dropout_is_as_the_spec_says(
    done: Done, tmp_path: Path, given: bool, rates: set[float]
) -> None:
    stage = stage_of(done, ADAPTER, backbone_dropout=given)
    context = done.context()
    roberta = context.backbone(stage.spec.backbone, {}).model.roberta  # type: ignore[union-attr]
    seen: set[float] = set()

    def look(*_: Any) -> None:
        modules = [m for name, m in roberta.named_modules() if "adapter" not in name]
        seen.update(m.p for m in modules if isinstance(m, torch.nn.Dropout) and m.training)

    run(done, stage, tmp_path / "x", dataclasses.replace(context, _backbone=context._backbone, progress=look))
    assert seen == rates
