"""Parts by their exact names, in files as in memory, and what a file may hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from references.setups import BATCH, SPECS, logits, made, write_inputs
from references.setups import blueprint_of as with_spec
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapterstilts.model.assembly import Blueprint, HeadSpec, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.configs import library_config
from adapterstilts.model.faults import AssemblyError
from adapterstilts.model.parts import parameters_of, write_adapter, write_fusion, write_head
from adapterstilts.specs import AdapterSpec

SPEC = SPECS["seq_bn"]


@pytest.fixture
def library(backbone_folder: Path) -> Any:
    """The library's model alone."""
    from adapters import AutoAdapterModel

    return AutoAdapterModel.from_pretrained(str(backbone_folder), attn_implementation="eager")


# ---- exact names


@pytest.mark.parametrize("method", SPECS)
def test_an_adapter_never_carries_one_whose_name_begins_alike(
    library: Any, tmp_path: Path, method: str
) -> None:
    names = ("xnli", "xnli_de", "de", "adapters", "wte")
    for name in names:
        library.add_adapter(name, config=library_config(SPECS[method], 32))
    sizes = {}
    for name in names:
        write_adapter(library, name, tmp_path / name)
        saved = load_file(str(tmp_path / name / "adapter.safetensors"))
        assert all(f".{name}." in key for key in saved)
        sizes[name] = {key.replace(f".{name}.", ".NAME.", 1): value.shape for key, value in saved.items()}
    assert len({len(size) for size in sizes.values()}) == 1


def test_a_head_never_carries_one_whose_name_begins_alike(library: Any, tmp_path: Path) -> None:
    for name in ("t", "t2", "t_"):
        library.add_classification_head(name, num_labels=2)
    write_head(library, "t", tmp_path / "ours")
    saved = load_file(str(tmp_path / "ours" / "model_head.safetensors"))
    assert set(saved) == {f"heads.t.{part}.{end}" for part in (1, 4) for end in ("weight", "bias")}
    # The library does carry them; were it not so, its own saving would do.
    library.save_head(str(tmp_path / "theirs"), "t", use_safetensors=True)
    assert len(load_file(str(tmp_path / "theirs" / "model_head.safetensors"))) == 3 * len(saved)


def test_a_fusion_never_carries_one_whose_name_begins_alike(library: Any, tmp_path: Path) -> None:
    for name in ("a", "b", "bc"):
        library.add_adapter(name, config="seq_bn")
    for names in (["a", "b"], ["a", "bc"]):
        library.add_adapter_fusion(names)
    for name in ("a,b", "a,bc"):
        write_fusion(library, name, tmp_path / name)
        saved = load_file(str(tmp_path / name / "model_adapter_fusion.safetensors"))
        assert len(saved) == 15
        assert all(f".adapter_fusion_layer.{name}." in key for key in saved)
    library.save_adapter_fusion(str(tmp_path / "theirs"), "a,b", use_safetensors=True)
    assert len(load_file(str(tmp_path / "theirs" / "model_adapter_fusion.safetensors"))) == 30


@pytest.mark.parametrize("method", ["prefix_tuning", "mam"])
def test_a_prefix_is_named_and_written_once(backbone: Backbone, tmp_path: Path, method: str) -> None:
    folder = write_inputs(backbone, SPECS[method], tmp_path)["x0"]
    saved = load_file(str(folder / "adapter.safetensors"))
    prefixes = [key for key in saved if "prefix_tunings" in key]
    assert len(prefixes) == 5
    assert all(key.startswith("roberta.prefix_tuning.prefix_tunings.trained.") for key in prefixes)
    with assembled(backbone, with_spec("x0", {"x0": folder}, SPECS[method])) as assembly:
        named = parameters_of(assembly.model)
        assert len(named) == len({id(parameter) for parameter in named.values()})
        assert not any(".pool." in name for name in named)


def test_files_are_the_librarys(backbone: Backbone, library: Any, tmp_path: Path) -> None:
    folder = write_inputs(backbone, SPEC, tmp_path)["x0"]
    library.load_adapter(str(folder), with_head=False, use_safetensors=True)
    library.save_adapter(str(tmp_path / "theirs"), "trained", with_head=False, use_safetensors=True)
    theirs = load_file(str(tmp_path / "theirs" / "adapter.safetensors"))
    ours = load_file(str(folder / "adapter.safetensors"))
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    configs = [
        json.loads((place / "adapter_config.json").read_text(encoding="utf-8"))
        for place in (folder, tmp_path / "theirs")
    ]
    for config in configs:
        del config["model_name"]
    assert configs[0] == configs[1]


# ---- heads and fusions of others


def blueprint(composition: str, inputs: dict[str, Path], **changes: Any) -> Blueprint:
    return with_spec(composition, inputs, SPEC, **changes)


