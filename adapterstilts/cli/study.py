"""``adapterstilts study``: look at studies, draw them, and rank adapters for a target."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapterstilts.cli.options import (
    as_options,
    json_option,
    print_json,
    run_options,
    storage_option,
    store_option,
    verbose_option,
)
from adapterstilts.cli.signals import stop_on_request
from adapterstilts.cli.table import echo_table, time_text

if TYPE_CHECKING:
    from adapterstilts.search.records import Tried
    from adapterstilts.search.storage import Opened
    from adapterstilts.search.views import StudyView


@click.group(name="study")
def command() -> None:
    """Look at studies. `recipe run` of a recipe with `search:` starts, resumes or joins its study."""


def _opened(storage: str | None, store: Path | None) -> Opened:
    from adapterstilts.runner.prepare import Options
    from adapterstilts.search.storage import open_storage
    from adapterstilts.store.store import Store

    return open_storage(storage, Store(Options(store=store).store_root).root)


@command.command("ls")
@storage_option
@store_option
@json_option
@verbose_option
def list_studies(storage: str | None, store: Path | None, as_json: bool) -> None:
    """List studies with their best trials so far."""
    from adapterstilts.search.views import study_names, view

    with closing(_opened(storage, store)) as opened:
        studies = [view(name, opened) for name in study_names(opened)]
    if as_json:
        print_json([_data(study) for study in studies])
        return
    echo_table(
        ("STUDY", "TARGET", "TRIALS", "BEST", "OF"),
        [
            (
                study.name,
                study.target,
                ", ".join(f"{number} {state}" for state, number in study.states.items()) or "none",
                f"{study.best.values[study.score]:.4f}" if study.best else "",
                str(study.best.candidate) if study.best else "",
            )
            for study in studies
        ],
    )


@command.command("show")
@click.argument("name")
@storage_option
@store_option
@json_option
@verbose_option
def show(name: str, storage: str | None, store: Path | None, as_json: bool) -> None:
    """Print a study's trials, what mattered in them, and of several objectives the Pareto front."""
    from adapterstilts.search.views import view

    with closing(_opened(storage, store)) as opened:
        study = view(name, opened)
    if as_json:
        print_json(_data(study))
        return
    front = {trial.number for trial in study.front}
    marked = {study.best.number} if study.best and not front else front
    echo_table(
        ("TRIAL", "STATE", *(one.upper() for one in study.objectives), "TIME", "WHAT"),
        [_line(trial, study, marked) for trial in study.trials],
    )
    if study.importance:
        click.echo("what mattered: " + ", ".join(f"{q} {share:.2f}" for q, share in study.importance.items()))


def _line(trial: Tried, study: StudyView, marked: set[int]) -> tuple[str, ...]:
    values = [f"{value:.4g}" for value in trial.values] or [""] * len(study.objectives)
    notes = [] if trial.same_as is None else [f"as trial {trial.same_as}"]
    notes += [trial.error.splitlines()[0]] if trial.error else []
    what = str(trial.candidate) if trial.candidate is not None else ""
    return (
        f"{trial.number}{'*' if trial.number in marked else ''}",
        trial.state,
        *values,
        time_text(trial.seconds) if trial.seconds is not None else "",
        what + (f" ({'; '.join(notes)})" if notes else ""),
    )


def _data(study: StudyView) -> dict[str, Any]:
    return {
        "name": study.name,
        "target": study.target,
        "objectives": list(study.objectives),
        "states": dict(study.states),
        "best": study.best.number if study.best else None,
        "front": [trial.number for trial in study.front],
        "importance": dict(study.importance),
        "trials": [
            {
                "number": trial.number,
                "state": trial.state,
                "family": trial.family,
                "method": trial.candidate.method if trial.candidate else None,
                "settings": vars(trial.candidate.settings) if trial.candidate else None,
                "values": list(trial.values),
                "error": trial.error,
                "same_as": trial.same_as,
                "seconds": trial.seconds,
            }
            for trial in study.trials
        ],
    }


@command.command("plot")
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("plots"),
    show_default=True,
    help="Folder of the plots.",
)
@storage_option
@store_option
@verbose_option
def plot(name: str, out: Path, storage: str | None, store: Path | None) -> None:
    """Draw a study: history, importance, transfer gains, and of several objectives the Pareto front.

    NAME is a study, or a recipe whose targets have a study each.
    """
    from adapterstilts.report.study_plots import Plots, draw_study, draw_transfer, save
    from adapterstilts.search.views import related, view

    with closing(_opened(storage, store)) as opened:
        studies = [view(one, opened) for one in related(name, opened)]
    plots: Plots = {}
    for study in studies:
        points = [(trial.number, trial.values) for trial in study.trials if trial.values]
        plots |= draw_study(
            study.name,
            study.objectives,
            points,
            study.history(),
            study.importance,
            [t.number for t in study.front],
        )
    plots |= draw_transfer(name, {study.target or study.name: study.gains() for study in studies})
    for path in save(out, plots):
        click.echo(f"wrote {path}")


@command.command("rank")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[k=v]...")
@click.option(
    "--by", multiple=True, metavar="SELECTOR", help="similarity, logme, neighbours, few_step or size."
)
@run_options
def rank(recipe: str, overrides: tuple[str, ...], by: tuple[str, ...], **given: Any) -> None:
    """Rank a recipe's intermediate adapters for each target before any trial.

    Adapters that are not in the store are trained first, as the recipe's run would do.
    """
    from adapterstilts.cli.progress import Steps
    from adapterstilts.runner.prepare import prepare_to_run
    from adapterstilts.search.ranking import rank_adapters, selectors

    chosen = selectors(by)
    prepared = prepare_to_run(recipe, overrides, as_options(given))
    with stop_on_request() as stop:
        tables = rank_adapters(prepared, chosen, Steps(verbose=given["verbose"]), stop)
    if given["as_json"]:
        print_json(tables)
        return
    for target, scores in tables.items():
        first = chosen[0]
        order = sorted(scores[first], key=lambda name: -scores[first][name])
        click.echo(f"{target}, by {first}:")
        echo_table(
            ("ADAPTER", *(one.upper() for one in scores)),
            [(name, *(f"{own[name]:.4g}" for own in scores.values())) for name in order],
        )
