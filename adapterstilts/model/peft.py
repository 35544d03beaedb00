"""A LoRA adapter in the layout of PEFT, for those who do not use ``adapters``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from adapterstilts.errors import Fault, UsageError
from adapterstilts.model.weights import load_weights
from adapterstilts.units import ADAPTER_FILES

_FILES = ("adapter_config.json", "adapter_model.safetensors")
# The two factors of a product's change.
_FACTOR = re.compile(r"^roberta\.(?P<module>.+)\.loras\.[^.]+\.(?P<factor>lora_[AB])$")


def can_export(config: Mapping[str, Any]) -> bool:
    """Whether an adapter's configuration is a LoRA that PEFT computes alike."""
    plain = config.get("architecture") == "lora" and config.get("composition_mode") == "add"
    return plain and not any(config.get(option) for option in ("use_gating", "use_dora", "vera_d", "vera_b"))


def export_peft(source: Path, target: Path, backbone: str, revision: str | None) -> None:
    """Write a LoRA adapter's folder in the layout of PEFT: the encoder's changes, without the head.

    Args:
        source: in the layout of ``adapters``.
        target: made if it is missing.
        backbone: name of the model that it stands on.
        revision: of that model, None where it has none.

    Raises:
        UsageError: the adapter is no LoRA, or one that PEFT computes otherwise.
    """
    config = json.loads((source / ADAPTER_FILES[0]).read_text(encoding="utf-8"))["config"]
    if not can_export(config):
        raise UsageError(Fault(str(source), "is no LoRA that PEFT has, too", "load it with `adapters`"))
    tensors = {}
    modules = set()
    for name, tensor in load_weights(source / ADAPTER_FILES[1]).items():
        found = _FACTOR.match(name)
        if found is None:
            raise UsageError(
                Fault(str(source), f"holds {name}, which PEFT has no place for", "load it with `adapters`")
            )
        modules.add(found["module"])
        tensors[f"base_model.model.{found['module']}.{found['factor']}.weight"] = tensor.to(torch.float32)
    described = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": backbone,
        "revision": revision,
        "r": config["r"],
        "lora_alpha": config["alpha"],
        "lora_dropout": config["dropout"],
        "target_modules": sorted(modules),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
    }
    target.mkdir(parents=True, exist_ok=True)
    (target / _FILES[0]).write_text(json.dumps(described, indent=2, sort_keys=True), encoding="utf-8")
    save_file(tensors, str(target / _FILES[1]), metadata={"format": "pt"})