@pytest.mark.parametrize(
    ("head", "differing"),
    [
        (HeadSpec("classification", ("north", "south")), "label2id, num_labels"),
        (HeadSpec("classification", ("south", "north", "west")), "label2id"),
        (HeadSpec("tagging", ("north", "south", "west")), "head_type"),
        (HeadSpec("regression", ()), "label2id, num_labels"),
    ],
)
def test_another_head_is_not_taken_for_ours(
    backbone: Backbone, tmp_path: Path, head: HeadSpec, differing: str
) -> None:
    made(backbone, blueprint("self", {}), tmp_path)
    again = blueprint("self", {}, trained=tmp_path, heads=(head,))
    with (
        pytest.raises(AssemblyError, match=f"another one: .*{differing}.*train a fresh head"),
        assembled(backbone, again),
    ):
        pass
    with assembled(backbone, replace(again, fresh_head=True)) as assembly:
        assert assembly.blueprint.heads == (head,)


def test_a_fresh_head_stands_on_a_trained_adapter(backbone: Backbone, tmp_path: Path) -> None:
    made(backbone, blueprint("self", {}), tmp_path)
    again = blueprint("self", {}, trained=tmp_path, seed=5)
    with assembled(backbone, again) as assembly:
        old, old_state = logits(assembly), assembly.hidden(BATCH, 3)
    with assembled(backbone, replace(again, fresh_head=True)) as assembly:
        assert not torch.equal(logits(assembly), old)
        assert torch.equal(assembly.hidden(BATCH, 3), old_state)
        fresh = {name: p.clone() for name, p in parameters_of(assembly.model).items() if "heads." in name}
    with assembled(backbone, blueprint("self", {}, seed=5)) as assembly:
        named = parameters_of(assembly.model)
        assert all(torch.equal(named[name], value) for name, value in fresh.items())


def test_no_head_is_read_where_a_fresh_one_is_wanted(backbone: Backbone, tmp_path: Path) -> None:
    folder = write_inputs(backbone, SPEC, tmp_path)["x0"]
    # An average has an adapter alone.
    again = blueprint("self", {}, trained=folder.parent, fresh_head=True)
    with assembled(backbone, again) as assembly:
        assert logits(assembly).shape == (3, 3)


def changed(folder: Path, file: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / file
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def with_temperature(config: dict[str, Any]) -> None:
    config["config"]["temperature"] = True


def of_others(config: dict[str, Any]) -> None:
    config["name"] = "x0_,x7_"


@pytest.mark.parametrize(
    ("change", "what"), [(with_temperature, "has temperature set"), (of_others, "fuses x0_,x7_, not x0_,x1_")]
)
def test_another_fusion_is_not_taken_for_ours(
    backbone: Backbone, tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    inputs = write_inputs(backbone, SPEC, tmp_path / "inputs")
    fused = blueprint("fuse(x0, x1)", inputs)
    made(backbone, fused, tmp_path / "own")
    changed(tmp_path / "own" / "fusion", "adapter_fusion_config.json", change)
    with (
        pytest.raises(AssemblyError, match=what),
        assembled(backbone, replace(fused, trained=tmp_path / "own")),
    ):
        pass


@pytest.mark.parametrize("part", ["fusion", "head"])
def test_a_damaged_part_is_refused(backbone: Backbone, tmp_path: Path, part: str) -> None:
    inputs = write_inputs(backbone, SPEC, tmp_path / "inputs")
    fused = blueprint("fuse(x0, x1)", inputs)
    own = tmp_path / "own"
    made(backbone, fused, own)
    (path,) = (own / part).glob("*.safetensors")
    whole = load_file(str(path))
    first = next(iter(whole))

    def damaged(tensors: dict[str, Tensor], what: str) -> None:
        save_file(tensors, str(path))
        with pytest.raises(AssemblyError, match=what), assembled(backbone, replace(fused, trained=own)):
            pass

    damaged({**whole, "roberta.embeddings.LayerNorm.bias": torch.zeros(32)}, "something else than one")
    damaged({key: value for key, value in whole.items() if key != first}, "does not fit")
    damaged({**whole, first: torch.zeros(3)}, "has another shape")
    damaged({}, "something else than one")


# ---- configurations


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (AdapterSpec("unipelt", 16), "unipelt is not offered: its gates average over padding"),
        (AdapterSpec("lora", 16), "lora has no reduction factor"),
        (AdapterSpec("seq_bn", 64), "more than the hidden size"),
        (AdapterSpec("compacter", 32), "multiples of phm_dim"),
        (AdapterSpec("seq_bn", 4, options={"r": 3}), "seq_bn has no option 'r'"),
    ],
)
def test_an_adapter_that_cannot_be_is_refused(backbone: Backbone, spec: AdapterSpec, what: str) -> None:
    with pytest.raises(AssemblyError, match=what), assembled(backbone, Blueprint("self", adapter=spec)):
        pass


def test_a_unions_options_reach_its_parts() -> None:
    spec = AdapterSpec("mam", 8, 1, {"prefix_length": 4, "bottleneck_size": 16, "scaling": "learned"})
    prefix, bottleneck = library_config(spec, 32).configs
    assert (prefix.prefix_length, prefix.bottleneck_size, prefix.leave_out) == (4, 16, [0])
    assert (bottleneck.reduction_factor, bottleneck.scaling, bottleneck.leave_out) == (8, "learned", [0])
