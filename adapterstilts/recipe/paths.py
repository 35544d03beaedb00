"""The path of a stage while a plan is made: what the adapters behind it are made of, and why it is the library's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapterstilts.paths import LIBRARY, UNKNOWN, Making, made_here, why_library
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import (
    INIT,
    MODEL,
    NOTHING,
    SELF,
    AverageAdapters,
    Evaluate,
    FullFinetune,
    ImportAdapter,
    Majority,
    TrainAdapter,
)

_WISHED = "the recipe says so"
_WHOLE = "a whole model"
_QUANTIZED = "a quantised backbone"


@dataclass(frozen=True)
class Paths:
    """Tells the path of a stage from those before it.

    Attributes:
        stages: key -> stage, of all that come before.
        pretrained: digest of the files of an adapter from elsewhere -> what it is made of.
    """

    stages: Mapping[str, Stage]
    pretrained: Mapping[str, Making]

    def why_library(self, spec: Any, inputs: Mapping[str, str]) -> str:
        """Return why a stage that computes takes the library's path; empty where it takes the engine's."""
        if spec.numerics.path == LIBRARY:
            return _WISHED
        if isinstance(spec, FullFinetune):
            return _WHOLE
        if spec.backbone.quantize != "none":
            return _QUANTIZED
        if isinstance(spec, Evaluate):
            return self._why_evaluated(spec, inputs)
        return self._why_trained(spec, inputs, backbone_dropout=spec.training.backbone_dropout)

    def _why_evaluated(self, spec: Evaluate, inputs: Mapping[str, str]) -> str:
        if MODEL not in inputs:
            return why_library(spec.composition, self._makings(inputs), backbone_dropout=False)
        trained = self.stages[inputs[MODEL]]
        if isinstance(trained.spec, FullFinetune):
            return _WHOLE
        if isinstance(trained.spec, Majority):
            return ""
        # An adapter of the evaluation stands in the place of that of the training.
        return self._why_trained(trained.spec, {**trained.inputs, **inputs}, backbone_dropout=False)

    def _why_trained(self, spec: Any, inputs: Mapping[str, str], *, backbone_dropout: bool) -> str:
        makings = self._makings(inputs)
        if isinstance(spec, TrainAdapter):
            makings[SELF] = self._making(spec, inputs)
        composition = getattr(spec, "composition", NOTHING)
        return why_library(composition, makings, backbone_dropout=backbone_dropout)

    def _makings(self, inputs: Mapping[str, str]) -> dict[str, Making]:
        return {
            position: self._made_by(self.stages[key])
            for position, key in inputs.items()
            if position.startswith("x")
        }

    def _made_by(self, stage: Stage) -> Making:
        return self._making(stage.spec, stage.inputs)

    def _making(self, spec: Any, inputs: Mapping[str, str]) -> Making:
        """Return what the adapter of a stage is made of."""
        if isinstance(spec, ImportAdapter):
            return self.pretrained.get(spec.content, UNKNOWN)
        if isinstance(spec, AverageAdapters):
            parts = list(self._makings(inputs).values())
            return next((one for one in parts if one.uncovered), parts[0])
        if isinstance(spec, TrainAdapter) and spec.continues:
            return self._made_by(self.stages[inputs[INIT]])
        return made_here(spec.adapter)
