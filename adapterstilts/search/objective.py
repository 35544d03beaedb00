"""A trial's values: propose, plan, run what the store lacks, read the scores. `Study.optimize` takes it as well."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from optuna.exceptions import TrialPruned
from optuna.trial import Trial

from adapterstilts import killpoints
from adapterstilts.errors import AdapterStiltsError, Fault, Interrupted
from adapterstilts.recipe.space import Candidate, Space
from adapterstilts.runner.executor import Executor
from adapterstilts.runner.missing import missing_stages, release
from adapterstilts.runner.reporter import Reporter, Silent
from adapterstilts.runner.walk import walk
from adapterstilts.search import records
from adapterstilts.search.records import same_work, tried
from adapterstilts.search.watch import Watch, stopped_by
from adapterstilts.search.work import Work, Workshop, disk, parameters, source_score, target_score
from adapterstilts.stages.context import Context

# Of a stage whose process died, as a Ray cluster has it.
_RETRIES = 3


class TrialFailed(Exception):
    """A trial's stage failed; the study goes on.

    Attributes:
        errors: of its stages.
    """

    def __init__(self, errors: Sequence[BaseException]) -> None:
        super().__init__("\n".join(_text(error) for error in errors))
        self.errors = tuple(errors)


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, AdapterStiltsError) else f"{type(error).__name__}: {error}"


@dataclass
class Objective:
    """Runs trials of one target.

    Attributes:
        space: that is searched.
        workshop: plans trials.
        context: of this process; where stages run here, they share its backbone and encoded data.
        stop: whether the user asked to stop.
        reporter: told of their stages.
        executor: runs their stages, those of several trials at once; None where they run here, one after the other.
    """

    space: Space
    workshop: Workshop
    context: Context
    stop: Callable[[], bool] = lambda: False
    reporter: Reporter = field(default_factory=Silent)
    executor: Executor | None = None

    @property
    def slots(self) -> int:
        """How many trials may be under way at once."""
        return 1 if self.executor is None else self.executor.slots

    def __call__(self, trial: Trial) -> tuple[float, ...]:
        """Return a trial's values, one an objective.

        Raises:
            TrialPruned: when the pruner ended it; its training is kept as a checkpoint.
            TrialFailed: when a stage failed.
            Interrupted: when asked to stop.
            AdapterStiltsError: when the data, the backbone, the store or the disk fails.
        """
        return self.run(self.plan(trial, self.propose(trial)), trial, self.stop)

    def run(self, work: Work, trial: Trial, stop: Callable[[], bool]) -> tuple[float, ...]:
        """Return the values of a trial that was planned; see `__call__`."""
        same = same_work(tried(trial.study), work.identity, trial.number)
        if same is not None:
            trial.set_user_attr(records.SAME_AS, same.number)
            if not same.values:
                raise TrialPruned(f"the same work as trial {same.number}")
            if same.other is not None:
                trial.set_user_attr(records.OTHER_SCORE, same.other)
            return same.values
        self._train(work, trial, stop)
        return self._values(work, trial)

    def propose(self, trial: Trial) -> Candidate:
        """Return what a trial tries, and note it beside the trial."""
        phase = trial.user_attrs.get(records.PHASE, "search")
        family = trial.user_attrs.get(records.FAMILY, "") if phase == "tune" else ""
        candidate = self.space.propose(trial, family)
        for name, value in records.notes_of(candidate).items():
            trial.set_user_attr(name, value)
        return candidate

    def plan(self, trial: Trial, candidate: Candidate) -> Work:
        """Return the work of what a trial tries, and note it beside the trial.

        Raises:
            TrialFailed: when the composition cannot be had with these adapters.
        """
        try:
            work = self.workshop.plan(candidate, self.space.section.seeds)
        except AdapterStiltsError as error:
            raise TrialFailed([error]) from error
        trial.set_user_attr(records.WORK, work.identity)
        trial.set_user_attr(records.STAGES, list(work.trained))
        return work

    def _train(self, work: Work, trial: Trial, stop: Callable[[], bool]) -> None:
        """Run what the store lacks of a trial; of whole models only those that other trials read keep their weights."""
        store = self.workshop.prepared.store
        reporting = trial if self.space.section.pruner != "none" else None
        prunes = records.WHOLE not in trial.user_attrs
        reported = dict(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        watch = Watch(
            reporting, work.trained, work.evaluations, store, self.reporter, reported, prunes=prunes
        )
        # Trials side by side have their own questions whether to stop.
        context = self.context if self.executor is None else copy.copy(self.context)
        before, context.stop = context.stop, stopped_by(watch, stop)
        held = [key for key in work.models if key not in work.trained]
        missing = missing_stages(work.plan, store)
        killpoints.reach("trial_planned")
        try:
            outcome = walk(
                work.plan,
                missing,
                context,
                watch,
                executor=self.executor,
                held=held,
                on_score=watch.score,
                retries=_RETRIES,
            )
        except Interrupted as error:
            if watch.pruned and not stop():
                raise TrialPruned(str(error)) from error
            raise
        finally:
            context.stop = before
        if outcome.errors:
            raise TrialFailed(outcome.errors)
        for key in work.models:
            if key in work.trained:
                release(store, key)

    def _values(self, work: Work, trial: Trial) -> tuple[float, ...]:
        store, section = self.workshop.prepared.store, self.space.section
        held_out = target_score(work, store, self.workshop.task)
        from_source = source_score(work, store)
        score, other = (
            (from_source, held_out) if section.select_on == "validation" else (held_out, from_source)
        )
        if score is None or score != score:
            raise TrialFailed([_Unscored(Fault(str(self.workshop.target.name), "the score is no number"))])
        if other is not None:
            trial.set_user_attr(records.OTHER_SCORE, other)
        found = {"score": score, "parameters": parameters(work, store)}
        if "disk" in section.objectives:
            found["disk"] = disk(work, store)
        return tuple(found[name] for name in section.objectives)


class _Unscored(AdapterStiltsError):
    """A trial without a value."""
