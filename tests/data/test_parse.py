"""Records become rows of each kind, or errors that name the place and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from adapterstilts.data.parse import Parser, group_of
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import KINDS, Format, TaskSpec


def parse(
    kind: str, *records: dict[str, Any], columns: dict[str, str] | None = None, **spec: Any
) -> tuple[list[Row], Tally]:
    task = TaskSpec("toy", kind, "test", {}, ("accuracy",), **spec)  # type: ignore[arg-type]
    tally = Tally()
    parser = Parser(task, Format("jsonl", columns or {}), tally)
    places = [Record("toy.jsonl", f"line {n}", fields) for n, fields in enumerate(records, start=1)]
    rows = [row for row, _ in parser.rows(places)]
    parser.check()
    return rows, tally


def one(kind: str, fields: dict[str, Any], **more: Any) -> Any:
    rows, _ = parse(kind, fields, **more)
    assert len(rows) == 1
    return rows[0]


def test_every_kind_has_a_parser() -> None:
    for kind in KINDS:
        Parser(TaskSpec("toy", kind, "test", {}, ()), Format("jsonl"), Tally())  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'poetry' is not a kind"):
        Parser(TaskSpec("toy", "poetry", "test", {}, ()), Format("jsonl"), Tally())  # type: ignore[arg-type]


def test_classification() -> None:
    row = one("classification", {"text": "a", "label": "x"}, labels=("x",))
    assert row == TextRow("0", "a", None, "x")
    row = one(
        "classification",
        {"p": "a", "h": 3, "gold": 1, "nr": 17},
        columns={"text": "p", "text_pair": "h", "label": "gold", "id": "nr"},
        labels=("no", "yes"),
        label_map={"1": "yes"},
    )
    assert row == TextRow("17", "a", "3", "yes")


def test_labels_of_other_types_are_compared_as_json_writes_them() -> None:
    assert one("classification", {"text": "a", "label": True}, labels=("true",)).label == "true"
    assert one("classification", {"text": "a", "label": 0}, labels=("0",)).label == "0"
    assert one("classification", {"text": "a", "label": " x "}, labels=("x",)).label == "x"


def test_unlabelled_rows() -> None:
    assert one("classification", {"text": "a", "label": None}, labels=("x",)).label is None
    assert one("classification", {"text": "a"}, columns={"label": ""}, labels=("x",)).label is None


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(DataError) as caught:
        parse("classification", {"Text": "a", "gold": "x"}, labels=("x",))
    message = str(caught.value)
    assert message.startswith("toy.jsonl, line 1: no column 'label' for label; columns: Text, gold")
    assert "`label: ''` if the data has none" in message
    with pytest.raises(DataError, match="did you mean 'Text'"):
        parse("classification", {"Text": "a", "label": "x"}, labels=("x",))
    with pytest.raises(DataError, match="no column 'h' for text_pair"):
        parse("classification", {"text": "a", "label": "x"}, columns={"text_pair": "h"}, labels=("x",))


def test_unknown_labels_come_in_one_fault() -> None:
    records = [{"text": "a", "label": label} for label in ("x", "y", "z", "y")]
    with pytest.raises(DataError) as caught:
        parse("classification", *records, labels=("x",))
    assert len(caught.value.faults) == 1
    message = str(caught.value)
    assert "3 values are not labels of 'toy'" in message
    assert "'y' x2 (first toy.jsonl, line 2), 'z' x1 (first toy.jsonl, line 3)" in message
    assert "add them to `labels`, or map them in `label_map` (known labels: x)" in message


def test_very_many_unknown_labels_are_cut() -> None:
    with pytest.raises(DataError, match="and 30 more"):
        parse("classification", *({"text": "a", "label": str(n)} for n in range(50)))


def test_a_text_in_the_label_column_is_shortened() -> None:
    with pytest.raises(DataError, match=r"'x{40}\.\.\.' x1"):
        parse("classification", {"text": "a", "label": "x" * 500}, labels=("y",))


def test_nulls_in_the_label_map_drop_and_count() -> None:
    records = [{"text": "a", "label": label} for label in ("x", "-", "-")]
    rows, tally = parse("classification", *records, labels=("x",), label_map={"-": None})
    assert [row.id for row in rows] == ["0"]
    assert tally.dropped == {"label mapped to null": 2}


@pytest.mark.parametrize("text", [None, "", " \t", float("nan")])
def test_rows_without_text_are_dropped_and_counted(text: Any) -> None:
    rows, tally = parse("mlm", {"text": text}, {"text": "b"})
    assert rows == [TextRow("1", "b")]
    assert tally.dropped == {"no text": 1}


def test_a_list_of_texts_is_joined_and_anything_else_refused() -> None:
    assert one("mlm", {"text": ["a", "b"]}).text == "a b"
    for value in ({"a": 1}, [1], True):
        with pytest.raises(DataError, match="line 1: text should be text but is a"):
            parse("mlm", {"text": value})


def test_confidential_tasks_show_no_text() -> None:
    records = [{"Patient Meyer": "a", "label": "Patient Meyer"}]
    for kind, columns in (
        ("classification", {}),
        ("classification", {"text": "Patient Meyer"}),
        ("multiple_choice", {}),
    ):
        record = (
            {**records[0], "context": "c", "choices": ["a", "b"]} if kind == "multiple_choice" else records[0]
        )
        with pytest.raises(DataError) as caught:
            parse(kind, record, columns=columns, labels=("x",), confidential=True)
        assert "Meyer" not in str(caught.value)
        assert "line 1" in str(caught.value)
    with pytest.raises(DataError) as caught:
        parse("multiple_choice", {"context": "c", "choices": ["a", "b"], "label": "Meyer"}, confidential=True)
    assert "Meyer" not in str(caught.value)


def test_a_header_that_is_a_text_is_shown_in_short() -> None:
    with pytest.raises(DataError, match=r"columns: x{40}\.\.\., c0, .* and 11 more; name it"):
        parse("mlm", {"x" * 500: "a", **{f"c{n}": "" for n in range(30)}})


def test_confidential_tasks_show_no_columns() -> None:
    with pytest.raises(DataError) as caught:
        parse("mlm", {"Patient Meyer": "a"}, confidential=True)
    assert str(caught.value).startswith("toy.jsonl, line 1: no column 'text' for text; name it under")
    assert "Meyer" not in str(caught.value)


def test_repeated_ids_stay_unique_and_are_counted() -> None:
    rows, tally = parse("mlm", *({"id": name, "text": "a"} for name in ("x", "x", "x#2", "x")))
    assert [row.id for row in rows] == ["x", "x#2", "x#2#2", "x#3"]
    assert tally.repaired == {"id repeated": 3}


def test_row_numbers_count_dropped_records_too() -> None:
    rows, _ = parse("mlm", {"text": ""}, {"text": "b"})
    assert rows[0].id == "1"


def test_multilabel() -> None:
    row = one("multilabel", {"text": "a", "label": ["x", "y"]}, labels=("x", "y"))
    assert row.label == ("x", "y")
    assert one("multilabel", {"text": "a", "label": []}, labels=("x",)).label == ()
    with pytest.raises(DataError, match="label should be a list but is a str"):
        parse("multilabel", {"text": "a", "label": "x y"}, labels=("x", "y"))


def test_multilabel_in_columns() -> None:
    fields = {"text": "a", "rude": "1", "loud": 0, "odd": True}
    row = one("multilabel", fields, columns={"label": "rude, loud, odd"}, labels=("rude", "loud", "odd"))
    assert row.label == ("rude", "odd")
    with pytest.raises(DataError, match="the label column 'loud' should hold 0 or 1"):
        parse(
            "multilabel", {**fields, "loud": "maybe"}, columns={"label": "rude,loud"}, labels=("rude", "loud")
        )


def test_regression() -> None:
    assert one("regression", {"text": "a", "text_pair": "b", "label": "3.5"}) == TextRow("0", "a", "b", 3.5)
    with pytest.raises(DataError, match="line 1: label should be a number"):
        parse("regression", {"text": "a", "label": "high"})
    with pytest.raises(DataError, match="line 1: label should be a finite number"):
        parse("regression", {"text": "a", "label": "nan"})


CHOICES = {"context": "c", "choices": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("label", "spec", "index"),
    [
        (2, {}, 2),
        ("2", {}, 2),
        ("B", {"labels": ("A", "B", "C")}, 1),
        ("3", {"labels": ("1", "2", "3", "4", "5")}, 2),
        (3, {"label_map": {"1": "0", "2": "1", "3": "2"}}, 2),
        (None, {}, None),
    ],
)
def test_choice_labels(label: Any, spec: dict[str, Any], index: int | None) -> None:
    assert one("multiple_choice", {**CHOICES, "label": label}, **spec) == ChoiceRow(
        "0", "c", ("a", "b", "c"), index
    )


@pytest.mark.parametrize(
    ("label", "spec", "message"),
    [
        ("B", {}, "label 'B' is not an index from 0; declare `labels: "),
        ("-1", {}, "label '-1' is not an index"),
        (3, {}, "label says option 3 .from 0., but there are 3 options; if the data counts from 1"),
        ("E", {"labels": ("A", "B", "C", "D", "E")}, "label says option 4"),
        ("F", {"labels": ("A", "B")}, "'F' x1"),
    ],
)
def test_choice_labels_are_never_guessed(label: Any, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse("multiple_choice", {**CHOICES, "label": label}, **spec)


def test_choices_in_columns_questions_and_answers_as_text() -> None:
    fields = {"premise": "p", "q": "why?", "c1": "x", "c2": 2, "right": " x"}
    columns = {"context": "premise", "question": "q", "choices": "c1,c2", "answer": "right"}
    assert one("multiple_choice", fields, columns=columns) == ChoiceRow("0", "p why?", ("x", "2"), 0)
    with pytest.raises(DataError, match="answer is the text of 0 options"):
        parse("multiple_choice", {**fields, "right": "y"}, columns=columns)


def test_dotted_columns_reach_into_nested_records() -> None:
    fields = {
        "question": {"stem": "s", "choices": [{"label": "A", "text": "a"}, {"label": "B", "text": "b"}]},
        "key": "B",
    }
    columns = {"question": "question.stem", "choices": "question.choices.text", "label": "key"}
    assert one("multiple_choice", fields, columns=columns, labels=("A", "B")) == ChoiceRow(
        "0", "s", ("a", "b"), 1
    )
    with pytest.raises(DataError, match=r"no column 'question\.choices\.words'"):
        parse(
            "multiple_choice",
            fields,
            columns={**columns, "choices": "question.choices.words"},
            labels=("A", "B"),
        )


def test_choices_of_an_object_or_of_different_number() -> None:
    assert one("multiple_choice", {"context": "c", "choices": {"a": "x", "b": "y"}, "label": 0}).choices == (
        "x",
        "y",
    )
    assert one("multiple_choice", {"context": "c", "choices": ["x", "y", None], "label": 0}).choices == (
        "x",
        "y",
    )
    for choices in (["x"], [None, "y", "z"]):
        rows, tally = parse("multiple_choice", {"context": "c", "choices": choices, "label": 0})
        assert (rows, sum(tally.dropped.values())) == ([], 1)
    with pytest.raises(DataError, match="choices should be a list of texts"):
        parse("multiple_choice", {"context": "c", "choices": "x y", "label": 0})


def test_multi_select() -> None:
    row = one("multi_select", {**CHOICES, "label": ["c", "a"]}, labels=("a", "b", "c"))
    assert row.label == (0, 2)
    with pytest.raises(DataError, match="label should be a list of positions"):
        parse("multi_select", {**CHOICES, "label": "a"}, labels=("a", "b", "c"))


IOB = ("O", "B-A", "I-A", "B-B", "I-B")


def test_tagging() -> None:
    row = one("tagging", {"tokens": ["x", "y"], "tags": ["B-A", "O"]}, labels=IOB)
    assert row == TaggingRow("0", ("x", "y"), ("B-A", "O"))
    assert one("tagging", {"tokens": ["x"]}, columns={"tags": ""}, labels=IOB).tags is None
    with pytest.raises(DataError, match="line 1: 2 tokens but 1 tags"):
        parse("tagging", {"tokens": ["x", "y"], "tags": ["O"]}, labels=IOB)
    with pytest.raises(DataError, match="tokens should be a list but is a str"):
        parse("tagging", {"tokens": "x", "tags": ["O"]}, labels=IOB)
    with pytest.raises(DataError, match="tokens should be a list of texts"):
        parse("tagging", {"tokens": ["x", None], "tags": ["O", "O"]}, labels=IOB)
    rows, tally = parse("tagging", {"tokens": [], "tags": []}, labels=IOB)
    assert (rows, tally.dropped) == ([], {"no tokens": 1})


def test_orphan_inside_tags_open_a_span_and_are_counted() -> None:
    tags = ["I-A", "I-A", "I-B", "O", "I-B", "B-A", "I-A"]
    rows, tally = parse("tagging", {"tokens": list("abcdefg"), "tags": tags}, labels=IOB)
    assert rows[0] == TaggingRow("0", tuple("abcdefg"), ("B-A", "I-A", "B-B", "O", "B-B", "B-A", "I-A"))
    assert tally.repaired == {"I- tag without a B- before it": 3}


def test_tags_that_are_no_spans_stay_as_they_are() -> None:
    row = one("tagging", {"tokens": ["x"], "tags": ["I-X"]}, labels=("I-X",))
    assert row.tags == ("I-X",)


def test_label_maps_of_tags_name_whole_tags_or_span_types() -> None:
    fields = {"tokens": list("abcd"), "tags": ["B-Drug", "I-Drug", "B-Misc", "X"]}
    row = one("tagging", fields, labels=IOB, label_map={"Drug": "A", "Misc": "O", "X": "B-B"})
    assert row.tags == ("B-A", "I-A", "O", "B-B")
    rows, tally = parse("tagging", fields, labels=IOB, label_map={"Drug": None})
    assert (rows, tally.dropped) == ([], {"label mapped to null": 1})


PLACED = {
    "tokens": ["ab", "cd"],
    "tags": ["B-A", "O"],
    "starts": [3, 6],
    "document": "d",
    "spans": [[3, 5, "A"], (3, 8, "B")],
    "group": "d",
}


def test_sentences_know_their_place_in_their_document() -> None:
    expected = TaggingRow("0", ("ab", "cd"), ("B-A", "O"), "d", "d", (3, 6), ((3, 5, "A"), (3, 8, "B")))
    assert one("tagging", PLACED, labels=IOB) == expected


def test_without_labels_there_are_no_spans() -> None:
    expected = TaggingRow("0", ("ab", "cd"), None, "d", "d", (3, 6))
    assert one("tagging", PLACED, columns={"tags": ""}, labels=IOB) == expected
    assert one("tagging", {**PLACED, "tags": None}, labels=IOB) == expected


def test_columns_that_happen_to_have_these_names_are_left_alone() -> None:
    fields = {"tokens": ["x"], "tags": ["O"], "spans": ["PER: x"], "document": {"a": 1}}
    assert one("tagging", fields, labels=IOB) == TaggingRow("0", ("x",), ("O",))


@pytest.mark.parametrize(
    ("mapping", "spans"),
    [
        ({"Drug": "A", "Misc": "B"}, ((3, 5, "A"), (3, 8, "B"))),
        ({"Drug": "A", "Misc": "O"}, ((3, 5, "A"),)),
        ({"Drug": "A", "Misc": None}, ((3, 5, "A"),)),
        ({"Drug": "A", "B-Misc": "B-A"}, ((3, 5, "A"), (3, 8, "A"))),
        ({"Drug": "A", "B-Misc": None, "Misc": "B"}, ((3, 5, "A"),)),
    ],
)
def test_types_of_spans_are_mapped_as_tags_are(mapping: Any, spans: Any) -> None:
    fields = {**PLACED, "tags": ["B-Drug", "O"], "spans": [(3, 5, "Drug"), (3, 8, "Misc")]}
    assert one("tagging", fields, labels=IOB, label_map=mapping).spans == spans


def test_an_unknown_type_of_a_span_is_reported() -> None:
    with pytest.raises(DataError, match="'B-Misc' x1"):
        parse("tagging", {**PLACED, "spans": [(3, 8, "Misc")]}, labels=IOB)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"starts": [3]}, "starts should be one whole number a token"),
        ({"starts": [3, "6"]}, "starts should be one whole number a token"),
        ({"starts": [3, True]}, "starts should be one whole number a token"),
        ({"spans": 3}, "spans should be a list of start, end and type"),
        ({"spans": [[3, 5]]}, "spans should be a list of start, end and type"),
        ({"spans": [{"start": 3}]}, "spans should be a list of start, end and type"),
    ],
)
def test_places_of_another_form(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse("tagging", {**PLACED, **changed}, labels=IOB)


def span(answers: Any, context: str = "one two one", **more: Any) -> tuple[list[Row], Tally]:
    return parse("span_qa", {"context": context, "question": "q", "answers": answers, **more})


def test_both_forms_of_answers() -> None:
    for answers in ({"text": ["two", "two"], "answer_start": [4, 4]}, [{"text": "two", "answer_start": 4}]):
        (row,), tally = span(answers)
        assert isinstance(row, SpanRow)
        assert (row.answers, row.answerable) == (((4, "two"),), True)
        assert not tally.repaired


def test_the_group_of_a_question_is_its_passage() -> None:
    rows, _ = parse("span_qa", *({"context": c, "question": "q", "answers": []} for c in "aab"))
    first, second, third = rows
    assert isinstance(first, SpanRow) and isinstance(second, SpanRow) and isinstance(third, SpanRow)
    assert first.group == second.group != third.group


@pytest.mark.parametrize("more", [{"answers": []}, {"answers": {"text": [], "answer_start": []}}])
def test_no_answer_is_an_unanswerable_question(more: dict[str, Any]) -> None:
    row = one("span_qa", {"context": "c", "question": "q", **more})
    assert (row.answers, row.answerable) == ((), False)


def test_impossible_questions_keep_no_plausible_answers() -> None:
    (row,), _ = span([{"text": "two", "answer_start": 4}], is_impossible=True)
    assert isinstance(row, SpanRow)
    assert (row.answers, row.answerable) == ((), False)


def test_stripped_answers_are_unlabelled_not_empty() -> None:
    (row,), tally = span([{"text": "", "answer_start": 0}])
    assert isinstance(row, SpanRow)
    assert row.answers is None
    assert tally.repaired == {"answers stripped: read as unlabelled": 1}


def test_a_wrong_start_is_corrected_when_the_answer_is_unique() -> None:
    (row,), tally = span([{"text": "two", "answer_start": 9}])
    assert isinstance(row, SpanRow)
    assert row.answers == ((4, "two"),)
    assert tally.repaired == {"answer start corrected": 1}


@pytest.mark.parametrize("text", ["one", "three"])
def test_an_answer_that_cannot_be_placed_drops_the_question(text: str) -> None:
    rows, tally = span([{"text": text, "answer_start": 5}])
    assert rows == []
    assert tally.dropped == {"answer not found in its context": 1}


def test_a_negative_start_does_not_count_from_the_end() -> None:
    rows, tally = span([{"text": "one", "answer_start": -3}])
    assert (rows, tally.dropped) == ([], {"answer not found in its context": 1})


def test_a_question_lives_on_with_its_other_answers() -> None:
    (row,), tally = span([{"text": "one", "answer_start": -1}, {"text": "one", "answer_start": 8}])
    assert isinstance(row, SpanRow)
    assert row.answers == ((8, "one"),)
    assert tally.repaired == {"answer left out: not at its start and not unique": 1}


@pytest.mark.parametrize(
    "answers",
    [
        "two",
        ["two"],
        {"text": ["two"]},
        {"text": ["two"], "answer_start": []},
        {"text": [1], "answer_start": [2]},
    ],
)
def test_answers_of_another_form(answers: Any) -> None:
    with pytest.raises(DataError, match="answers should hold"):
        span(answers)


def test_retrieval() -> None:
    row = one("retrieval", {"en": "a", "de": "b"}, columns={"source": "en", "target": "de"})
    assert row == PairRow("0", "a", "b")


ALONE = {"source": "a", "target": None, "source_id": "s1", "target_id": None}


def test_sentences_with_ids_may_have_no_partner() -> None:
    assert one("retrieval", {**ALONE, "target": "b", "target_id": "t1"}) == PairRow("0", "a", "b", "s1", "t1")
    assert one("retrieval", ALONE) == PairRow("0", "a", None, "s1")
    other = {"source": "", "target": "b", "source_id": "", "target_id": "t1"}
    assert one("retrieval", other) == PairRow("0", None, "b", target_id="t1")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"source_id": None}, "no target"),
        ({"target_id": "t1"}, "no target"),
        ({"source": " "}, "no source"),
        ({"source": None, "source_id": None, "target_id": "t1"}, "no target"),
    ],
)
def test_a_lost_text_makes_no_sentence_without_partner(changed: dict[str, Any], reason: str) -> None:
    rows, tally = parse("retrieval", {**ALONE, **changed})
    assert (rows, tally.dropped) == ([], {reason: 1})


GROUPED: dict[str, dict[str, Any]] = {
    "classification": {"text": "a", "label": "x"},
    "multilabel": {"text": "a", "label": ["x"]},
    "regression": {"text": "a", "label": 1},
    "multiple_choice": {"context": "a", "choices": ["b", "c"], "label": "x"},
    "multi_select": {"context": "a", "choices": ["b", "c"], "label": ["x"]},
    "tagging": {"tokens": ["a"], "tags": ["x"]},
    "span_qa": {"context": "a", "question": "q", "answers": []},
    "retrieval": {"source": "a", "target": "b"},
    "mlm": {"text": "a"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_group_that_is_declared_and_no_other(kind: str) -> None:
    declared = one(kind, {**GROUPED[kind], "topic": "t"}, columns={"group": "topic"}, labels=("x",))
    given = one(kind, {**GROUPED[kind], "group": 7}, labels=("x",))
    alone = one(kind, GROUPED[kind], labels=("x",))
    if kind == "span_qa":
        assert declared.group == given.group == alone.group != ""
    else:
        assert (declared.group, given.group, alone.group) == ("t", "7", "")


def test_a_group_of_several_columns_has_levels() -> None:
    row = one(
        "classification",
        {"text": "a", "label": "x", "topic": "t", "template": 3},
        columns={"group": "topic, template"},
        labels=("x",),
    )
    assert row.group == "t/3"


def test_groups() -> None:
    assert group_of(PairRow("0", None, "b")) == "b"
    assert group_of(TextRow("0", "a", "b")) == "a"
    assert group_of(TaggingRow("0", ("a", "b"))) == "a b"
    assert group_of(PairRow("0", "a", "b")) == "a"
    assert group_of(ChoiceRow("0", "c", ("a", "b"))) == "c"
    task = TaskSpec("toy", "mlm", "test", {}, ())
    parser = Parser(task, Format("jsonl", {"group": "topic"}), Tally())
    records = [Record("f", "line 1", {"text": "a", "topic": "t"})]
    assert [group for _, group in parser.rows(records)] == ["t"]
