"""From a command's words to a plan and the store it is measured against. No torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from adapterstilts.backbones import KNOWN, PACKAGE_PREFIX, local_model
from adapterstilts.data.load import check_split
from adapterstilts.data.sources import DataRoots, content_digest
from adapterstilts.errors import (
    AdapterStiltsError,
    DataError,
    EnvironmentFault,
    Fault,
    RecipeError,
    UsageError,
    suggest,
)
from adapterstilts.hub.revisions import dataset_commit
from adapterstilts.machine import Devices, auto_precision, find_devices, quantization_fault
from adapterstilts.recipe.build import make_plan
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.load import load
from adapterstilts.recipe.material import Surroundings
from adapterstilts.recipe.plan import DataUse, Plan
from adapterstilts.recipe.uses import Uses
from adapterstilts.runner.lineage import Lineage
from adapterstilts.runner.missing import missing_stages
from adapterstilts.runner.pins import pin, read_pins, resolve_pins
from adapterstilts.runner.pretrained import (
    Pretrained,
    check_backbones,
    find_pretrained,
    imported,
    pretrained_faults,
)
from adapterstilts.specs import BackboneSpec, Precision
from adapterstilts.store.mirror import open_store
from adapterstilts.store.store import LEASE_SECONDS, Store, default_root
from adapterstilts.tasks.spec import Split
from adapterstilts.trust.origins import confidential_tasks


@dataclass(frozen=True)
class Options:
    """What a user may set around a recipe; only `limit` changes what is computed.

    Attributes:
        store: the store's root; default ``$ADAPTERSTILTS_STORE``, else ``~/.adapterstilts``.
        mirror: URL of the store's second home, for machines that share no folder.
        out: where results go; default ``runs/<recipe name>``.
        data_dir: where relative data paths are looked for after the recipe's folder.
        device: ``auto``, ``cpu`` or ``cuda``; of a list as ``cuda:0,1`` each worker has its part, and trains a stage on
            all of it at once.
        offline: whether no socket may be opened.
        limit: at most so many examples a split; enters the key.
        force: names of stages to run again.
        keep: whether whole models keep their weights.
        max_hours: stop cleanly after so many hours.
        checkpoint_seconds: time between two checkpoints.
        lease_seconds: silence after which other processes on the same store take over a stage.
        executor: ``local`` or ``ray``.
        workers: stages side by side on this machine; a Ray cluster has as many as it has room for.
        threads: torch's threads; default all cores of the process, divided by the workers.
        checkpointing: whether training computes the inside of a layer again for its gradient, which saves memory, takes
            time, and changes no bit.
    """

    store: Path | None = None
    mirror: str | None = None
    out: Path | None = None
    data_dir: Path | None = None
    device: str = "auto"
    offline: bool = False
    limit: int | None = None
    force: tuple[str, ...] = ()
    keep: bool = False
    max_hours: float | None = None
    checkpoint_seconds: float = 60.0
    lease_seconds: float = LEASE_SECONDS
    executor: Literal["local", "ray"] = "local"
    workers: int = 1
    threads: int | None = None
    checkpointing: bool = False

    @property
    def store_root(self) -> Path:
        """The store's root."""
        return self.store or default_root()


@dataclass(frozen=True)
class Prepared:
    """A recipe that can be run.

    Attributes:
        recipe: checked.
        plan: its stages and cells.
        store: where artifacts are.
        out: where results go.
        roots: where data paths start.
        device: ``cpu`` or ``cuda``.
        devices: those that were named; see `Devices`.
        processes: that train one stage together.
        precision: what ``precision: auto`` became.
        options: as given.
        surroundings: what planning was told about the machine.
        missing: key -> reason, for each stage that has to run.
        pretrained: name -> adapter that was trained elsewhere.
    """

    recipe: Recipe
    plan: Plan
    store: Store
    out: Path
    roots: DataRoots
    device: str
    precision: Precision
    options: Options
    surroundings: Surroundings
    missing: Mapping[str, str] = field(default_factory=dict)
    pretrained: Mapping[str, Pretrained] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    processes: int = 1

    @property
    def computing(self) -> str:
        """What computes a stage, by how fast it is: the kind of device, and how many of them."""
        return self.device if self.processes == 1 else f"{self.device} x {self.processes}"

    @property
    def lineage(self) -> Lineage:
        """The data behind every stage, as they are known now."""
        return Lineage(self.plan, self.store, imported(self.pretrained.values()))


