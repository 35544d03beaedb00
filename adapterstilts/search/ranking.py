"""Which intermediate adapters look promising for a target, before any trial (Poth et al. 2021).

Nothing here reads test data; `few_step` alone trains on the target, for some steps, and reads its validation score.
What has to be trained is trained by the ordinary stages, so that a later run finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from adapterstilts import compose
from adapterstilts.data.encoding.columns import Encoded, join
from adapterstilts.errors import Fault, StageFailed, UsageError, suggest
from adapterstilts.model.assembly import ADAPTER_FOLDER, Assembly, Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.recipe.plan import DataUse, Plan, Stage
from adapterstilts.recipe.schema import TrainingFields
from adapterstilts.recipe.space import Candidate, Settings
from adapterstilts.runner.execute import Measuring, context_of, open_executor
from adapterstilts.runner.executor import Executor
from adapterstilts.runner.missing import missing_stages
from adapterstilts.runner.prepare import Prepared
from adapterstilts.runner.reporter import Reporter
from adapterstilts.runner.walk import walk
from adapterstilts.search.features import Answers, answers_of, sample, states
from adapterstilts.search.selectors import Floats, centroid_similarity, logme, neighbours
from adapterstilts.search.work import Work, Workshop, part_of, source_score
from adapterstilts.specs import BACKBONE, Numerics, TrainAdapter
from adapterstilts.stages.computing import computing
from adapterstilts.stages.context import Context
from adapterstilts.stages.inference import settings_of
from adapterstilts.stages.retrieval import Placed

_STEPS = 50
_INPUT = "x0"

Scores = Mapping[str, float]
"""Adapter -> how promising it looks; higher is better."""


def selectors(names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return selectors by their names; those that train nothing on the target for no names.

    Raises:
        UsageError: for a name that is none.
    """
    wrong = [name for name in names if name not in _SELECTORS]
    if wrong:
        hint = suggest(wrong[0], _SELECTORS) or f"known: {', '.join(_SELECTORS)}"
        raise UsageError(Fault("--by", f"{wrong[0]!r} is not a selector", hint))
    return tuple(dict.fromkeys(names)) or ("logme", "neighbours", "similarity", "size")


def rank_adapters(
    prepared: Prepared, names: Sequence[str], reporter: Reporter, stop: Callable[[], bool] = lambda: False
) -> dict[str, dict[str, dict[str, float]]]:
    """Return target -> selector -> adapter -> how promising it looks.

    Args:
        prepared: a recipe with intermediate, domain or pretrained adapters.
        names: of selectors.
        reporter: told of the stages that train what is missing.
        stop: asked after every step.

    Raises:
        UsageError: when the recipe has no such adapters, or no target that trains.
        StageFailed: when an adapter could not be trained.
    """
    context = context_of(prepared, (), stop)
    targets = [number for number, one in enumerate(prepared.recipe.targets) if one.setting != "untrained"]
    if not targets:
        raise UsageError(Fault(str(prepared.recipe.path), "no target trains, so that nothing can be ranked"))
    measuring = Measuring(reporter, prepared)
    with closing(open_executor(prepared, (), context)) as executor:
        rankings = [Ranking(Workshop(prepared, number), context, measuring, executor) for number in targets]
        return {one.workshop.target.name: {name: dict(one.by(name)) for name in names} for one in rankings}


