"""``adapterstilts recipe``: look at recipes, check, plan and run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adapterstilts.cli.options import as_options, print_json, run_options, storage_option
from adapterstilts.cli.signals import stop_on_request
from adapterstilts.cli.table import echo_table, size_text, time_text
from adapterstilts.errors import Fault, UsageError


@click.group(name="recipe")
def command() -> None:
    """Check, plan and run recipes. NAME and path of a recipe are interchangeable."""


@command.command("ls")
def list_recipes() -> None:
    """List the recipes that ship with the package."""
    from adapterstilts.recipe.files import shipped

    echo_table(("NAME", "WHAT"), [(name, _first_comment(path)) for name, path in shipped().items()])


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print a recipe."""
    from adapterstilts.recipe.files import find

    click.echo(find(name).read_text(encoding="utf-8"), nl=False)


@command.command("cp")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def copy(name: str, file: Path) -> None:
    """Copy a recipe to FILE, to be changed."""
    from adapterstilts.recipe.files import find

    if file.exists():
        raise UsageError(Fault(str(file), "is there already", "name another file"))
    try:
        file.write_text(find(name).read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            Fault(str(file), f"cannot be written: {error.strerror}", "name another file")
        ) from error
    click.echo(f"wrote {file}")


@command.command("check")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[k=v]...")
@run_options
def check(recipe: str, overrides: tuple[str, ...], **given: Any) -> None:
    """Check a recipe, its data's first records and its packages; print all faults."""
    from adapterstilts.data.sources import DataRoots
    from adapterstilts.recipe.load import load
    from adapterstilts.runner.prepare import data_faults, raise_together
    from adapterstilts.runner.pretrained import pretrained_faults

    loaded = load(recipe, overrides)
    roots = DataRoots(loaded.path.resolve().parent, given["data_dir"])
    wrong = data_faults(loaded, roots, look_inside=True)
    raise_together([*wrong, *pretrained_faults(loaded, as_options(given).store_root)])
    methods = len(loaded.methods) * sum(len(t.samples) for t in loaded.targets) * len(loaded.file.seeds)
    if given["as_json"]:
        print_json(
            {"recipe": loaded.file.name, "ok": True, "methods": [str(method) for method in loaded.methods]}
        )
    else:
        click.echo(f"{loaded.file.name}: no faults; {methods} (method, target, seed) cells")


@command.command("plan")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[k=v]...")
@run_options
def plan(recipe: str, overrides: tuple[str, ...], **given: Any) -> None:
    """Print what a run would do: stages, why, steps, time, memory and disk."""
    from adapterstilts.cli.plan_view import echo_consequences, echo_too_large, plan_rows, room_of, summary
    from adapterstilts.runner.consequences import consequences
    from adapterstilts.runner.prepare import prepare

    prepared = prepare(recipe, overrides, as_options(given), look_inside=False)
    room = room_of(prepared)
    rows = plan_rows(prepared, room)
    asked = consequences(prepared.plan, prepared.lineage)
    if given["as_json"]:
        print_json(
            {
                "recipe": prepared.recipe.file.name,
                "stages": rows,
                "summary": summary(rows, prepared, room),
                "results": [one.to_data() for one in asked],
            }
        )
        return
    shown = [row for row in rows if given["verbose"] or row["state"] != "in the store"]
    echo_table(
        ("STAGE", "STATE", "PATH", "STEPS", "TIME", "MEMORY", "DISK"),
        [
            (
                row["name"],
                row["state"] + "".join(f" ({row[one]})" for one in ("why", "note") if row[one]),
                _path_text(row),
                str(row["steps"] or ""),
                "" if row["state"] == "in the store" else time_text(row["seconds"]),
                _memory_text(row),
                "" if row["state"] == "in the store" else size_text(row["disk"]),
            )
            for row in shown
        ],
    )
    totals = summary(rows, prepared, room)
    click.echo(
        f"{totals['stages']} stages: {totals['cached']} in the store, {totals['to_run']} to run, "
        f"{totals['unresolved']} unresolved; time {time_text(totals['seconds'])}, "
        f"disk {size_text(totals['disk'])} (at its peak {size_text(totals['peak_disk'])}), "
        f"memory at its peak {size_text(totals['peak_memory'])} of {size_text(totals['memory_here'])}"
    )
    if prepared.recipe.space is not None:
        trials = prepared.recipe.space.section.trials
        of_each = "" if prepared.recipe.space.forms else " of each method"
        click.echo(
            f"a study of {trials} trials{of_each} goes before; it adds its winner, and chooses settings"
        )
    echo_too_large(rows, room)
    echo_consequences(asked)


