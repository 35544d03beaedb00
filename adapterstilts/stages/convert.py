"""A backbone from a registry package, written once into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapterstilts.backbones import PACKAGE_PREFIX
from adapterstilts.machine import versions
from adapterstilts.model.convert import convert_package
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import BackboneSpec, ConvertBackbone, stage_key
from adapterstilts.stages.context import Context
from adapterstilts.store.digest import canonical
from adapterstilts.store.store import Description, Store


def convert_backbone(stage: Stage, _context: Context, workspace: Path) -> dict[str, Any]:
    """Write the package's network as an ordinary model folder."""
    spec = stage.spec
    assert isinstance(spec, ConvertBackbone)
    convert_package(spec.package, spec.package_version, workspace)
    return {}


def converted(backbone: BackboneSpec, store: Store) -> str:
    """Return the key of a packaged backbone in the store; it is converted there if no run has done so.

    Args:
        backbone: out of a package.
        store: where it is or will be.

    Raises:
        EnvironmentFault: the package is not installed, or in another version.
    """
    package = backbone.model.removeprefix(PACKAGE_PREFIX)
    spec = ConvertBackbone(package, backbone.revision or "")
    key = stage_key(spec, {})
    if store.find(key) is None:
        # Whoever does it at the same time publishes the same bytes, of which one copy stays.
        with store.workspace(key) as workspace:
            convert_package(spec.package, spec.package_version, workspace)
            name, process = f"backbone/{package}", {"versions": dict(versions())}
            store.publish(key, workspace, Description(name, canonical(spec), {}, {}, process))
    return key
