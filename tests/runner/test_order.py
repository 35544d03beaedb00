"""Which stages are ready, and that the plan's order decides between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterstilts.recipe.plan import Plan
from adapterstilts.runner.order import Order
from adapterstilts.runner.prepare import Options, prepare

from .examples import stage, write_recipe


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return prepare(str(write_recipe(tmp_path)), options=Options(store=tmp_path / "store", device="cpu")).plan


def test_one_at_a_time_is_the_plan_s_order(plan: Plan) -> None:
    order, seen = Order(plan), []
    while order.is_open:
        first = next(order.ready())
        seen.append(first.key)
        order.take(first)
        order.end(first)
    assert seen == list(plan.stages)


def test_only_what_has_its_inputs_is_ready(plan: Plan) -> None:
    order = Order(plan)
    free = [one.key for one in plan.stages.values() if not one.inputs]
    assert [one.key for one in order.ready()] == free
    pairs, stack = stage(plan, "intermediate/pairs@0"), stage(plan, "target/topics/stack(pairs, target)@0")
    order.take(pairs)
    assert pairs.key not in [one.key for one in order.ready()]
    assert stack.key not in [one.key for one in order.ready()]
    order.give_back(pairs)
    assert [one.key for one in order.ready()] == free
    order.take(pairs)
    order.end(pairs)
    expected = [key for key in plan.stages if key in {*free, stack.key} - {pairs.key}]
    assert [one.key for one in order.ready()] == expected
