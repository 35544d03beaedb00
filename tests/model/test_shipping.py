"""A unit's weights: written under names that readers know, and the same to the bit when they are read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Done
from references.setups import BATCH
from torch import Tensor

from adapterstilts.model.assembly import Assembly, Blueprint, HeadSpec, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.shapes import shape_of
from adapterstilts.model.shipping import (
    Sources,
    check_unit,
    library_uses,
    plain_computes,
    read_unit,
    write_unit,
)
from adapterstilts.runner.shipping import unit_of_artifact
from adapterstilts.store.store import Artifact, Store
from adapterstilts.units import SETUP_FILE, Unit, UnitHead, part_names, unit_of

FUSED, STACKED, OVER = (
    "fusion/topics/fuse(pairs, reply, target)@0",
    "target/topics/stack(pairs, target)@0",
    "target/topics/stack(fuse(pairs, reply), target)@0",
)
STAGES = ("target/topics/target@0", "average/average(pairs, reply)@0", STACKED, FUSED, OVER)


def shipped(done: Done, name: str, folder: Path) -> tuple[Unit, Artifact]:
    """Write a stage's unit into a folder."""
    store = Store(done.options.store_root)
    artifact = store.get(done.keys[name])
    unit, sources = unit_of_artifact(artifact, store)
    write_unit(unit, sources, folder)
    assert plain_computes(unit, sources)
    return unit, artifact


def own_blueprint(artifact: Artifact, store: Store) -> Blueprint:
    """Return what a stage of the store trained, by its own files."""
    record = artifact.record
    inputs = {p: store.get(key).path / "adapter" for p, key in record.inputs.items() if p.startswith("x")}
    heads = tuple(HeadSpec(one["kind"], tuple(one["labels"])) for one in record.spec.get("data", ()))
    if "composition" not in record.spec:
        inputs = {}
    return Blueprint(record.spec.get("composition", "self"), inputs, trained=artifact.path, heads=heads)


@torch.no_grad()
def answers(assembly: Assembly) -> Tensor:
    if assembly.blueprint.heads:
        return assembly.logits(BATCH)
    return assembly.hidden(BATCH, -1)[BATCH.attention_mask.bool()]


@torch.no_grad()
def plain_answers(backbone_folder: Path, folder: Path, unit: Unit) -> Tensor:
    """Return what plain ``adapters`` answers with a unit."""
    from adapters import AutoAdapterModel

    model: Any = AutoAdapterModel.from_pretrained(str(backbone_folder), attn_implementation="eager")
    load = model.load_adapter if unit.single else model.load_adapter_setup
    load(str(folder), use_safetensors=True, set_active=True)
    # Torch multiplies weights that have gradients in another order, even where none are computed.
    model.eval().requires_grad_(False)
    given = {"input_ids": BATCH.input_ids, "attention_mask": BATCH.attention_mask}
    if unit.head is not None:
        found: Tensor = model(**given).logits
    else:
        found = model.base_model(**given).last_hidden_state[BATCH.attention_mask.bool()]
    return found


@pytest.mark.parametrize("name", STAGES)
def test_a_unit_answers_as_the_stage_that_it_is_of_to_the_bit(
    done: Done, backbone: Backbone, backbone_folder: Path, tmp_path: Path, name: str
) -> None:
    unit, artifact = shipped(done, name, tmp_path / "unit")
    check_unit(tmp_path / "unit", unit, shape_of(backbone))
    blueprint = read_unit(tmp_path / "unit", unit, shape_of(backbone), tmp_path / "read")
    with assembled(backbone, own_blueprint(artifact, Store(done.options.store_root))) as assembly:
        own = answers(assembly)
    with assembled(backbone, blueprint) as assembly:
        assert torch.equal(answers(assembly), own)
    plain = plain_answers(backbone_folder, tmp_path / "unit", unit)
    assert torch.equal(plain, own)


def test_its_files_are_those_that_it_says(done: Done, tmp_path: Path) -> None:
    for number, name in enumerate(STAGES):
        folder = tmp_path / str(number)
        unit, _ = shipped(done, name, folder)
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert there == unit.files
        assert unit_of(json.loads(json.dumps(unit.to_json()))) == unit
        assert (SETUP_FILE in there) != unit.single


def test_names_are_the_readers_and_none_is_the_librarys(done: Done, tmp_path: Path) -> None:
    unit, _ = shipped(done, FUSED, tmp_path)
    assert set(unit.adapters.values()) == {"topics", "reply", "pairs"}
    assert unit.head == UnitHead("topics_head", "classification", ("north", "south", "west"))
    assert part_names({"x0": "train", "x1": "a, b", "x2": "a b", "x3": "7"}, library_uses) == {
        "x0": "train_2",
        "x1": "a_b",
        "x2": "a_b_2",
        "x3": "adapter_7",
    }


@pytest.mark.parametrize(
    "composition",
    ["stack(parallel(x0, x1), self)", "fuse(stack(x0, self), stack(x0, x1))", "parallel(x0, x1, self)"],
)
def test_what_plain_adapters_computes_otherwise_is_known(done: Done, composition: str) -> None:
    store = Store(done.options.store_root)
    _, sources = unit_of_artifact(store.get(done.keys[STACKED]), store)
    folders = {"x0": sources.adapters["x0"], "x1": sources.adapters["x0"], "self": sources.adapters["self"]}
    unit = Unit(composition, {"x0": "a", "x1": "b", "self": "c"}, None)
    assert not plain_computes(unit, Sources(folders))
