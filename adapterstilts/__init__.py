"""Which training, on which task, helps your language and domain?

English intermediate tasks train adapters on a frozen multilingual encoder; target and domain adapters compose with
them; full fine-tuning stands beside them as the baseline. The command line is ``adapterstilts``; from Python::

    import adapterstilts
    run = adapterstilts.run("quickstart")
    run.results()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapterstilts.runner.execute import Run
    from adapterstilts.runner.prepare import Options
    from adapterstilts.runner.reporter import Reporter
    from adapterstilts.search.loop import Loop
    from adapterstilts.stages.predict import Predictor
    from adapterstilts.training.tracking import Tracker

__all__ = ["__version__", "load", "run", "study"]
__version__ = "0.1.0"


def run(
    recipe: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    options: Options | None = None,
    reporter: Reporter | None = None,
    trackers: Sequence[Tracker] = (),
    storage: str | None = None,
) -> Run:
    """Run a recipe: train and evaluate what the store lacks, write results and report.

    A recipe with ``search:`` starts, resumes or joins its study first; with several targets, which have a study and a
    comparison each, call `adapterstilts.search.run.run_studies`.

    Args:
        recipe: path of a recipe file, or the name of one that ships with the package.
        overrides: dotted path -> value, for example ``{"seeds": [0, 1]}``.
        options: store, folders, device; see `adapterstilts.runner.prepare.Options`.
        reporter: told of progress; silent by default.
        trackers: listeners of training curves.
        storage: where the study is, as for ``--storage``; default: in the store.

    Returns:
        The run, with its results and predictions.

    Raises:
        AdapterStiltsError: for a fault of recipe, data or machine, and when a stage failed.
    """
    from adapterstilts.runner.execute import execute
    from adapterstilts.runner.prepare import prepare_to_run

    prepared = prepare_to_run(str(recipe), overrides, options)
    if prepared.recipe.space is None:
        finished = execute(prepared, reporter, trackers=trackers)
    else:
        from adapterstilts.search.run import run_one_study

        finished = run_one_study(prepared, storage, reporter, trackers)
    finished.raise_failures()
    return finished


def study(
    recipe: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    options: Options | None = None,
    storage: str | None = None,
    target: int = 0,
) -> Loop:
    """Open the study of a recipe, to go on with by hand.

    An `optuna.Study` and its objective::

        opened = adapterstilts.study("study")
        opened.study.optimize(opened.objective, n_trials=3)

    Args:
        recipe: path or name of a recipe with ``search:``.
        overrides: as in `run`.
        options: as in `run`.
        storage: as in `run`.
        target: position of the target whose study is meant.

    Returns:
        The study with what runs its trials.

    Raises:
        UsageError: when the recipe has no ``search:``, or its study was made with something else.
        StoreError: when the storage fails.
    """
    from adapterstilts.runner.prepare import prepare_to_run
    from adapterstilts.search.run import open_search

    return open_search(prepare_to_run(str(recipe), overrides, options), storage, target=target)


def load(
    reference: str,
    *,
    store: str | Path | None = None,
    device: str = "auto",
    offline: bool = False,
    backbone: str | Path | None = None,
) -> Predictor:
    """Load a trained model for prediction.

    Args:
        reference: key of a training stage's artifact, or a unique prefix; or a unit on this machine:
            ``local:ns/name@1.0.0``, ``hf:ns/name@REVISION`` once it was pulled, ``sha256:...``.
        store: root of the store; default as on the command line.
        device: ``auto``, ``cpu`` or ``cuda``.
        offline: whether the backbone may not be asked for on the hub.
        backbone: folder of a local backbone that is not where the model was trained.

    Returns:
        An object with ``predict(texts)``.

    Raises:
        UsageError: when the reference is unknown or not a trained model.
    """
    from adapterstilts.stages.predict import Predictor

    return Predictor.load(
        reference,
        store=None if store is None else Path(store),
        device=device,
        offline=offline,
        backbone=None if backbone is None else Path(backbone),
    )
