"""The table of methods: options, sizes, families, and what may be composed."""

from __future__ import annotations

from typing import Any

import pytest

from adapterstilts import compose
from adapterstilts.methods import (
    METHODS,
    NOT_OFFERED,
    UNSIZED,
    Family,
    MethodError,
    canonical_options,
    family_of,
    method,
    option_faults,
    refusals,
    size_faults,
)


def test_unknown_methods_are_told_with_the_nearest_or_the_reason() -> None:
    assert method("lora") is METHODS["lora"]
    with pytest.raises(
        MethodError, match="'loar' is not among the adapter configurations; did you mean 'lora'"
    ):
        method("loar")
    with pytest.raises(MethodError, match="known: seq_bn, "):
        method("x")
    for name, reason in NOT_OFFERED.items():
        with pytest.raises(MethodError, match=f"{name} is not offered: {reason}"):
            method(name)


@pytest.mark.parametrize("name", METHODS)
def test_the_table_says_what_the_library_has(name: str) -> None:
    from adapters.configuration import ADAPTER_CONFIG_MAP

    known, config = METHODS[name], ADAPTER_CONFIG_MAP[name]
    parts = list(config.configs) if name == "mam" else [config]
    defaults = {key: value for part in parts for key, value in part.to_dict().items()}
    assert {key: defaults[key] for key in known.options} == {k: o.default for k, o in known.options.items()}
    assert known.reduction_factor == defaults.get("reduction_factor")
    assert family_of(config.to_dict()) == known.family


@pytest.mark.parametrize("name", METHODS)
def test_a_default_is_a_value_that_an_option_takes(name: str) -> None:
    defaults = {key: option.default for key, option in METHODS[name].options.items()}
    assert option_faults(name, defaults) == []
    assert canonical_options(name, defaults) == {}


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("lora", {"rank": 4}, "lora has no option 'rank'; known: r, alpha"),
        ("lora", {"alphas": 4}, "did you mean 'alpha'"),
        ("ia3", {"r": 4}, "ia3 has no option 'r'; known: none"),
        ("lora", {"r": 0}, "r of lora takes a whole number of at least 1, not 0"),
        ("lora", {"r": True}, "not True"),
        ("lora", {"r": 1.5}, "not 1.5"),
        ("lora", {"dropout": 1}, "dropout of lora takes a number from 0 to below 1, not 1"),
        ("lora", {"dropout": True}, "not True"),
        ("lora", {"attn_matrices": []}, "takes a list out of q, k, v, not []"),
        ("lora", {"attn_matrices": ["o"]}, "not ['o']"),
        ("lora", {"attn_matrices": "qv"}, "not 'qv'"),
        ("lora", {"output_lora": 1}, "takes true or false, not 1"),
        ("seq_bn", {"non_linearity": "sine"}, "takes one of relu, gelu, swish, tanh, not 'sine'"),
        (
            "par_bn",
            {"scaling": "channel"},
            "takes a number from 0 to below 1e+06, or 'learned', not 'channel'",
        ),
    ],
)
def test_an_option_that_cannot_be_is_told(name: str, options: dict[str, Any], what: str) -> None:
    (fault,) = option_faults(name, options)
    assert what in fault


def test_equal_options_have_one_form() -> None:
    assert canonical_options("lora", {"r": 4, "dropout": 0, "alpha": 8}) == {"r": 4}
    assert canonical_options("lora", {"attn_matrices": ["v", "q"]}) == {}
    assert canonical_options("lora", {"attn_matrices": ("v", "k")}) == {"attn_matrices": ["k", "v"]}
    scaled = canonical_options("par_bn", {"scaling": 2, "dropout": 0.1})
    assert list(scaled.items()) == [("dropout", 0.1), ("scaling", 2.0)]
    # The library takes a whole number for the name of a way to scale.
    assert isinstance(scaled["scaling"], float)


@pytest.mark.parametrize(
    ("name", "factor", "options", "what"),
    [
        ("seq_bn", 16, {}, None),
        ("seq_bn", 33, {}, "a reduction factor of 33 is more than the hidden size, 32"),
        ("lora", UNSIZED, {}, None),
        ("lora", 16, {}, "lora has no reduction factor"),
        ("compacter", 8, {}, None),
        ("compacter", 32, {}, "the bottleneck's, 1, have to be multiples of phm_dim, 4"),
        ("compacter", 8, {"phm_dim": 3}, "multiples of phm_dim, 3"),
        ("mam", 2, {}, None),
    ],
)
def test_a_size_that_does_not_fit_is_told(
    name: str, factor: int, options: dict[str, Any], what: str | None
) -> None:
    faults = size_faults(name, factor, options, hidden=32)
    assert len(faults) == (what is not None)
    assert what is None or what in faults[0]


# ---- configurations of others