@dataclass
class Ranking:
    """Ranks adapters for one target.

    Attributes:
        workshop: plans of the target.
        context: what stages share in this process.
        reporter: told of the stages that train what is missing.
        executor: runs these stages; in this process by default.
    """

    workshop: Workshop
    context: Context
    reporter: Reporter
    executor: Executor | None = None

    def by(self, selector: str) -> Scores:
        """Return how promising each adapter of the pool looks to a selector.

        Raises:
            UsageError: when there is no adapter, or a selector needs training data that are not there.
            StageFailed: when an adapter could not be trained.
        """
        return {name: _SELECTORS[selector](self, name) for name in self.pool}

    @cached_property
    def pool(self) -> tuple[str, ...]:
        """Adapters that are ranked."""
        recipe = self.workshop.prepared.recipe
        if recipe.space is not None:
            return recipe.space.pool
        file = recipe.file
        own = [section.name for section in (*file.intermediate, *file.domain)]
        names = (*own, *(section.name for section in file.pretrained))
        if not names:
            remedy = "list adapters under `intermediate:`, `domain:` or `pretrained:`"
            raise UsageError(Fault(str(recipe.path), "there is no adapter to rank", remedy))
        return names

    # ---- selectors

    def size(self, name: str) -> float:
        """Return the number of examples that an adapter was trained on."""
        return float(sum(len(self.context.rows(use).rows) for use in self._trained_on(name)))

    def similarity(self, name: str) -> float:
        """Return the cosine of the mean vectors of the texts, read by the bare backbone."""
        self._trained_on(name)
        return centroid_similarity(
            self._texts(self._work(name).plan, self._adapter(name)), self._target_texts
        )

    @cached_property
    def _target_texts(self) -> Floats:
        return self._texts(self._alone.plan, self._stage)

    def evidence(self, name: str) -> float:
        """Return LogME of the target's answers, given what the adapter makes of its examples."""
        return logme(self._features(name), self._answers.values)

    def near(self, name: str) -> float:
        """Return how well near examples answer for each other, seen through the adapter."""
        return neighbours(self._features(name), self._answers.values, classes=self._answers.classes)

    def few_step(self, name: str) -> float:
        """Return the validation score after some steps of training on the target, on top of the adapter."""
        method = str(compose.parse(f"stack({name}, target)"))
        recipe = self.workshop.prepared.recipe
        short = TrainingFields(steps=_STEPS, evaluations=1)
        training = recipe.file.training.model_copy(update={"by_method": {method: short}})
        brief = replace(recipe, file=recipe.file.model_copy(update={"training": training}))
        workshop = replace(self.workshop, prepared=replace(self.workshop.prepared, recipe=brief))
        work = workshop.plan(Candidate("", method, Settings()), self._seeds)
        self._run(work.plan, work.trained)
        score = source_score(work, self.workshop.prepared.store)
        if score is None:
            what = f"nothing of the source of {self.workshop.target.name!r} validates"
            raise UsageError(Fault(self.workshop.target.name, what, "rank by logme or neighbours"))
        return score

    # ---- what they read

    @property
    def _seeds(self) -> tuple[int, ...]:
        file = self.workshop.prepared.recipe.file
        return tuple(file.search.seeds if file.search is not None else file.seeds)[:1]

    def _work(self, name: str) -> Work:
        method = str(compose.parse(f"stack({name}, target)"))
        return self.workshop.plan(Candidate("", method, Settings()), self._seeds)

    @cached_property
    def _stage(self) -> Stage:
        """The stage that trains the target adapter alone; it says how its data are read."""
        return self._alone.plan.stages[self._alone.trained[0]]

    @cached_property
    def _alone(self) -> Work:
        return self.workshop.plan(Candidate("", compose.TARGET, Settings()), self._seeds)

    def _adapter(self, name: str) -> Stage:
        work = self._work(name)
        return work.plan.stages[work.plan.stages[work.trained[0]].inputs[_INPUT]]

    def _trained_on(self, name: str) -> Sequence[DataUse]:
        stage = self._adapter(name)
        if not stage.data:
            what = f"{name} was trained elsewhere, and its data are not known"
            raise UsageError(Fault(name, what, "rank by logme or neighbours"))
        return stage.data

    @cached_property
    def _answers(self) -> Answers:
        spec = self._stage.spec
        assert isinstance(spec, TrainAdapter)
        (data,) = spec.data
        return answers_of(self._encoded(self._alone.plan, self._stage), data.kind, len(data.labels))

    def _backbone(self, plan: Plan, stage: Stage) -> Backbone:
        """Return the backbone of a stage, converted where it has to be."""
        self._run(plan, [stage.inputs[BACKBONE]] if BACKBONE in stage.inputs else [])
        assert isinstance(stage.spec, TrainAdapter)
        return self.context.backbone(stage.spec.backbone, stage.inputs)

    def _encoded(self, plan: Plan, stage: Stage) -> Encoded:
        """Return all data of a stage that have the kind of its first task."""
        spec = stage.spec
        assert isinstance(spec, TrainAdapter)
        backbone = self._backbone(plan, stage)
        uses = iter(stage.data)
        parts = []
        for data in spec.data:
            settings = settings_of(data, spec.training.max_length, spec.training.stride)
            own = [self.context.encoded(next(uses), backbone, settings) for _ in data.parts]
            parts += own if data.kind == spec.data[0].kind else []
        return join(parts)

    def _texts(self, plan: Plan, stage: Stage) -> Floats:
        """Return the mean states ``(sequences, hidden)`` of a stage's data, without any adapter."""
        spec = stage.spec
        assert isinstance(spec, TrainAdapter)
        encoded = self._encoded(plan, stage)
        backbone = self._backbone(plan, stage)
        with self._reading(backbone, Blueprint("stack()"), stage, spec.numerics) as (assembly, placed):
            units = sample(len(encoded))
            return states(assembly, encoded, units, spec.numerics, tokens=False, placed=placed)

    def _features(self, name: str) -> Floats:
        """Return the states of the target's examples through an adapter, those with an answer."""
        stage, work, answers = self._adapter(name), self._work(name), self._answers
        self._run(work.plan, [stage.key])
        # The path of training on top of this adapter: the engine computes it there if it can compute it alone.
        spec = work.plan.stages[work.trained[0]].spec
        assert isinstance(spec, TrainAdapter)
        backbone = self._backbone(work.plan, self._stage)
        blueprint = Blueprint(_INPUT, {_INPUT: self.context.artifact(stage.key).path / ADAPTER_FOLDER})
        with self._reading(backbone, blueprint, self._stage, spec.numerics) as (assembly, placed):
            found = states(
                assembly, answers.encoded, answers.units, spec.numerics, tokens=answers.tokens, placed=placed
            )
        return found[answers.kept]

    @contextmanager
    def _reading(
        self, backbone: Backbone, blueprint: Blueprint, stage: Stage, numerics: Numerics
    ) -> Iterator[tuple[Assembly, Placed]]:
        """Yield what reads the data of a stage: an assembly, and where it is given the states of its lowest layers."""
        keep = not any(use.confidential for use in stage.data)
        with (
            assembled(backbone, blueprint) as assembly,
            computing(assembly, numerics, self.context) as work,
        ):
            yield work.assembly, lambda encoded: work.placed([encoded], keep=keep)

    def _run(self, plan: Plan, wanted: Iterable[str]) -> None:
        """Run what the store lacks of some stages and of all that they need."""
        plan = part_of(plan, wanted)
        missing = missing_stages(plan, self.workshop.prepared.store)
        outcome = walk(plan, missing, self.context, self.reporter, executor=self.executor)
        if outcome.errors:
            raise StageFailed(*(Fault("ranking", str(error)) for error in outcome.errors))


_SELECTORS: Mapping[str, Callable[[Ranking, str], float]] = {
    "similarity": Ranking.similarity,
    "logme": Ranking.evidence,
    "neighbours": Ranking.near,
    "few_step": Ranking.few_step,
    "size": Ranking.size,
}
