"""Frozen backbones in 8 or 4 bits, through bitsandbytes (Dettmers et al. 2022, 2023).

The matrices of the encoder's layers are held in fewer bits; embeddings, layer norms, heads, adapters and fusions stay
in fp32. The library would otherwise make what it does not quantise fp16, in which fp32 adapters cannot be trained.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from adapterstilts.errors import EnvironmentFault
from adapterstilts.machine import quantization_fault


def loading_options(quantize: str, device: torch.device) -> dict[str, Any]:
    """Return what the library's ``from_pretrained`` has to be told beside ``dtype``; nothing for ``none``.

    Args:
        quantize: ``none``, ``8bit`` or ``4bit``.
        device: where the weights go: what is quantised cannot be moved later.

    Raises:
        EnvironmentFault: see `adapterstilts.machine.quantization_fault`.
    """
    if quantize == "none":
        return {}
    fault = quantization_fault(quantize, device.type)
    if fault is not None:
        raise EnvironmentFault(fault)
    from transformers import BitsAndBytesConfig

    bits: Mapping[str, Mapping[str, Any]] = {
        "8bit": {"load_in_8bit": True},
        # Matrix products then have the precision of what they are multiplied with.
        "4bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32},
    }
    return {"quantization_config": BitsAndBytesConfig(**bits[quantize]), "device_map": {"": device}}


def import_bitsandbytes() -> None:
    """Import it, where it is installed, without `kernels`.

    With `kernels` it would fetch compiled code from a hub, pinned to nothing, and run it. `adapters` imports it as
    well, so this has to come first.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        return
    kernels = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]  # Python's way to say: not importable
    try:
        with _quiet():
            importlib.import_module("bitsandbytes")
    finally:
        if kernels is None:
            del sys.modules["kernels"]
        else:
            sys.modules["kernels"] = kernels


def settle(model: nn.Module, device: torch.device) -> None:
    """Move what is not there yet to a device: what was just added to a backbone, whose own weights stay.

    The library refuses to move a model with quantised weights as a whole.
    """
    device = torch.empty(0, device=device).device  # "cuda" has a number
    for module in model.modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if any(tensor.device != device for tensor in own):
            module.to(device)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Give a quantised model's biases back their bits at the end; a model without quantised weights has none to lose.

    bitsandbytes rounds a bias to the precision of its input and leaves it so: after a stage in bf16, the next one in
    fp32 would compute with another backbone. It also says at each product that inputs become fp16 before they become
    8 bits, which is silenced here.
    """
    biases = {
        module: module.bias.data
        for module in model.modules()
        if type(module).__module__.startswith("bitsandbytes.") and isinstance(module.bias, nn.Parameter)
    }
    try:
        with _quiet():
            yield
    finally:
        for module, data in biases.items():
            module.bias.data = data


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
