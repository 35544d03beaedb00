"""Training settings where a recipe is silent, and how the sections are laid over each other.

Sources of the figures: adapters 1e-4 (Pfeiffer et al. 2020), LoRA 3e-4 (Hu et al. 2022, RoBERTa Large on MNLI), IA3
3e-3 (Liu et al. 2022), AdapterFusion 5e-5 (Pfeiffer et al. 2021), the whole model 2e-5 (Phang et al. 2020 and XTREME's
scripts, Hu et al. 2020), a head alone 1e-3, the end of the range in which adapters are tuned; windows of 384 subwords
every 128 for question answering (XTREME's scripts). A few examples are a handful of steps an epoch, so that they are
passed over 20 times (Mosbach et al. 2021, who find that small data need many steps rather than other rates).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from adapterstilts.compose import HEAD_ONLY
from adapterstilts.errors import Fault
from adapterstilts.recipe.schema import TrainingFields, TrainingSection
from adapterstilts.specs import Precision, Role, TrainingSpec

_GENERAL = TrainingFields(
    precision="auto",
    path="auto",
    tokens_per_batch=4096,
    max_length=128,
    learning_rate=1e-4,
    epochs=3,
    warmup=0.1,
    weight_decay=0.01,
    max_grad_norm=1.0,
    backbone_dropout="auto",
    evaluations=0,
    accumulate=1,
    class_weights="none",
)
_LONG_KIND = "span_qa"
_LONG = TrainingFields(max_length=384)
PASSAGE_STRIDE = 128
_MOVING = TrainingFields(stride=PASSAGE_STRIDE)
_BY_ROLE = {"fusion": TrainingFields(learning_rate=5e-5)}
_BY_CONFIG = {
    "lora": TrainingFields(learning_rate=3e-4),
    "ia3": TrainingFields(learning_rate=3e-3),
    HEAD_ONLY: TrainingFields(learning_rate=1e-3),
}
# Kinds whose answers are classes of a fixed list.
_CLASS_KINDS = frozenset({"classification", "tagging"})
_FULL = TrainingFields(learning_rate=2e-5)
_FEW_SHOT = TrainingFields(epochs=20)


@dataclass(frozen=True)
class Purpose:
    """What a stage trains, as far as its settings depend on it.

    Attributes:
        role: a domain adapter trains as an intermediate does.
        names: what `by_task` may call it: the task or mix it trains on, then the target that it trains for.
        kinds: of its tasks.
        full: whether the whole model trains.
        few_shot: whether it trains on a few examples.
        config: configuration of the adapter that trains; ``head_only`` for a head alone, empty without an adapter.
        settings: name of the adapter's settings; empty for the recipe's own, or without an adapter.
        method: what trains last here on a target, canonical; empty for what comes before it.
    """

    role: Role
    names: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    full: bool = False
    few_shot: bool = False
    config: str = ""
    settings: str = ""
    method: str = ""


def resolve_training(
    section: TrainingSection, purpose: Purpose, auto_precision: Precision
) -> tuple[TrainingSpec, Precision]:
    """Return the settings of one training stage.

    Args:
        section: the recipe's ``training:``.
        purpose: what trains.
        auto_precision: what ``auto`` means on this machine.
    """
    merged = _merged([fields for _, fields in _layers(section, purpose)])
    precision = merged.pop("precision")
    del merged["path"]
    dropout = merged.pop("backbone_dropout")
    if not purpose.kinds & _CLASS_KINDS:
        merged["class_weights"] = "none"
    spec = TrainingSpec(backbone_dropout=purpose.full if dropout == "auto" else dropout, **merged)
    return spec, auto_precision if precision == "auto" else precision


def wants_library(section: TrainingSection, purpose: Purpose) -> bool:
    """Whether a stage is to take the library's path even where the engine could compute it."""
    return bool(_merged([fields for _, fields in _layers(section, purpose)])["path"] == "library")


def selects(section: TrainingSection, purposes: Iterable[Purpose]) -> bool:
    """Whether any of the stages is scored on validation data while it trains."""
    return any(resolve_training(section, purpose, "fp32")[0].evaluations for purpose in purposes)


def _layers(section: TrainingSection, purpose: Purpose) -> list[tuple[str, TrainingFields]]:
    """Return the sections that a stage reads, from general to special, by name; empty for what is built in."""
    place = purpose.role if purpose.role in ("target", "fusion") else "intermediate"
    layers = [("", _GENERAL)]
    layers += [("", _LONG)] if _LONG_KIND in purpose.kinds else []
    # A stride given here would reach all kinds of a mix; where none is given each has its own way of long texts.
    layers += [("", _MOVING)] if purpose.kinds == {_LONG_KIND} else []
    layers += [("default", section.default), ("", _BY_ROLE.get(place, TrainingFields()))]
    # A rate that suits bottlenecks is too low for what has fewer numbers; `default` does not reach these either.
    layers += [("", _BY_CONFIG[purpose.config])] if purpose.config in _BY_CONFIG else []
    layers.append((place, getattr(section, place)))
    own = section.by_adapter.get(purpose.settings)
    layers += [(f"by_adapter.{purpose.settings}", own)] if own is not None else []
    # A rate that suits adapters ruins a whole model, so `default` does not reach the whole model's rate.
    layers += [("", _FULL), ("full_finetune", section.full_finetune)] if purpose.full else []
    named = [name for name in purpose.names if name in section.by_task]
    layers += [(f"by_task.{name}", section.by_task[name]) for name in named]
    if purpose.few_shot:
        few = section.few_shot
        few = few.model_copy(update={"learning_rate": None}) if purpose.full else few
        layers += [("", _FEW_SHOT), ("few_shot", few)]
    last = section.by_method.get(purpose.method)
    return layers + ([(f"by_method.{purpose.method}", last)] if last is not None else [])


def _merged(layers: Iterable[TrainingFields]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        given = layer.model_dump(exclude_none=True)
        # The later section decides how long to train, in whichever unit it speaks; steps win within one.
        if given.keys() & {"epochs", "steps"}:
            merged["steps"] = merged["epochs"] = None
        # Where evaluations are switched off, the patience of an earlier section has nothing left to count.
        if given.get("evaluations") == 0:
            merged["patience"] = None
        merged.update(given)
        if given.get("steps") is not None:
            merged["epochs"] = None
    return merged


def training_faults(section: TrainingSection, purposes: Iterable[Purpose]) -> list[Fault]:
    """Return what contradicts in the settings of a recipe's stages, with places inside the recipe."""
    return list(dict.fromkeys(fault for purpose in purposes for fault in _faults(section, purpose)))


def _faults(section: TrainingSection, purpose: Purpose) -> Iterator[Fault]:
    spec, _ = resolve_training(section, purpose, "fp32")
    if spec.patience is not None and spec.evaluations == 0:
        giving = [name for name, fields in _layers(section, purpose) if fields.patience is not None]
        what = f"patience counts evaluations, and {purpose.names[0]!r} has none"
        yield Fault(f"training.{giving[-1]}.patience", what, "set `evaluations` beside it")
