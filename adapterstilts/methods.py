"""The adapter configurations: their options, their size, and what may be composed of them. No torch.

A composition has one meaning for all of them: an adapter maps the output of a part of a layer (of the attention, of
the feed-forward block, of one matrix product) to another output. A stack applies one map after the other,
`parallel` takes the mean of the outputs, a fusion attends over what each of its members changes (Pfeiffer et al.
2021). What has no such meaning for a configuration is refused here, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from adapterstilts import compose
from adapterstilts.errors import suggest
from adapterstilts.tasks.spec import Json

Family = Literal["bottleneck", "parallel bottleneck", "invertible", "lora", "ia3", "prefix", "mam"]

# What stands for the reduction factor of a method that has none, so that equal work has equal keys.
UNSIZED = 1


class MethodError(ValueError):
    """A configuration, an option or a composition that cannot be meant; the message says what and why."""


@dataclass(frozen=True)
class Option:
    """One setting of a configuration.

    Attributes:
        default: what the configuration's authors or the library chose.
        wanted: which values it takes, for a reader.
        read: a value as a recipe has it -> the value in its one form; raises ValueError for another.
    """

    default: Json
    wanted: str
    read: Callable[[Json], Json]


def _whole(default: int, least: int = 1) -> Option:
    def read(value: Json) -> Json:
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        raise ValueError

    return Option(default, f"a whole number of at least {least}", read)


def _number(default: float, *, least: float, below: float, words: tuple[str, ...] = ()) -> Option:
    def read(value: Json) -> Json:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < below:
            return float(value)
        if value in words:
            return value
        raise ValueError

    named = "".join(f", or {word!r}" for word in words)
    return Option(default, f"a number from {least:g} to below {below:g}{named}", read)


def _switch(default: bool) -> Option:
    def read(value: Json) -> Json:
        if isinstance(value, bool):
            return value
        raise ValueError

    return Option(default, "true or false", read)


def _one_of(default: str, *values: str) -> Option:
    def read(value: Json) -> Json:
        if value in values:
            return value
        raise ValueError

    return Option(default, f"one of {', '.join(values)}", read)


def _some_of(default: tuple[str, ...], *values: str) -> Option:
    def read(value: Json) -> Json:
        if isinstance(value, (list, tuple)) and value and all(one in values for one in value):
            return [one for one in values if one in value]
        raise ValueError

    return Option(list(default), f"a list out of {', '.join(values)}", read)


@dataclass(frozen=True)
class Method:
    """One configuration of the library.

    Attributes:
        family: what decides in which compositions it may stand.
        source: the paper.
        reduction_factor: the published one; None where it has no bottleneck whose size it could set.
        options: by the library's names.
        idle: whether a fresh one changes nothing, so that it is no control.
        note: where it differs from what its name makes one expect.
    """

    family: Family
    source: str
    reduction_factor: int | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    idle: bool = False
    note: str = ""


_ACTIVATIONS = ("relu", "gelu", "swish", "tanh")
_DROPOUT = _number(0.0, least=0, below=1)
_SCALING = _number(4.0, least=0, below=1e6, words=("learned",))

METHODS: Mapping[str, Method] = {
    "seq_bn": Method(
        "bottleneck",
        "Pfeiffer et al. 2020",
        16,
        {"non_linearity": _one_of("relu", *_ACTIVATIONS), "dropout": _DROPOUT},
    ),
    "double_seq_bn": Method(
        "bottleneck",
        "Houlsby et al. 2019",
        16,
        {"non_linearity": _one_of("swish", *_ACTIVATIONS), "dropout": _DROPOUT},
    ),
    "compacter": Method(
        "bottleneck",
        "Mahabadi et al. 2021",
        32,
        {
            "phm_dim": _whole(4),
            "phm_rank": _whole(1),
            "non_linearity": _one_of("gelu", *_ACTIVATIONS),
            "dropout": _DROPOUT,
        },
        idle=True,
    ),
    "par_bn": Method(
        "parallel bottleneck",
        "He et al. 2022",
        2,
        {"scaling": _SCALING, "non_linearity": _one_of("relu", *_ACTIVATIONS), "dropout": _DROPOUT},
        idle=True,
    ),
    "lora": Method(
        "lora",
        "Hu et al. 2022",
        options={
            "r": _whole(8),
            "alpha": _whole(8),
            "dropout": _DROPOUT,
            "attn_matrices": _some_of(("q", "v"), "q", "k", "v"),
            "intermediate_lora": _switch(False),
            "output_lora": _switch(False),
        },
        idle=True,
    ),
    "ia3": Method(
        "ia3",
        "Liu et al. 2022",
        idle=True,
        note="as the library has it, the feed-forward block is scaled before its activation, not after it",
    ),
    "prefix_tuning": Method(
        "prefix",
        "Li and Liang 2021",
        options={
            "prefix_length": _whole(30),
            "bottleneck_size": _whole(512),
            "flat": _switch(False),
            "dropout": _DROPOUT,
        },
    ),
    "mam": Method(
        "mam",
        "He et al. 2022",
        2,
        {"prefix_length": _whole(30), "bottleneck_size": _whole(800), "scaling": _SCALING},
        note="prefix_tuning and par_bn together",
    ),
}

# Configurations that the library has and that are not offered, with the reason.
NOT_OFFERED: Mapping[str, str] = {
    "unipelt": "its gates average over padding, so that an answer depends on what else is in the batch",
    "seq_bn_inv": "only published language adapters may have an invertible part; train seq_bn",
    "double_seq_bn_inv": "only published language adapters may have an invertible part; train double_seq_bn",
    "loreft": "of several in a stack only the first one computes",
    "direft": "what is saved of it does not come back as it was",
    "vera": "its trained matrices are square: 50 million numbers on XLM-R Large",
}


def method(config: str) -> Method:
    """Return what is known of a configuration.

    Raises:
        MethodError: when it is not offered.
    """
    if config in METHODS:
        return METHODS[config]
    if config in NOT_OFFERED:
        raise MethodError(f"{config} is not offered: {NOT_OFFERED[config]}")
    hint = suggest(config, METHODS) or f"known: {', '.join(METHODS)}"
    raise MethodError(f"{config!r} is not among the adapter configurations; {hint}")


def option_faults(config: str, options: Mapping[str, Json]) -> list[str]:
    """Return what is wrong with the options of a configuration that is offered."""
    known = METHODS[config].options
    faults = []
    for name, value in options.items():
        if name not in known:
            hint = suggest(name, known) or f"known: {', '.join(known) or 'none'}"
            faults.append(f"{config} has no option {name!r}; {hint}")
            continue
        try:
            known[name].read(value)
        except ValueError:
            faults.append(f"{name} of {config} takes {known[name].wanted}, not {value!r}")
    return faults


def canonical_options(config: str, options: Mapping[str, Json]) -> dict[str, Json]:
    """Return options without faults in their one form: sorted, and none that only repeats the default."""
    known = METHODS[config].options
    read = {name: known[name].read(options[name]) for name in sorted(options)}
    return {name: value for name, value in read.items() if value != known[name].default}


def size_faults(config: str, reduction_factor: int, options: Mapping[str, Json], hidden: int) -> list[str]:
    """Return why a configuration without other faults does not fit a hidden size."""
    if METHODS[config].reduction_factor is None:
        return [] if reduction_factor == UNSIZED else [f"{config} has no reduction factor"]
    width = hidden // reduction_factor
    if width < 1:
        # The library would make the bottleneck one wide, whatever was asked for.
        return [f"a reduction factor of {reduction_factor} is more than the hidden size, {hidden}"]
    pieces = options.get("phm_dim", 4) if config == "compacter" else 1
    assert isinstance(pieces, int)
    if hidden % pieces or width % pieces:
        what = f"the hidden size, {hidden}, and the bottleneck's, {width}, have to be multiples of phm_dim, {pieces}"
        return [f"{config}: {what}"]
    return []


# ---- adapters of others

# What a bottleneck has to have for the compositions to mean what they say.
_BOTTLENECK: Mapping[str, Json] = {
    "original_ln_after": True,
    "residual_before_ln": True,
    "ln_before": False,
    "ln_after": False,
    "cross_adapter": False,
    "use_gating": False,
    "stochastic_depth": 0.0,
}
_LINEAR: Mapping[str, Json] = {"use_gating": False, "use_dora": False, "vera_d": None, "vera_b": None}


def family_of(config: Mapping[str, Json]) -> Family:
    """Return the family of a saved adapter's configuration, the library's own dictionary.

    Raises:
        MethodError: when it is none of those that compose as they should.
    """
    architecture = config.get("architecture")
    readers: Mapping[Json, Callable[[Mapping[str, Json]], Family]] = {
        None: _bottleneck_family,
        "lora": _linear_family,
        "prefix_tuning": _prefix_family,
        "union": _union_family,
    }
    if not isinstance(architecture, str | None) or architecture not in readers:
        raise MethodError(f"an adapter of the architecture {architecture!r} is not supported")
    return readers[architecture](config)


def _bottleneck_family(config: Mapping[str, Json]) -> Family:
    _refuse_others(config, _BOTTLENECK)
    if config.get("inv_adapter") is not None:
        return "invertible"
    return "parallel bottleneck" if config.get("is_parallel", False) else "bottleneck"


def _linear_family(config: Mapping[str, Json]) -> Family:
    _refuse_others(config, _LINEAR)
    return "ia3" if config.get("composition_mode", "add") == "scale" else "lora"


def _prefix_family(config: Mapping[str, Json]) -> Family:
    _refuse_others(config, {"use_gating": False})
    return "prefix"


def _union_family(config: Mapping[str, Json]) -> Family:
    parts = config.get("configs")
    families = (
        [family_of(part) for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    )
    if families != ["prefix", "parallel bottleneck"]:
        raise MethodError(f"a union of {', '.join(families) or 'nothing'} is not supported, only mam's")
    return "mam"


def _refuse_others(config: Mapping[str, Json], wanted: Mapping[str, Json]) -> None:
    for name, value in wanted.items():
        if name in config and config[name] != value:
            raise MethodError(f"an adapter with {name}: {config[name]!r} is not supported, only {value!r}")


# ---- compositions

_NO_FUSION: Mapping[Family, str] = {
    "lora": "a fusion attends over the outputs of bottlenecks, and lora has none",
    "ia3": "a fusion attends over the outputs of bottlenecks, and ia3 has none",
    "prefix": "a fusion attends over the outputs of bottlenecks, and prefix_tuning has none",
    "mam": "a fusion attends over the outputs of bottlenecks, and the prefix in mam has none",
    "invertible": "an invertible adapter has to be the lowest one, under the whole fusion",
}
_NO_PARALLEL: Mapping[Family, str] = {
    "prefix": "a prefix lengthens the attention's keys and has no output of its own to average",
    "mam": "the prefix in mam lengthens the attention's keys and has no output of its own to average",
    "invertible": "an invertible adapter has to be the lowest one, under all others",
}
_BESIDE: Mapping[str, Mapping[Family, str]] = {"fuse": _NO_FUSION, "parallel": _NO_PARALLEL}
# What changes the matrix products themselves, which a quantised backbone leaves to another library.
_NOT_QUANTIZED: tuple[Family, ...] = ("lora", "ia3")


def quantizable(config: str) -> bool:
    """Whether adapters of a configuration can be trained on a backbone in 8 or 4 bits."""
    return config not in METHODS or METHODS[config].family not in _NOT_QUANTIZED


_ELSEWHERE = "give it a recipe of its own with `quantize: none`"


def refusals(
    expression: compose.Expression, family: Callable[[str], Family], *, quantized: bool = False
) -> list[str]:
    """Return why a composition cannot be had with these adapters, one reason each; none where it can.

    Args:
        expression: of the grammar.
        family: name of a leaf -> its family; asked for adapters only, not for ``full_finetune``.
        quantized: whether they stand on a backbone in 8 or 4 bits.
    """
    _, expression = compose.unwrap(expression)
    if compose.is_full(expression):
        return [f"{expression}: weights in 8 or 4 bits cannot be trained; {_ELSEWHERE}"] if quantized else []
    reasons = [*_beside(expression, family), *_together(expression, family)]
    if quantized:
        reasons += [
            f"{expression}: {one} changes matrix products, which on a quantised backbone another library computes, so "
            f"that nothing would be trained; {_ELSEWHERE}"
            for one in _families(expression, family)
            if one in _NOT_QUANTIZED
        ]
    return list(dict.fromkeys(reasons))


def _groups(expression: compose.Expression) -> Iterator[compose.Group]:
    if isinstance(expression, compose.Group):
        yield expression
        for child in expression.children:
            yield from _groups(child)


def _beside(expression: compose.Expression, family: Callable[[str], Family]) -> Iterator[str]:
    """Yield what cannot stand beside others in a fusion, a mean of outputs or a mean of weights."""
    for group in _groups(expression):
        members = [(child, _families(child, family)) for child in group.children]
        if group.function in _BESIDE:
            reasons = _BESIDE[group.function]
            for child, own in members:
                # Under others in a stack an invertible adapter is the lowest; see `_together`.
                alone = (
                    own if isinstance(child, compose.Leaf) else [one for one in own if one != "invertible"]
                )
                yield from (f"{group}: {reasons[one]}" for one in alone if one in reasons)
        if group.function in (*_BESIDE, "average"):
            kinds = sorted({one for _, own in members for one in own if one != "invertible"})
            if len(kinds) > 1:
                yield f"{group}: {' and '.join(kinds)} adapters change different parts of a layer"


def _together(expression: compose.Expression, family: Callable[[str], Family]) -> Iterator[str]:
    """Yield what the adapters of a whole composition do to each other."""
    families = _families(expression, family)
    if "lora" in families and "ia3" in families:
        yield f"{expression}: lora adds to the products that ia3 scales, and the library keeps no order of the two"
    invertible = {name for name in compose.leaves(expression) if family(name) == "invertible"}
    if invertible and (
        _lowest(expression) != invertible or len(invertible) > 1 or _above(expression, invertible)
    ):
        yield f"{expression}: an invertible adapter works on the embeddings, so it stands lowest, and under all others"


def _families(expression: compose.Expression, family: Callable[[str], Family]) -> list[Family]:
    return list(dict.fromkeys(family(name) for name in compose.leaves(expression)))


def _lowest(expression: compose.Expression) -> set[str]:
    """Return the leaves that read what the layer itself gives, not the output of another adapter."""
    if isinstance(expression, compose.Leaf):
        return {expression.name}
    children = expression.children[:1] if expression.function == "stack" else expression.children
    return {name for child in children for name in _lowest(child)}


def _above(expression: compose.Expression, names: set[str]) -> bool:
    """Whether one of the names stands above another adapter anywhere."""
    return any(
        group.function == "stack"
        and names & {name for child in group.children[1:] for name in compose.leaves(child)}
        for group in _groups(expression)
    )
