"""Hidden states on disk: the same bits as computed anew, whatever happens to the disk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import toy

from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.tensors import collate
from adapterstilts.engine import kept
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.engine.kept import Keeping, SplitStates
from adapterstilts.engine.lower import LowerStates
from adapterstilts.engine.prefix import canonical_states
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import Precision

from .examples import CPU

SPLIT = toy("classification", 30)


@pytest.fixture(params=["fp32", "bf16"])
def encoder(backbone: Backbone, request: pytest.FixtureRequest) -> FrozenEncoder:
    return FrozenEncoder(backbone.model, request.param)


def states_of(encoder: FrozenEncoder, folder: Path, split: Encoded = SPLIT, **changes: object) -> SplitStates:
    keeping = Keeping(folder, 10**9, {"backbone": "tiny"})
    return SplitStates(encoder, 2, split, dataclasses.replace(keeping, **changes))  # type: ignore[arg-type]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def never(*_: object) -> object:
    raise AssertionError("computed again")


def test_what_is_kept_is_what_is_computed(
    encoder: FrozenEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = states_of(encoder, tmp_path / "deep")
    anew, cold = own.in_memory(), own.kept()
    assert np.array_equal(anew, cold)
    assert isinstance(cold, np.memmap)
    monkeypatch.setattr(kept, "canonical_states", never)
    assert np.array_equal(own.kept(), anew)
    assert [path.suffix for path in entries(tmp_path / "deep")] == [".npy"]


def test_the_bits_are_those_of_the_one_layout(encoder: FrozenEncoder, tmp_path: Path) -> None:
    found = torch.from_numpy(states_of(encoder, tmp_path).kept().copy()).view(encoder.dtype)
    for places, states in canonical_states(encoder, SPLIT, 2):
        assert torch.equal(found[torch.from_numpy(places)], states)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), lambda path: os.truncate(path, 900)])
def test_half_an_entry_is_never_read(
    encoder: FrozenEncoder, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    own = states_of(encoder, tmp_path)
    expected = np.array(own.kept())
    damage(*entries(tmp_path))
    assert np.array_equal(own.kept(), expected)
    assert np.array_equal(np.load(*entries(tmp_path)), expected)


def test_a_full_disk_costs_nothing_but_time(
    encoder: FrozenEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.os, "fsync", full)
    own = states_of(encoder, tmp_path)
    assert np.array_equal(own.kept(), own.in_memory())
    assert entries(tmp_path) == []


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(encoder: FrozenEncoder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    own = states_of(encoder, tmp_path / "file" / "prefix")
    assert np.array_equal(own.kept(), own.in_memory())


def test_whoever_ends_the_computing_leaves_nothing(encoder: FrozenEncoder, tmp_path: Path) -> None:
    def stop(tokens: int, total: int) -> None:
        assert 0 < tokens <= total == len(SPLIT.tokens)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        states_of(encoder, tmp_path, progress=stop).kept()
    assert entries(tmp_path) == []


def test_whatever_the_bits_depend_on_has_an_entry_of_its_own(backbone: Backbone, tmp_path: Path) -> None:
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    fp32, bf16 = (FrozenEncoder(backbone.model, precision) for precision in precisions)
    identity = {"precision": "bf16"}
    for own in (
        states_of(fp32, tmp_path),
        states_of(bf16, tmp_path, identity=identity),
        dataclasses.replace(states_of(fp32, tmp_path), layers=1),
        states_of(fp32, tmp_path, toy("classification", 29)),
        states_of(fp32, tmp_path, identity={"backbone": "other"}),
    ):
        before = len(entries(tmp_path))
        own.kept()
        assert len(entries(tmp_path)) == before + 1


def test_labels_and_names_have_no_entry_of_their_own(encoder: FrozenEncoder, tmp_path: Path) -> None:
    states_of(encoder, tmp_path).kept()
    renamed = dataclasses.replace(SPLIT, ids=tuple(f"other {id_}" for id_ in SPLIT.ids), per_unit={})
    states_of(encoder, tmp_path, renamed).kept()
    assert len(entries(tmp_path)) == 1


# ---- the bound


def test_an_entry_makes_room_for_itself(encoder: FrozenEncoder, tmp_path: Path) -> None:
    first = states_of(encoder, tmp_path)
    first.kept()
    size = entries(tmp_path)[0].stat().st_size
    states_of(encoder, tmp_path, toy("classification", 20), bound=int(1.5 * size)).kept()
    assert len(entries(tmp_path)) == 1
    assert not (tmp_path / f"{first._name()}.npy").exists()


def test_what_is_larger_than_the_bound_goes_alone_after_its_use(
    encoder: FrozenEncoder, tmp_path: Path
) -> None:
    states_of(encoder, tmp_path, toy("classification", 10)).kept()
    small = entries(tmp_path)
    own = states_of(encoder, tmp_path, bound=small[0].stat().st_size + 1)
    found = own.kept()
    assert len(entries(tmp_path)) == 2
    own.keeping.close()
    assert entries(tmp_path) == small
    assert np.array_equal(found, own.in_memory())


# ---- all data of a stage


@pytest.mark.parametrize("kind", ["classification", "multiple_choice", "tagging"])
@pytest.mark.parametrize("keep", [True, False])
def test_each_token_finds_its_state(encoder: FrozenEncoder, tmp_path: Path, kind: str, keep: bool) -> None:
    lower = LowerStates(encoder, 2, Keeping(tmp_path, 10**9, {}))
    splits = [toy(kind, 12, seed) for seed in (1, 2)], [toy(kind, 9, 3)]
    first, second = (lower.add(own, keep=keep) for own in splits)
    assert lower.prefix.layers == 2
    for joined, parts, positions in ((first, splits[0], [20, 3, 13, 4]), (second, splits[1], [8, 0])):
        found = lower.prefix.states(collate(joined, positions, CPU))
        expected = torch.cat(
            [torch.from_numpy(states_of(encoder, tmp_path, part).in_memory()) for part in parts]
        )
        cells = [
            np.arange(*joined.bounds[[joined.firsts[place], joined.firsts[place + 1]]]) for place in positions
        ]
        assert found.dtype == encoder.dtype
        assert torch.equal(found, expected[torch.from_numpy(np.concatenate(cells))].view(encoder.dtype))
    assert len(entries(tmp_path)) == (3 if keep else 0)
