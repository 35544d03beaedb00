"""Methods that a recipe's adapters do not allow: each is refused by `recipe check`, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterstilts import compose
from adapterstilts.recipe.compositions import refusal_faults
from adapterstilts.recipe.load import load

from .examples import TASKS, recipe_data, write
from .test_load import faults

WIKI: dict[str, Any] = {
    "kind": "mlm",
    "languages": {code: {"train": f"wiki.{code}"} for code in ("en", "sw", "no")},
    "format": {"type": "jsonl"},
}
ALL: dict[str, Any] = {
    "tasks": {**TASKS, "wiki": WIKI},
    "domain": [{"name": "tweets", "task": "wiki"}],
    "language": [{"name": f"wiki-{code}", "task": "wiki", "language": code} for code in ("en", "sw", "no")],
    "adapters": {
        "lora": {"config": "lora"},
        "prefix": {"config": "prefix_tuning"},
        "beside": {"config": "par_bn"},
        "small": {"reduction_factor": 64},
        "compact": {"config": "compacter"},
    },
}


@pytest.mark.parametrize(
    "method",
    [
        "init_from(pairs)",
        "init_from(placebo(pairs))",
        "longer(pairs)",
        "head_only",
        "majority",
        "stack(random, target)",
        "stack(parallel(pairs, reply), target)",
        "stack(tweets, fuse(pairs, reply), target)",
        "fuse(stack(<language>, pairs), stack(<language>, reply))",
        "fuse(stack(<language>, target), pairs)",
        "stack(<language>, target)",
        "full_stilts(placebo(<intermediate>))",
        "full_stilts(tweets)",
        "with(lora, stack(<intermediate>, target))",
        "with(lora, stack(average(pairs, reply), target))",
        "with(small, fuse(pairs, reply, target))",
        "with(prefix, init_from(pairs))",
        "with(compact, stack(parallel(pairs, reply), target))",
    ],
)
def test_what_makes_sense_is_allowed(method: str, tmp_path: Path) -> None:
    recipe = load(str(write(tmp_path, recipe_data(**ALL, methods=["target", method]))))
    assert len(recipe.methods) >= 2


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (
            "with(lora, fuse(pairs, target))",
            "a fusion attends over the outputs of bottlenecks, and lora has none",
        ),
        ("with(prefix, stack(fuse(pairs, reply), target))", "and prefix_tuning has none"),
        ("with(prefix, stack(parallel(pairs, reply), target))", "has no output of its own to average"),
        (
            "stack(placebo(tweets), target)",
            "'wiki' is plain text, which has no labels to permute; leave it out",
        ),
        (
            "with(lora, stack(random, target))",
            "a lora that was never trained changes nothing, so it is no control",
        ),
        ("with(compact, stack(random, target))", "a compacter that was never trained changes nothing"),
    ],
)
def test_what_makes_none_is_refused_with_its_reason(method: str, reason: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, **ALL, methods=["target", method])
    assert fault.startswith("methods[1]: ")
    assert reason in fault


def test_adapters_of_different_kinds_are_told_apart(tmp_path: Path) -> None:
    mixed = {**ALL, "intermediate": ["pairs", {"name": "reply", "task": "reply", "adapter": "lora"}]}
    (fault,) = faults(tmp_path, **mixed, methods=["target", "stack(parallel(pairs, reply), target)"])
    assert "bottleneck and lora adapters change different parts of a layer" in fault
    # Where its own settings do not clash, the same intermediate may stand.
    load(str(write(tmp_path, recipe_data(**mixed, methods=["target", "stack(reply, target)"]))))


def test_an_average_needs_one_shape(tmp_path: Path) -> None:
    mixed = {**ALL, "intermediate": ["pairs", {"name": "reply", "task": "reply", "adapter": "small"}]}
    (fault,) = faults(tmp_path, **mixed, methods=["target", "stack(average(pairs, reply), target)"])
    assert fault == (
        "methods[1]: stack(average(pairs, reply), target): pairs and reply have different settings, so that their "
        "weights have no mean; give them the same `adapter`"
    )


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"reduction_factor": 64}, True),
        ({"skip_layers": 4}, False),
        ({"config": "double_seq_bn"}, False),
        ({"config": "compacter"}, False),
    ],
)
@pytest.mark.parametrize("method", ["fuse(pairs, reply, target)", "stack(parallel(pairs, reply), target)"])
def test_adapters_side_by_side_work_in_the_same_places(
    settings: dict[str, Any], allowed: bool, method: str, tmp_path: Path
) -> None:
    own = [{"name": "pairs", "task": "pairs", "adapter": "own"}, "reply"]
    changes = {**ALL, "adapters": {"own": settings}, "intermediate": own, "methods": ["target", method]}
    if allowed:
        load(str(write(tmp_path, recipe_data(**changes))))
        return
    (fault,) = faults(tmp_path, **changes)
    assert fault.startswith(
        f"methods[1]: {method}: pairs and reply work in different layers, or places of a layer"
    )


def test_a_stack_covers_what_its_parts_do(tmp_path: Path) -> None:
    own = [{"name": "pairs", "task": "pairs", "adapter": "upper"}, "reply"]
    changes = {**ALL, "adapters": {"upper": {"skip_layers": 4}}, "intermediate": own}
    method = "stack(parallel(stack(tweets, pairs), reply), target)"
    load(str(write(tmp_path, recipe_data(**changes, methods=["target", method]))))
    (fault,) = faults(tmp_path, **changes, methods=["target", "stack(parallel(pairs, reply), target)"])
    assert "work in different layers" in fault


def test_loras_side_by_side_change_the_same_products(tmp_path: Path) -> None:
    own = [{"name": "pairs", "task": "pairs", "adapter": "keys"}, "reply"]
    keys = {"config": "lora", "options": {"attn_matrices": ["k", "v"]}}
    changes = {**ALL, "adapters": {"keys": keys, "lora": {"config": "lora"}}, "intermediate": own}
    (fault,) = faults(
        tmp_path, **changes, methods=["target", "with(lora, stack(parallel(pairs, reply), target))"]
    )
    assert "pairs and reply work in different layers, or places of a layer" in fault


PRETRAINED = {"pretrained": [{"name": "old", "path": "old"}]}


@pytest.mark.parametrize("method", ["stack(placebo(old), target)", "longer(old)", "full_stilts(old)"])
def test_what_was_trained_elsewhere_cannot_be_trained_otherwise(method: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, **ALL, **PRETRAINED, methods=["target", method])
    assert "old was trained elsewhere, and" in fault


def test_a_pretrained_adapter_is_judged_when_its_kind_is_known(tmp_path: Path) -> None:
    methods = ["target", "fuse(old, target)", "stack(old, target)"]
    file = load(str(write(tmp_path, recipe_data(**ALL, **PRETRAINED, methods=methods)))).file
    places = {compose.parse(method): f"methods[{i}]" for i, method in enumerate(methods)}
    assert refusal_faults(file, places) == []
    assert refusal_faults(file, places, {"old": "bottleneck"}) == []
    found = refusal_faults(file, places, {"old": "lora"})
    assert {fault.where for fault in found} == {"methods[1]"}
    assert "lora has none" in found[0].what


def test_names_are_unique_over_all_sections(tmp_path: Path) -> None:
    found = faults(
        tmp_path, **ALL, pretrained=[{"name": "tweets", "path": "x"}, {"name": "random", "path": "x"}]
    )
    assert found == [
        "pretrained[0]: the name 'tweets' stands twice; names are unique",
        "pretrained[1]: 'random' is a reserved word; choose another `name`",
    ]
