"""``adapterstilts task``: look at the tasks that recipes can name."""

from __future__ import annotations

from typing import Any

import click

from adapterstilts.cli.options import json_option, print_json
from adapterstilts.cli.peek import peek_command
from adapterstilts.cli.table import echo_table
from adapterstilts.tasks import catalogue
from adapterstilts.tasks.spec import HubSource, PackageSource, Split, TaskSpec


@click.group(name="task")
def command() -> None:
    """Look at the tasks that recipes can name."""


@command.command("ls")
@json_option
def list_tasks(as_json: bool) -> None:
    """List the catalogue."""
    tasks = [catalogue.get(name) for name in catalogue.names()]
    if as_json:
        print_json([_summary(task) for task in tasks])
        return
    echo_table(
        ("NAME", "KIND", "DOMAIN", "LANGUAGES", "LICENCE"),
        [(t.name, t.kind, t.domain, _shortened(list(t.splits)), t.licence or "unknown") for t in tasks],
    )


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Print what the catalogue knows of a task."""
    task = catalogue.get(name)
    if as_json:
        print_json(_summary(task))
        return
    for field, value in _summary(task).items():
        if field != "splits":
            click.echo(f"{field:20} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    click.echo("splits")
    rows = [
        (f"  {language}", split, str(declared.examples or "?"), _place(declared))
        for language, splits in task.splits.items()
        for split, declared in splits.items()
    ]
    echo_table(("  LANGUAGE", "SPLIT", "EXAMPLES", "SOURCE"), rows)


command.add_command(peek_command)


def _shortened(languages: list[str]) -> str:
    return " ".join(languages[:7]) + (f" ... ({len(languages)})" if len(languages) > 7 else "")


def _place(split: Split) -> str:
    source = split.source
    if isinstance(source, HubSource):
        pin = source.revision[:10] if source.revision else "unpinned"
        return f"hub {source.repo} {source.config or ''} {source.split} ({pin})"
    if isinstance(source, PackageSource):
        return f"package {source.package}"
    return f"files {', '.join(source.paths[:2])}"


def _summary(task: TaskSpec) -> dict[str, Any]:
    return {
        "name": task.name,
        "kind": task.kind,
        "domain": task.domain,
        "labels": list(task.labels),
        "metrics": list(task.metrics),
        "trained on": task.train_task or task.name,
        "licence": task.licence,
        "citation": task.citation,
        "note": task.note,
        "splits": {
            language: {split: declared.examples for split, declared in splits.items()}
            for language, splits in task.splits.items()
        },
    }
