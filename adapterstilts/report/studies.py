"""What a study chose, and on what terms: on disk beside the results, and in the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from adapterstilts.errors import DataError, Fault
from adapterstilts.files import replace_text
from adapterstilts.report.display import seconds_text

STUDY_FILE = "study.json"


@dataclass(frozen=True)
class Choice:
    """A trial that something is said of.

    Attributes:
        method: as results name it.
        settings: that the study chose, as text; empty for those of the recipe.
        trial: its number.
        value: its score on the data that decided, higher is better.
        parameters: that it trained; None where no objective asked.
        disk: bytes that predicting reads beside the backbone; None where no objective asked.
    """

    method: str
    settings: str
    trial: int
    value: float
    parameters: float | None = None
    disk: float | None = None


@dataclass(frozen=True)
class Regret:
    """What it costs to select on the source's validation data, on the target's: a study of the best of all trials.

    Attributes:
        on_source: the trial that the source's data choose.
        on_target: the trial that the target's data choose.
        loss: how much lower the first scores on the target's validation data.
        trials: that were scored on both.
    """

    on_source: str
    on_target: str
    loss: float
    trials: int


@dataclass(frozen=True)
class Spending:
    """What was trained for the trials of a study, where equal work is done once, and what each from nothing would take.

    Attributes:
        trials: complete ones.
        models: adapters, fusions and whole models that were trained for them.
        seconds: of their training.
        models_alone: that the trials would train, each from nothing.
        seconds_alone: of that training, as long as it took here.
    """

    trials: int
    models: int
    seconds: float
    models_alone: int
    seconds_alone: float


@dataclass(frozen=True)
class StudyFacts:
    """A study as the report tells it.

    Attributes:
        name: of the study.
        storage: where its trials are.
        select_on: whose validation data decided.
        metric: of the scores.
        states: state -> number of trials.
        families: kind of composition, or method -> number of trials.
        winner: the best composition, or the best of the methods where no compositions were searched.
        single: the best single adapter of the pool under the target's; None where none was tried.
        tuned: method -> on how many trials its settings were chosen, as text.
        regret: of selecting on the source's data; None without target validation data.
        front: of several objectives: the trials that no other is better than in all of them.
        spending: of its trials; None where the store no longer holds what they trained.
    """

    name: str
    storage: str
    select_on: str
    metric: str
    states: Mapping[str, int]
    families: Mapping[str, int]
    winner: Choice
    single: Choice | None
    tuned: Mapping[str, str]
    regret: Regret | None
    front: tuple[Choice, ...]
    spending: Spending | None = None


def write_study(folder: Path, study: StudyFacts | None) -> None:
    """Write ``study.json``, or remove that of an earlier run where no study went before this one."""
    if study is None:
        (folder / STUDY_FILE).unlink(missing_ok=True)
        return
    replace_text(folder / STUDY_FILE, json.dumps(asdict(study), ensure_ascii=False, indent=1) + "\n")


def read_study(folder: Path) -> StudyFacts | None:
    """Return what `write_study` wrote; None where no study went before.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return StudyFacts(
            **{
                **data,
                "winner": Choice(**data["winner"]),
                "single": Choice(**data["single"]) if data["single"] else None,
                "regret": Regret(**data["regret"]) if data["regret"] else None,
                "front": tuple(Choice(**one) for one in data["front"]),
                "spending": Spending(**data["spending"]) if data.get("spending") else None,
            }
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(Fault(str(path), f"cannot be read: {error}", "run the recipe again")) from error


def study_lines(study: StudyFacts) -> list[str]:
    """Return what a reader has to know about a study, one fact a line."""
    states = ", ".join(f"{number} {state}" for state, number in study.states.items())
    families = ", ".join(f"{family} {number}" for family, number in study.families.items())
    data = "the target's" if study.select_on == "target_validation" else "the source's"
    lines = [
        f"Study {study.name}: {sum(study.states.values())} trials ({states}), by kind: {families}.",
        f"{study.metric} on {data} validation data decided; test data were read after it, once, with other seeds.",
        f"Winner: {_told(study.winner)}.",
    ]
    if study.single is not None:
        lines.append(f"Best single adapter: {_told(study.single)}.")
    if study.regret is not None:
        lines.append(_regret_line(study.regret))
    if study.spending is not None:
        lines.append(_spending_line(study.spending))
    if study.front:
        lines.append("No trial is better in all objectives than: " + "; ".join(map(_told, study.front)) + ".")
    return lines


def _told(choice: Choice) -> str:
    costs = [f"{choice.value:.4f}"]
    costs += [f"{choice.parameters:,.0f} parameters"] if choice.parameters is not None else []
    costs += [f"{choice.disk:,.0f} bytes"] if choice.disk is not None else []
    settings = f", {choice.settings}" if choice.settings else ""
    return f"{choice.method}{settings} (trial {choice.trial}: {', '.join(costs)})"


def _spending_line(spending: Spending) -> str:
    return (
        f"Training for the {spending.trials} complete trials: {spending.models} models in "
        f"{seconds_text(spending.seconds)}; each trial from nothing: {spending.models_alone} models in "
        f"{seconds_text(spending.seconds_alone)}."
    )


def _regret_line(regret: Regret) -> str:
    same = "the same trial" if regret.on_source == regret.on_target else f"{regret.on_target}"
    return (
        f"Selecting on the source's validation data takes {regret.on_source}; the target's would take {same}. "
        f"On the target's validation data that costs {regret.loss:.4f}, over {regret.trials} trials."
    )
