"""Averages of adapters, on files alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Done
from safetensors.torch import load_file, save_file

from adapterstilts.errors import StoreError
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import AverageAdapters
from adapterstilts.stages.average import average

NAME = "average/average(pairs, reply)@0"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(str(folder / "adapter" / "adapter.safetensors"))


def test_the_average_is_the_mean_of_the_weights(done: Done) -> None:
    parts = [weights(done.path(f"intermediate/{name}@0")) for name in ("pairs", "reply")]
    found = weights(done.path(NAME))
    assert set(found) == set(parts[0])
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, (parts[0][name] + parts[1][name]) / 2, atol=1e-7)
        assert not torch.equal(tensor, parts[0][name])


def test_the_average_is_an_ordinary_adapter(done: Done) -> None:
    config = (done.path(NAME) / "adapter" / "adapter_config.json").read_bytes()
    assert config == (done.path("intermediate/pairs@0") / "adapter" / "adapter_config.json").read_bytes()
    record = done.run.prepared.store.get(done.keys[NAME]).record
    assert record.results["parameters"] == sum(tensor.numel() for tensor in weights(done.path(NAME)).values())


@pytest.fixture
def folders(done: Done, tmp_path: Path) -> dict[str, Path]:
    generator = torch.Generator().manual_seed(0)
    config = (done.path(NAME) / "adapter" / "adapter_config.json").read_bytes()
    made = {}
    for key in ("a", "b", "c"):
        made[key] = tmp_path / key
        (made[key] / "adapter").mkdir(parents=True)
        tensors = {"w": torch.randn(3, 4, generator=generator), "b": torch.randn(4, generator=generator)}
        save_file(tensors, str(made[key] / "adapter" / "adapter.safetensors"))
        (made[key] / "adapter" / "adapter_config.json").write_bytes(config)
    return made


def run(folders: dict[str, Path], shares: tuple[float, ...], target: Path) -> dict[str, Any]:
    target.mkdir()
    inputs = {f"x{i}": key for i, key in zip(range(len(shares)), folders, strict=False)}
    stage = Stage("average/x@0", AverageAdapters(shares), inputs, "key")
    context: Any = SimpleNamespace(artifact=lambda key: SimpleNamespace(path=folders[key]))
    return average(stage, context, target)


def test_weights_count(folders: dict[str, Path], tmp_path: Path) -> None:
    assert run(folders, (0.2, 0.3, 0.5), tmp_path / "mean") == {"parameters": 16}
    parts = [weights(folder) for folder in folders.values()]
    for name, tensor in weights(tmp_path / "mean").items():
        arrays = [part[name].numpy().astype(np.float64) for part in parts]
        expected = 0.2 * arrays[0] + 0.3 * arrays[1] + 0.5 * arrays[2]
        assert np.array_equal(tensor.numpy(), expected.astype(np.float32))


def test_different_shapes_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    path = str(folders["b"] / "adapter" / "adapter.safetensors")
    for tensors in ({"w": torch.zeros(3, 5), "b": torch.zeros(4)}, {"w": torch.zeros(3, 4)}):
        save_file(tensors, path)
        with pytest.raises(StoreError, match="average/x@0: the adapters have different shapes"):
            run(folders, (0.5, 0.5), tmp_path / str(len(tensors)))


def described(folder: Path, **changes: Any) -> None:
    """Change an adapter's description: its name, or its configuration's settings."""
    path = folder / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    name = changes.pop("name", config["name"])
    path.write_text(
        json.dumps({**config, "name": name, "config": {**config["config"], **changes}}), encoding="utf-8"
    )


def test_different_settings_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    described(folders["b"], init_weights="mam_adapter")
    run(folders, (0.5, 0.5), tmp_path / "alike")
    described(folders["b"], non_linearity="gelu")
    with pytest.raises(
        StoreError, match="the adapters have different settings: non_linearity; average adapters"
    ):
        run(folders, (0.5, 0.5), tmp_path / "x")


def test_an_adapter_from_elsewhere_has_a_name_of_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    for key, name in (("a", "trained"), ("b", "theirs")):
        described(folders[key], name=name)
        path = folders[key] / "adapter" / "adapter.safetensors"
        tensors = {
            f"layer.0.adapters.{name}.w": weights(folders[key])["w"],
            f"x.loras.{name}.b": torch.ones(2),
        }
        save_file(tensors, str(path))
    run({key: folders[key] for key in ("a", "b")}, (0.5, 0.5), tmp_path / "mean")
    found = weights(tmp_path / "mean")
    assert set(found) == {"layer.0.adapters.trained.w", "x.loras.trained.b"}
    parts = [
        weights(folders[key])[f"layer.0.adapters.{name}.w"]
        for key, name in (("a", "trained"), ("b", "theirs"))
    ]
    assert torch.allclose(found["layer.0.adapters.trained.w"], (parts[0] + parts[1]) / 2)


def test_recipes_weights_are_normalised(done: Done) -> None:
    spec = done.run.prepared.plan.stages[done.keys[NAME]].spec
    assert dataclasses.asdict(spec)["weights"] == (0.5, 0.5)
