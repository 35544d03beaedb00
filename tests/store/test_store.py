"""The store: complete or absent, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from adapterstilts.errors import Fault, StoreError, UsageError
from adapterstilts.store.digest import digest_bytes
from adapterstilts.store.record import RECORD_NAME
from adapterstilts.store.store import Artifact, Description, Store, default_root

KEY, OTHER, THIRD = "ab12" + "0" * 60, "ab13" + "1" * 60, "cd" + "2" * 62
DESCRIPTION = Description("toy", {"kind": "toy", "n": 1}, {"x0": OTHER}, {"seconds": 0.5}, {"device": "cpu"})
FILES = {"weights.bin": b"weights", "head/config.json": b"{}"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(
    store: Store, key: str = KEY, files: dict[str, bytes] = FILES, *, again: bool = False
) -> Artifact:
    with store.workspace(key) as workspace:
        for name, content in files.items():
            (workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (workspace / name).write_bytes(content)
        return store.publish(key, workspace, DESCRIPTION, again=again)


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---- publish and find


def test_what_was_published_is_found_with_files_and_record(store: Store) -> None:
    assert store.find(KEY) is None
    published = publish(store)
    found = store.find(KEY)
    assert found == published == store.get(KEY)
    assert found.path == store.path(KEY)
    assert below(found.path) == ["head/config.json", "record.json", "weights.bin"]
    assert (found.path / "weights.bin").read_bytes() == b"weights"
    record = found.record
    assert (record.key, record.name, record.kind) == (KEY, "toy", "toy")
    assert (record.inputs, record.results, record.provenance) == (
        {"x0": OTHER},
        {"seconds": 0.5},
        {"device": "cpu"},
    )
    assert {name: file.size for name, file in record.files.items()} == {
        "weights.bin": 7,
        "head/config.json": 2,
    }
    assert found.size == 9
    assert not list((store.root / "staging").iterdir())


def test_another_process_opening_the_same_root_finds_it(store: Store) -> None:
    publish(store)
    assert Store(store.root).get(KEY).record.name == "toy"


def test_a_missing_artifact_is_a_store_error_that_says_what_to_do(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no artifact ab1200000000; run the recipe that makes it"):
        store.get(KEY)


def test_artifacts_come_ordered_by_key(store: Store) -> None:
    for key in (THIRD, OTHER, KEY):
        publish(store, key)
    assert [artifact.record.key for artifact in store.artifacts()] == [KEY, OTHER, THIRD]


def test_a_unique_prefix_is_enough(store: Store) -> None:
    for key in (KEY, OTHER, THIRD):
        publish(store, key)
    assert store.resolve("cd22").record.key == THIRD
    assert store.resolve("ab12").record.key == KEY
    assert store.resolve(OTHER).record.key == OTHER


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("ab1", "no artifact has a key that starts with 'ab1'; give at least 4 characters"),
        ("", "starts with ''; give at least 4"),
        ("ffff", "no artifact has a key that starts with 'ffff'"),
        ("*" * 4, "no artifact has a key that starts with"),
    ],
)
def test_a_reference_that_means_nothing_is_refused(store: Store, reference: str, message: str) -> None:
    publish(store)
    with pytest.raises(UsageError) as caught:
        store.resolve(reference)
    assert message in str(caught.value)


def test_a_reference_that_means_two_is_refused_with_both(store: Store) -> None:
    keys = ("abcd1" + "0" * 59, "abcd2" + "0" * 59)
    for key in keys:
        publish(store, key)
    with pytest.raises(UsageError, match="'abcd' is not unique: abcd1000, abcd2000; give more"):
        store.resolve("abcd")


def test_the_root_is_named_by_the_environment_or_lies_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTERSTILTS_STORE", "/elsewhere")
    assert default_root() == Path("/elsewhere")
    for value in (None, ""):
        monkeypatch.delenv("ADAPTERSTILTS_STORE") if value is None else monkeypatch.setenv(
            "ADAPTERSTILTS_STORE", value
        )
        assert default_root() == Path.home() / ".adapterstilts"


# ---- complete or absent


def test_without_its_record_a_folder_is_no_artifact(store: Store) -> None:
    publish(store)
    (store.path(KEY) / RECORD_NAME).unlink()
    assert store.find(KEY) is None
    assert list(store.artifacts()) == []


def test_a_workspace_that_is_not_published_goes_away(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.workspace(KEY) as workspace:
        (workspace / "half").write_bytes(b"ha")
        raise ZeroDivisionError
    assert not list((store.root / "staging").iterdir())
    assert store.find(KEY) is None


def test_publishing_ends_the_checkpoint(store: Store) -> None:
    store.checkpoint(KEY).mkdir()
    (store.checkpoint(KEY) / "state").write_bytes(b"")
    publish(store)
    assert not store.checkpoint(KEY).exists()


PUBLISHER = f"""
import sys
import threading
from pathlib import Path
from adapterstilts.store.store import Description, Store
store = Store(Path(sys.argv[1]))
store.checkpoint("{KEY}").mkdir(exist_ok=True)
with store.workspace("{KEY}") as workspace:
    (workspace / "weights.bin").write_bytes(sys.argv[2].encode())
    store.publish("{KEY}", workspace, Description("toy", {{"kind": "toy"}}, {{}}, {{}}, {{}}))
