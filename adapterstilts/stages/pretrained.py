"""An adapter that was trained elsewhere, checked and written as one of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapterstilts.model.assembly import ADAPTER_FOLDER
from adapterstilts.model.foreign import import_adapter
from adapterstilts.model.shapes import shape_of
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import ImportAdapter
from adapterstilts.stages.context import Context


def import_pretrained(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Write the adapter of a folder that the recipe names.

    Raises:
        StoreError: when it does not fit the backbone, or is not what it says.
    """
    spec = stage.spec
    assert isinstance(spec, ImportAdapter)
    source = context.pretrained[spec.content]
    shape = shape_of(context.backbone(spec.backbone, stage.inputs))
    size = import_adapter(
        source, workspace / ADAPTER_FOLDER, shape, allow_pickle=spec.content in context.trusted
    )
    return {"parameters": size}
