"""What stages share: encodings are made once, kept by content, and never of confidential text."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Done

from adapterstilts.data.encoding.settings import Settings
from adapterstilts.recipe.plan import DataUse
from adapterstilts.stages import context as module
from adapterstilts.stages.context import Context

SETTINGS = Settings(("north", "south", "west"), 16)


@pytest.fixture
def context(done: Done, tmp_path: Path) -> Context:
    found = done.context()
    found.store = type(found.store)(tmp_path / "store")
    return found


@pytest.fixture
def use(done: Done) -> DataUse:
    stage = done.run.prepared.plan.stages[done.keys["target/topics/target@0"]]
    return stage.data[0]


def backbone(context: Context, done: Done) -> Any:
    spec = done.run.prepared.plan.stages[done.keys["target/topics/target@0"]].spec
    return context.backbone(spec.backbone, {})  # type: ignore[union-attr]


def folders(context: Context) -> list[Path]:
    return sorted((context.store.cache / "encoded").glob("*"))


def test_an_encoding_is_made_once_and_then_mapped(
    context: Context, done: Done, use: DataUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = context.encoded(use, backbone(context, done), SETTINGS)
    assert context.encoded(use, backbone(context, done), SETTINGS) is made
    assert len(folders(context)) == 1
    later = Context(context.store, context.roots, context.device, 1, context.backbone_folder, offline=True)
    monkeypatch.setattr(module, "encode", None)
    mapped = later.encoded(use, backbone(later, done), SETTINGS)
    assert isinstance(mapped.tokens, np.memmap)
    assert mapped.ids == made.ids
    assert mapped.tokens.tolist() == made.tokens.tolist()
    assert mapped.per_unit["label"].tolist() == made.per_unit["label"].tolist()


def test_settings_and_rows_have_their_own_encodings(context: Context, done: Done, use: DataUse) -> None:
    model = backbone(context, done)
    context.encoded(use, model, SETTINGS)
    context.encoded(use, model, replace(SETTINGS, max_length=8))
    context.encoded(replace(use, limit=5), model, SETTINGS)
    assert len(folders(context)) == 3


def test_confidential_text_leaves_no_copy(context: Context, done: Done, use: DataUse) -> None:
    secret = replace(use, task=replace(use.task, confidential=True))
    context.encoded(secret, backbone(context, done), SETTINGS)
    # Which rows are left without confidential ones says something of these.
    context.encoded(replace(use, without=(replace(secret, split="test"),)), backbone(context, done), SETTINGS)
    assert folders(context) == []


def test_only_the_last_whole_model_is_in_memory(context: Context, done: Done) -> None:
    shared = backbone(context, done)
    first = weakref.ref(context.fresh_backbone(shared.spec, {}).model)
    made = context.fresh_backbone(shared.spec, {})
    kept = weakref.ref(made.model)
    context.keep_full("key", made)
    del made
    assert first() is None
    assert context.full_model("key") is not None
    context.fresh_backbone(shared.spec, {})
    assert context.full_model("key") is None
    assert kept() is None
