"""``plan.json``: the plan of a run as plain data, and what has changed since the one before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterstilts.recipe.plan import Plan, Stage
from adapterstilts.specs import changed_fields
from adapterstilts.store.digest import canonical

PLAN_FILE = "plan.json"


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON data."""
    names = {key: stage.name for key, stage in plan.stages.items()}
    stages = [
        {
            "name": stage.name,
            "key": stage.key,
            "resolved": stage.resolved,
            "spec": canonical(stage.spec),
            "inputs": {role: {"stage": names[key], "key": key} for role, key in stage.inputs.items()},
            "note": stage.note,
            "why_library": stage.why_library,
            "data": [str(use) for use in stage.data],
            "validation": [str(use) for use in stage.validation],
        }
        for stage in plan.stages.values()
    ]
    return {"stages": stages, "cells": [dataclasses.asdict(cell) for cell in plan.cells]}


def read_plan(out: Path) -> dict[str, Any]:
    """Return name -> stage of the plan of the last run in `out`; empty when there is none."""
    try:
        stages = json.loads((out / PLAN_FILE).read_text(encoding="utf-8"))["stages"]
        return {stage["name"]: stage for stage in stages}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def why_changed(stage: Stage, plan: Plan, before: Mapping[str, Any]) -> str:
    """Return what makes a stage's key differ from that of the same stage in the last run.

    Returns:
        The fields of its spec, or the inputs, that changed; an empty string when the stage is new or unchanged.
    """
    old = before.get(stage.name)
    if old is None or old["key"] == stage.key:
        return ""
    fields = changed_fields(old["spec"], canonical(stage.spec))
    if fields:
        return f"changed: {', '.join(fields)}"
    old_keys = {entry["key"] for entry in old["inputs"].values()}
    inputs = [plan.stages[key].name for key in stage.inputs.values() if key not in old_keys]
    return f"changed input: {', '.join(inputs)}"
