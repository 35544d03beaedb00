"""One adapter with the weighted mean of others' weights. Works on files alone; no model is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from adapterstilts.errors import Fault, StoreError
from adapterstilts.model.assembly import ADAPTER_FOLDER
from adapterstilts.model.parts import adapter_mark
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import AverageAdapters
from adapterstilts.stages.context import Context
from adapterstilts.units import ADAPTER_FILES

_CONFIG_FILE, _WEIGHTS_FILE = ADAPTER_FILES
# How a fresh adapter would start says nothing about a trained one.
_IDLE_SETTINGS = ("init_weights", "init_weights_seed")

Weights = dict[str, npt.NDArray[Any]]


def average(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Write the mean of the inputs, computed in double precision.

    Raises:
        StoreError: when the inputs have different tensors, or settings.
    """
    spec = stage.spec
    assert isinstance(spec, AverageAdapters)
    folders = [
        context.artifact(stage.inputs[f"x{i}"]).path / ADAPTER_FOLDER for i in range(len(spec.weights))
    ]
    described = [json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8")) for folder in folders]
    first = described[0]["name"]
    loaded = [
        _renamed(load_file(str(folder / _WEIGHTS_FILE)), one["name"], first)
        for folder, one in zip(folders, described, strict=True)
    ]
    _check(stage, [one["config"] for one in described], loaded)
    mean = {
        name: np.sum(
            [
                weight * tensors[name].astype(np.float64)
                for weight, tensors in zip(spec.weights, loaded, strict=True)
            ],
            axis=0,
        ).astype(loaded[0][name].dtype)
        for name in loaded[0]
    }
    target = workspace / ADAPTER_FOLDER
    target.mkdir()
    save_file(mean, str(target / _WEIGHTS_FILE))
    shutil.copyfile(folders[0] / _CONFIG_FILE, target / _CONFIG_FILE)
    return {"parameters": sum(int(tensor.size) for tensor in mean.values())}


def _renamed(tensors: Weights, old: str, new: str) -> Weights:
    """Return an adapter's tensors under another name: one from elsewhere has its own."""
    mark = adapter_mark(old)
    return {
        mark.sub(lambda match: f"{match.group().split('.')[0]}.{new}.", key): tensor
        for key, tensor in tensors.items()
    }


def _check(stage: Stage, configs: Sequence[Mapping[str, Any]], loaded: Sequence[Weights]) -> None:
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in loaded]
    if any(shape != shapes[0] for shape in shapes):
        raise StoreError(
            Fault(stage.name, "the adapters have different shapes", "average adapters of one configuration")
        )
    differing = {
        name
        for config in configs
        for name in config.keys() & configs[0].keys()
        if name not in _IDLE_SETTINGS and config[name] != configs[0][name]
    }
    if differing:
        what = f"the adapters have different settings: {', '.join(sorted(differing))}"
        raise StoreError(Fault(stage.name, what, "average adapters of one configuration"))