def prepare(
    reference: str,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    options: Options | None = None,
    *,
    look_inside: bool = True,
) -> Prepared:
    """Load, check and plan a recipe.

    Args:
        reference: path or name of the recipe.
        overrides: dotted path -> value.
        options: store, folders, device.
        look_inside: whether the data's first records are checked as well, which takes a moment.

    Raises:
        AdapterStiltsError: with all faults of the recipe, its data's first records and its packages at once; the
            lowest exit code of them wins.
    """
    options = options or Options()
    recipe = load(reference, overrides)
    out = options.out or Path("runs") / recipe.file.name
    recipe = _pinned(recipe, read_pins(out))
    roots = DataRoots(recipe.path.resolve().parent, options.data_dir)
    wrong = data_faults(recipe, roots, look_inside=look_inside)
    raise_together([*wrong, *pretrained_faults(recipe, options.store_root)])
    pretrained = find_pretrained(recipe, options.store_root)
    backbone = _backbone(recipe)
    check_backbones(recipe, pretrained, backbone)
    devices = find_devices(options.device)
    processes = _processes(options, devices)
    precision: Precision = "bf16" if auto_precision(devices.kind) == "bf16" else "fp32"
    # A recipe that is refused makes no store.
    store = functools.cache(lambda: open_store(options.store_root, options.mirror, options.lease_seconds))
    surroundings = Surroundings(
        content=_remembered(roots),
        backbone=backbone,
        auto_precision=precision,
        limit=options.limit,
        pretrained={name: one.content for name, one in pretrained.items()},
        makings={one.content: one.making for one in pretrained.values()},
        seal=lambda content: store().seal(content),
    )
    plan = make_plan(recipe, surroundings)
    _check_forced(plan, options.force)
    if options.mirror is not None:
        _check_mirrored(recipe, Lineage(plan, store(), imported(pretrained.values())), options.mirror)
    missing = missing_stages(plan, store(), options.force)
    return Prepared(
        recipe,
        plan,
        store(),
        out,
        roots,
        devices.kind,
        precision,
        options,
        surroundings,
        missing,
        pretrained,
        devices.names,
        processes,
    )


def _processes(options: Options, devices: Devices) -> int:
    """Return how many processes train one stage together: a worker's part of the devices that were named.

    Raises:
        UsageError: when they cannot be shared out evenly, or a cluster shares them out.
    """
    named, workers = len(devices.names), options.workers
    if named == 0:
        return 1
    if options.executor == "ray":
        remedy = f"use --device {devices.kind}; a stage on Ray takes one"
        raise UsageError(Fault("--device", "a cluster shares its devices out itself", remedy))
    if named % workers:
        what = f"{named} devices cannot be shared out evenly among {workers} workers"
        raise UsageError(Fault("--device", what, f"name a multiple of {workers}, or change --workers"))
    return named // workers


def prepare_to_run(
    reference: str, overrides: Sequence[str] | Mapping[str, Any] = (), options: Options | None = None
) -> Prepared:
    """Prepare a recipe, and ask the hub once for the commits of data that nobody has pinned.

    Raises:
        AdapterStiltsError: as `prepare`; `EnvironmentFault` when a commit is needed and cannot be had, or the backbone
            cannot be quantised here.
    """
    prepared = prepare(reference, overrides, options)
    fault = quantization_fault(prepared.recipe.file.backbone.quantize, prepared.device)
    if fault is not None:
        raise EnvironmentFault(Fault(f"{prepared.recipe.path}: {fault.where}", fault.what, fault.remedy))
    uses = [use for stage in prepared.plan.stages.values() if not stage.resolved for use in stage.reads]
    if not uses:
        return prepared
    if prepared.options.offline:
        names = ", ".join(sorted({use.task.name for use in uses}))
        remedy = "run once without --offline, or declare the tasks with local files"
        raise EnvironmentFault(
            Fault(str(prepared.recipe.path), f"hub data without a pinned commit: {names}", remedy)
        )
    resolve_pins({use.task.name: use.task for use in uses}.values(), prepared.out, dataset_commit)
    return prepare(reference, overrides, options)


def _pinned(recipe: Recipe, pins: Mapping[str, str]) -> Recipe:
    if not pins:
        return recipe
    return replace(recipe, tasks={name: pin(task, pins) for name, task in recipe.tasks.items()})


