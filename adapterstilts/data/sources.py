"""Where bytes are: files beside a recipe, files of an installed package, a split on the hub."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from adapterstilts.errors import DataError, EnvironmentFault, Fault, UsageError
from adapterstilts.store.digest import digest, digest_file
from adapterstilts.tasks.spec import FileSource, HubSource, PackageSource, Source, Split


@dataclass(frozen=True)
class DataRoots:
    """Folders that relative paths of a task are looked up in, the recipe's first.

    Attributes:
        recipe: the folder of the recipe file.
        data: ``--data-dir``, where one was given.
    """

    recipe: Path
    data: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Return the folders in the order in which they are tried."""
        return (self.recipe,) if self.data is None else (self.recipe, self.data)


def resolve(source: FileSource | PackageSource, roots: DataRoots) -> tuple[Path, ...]:
    """Return the existing files a source names, each once.

    The paths keep their declared order; what one ``*`` stands for is sorted by name, so that the rows of a
    split come in the same order on every machine.

    Raises:
        DataError: files are missing; one fault for each path.
        EnvironmentFault: the package is not installed.
    """
    if isinstance(source, PackageSource):
        folders: tuple[Path, ...] = (_package_folder(source),)
        remedy = f"the installed version of {source.package!r} may differ; reinstall {_install(source)}"
    else:
        folders = roots.folders
        remedy = "give the folder that holds it by --data-dir, or correct the path in the recipe"
    found: dict[Path, None] = {}
    faults: list[Fault] = []
    for path in source.paths:
        portable = _portable(path, isinstance(source, FileSource))
        try:
            files = _find(portable, folders)
        except OSError as error:
            faults.append(Fault(path, f"cannot be looked up: {error.strerror}"))
            continue
        found.update(dict.fromkeys(files))
        if not files:
            faults.append(Fault(path, f"no such file; looked in {_places(path, folders)}", remedy))
    if faults:
        raise DataError(*faults)
    return tuple(found)


def content_digest(split: Split, roots: DataRoots) -> str | None:
    """Return what identifies the bytes of a split in a key, or None where nothing does (unpinned hub data).

    Files count by their bytes and order, never by their names or places. Nothing is downloaded.

    Raises:
        DataError: files are missing or cannot be read.
        EnvironmentFault: the package is not installed.
    """
    own = _source_digest(split.source, roots)
    if not split.also:
        return own
    # A key takes format and portion from the first part, so that those of the others have to be in here.
    parts = [(content_digest(part, roots), part.format, part.portion) for part in split.also]
    return None if own is None or any(part[0] is None for part in parts) else digest([own, parts])


def _source_digest(source: Source, roots: DataRoots) -> str | None:
    if isinstance(source, HubSource):
        if source.revision is None:
            return None
        return digest([source.repo, source.config, source.split, source.revision])
    return digest([_file_digest(path) for path in resolve(source, roots)])


def _file_digest(path: Path) -> str:
    try:
        stat = path.stat()
        return _cached_digest(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(Fault(str(path), f"cannot be read ({error.strerror})")) from error


@functools.lru_cache(maxsize=4096)
def _cached_digest(path: Path, _size: int, _mtime_ns: int) -> str:
    """Hash a file once a process: the splits of one task often share their files."""
    return digest_file(path)


def _portable(path: str, may_be_absolute: bool) -> str:
    windows = PureWindowsPath(path)
    if "\\" in path:
        raise UsageError(Fault(path, "holds a backslash", "write paths with '/' on every system"))
    if any("**" in part and part != "**" for part in PurePosixPath(path).parts):
        raise UsageError(
            Fault(path, "holds a ** beside other characters", "write `*`, or `**/` for any folders")
        )
    if not may_be_absolute and (windows.anchor or ".." in PurePosixPath(path).parts):
        raise UsageError(Fault(path, "leads out of the package", "name a path below the package's folder"))
    return path


def _find(path: str, folders: Iterable[Path]) -> list[Path]:
    """Return the files of the first folder that has any; an absolute path needs no folder."""
    bases = [Path(Path(path).anchor)] if Path(path).is_absolute() else list(folders)
    relative = Path(path).relative_to(Path(path).anchor) if Path(path).is_absolute() else Path(path)
    for base in bases:
        if "*" not in path:
            files = [base / relative] if (base / relative).is_file() else []
        else:
            # Only the star is special here: real file names hold brackets and question marks.
            pattern = relative.as_posix().replace("[", "[[]").replace("?", "[?]")
            files = sorted((file for file in base.glob(pattern) if file.is_file()), key=Path.as_posix)
        if files:
            return files
    return []


def _places(path: str, folders: Iterable[Path]) -> str:
    if Path(path).is_absolute():
        return str(Path(path).parent)
    return " and ".join(str(folder) for folder in folders)


def _install(source: PackageSource) -> str:
    return f"pip install 'adapterstilts[{source.extra}]'"


def _package_folder(source: PackageSource) -> Path:
    """Return a package's folder without importing it: its data is wanted, not its code."""
    spec = importlib.util.find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFault(
            Fault(
                source.package,
                "this task's data comes with a package that is not installed",
                _install(source),
            )
        )
    return Path(next(iter(spec.submodule_search_locations)))
