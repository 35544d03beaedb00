"""Walk a plan: skip what the store has, run what it has not, say why.

A stage that fails takes only its dependants with it. A fault of the machine (backbone, store, disk) or a request
to stop ends the walk, because every later stage would meet it too.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapterstilts.errors import (
    AdapterStiltsError,
    DataError,
    EnvironmentFault,
    Fault,
    Interrupted,
    StageFailed,
    StoreError,
)
from adapterstilts.recipe.plan import Plan, Stage
from adapterstilts.runner.lineage import Lineage
from adapterstilts.runner.missing import ABSENT, KEPT, release
from adapterstilts.runner.reporter import Reporter, Status
from adapterstilts.stages import STAGES
from adapterstilts.stages.context import Context
from adapterstilts.store.digest import canonical
from adapterstilts.store.store import Artifact, Description
from adapterstilts.trust.origins import DATA, as_data, is_confidential


@dataclass
class Outcome:
    """What became of the stages.

    Attributes:
        status: key -> status, in the order of the plan.
        errors: the errors that stages failed with.
    """

    status: dict[str, Status] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def count(self, status: Status) -> int:
        """Return the number of stages with a status."""
        return sum(1 for value in self.status.values() if value == status)


def preflight(plan: Plan, missing: Collection[str], context: Context) -> None:
    """Read all data that missing stages need, before anything is computed.

    Raises:
        DataError: with the faults of all splits at once.
    """
    faults: list[Fault] = []
    for key in missing:
        for use in (*plan.stages[key].data, *plan.stages[key].validation):
            try:
                context.rows(use)
            except DataError as error:
                faults += error.faults
    if faults:
        raise DataError(*dict.fromkeys(faults))


def walk(
    plan: Plan, missing: Mapping[str, str], context: Context, reporter: Reporter, *, keep: bool = False
) -> Outcome:
    """Run what is missing, in the plan's order.

    Args:
        plan: what is wanted.
        missing: key -> reason, from `missing_stages`.
        context: store, data, device.
        reporter: told of everything.
        keep: whether whole models keep their weights.

    Raises:
        EnvironmentFault: when the backbone or the device fails.
        StoreError: when the store or the disk fails.
        Interrupted: when asked to stop; what is done is kept.
    """
    preflight(plan, missing, context)
    walker = _Walker(plan, context, reporter, missing, keep, Lineage(plan, context.store, context.imported))
    for number, stage in enumerate(plan.stages.values(), 1):
        walker.visit(stage, number)
    return walker.outcome


@dataclass
class _Walker:
    plan: Plan
    context: Context
    reporter: Reporter
    missing: Mapping[str, str]
    keep: bool
    lineage: Lineage
    outcome: Outcome = field(default_factory=Outcome)
    readers: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.context.progress = self.reporter.step
        for key in self.missing:
            self.readers.update(set(self.plan.stages[key].inputs.values()))

    def visit(self, stage: Stage, number: int) -> None:
        if stage.key not in self.missing:
            self.lineage.note(stage.key)
            self._end(stage, "cached", 0.0, {})
        elif any(
            self.outcome.status.get(parent) in ("failed", "skipped") for parent in stage.inputs.values()
        ):
            self._end(stage, "skipped", 0.0, {}, "a stage that it needs failed")
        else:
            self._attempt(stage, number)
        self._release(stage)

    def _attempt(self, stage: Stage, number: int) -> None:
        if self.context.stop():
            raise Interrupted(Fault(stage.name, "stopped before it", "run the same command again to go on"))
        self.reporter.stage_started(stage, number, len(self.plan.stages))
        started = time.monotonic()
        try:
            artifact, ran = self._run(stage)
        except (Interrupted, EnvironmentFault, StoreError):
            raise
        except AdapterStiltsError as error:
            self._fail(stage, error, str(error), started)
        except Exception as error:  # noqa: BLE001 - whatever a stage raises must not end the independent ones
            error = self._discreet(stage, error)
            self._fail(stage, error, f"{type(error).__name__}: {error}", started)
        else:
            if not ran:
                self.lineage.note(stage.key)
            self._end(stage, "done" if ran else "cached", time.monotonic() - started, artifact.record.results)

    def _run(self, stage: Stage) -> tuple[Artifact, bool]:
        store = self.context.store
        with store.lock(stage.key, lambda: self.reporter.stage_waiting(stage)):
            there = store.find(stage.key)
            if there is not None and self.missing[stage.key] == ABSENT:
                return there, False  # another process made it meanwhile
            facts = {
                "name": stage.name,
                "inputs": dict(stage.inputs),
                DATA: as_data(self.lineage.of(stage.key)),
            }
            private = is_confidential(self.lineage.of(stage.key))
            store.begin(stage.key, facts, private=private)
            with store.workspace(stage.key, private=private) as workspace:
                results = STAGES[stage.spec.kind](stage, self.context, workspace)
                description = Description(
                    name=stage.name,
                    spec=canonical(stage.spec),
                    inputs=stage.inputs,
                    results=results,
                    provenance={
                        **self.context.provenance(getattr(stage.spec, "numerics", None)),
                        KEPT: self.keep,
                        DATA: facts[DATA],
                    },
                )
                return store.publish(stage.key, workspace, description), True

    def _discreet(self, stage: Stage, error: Exception) -> Exception:
        """Return an unforeseen error without its message where that may quote confidential data."""
        if not is_confidential(self.lineage.of(stage.key)):
            return error
        what = f"failed with {type(error).__name__}"
        failed = StageFailed(
            Fault(stage.name, what, "its message is left out, for its data are confidential")
        )
        return failed.with_traceback(error.__traceback__)

    def _fail(self, stage: Stage, error: Exception, text: str, started: float) -> None:
        self.outcome.errors.append(error)
        self._end(stage, "failed", time.monotonic() - started, {}, text)

    def _end(
        self, stage: Stage, status: Status, seconds: float, results: Mapping[str, Any], why: str = ""
    ) -> None:
        self.outcome.status[stage.key] = status
        self.reporter.stage_ended(stage, status, seconds, results, why)

    def _release(self, stage: Stage) -> None:
        """Let the weights of whole models go after the last stage that reads them."""
        if stage.key not in self.missing:
            return
        for parent in set(stage.inputs.values()):
            self.readers[parent] -= 1
            whole = self.plan.stages[parent].spec.kind == "full_finetune"
            if whole and self.readers[parent] == 0:
                release(self.context.store, parent)
