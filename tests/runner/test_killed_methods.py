"""Controls, floors, language adapters and what goes on: killed at named points, they end in the same bits."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from adapterstilts.model.backbone import Backbone
from adapterstilts.model.control import write_random_adapter
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.specs import AdapterSpec
from adapterstilts.store.store import Store

METHODS = (
    "target",
    "head_only",
    "majority",
    "stack(random, target)",
    "stack(placebo(pairs), target)",
    "longer(pairs)",
    "init_from(pairs)",
    "stack(parallel(reply, pairs), target)",
    "stack(old, target)",
    "stack(<language>, target)",
    "fuse(stack(<language>, reply), stack(<language>, pairs))",
    "with(lora, target)",
)
FUSED = "fusion/topics/fuse(stack(<language>, pairs), stack(<language>, reply))@0"
SWAPPED = "evaluate/topics.xx.test/stack(<language>, target)@0"


@dataclass(frozen=True)
class Unbroken:
    """A run that nobody killed.

    Attributes:
        recipe: its file.
        order: its stages.
        steps: name -> steps, of those that train.
        digests: of all that it made.
    """

    recipe: Path
    order: tuple[Stage, ...]
    steps: dict[str, int]
    digests: dict[str, dict[str, str]]

    def nth(self, point: str, name: str) -> int:
        """Return how often a point is reached until the middle of a stage."""
        before = [stage.name for stage in self.order[: [one.name for one in self.order].index(name)]]
        if point == "evaluation":
            return 1 + sum(one.startswith("evaluate/") for one in before)
        if point in ("before_rename", "after_rename"):
            return 1 + len(before)
        # A checkpoint is written after each step but the last one.
        idle = 1 if point == "checkpoint_write" else 0
        return 2 + sum(self.steps[one] - idle for one in before if one in self.steps)


@pytest.fixture(scope="module")
def unbroken(
    shared_backbone: Backbone, backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Unbroken:
    folder = tmp_path_factory.mktemp("unbroken")
    write_random_adapter(shared_backbone, AdapterSpec("seq_bn", 8), 9, folder / "old")
    more = f"{tiny.MORE}pretrained: [{{name: old, path: {folder / 'old' / 'adapter'}}}]\n"
    recipe = tiny.write_recipe(
        folder,
        backbone_folder,
        methods=METHODS,
        languages=["xx"],
        more_targets=(),
        seeds=[0],
        steps=3,
        more=more,
    )
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(
        text.replace("steps: 3}", "steps: 3, accumulate: 2, class_weights: balanced}"), encoding="utf-8"
    )
    torch.set_num_threads(1)
    options = Options(store=folder / "store")
    tiny.train(str(recipe), options)
    store = Store(folder / "store")
    order = tuple(prepare(str(recipe), options=options).plan.stages.values())
    steps: dict[str, int] = {
        one.record.name: one.record.results["steps"]
        for one in store.artifacts()
        if "steps" in one.record.results
    }
    return Unbroken(recipe, order, steps, tiny.digests(store))


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ("optimiser_step", "target/topics/head_only@0"),
        ("optimiser_step", "target/topics/init_from(pairs)@0"),
        ("checkpoint_write", "target/topics/longer(pairs)@0"),
        ("checkpoint_write", "intermediate/placebo(pairs)@0"),
        ("optimiser_step", "target/topics/stack(parallel(pairs, reply), target)@0"),
        ("checkpoint_write", FUSED),
        ("optimiser_step", "target/topics/with(lora, target)@0"),
        ("before_rename", "control/random@0"),
        ("after_rename", "pretrained/old"),
        ("before_rename", "majority/topics"),
        ("evaluation", SWAPPED),
    ],
)
def test_a_killed_run_is_finished_to_the_same_bits(
    unbroken: Unbroken, tmp_path: Path, point: str, name: str
) -> None:
    options: Any = Options(store=tmp_path, checkpoint_seconds=0.0)
    kill_at = f"{point}:{unbroken.nth(point, name)}"
    assert tiny.run_in_child(tiny.train, str(unbroken.recipe), options, kill_at=kill_at) == -signal.SIGKILL
    store = Store(tmp_path)
    names = [stage.name for stage in unbroken.order]
    made = names[: names.index(name) + (point == "after_rename")]
    assert set(tiny.digests(store)) == set(made)
    listener = tiny.Listener()
    tiny.train(str(unbroken.recipe), options, listener)
    assert tiny.digests(store) == unbroken.digests
    assert {one for one, status in listener.ended.items() if status == "cached"} == set(made)
    if name in unbroken.steps:
        # Killed after its second step: the checkpoint of the first one is what was left.
        assert listener.first[name] == 2
    assert store.verify() == []
