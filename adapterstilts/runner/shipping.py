"""From an artifact and the run that scored it to a unit's folder, with card, provenance and manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from safetensors import safe_open

from adapterstilts.backbones import FILES_PREFIX
from adapterstilts.errors import Fault, UsageError
from adapterstilts.files import replace_text
from adapterstilts.hub.card import DataRead, Facts, Score, card
from adapterstilts.hub.manifest import CARD_FILE, Manifest, write_manifest
from adapterstilts.hub.provenance import Provenance, write_provenance
from adapterstilts.metrics.files import read_predictions
from adapterstilts.model.assembly import ADAPTER_FOLDER, FUSION_FOLDER, HEAD_FOLDER
from adapterstilts.model.backbone import config_of
from adapterstilts.model.heads import MASKED
from adapterstilts.model.shapes import shape_in
from adapterstilts.model.shipping import Sources, library_uses, plain_computes, write_unit
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.load import load
from adapterstilts.recipe.yaml_text import read_yaml
from adapterstilts.report.rows import ResultRow, read_rows
from adapterstilts.report.transfer import transfer_table
from adapterstilts.runner.planfile import read_plan
from adapterstilts.runner.reporting import RESULTS_FILE
from adapterstilts.runner.resolved import RESOLVED_FILE
from adapterstilts.specs import BACKBONE, SELF, BackboneSpec, Numerics
from adapterstilts.stages.predict import backbone_folder
from adapterstilts.store.record import Record
from adapterstilts.store.store import Artifact, Store
from adapterstilts.tasks.spec import HubSource, TaskSpec
from adapterstilts.trust.adapter import adapter_licence
from adapterstilts.trust.origins import Origins, behind, confidential_tasks, is_confidential
from adapterstilts.trust.push import Terms, cleared
from adapterstilts.units import Unit, UnitHead, part_names

_SHIPPED = ("train_adapter", "train_fusion", "average", "import_adapter")
# Facts of a process that say nothing to others, or too much.
_KEPT_HERE = ("backbone_folder", "kept")
# Of a confidential task in a recipe; the names of its files and columns stay here.
_TOLD = ("kind", "domain", "confidential", "licence", "citation")
# Of confidential data in a stage's spec: what can quote them, or name a file.
_QUOTING = ("columns", "options", "label_map")


@dataclass(frozen=True)
class Shipment:
    """An artifact about to go out.

    Attributes:
        artifact: of the adapter or fusion.
        store: where it and what it was made from are.
        run: folder of the run whose results read it.
    """

    artifact: Artifact
    store: Store
    run: Path

    @cached_property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return load(str(self.run / RESOLVED_FILE))

    @cached_property
    def stages(self) -> dict[str, Record]:
        """Key -> record of the artifact and of all that it was made from, the artifact first."""
        return {record.key: record for record in _behind(self.artifact.record, self.store)}

    @cached_property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """Key of a stage -> the data that it read, as ``task.language.split``."""
        planned = {str(stage["key"]): stage for stage in read_plan(self.run).values()}
        return {
            key: (*planned[key]["data"], *planned[key]["validation"]) for key in self.stages if key in planned
        }

    @cached_property
    def rows(self) -> list[ResultRow]:
        """The results of main metrics, in the order of the run."""
        return [row for row in read_rows(self.run / RESULTS_FILE) if row.main]

    @cached_property
    def own_rows(self) -> list[ResultRow]:
        """Those that read the artifact, and no confidential data that the artifact itself does not stand on."""
        return [
            row
            for row in self.rows
            if row.artifact and self._reads(row.artifact) and self._may_tell(row.artifact)
        ]

    @cached_property
    def origins(self) -> Origins:
        """The data behind the artifact."""
        return behind(self.store, self.artifact.record.key)

    def _may_tell(self, evaluation: str) -> bool:
        # Who allows a push for the data behind the artifact has said nothing of other data.
        return {*confidential_tasks(behind(self.store, evaluation))} <= {*confidential_tasks(self.origins)}

    def _reads(self, evaluation: str) -> bool:
        found = self.store.find(evaluation)
        return found is not None and any(
            record.key == self.artifact.record.key for record in _behind(found.record, self.store)
        )


def find_shipment(reference: str, store: Store, run: Path | None) -> Shipment:
    """Return an artifact with the run that scored it.

    Args:
        reference: key of the artifact, or a unique prefix.
        store: where it is.
        run: folder of a finished run; default: the one below ``runs/`` that made or used the artifact.

    Raises:
        UsageError: the artifact cannot be shipped, or no run has scored it.
    """
    artifact = store.resolve(reference)
    record = artifact.record
    if record.kind not in _SHIPPED:
        what = f"{record.name} is a {record.kind}, not an adapter or a fusion"
        raise UsageError(Fault(record.key[:12], what, "`adapterstilts adapter ls` lists what there is"))
    found = (
        [run] if run is not None else [path.parent for path in sorted(Path("runs").glob(f"*/{RESULTS_FILE}"))]
    )
    runs = [folder for folder in found if _made_in(record.key, folder)]
    if len(runs) != 1:
        which = (
            f"several runs use it: {', '.join(map(str, runs))}" if runs else "no finished run there uses it"
        )
        remedy = "name the folder of one with --run"
        raise UsageError(Fault(record.name, which, remedy))
    shipment = Shipment(artifact, store, runs[0])
    if not shipment.own_rows:
        what = f"no result in {runs[0]} that may be told reads it, so its card would tell nothing"
        remedy = "run a recipe with a method that uses it on a target that is not confidential"
        raise UsageError(Fault(record.name, what, remedy))
    return shipment


def _made_in(key: str, run: Path) -> bool:
    complete = (run / RESULTS_FILE).is_file() and (run / RESOLVED_FILE).is_file()
    return complete and any(stage["key"] == key for stage in read_plan(run).values())


def _behind(record: Record, store: Store) -> Iterator[Record]:
    yield record
    for key in record.inputs.values():
        found = store.find(key)
        if found is not None:
            yield from _behind(found.record, store)


# ---- the unit


def build(
    shipment: Shipment, folder: Path, name: str, version: str, terms: Terms, *, offline: bool = False
) -> Manifest:
    """Write a unit's folder, complete.

    Args:
        shipment: what goes out.
        folder: made if it is missing.
        name: ``namespace/name``.
        version: three numbers.
        terms: of its maker.
        offline: whether the backbone's configuration may not be asked for on the hub.

    Raises:
        UsageError: it may not go out.
        EnvironmentFault: the backbone cannot be had.
    """
    licence = cleared(shipment.artifact.record.name, shipment.origins, terms)
    unit, sources = unit_of_artifact(shipment.artifact, shipment.store)
    write_unit(unit, sources, folder)
    terms = Terms(licence, terms.allowed)
    provenance = _provenance(shipment, unit, name, version, terms, offline=offline)
    write_provenance(folder, provenance)
    # The lines of the card load the backbone as it is.
    plain = plain_computes(unit, sources) and provenance.backbone.quantize == "none"
    facts = _facts(shipment, _size(folder, unit), plain=plain)
    replace_text(folder / CARD_FILE, card(provenance, facts))
    return write_manifest(folder)


def unit_of_artifact(artifact: Artifact, store: Store) -> tuple[Unit, Sources]:
    """Return what an artifact is as a unit, and where its parts lie."""
    record = artifact.record
    composition = str(record.spec.get("composition", SELF))
    inputs = {
        position: store.get(key)
        for position, key in record.inputs.items()
        if position.startswith("x") and "composition" in record.spec
    }
    wanted = {position: _called(one.record) for position, one in inputs.items()}
    adapters = {position: one.path / ADAPTER_FOLDER for position, one in inputs.items()}
    own = artifact.path / ADAPTER_FOLDER
    if own.is_dir():
        wanted[SELF], adapters[SELF] = _called(record), own
    names = part_names(wanted, library_uses)
    tasks = record.spec.get("data", ())
    head = None
    if len(tasks) == 1 and tasks[0]["kind"] != MASKED:
        # Alone, the library finds a head by its adapter's name; among others it must not be mistaken for theirs.
        called = names[SELF] if composition == SELF else f"{_called(record)}_head"
        title = part_names({"head": called}, library_uses)["head"]
        head = UnitHead(title, str(tasks[0]["kind"]), tuple(tasks[0]["labels"]))
    fusion, heads = artifact.path / FUSION_FOLDER, artifact.path / HEAD_FOLDER
    sources = Sources(adapters, fusion if fusion.is_dir() else None, heads if head else None)
    return Unit(composition, names, head), sources


def _called(record: Record) -> str:
    """Return what a reader calls an adapter: ``mnli`` of ``intermediate/mnli@0``, ``xnli`` of ``target/xnli/...``."""
    return record.name.split("/")[1].rpartition("@")[0] or record.name.split("/")[1]


def _size(folder: Path, unit: Unit) -> int:
    total = 0
    for path in unit.files:
        if path.endswith(".safetensors"):
            with safe_open(str(folder / path), framework="numpy") as tensors:
                total += sum(_product(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    return total


def _product(sizes: list[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


# ---- provenance


def data_read(shipment: Shipment) -> list[DataRead]:
    """Return the data of every task that any stage behind an artifact read, by task."""
    uses: dict[str, list[str]] = {}
    for read in shipment.uses.values():
        for use in read:
            uses.setdefault(use.split(".")[0], []).append(use.split(" ")[0])
    return [_of_task(shipment.recipe.tasks[task], tuple(dict.fromkeys(own))) for task, own in uses.items()]


def _of_task(task: TaskSpec, uses: tuple[str, ...]) -> DataRead:
    languages = tuple(dict.fromkeys(use.split(".")[1] for use in uses))
    splits = [split for language in languages for split in task.splits[language].values()]
    sources = [part.source for split in splits for part in (split, *split.also)]
    hub = [source.repo for source in sources if isinstance(source, HubSource) and not task.confidential]
    return DataRead(task.name, uses, languages, task.licence, task.citation, tuple(dict.fromkeys(hub)))


def _provenance(
    shipment: Shipment,
    unit: Unit,
    name: str,
    version: str,
    terms: Terms,
    *,
    offline: bool,
) -> Provenance:
    record = shipment.artifact.record
    trained = next(one for one in shipment.stages.values() if "backbone" in one.spec)
    backbone = BackboneSpec(**trained.spec["backbone"])
    folder = _backbone_place(trained, shipment.store)
    numerics = record.spec.get("numerics")
    recipe = read_yaml((shipment.run / RESOLVED_FILE).read_text(encoding="utf-8"), RESOLVED_FILE)
    return Provenance(
        name=name,
        version=version,
        unit=unit,
        key=record.key,
        backbone=backbone,
        shape=asdict(shape_in(config_of(backbone, folder, offline=offline))),
        numerics=None if numerics is None else Numerics(**numerics),
        reading={} if unit.head is None else _reading(record),
        stages=[_stage(one, shipment) for one in shipment.stages.values()],
        data=_digests(shipment),
        recipe=without_folders(_discreet(recipe, {*confidential_tasks(shipment.origins)})),
        results=[_result(row) for row in shipment.own_rows],
        licence={
            "unit": terms.licence,
            "computed": adapter_licence(shipment.origins).to_data(),
            "allowed": list(terms.allowed),
        },
        origins=shipment.origins,
    )


def _backbone_place(trained: Record, store: Store) -> Path | None:
    if BACKBONE in trained.inputs:
        return store.get(trained.inputs[BACKBONE]).path
    if trained.spec["backbone"]["model"].startswith(FILES_PREFIX):
        return backbone_folder(Artifact(store.path(trained.key), trained))
    return None


def _reading(record: Record) -> dict[str, Any]:
    training = record.spec["training"]
    return {
        "max_length": training["max_length"],
        "tokens_per_batch": training["tokens_per_batch"],
        "stride": training.get("stride"),
        "unanswerable": record.spec["data"][0].get("unanswerable", False),
    }


def _stage(record: Record, shipment: Shipment) -> dict[str, Any]:
    private = is_confidential(behind(shipment.store, record.key))
    process = {name: value for name, value in record.provenance.items() if name not in _KEPT_HERE}
    return {
        "name": record.name,
        "key": record.key,
        "spec": _discreet_spec(record.spec) if private else dict(record.spec),
        "inputs": dict(record.inputs),
        "data": list(shipment.uses.get(record.key, ())),
        "results": dict(record.results),
        "process": process,
    }


def _discreet_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    read = {name: _unquoted(spec[name]) for name in ("data", "validation") if name in spec}
    return {**spec, **read}


def _unquoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _unquoted(item) for name, item in value.items() if name not in _QUOTING}
    return [_unquoted(item) for item in value] if isinstance(value, list | tuple) else value


def _digests(shipment: Shipment) -> dict[str, str]:
    """Return use of data -> digest of its content."""
    found: dict[str, str] = {}
    for key, record in shipment.stages.items():
        tasks = (*record.spec.get("data", ()), *record.spec.get("validation", ()))
        contents = [part["content"] for task in tasks for part in task["parts"]]
        found |= dict(zip(shipment.uses.get(key, ()), contents, strict=False))
    return found


def _discreet(recipe: Mapping[str, Any], confidential: set[str]) -> dict[str, Any]:
    """Return a recipe that does not say where confidential data are, nor how they look."""
    tasks = {
        name: _told(task) if task.get("confidential") or name in confidential else task
        for name, task in recipe.get("tasks", {}).items()
    }
    return {**recipe, **({"tasks": tasks} if tasks else {})}


def _told(task: Mapping[str, Any]) -> dict[str, Any]:
    languages = {language: sorted(splits) for language, splits in task["languages"].items()}
    return {**{name: task[name] for name in _TOLD if name in task}, "languages": languages}


def without_folders(value: Any) -> Any:
    """Return plain data in which a path that leads elsewhere on this machine has only its last name."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and value.startswith(("/", "..", "~")):
        return PurePath(value).name
    return value


