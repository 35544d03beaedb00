"""Load a pretrained encoder for adapters: from the hub, a local folder, or the store.

Whatever the source, its configuration is cleaned first: a downloaded ``config.json`` can otherwise name the
code that computes attention (CVE-2026-4372 in transformers before 5.3).
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adapterstilts.backbones import KNOWN
from adapterstilts.data.encoding.tokens import Tokenizer
from adapterstilts.errors import EnvironmentFault, Fault
from adapterstilts.model.quantized import loading_options, settle
from adapterstilts.specs import BackboneSpec

MODEL_TYPE = "xlm-roberta"
_FORBIDDEN_KEYS = ("auto_map", "custom_pipelines")
_ATTENTION_KEYS = "attn_implementation"


@dataclass
class Backbone:
    """A pretrained encoder in memory, with the tokenizer that belongs to it.

    Attributes:
        model: the library's flexible-head model; adapters and heads are added to it and removed again.
        tokenizer: fast tokenizer.
        spec: what was loaded.
        device: where the weights are.
    """

    model: Any
    tokenizer: Tokenizer
    spec: BackboneSpec
    device: torch.device

    @property
    def hidden(self) -> int:
        """Hidden size."""
        return int(self.model.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of transformer layers."""
        return int(self.model.config.num_hidden_layers)


def load_backbone(
    spec: BackboneSpec, folder: Path | None, device: torch.device, *, offline: bool
) -> Backbone:
    """Load a backbone.

    Args:
        spec: which one.
        folder: where its files are, None to take them from the hub.
        device: where the weights go.
        offline: whether only files that were downloaded before may be used.

    Raises:
        EnvironmentFault: when it cannot be had, is of another architecture, or its files are damaged.
    """
    from adapters import AutoAdapterModel
    from transformers import AutoTokenizer

    source = str(folder) if folder is not None else spec.model
    options: dict[str, Any] = {} if folder else {"revision": spec.revision, "local_files_only": offline}
    if folder is None:
        _refuse_untrusted(spec)
    quantized = loading_options(spec.quantize, device)
    with quiet_library(), _as_fault(spec, offline):
        config = _clean_config(source, options)
        model, info = AutoAdapterModel.from_pretrained(
            source,
            config=config,
            attn_implementation="eager",
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **quantized,
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, **options)
    _check_weights(spec, info)
    settle(model, device)
    model.eval()
    # A published configuration may carry an empty name, which would end up in every adapter that we save.
    model.config.name_or_path = model.config.name_or_path if folder is None else spec.model
    return Backbone(model, tokenizer, spec, device)


def _refuse_untrusted(spec: BackboneSpec) -> None:
    """Refuse a hub's backbone that nobody here knows while a package is there that runs code which a model names."""
    if spec.model not in KNOWN and importlib.util.find_spec("kernels") is not None:
        what = "the package `kernels` is installed, which runs code that a downloaded model can name"
        remedy = "uninstall it, or download the model and name its folder"
        raise EnvironmentFault(Fault(spec.model, what, remedy))


def config_of(spec: BackboneSpec, folder: Path | None, *, offline: bool) -> Any:
    """Return a backbone's cleaned configuration, without any weights.

    Args:
        spec: which one.
        folder: where its files are, None to take them from the hub.
        offline: whether only files that were downloaded before may be used.

    Raises:
        EnvironmentFault: when it cannot be had, or is of another architecture.
    """
    source = str(folder) if folder is not None else spec.model
    options: dict[str, Any] = {} if folder else {"revision": spec.revision, "local_files_only": offline}
    with quiet_library(), _as_fault(spec, offline):
        return _clean_config(source, options)


def _clean_config(source: str, options: dict[str, Any]) -> Any:
    from transformers import AutoConfig, PretrainedConfig

    raw, _ = PretrainedConfig.get_config_dict(source, **options)
    if raw.get("model_type") != MODEL_TYPE:
        what = f"its model type is {raw.get('model_type')!r}"
        raise EnvironmentFault(Fault(source, what, f"use a backbone of type {MODEL_TYPE!r}"))
    if "quantization_config" in raw:
        # Its integers would be read as if they were the weights.
        remedy = "use the weights that it was made from, with `backbone.quantize`"
        raise EnvironmentFault(Fault(source, "its weights are quantised already", remedy))
    kept = {
        name: value
        for name, value in raw.items()
        if not name.lstrip("_").startswith(_ATTENTION_KEYS) and name not in _FORBIDDEN_KEYS
    }
    return AutoConfig.for_model(**kept)


def _check_weights(spec: BackboneSpec, info: dict[str, Any]) -> None:
    """Refuse a backbone some of whose weights would be random; only the unused pooler may be missing."""
    missing = [name for name in info["missing_keys"] if ".pooler." not in f".{name}"]
    if missing or info["mismatched_keys"]:
        what = f"weights are missing or of another shape: {', '.join(missing[:3]) or info['mismatched_keys'][:3]}"
        raise EnvironmentFault(Fault(spec.model, what, "use a complete XLM-R encoder"))


@contextmanager
def quiet_library() -> Iterator[None]:
    """Silence the library's advice (untrained poolers, no active adapter); what matters of it is checked here."""
    loggers = [logging.getLogger(name) for name in ("transformers", "adapters")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _as_fault(spec: BackboneSpec, offline: bool) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    # The last two are what a weights file raises that is damaged or of another shape.
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
        first_line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
        remedy = "run once without --offline" if offline else "check the name, the revision and the network"
        raise EnvironmentFault(
            Fault(spec.model, f"the backbone cannot be loaded: {first_line}", remedy)
        ) from error
