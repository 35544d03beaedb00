"""Storages: what a URL means, which are refused, and whose trials are alive."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest

from adapterstilts.errors import AdapterStiltsError, EnvironmentFault, StoreError, UsageError
from adapterstilts.search import storage
from adapterstilts.search.opening import find_study
from adapterstilts.search.storage import open_storage, storage_faults


def test_studies_lie_in_the_store_unless_a_url_says_where(tmp_path: Path) -> None:
    opened = open_storage(None, tmp_path)
    assert opened.url == f"sqlite:///{tmp_path / 'studies.db'}"
    assert (tmp_path / "studies.db").is_file()
    journal = open_storage(f"journal:{tmp_path / 'new' / 'study.log'}", tmp_path)
    assert isinstance(journal.storage, optuna.storages.JournalStorage)
    assert (tmp_path / "new" / "study.log").is_file()


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("somewhere", UsageError, "'somewhere' is no storage"),
        ("sqlite://", UsageError, "'sqlite://' is no storage"),
        ("orakel://me:secret@host/name", UsageError, "is no storage; write sqlite:///FILE"),
        ("postgresql://me:secret@127.0.0.1:port/none", UsageError, "is no storage"),
        ("postgresql://me:secret@127.0.0.1:9/none", StoreError, "the study's storage failed"),
        ("mysql://me:secret@127.0.0.1:9/none", StoreError, "the study's storage failed"),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(
    url: str, kind: type[AdapterStiltsError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as error:
        open_storage(url, tmp_path)
    assert "secret" not in str(error.value)


def test_a_missing_driver_is_told_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_DRIVERS", {"postgresql": "postgresql+asyncpg"})
    with pytest.raises(EnvironmentFault, match=r"pip install 'adapterstilts\[database\]'"):
        open_storage("postgresql://me@127.0.0.1:9/none", tmp_path)


def test_a_file_that_is_no_database_is_a_fault_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("this is prose", encoding="utf-8")
    with pytest.raises(StoreError, match="file is not a database"):
        open_storage(None, tmp_path)


def test_a_file_that_is_no_journal_is_a_fault_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "prose").write_text("this is prose\nand more of it\n", encoding="utf-8")
    with pytest.raises(StoreError, match="a line of it is not one of a journal: 'this is prose"):
        open_storage(f"journal:{tmp_path / 'prose'}", tmp_path)


def test_a_journal_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = optuna.create_study(storage=open_storage(f"journal:{path}", tmp_path).storage, study_name="torn")
    study.tell(study.ask(), 1.0)
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"trial_')
    again = find_study("torn", open_storage(f"journal:{path}", tmp_path))
    again.tell(again.ask(), 2.0)
    late = find_study("torn", open_storage(f"journal:{path}", tmp_path))
    assert [trial.value for trial in late.trials] == [1.0, 2.0]


def test_a_full_disk_ends_the_study_and_loses_nothing(tmp_path: Path) -> None:
    opened = open_storage(None, tmp_path)
    study = optuna.create_study(storage=opened.storage, study_name="full")
    study.tell(study.ask(), 1.0)

    def fill(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    import sqlalchemy

    engine = opened.storage.engine  # type: ignore[attr-defined]
    engine.dispose()
    sqlalchemy.event.listen(engine, "connect", fill)
    with pytest.raises(StoreError, match="database or disk is full"), storage_faults(opened.url):
        for _ in range(200):
            study.ask().set_user_attr("much", "x" * 2000)
    again = find_study("full", open_storage(None, tmp_path))
    assert again.trials[0].value == 1.0


def test_a_study_that_is_not_there_is_told_with_a_near_name(tmp_path: Path) -> None:
    opened = open_storage(None, tmp_path)
    optuna.create_study(storage=opened.storage, study_name="fusions")
    with pytest.raises(UsageError, match="there is no study 'fusion'; did you mean 'fusions'"):
        find_study("fusion", opened)


def test_a_trial_is_claimed_by_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = open_storage(None, tmp_path), open_storage(None, tmp_path)
    lock = first.claim("study-0")
    assert lock is not None
    assert second.claim("study-0") is None
    lock.release()
    assert second.claim("study-0") is not None
