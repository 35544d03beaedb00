"""Where files are looked up, and what identifies their bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adapterstilts.data.sources import DataRoots, content_digest, resolve
from adapterstilts.errors import DataError, EnvironmentFault, UsageError
from adapterstilts.tasks.spec import FileSource, Format, HubSource, PackageSource, Split


@pytest.fixture
def roots(tmp_path: Path) -> DataRoots:
    for folder in ("recipe", "data"):
        (tmp_path / folder).mkdir()
    return DataRoots(tmp_path / "recipe", tmp_path / "data")


def write(folder: Path | None, **texts: str) -> None:
    assert folder is not None
    for name, text in texts.items():
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(roots: DataRoots, *paths: str) -> list[str]:
    return [path.name for path in resolve(FileSource(paths), roots)]


def test_the_recipes_folder_comes_before_the_data_folder(roots: DataRoots) -> None:
    write(roots.recipe, a="mine")
    write(roots.data, a="theirs", b="theirs")
    found = resolve(FileSource(("a.txt", "b.txt")), roots)
    assert found == (roots.recipe / "a.txt", roots.data / "b.txt")  # type: ignore[operator]


def test_a_star_is_expanded_in_sorted_order_and_files_come_once(roots: DataRoots) -> None:
    write(roots.recipe, b="", a="", c="")
    assert names(roots, "*.txt") == ["a.txt", "b.txt", "c.txt"]
    assert names(roots, "c.txt", "*.txt") == ["c.txt", "a.txt", "b.txt"]


def test_only_the_star_is_special(roots: DataRoots) -> None:
    (roots.recipe / "a[1].txt").write_text("", encoding="utf-8")
    (roots.recipe / "a1.txt").write_text("", encoding="utf-8")
    assert names(roots, "a[1]*.txt") == ["a[1].txt"]


def test_a_star_names_no_folder(roots: DataRoots) -> None:
    (roots.recipe / "x.txt").mkdir()
    with pytest.raises(DataError):
        names(roots, "*.txt")


def test_absolute_paths_need_no_root(roots: DataRoots, tmp_path: Path) -> None:
    write(tmp_path, far="")
    assert names(roots, (tmp_path / "far.txt").as_posix()) == ["far.txt"]
    assert names(roots, (tmp_path / "f*.txt").as_posix()) == ["far.txt"]


def test_every_missing_file_is_named_with_place_and_remedy(roots: DataRoots) -> None:
    write(roots.recipe, there="")
    with pytest.raises(DataError) as caught:
        names(roots, "one.txt", "there.txt", "two/*.txt")
    assert [fault.where for fault in caught.value.faults] == ["one.txt", "two/*.txt"]
    assert str(roots.recipe) in str(caught.value)
    assert str(roots.data) in str(caught.value)
    assert "--data-dir" in caught.value.faults[0].remedy


def test_a_backslash_is_refused(roots: DataRoots) -> None:
    with pytest.raises(UsageError, match="backslash"):
        names(roots, "a\\b.txt")


def test_two_stars_stand_alone_or_are_refused(roots: DataRoots) -> None:
    (roots.recipe / "deep" / "down").mkdir(parents=True)
    write(roots.recipe / "deep" / "down", a="")
    assert names(roots, "**/*.txt") == ["a.txt"]
    with pytest.raises(UsageError, match=r"deep\*\*/a\.txt: holds a \*\* beside other characters"):
        names(roots, "deep**/a.txt")


def test_a_path_that_the_system_refuses_is_a_fault_among_the_others(roots: DataRoots) -> None:
    with pytest.raises(DataError) as caught:
        names(roots, "x" * 5000, "a.txt")
    assert ["cannot be looked up" in fault.what for fault in caught.value.faults] == [True, False]


def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "carrier" / "data").mkdir(parents=True)
    # Importing it must not be needed: its own imports may be missing or slow.
    (folder / "carrier" / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    write(folder / "carrier" / "data", b="", a="")
    monkeypatch.syspath_prepend(str(folder))


def test_files_of_a_package_are_found_without_importing_it(
    roots: DataRoots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, monkeypatch)
    found = resolve(PackageSource("carrier", ("data/*.txt",)), roots)
    assert [path.name for path in found] == ["a.txt", "b.txt"]
    assert "carrier" not in sys.modules


def test_a_missing_package_names_the_extra(roots: DataRoots) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        resolve(PackageSource("no_such_package_here", ("a.txt",), extra="corpora"), roots)
    assert caught.value.faults[0].remedy == "pip install 'adapterstilts[corpora]'"


def test_a_package_without_the_file_is_a_data_error(
    roots: DataRoots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, monkeypatch)
    with pytest.raises(DataError, match=r"data/z\.txt: no such file"):
        resolve(PackageSource("carrier", ("data/z.txt",)), roots)


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/hosts", "C:/x.txt"])
def test_package_paths_stay_in_the_package(path: str, roots: DataRoots) -> None:
    with pytest.raises(UsageError, match="leads out"):
        resolve(PackageSource("emoji", (path,)), roots)


def digest_of(roots: DataRoots, *paths: str) -> str | None:
    return content_digest(Split(FileSource(paths), Format("tsv")), roots)


def test_a_digest_depends_on_bytes_and_order_not_on_names_or_places(roots: DataRoots) -> None:
    write(roots.recipe, a="1", b="2")
    write(roots.data, c="1", d="2")
    assert digest_of(roots, "a.txt", "b.txt") == digest_of(roots, "c.txt", "d.txt")
    assert digest_of(roots, "a.txt", "b.txt") != digest_of(roots, "b.txt", "a.txt")
    assert digest_of(roots, "a.txt") != digest_of(roots, "b.txt")


def test_a_digest_follows_a_change_of_the_file(roots: DataRoots) -> None:
    write(roots.recipe, a="1")
    before = digest_of(roots, "a.txt")
    write(roots.recipe, a="22")
    assert digest_of(roots, "a.txt") != before


def test_the_digest_is_that_of_the_store(roots: DataRoots) -> None:
    from adapterstilts.store.digest import digest_files

    write(roots.recipe, a="1", b="2")
    assert digest_of(roots, "a.txt", "b.txt") == digest_files(
        [roots.recipe / "a.txt", roots.recipe / "b.txt"]
    )


def hub(revision: str | None, config: str | None = "mnli") -> Split:
    return Split(HubSource("nyu-mll/glue", config, "train", revision), Format("hub"))


def test_hub_data_is_identified_by_its_pin_only(roots: DataRoots) -> None:
    assert content_digest(hub(None), roots) is None
    assert content_digest(hub("abc"), roots) != content_digest(hub("abd"), roots)
    assert content_digest(hub("abc"), roots) != content_digest(hub("abc", config=None), roots)
    assert (content_digest(hub("abc"), roots) or "").startswith("3d964e09")
    moving = Split(HubSource("a/b", None, "train", ref="refs/convert/parquet"), Format("hub"))
    assert content_digest(moving, roots) is None


def test_later_parts_count_with_their_format_and_portion(roots: DataRoots) -> None:
    write(roots.recipe, a="1", b="2")

    def of(*also: Split) -> str | None:
        return content_digest(Split(FileSource(("a.txt",)), Format("tsv"), also=also), roots)

    part = FileSource(("b.txt",))
    digests = [
        of(),
        of(Split(part, Format("tsv"))),
        of(Split(part, Format("csv"))),
        of(Split(part, Format("tsv"), (0, 50))),
        of(Split(FileSource(("a.txt",)), Format("tsv"))),
    ]
    assert None not in digests
    assert len(set(digests)) == len(digests)
    assert of(hub(None)) is None
