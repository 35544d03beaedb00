"""Features of a target's examples: one row for each answer, whatever the kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys

from adapterstilts.data.encoding.columns import IGNORED
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.search.features import answers_of, sample, states
from adapterstilts.specs import Numerics

NUMERICS = Numerics("library.1", "fp32")


@pytest.mark.parametrize("kind", [kind for kind in toys.KINDS if kind != "mlm"])
def test_every_answer_has_the_state_of_what_it_answers(kind: str, backbone: Backbone) -> None:
    encoded = toys.toy(kind)
    answers = answers_of(encoded, kind, len(toys.head_of(kind).labels))
    with assembled(backbone, Blueprint("stack()")) as assembly:
        found = states(assembly, encoded, answers.units, NUMERICS, tokens=answers.tokens)
    assert found.shape[1] == 32
    assert len(found[answers.kept]) == len(answers.values)
    assert answers.classes == (kind not in ("multilabel", "regression"))
    if answers.classes:
        assert set(answers.values.sum(1)) == {1.0}


def test_a_states_place_does_not_depend_on_its_batch(backbone: Backbone) -> None:
    encoded = toys.toy("classification")
    with assembled(backbone, Blueprint("stack()")) as assembly:
        some = states(assembly, encoded, (7, 3, 11), NUMERICS, tokens=False)
        one = states(assembly, encoded, (3,), NUMERICS, tokens=False)
        tokens = torch.tensor(encoded.sequence(3)[None].astype(np.int64))
        output = assembly.model.base_model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    assert some[1] == pytest.approx(one[0], abs=1e-5)
    assert one[0] == pytest.approx(output[0][0].mean(0).detach().numpy(), abs=1e-5)


def test_tokens_without_a_label_have_no_answer() -> None:
    encoded = toys.toy("tagging")
    answers = answers_of(encoded, "tagging", 4)
    assert len(answers.values) == int((encoded.per_token["label"] != IGNORED).sum())


def test_spans_are_told_token_by_token() -> None:
    encoded = toys.toy("span_qa")
    answers = answers_of(encoded, "span_qa", 0)
    assert answers.values[:, 1].sum() == len(encoded)


def test_the_sample_is_always_the_same_and_no_larger_than_it_has_to_be() -> None:
    assert sample(5) == (0, 1, 2, 3, 4)
    assert sample(5000) == sample(5000)
    assert len(set(sample(5000))) == 600
