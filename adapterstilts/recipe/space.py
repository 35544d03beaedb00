"""The space of a study: what its trials may be, as choices that somebody makes one after the other. Pure.

Whoever chooses (Optuna's trial, the enumeration below, the first trials of a study) answers the same questions, which
depend on the answers before: a fusion has no weights, a whole model no bottleneck. Compositions are canonical, so that
different answers that mean the same work have one text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapterstilts import compose
from adapterstilts.recipe.schema import RangeSection, RatesSection, SearchSection

NOTHING = "-"
"""In a slot of a composition: no adapter."""
SINGLE = "single"
"""The family of one adapter of the pool under the target's: what every composition has to beat."""
FORM = "form"

# No settings of adapters are in these.
_WITHOUT_ADAPTER = frozenset({compose.FULL_FINETUNE, compose.HEAD_ONLY})
_SLOTS: Mapping[str, int] = {"init_from": 1, SINGLE: 1, "stack": 7, "parallel": 8}


class Chooser(Protocol):
    """Who answers the questions of a space; `optuna.trial.Trial` is one."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Return a number between the two."""


@dataclass(frozen=True)
class Settings:
    """What a trial sets; None for what the recipe says.

    Attributes:
        learning_rate: of the stage that the method trains last on the target.
        epochs: of that stage.
        skip_layers: of all adapters of the method.
        reduction_factor: of all adapters of the method.
    """

    learning_rate: float | None = None
    epochs: float | None = None
    skip_layers: int | None = None
    reduction_factor: int | None = None

    def __str__(self) -> str:
        given = ((name, value) for name, value in vars(self).items() if value is not None)
        return ", ".join(f"{name} {value:.3g}" for name, value in given)


@dataclass(frozen=True)
class Candidate:
    """What one trial tries.

    Attributes:
        family: whose trials are counted together: a kind of composition, or one method.
        method: canonical composition.
        settings: what is set beside it.
    """

    family: str
    method: str
    settings: Settings

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.method, str(self.settings))))


@dataclass(frozen=True)
class Space:
    """What the trials of a recipe may be.

    Attributes:
        section: of the recipe.
        pool: names of the adapters that compositions are made of.
        methods: canonical, those that are tuned.
    """

    section: SearchSection
    pool: tuple[str, ...]
    methods: tuple[str, ...]

    @property
    def forms(self) -> tuple[str, ...]:
        """Kinds of compositions that are searched; none where methods alone are tuned."""
        return tuple(dict.fromkeys(self.section.over.compositions))

    @property
    def families(self) -> tuple[str, ...]:
        """What has a budget of its own: each method, and the best single adapter where compositions are searched."""
        if not self.section.tune:
            return ()
        return (*self.methods, *((SINGLE,) if self.forms else ()))

    def propose(self, chooser: Chooser, family: str = "") -> Candidate:
        """Return what the chooser's answers mean.

        Args:
            chooser: answers.
            family: the only one that is meant; any kind of composition without it.
        """
        form = family or self._form(chooser)
        method = self._composed(chooser, form) if form in (*self.forms, SINGLE) else form
        return Candidate(form, method, self._settings(chooser, form, method))

    def _form(self, chooser: Chooser) -> str:
        return self.forms[0] if len(self.forms) == 1 else str(chooser.suggest_categorical(FORM, self.forms))

    def slots(self, form: str) -> int:
        """Return how many adapters of the pool a kind of composition can hold."""
        return min(self.section.over.adapters, len(self.pool), _SLOTS.get(form, len(self.pool)))

    def _composed(self, chooser: Chooser, form: str) -> str:
        weights: dict[str, int] = {}
        for slot in range(1, self.slots(form) + 1):
            names = self.pool if slot == 1 else (*self.pool, NOTHING)
            name = chooser.suggest_categorical(f"{form}.{slot}", names)
            weighted = form == "average" and name != NOTHING and len(self.section.over.weights) > 1
            weight = (
                chooser.suggest_categorical(f"{form}.weight.{slot}", self.section.over.weights)
                if weighted
                else 1
            )
            # A name that stands in an earlier slot already says nothing new.
            if name != NOTHING:
                weights.setdefault(name, weight)
        return str(compose.parse(composition(form, weights)))

    def _settings(self, chooser: Chooser, form: str, method: str) -> Settings:
        over = self.section.over
        _, expression = compose.unwrap(compose.parse(method))
        full = compose.is_full(expression)
        sized = not full and str(expression) not in _WITHOUT_ADAPTER
        choose = _Choosing(chooser, form)
        rates = None if over.learning_rate is None else self._rates(full)
        return Settings(
            learning_rate=None if rates is None else choose.number("learning_rate", rates),
            epochs=choose.one("epochs", over.epochs),
            skip_layers=choose.one("skip_layers", over.skip_layers if sized else ()),
            reduction_factor=choose.one("reduction_factor", over.reduction_factor if sized else ()),
        )

    def _rates(self, full: bool) -> list[float] | RangeSection:
        over = self.section.over.learning_rate
        section = over if isinstance(over, RatesSection) else RatesSection()
        return section.full if full else section.adapter


