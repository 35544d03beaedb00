"""The data behind an artifact: kept in records, joined over recipes, never taken for none where nobody noted them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.specs import LONGER
from adapterstilts.store.store import Description, Store
from adapterstilts.trust.origins import (
    DATA,
    Origin,
    Origins,
    as_data,
    behind,
    from_data,
    joined,
    note,
    noted,
    retold,
)

PUBLIC = Origin("mnli", "MIT", path=("train/mnli@0",))
SECRET = Origin("wards", "", confidential=True, path=("train/wards@0",))
A, B, C = "aa" + "0" * 62, "bb" + "0" * 62, "cc" + "0" * 62


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(
    store: Store,
    key: str,
    name: str,
    origins: Origins | None,
    inputs: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> None:
    provenance = {} if origins is None else {DATA: as_data(origins)}
    with store.workspace(key) as workspace:
        spec = spec or {"kind": "train_adapter", "data": []}
        store.publish(key, workspace, Description(name, spec, inputs or {}, {}, provenance))


def test_origins_are_plain_data_and_back() -> None:
    assert from_data(as_data([PUBLIC, SECRET])) == (PUBLIC, SECRET)


def test_equal_origins_are_one_and_any_word_of_confidence_counts() -> None:
    open_ = replace(SECRET, confidential=False, path=("other",))
    assert joined([PUBLIC, open_], [SECRET, PUBLIC]) == (PUBLIC, replace(open_, confidential=True))
    assert joined([PUBLIC], [replace(PUBLIC, licence="")]) == (PUBLIC, replace(PUBLIC, licence=""))


def test_a_licence_that_was_missing_is_filled_in_and_none_is_lost() -> None:
    unsaid = replace(SECRET, path=("before",))
    said = Origin("wards", "MIT", path=("now",))
    assert retold((unsaid,), (said,)) == (replace(unsaid, licence="MIT"),)
    assert retold((said,), (unsaid,)) == (replace(said, confidential=True),)
    assert retold((said,), (replace(said, licence="CC-BY-4.0"),)) == (
        said,
        replace(said, licence="CC-BY-4.0"),
    )


def test_what_nobody_knew_is_known_once_all_is() -> None:
    unknown = Origin("pretrained/old", known=False)
    assert retold((unknown,), (PUBLIC,)) == (PUBLIC,)
    assert retold((unknown,), (PUBLIC, unknown)) == (unknown, PUBLIC)


def test_the_data_behind_inputs_count_with_their_path(store: Store) -> None:
    publish(store, A, "train/wards@0", (SECRET,))
    publish(store, B, "target@0", (replace(PUBLIC, path=("target@0",)),), {"x0": A})
    assert behind(store, B) == (
        replace(PUBLIC, path=("target@0",)),
        replace(SECRET, path=("target@0", "train/wards@0")),
    )


def test_who_lends_a_number_of_steps_lends_nothing_else(store: Store) -> None:
    publish(store, A, "train/wards@0", (SECRET,))
    publish(store, B, "longer@0", (PUBLIC,), {LONGER: A})
    assert behind(store, B) == (PUBLIC,)


def test_a_record_of_an_older_run_is_unknown_and_not_innocent(store: Store) -> None:
    publish(store, A, "train/old@0", None)
    assert behind(store, A) == (Origin("train/old@0", known=False),)
    publish(store, B, "average", None, {"x0": A}, {"kind": "average"})
    assert behind(store, B) == (Origin("train/old@0", path=("average",), known=False),)
    publish(store, C, "random", None, spec={"kind": "random_adapter"})
    assert behind(store, C) == ()


def test_an_old_record_whose_input_is_gone_is_unknown(store: Store) -> None:
    publish(store, B, "average", None, {"x0": A}, {"kind": "average"})
    assert behind(store, B) == (Origin("average", known=False),)


def test_a_complete_note_is_not_made_unknown_by_an_old_input(store: Store) -> None:
    publish(store, A, "train/old@0", None)
    publish(store, B, "target@0", (PUBLIC,), {"x0": A})
    assert behind(store, B) == (PUBLIC,)


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_what_is_learned_later_is_added_and_closes_the_folder(store: Store) -> None:
    publish(store, A, "train@0", (PUBLIC,))
    store.path(A).chmod(0o755)
    note(store, store.get(A), (PUBLIC,))
    assert store.path(A).stat().st_mode & 0o777 == 0o755
    note(store, store.get(A), (SECRET,))
    assert noted(store.get(A).record) == (PUBLIC, SECRET)
    assert store.path(A).stat().st_mode & 0o777 == 0o700
    assert store.verify() == []


def test_an_old_record_learns_its_data_even_if_there_are_none(store: Store) -> None:
    publish(store, A, "train@0", None)
    note(store, store.get(A), ())
    assert noted(store.get(A).record) == ()
