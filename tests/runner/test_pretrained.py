"""Adapters that were trained elsewhere: found, judged and known by their bytes, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from adapterstilts.errors import RecipeError
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.runner.resolved import RESOLVED_FILE, write_resolved
from adapterstilts.specs import ImportAdapter
from adapterstilts.store.store import Description, Store

from .examples import write_recipe

METHODS = ["target", "stack(old, target)"]
BOTTLENECK = {"architecture": None, "mh_adapter": False, "output_adapter": True, "original_ln_after": True}
LORA = {"architecture": "lora", "r": 8, "alpha": 8}


def write_adapter(folder: Path, config: Any = BOTTLENECK, weights: str = "adapter.safetensors") -> Path:
    """Write what looks like a saved adapter to whoever does not load it."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {"config": config, "name": "x", "model_type": "xlm-roberta", "hidden_size": 32}
    (folder / "adapter_config.json").write_text(json.dumps(described), encoding="utf-8")
    (folder / weights).write_bytes(b"weights")
    return folder


def prepared(folder: Path, methods: list[str] = METHODS, **section: Any) -> Prepared:
    old = {"name": "old", "path": "old", **section}
    path = write_recipe(folder, methods=methods, pretrained=[old])
    return prepare(str(path), (), Options(store=folder / "store", device="cpu"))


def faults(folder: Path, methods: list[str] = METHODS, **section: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        prepared(folder, methods, **section)
    return [str(fault).removeprefix(f"{folder / 'toy.yaml'}: ") for fault in caught.value.faults]


def content(one: Prepared) -> str:
    (spec,) = [stage.spec for stage in one.plan.stages.values() if isinstance(stage.spec, ImportAdapter)]
    return spec.content


def test_its_bytes_are_its_identity_and_its_place_is_not(tmp_path: Path) -> None:
    write_adapter(tmp_path / "old")
    first = prepared(tmp_path)
    assert first.pretrained["old"].folder == tmp_path / "old"
    assert (first.pretrained["old"].family, first.pretrained["old"].allow_pickle) == ("bottleneck", False)
    write_adapter(tmp_path / "moved")
    assert content(prepared(tmp_path, path="moved")) == content(first) == first.pretrained["old"].content
    for name, text in (("adapter.safetensors", "other"), ("adapter_config.json", None)):
        folder = write_adapter(tmp_path / f"changed-{name}")
        changed = text or (folder / name).read_text(encoding="utf-8") + "\n"
        (folder / name).write_text(changed, encoding="utf-8")
        assert content(prepared(tmp_path, path=folder.name)) != content(first)


def test_an_adapter_of_the_store_is_named_by_its_key(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for key, folder in (("ab" * 32, "adapter"), ("cd" * 32, "head")):
        with store.workspace(key) as workspace:
            write_adapter(workspace / folder)
            store.publish(
                key, workspace, Description("intermediate/x@0", {"kind": "train_adapter"}, {}, {}, {})
            )
    found = prepared(tmp_path, path="abab").pretrained["old"]
    assert found.folder == store.path("ab" * 32) / "adapter"
    assert (
        found.content
        == prepared(tmp_path, path=str(write_adapter(tmp_path / "same"))).pretrained["old"].content
    )
    assert faults(tmp_path, path="cdcd") == [
        "pretrained[0]: intermediate/x@0 in the store holds no adapter; `adapterstilts adapter ls` lists what does"
    ]
    (fault,) = faults(tmp_path, path="ffff")
    assert "no artifact has a key that starts with 'ffff'" in fault


def test_a_pickle_is_read_on_request_alone(tmp_path: Path) -> None:
    write_adapter(tmp_path / "old", weights="pytorch_adapter.bin")
    (fault,) = faults(tmp_path)
    assert fault.startswith("pretrained[0]: ")
    assert "is a pickle, the old format, in which code can hide; write `allow_pickle: true`" in fault
    assert prepared(tmp_path, allow_pickle=True).pretrained["old"].allow_pickle


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (lambda folder: None, "there is no folder"),
        (lambda folder: folder.mkdir(), "holds no adapter_config.json that can be read"),
        (
            lambda folder: (write_adapter(folder) / "adapter_config.json").write_text("[]", encoding="utf-8"),
            "holds no adapter_config.json that can be read",
        ),
        (lambda folder: (write_adapter(folder) / "adapter.safetensors").unlink(), "holds no weights"),
        (lambda folder: write_adapter(folder, {"architecture": "reft"}), "'reft' is not supported"),
    ],
)
def test_what_is_no_adapter_is_a_fault_of_the_recipe(broken: Any, expected: str, tmp_path: Path) -> None:
    broken(tmp_path / "old")
    (fault,) = faults(tmp_path)
    assert fault.startswith("pretrained[0]: ")
    assert expected in fault
    assert not (tmp_path / "store").exists()


def test_a_composition_that_its_kind_does_not_allow_is_refused(tmp_path: Path, cli: Command) -> None:
    write_adapter(tmp_path / "old", LORA)
    prepared(tmp_path)
    found = faults(tmp_path, ["target", "fuse(old, target)"])
    assert "a fusion attends over the outputs of bottlenecks, and lora has none" in found[0]
    answer = cli("recipe", "check", tmp_path / "toy.yaml", "--store", tmp_path / "store")
    assert (answer.code, "lora has none" in answer.err) == (2, True)


def test_a_resolved_recipe_finds_it_from_where_it_lies(tmp_path: Path) -> None:
    write_adapter(tmp_path / "old")
    first = prepared(tmp_path)
    write_resolved(first)
    again = prepare(str(first.out / RESOLVED_FILE), (), first.options)
    assert set(again.plan.stages) == set(first.plan.stages)
