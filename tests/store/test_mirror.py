"""A store with a second home: what one machine publishes another one finds, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from adapterstilts.errors import EnvironmentFault, StoreError
from adapterstilts.store import mirror as mirror_module
from adapterstilts.store.mirror import MirroredStore, open_store
from adapterstilts.store.store import Store

from .test_store import FILES, KEY, OTHER, below, publish


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "there").as_uri()


@pytest.fixture(autouse=True)
def _fresh_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_LIST_SECONDS", 0.0)


def machines(tmp_path: Path, url: str) -> tuple[MirroredStore, MirroredStore]:
    return MirroredStore(tmp_path / "one", url), MirroredStore(tmp_path / "two", url)


def check_exchange(tmp_path: Path, url: str) -> None:
    """Publish on one machine; find, drop, and make again on others."""
    one, two = machines(tmp_path, url)
    assert two.find(KEY) is None
    made = publish(one)
    found = two.get(KEY)
    assert found.record == made.record
    assert below(found.path) == ["head/config.json", "record.json", "weights.bin"]
    assert {name: (found.path / name).read_bytes() for name in FILES} == FILES
    assert two.verify() == []
    two.drop(KEY, ("weights.bin",))
    late = MirroredStore(tmp_path / "late", url)
    assert late.get(KEY).record.dropped == ("weights.bin",)
    assert below(late.path(KEY)) == ["head/config.json", "record.json"]
    publish(one, again=True)
    assert late.get(KEY).record.dropped == ()
    assert (late.path(KEY) / "weights.bin").read_bytes() == b"weights"


def test_what_one_machine_publishes_another_one_finds(tmp_path: Path, url: str) -> None:
    check_exchange(tmp_path, url)


def test_a_file_is_fetched_once(tmp_path: Path, url: str) -> None:
    one, two = machines(tmp_path, url)
    publish(one)
    path = two.get(KEY).path
    (tmp_path / "there" / "records" / f"{KEY}.json").unlink()
    assert two.get(KEY).path == path


def test_without_its_record_nothing_is_there(tmp_path: Path, url: str) -> None:
    one, two = machines(tmp_path, url)
    publish(one)
    (tmp_path / "there" / "records" / f"{KEY}.json").unlink()
    assert two.find(KEY) is None
    with pytest.raises(StoreError, match="run the recipe that makes it"):
        two.get(KEY)


def test_the_record_comes_last(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = machines(tmp_path, url)
    monkeypatch.setattr(one._remote, "put_file", lambda *_: (_ for _ in ()).throw(OSError("connection lost")))
    with pytest.raises(StoreError, match="OSError: connection lost; check URL, credentials") as caught:
        publish(one)
    assert str(tmp_path / "one") in str(caught.value)
    assert one.find(KEY) is not None
    assert two.find(KEY) is None


def test_bytes_that_changed_on_their_way_are_refused(tmp_path: Path, url: str) -> None:
    one, two = machines(tmp_path, url)
    publish(one)
    (tmp_path / "there" / "files" / KEY / "weights.bin").write_bytes(b"weightz")
    with pytest.raises(StoreError, match=r"weights\.bin: its bytes are not those of its record"):
        two.find(KEY)
    assert below(tmp_path / "two" / "artifacts") == []
    assert not list((tmp_path / "two" / "staging").iterdir())


def test_who_publishes_second_changes_nothing_there(tmp_path: Path, url: str) -> None:
    one, two = machines(tmp_path, url)
    publish(one)
    with two.workspace(KEY) as workspace:
        (workspace / "weights.bin").write_bytes(b"changed")
        publish(two, files={"weights.bin": b"changed"})
    assert (tmp_path / "there" / "files" / KEY / "weights.bin").read_bytes() == b"weights"


def test_a_list_is_believed_for_a_while_but_not_when_something_has_to_be_there(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "_LIST_SECONDS", 60.0)
    one, two = machines(tmp_path, url)
    assert two.find(KEY) is None
    publish(one)
    assert two.find(KEY) is None
    assert two.get(KEY).record.key == KEY
    publish(one, OTHER)
    assert two.find(OTHER) is None


def test_a_mirror_is_only_where_one_is_named(tmp_path: Path, url: str) -> None:
    assert type(open_store(tmp_path / "s", None)) is Store
    assert isinstance(open_store(tmp_path / "s", url), MirroredStore)


def test_a_url_that_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"nothing://x: ValueError: .*; check URL"):
        MirroredStore(tmp_path, "nothing://x")

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(EnvironmentFault, match=r"s3://b: Install s3fs .*; install the package .*\[s3\]"):
        MirroredStore(tmp_path, "s3://b")


@pytest.mark.distributed
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_is_a_second_home(tmp_path: Path, bucket: str) -> None:
    check_exchange(tmp_path, bucket)
