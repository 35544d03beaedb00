"""``adapterstilts recipe``: look at recipes, check, plan and run them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from adapterstilts.cli.options import as_options, print_json, run_options
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
    """Print what a run would do: stages, why, steps, time and disk."""
    from adapterstilts.cli.plan_view import echo_consequences, plan_rows, summary
    from adapterstilts.runner.consequences import consequences
    from adapterstilts.runner.prepare import prepare

    prepared = prepare(recipe, overrides, as_options(given), look_inside=False)
    rows = plan_rows(prepared)
    asked = consequences(prepared.plan, prepared.lineage)
    if given["as_json"]:
        print_json(
            {
                "recipe": prepared.recipe.file.name,
                "stages": rows,
                "summary": summary(rows, prepared),
                "results": [one.to_data() for one in asked],
            }
        )
        return
    shown = [row for row in rows if given["verbose"] or row["state"] != "in the store"]
    echo_table(
        ("STAGE", "STATE", "STEPS", "TIME", "DISK"),
        [
            (
                row["name"],
                row["state"] + "".join(f" ({row[one]})" for one in ("why", "note") if row[one]),
                str(row["steps"] or ""),
                "" if row["state"] == "in the store" else time_text(row["seconds"]),
                "" if row["state"] == "in the store" else size_text(row["disk"]),
            )
            for row in shown
        ],
    )
    totals = summary(rows, prepared)
    click.echo(
        f"{totals['stages']} stages: {totals['cached']} in the store, {totals['to_run']} to run, "
        f"{totals['unresolved']} unresolved; time {time_text(totals['seconds'])}, "
        f"disk {size_text(totals['disk'])} (at its peak {size_text(totals['peak_disk'])})"
    )
    echo_consequences(asked)


@command.command("run")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[k=v]...")
@click.option(
    "--track", type=click.Choice(["tensorboard"]), help="Write training curves for a tracker as well."
)
@run_options
def run(recipe: str, overrides: tuple[str, ...], track: str | None, **given: Any) -> None:
    """Train and evaluate what is missing, print the transfer table, write results and report."""
    from adapterstilts.cli.progress import Progress
    from adapterstilts.runner.execute import execute
    from adapterstilts.runner.prepare import prepare_to_run

    prepared = prepare_to_run(recipe, overrides, as_options(given))
    trackers: list[Any] = []
    if track == "tensorboard":
        from adapterstilts.training.tracking import TENSORBOARD_FOLDER, TensorBoard

        trackers.append(TensorBoard(prepared.out / TENSORBOARD_FOLDER))
    progress = Progress(len(prepared.plan.stages))
    with _stop_on_request() as stop:
        finished = execute(prepared, progress, trackers=trackers, stop=stop)
    _print_run(finished, as_json=given["as_json"])
    finished.raise_failures()


class _stop_on_request:  # noqa: N801 - reads as a verb where it is used
    """Turn the first Ctrl-C or SIGTERM into a question that the loop asks; a second one ends at once."""

    def __enter__(self) -> Any:
        self._asked = False
        self._before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return lambda: self._asked

    def _ask(self, _number: int, _frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        click.echo("\nstopping after this step; once more ends at once", err=True)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _print_run(finished: Any, *, as_json: bool) -> None:
    from adapterstilts.report.text import table_text

    prepared = finished.prepared
    if as_json:
        print_json(
            {
                "recipe": prepared.recipe.file.name,
                "out": str(finished.out),
                "trained": finished.trained,
                "stages": len(prepared.plan.stages),
                "failed": len(finished.errors),
                "results": [vars(row) for row in finished.rows],
            }
        )
        return
    if finished.table is not None:
        click.echo(table_text(finished.table))
    if not prepared.missing:
        click.echo("nothing to do: every stage is in the store")
    click.echo(f"results: {finished.out / 'results.jsonl'}   report: {finished.out / 'report.html'}")