def _memory_text(row: dict[str, Any]) -> str:
    """Return how much a stage is thought to take; of one in the store, what was measured."""
    if row["state"] == "in the store":
        return size_text(row["measured_memory"]) if row["measured_memory"] else ""
    peak = "" if row["memory"] is None else size_text(row["memory"]["peak"])
    return f"{peak}, too much" if row["fits"] is False else peak


def _path_text(row: dict[str, Any]) -> str:
    """Return which code computes a stage, and why it is not the engine."""
    name = row["path"].split(".")[0]
    return f"{name}: {row['why_library']}" if row["why_library"] else name


@command.command("run")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[k=v]...")
@click.option(
    "--track", type=click.Choice(["tensorboard"]), help="Write training curves for a tracker as well."
)
@storage_option
@run_options
def run(
    recipe: str, overrides: tuple[str, ...], track: str | None, storage: str | None, **given: Any
) -> None:
    """Train and evaluate what is missing, print the transfer table, write results and report.

    A recipe with `search:` starts, resumes or joins its study first.
    """
    from adapterstilts.runner.prepare import prepare_to_run

    prepared = prepare_to_run(recipe, overrides, as_options(given))
    trackers: list[Any] = []
    if track == "tensorboard":
        from adapterstilts.training.tracking import TENSORBOARD_FOLDER, TensorBoard

        trackers.append(TensorBoard(prepared.out / TENSORBOARD_FOLDER))
    with stop_on_request() as stop:
        finished = _finished(prepared, storage, trackers, stop, verbose=given["verbose"])
    if given["as_json"]:
        answers = [_run_data(one) for one in finished]
        print_json(answers[0] if len(answers) == 1 else answers)
    for one in finished:
        if not given["as_json"]:
            _print_run(one)
    for one in finished:
        one.raise_failures()


def _finished(
    prepared: Any, storage: str | None, trackers: list[Any], stop: Any, *, verbose: bool
) -> list[Any]:
    """Return what was run: one run, or one a target after its study."""
    from adapterstilts.cli.progress import Progress, Steps, Trials

    if prepared.recipe.space is None:
        from adapterstilts.runner.execute import execute

        return [execute(prepared, Progress(len(prepared.plan.stages)), trackers=trackers, stop=stop)]
    from adapterstilts.search.run import Telling, run_studies

    telling = Telling(Steps(verbose=verbose), Trials(), trackers, stop)
    return list(run_studies(prepared, storage, telling))


def _run_data(finished: Any) -> dict[str, Any]:
    prepared = finished.prepared
    return {
        "recipe": prepared.recipe.file.name,
        "out": str(finished.out),
        "trained": finished.trained,
        "stages": len(prepared.plan.stages),
        "failed": len(finished.errors),
        "results": [vars(row) for row in finished.rows],
    }


def _print_run(finished: Any) -> None:
    from adapterstilts.report.text import table_text

    prepared = finished.prepared
    if finished.table is not None:
        click.echo(table_text(finished.table))
    if not prepared.missing:
        click.echo("nothing to do: every stage is in the store")
    click.echo(f"results: {finished.out / 'results.jsonl'}   report: {finished.out / 'report.html'}")
