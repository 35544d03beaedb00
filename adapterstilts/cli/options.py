"""Options that several commands share, and JSON on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from adapterstilts.runner.prepare import Options
from adapterstilts.store.store import LEASE_SECONDS

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)
store_option = click.option(
    "--store",
    type=_PATH,
    envvar="ADAPTERSTILTS_STORE",
    help="Folder of what was trained. [default: ~/.adapterstilts]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Answer for machines on stdout, all else on stderr."
)
# `main` looks for the flag itself; most commands have no use for it.
verbose_option = click.option("-v", "--verbose", is_flag=True, expose_value=False, help="Show tracebacks.")
data_option = click.option("--data-dir", type=_PATH, help="Folder of data files, after the recipe's own.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
backbone_option = click.option(
    "--backbone", type=_PATH, help="Folder of a local backbone that is not where the model was trained."
)
offline_option = click.option("--offline", is_flag=True, help="Open no connection to a hub.")

storage_option = click.option(
    "--storage",
    metavar="URL",
    help="Where studies are: sqlite:///FILE, journal:FILE, postgresql://... or mysql://... [default: in the store]",
)

_RUN_OPTIONS = [
    store_option,
    click.option(
        "--mirror", metavar="URL", help="Second home of the store, for machines that share no folder."
    ),
    click.option("--out", type=_PATH, help="Folder of results. [default: runs/RECIPE]"),
    data_option,
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto, cpu or cuda; cuda:0,1 trains a stage on each of them at once.",
    ),
    offline_option,
    click.option(
        "--limit", type=click.IntRange(1), help="At most so many examples a split; enters the keys."
    ),
    click.option("--force", multiple=True, metavar="STAGE", help="Run a stage and its dependants again."),
    click.option("--keep", is_flag=True, help="Keep the weights of whole models."),
    click.option(
        "--max-hours", type=click.FloatRange(0, min_open=True), help="Stop cleanly after so many hours."
    ),
    click.option(
        "--gradient-checkpointing",
        "checkpointing",
        is_flag=True,
        help="Compute layers again for their gradients: less memory, more time, the same bits.",
    ),
    click.option(
        "--lease-seconds",
        type=click.FloatRange(0, min_open=True),
        default=LEASE_SECONDS,
        show_default=True,
        help="Silence after which other processes on the same store take over a stage.",
    ),
    click.option(
        "--executor",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where stages run.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Stages side by side, a process each.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1),
        help="Threads that compute a stage. [default: all cores, divided by the workers]",
    ),
    click.option(
        "--checkpoint-seconds",
        type=click.FloatRange(0),
        default=60.0,
        show_default=True,
        help="Between checkpoints.",
    ),
    json_option,
    click.option("-v", "--verbose", is_flag=True, help="Say more, and show tracebacks."),
]


def run_options(function: F) -> F:
    """Add the options of commands that plan or run a recipe."""
    for option in reversed(_RUN_OPTIONS):
        function = option(function)
    return function


def as_options(given: dict[str, Any]) -> Options:
    """Return the `Options` among a command's arguments."""
    return Options(
        store=given["store"],
        mirror=given["mirror"],
        out=given["out"],
        data_dir=given["data_dir"],
        device=given["device"],
        offline=given["offline"],
        limit=given["limit"],
        force=tuple(given["force"]),
        keep=given["keep"],
        max_hours=given["max_hours"],
        executor=given["executor"],
        workers=given["workers"],
        threads=given["threads"],
        checkpointing=given["checkpointing"],
        checkpoint_seconds=given["checkpoint_seconds"],
        lease_seconds=given["lease_seconds"],
    )


def print_json(value: Any) -> None:
    """Write a value to stdout as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))