def composition(form: str, weights: Mapping[str, int]) -> str:
    """Return a kind of composition over some adapters, as text.

    Args:
        form: ``stack``, ``fuse``, ``average``, ``parallel``, ``init_from`` or `SINGLE`.
        weights: adapter -> its weight, in order; weights are for ``average``.
    """
    names = ", ".join(weights)
    if form == "init_from":
        return f"init_from({names})"
    if form == "fuse":
        return f"fuse({names}, target)"
    if form in ("stack", SINGLE) or len(weights) == 1:
        return f"stack({names}, target)"
    if form == "parallel":
        return f"stack(parallel({names}), target)"
    shared = math.gcd(*weights.values())
    numbers = ", ".join(str(weight // shared) for weight in weights.values())
    return f"stack(average({names}, weights=[{numbers}]), target)"


@dataclass(frozen=True)
class _Choosing:
    """Questions about settings, each under a name that says whose they are."""

    chooser: Chooser
    form: str

    def number(self, name: str, values: list[float] | RangeSection) -> float:
        if isinstance(values, RangeSection):
            return self.chooser.suggest_float(f"{self.form}.{name}", values.low, values.high, log=True)
        return float(self.chooser.suggest_categorical(f"{self.form}.{name}", values))

    def one(self, name: str, values: Sequence[Any]) -> Any:
        return self.chooser.suggest_categorical(f"{self.form}.{name}", values) if values else None


# ---- all points


class Endless(Exception):
    """A space with a range has no list of its points."""


def points(space: Space, family: str = "") -> Iterator[tuple[dict[str, Any], Candidate]]:
    """Yield the answers and the candidate of each point of a space, each candidate once.

    Raises:
        Endless: when the space holds a range.
    """
    waiting: list[tuple[int, ...]] = [()]
    seen: set[tuple[str, Settings]] = set()
    while waiting:
        walk = _Walk(waiting.pop())
        candidate = space.propose(walk, family)
        waiting += reversed(walk.untried)
        if (candidate.method, candidate.settings) not in seen:
            seen.add((candidate.method, candidate.settings))
            yield walk.answers, candidate


@dataclass
class _Walk:
    """Answers as told so far, then always with the first choice; remembers the paths that it left aside."""

    told: tuple[int, ...]
    answers: dict[str, Any] = field(default_factory=dict)
    untried: list[tuple[int, ...]] = field(default_factory=list)
    _taken: tuple[int, ...] = ()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the choice that was told, else the first."""
        place = len(self._taken)
        if place < len(self.told):
            number = self.told[place]
        else:
            number = 0
            self.untried += [(*self._taken, other) for other in range(1, len(choices))]
        self._taken = (*self._taken, number)
        self.answers[name] = choices[number]
        return choices[number]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Return nothing: a range has no end of points."""
        raise Endless(name)


# ---- one point


@dataclass
class Guide:
    """Answers what is wanted; elsewhere nothing, or what is nearest to the recipe's own settings.

    Attributes:
        wanted: question -> answer.
        usual: settings without a study.
        answers: that were given.
    """

    wanted: Mapping[str, Any]
    usual: Settings
    answers: dict[str, Any] = field(default_factory=dict)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the answer that is wanted, the nearest number, or the last choice, which leaves a slot empty."""
        near = getattr(self.usual, name.rpartition(".")[2], None)
        if name in self.wanted:
            answer = self.wanted[name]
        elif near is not None:
            answer = min(choices, key=lambda choice: abs(choice - near))
        else:
            answer = choices[-1] if NOTHING in choices else choices[0]
        self.answers[name] = answer
        return answer

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Return the usual number, or the end of the range that is nearest to it."""
        near = getattr(self.usual, name.rpartition(".")[2], None) or low
        self.answers[name] = min(max(near, low), high)
        return float(self.answers[name])
