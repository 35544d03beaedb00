"""``adapterstilts store``: what was trained and kept."""

from __future__ import annotations

from pathlib import Path

import click

from adapterstilts.cli.options import json_option, print_json, store_option
from adapterstilts.cli.table import echo_table, size_text
from adapterstilts.errors import StoreError, suggest
from adapterstilts.runner.prepare import Options
from adapterstilts.store.store import Store


@click.group(name="store")
def command() -> None:
    """Look at what was trained and kept."""


@command.command("ls")
@click.option("--kind", help="Only artifacts of this stage kind.")
@store_option
@json_option
def list_artifacts(kind: str | None, store: Path | None, as_json: bool) -> None:
    """List artifacts."""
    artifacts = [
        one for one in Store(Options(store=store).store_root).artifacts() if kind in (None, one.record.kind)
    ]
    if as_json:
        print_json(
            [
                {"key": a.record.key, "name": a.record.name, "kind": a.record.kind, "bytes": a.size}
                for a in artifacts
            ]
        )
        return
    echo_table(
        ("KEY", "KIND", "SIZE", "NAME"),
        [(a.record.key[:12], a.record.kind, size_text(a.size), a.record.name) for a in artifacts],
    )


@command.command("verify")
@store_option
@json_option
def verify(store: Path | None, as_json: bool) -> None:
    """Read every file and compare it with its record."""
    opened = Store(Options(store=store).store_root)
    faults = opened.verify()
    count = sum(1 for _ in (opened.root / "artifacts").glob("*/*"))
    if as_json:
        print_json({"artifacts": count, "faults": [str(fault) for fault in faults]})
    if faults:
        raise StoreError(*faults)
    if not as_json:
        click.echo(f"{count} artifacts, all as recorded")


@command.command("gc")
@click.option("--cache", is_flag=True, help="Remove derived data, too; they are made again when needed.")
@store_option
def collect_garbage(cache: bool, store: Path | None) -> None:
    """Remove abandoned workspaces, used checkpoints and copies that were set aside."""
    removed = Store(Options(store=store).store_root).collect_garbage(cache=cache)
    click.echo(f"removed {len(removed)} folders")


@command.command("purge")
@click.option("--task", required=True, help="The task whose data everything came from.")
@click.option("--dry-run", is_flag=True, help="Only list what would go.")
@store_option
@json_option
def purge_task(task: str, dry_run: bool, store: Path | None, as_json: bool) -> None:
    """Remove all that came from a task: artifacts, checkpoints, copies, cached data, results of runs."""
    from adapterstilts.runner.purge import find_purge, purge

    opened = Store(Options(store=store).store_root)
    found = find_purge(opened, task)
    if not dry_run:
        purge(opened, found)
    if as_json:
        paths = [{"kind": kind, "path": str(path)} for kind, path in found.paths]
        print_json({"task": task, "removed": not dry_run, "paths": paths, "unknown": list(found.unknown)})
        return
    if not found.paths:
        hint = suggest(task, found.tasks)
        click.echo(f"nothing here came from {task!r}{f'; {hint}' if hint else ''}")
    else:
        rows = [(kind, found.artifacts.get(path.name, ""), str(path)) for kind, path in found.paths]
        echo_table(("KIND", "NAME", "PLACE"), rows)
        click.echo(f"{len(rows)} {'would go' if dry_run else 'removed'}")
    if found.unknown:
        shown = ", ".join(found.unknown)
        click.echo(f"of older runs, whose data nobody noted, and left alone: {shown}", err=True)
