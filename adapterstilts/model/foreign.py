"""Adapters that others have trained: taken in only after everything about them was checked.

The library would load whatever a file holds: weights of the backbone too, an adapter of another model or of fewer
layers, a pickle that runs code. Here a folder is read without touching any model, compared with what its own
configuration makes of the backbone's shape, and written anew in our layout.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from adapterstilts.errors import Fault, StoreError
from adapterstilts.methods import MethodError, family_of
from adapterstilts.model.parts import adapter_mark, canonical_name
from adapterstilts.model.shapes import BackboneShape, adapter_shapes
from adapterstilts.model.weights import finite_faults, load_weights
from adapterstilts.units import ADAPTER_FILES

_CONFIG_FILE, _WEIGHTS_FILE = ADAPTER_FILES
_PICKLE_FILE = "pytorch_adapter.bin"
_NAME = "adapter"
_PREFIX = "roberta."
# Settings of early versions that no longer exist and changed nothing in an adapter alone.
_IDLE_SETTINGS = ("attention_type", "new_attention_norm")
# From this version of `adapters` on LoRA is scaled by alpha / r; before, it was not.
_LORA_SCALES = (1, 1, 0)


def import_adapter(source: Path, target: Path, shape: BackboneShape, *, allow_pickle: bool = False) -> int:
    """Write an adapter folder of others in our layout.

    Args:
        source: ``adapter_config.json`` and ``adapter.safetensors``; in place of the latter ``pytorch_adapter.bin``,
            where it is allowed.
        target: a folder that is made; numbers are fp32.
        shape: of the backbone on which it is to stand.
        allow_pickle: whether the old format may be read. It is read as plain tensors; anything else in it is refused
            and never run.

    Returns:
        Number of parameters.

    Raises:
        StoreError: when it is not one whole adapter for such a backbone, with all its faults.
    """
    described = _described(source)
    _check_backbone(source, described, shape)
    tensors = _tensors(source, described["name"], allow_pickle)
    config = _config(source, described, tensors)
    _check_tensors(source, tensors, _expected(source, config, shape), shape)
    target.mkdir(parents=True, exist_ok=True)
    kept = {"model_name", "model_class", "model_type", "hidden_size"}
    written = {name: described.get(name) for name in kept} | {
        "config": config,
        "name": _NAME,
        "version": _library(),
    }
    (target / _CONFIG_FILE).write_text(json.dumps(written, indent=2, sort_keys=True), encoding="utf-8")
    save_file(tensors, str(target / _WEIGHTS_FILE))
    return sum(tensor.numel() for tensor in tensors.values())


def _library() -> str:
    import adapters

    return f"adapters.{adapters.__version__}"


# ---- what it says of itself


def _described(source: Path) -> dict[str, Any]:
    path = source / _CONFIG_FILE
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(Fault(str(path), "cannot be read as JSON", "name an adapter's folder")) from error
    fields = {"name": str, "config": dict, "model_type": str}
    wrong = [
        name
        for name, kind in fields.items()
        if not isinstance(described, dict) or not isinstance(described.get(name), kind)
    ]
    if wrong:
        what = f"does not say {', '.join(wrong)} as the library does"
        raise StoreError(Fault(str(path), what, "save the adapter anew with a current version of `adapters`"))
    found: dict[str, Any] = described
    return found


def _check_backbone(source: Path, described: Mapping[str, Any], shape: BackboneShape) -> None:
    wanted = {"model_type": shape.model_type, "hidden_size": shape.hidden}
    faults = [
        Fault(str(source), f"its {name} is {described.get(name)!r}, the backbone's is {value!r}")
        for name, value in wanted.items()
        if described.get(name) != value
    ]
    if faults:
        remedy = "take an adapter that was trained on this backbone"
        raise StoreError(*(dataclasses.replace(fault, remedy=remedy) for fault in faults))


def _config(source: Path, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return its configuration as today's library has it."""
    try:
        config = _modern(described["config"], described, tensors)
        unknown = sorted(_unknown(config))
    except (KeyError, TypeError, AttributeError) as error:
        what = f"its configuration is malformed: {type(error).__name__}: {error}"
        raise StoreError(Fault(str(source / _CONFIG_FILE), what, "take another adapter")) from error
    if unknown:
        what = f"its configuration has unknown settings: {', '.join(unknown)}"
        raise StoreError(Fault(str(source / _CONFIG_FILE), what, "such an adapter cannot be used"))
    try:
        family_of(config)
    except MethodError as error:
        raise StoreError(Fault(str(source / _CONFIG_FILE), str(error), "take another adapter")) from error
    return config