def _remembered(roots: DataRoots) -> Any:
    known: dict[int, str | None] = {}

    def content(split: Split) -> str | None:
        if id(split) not in known:
            known[id(split)] = content_digest(split, roots)
        return known[id(split)]

    return content


def data_faults(recipe: Recipe, roots: DataRoots, *, look_inside: bool) -> list[AdapterStiltsError]:
    """Return what is wrong with the data that a recipe names: missing files, and faults of the first records."""
    errors: dict[str, AdapterStiltsError] = {}
    seen: set[tuple[str, str, str, tuple[str, ...]]] = set()
    for use in Uses(recipe).all():
        # A source is looked at once for every list of labels that it is mapped to.
        place = (use.task.name, use.language, use.split, use.task.labels)
        if place in seen:
            continue
        seen.add(place)
        error = _split_error(use, roots, look_inside)
        if error is not None:
            errors.setdefault(str(error), error)
    return list(errors.values())


def _split_error(use: DataUse, roots: DataRoots, look_inside: bool) -> AdapterStiltsError | None:
    try:
        content_digest(use.task.splits[use.language][use.split], roots)
    except AdapterStiltsError as error:
        return error
    faults = check_split(use.task, use.language, use.split, roots) if look_inside else ()
    return DataError(*faults) if faults else None


def raise_together(errors: Sequence[AdapterStiltsError]) -> None:
    """Raise one error with all faults, of the class with the lowest exit code; nothing for no errors."""
    if not errors:
        return
    first = min(errors, key=lambda error: error.exit_code)
    faults = [fault for error in sorted(errors, key=lambda error: error.exit_code) for fault in error.faults]
    raise type(first)(*dict.fromkeys(faults))


def _backbone(recipe: Recipe) -> BackboneSpec:
    section = recipe.file.backbone
    known = KNOWN.get(section.model)
    revision = section.revision or (known.revision if known else None)
    if section.model.startswith(PACKAGE_PREFIX):
        if known is None:
            hint = suggest(section.model, KNOWN) or "known packages: " + ", ".join(_packages())
            raise RecipeError(
                Fault(f"{recipe.path}: backbone.model", "no backbone in this package is known", hint)
            )
        return BackboneSpec(section.model, revision, section.quantize)
    folder = local_backbone(recipe)
    if folder is not None:
        return BackboneSpec(local_model(folder), None, section.quantize)
    if revision is None:
        remedy = "name the commit SHA as `revision`, so that the result can be repeated"
        raise RecipeError(Fault(f"{recipe.path}: backbone.revision", "the backbone is not pinned", remedy))
    return BackboneSpec(section.model, revision, section.quantize)


def local_backbone(recipe: Recipe) -> Path | None:
    """Return the folder that ``backbone.model`` names, or None when it is a hub id or a package.

    Raises:
        EnvironmentFault: when it can only be a folder, and is none.
    """
    model = recipe.file.backbone.model
    if model.startswith(PACKAGE_PREFIX):
        return None
    folder = recipe.path.parent / model
    if (folder / "config.json").is_file():
        return folder
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        what = f"no model folder (with a config.json): {folder}"
        raise EnvironmentFault(Fault(f"{recipe.path}: backbone.model", what, "correct the path"))
    return None


def _packages() -> list[str]:
    return [name for name in KNOWN if name.startswith(PACKAGE_PREFIX)]


def _check_mirrored(recipe: Recipe, lineage: Lineage, url: str) -> None:
    """Refuse to show confidential data behind a URL, whose readers nobody here can choose.

    Raises:
        UsageError: with every confidential task of the plan, of stored artifacts and of pretrained adapters.
    """
    # A study's trials may read what its first plan does not.
    named = [use.task.name for use in Uses(recipe).all() if use.task.confidential]
    faults = [
        Fault(
            f"--mirror {url}",
            f"confidential data would go there: {task}",
            "leave --mirror out, and let the machines share a folder",
        )
        for task in dict.fromkeys([*named, *confidential_tasks(lineage.all())])
    ]
    if faults:
        raise UsageError(*faults)


def _check_forced(plan: Plan, forced: Sequence[str]) -> None:
    names = [stage.name for stage in plan.stages.values()]
    faults = [
        Fault(
            "--force",
            f"{name!r} is not a stage of this plan",
            suggest(name, names) or "`recipe plan` lists them",
        )
        for name in forced
        if name not in names
    ]
    if faults:
        raise UsageError(*faults)
