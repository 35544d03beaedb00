"""About how many numbers an adapter has, from its settings alone; biases are left out where there are far more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapterstilts.backbones import Sizes
from adapterstilts.methods import METHODS
from adapterstilts.specs import AdapterSpec

# An XLM-R's feed-forward blocks are so many times as wide inside as its states.
_WIDER = 4


def adapter_numbers(spec: AdapterSpec, sizes: Sizes) -> int | None:
    """Return about how many numbers an adapter has on a backbone; None for one that was trained elsewhere."""
    if spec.config not in METHODS:
        return None
    defaults = {name: option.default for name, option in METHODS[spec.config].options.items()}
    layers = sizes.layers - spec.skip_layers
    return _NUMBERS[spec.config]({**defaults, **spec.options}, sizes.hidden, layers, spec.reduction_factor)


def _bottleneck(_: Mapping[str, Any], hidden: int, layers: int, factor: int) -> int:
    return 2 * hidden * (hidden // factor) * layers


def _two_bottlenecks(options: Mapping[str, Any], hidden: int, layers: int, factor: int) -> int:
    return 2 * _bottleneck(options, hidden, layers, factor)


def _compacter(options: Mapping[str, Any], hidden: int, layers: int, factor: int) -> int:
    # Beside so few numbers the biases count.
    return 2 * (2 * int(options["phm_rank"]) + 1) * (hidden + hidden // factor) * layers


def _lora(options: Mapping[str, Any], hidden: int, layers: int, _: int) -> int:
    blocks = int(options["intermediate_lora"]) + int(options["output_lora"])
    width = 2 * len(options["attn_matrices"]) + blocks * (1 + _WIDER)
    return int(options["r"]) * width * hidden * layers


def _ia3(_: Mapping[str, Any], hidden: int, layers: int, __: int) -> int:
    return (2 + _WIDER) * hidden * layers


def _prefix(options: Mapping[str, Any], hidden: int, layers: int, _: int) -> int:
    length, inside = int(options["prefix_length"]), int(options["bottleneck_size"])
    if options.get("flat"):
        return 2 * length * hidden * layers
    return (length + inside) * hidden + 2 * inside * hidden * layers


def _mam(options: Mapping[str, Any], hidden: int, layers: int, factor: int) -> int:
    return _prefix(options, hidden, layers, factor) + _bottleneck(options, hidden, layers, factor)


_NUMBERS: Mapping[str, Callable[[Mapping[str, Any], int, int, int], int]] = {
    "seq_bn": _bottleneck,
    "double_seq_bn": _two_bottlenecks,
    "par_bn": _bottleneck,
    "compacter": _compacter,
    "lora": _lora,
    "ia3": _ia3,
    "prefix_tuning": _prefix,
    "mam": _mam,
}
