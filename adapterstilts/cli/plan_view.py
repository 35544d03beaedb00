"""A plan as rows: state, reason, steps, time, memory and disk of each stage."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import click

from adapterstilts.backbones import sizes_of
from adapterstilts.cli.table import echo_table, size_text
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.consequences import Consequence, told_together
from adapterstilts.runner.estimate import Throughput, batches_of, estimate, peak_disk
from adapterstilts.runner.fits import Room, remedies
from adapterstilts.runner.memory import SpecOf
from adapterstilts.runner.missing import ABSENT
from adapterstilts.runner.planfile import read_plan, why_changed
from adapterstilts.runner.prepare import Prepared, local_backbone
from adapterstilts.store.digest import canonical


def plan_rows(prepared: Prepared, room: Room) -> list[dict[str, Any]]:
    """Return one mapping a stage.

    It has name, kind, key, state, why, note, path, why_library, data, validation, steps, tokens, seconds, disk, memory,
    measured_memory, fits and remedies.
    """
    before = read_plan(prepared.out)
    spec_of = _spec_of(prepared)
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
        rows.append(
            {**row, **reads, **vars(cost), **_memory(stage, prepared, room, spec_of, batches_of(stage, cost))}
        )
    return rows


def room_of(prepared: Prepared) -> Room:
    """Return what this machine has for each of a recipe's stages."""
    options = prepared.options
    sizes = sizes_of(prepared.recipe.file.backbone.model, local_backbone(prepared.recipe))
    if options.executor == "ray":
        # Its nodes are others, and Ray finds one that has room.
        return Room(prepared.device, sizes, None, None, options.checkpointing)
    return Room.here(prepared.device, sizes, options.workers, checkpointing=options.checkpointing)


def _spec_of(prepared: Prepared) -> SpecOf:
    @functools.cache
    def spec_of(key: str) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = canonical(prepared.plan.stages[key].spec)
        return spec

    return spec_of


def _memory(
    stage: Stage, prepared: Prepared, room: Room, spec_of: SpecOf, batches: int | None
) -> dict[str, Any]:
    """Return the estimate of a stage's memory, what was measured of one in the store, and what would make one fit."""
    memory = room.memory(stage, spec_of, batches)
    there = None if stage.key in prepared.missing else prepared.store.find(stage.key)
    fits = None if memory is None else room.holds(memory)
    left = stage.key in prepared.missing and fits is False
    return {
        "memory": None if memory is None else {"peak": memory.peak, **vars(memory), "host": memory.host},
        "measured_memory": None if there is None else there.record.results.get("peak_bytes"),
        "fits": fits,
        "remedies": [
            {"change": one.change, "peak": one.memory.peak, "fits": one.enough}
            for one in (remedies(stage, spec_of, room, batches) if left else ())
        ],
    }


def echo_too_large(rows: Sequence[Mapping[str, Any]], room: Room) -> None:
    """Print which stages do not fit into memory, and what would make them fit; like ones together."""
    together: dict[tuple[int, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["remedies"]:
            told = "; ".join(
                f"{one['change']} ({size_text(one['peak'])}{'' if one['fits'] else ', still too much'})"
                for one in row["remedies"]
            )
            together[row["memory"]["peak"], told].append(row["name"])
    if not together:
        return
    place = "the GPU" if room.device == "cuda" else "this machine"
    click.echo(f"\nWhat does not fit into the memory of {place} ({size_text(room.on_device)} a stage):")
    for (peak, told), names in together.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        click.echo(f"  {names[0]}{more}: {size_text(peak)}; {told}")


def summary(rows: list[dict[str, Any]], prepared: Prepared, room: Room) -> dict[str, Any]:
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
        "peak_memory": max((row["memory"]["peak"] for row in left if row["memory"]), default=None),
        "memory_here": room.on_device,
        "too_large": sum(1 for row in left if row["fits"] is False),
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