def bottleneck(**changes: Any) -> dict[str, Any]:
    from adapters import SeqBnConfig

    return {**SeqBnConfig().to_dict(), **changes}


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (bottleneck(), "bottleneck"),
        (bottleneck(is_parallel=True), "parallel bottleneck"),
        (bottleneck(inv_adapter="nice"), "invertible"),
        ({"architecture": "lora"}, "lora"),
        ({"architecture": "lora", "composition_mode": "scale"}, "ia3"),
        ({"architecture": "prefix_tuning"}, "prefix"),
    ],
)
def test_a_saved_configuration_has_a_family(config: dict[str, Any], family: Family) -> None:
    assert family_of(config) == family


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"architecture": "prompt_tuning"}, "the architecture 'prompt_tuning' is not supported"),
        ({"architecture": ["lora"]}, "is not supported"),
        (bottleneck(use_gating=True), "use_gating: True is not supported, only False"),
        (bottleneck(original_ln_after=False), "original_ln_after: False"),
        (bottleneck(residual_before_ln="post_add"), "residual_before_ln: 'post_add'"),
        (bottleneck(ln_after=True), "ln_after: True"),
        (bottleneck(stochastic_depth=0.1), "stochastic_depth"),
        ({"architecture": "lora", "use_dora": True}, "use_dora"),
        ({"architecture": "lora", "vera_d": 0.1}, "vera_d"),
        ({"architecture": "prefix_tuning", "use_gating": True}, "use_gating"),
        ({"architecture": "union", "configs": [bottleneck()]}, "a union of bottleneck is not supported"),
        ({"architecture": "union", "configs": None}, "a union of nothing is not supported"),
    ],
)
def test_a_configuration_that_composes_otherwise_is_refused(config: dict[str, Any], what: str) -> None:
    with pytest.raises(MethodError) as caught:
        family_of(config)
    assert what in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(NOT_OFFERED) - {"seq_bn_inv", "double_seq_bn_inv"}))
def test_what_is_not_offered_is_not_taken_from_others_either(name: str) -> None:
    from adapters.configuration import ADAPTER_CONFIG_MAP

    with pytest.raises(MethodError):
        family_of(ADAPTER_CONFIG_MAP[name].to_dict())


# ---- compositions

FAMILIES: dict[str, Family] = {
    "a": "bottleneck",
    "b": "bottleneck",
    "p": "parallel bottleneck",
    "v": "invertible",
    "w": "invertible",
    "l": "lora",
    "i": "ia3",
    "f": "prefix",
    "m": "mam",
    "target": "bottleneck",
}


@pytest.mark.parametrize(
    "text",
    [
        "full_finetune",
        "full_stilts(l)",
        "target",
        "stack(l, f, m, p, target)",
        "fuse(a, b)",
        "fuse(a, b, target)",
        "parallel(a, b)",
        "average(a, b)",
        "stack(v, target)",
        "stack(v, fuse(a, b), target)",
        "stack(v, parallel(a, b), target)",
        "fuse(stack(v, a), stack(v, b))",
        "parallel(stack(v, a), stack(v, b))",
        "init_from(f)",
        "stack(l, fuse(a, b), target)",
    ],
)
def test_what_has_a_meaning_is_allowed(text: str) -> None:
    assert refusals(compose.parse(text), FAMILIES.__getitem__) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fuse(a, l)", "fuse(a, l): a fusion attends over the outputs of bottlenecks, and lora has none"),
        ("fuse(a, i)", "ia3 has none"),
        ("fuse(a, f)", "prefix_tuning has none"),
        ("stack(fuse(a, m), target)", "the prefix in mam has none"),
        ("parallel(f, a)", "a prefix lengthens the attention's keys"),
        ("stack(parallel(a, m), target)", "the prefix in mam lengthens"),
        ("fuse(a, p)", "bottleneck and parallel bottleneck adapters change different parts of a layer"),
        ("parallel(a, l)", "bottleneck and lora adapters change different parts of a layer"),
        ("stack(average(a, l), target)", "average(a, l): bottleneck and lora"),
        ("stack(l, i, target)", "lora adds to the products that ia3 scales"),
        ("fuse(a, v)", "has to be the lowest one"),
        ("stack(a, v, target)", "stands lowest"),
        ("stack(v, w, target)", "stands lowest"),
        ("fuse(stack(v, a), b)", "under all others"),
        ("fuse(stack(v, a), stack(w, b))", "under all others"),
        ("parallel(stack(v, a), stack(a, b))", "under all others"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_reason(text: str, reason: str) -> None:
    found = refusals(compose.parse(text), FAMILIES.__getitem__)
    assert any(reason in one for one in found), found


def test_settings_are_no_part_of_a_composition() -> None:
    assert refusals(compose.parse("with(big, stack(v, target))"), FAMILIES.__getitem__) == []
    assert refusals(compose.parse("with(big, fuse(a, l))"), FAMILIES.__getitem__) != []
