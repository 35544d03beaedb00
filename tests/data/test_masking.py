"""Which subwords are hidden: as many as Devlin et al. say, never a special one, the same for a seed."""

from __future__ import annotations

import pytest
import torch
from handmade import encoded
from torch import Tensor

from adapterstilts.data.encoding.columns import IGNORED
from adapterstilts.data.masking import TOLD, mask
from adapterstilts.data.tensors import Batch, collate

MASK = 1000
# 200 sequences of 1 to 100 subwords between their marks: 10,100 that may be hidden.
LONG = [[[0, *(4 + (31 * n + 7 * i) % 900 for i in range(1 + n % 100)), 2]] for n in range(200)]
OPEN = sum(len(unit[0]) - 2 for unit in LONG)


def batch_of(units: list[list[list[int]]]) -> Batch:
    return collate(encoded(units), range(len(units)), torch.device("cpu"))


def masked(seed: int = 0, units: list[list[list[int]]] = LONG) -> tuple[Batch, Batch]:
    batch = batch_of(units)
    return batch, mask(batch, MASK, MASK, seed)


def chosen_in(found: Batch) -> Tensor:
    return found.per_token[TOLD] != IGNORED


def answers_of(found: Batch) -> Tensor:
    return found.per_token[TOLD][chosen_in(found)]


def test_shares_are_those_of_the_paper() -> None:
    chosen = hidden = kept = 0
    for seed in range(5):
        _, found = masked(seed)
        seen = found.input_ids[chosen_in(found)]
        chosen += len(seen)
        hidden += int((seen == MASK).sum())
        kept += int((seen == answers_of(found)).sum())
    # 7,575 are expected to be chosen; each bound is about four deviations away.
    assert chosen / (5 * OPEN) == pytest.approx(0.15, abs=0.007)
    assert hidden / chosen == pytest.approx(0.8, abs=0.02)
    # A random subword may be the right one: one in 996.
    assert kept / chosen == pytest.approx(0.1, abs=0.015)
    assert (chosen - hidden - kept) / chosen == pytest.approx(0.1, abs=0.015)


def test_only_chosen_places_change_and_the_answers_are_what_was_there() -> None:
    batch, found = masked()
    assert torch.equal(found.input_ids[~chosen_in(found)], batch.input_ids[~chosen_in(found)])
    assert torch.equal(answers_of(found), batch.input_ids[chosen_in(found)])
    assert chosen_in(found).dtype == torch.bool
    assert found.input_ids.shape == batch.input_ids.shape


def test_a_batch_itself_is_not_changed() -> None:
    batch, _ = masked()
    assert torch.equal(batch.input_ids, batch_of(LONG).input_ids)


def test_special_subwords_and_padding_are_never_chosen() -> None:
    units = [[[0, 3, MASK, 9, 2]], [[0, 8, 3, 2, 2, 8, 1, 2, 7]]]
    for seed in range(60):
        batch, found = masked(seed, units)
        told = set(batch.input_ids[chosen_in(found)].tolist())
        assert told <= {7, 8, 9}
        assert chosen_in(found).any()
        assert not chosen_in(found)[batch.attention_mask == 0].any()


def test_random_subwords_are_ordinary_and_of_all_kinds() -> None:
    drawn: list[int] = []
    for seed in range(8):
        _, found = masked(seed)
        seen = found.input_ids[chosen_in(found)]
        drawn += seen[(seen != MASK) & (seen != answers_of(found))].tolist()
    assert min(drawn) >= 4
    assert max(drawn) < MASK
    assert min(drawn) < 40
    assert max(drawn) > MASK - 40
    assert len(set(drawn)) > 500


def test_at_least_one_is_chosen_where_there_is_any() -> None:
    for seed in range(40):
        _, found = masked(seed, [[[0, 9, 2]], [[0, 2]]])
        assert chosen_in(found).tolist() == [[False, True, False], [False, False, False]]
        assert answers_of(found).tolist() == [9]


def test_a_seed_is_a_draw() -> None:
    torch.manual_seed(1)
    _, first = masked(5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    _, again = masked(5)
    assert torch.equal(torch.get_rng_state(), before)
    _, other = masked(6)
    assert torch.equal(first.input_ids, again.input_ids)
    assert torch.equal(chosen_in(first), chosen_in(again))
    assert not torch.equal(chosen_in(first), chosen_in(other))


@pytest.mark.gpu
def test_a_draw_is_the_same_on_a_gpu() -> None:
    on_cpu = mask(batch_of(LONG), MASK, MASK, 3)
    on_gpu = mask(collate(encoded(LONG), range(len(LONG)), torch.device("cuda")), MASK, MASK, 3)
    assert torch.equal(on_cpu.input_ids, on_gpu.input_ids.cpu())
    assert torch.equal(chosen_in(on_cpu), chosen_in(on_gpu).cpu())
    assert torch.equal(answers_of(on_cpu), answers_of(on_gpu).cpu())