def _modern(
    config: Mapping[str, Any], described: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Apply what the library changes when it loads what its earlier versions saved."""
    if config.get("architecture") == "union":
        parts = [_modern(part, described, tensors) for part in config["configs"]]
        return {"architecture": "union", "configs": parts}
    from adapters.utils import ACTIVATION_RENAME

    config = {name: value for name, value in config.items() if name not in _IDLE_SETTINGS}
    nested = config.pop("invertible_adapter", None)
    if nested:
        config["inv_adapter"] = nested["block_type"]
        config["inv_adapter_reduction_factor"] = nested["reduction_factor"]
    if described.get("type") == "text_task" and not any(".invertible_adapters." in name for name in tensors):
        # Task adapters named an invertible part then that they did not have.
        config.pop("inv_adapter", None)
        config.pop("inv_adapter_reduction_factor", None)
    if "version" not in described and config.get("non_linearity") in ACTIVATION_RENAME:
        config["non_linearity"] = ACTIVATION_RENAME[config["non_linearity"]]
    if config.get("architecture") == "lora" and _unscaled(str(described.get("version"))):
        config["alpha"] = config["r"]
    # It would give every layer the same fresh weights and start the process's generator anew.
    config.pop("init_weights_seed", None)
    return config


def _unscaled(version: str) -> bool:
    """Whether a version of the library left LoRA's scale out."""
    library, _, number = version.partition(".")
    numbers = tuple(int(part) for part in number.split(".") if part.isdigit())
    return library == "adapters" and numbers < _LORA_SCALES


def _unknown(config: Mapping[str, Any]) -> Iterator[str]:
    from adapters import BnConfig, LoRAConfig, PrefixTuningConfig

    kinds: dict[Any, Any] = {None: BnConfig, "lora": LoRAConfig, "prefix_tuning": PrefixTuningConfig}
    architecture = config.get("architecture")
    if architecture == "union":
        for part in config["configs"]:
            yield from _unknown(part)
    elif architecture in kinds:
        known = {field.name for field in dataclasses.fields(kinds[architecture])}
        yield from (name for name in config if name not in known)


# ---- what it holds


def _tensors(source: Path, name: str, allow_pickle: bool) -> dict[str, Tensor]:
    """Return its tensors, fp32, under today's names and with the name ``adapter``."""
    from adapters.loading import AdapterLoader

    mark, found = adapter_mark(name), dict[str, Tensor]()
    for key, tensor in _raw(source, allow_pickle).items():
        for old, new in AdapterLoader.legacy_weights_mapping.items():
            key = key.replace(old, new)
        key = canonical_name(key if key.startswith(_PREFIX) else f"{_PREFIX}{key}")
        if not mark.search(key):
            what = f"holds {key}, which is no part of the adapter {name!r}"
            raise StoreError(Fault(str(source), what, "do not use it; it would change the backbone"))
        plain = tensor.detach().to(torch.float32).contiguous()
        key = mark.sub(lambda match: f"{match.group().split('.')[0]}.{_NAME}.", key)
        if key in found and not torch.equal(found[key], plain):
            raise StoreError(Fault(str(source), f"holds {key} twice, and differently", "do not use it"))
        # Several names of one tensor share its memory, which safetensors refuses.
        found[key] = plain.clone()
    return found


def _raw(source: Path, allow_pickle: bool) -> Mapping[str, Tensor]:
    path, old = source / _WEIGHTS_FILE, source / _PICKLE_FILE
    if not path.is_file() and old.is_file() and not allow_pickle:
        what = "is a pickle, the old format, in which code can hide"
        raise StoreError(Fault(str(old), what, "allow it explicitly if you trust its source"))
    try:
        if path.is_file():
            return load_weights(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(str(old), map_location="cpu", weights_only=True)
    except StoreError:
        raise
    # A damaged file raises almost anything.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StoreError(
            Fault(str(source), f"its weights cannot be read: {reason}", "get it anew")
        ) from error
    if not isinstance(loaded, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise StoreError(Fault(str(old), "holds something else than tensors by name", "do not use it"))
    return loaded


def _expected(source: Path, config: Mapping[str, Any], shape: BackboneShape) -> dict[str, torch.Size]:
    try:
        return adapter_shapes(shape, dict(config))
    except (KeyError, ValueError, TypeError, AssertionError, AttributeError) as error:
        what = f"its configuration cannot be built: {type(error).__name__}: {error}"
        raise StoreError(Fault(str(source / _CONFIG_FILE), what, "take another adapter")) from error


def _check_tensors(
    source: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, torch.Size], shape: BackboneShape
) -> None:
    faults = []
    found, wanted = _layers(tensors), _layers(expected)
    if found != wanted:
        layers = (
            f"it works in layers {_spans(found)}, and its configuration on this backbone in {_spans(wanted)}"
        )
        faults.append(Fault(str(source), f"{layers} of {shape.layers}"))
    elif set(tensors) != set(expected):
        missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
        told = [f"lacks {missing[0]}" for _ in missing[:1]] + [f"has {extra[0]} too many" for _ in extra[:1]]
        faults.append(Fault(str(source), f"{' and '.join(told)}"))
    faults += [
        Fault(str(source), f"{name} is {tuple(tensors[name].shape)}, not {tuple(expected[name])}")
        for name in sorted(set(tensors) & set(expected))
        if tensors[name].shape != expected[name]
    ][:3]
    faults += finite_faults(str(source), tensors)
    if faults:
        raise StoreError(*(dataclasses.replace(fault, remedy="take another adapter") for fault in faults))


def _layers(names: Mapping[str, Any]) -> list[int]:
    parts = [name.split(".layer.")[1] for name in names if ".layer." in name]
    return sorted({int(part.split(".")[0]) for part in parts})


def _spans(layers: list[int]) -> str:
    """Return ``0-11`` for layers that follow each other, and all of them otherwise."""
    if layers and layers == list(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}-{layers[-1]}"
    return ", ".join(map(str, layers)) or "none"
