"""A plan as rows: state, reason, steps, time and disk of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from adapterstilts.cli.table import echo_table
from adapterstilts.runner.consequences import Consequence, told_together
from adapterstilts.runner.estimate import Throughput, estimate, peak_disk
from adapterstilts.runner.missing import ABSENT
from adapterstilts.runner.planfile import read_plan, why_changed
from adapterstilts.runner.prepare import Prepared


def plan_rows(prepared: Prepared) -> list[dict[str, Any]]:
    """Return one mapping a stage.

    It has name, kind, key, state, why, note, path, why_library, data, validation, steps, tokens, seconds and disk.
    """
    before = read_plan(prepared.out)
    throughput = Throughput(prepared.store)
    rows = []
    for key, stage in prepared.plan.stages.items():
        reason = prepared.missing.get(key)
        state = "in the store" if reason is None else "to run" if stage.resolved else "unresolved"
        why = why_changed(stage, prepared.plan, before) if reason == ABSENT else reason or ""
        cost = estimate(stage, throughput, prepared.computing, prepared.roots, prepared.plan.stages)
        row = {
            "name": stage.name,
            "kind": stage.spec.kind,
            "key": key,
            "state": state,
            "why": why,
            "note": stage.note,
            "path": stage.path,
            "why_library": stage.why_library,
        }
        reads = {
            "data": [str(use) for use in stage.data],
            "validation": [str(use) for use in stage.validation],
        }
        rows.append({**row, **reads, **vars(cost)})
    return rows


def summary(rows: list[dict[str, Any]], prepared: Prepared) -> dict[str, Any]:
    """Return totals over what is left; time is None while any part of it is unmeasured."""
    left = [row for row in rows if row["state"] != "in the store"]
    timed = [row["seconds"] for row in left if row["kind"] not in ("convert_backbone",)]
    sizes = [row["disk"] for row in left if row["disk"] is not None]
    missing = {key: stage for key, stage in prepared.plan.stages.items() if key in prepared.missing}
    return {
        "stages": len(rows),
        "cached": len(rows) - len(left),
        "to_run": sum(1 for row in left if row["state"] == "to run"),
        "unresolved": sum(1 for row in left if row["state"] == "unresolved"),
        "seconds": None if None in timed else sum(timed),
        "disk": sum(sizes),
        "peak_disk": peak_disk(missing),
    }


def echo_consequences(asked: Sequence[Consequence]) -> None:
    """Print what the data ask of the results, where they ask for anything."""
    groups = told_together(asked)
    if not groups:
        return
    click.echo("\nWhat the data behind the models ask (no legal advice; --json names the paths):")
    echo_table(
        ("LICENCE", "CONFIDENTIAL", "RESULTS", "WHY"),
        [
            (licence, confidential or "-", _results(some), why)
            for (licence, confidential, why), some in groups.items()
        ],
    )


def _results(some: Sequence[Consequence]) -> str:
    more = f" and {len(some) - 1} more" if len(some) > 1 else ""
    return f"{some[0].method} on {some[0].target}{more}"
