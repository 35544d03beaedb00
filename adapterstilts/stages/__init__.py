"""Stage kinds: one file a kind (training kinds share one), and the table that names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adapterstilts.recipe.plan import Stage
from adapterstilts.stages.average import average
from adapterstilts.stages.context import Context
from adapterstilts.stages.controls import majority, random_adapter
from adapterstilts.stages.convert import convert_backbone
from adapterstilts.stages.evaluate import evaluate
from adapterstilts.stages.pretrained import import_pretrained
from adapterstilts.stages.training import full_finetune, train_adapter, train_fusion, train_head

StageFunction = Callable[[Stage, Context, Path], dict[str, Any]]

# A stage writes its files into the workspace and returns what it measured.
STAGES: Mapping[str, StageFunction] = {
    "convert_backbone": convert_backbone,
    "train_adapter": train_adapter,
    "train_fusion": train_fusion,
    "train_head": train_head,
    "full_finetune": full_finetune,
    "average": average,
    "import_adapter": import_pretrained,
    "random_adapter": random_adapter,
    "majority": majority,
    "evaluate": evaluate,
}
