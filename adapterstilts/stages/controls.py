"""Controls and floors: an adapter that is never trained, and the most frequent answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapterstilts.data.majority import Counts, counted
from adapterstilts.model.control import write_random_adapter
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import Majority, RandomAdapter
from adapterstilts.stages.context import Context

COUNTS_FILE = "counts.json"


def random_adapter(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Write an adapter as it is before its first step."""
    spec = stage.spec
    assert isinstance(spec, RandomAdapter)
    backbone = context.backbone(spec.backbone, stage.inputs)
    return {"parameters": write_random_adapter(backbone, spec.adapter, spec.seed, workspace)}


def majority(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Write how often each answer is given in the training data."""
    spec = stage.spec
    assert isinstance(spec, Majority)
    rows = [row for use in stage.data for row in context.rows(use).rows]
    counts = counted(rows, spec.data[0].labels)
    (workspace / COUNTS_FILE).write_text(json.dumps(counts, ensure_ascii=False), encoding="utf-8")
    return {"examples": len(rows)}


def read_counts(folder: Path) -> Counts:
    """Return what `majority` wrote."""
    found = json.loads((folder / COUNTS_FILE).read_text(encoding="utf-8"))
    return [(tuple(answer) if isinstance(answer, list) else answer, count) for answer, count in found]
