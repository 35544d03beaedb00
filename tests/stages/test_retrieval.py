"""Sentences that translate each other: ranked among all, or mined by margin."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny import FILLERS

from adapterstilts.data.rows import PairRow
from adapterstilts.errors import DataError
from adapterstilts.metrics import registry
from adapterstilts.metrics.core import Prediction
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.specs import BackboneSpec, Evaluate, Numerics, RetrievalSpec, TaskData
from adapterstilts.stages.retrieval import MINING_METRIC, retrieve

PLAIN = RetrievalSpec(0, "mean", False)


def spec_of(*metrics: str, retrieval: RetrievalSpec = PLAIN, budget: int = 60) -> Evaluate:
    return Evaluate(
        BackboneSpec("files:tiny", None),
        "stack()",
        TaskData("retrieval", (), {}, ()),
        "xx",
        metrics,
        Numerics("library.1", "fp32"),
        budget,
        16,
        retrieval,
    )


def found(
    backbone: Backbone, rows: Sequence[PairRow], *metrics: str, **settings: Any
) -> tuple[list[Prediction], int]:
    spec = spec_of(*metrics, **settings)
    assert spec.retrieval is not None
    with assembled(backbone, Blueprint("stack()")) as assembly:
        return retrieve(assembly, spec, spec.retrieval, rows)


def sentences(count: int, seed: int = 1) -> list[str]:
    """Different sentences; a word more makes a neighbour that is nearer than any other sentence."""
    chance = random.Random(seed)
    return [" ".join(chance.sample(FILLERS["en"], 10)) for _ in range(count)]


def pairs(count: int) -> list[PairRow]:
    return [
        PairRow(f"p{n}", text, f"{text} xx{n % 30}", f"s{n}", f"t{n}")
        for n, text in enumerate(sentences(count))
    ]


# ---- ranking


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize(("layer", "pooling"), [(0, "mean"), (1, "mean"), (3, "first")])
def test_targets_are_ranked_by_cosine(backbone: Backbone, layer: int, pooling: str, centre: bool) -> None:
    rows = pairs(14)
    predictions, _ = found(
        backbone, rows, "retrieval_accuracy", retrieval=RetrievalSpec(layer, pooling, centre)
    )
    sides = [[row.source for row in rows], [row.target for row in rows]]
    sources, targets = (vectors(backbone, side, layer, pooling, centre) for side in sides)
    best = (sources @ targets.T).sort(descending=True, stable=True)
    assert [one.id for one in predictions] == [one.gold for one in predictions] == [row.id for row in rows]
    for one, order in zip(predictions, best.indices[:, :10].tolist(), strict=True):
        assert one.prediction == [f"p{n}" for n in order]


def vectors(backbone: Backbone, texts: Sequence[Any], layer: int, pooling: str, centre: bool) -> torch.Tensor:
    """The plain model, one text at a time, so that there is no padding at all."""
    rows = []
    for text in texts:
        ids = torch.tensor([backbone.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            states = backbone.model.base_model(ids, output_hidden_states=True).hidden_states[layer][0]
        rows.append(states[0] if pooling == "first" else states.mean(0))
    all_rows = torch.stack(rows)
    if centre:
        all_rows = all_rows - all_rows.mean(0)
    return all_rows / all_rows.norm(dim=1, keepdim=True)


def test_neighbours_are_found(backbone: Backbone) -> None:
    predictions, tokens = found(backbone, pairs(30), "retrieval_accuracy", "mrr")
    assert registry.get("retrieval_accuracy")(predictions) == 1
    assert tokens == 30 * (12 + 13)


def test_fewer_targets_than_places_are_all_ranked(backbone: Backbone) -> None:
    predictions, _ = found(backbone, pairs(4), "retrieval_accuracy")
    assert [sorted(one.prediction) for one in predictions] == [["p0", "p1", "p2", "p3"]] * 4


def test_the_budget_changes_no_ranking(backbone: Backbone) -> None:
    answers = [
        [one.prediction for one in found(backbone, pairs(20), "retrieval_accuracy", budget=budget)[0]]
        for budget in (1, 50, 10**5)
    ]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("row", [PairRow("q", "en1", None, "s"), PairRow("q", None, "en1", "", "t")])
def test_a_sentence_without_a_partner_cannot_be_ranked(backbone: Backbone, row: PairRow) -> None:
    with pytest.raises(DataError, match=f"1 sentences have no partner.*score them by {MINING_METRIC}"):
        found(backbone, [*pairs(3), row], "retrieval_accuracy")


# ---- mining


def mined(backbone: Backbone, rows: Sequence[PairRow]) -> dict[str, tuple[Any, Any]]:
    predictions, _ = found(backbone, rows, MINING_METRIC)
    return {one.id: (one.gold, one.prediction) for one in predictions}


def alone(count: int) -> list[PairRow]:
    """Sentences of either side that translate nothing."""
    texts = sentences(2 * count, seed=7)
    sources = [PairRow(f"a{n}", text, None, f"as{n}") for n, text in enumerate(texts[:count])]
    return sources + [PairRow(f"b{n}", None, text, "", f"bt{n}") for n, text in enumerate(texts[count:])]


def test_pairs_are_mined_among_sentences_that_have_none(backbone: Backbone) -> None:
    rows = [*pairs(20), *alone(15)]
    answers = mined(backbone, rows)
    assert answers == {
        **{f"s{n}": ((f"t{n}",), (f"t{n}",)) for n in range(20)},
        **{f"as{n}": ((), ()) for n in range(15)},
    }
    predictions, tokens = found(backbone, rows, MINING_METRIC)
    assert registry.get(MINING_METRIC)(predictions) == 1
    assert tokens == 20 * (12 + 13) + 30 * 12


def test_every_source_is_an_example_so_that_systems_can_be_paired(backbone: Backbone) -> None:
    rows = [*pairs(20), *alone(15)]
    with assembled(backbone, Blueprint("stack()")) as assembly:
        for retrieval in (PLAIN, RetrievalSpec(3, "first", True)):
            predictions, _ = retrieve(assembly, spec_of(MINING_METRIC), retrieval, rows)
            assert sorted(one.id for one in predictions) == sorted(
                [f"s{n}" for n in range(20)] + [f"as{n}" for n in range(15)]
            )


def test_pairs_of_repeated_sentences_are_not_found_and_still_count(backbone: Backbone) -> None:
    rows = pairs(20)
    twin = PairRow("twin", rows[0].source, None, "twin")
    target = PairRow("target", None, rows[3].target, "", "target")
    answers = mined(backbone, [*rows, twin, target])
    assert len(answers) == 21
    # As in XTREME: which id a repeated sentence stands for is not known, so that its gold pairs are missed.
    assert answers["s0"] == (("t0",), ())
    assert answers["twin"] == ((), ())
    assert answers["s3"] == (("t3",), ())
    assert answers["s1"] == (("t1",), ("t1",))
    # It is mined once, and is no second nearest neighbour of its own.
    _, tokens = found(backbone, [*rows, twin, target], MINING_METRIC)
    assert tokens == 20 * (12 + 13)


def test_a_sentence_in_several_pairs_is_one_sentence(backbone: Backbone) -> None:
    rows = pairs(20)
    other = PairRow("other", rows[5].source, f"{rows[5].source} yy3 yy4", "s5", "t5b")
    answers = mined(backbone, [*rows, other])
    assert len(answers) == 20
    assert answers["s5"][0] == ("t5", "t5b")
    assert answers["s5"][1] in (("t5",), ("t5b",))


def test_sentences_without_ids_go_by_their_rows(backbone: Backbone) -> None:
    rows = [PairRow(row.id, row.source, row.target) for row in pairs(20)]
    assert mined(backbone, rows) == {f"p{n}": ((f"p{n}",), (f"p{n}",)) for n in range(20)}


def test_without_a_pair_there_is_nothing_to_tune_on(backbone: Backbone) -> None:
    with pytest.raises(DataError, match="no gold pairs"):
        mined(backbone, alone(6))
