"""What each model of a recipe trains on: its data, what selects its best state, and what came before."""

from __future__ import annotations

from dataclasses import dataclass

from adapterstilts.recipe.adapters import Adapter
from adapterstilts.recipe.defaults import Purpose
from adapterstilts.recipe.targets import ZERO_SHOT, Target
from adapterstilts.recipe.uses import Group, Uses
from adapterstilts.specs import FewShot, Mix, Role


@dataclass(frozen=True)
class Lesson:
    """What a stage trains on, and what selects its best state.

    Attributes:
        name: in names of stages.
        names: what settings may call it.
        groups: the data, one group a task.
        validation: the same tasks' validation data; empty where nothing may select.
        mix: how several tasks share the training.
        few_shot: whether the data are a few examples.
        before: what the same method was trained on first; it goes on from there.
    """

    name: str
    names: tuple[str, ...]
    groups: tuple[Group, ...]
    validation: tuple[Group, ...] = ()
    mix: Mix | None = None
    few_shot: bool = False
    before: Lesson | None = None

    @property
    def language(self) -> str | None:
        """The language of the data; None where there are several."""
        languages = {use.language for group in self.groups for use in group}
        return languages.pop() if len(languages) == 1 else None

    def purpose(
        self, role: Role, *, full: bool = False, config: str = "", settings: str = "", method: str = ""
    ) -> Purpose:
        """Return what a stage with this lesson trains."""
        kinds = frozenset(use.task.kind for group in self.groups for use in group)
        return Purpose(role, self.names, kinds, full, self.few_shot, config, settings, method)


def target_lesson(uses: Uses, target: Target, language: str, sample: FewShot | None) -> Lesson:
    """Return what a target's model in a language trains on."""
    validation: tuple[Group, ...] = ()
    if target.validation == "source":
        validation = (uses.source(target, "validation"),)
    elif target.validation == "target":
        validation = (uses.own(target, language, "validation"),)
    first = None
    if target.source is not None:
        name = target.source.task + (f".select-{language}" if target.validation == "target" else "")
        first = Lesson(name, target.names, (uses.source(target, "train"),), validation)
    if target.setting in ZERO_SHOT:
        assert first is not None  # checked
        return first
    name = f"{target.task}.{language}"
    groups = (uses.own(target, language, "train", sample),)
    if sample is None:
        return Lesson(name, target.names, groups, validation)
    name = f"{name}.{variant(sample)}"
    return Lesson(name, target.names, groups, validation, few_shot=True, before=first)


def adapter_lesson(uses: Uses, adapter: Adapter, permuted: int | None = None) -> Lesson:
    """Return what an intermediate trains on; labels that are permuted have nothing to select by."""
    validated = adapter.validated and permuted is None
    validation = uses.adapter(adapter, "validation") if validated else ()
    groups = uses.adapter(adapter, "train", permuted)
    return Lesson(adapter.name, adapter.names, groups, validation, adapter.mix)


def variant(sample: FewShot) -> str:
    """Return a sample as it stands in names of stages."""
    return f"few-{sample.k}-{sample.draw}"
