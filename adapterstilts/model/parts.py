"""An adapter, a fusion or a head by its exact name: its parameters in memory and its folder in the library's layout.

The library's own saving and loading go by the beginning of a name (head ``t`` takes ``t2`` along), trust what a file
holds (weights of the backbone too), miss nothing, and cannot write tensors that several layers share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from adapterstilts.errors import Fault
from adapterstilts.model.faults import VERIFY, AssemblyError
from adapterstilts.units import ADAPTER_FILES, FUSION_FILES, HEAD_FILES

# Folders of modules in which the library keeps an adapter's parameters, by the adapter's name.
HOLDERS = ("adapters", "loras", "prefix_tunings", "shared_parameters", "invertible_adapters")
# Whatever stands in the backbone and is not its own.
ADDED = re.compile(rf"\.(?:{'|'.join(HOLDERS)}|adapter_fusion_layer)\.")
# All prefixes lie in one pool, which every layer names once more.
_POOL = re.compile(r"encoder\.layer\.\d+\.attention\.self\.prefix_tuning\.pool\.")


def parameters_of(model: Any) -> dict[str, nn.Parameter]:
    """Return all parameters of a model, each by one name, in the model's order."""
    return {canonical_name(name): parameter for name, parameter in model.named_parameters()}


def canonical_name(name: str) -> str:
    """Return a parameter's one name; a prefix has another one in every layer."""
    return _POOL.sub("prefix_tuning.", name)


def adapter_mark(name: str, *holders: str) -> re.Pattern[str]:
    """Return what the names of an adapter's parameters have in them, and those of no other; all holders' by default."""
    return re.compile(rf"(?<=\.)(?:{'|'.join(holders or HOLDERS)})\.{re.escape(name)}\.")


def fusion_mark(name: str) -> re.Pattern[str]:
    """Return what the names of a fusion's parameters have in them."""
    return re.compile(rf"(?<=\.)adapter_fusion_layer\.{re.escape(name)}\.")


def head_mark(name: str) -> re.Pattern[str]:
    """Return what the names of a head's parameters begin with."""
    return re.compile(rf"^heads\.{re.escape(name)}\.")


def marked(model: Any, mark: re.Pattern[str]) -> dict[str, nn.Parameter]:
    """Return the parameters whose names have the mark."""
    return {name: parameter for name, parameter in parameters_of(model).items() if mark.search(name)}


# ---- writing


def write_adapter(model: Any, name: str, folder: Path) -> None:
    """Write an adapter as plain ``adapters`` reads it."""
    config = model.adapters_config.get(name)
    _write(folder, ADAPTER_FILES, _full_config(model, config, name=name), marked(model, adapter_mark(name)))


def write_fusion(model: Any, name: str, folder: Path) -> None:
    """Write a fusion as plain ``adapters`` reads it."""
    config, members = model.adapters_config.get_fusion(name)
    described = _full_config(model, config, name=name, adapter_names=members)
    _write(folder, FUSION_FILES, described, marked(model, fusion_mark(name)))


def write_head(model: Any, name: str, folder: Path) -> None:
    """Write a head as plain ``adapters`` reads it."""
    described = _full_config(model, model.heads[name].config, save_id2label=True, name=name)
    _write(folder, HEAD_FILES, described, marked(model, head_mark(name)))


def _full_config(model: Any, config: Any, **fields: Any) -> dict[str, Any]:
    from adapters.configuration import build_full_config

    names = {"model_name": model.model_name, "model_class": type(model).__name__}
    described: dict[str, Any] = build_full_config(config, model.config, **names, **fields)
    return described


def _write(
    folder: Path, files: tuple[str, str], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / files[0]).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, str(folder / files[1]))


# ---- reading


def read_adapter(model: Any, folder: Path, name: str) -> None:
    """Put a saved adapter on the model under another name.

    Raises:
        AssemblyError: when the folder holds something else than one whole adapter for this backbone.
    """
    config, tensors = _read(folder, ADAPTER_FILES, "adapter")
    model.add_adapter(name, config=config["config"])
    _take_over(model, folder, "adapter", tensors, adapter_mark(config["name"]), adapter_mark(name))


def read_fusion(model: Any, folder: Path, name: str, add: Callable[[Any], None]) -> None:
    """Put a saved fusion on the model.

    Args:
        model: with the adapters that are fused.
        folder: of the fusion.
        name: its name, in the folder and in memory.
        add: puts a fresh fusion of a configuration there.

    Raises:
        AssemblyError: when the folder holds something else than this fusion.
    """
    config, tensors = _read(folder, FUSION_FILES, "fusion")
    if config["name"] != name:
        raise AssemblyError(Fault(str(folder), f"fuses {config['name']}, not {name}", VERIFY))
    for setting in ("temperature", "query_before_ln", "residual_before"):
        # A temperature changes with every forward pass and is not saved; the others mean another fusion.
        if config["config"][setting]:
            raise AssemblyError(Fault(str(folder), f"its fusion has {setting} set", "train it without"))
    add(config["config"])
    _take_over(model, folder, "fusion", tensors, fusion_mark(name), fusion_mark(name))


def read_head(model: Any, folder: Path, name: str) -> None:
    """Give a fresh head on the model the weights of a saved one.

    Raises:
        AssemblyError: when the folder holds another kind of head or other labels.
    """
    config, tensors = _read(folder, HEAD_FILES, "head")
    fresh = json.loads(json.dumps(model.heads[name].config))
    if config["config"] != fresh:
        differing = sorted(
            key for key in {*fresh, *config["config"]} if fresh.get(key) != config["config"].get(key)
        )
        what = f"its head is another one: {', '.join(differing)}"
        raise AssemblyError(Fault(str(folder), what, "train a fresh head"))
    _take_over(model, folder, "head", tensors, head_mark(config["name"]), head_mark(name))


def _read(folder: Path, files: tuple[str, str], what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a part's configuration and tensors; the library would look on a hub for a folder that is not there."""
    paths = [folder / file for file in files]
    if not all(path.is_file() for path in paths):
        raise AssemblyError(Fault(str(folder), f"holds no {what}", VERIFY))
    config: dict[str, Any] = json.loads(paths[0].read_text(encoding="utf-8"))
    with safe_open(str(paths[1]), framework="pt") as weights:
        return config, {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118


@torch.no_grad()
def _take_over(
    model: Any,
    folder: Path,
    what: str,
    tensors: Mapping[str, Tensor],
    old: re.Pattern[str],
    new: re.Pattern[str],
) -> None:
    """Copy tensors into the parameters that are marked, if they are exactly those."""
    if not tensors or not all(old.search(key) for key in tensors):
        raise AssemblyError(Fault(str(folder), f"holds something else than one {what}", VERIFY))
    there = {new.sub("", key): parameter for key, parameter in marked(model, new).items()}
    saved = {old.sub("", key): tensor for key, tensor in tensors.items()}
    if set(saved) != set(there):
        raise AssemblyError(Fault(str(folder), f"its {what} does not fit the backbone's layers", VERIFY))
    if any(there[key].shape != tensor.shape for key, tensor in saved.items()):
        raise AssemblyError(Fault(str(folder), f"its {what} has another shape", VERIFY))
    for key, tensor in saved.items():
        there[key].copy_(tensor)
