"""What training took for the trials of a study, which share what they train, and what each from nothing would take."""

from __future__ import annotations

from collections.abc import Sequence

from adapterstilts.report.studies import Spending
from adapterstilts.search.records import Tried
from adapterstilts.specs import BACKBONE, LONGER
from adapterstilts.store.store import Store

_SECONDS = "seconds"


def spending(trials: Sequence[Tried], store: Store) -> Spending | None:
    """Return what was trained for the complete trials of a study, and what each alone would have trained.

    Args:
        trials: of the study.
        store: that holds what they trained.

    Returns:
        Both; None where something that a trial trained is no longer in the store.
    """
    complete = [trial for trial in trials if trial.values]
    chains = [_chain(trial.trained, store) for trial in complete]
    known = [chain for chain in chains if chain is not None]
    if len(known) < len(chains):
        return None
    together = {key: seconds for chain in known for key, seconds in chain.items()}
    return Spending(
        trials=len(known),
        models=len(together),
        seconds=sum(together.values()),
        models_alone=sum(map(len, known)),
        seconds_alone=sum(sum(chain.values()) for chain in known),
    )


def _chain(trained: Sequence[str], store: Store) -> dict[str, float] | None:
    """Return key -> seconds of all that was trained for these artifacts and for those that they were made from."""
    waiting, seen, found = list(trained), set[str](), dict[str, float]()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        artifact = store.find(key)
        if artifact is None:
            return None
        record = artifact.record
        if _SECONDS in record.results:
            found[key] = float(record.results[_SECONDS])
        waiting += (other for role, other in record.inputs.items() if role not in (BACKBONE, LONGER))
    return found
