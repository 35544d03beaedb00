from __future__ import annotations

import pytest

from adapterstilts.errors import DataError
from adapterstilts.metrics.spans import entities_of, lenient_spans, official_spans, strict_spans


# Expected values of the official reading were recorded from seqeval 0.0.12.
@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("NOUN NOUN VERB", {("NOUN", 0, 1), ("VERB", 2, 2)}),
        ("SCONJ SCONJ CCONJ CCONJ", {("SCONJ", 0, 0), ("SCONJ", 1, 1), ("CCONJ", 2, 3)}),
        ("SYM SYM SCONJ", {("SYM", 0, 0), ("SYM", 1, 1), ("SCONJ", 2, 2)}),
        ("INTJ INTJ NOUN", {("INTJ", 0, 1), ("NOUN", 2, 2)}),
        ("B-PER I-PER O B-LOC", {("PER", 0, 1), ("LOC", 3, 3)}),
        ("I-PER I-PER O I-LOC", {("PER", 0, 1), ("LOC", 3, 3)}),
        ("B-PER I-LOC I-LOC", {("PER", 0, 0), ("LOC", 1, 2)}),
        ("B-PER B-PER", {("PER", 0, 0), ("PER", 1, 1)}),
        ("S-PER I-PER E-PER E-PER", {("PER", 0, 0), ("PER", 1, 2), ("PER", 3, 3)}),
        ("B-a-b I-b", {("b", 0, 1)}),
        ("O O", set()),
        ("", set()),
    ],
)
def test_official_spans(tags, spans):
    assert official_spans(tags.split()) == spans


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-PER I-PER O I-LOC", {("PER", 0, 1), ("LOC", 3, 3)}),
        ("I-PER I-PER B-PER", {("PER", 0, 1), ("PER", 2, 2)}),
        ("B-PER I-LOC", {("PER", 0, 0), ("LOC", 1, 1)}),
        ("B-a-b I-b I-a-b", {("a-b", 0, 0), ("b", 1, 1), ("a-b", 2, 2)}),
        ("B-PER L-PER U-PER S-PER", {("PER", 0, 1), ("PER", 2, 2), ("PER", 3, 3)}),
        (
            "PER PER LOC O creative-work creative-work",
            {("PER", 0, 1), ("LOC", 2, 2), ("creative-work", 4, 5)},
        ),
        ("SYM SYM", {("SYM", 0, 1)}),
        ("B I O I B", {("", 0, 1), ("", 3, 3), ("", 4, 4)}),
    ],
)
def test_lenient_spans(tags, spans):
    assert lenient_spans(tags.split()) == spans


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-PER I-PER O B-LOC", {("PER", 0, 1), ("LOC", 3, 3)}),
        ("I-PER I-PER O B-LOC", {("LOC", 3, 3)}),
        ("B-PER I-LOC I-PER", {("PER", 0, 0)}),
        ("B-PER B-PER I-PER", {("PER", 0, 0), ("PER", 1, 2)}),
        ("B-PER", {("PER", 0, 0)}),
    ],
)
def test_strict_spans(tags, spans):
    assert strict_spans(tags.split()) == spans


@pytest.mark.parametrize("read", [official_spans, lenient_spans, strict_spans])
def test_an_empty_tag_is_refused(read):
    with pytest.raises(DataError, match="a tag is empty"):
        read(["O", ""])


# "Dolor de cabeza, mareo" in a document from character 10 on.
STARTS, ENDS = [0, 6, 9, 15, 17], [5, 8, 15, 16, 22]


def test_an_entity_goes_from_its_first_token_to_the_end_of_its_last():
    tags = ["B-SYMPTOM", "I-SYMPTOM", "I-SYMPTOM", "O", "B-SYMPTOM"]

    assert entities_of(tags, STARTS, ENDS, offset=10) == [(10, 25, "SYMPTOM"), (27, 32, "SYMPTOM")]
    assert entities_of(["O"] * 5, STARTS, ENDS) == []


def test_entities_are_read_leniently_and_in_the_order_of_the_text():
    tags = ["I-A", "I-B", "I-B", "B-B", "B-A"]

    assert entities_of(tags, STARTS, ENDS) == [(0, 5, "A"), (6, 15, "B"), (15, 16, "B"), (17, 22, "A")]


@pytest.mark.parametrize("starts", [[0], [0, 1, 2]])
def test_tags_without_a_place_each_are_refused(starts):
    with pytest.raises(DataError, match=f"2 tags, {len(starts)} starts and 2 ends"):
        entities_of(["O", "O"], starts, [1, 2])
