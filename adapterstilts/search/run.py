"""A recipe with a study: search each target, then compare what was found on test data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from adapterstilts import compose
from adapterstilts.errors import Fault, StageFailed, UsageError
from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.space import Candidate, Settings, Space
from adapterstilts.runner.execute import Measuring, Run, context_of, execute, open_executor
from adapterstilts.runner.executor import Executor, Here, Shared
from adapterstilts.runner.missing import missing_stages, release_all
from adapterstilts.runner.prepare import Prepared
from adapterstilts.runner.reporter import OneByOne, Reporter, Silent
from adapterstilts.search.budget import Budget
from adapterstilts.search.compare import Found
from adapterstilts.search.first import First
from adapterstilts.search.loop import Loop, SilentStudy, StudyReporter
from adapterstilts.search.objective import Objective
from adapterstilts.search.opening import open_study
from adapterstilts.search.ranking import Ranking
from adapterstilts.search.records import tried
from adapterstilts.search.storage import Opened, open_storage, storage_faults
from adapterstilts.search.work import Workshop
from adapterstilts.stages.context import Context
from adapterstilts.training.tracking import Tracker


@dataclass(frozen=True)
class Telling:
    """Who is told of a study, and who may stop it.

    Attributes:
        stages: told of stages.
        trials: told of trials.
        trackers: listeners of training curves.
        stop: asked after every step and between trials.
    """

    stages: Reporter
    trials: StudyReporter
    trackers: Sequence[Tracker] = ()
    stop: Callable[[], bool] = lambda: False


SILENT = Telling(Silent(), SilentStudy())


def run_studies(prepared: Prepared, storage: str | None = None, telling: Telling = SILENT) -> list[Run]:
    """Start, resume or join the study of each target, and compare what was found on test data.

    Args:
        prepared: a recipe with ``search:``.
        storage: see `open_storage`.
        telling: who is told.

    Returns:
        One run a target; where there are several, each in a folder of its own.

    Raises:
        StageFailed: when every trial of a study failed.
        Interrupted: when asked to stop; run again to go on.
        AdapterStiltsError: when the data, the backbone, the store, the disk or the storage fails.
    """
    context = context_of(prepared, telling.trackers, telling.stop)
    # From here on the time limit is part of the question whether to stop.
    prepared = replace(prepared, options=replace(prepared.options, max_hours=None))
    alone = len(prepared.recipe.targets) == 1
    runs = []
    with ExitStack() as stack:
        opened = stack.enter_context(closing(open_storage(storage, prepared.store.root)))
        executor = _shared(open_executor(prepared, telling.trackers, context))
        if executor is not None:
            stack.callback(executor.close)
        for number, target in enumerate(prepared.recipe.targets):
            loop = search(prepared, number, opened, context, telling, executor)
            with storage_faults(opened.url):
                loop.run()
            out = prepared.out if alone else prepared.out / target.name
            runs.append(_compared(loop, opened, out, telling))
    return runs


def _shared(executor: Executor) -> Executor | None:
    """Return what runs the stages of several trials at once; None where they run here, one after the other."""
    return None if isinstance(executor, Here) else Shared(executor)


def run_one_study(
    prepared: Prepared, storage: str | None, reporter: Reporter | None, trackers: Sequence[Tracker]
) -> Run:
    """Run the study of a recipe with one target; see `run_studies`.

    Raises:
        UsageError: when there are several targets, and so several comparisons.
    """
    if len(prepared.recipe.targets) > 1:
        what = f"its {len(prepared.recipe.targets)} targets have a study and a comparison each"
        remedy = "call adapterstilts.search.run.run_studies, or name one target"
        raise UsageError(Fault(str(prepared.recipe.path), what, remedy))
    (run,) = run_studies(prepared, storage, Telling(reporter or Silent(), SilentStudy(), trackers))
    return run


def search(
    prepared: Prepared,
    number: int,
    opened: Opened,
    context: Context,
    telling: Telling = SILENT,
    executor: Executor | None = None,
) -> Loop:
    """Return the study of a target with all that runs its trials, none of them begun.

    Args:
        prepared: a recipe with ``search:``.
        number: of the target.
        opened: where the study is kept.
        context: what stages share in this process.
        telling: who is told.
        executor: see `Objective`.

    Raises:
        UsageError: when the recipe has no study, or one of this name was made with something else.
    """
    workshop = Workshop(prepared, number)
    space = prepared.recipe.space
    if space is None:
        remedy = "add the section; `adapterstilts recipe show study` is an example"
        raise UsageError(Fault(str(prepared.recipe.path), "the recipe has no `search:`", remedy))
    study = open_study(workshop, space, opened)
    reporter = OneByOne(Measuring(telling.stages, prepared))
    # The time limit of the options is part of the context's own question.
    objective = Objective(space, workshop, context, context.stop, reporter, executor)
    first = First(space, workshop, partial(_order, space, Ranking(workshop, context, reporter, executor)))
    budget = Budget(space, space.section.objectives.index("score"), first)
    return Loop(study, opened, budget, objective, telling.trials, context.stop)


def _order(space: Space, ranking: Ranking) -> tuple[str, ...]:
    """Return the pool, the most promising adapter first where the recipe says by what."""
    if space.section.rank == "none" or not space.forms:
        return space.pool
    scores = ranking.by(space.section.rank)
    return tuple(sorted(space.pool, key=lambda name: -scores[name]))


def found_by(loop: Loop) -> Found:
    """Return what a study has found so far."""
    return Found(loop.objective.workshop, tried(loop.study), loop.budget)


def _compared(loop: Loop, opened: Opened, out: Path, telling: Telling) -> Run:
    """Compare what a study found, on test data."""
    found, prepared = found_by(loop), loop.objective.workshop.prepared
    _let_go(loop.objective)
    facts = found.facts(loop.study.study_name, opened.url)
    if facts is None:
        raise StageFailed(*_all_failed(loop))
    recipe = found.comparison()
    plan = make_plan(recipe, prepared.surroundings)
    missing = missing_stages(plan, prepared.store, prepared.options.force)
    compared = replace(prepared, recipe=recipe, plan=plan, missing=missing, out=out)
    return execute(
        compared,
        telling.stages,
        trackers=telling.trackers,
        stop=loop.stop,
        executor=loop.objective.executor,
        study=facts,
    )


def _all_failed(loop: Loop) -> list[Fault]:
    errors = dict.fromkeys(trial.error for trial in tried(loop.study) if trial.error)
    where = f"study {loop.study.study_name}"
    return [Fault(where, f"every trial failed: {error}") for error in errors] or [
        Fault(where, "no trial ended")
    ]


def _let_go(objective: Objective) -> None:
    """Let the weights of whole models go that trials shared."""
    for method in objective.space.methods:
        if compose.is_full(compose.parse(method)):
            work = objective.workshop.plan(
                Candidate(method, method, Settings()), objective.space.section.seeds
            )
            release_all(work.plan, objective.workshop.prepared.store)


def open_search(prepared: Prepared, storage: str | None = None, *, target: int = 0) -> Loop:
    """Return a study to go on with by hand: ``loop.study`` is Optuna's, ``loop.objective`` runs a trial of it.

    Args:
        prepared: a recipe with ``search:``.
        storage: see `open_storage`.
        target: its number in the recipe.
    """
    opened = open_storage(storage, prepared.store.root)
    return search(prepared, target, opened, context_of(prepared, (), lambda: False))
