"""Units to padded tensors."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import encoded, splitting_tokenizer
from toys import KINDS, toy

from adapterstilts.data.encoding import encode, files
from adapterstilts.data.encoding.columns import IGNORED, Encoded, Unit
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import SpanRow, TaggingRow
from adapterstilts.data.tensors import PAD_ID, Batch, collate

CPU = torch.device("cpu")


def whole(of: Encoded) -> Batch:
    return collate(of, range(len(of)), CPU)


def test_sequences_are_padded_on_the_right() -> None:
    batch = whole(encoded([[[0, 7, 2]], [[0, 2]]], labels=[1, 0], ids=["a", "b"]))
    assert batch.input_ids.tolist() == [[0, 7, 2], [0, 2, PAD_ID]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.per_unit["label"].tolist() == [1, 0]
    assert (batch.sizes, batch.ids) == ((1, 1), ("a", "b"))
    tensors = (batch.input_ids, batch.attention_mask, batch.per_unit["label"])
    assert {tensor.dtype for tensor in tensors} == {torch.long}


def test_padding_is_only_as_long_as_needed() -> None:
    assert whole(encoded([[[0, 2]]])).input_ids.shape == (1, 2)
    assert collate(encoded([[[0, 2]], [[0, 5, 6, 2]]]), [0], CPU).input_ids.shape == (1, 2)


def test_options_lie_one_after_the_other() -> None:
    units = [[[0, 2], [0, 5, 2], [0, 6, 2]], [[0, 8, 2], [0, 9, 2]]]
    batch = whole(encoded(units, labels=[2, 0]))
    assert batch.sizes == (3, 2)
    assert batch.input_ids[:, 1].tolist() == [2, 5, 6, 8, 9]
    assert batch.per_unit["label"].tolist() == [2, 0]


def test_an_unlabelled_example_keeps_its_mark() -> None:
    assert whole(encoded([[[0, 2]]], labels=[-1])).per_unit["label"].tolist() == [-1]


def test_tokens_count_without_padding() -> None:
    assert whole(encoded([[[0, 7, 8, 2]], [[0, 2]]])).tokens == 6


def test_a_subword_with_the_padding_id_is_not_masked() -> None:
    assert whole(encoded([[[0, PAD_ID, 2]]])).attention_mask.tolist() == [[1, 1, 1]]


def test_units_come_in_the_order_that_was_asked_for() -> None:
    units = [[[0, 4, 2], [0, 5, 2]], [[0, 6, 2]], [[0, 7, 2]]]
    batch = collate(encoded(units, labels=[1, 2, 3], ids=["a", "b", "c"]), [2, 0, 1], CPU)
    assert batch.input_ids[:, 1].tolist() == [7, 4, 5, 6]
    assert batch.per_unit["label"].tolist() == [3, 1, 2]
    assert (batch.ids, batch.sizes) == (("c", "a", "b"), (1, 2, 1))


def test_values_of_sequences_and_tokens_follow_their_units() -> None:
    def unit(row: int, sequences: list[list[int]], first: int) -> Unit:
        arrays = [np.array(one, dtype=np.int32) for one in sequences]
        marks = [first + n for n in range(len(arrays))]
        return Unit(row, arrays, {}, {"mark": marks}, {"word": [10 * t for one in sequences for t in one]})

    of = Encoded.of("ab", [unit(0, [[1, 2], [3]], 5), unit(1, [[4, 5, 6]], 8)])
    batch = collate(of, [1, 0], CPU)
    assert batch.per_sequence["mark"].tolist() == [8, 5, 6]
    none = IGNORED
    assert batch.per_token["word"].tolist() == [[40, 50, 60], [10, 20, none], [30, none, none]]
    assert IGNORED == -100


def test_windows_of_one_row_have_its_id() -> None:
    row = TaggingRow("long", ("bako",) * 9, ("x",) * 9)
    of = encode("tagging", [row], splitting_tokenizer(), Settings(("x",), 8))
    assert len(of) > 1
    assert whole(of).ids == ("long",) * len(of)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_batch_holds_what_its_units_hold(tmp_path: Path, mapped: bool) -> None:
    chance = random.Random(3)
    passages = [" ".join(chance.choices(["ba", "ri"], k=chance.randint(1, 30))) for _ in range(40)]
    rows = [SpanRow(f"{n}", "ko", passage, ((0, "b"),)) for n, passage in enumerate(passages)]
    of = encode("span_qa", rows, splitting_tokenizer(), Settings((), 20, 6))
    if mapped:
        files.save(of, tmp_path / "x")
        found = files.load(tmp_path / "x")
        assert found is not None
        of = found
    positions = chance.sample(range(len(of)), 25)
    batch = collate(of, positions, CPU)
    for place, unit in enumerate(positions):
        (ids,) = of.sequences(unit)
        assert batch.input_ids[place, : len(ids)].tolist() == ids.tolist()
        assert set(batch.input_ids[place, len(ids) :].tolist()) <= {PAD_ID}
        assert batch.attention_mask[place].sum() == len(ids)
        for name in ("from", "to", "opens"):
            values = batch.per_token[name][place]
            assert values[: len(ids)].tolist() == of.token_values(name, unit).tolist()
            assert set(values[len(ids) :].tolist()) <= {IGNORED}
        assert batch.per_unit["start"][place] == of.per_unit["start"][unit]
        assert batch.ids[place] == of.ids[of.rows[unit]]
    assert {tensor.dtype for tensor in batch.per_token.values()} == {torch.long}


def test_numbers_become_what_torch_computes_with() -> None:
    double = encoded([[[0, 2]], [[0, 2]]], labels=[np.float64(0.5), np.float64(np.nan)])
    values = whole(double).per_unit["label"]
    assert values.dtype == torch.float32
    assert values[0] == 0.5
    assert values[1].isnan()
    sets = encoded([[[0, 2]]], labels=[np.array([1, 0, 1])])
    assert whole(sets).per_unit["label"].tolist() == [[1, 0, 1]]
    assert whole(sets).per_unit["label"].dtype == torch.long


def test_a_batch_shares_nothing_with_the_encoding() -> None:
    of = encoded([[[0, 7, 2]]])
    batch = whole(of)
    batch.input_ids.zero_()
    batch.per_unit["label"].fill_(9)
    assert of.tokens.tolist() == [0, 7, 2]
    assert of.per_unit["label"].tolist() == [0]


# ---- parts


def test_a_part_holds_its_units_alone_at_the_length_of_all() -> None:
    units = [[[0, 2], [0, 5, 2]], [[0, 8, 9, 2]], [[0, 6, 2]]]
    batch = whole(encoded(units, labels=[2, 0, 1], ids=["a", "b", "c"]))
    part = batch.part([0, 2])
    assert part.input_ids.tolist() == [[0, 2, PAD_ID, PAD_ID], [0, 5, 2, PAD_ID], [0, 6, 2, PAD_ID]]
    assert part.attention_mask.sum(1).tolist() == [2, 3, 3]
    assert (part.sizes, part.ids, part.tokens) == ((2, 1), ("a", "c"), 8)
    assert part.per_unit["label"].tolist() == [2, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_made_of_every_column(kind: str) -> None:
    batch = whole(toy(kind, 5))
    first, last = batch.part([0, 1]), batch.part([2, 3, 4])
    for level in ("per_unit", "per_sequence", "per_token"):
        for name, values in getattr(batch, level).items():
            assert torch.equal(torch.cat([getattr(first, level)[name], getattr(last, level)[name]]), values)


def test_a_part_of_nothing_is_empty() -> None:
    part = whole(toy("multi_select", 3)).part([])
    assert (len(part.input_ids), part.sizes, part.tokens) == (0, (), 0)
    assert all(len(values) == 0 for values in part.per_sequence.values())
