"""``adapterstilts store``: what was trained and kept."""

from __future__ import annotations

from pathlib import Path

import click

from adapterstilts.cli.options import json_option, print_json, store_option
from adapterstilts.cli.table import echo_table, size_text
from adapterstilts.errors import StoreError
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
