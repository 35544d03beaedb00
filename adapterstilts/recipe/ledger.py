"""The stages of a plan while it is made: each once, under a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapterstilts.backbones import PACKAGE_PREFIX
from adapterstilts.paths import ENGINE, LIBRARY
from adapterstilts.recipe.material import UNRESOLVED, Materials
from adapterstilts.recipe.paths import Paths
from adapterstilts.recipe.plan import Stage
from adapterstilts.recipe.uses import Group
from adapterstilts.specs import (
    BACKBONE,
    BackboneSpec,
    ConvertBackbone,
    Evaluate,
    StageSpec,
    TrainingStage,
    stage_key,
)


@dataclass
class Ledger:
    """Stages in an order in which each comes after its inputs.

    Attributes:
        materials: what is known of the data.
        stages: key -> stage.
    """

    materials: Materials
    stages: dict[str, Stage] = field(default_factory=dict)
    _names: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        name: str,
        spec: StageSpec,
        inputs: Mapping[str, str],
        data: Group = (),
        validation: Group = (),
        note: str = "",
    ) -> str:
        """Add a stage unless it is there, and return its key; see `Stage`."""
        inputs = dict(inputs)
        backbone = getattr(spec, "backbone", None)
        if isinstance(backbone, BackboneSpec) and backbone.model.startswith(PACKAGE_PREFIX):
            inputs[BACKBONE] = self._backbone(backbone)
        spec, why_library = self._on_path(spec, inputs)
        key = stage_key(spec, inputs)
        if key not in self.stages:
            # Two targets may train on one task in different ways; a name means one stage.
            self._names[name] += 1
            name = f"{name}#{self._names[name]}" if self._names[name] > 1 else name
            stage = Stage(name, spec, inputs, key, data, validation, note=note, why_library=why_library)
            self.stages[key] = replace(stage, resolved=self._is_resolved(stage))
        return key

    def _on_path(self, spec: StageSpec, inputs: Mapping[str, str]) -> tuple[StageSpec, str]:
        """Return the spec with the path that its stage takes, and why it is the library's."""
        if not isinstance(spec, TrainingStage | Evaluate):
            return spec, ""
        why = Paths(self.stages, self.materials.surroundings.makings).why_library(spec, inputs)
        return replace(spec, numerics=replace(spec.numerics, path=LIBRARY if why else ENGINE)), why

    def _is_resolved(self, stage: Stage) -> bool:
        known = not any(self.materials.content(use).startswith(UNRESOLVED) for use in stage.reads)
        return known and all(self.stages[key].resolved for key in stage.inputs.values())

    def _backbone(self, spec: BackboneSpec) -> str:
        package = spec.model.removeprefix(PACKAGE_PREFIX)
        return self.add(f"backbone/{package}", ConvertBackbone(package, spec.revision or ""), {})