def _result(row: ResultRow) -> dict[str, Any]:
    kept = (
        "method",
        "target",
        "setting",
        "language",
        "split",
        "metric",
        "value",
        "seed",
        "draw",
        "n",
        "artifact",
    )
    return {name: getattr(row, name) for name in kept}


# ---- card


def _facts(shipment: Shipment, size: int, *, plain: bool) -> Facts:
    recipe, store = shipment.recipe, shipment.store
    table = transfer_table(
        shipment.rows,
        lambda key: read_predictions(store.get(key).path),
        baseline=recipe.file.report.baseline,
        samples=recipe.file.report.bootstrap,
        labels={target.name: recipe.tasks[target.task].labels for target in recipe.targets},
    )
    names = {(one.task, one.split, one.setting, one.source): one.name for one in table.targets}
    trained = [record for record in shipment.stages.values() if "seconds" in record.results]
    return Facts(
        data=data_read(shipment),
        table=table,
        scores=[
            Score(names[row.target, row.split, row.setting, row.source], row.method, row.language, row.value)
            for row in shipment.own_rows
        ],
        seed=shipment.artifact.record.spec.get("seed"),
        parameters=size,
        seconds=sum(float(record.results["seconds"]) for record in trained),
        examples=sum(int(record.results.get("examples_seen", 0)) for record in trained),
        devices=list(dict.fromkeys(_device(record) for record in trained)),
        plain=plain,
    )


def _device(record: Record) -> str:
    """Return where a stage was trained; older records were made by one process each."""
    processes = record.provenance.get("processes", 1)
    several = "" if processes == 1 else f"{processes} x "
    return f"{several}{record.provenance['device']} ({record.provenance['cpu']})"
