"""Loading a pretrained encoder: what is cleaned, what is refused, and how."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapterstilts.errors import EnvironmentFault
from adapterstilts.model.backbone import Backbone, load_backbone
from adapterstilts.specs import BackboneSpec

CPU = torch.device("cpu")
SPEC = BackboneSpec("files:tiny", None)


@pytest.fixture
def folder(backbone_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(backbone_folder, tmp_path / "model"))


def load(folder: Path) -> Backbone:
    return load_backbone(SPEC, folder, CPU, offline=True)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def change_weights(folder: Path, change: Any) -> None:
    path = str(folder / "model.safetensors")
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_the_weights_are_those_of_the_file(shared_backbone: Backbone, backbone_folder: Path) -> None:
    weights = load_file(str(backbone_folder / "model.safetensors"))
    state = shared_backbone.model.state_dict()
    assert len(weights) > 40
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float32}


def test_a_loaded_backbone_is_ready(shared_backbone: Backbone) -> None:
    assert (shared_backbone.hidden, shared_backbone.layers) == (32, 3)
    assert not shared_backbone.model.training
    assert shared_backbone.model.config.name_or_path == "files:tiny"
    assert list(shared_backbone.model.heads) == []
    assert shared_backbone.tokenizer("en1")["input_ids"][0] == 0


def test_an_untrusted_config_cannot_name_code(folder: Path) -> None:
    change_config(
        folder,
        _attn_implementation="someone/kernel",
        _attn_implementation_internal="someone/kernel",
        _attn_implementation_autoset=False,
        attn_implementation="someone/kernel",
        auto_map={"AutoModel": "evil.Model", "AutoConfig": "evil.Config"},
        custom_pipelines={"x": {"impl": "evil.Pipeline"}},
    )
    (folder / "evil.py").write_text("raise SystemExit('ran untrusted code')", encoding="utf-8")
    config = load(folder).model.config
    assert config._attn_implementation == "eager"
    assert "kernel" not in config.to_json_string() + str(vars(config))
    assert not hasattr(config, "auto_map")
    assert not hasattr(config, "custom_pipelines")


def test_an_unknown_backbone_of_the_hub_is_refused_where_kernels_would_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "kernels" else None)
    with pytest.raises(EnvironmentFault, match="`kernels` is installed"):
        load_backbone(BackboneSpec("someone/model", "ab" * 20), None, torch.device("cpu"), offline=True)


@pytest.mark.parametrize("name", ["encoder.layer.1.output.dense.weight", "embeddings.word_embeddings.weight"])
def test_missing_weights_are_refused(folder: Path, name: str) -> None:
    change_weights(folder, lambda weights: weights.pop(f"roberta.{name}"))
    with pytest.raises(EnvironmentFault, match=f"weights are missing.*{name}"):
        load(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    change_config(folder, intermediate_size=64)
    with pytest.raises(EnvironmentFault, match=r"cannot be loaded: .*size mismatch"):
        load(folder)


def test_fewer_layers_than_the_config_says_are_refused(folder: Path) -> None:
    change_config(folder, num_hidden_layers=4)
    with pytest.raises(EnvironmentFault, match=r"weights are missing.*layer\.3"):
        load(folder)


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta-xl", None])
def test_another_architecture_is_refused(folder: Path, model_type: str | None) -> None:
    change_config(folder, model_type=model_type)
    with pytest.raises(EnvironmentFault, match=f"model type is {model_type!r}; use a backbone"):
        load(folder)


@pytest.mark.parametrize("damage", ["folder", "config.json", "model.safetensors"])
def test_what_is_not_there_is_a_fault_of_the_environment(folder: Path, damage: str) -> None:
    if damage == "folder":
        shutil.rmtree(folder)
    else:
        (folder / damage).unlink()
    with pytest.raises(EnvironmentFault) as caught:
        load(folder)
    assert caught.value.exit_code == 4
    text = str(caught.value)
    assert ("model type is None" if damage == "config.json" else "the backbone cannot be loaded: ") in text
    assert "\n" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_a_fault_of_the_environment(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"{")
    with pytest.raises(EnvironmentFault, match="cannot be loaded"):
        load(folder)


def test_a_pickle_is_never_read(folder: Path) -> None:
    weights = load_file(str(folder / "model.safetensors"))
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EnvironmentFault, match="safetensors"):
        load(folder)
