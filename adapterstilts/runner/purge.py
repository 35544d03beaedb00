"""Everything that came from a task's data, found and removed: artifacts, what is half made, caches, result files."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterstilts.data.encoding import files
from adapterstilts.errors import Fault, StoreError
from adapterstilts.report import HTML_FILE, MARKDOWN_FILE, PLOTS_FOLDER, RESULTS_FILE
from adapterstilts.report.overlaps import OVERLAP_FILE
from adapterstilts.runner import overlaps
from adapterstilts.runner.planfile import PLAN_FILE
from adapterstilts.runner.resolved import RESOLVED_FILE
from adapterstilts.specs import LONGER
from adapterstilts.store.record import RECORD_NAME, read_record
from adapterstilts.store.store import Store
from adapterstilts.training.tracking import TENSORBOARD_FOLDER
from adapterstilts.trust.origins import DATA, from_data

_RESULTS = (
    RESULTS_FILE,
    MARKDOWN_FILE,
    HTML_FILE,
    PLOTS_FOLDER,
    RESOLVED_FILE,
    PLAN_FILE,
    OVERLAP_FILE,
    TENSORBOARD_FOLDER,
)
# Their entries are named by digests alone, so that none can be left out; they are made again when needed.
_CACHES = (files.CACHE, overlaps.CACHE)


@dataclass(frozen=True)
class Purge:
    """What came from a task.

    Attributes:
        artifacts: key -> readable name of what is in the store.
        paths: kind and place of all that goes; kinds are ``artifact``, ``checkpoint``, ``copy``, ``result``, ``note``
            (of a run), ``cache``.
        unknown: names of artifacts of older runs, which nobody can tell about; they stay.
        tasks: names of all tasks that the store knows.
    """

    artifacts: Mapping[str, str]
    paths: tuple[tuple[str, Path], ...]
    unknown: tuple[str, ...]
    tasks: frozenset[str]


@dataclass(frozen=True)
class _Made:
    """An artifact, a copy of one, or what is half made: from which data and inputs."""

    key: str
    name: str
    tasks: frozenset[str] | None
    inputs: frozenset[str]


def find_purge(store: Store, task: str) -> Purge:
    """Return what came from a task's data, as far as the store knows."""
    made = list(_all(store))
    keys = _keys_of(made, task)
    names = {artifact.record.key: artifact.record.name for artifact in store.artifacts()}
    gone = {key: names[key] for key in names if key in keys}
    paths = [
        *(("artifact", store.path(key)) for key in gone),
        *(("checkpoint", path) for key in sorted(keys) if (path := store.checkpoint(key)).exists()),
        *(("copy", path) for key, path in store.copies() if key in keys),
        *_results(store, task),
    ]
    if paths:
        paths += _caches(store)
    unknown = {one.name for one in made if one.tasks is None and one.key not in keys}
    tasks = frozenset(name for one in made for name in one.tasks or ())
    return Purge(gone, tuple(paths), tuple(sorted(unknown)), tasks)


def purge(store: Store, found: Purge) -> None:
    """Remove what was found.

    Raises:
        StoreError: when one of the stages is being run now, or something cannot be removed.
    """
    keys = {
        path.name.split(".")[0] for kind, path in found.paths if kind in ("artifact", "checkpoint", "copy")
    }
    if busy := sorted(key for key in keys if not store.is_idle(key)):
        what = f"is being made now: {', '.join(key[:12] for key in busy)}"
        raise StoreError(Fault(str(store.root), what, "stop that run, then purge again"))
    for _, path in found.paths:
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                Fault(str(path), f"cannot be removed: {error.strerror}", "purge again")
            ) from error


def _all(store: Store) -> Iterator[_Made]:
    for artifact in store.artifacts():
        yield _from_folder(artifact.path)
    for _, path in store.copies():
        # What has no readable record was begun, and so is noted beside its checkpoint.
        with contextlib.suppress(StoreError):
            yield _from_folder(path)
    for key, facts in store.begun():
        yield _Made(key, facts["name"], _tasks(facts), _inputs(facts["inputs"]))


def _from_folder(path: Path) -> _Made:
    record = read_record(path / RECORD_NAME)
    reads_nothing = "data" not in record.spec and not record.inputs and record.kind != "import_adapter"
    tasks = frozenset[str]() if reads_nothing else _tasks(record.provenance)
    return _Made(record.key, record.name, tasks, _inputs(record.inputs))


def _tasks(facts: Mapping[str, Any]) -> frozenset[str] | None:
    return frozenset(origin.task for origin in from_data(facts[DATA])) if DATA in facts else None


def _inputs(inputs: Mapping[str, str]) -> frozenset[str]:
    return frozenset(key for role, key in inputs.items() if role != LONGER)


def _keys_of(made: Iterable[_Made], task: str) -> set[str]:
    """Return the keys of what names the task, and of all that was made of these."""
    left = list(made)
    keys: set[str] = set()
    while found := {one.key for one in left if task in (one.tasks or ()) or one.inputs & keys} - keys:
        keys |= found
    return keys


def _results(store: Store, task: str) -> Iterator[tuple[str, Path]]:
    """Yield the result files of runs that read the task, and the notes of these runs."""
    for place, facts in store.runs():
        if task in facts["tasks"]:
            for path in (Path(facts["out"]) / name for name in _RESULTS):
                if path.exists():
                    yield "result", path
            yield "note", place


def _caches(store: Store) -> Iterator[tuple[str, Path]]:
    for name in _CACHES:
        for path in sorted((store.cache / name).glob("*")):
            yield "cache", path
