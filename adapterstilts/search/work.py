"""A trial as work: the recipe that it is, its plan, and its values once the plan's stages are in the store.

No trial reads test data: what is planned ends with the trained model, or with its score on validation data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from adapterstilts.metrics import registry
from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.plan import Cell, Plan
from adapterstilts.recipe.space import Candidate
from adapterstilts.recipe.targets import Target, on_validation
from adapterstilts.recipe.variants import arrange, for_target
from adapterstilts.runner.costs import Costs
from adapterstilts.runner.prepare import Prepared
from adapterstilts.store.digest import digest
from adapterstilts.store.store import Store
from adapterstilts.tasks.spec import TaskSpec
from adapterstilts.training.tracking import VALIDATION


@dataclass(frozen=True)
class Work:
    """What a trial computes.

    Attributes:
        recipe: with one method and one target.
        plan: the stages that run.
        whole: with the evaluations on test data, which do not run; they say which files predicting reads.
        scored: the results whose stages are evaluated, on the target's validation data.
    """

    recipe: Recipe
    plan: Plan
    whole: Plan
    scored: tuple[Cell, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        """Keys of the models that the trial ends with, in the order of the plan."""
        made = {cell.trained_by for cell in self.plan.cells}
        return tuple(key for key in self.plan.stages if key in made)

    @property
    def identity(self) -> str:
        """The same for equal work: what is trained, and what is evaluated."""
        return digest(sorted({*self.trained, *(str(cell.stage) for cell in self.scored)}))

    @property
    def evaluations(self) -> int:
        """How often each of these models is scored while it trains."""
        return max(self.plan.stages[key].spec.training.evaluations for key in self.trained)  # type: ignore[union-attr]

    @property
    def models(self) -> tuple[str, ...]:
        """Keys of whole models."""
        return tuple(key for key, stage in self.plan.stages.items() if stage.spec.kind == "full_finetune")


@dataclass(frozen=True)
class Workshop:
    """Plans the trials of one target.

    Attributes:
        prepared: the recipe with its surroundings.
        number: of the target among the recipe's.
    """

    prepared: Prepared
    number: int

    @property
    def recipe(self) -> Recipe:
        """The recipe with this target alone."""
        return for_target(self.prepared.recipe, self.target)

    @property
    def target(self) -> Target:
        """The target."""
        return self.prepared.recipe.targets[self.number]

    @property
    def task(self) -> TaskSpec:
        """The target's task."""
        return self.prepared.recipe.tasks[self.target.task]

    def plan(self, candidate: Candidate, seeds: Sequence[int]) -> Work:
        """Return the work of a candidate.

        Raises:
            RecipeError: when the composition cannot be had with these adapters.
        """
        arranged = arrange(self.prepared.recipe, [candidate], seeds)
        target = arranged.targets[self.number]
        recipe = for_target(arranged, target)
        whole = make_plan(recipe, self.prepared.surroundings)
        held_out = self._held_out(target)
        if held_out is None:
            return Work(recipe, _without_evaluations(whole), whole, ())
        plan = make_plan(for_target(arranged, held_out), self.prepared.surroundings)
        return Work(recipe, plan, whole, plan.cells)

    def _held_out(self, target: Target) -> Target | None:
        """Return the target on its validation data; None where the source's decide and others are not to be had."""
        section = self.prepared.recipe.file.search
        # A model of its own for each language would be trained on languages that the source's data do not ask for.
        if section is not None and section.select_on == "validation" and target.by_language:
            return None
        return on_validation(target, self.task)


def _without_evaluations(plan: Plan) -> Plan:
    """Return what a plan trains for its results."""
    trained = part_of(plan, [cell.trained_by for cell in plan.cells if cell.trained_by is not None])
    return Plan(trained.stages, tuple(replace(cell, stage=None) for cell in plan.cells))


def part_of(plan: Plan, wanted: Iterable[str]) -> Plan:
    """Return the part of a plan that makes some of its stages; it has no results."""
    waiting, needed = list(wanted), set[str]()
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += plan.stages[key].inputs.values()
    return Plan({key: stage for key, stage in plan.stages.items() if key in needed}, ())


# ---- values


def source_score(work: Work, store: Store) -> float | None:
    """Return the mean score of a trial's models on the source's validation data; None where those select no state."""
    (target,) = work.recipe.targets
    if target.validation != "source" or not work.evaluations:
        return None
    scores = [float(store.get(key).record.results[VALIDATION]) for key in work.trained]
    return sum(scores) / len(scores)


def target_score(work: Work, store: Store, task: TaskSpec) -> float | None:
    """Return the mean score over languages, seeds and draws on the target's validation data, higher is better.

    Returns:
        The mean; None where nothing was evaluated, or the data have no labels.
    """
    metric = task.metrics[0]
    scores = [store.get(str(cell.stage)).record.results["scores"][metric] for cell in work.scored]
    if not scores or None in scores:
        return None
    mean = float(sum(scores) / len(scores))
    better = registry.get(metric, language=work.scored[0].language, labels=task.labels).higher_is_better
    return mean if better else -mean


def parameters(work: Work, store: Store) -> float:
    """Return the number of numbers that train on the target, the largest of a trial's models."""
    return float(max(int(store.get(key).record.results["parameters"]) for key in work.trained))


def disk(work: Work, store: Store) -> float:
    """Return the bytes that predicting reads beside the pretrained backbone, the most of a trial's models."""
    costs = Costs(work.whole, store)
    return float(max(costs.of(cell).disk_bytes for cell in work.whole.cells))