"""


def publish_until(point: str, root: Path, content: str = "weights") -> None:
    environment = {**os.environ, "ADAPTERSTILTS_KILL_AT": f"{point}:1"}
    done = subprocess.run([sys.executable, "-c", PUBLISHER, str(root), content], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_before_the_rename_leaves_nothing_to_find(store: Store) -> None:
    publish_until("before_rename", store.root)
    again = Store(store.root)
    assert again.find(KEY) is None
    assert list(again.artifacts()) == []
    # The record was the last file, and all of it was in the workspace.
    (left,) = (store.root / "staging").iterdir()
    assert below(left) == ["record.json", "weights.bin"]
    assert publish(again).record.key == KEY
    assert again.collect_garbage() == [left]
    assert again.verify() == []


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_after_the_rename_leaves_all_of_it(store: Store) -> None:
    publish_until("after_rename", store.root)
    again = Store(store.root)
    assert again.get(KEY).record.files["weights.bin"].size == 7
    assert again.verify() == []
    # The checkpoint was not removed any more, and nothing needs it.
    assert again.collect_garbage() == [store.checkpoint(KEY)]
    assert not store.checkpoint(KEY).exists()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_while_it_is_forced_the_old_copy_stays(store: Store) -> None:
    publish(store)
    publish_until("before_rename", store.root, "changed")
    assert (Store(store.root).get(KEY).path / "weights.bin").read_bytes() == b"weights"


def test_who_publishes_second_changes_nothing(store: Store) -> None:
    publish(store)
    found = publish(store, files={"weights.bin": b"changed"})
    assert below(store.path(KEY)) == ["head/config.json", "record.json", "weights.bin"]
    assert (found.path / "weights.bin").read_bytes() == b"weights"
    assert not list((store.root / "staging").iterdir())
    assert store.verify() == []


def test_publishing_again_sets_the_old_copy_aside(store: Store) -> None:
    publish(store)
    publish(store, files={"weights.bin": b"changed"}, again=True)
    assert (store.get(KEY).path / "weights.bin").read_bytes() == b"changed"
    assert below(store.path(KEY)) == ["record.json", "weights.bin"]
    (aside,) = (store.root / "aside").iterdir()
    assert (aside / "weights.bin").read_bytes() == b"weights"
    assert store.verify() == []


# ---- verify and drop


@pytest.mark.parametrize("name", FILES)
def test_verify_finds_a_flipped_byte(store: Store, name: str) -> None:
    publish(store)
    assert store.verify() == []
    file = store.path(KEY) / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (fault,) = store.verify()
    assert (fault.where, fault.what) == (str(file), "its bytes are not those of its record")
    assert fault.remedy


def test_verify_finds_every_missing_file_and_record(store: Store) -> None:
    for key in (KEY, OTHER, THIRD):
        publish(store, key)
    for name in FILES:
        (store.path(KEY) / name).unlink()
    (store.path(OTHER) / RECORD_NAME).unlink()
    (store.path(THIRD) / RECORD_NAME).write_text("{", encoding="utf-8")
    faults = store.verify()
    places = {fault.where: fault.what for fault in faults}
    assert len(faults) == 4
    assert {places[str(store.path(KEY) / name)] for name in FILES} == {"missing"}
    assert places[str(store.path(OTHER))] == "no record"
    assert "not a readable record" in places[str(store.path(THIRD) / RECORD_NAME)]


def test_dropped_files_are_gone_and_the_record_says_so(store: Store) -> None:
    publish(store)
    store.drop(KEY, ("weights.bin", "never-there"))
    artifact = store.get(KEY)
    assert below(artifact.path) == ["head/config.json", "record.json"]
    assert artifact.record.dropped == ("weights.bin",)
    assert "weights.bin" in artifact.record.files
    assert artifact.size == 2
    assert store.verify() == []
    store.drop(KEY, ("weights.bin", "head/config.json"))
    assert store.get(KEY).record.dropped == ("head/config.json", "weights.bin")


# ---- leases and garbage

HOLDER = """
import sys
import threading
from pathlib import Path
from adapterstilts.store.store import Store
with Store(Path(sys.argv[1])).lease(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(store: Store) -> Iterator[IO[str]]:
    """Another process that holds the lease on `KEY` until a line is written to it."""
    arguments = [sys.executable, "-c", HOLDER, str(store.root), KEY]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.stdin
        finally:
            process.kill()


def test_a_lease_is_one_process_own(store: Store, holder: IO[str]) -> None:
    assert (store.ended(KEY), store.lease(KEY)) == (None, None)
    assert store.ended(OTHER) == 0
    assert store.lease(OTHER) is not None


def test_a_lease_that_was_released_can_be_taken(store: Store, holder: IO[str]) -> None:
    holder.write("\n")
    holder.flush()
    deadline = time.monotonic() + 30
    while store.ended(KEY) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.ended(KEY) == 1
    assert store.lease(KEY) is not None


def test_garbage_is_what_no_artifact_needs(store: Store) -> None:
    publish(store)
    publish(store, again=True)
    for key in (KEY, OTHER):
        store.checkpoint(key).mkdir()
    (store.root / "staging" / f"{THIRD}.deadbeef").mkdir()
    (store.cache / "throughput.json").write_text("{}", encoding="utf-8")
    (aside,) = (store.root / "aside").iterdir()
    removed = store.collect_garbage()
    assert sorted(removed) == sorted(
        [aside, store.checkpoint(KEY), store.root / "staging" / f"{THIRD}.deadbeef"]
    )
    assert not any(path.exists() for path in removed)
    # An unfinished stage's checkpoint is what a next run goes on from.
    assert store.checkpoint(OTHER).is_dir()
    assert below(store.cache) == ["throughput.json"]
    assert store.verify() == []
    assert store.collect_garbage() == []


def test_leases_go_with_the_need_for_them(store: Store, holder: IO[str]) -> None:
    publish(store)
    publish(store, OTHER)
    for key in (OTHER, THIRD):
        lease = store.lease(key)
        assert lease is not None
        with lease:
            pass
    store.collect_garbage()
    # The first is held, and the third has no artifact yet.
    assert {folder.name for folder in (store.root / "leases").iterdir()} == {KEY, THIRD}


def test_the_cache_goes_only_on_request(store: Store) -> None:
    encoding, figure = store.cache / "encoded" / "k", store.cache / "overlap" / "k.json"
    encoding.mkdir(parents=True)
    (encoding / "tokens.npy").write_bytes(b"1")
    figure.parent.mkdir()
    figure.write_text("{}", encoding="utf-8")
    states = [store.cache / "prefix" / name for name in ("k.npy", "k.deadbeef.part")]
    states[0].parent.mkdir()
    for path in states:
        path.write_bytes(b"1")
    kept = store.cache / "throughput.json"
    kept.write_text("{}", encoding="utf-8")
    assert store.collect_garbage() == []
    assert set(store.collect_garbage(cache=True)) == {encoding, figure, *states}
    assert not any(path.exists() for path in (encoding, figure, *states)) and kept.exists()


def test_garbage_leaves_a_stage_that_runs_now_alone(store: Store, holder: IO[str]) -> None:
    running, abandoned = (store.root / "staging" / f"{key}.deadbeef" for key in (KEY, OTHER))
    running.mkdir()
    abandoned.mkdir()
    assert store.collect_garbage() == [abandoned]
    assert running.is_dir()


# ---- disks


def test_a_root_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(StoreError, match="give another folder with --store") as caught:
            Store(root)
        assert caught.value.faults[0].where == str(root)
        assert caught.value.exit_code == 6


def test_a_store_that_became_unwritable_is_a_store_error(store: Store) -> None:
    for folder in ("staging", "leases"):
        (store.root / folder).rmdir()
        (store.root / folder).write_bytes(b"")
    with pytest.raises(StoreError, match="--store"), store.workspace(KEY):
        pytest.fail("got a workspace")
    with pytest.raises(StoreError, match="--store"):
        store.lease(KEY)


def test_a_place_that_cannot_be_written_is_a_store_error(store: Store) -> None:
    (store.root / "artifacts" / KEY[:2]).write_bytes(b"in the way")
    with pytest.raises(StoreError, match="give another folder with --store"):
        publish(store)
    assert not list((store.root / "staging").iterdir())


def write_on_a_full_disk(code: int) -> None:
    """What a stage's library does when there is no room."""
    raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_store_error(store: Store, code: int) -> None:
    remedy = "free some space, or give another folder with --store"
    with pytest.raises(StoreError, match=remedy), store.workspace(KEY) as workspace:
        (workspace / "half").write_bytes(b"ha")
        write_on_a_full_disk(code)
    assert not list((store.root / "staging").iterdir())
    assert store.find(KEY) is None


def test_a_full_disk_that_a_library_tells_in_its_own_way_is_one(store: Store) -> None:
    class SafetensorError(Exception):
        """As the library has it, without a number."""

    text = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(StoreError, match="No space left on device; free some"), store.workspace(KEY):
        raise SafetensorError(text)


def test_other_errors_of_a_stage_stay_what_they_are(store: Store) -> None:
    with pytest.raises(FileNotFoundError), store.workspace(KEY):
        write_on_a_full_disk(errno.ENOENT)
    with pytest.raises(StoreError, match="mine"), store.workspace(KEY):
        raise StoreError(Fault("here", "mine"))


def test_an_unreadable_record_is_a_store_error_not_a_missing_artifact(store: Store) -> None:
    artifact = publish(store)
    (artifact.path / RECORD_NAME).write_text(replace(artifact.record).to_json()[:-20], encoding="utf-8")
    for read in (lambda: store.find(KEY), lambda: store.resolve("ab12")):
        with pytest.raises(StoreError, match=r"not a readable record .*; run `adapterstilts store verify`"):
            read()
    # A list goes on to the others; `verify` tells of this one.
    assert list(store.artifacts()) == []
    assert [fault.what[:21] for fault in store.verify()] == ["not a readable record"]


def test_record_files_are_plain_json(store: Store) -> None:
    path = publish(store).path / RECORD_NAME
    assert json.loads(path.read_bytes())["key"] == KEY
    assert b"\r" not in path.read_bytes()


# ---- confidential data


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_a_private_workspace_becomes_a_private_artifact(store: Store) -> None:
    with store.workspace(KEY, private=True) as workspace:
        assert mode(workspace) == 0o700
        store.publish(KEY, workspace, DESCRIPTION)
    publish(store, OTHER)
    assert (mode(store.path(KEY)), mode(store.path(OTHER)) & 0o055) == (0o700, 0o055)
    store.protect(OTHER)
    assert mode(store.path(OTHER)) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_a_seal_is_the_same_in_one_store_and_another_elsewhere(store: Store, tmp_path: Path) -> None:
    sealed = store.seal("content")
    assert sealed == Store(store.root).seal("content") != store.seal("other content")
    assert sealed != Store(tmp_path / "elsewhere").seal("content")
    assert "content" not in sealed
    assert digest_bytes(b"content") != sealed
    assert mode(store.root / "secret") == 0o600


def test_threads_that_seal_first_agree(store: Store) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(Store(store.root).seal("x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_a_secret_that_others_can_read_is_refused(store: Store) -> None:
    store.seal("x")
    (store.root / "secret").chmod(0o644)
    with pytest.raises(StoreError, match=r"secret: others can read it; run `chmod 600 "):
        Store(store.root).seal("x")


@pytest.mark.parametrize("text", ["", "abc", "x" * 64])
def test_a_damaged_secret_is_refused_and_not_replaced(store: Store, text: str) -> None:
    store.seal("x")
    (store.root / "secret").write_text(text, encoding="ascii")
    with pytest.raises(StoreError, match="is damaged; put it back"):
        Store(store.root).seal("x")
    assert (store.root / "secret").read_text(encoding="ascii") == text


def test_facts_are_added_to_a_record(store: Store) -> None:
    publish(store)
    store.annotate(KEY, {"data": [1]})
    assert store.get(KEY).record.provenance == {"device": "cpu", "data": [1]}
    assert store.verify() == []
    assert below(store.path(KEY)) == ["head/config.json", "record.json", "weights.bin"]


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_what_was_begun_is_known_until_it_is_published(store: Store) -> None:
    store.begin(KEY, {"name": "toy"})
    store.begin(OTHER, {"name": "secret"}, private=True)
    assert dict(store.begun()) == {KEY: {"name": "toy"}, OTHER: {"name": "secret"}}
    assert mode(store.checkpoint(OTHER)) == 0o700
    publish(store)
    assert dict(store.begun()) == {OTHER: {"name": "secret"}}


def test_a_run_is_noted_by_its_folder(store: Store, tmp_path: Path) -> None:
    store.note_run(tmp_path / "out", ["b", "a", "b"])
    store.note_run(tmp_path / "out", ["c"])
    store.note_run(tmp_path / "other", [])
    found = {Path(facts["out"]).name: facts["tasks"] for _, facts in store.runs()}
    assert found == {"out": ["c"], "other": []}


def test_copies_are_told_with_their_keys(store: Store) -> None:
    publish(store)
    publish(store, again=True)
    with store.workspace(OTHER) as workspace:
        assert [(key, path.parent.name) for key, path in store.copies()] == [
            (KEY, "aside"),
            (OTHER, "staging"),
        ]
        assert workspace in [path for _, path in store.copies()]
