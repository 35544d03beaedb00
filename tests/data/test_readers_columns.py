"""Readers of column files, SQuAD, parallel files and standoff annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.data import readers
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import Format


def files(folder: Path, **contents: str) -> tuple[Path, ...]:
    paths = []
    for name, content in contents.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode())
        paths.append(path)
    return tuple(paths)


def read(paths: tuple[Path, ...], type: str, **options: Any) -> tuple[list[Record], Tally]:
    tally = Tally()
    return list(readers.read(paths, Format(type, options=options), tally)), tally


def fields(paths: tuple[Path, ...], type: str, **options: Any) -> list[dict[str, Any]]:
    return [record.fields for record in read(paths, type, **options)[0]]


def test_conll_sentences_end_at_blank_lines_even_with_a_tab_in_them(tmp_path: Path) -> None:
    paths = files(tmp_path, a__tsv="one\tO\r\n\t\ntwo\tB-X\nthree\tI-X\n\n\n\nfour\tO")
    records, _ = read(paths, "conll")
    assert [record.fields for record in records] == [
        {"tokens": ["one"], "tags": ["O"]},
        {"tokens": ["two", "three"], "tags": ["B-X", "I-X"]},
        {"tokens": ["four"], "tags": ["O"]},
    ]
    assert [record.place for record in records] == ["line 1", "line 3", "line 8"]


def test_conll_columns_separator_and_comments(tmp_path: Path) -> None:
    paths = files(tmp_path, a__txt="# sent_id = s7\n# text = # x\n1\t#\tO\t-\n2\tx\tB-A\t-\n")
    assert fields(paths, "conll", token=1, tag=2, comment="# ") == [
        {"tokens": ["#", "x"], "tags": ["O", "B-A"], "id": "s7"}
    ]
    # Inside a sentence it is a token: tweets are full of them.
    paths = files(tmp_path, c__txt="a\tO\n#\tO\n")
    assert fields(paths, "conll", comment="#")[0]["tokens"] == ["a", "#"]
    # The token is a no-break space, which is no separator.
    paths = files(tmp_path, b__txt="\xa0x O\n")
    assert fields(paths, "conll", separator=" ") == [{"tokens": ["\xa0x"], "tags": ["O"]}]


def test_conll_without_tags(tmp_path: Path) -> None:
    assert fields(files(tmp_path, a__txt="one\ntwo\n"), "conll", tag=None) == [{"tokens": ["one", "two"]}]


def test_conll_bare_types_become_iob2(tmp_path: Path) -> None:
    paths = files(tmp_path, a__txt="a A\nb A\nc B\nd O\ne B\n")
    (record,) = fields(paths, "conll", separator=" ", scheme="bare")
    assert record["tags"] == ["B-A", "I-A", "B-B", "O", "B-B"]


def test_conll_a_line_without_the_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: no column 2 for the tag: the line has 2"):
        read(files(tmp_path, a__txt="\na\tO\n"), "conll", tag=2)


CONLLU = """\
# sent_id = s1
1-2\tim\t_\t_\t_\t_\t_\t_\t_\t_
1\tin\tin\tADP\tAPPR\t_\t_\t_\t_\t_
2\tdem\tder\tDET\tART\t_\t_\t_\t_\t_
2.1\tleer\t_\tVERB\t_\t_\t_\t_\t_\t_
3\t#\t#\tSYM\t$\t_\t_\t_\t_\t_

"""


def test_conllu_skips_ranges_and_empty_nodes(tmp_path: Path) -> None:
    paths = files(tmp_path, a__conllu=CONLLU)
    assert fields(paths, "conllu") == [
        {"tokens": ["in", "dem", "#"], "tags": ["ADP", "DET", "SYM"], "id": "s1"}
    ]
    assert fields(paths, "conllu", tag="xpos")[0]["tags"] == ["APPR", "ART", "$"]


def test_conllu_refuses_other_column_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: a line of CoNLL-U has 10 columns, this one 2; .*`conll`"):
        read(files(tmp_path, a__conllu="a\tO\n"), "conllu")


def squad(**question: Any) -> str:
    paragraph = {"context": "A b.", "qas": [{"question": "Q?", **question}]}
    return json.dumps({"data": [{"paragraphs": [paragraph]}]})


def test_squad_with_and_without_title_id_and_answers(tmp_path: Path) -> None:
    answers = [{"text": "b", "answer_start": 2}]
    paths = files(tmp_path, a__json=squad(id="q1", answers=answers), b__json=squad(is_impossible=True))
    first, second = fields(paths, "squad")
    assert first == {
        "id": "q1",
        "title": "",
        "context": "A b.",
        "question": "Q?",
        "answers": answers,
        "is_impossible": False,
    }
    assert (second["id"], second["answers"], second["is_impossible"]) == ("0", [], True)


BARE_QUESTION = '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "1"}]}]}]}'


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"data": [{}]}', '{"data": [{"paragraphs": [3]}]}', BARE_QUESTION]
)
def test_broken_squad(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"is not (SQuAD )?JSON"):
        read(files(tmp_path, a__json=content), "squad")


def token_files(folder: Path, span: str) -> tuple[Path, ...]:
    return files(
        folder, v__context="in the big tree\n", v__question="Where ?\n", v__answer="big tree\n", v__span=span
    )


def test_token_spans_become_characters(tmp_path: Path) -> None:
    ((record,), tally) = read(token_files(tmp_path, "2 3\n"), "squad_tokens")
    assert record.fields["answers"] == [{"text": "big tree", "answer_start": 7}]
    assert not tally.dropped


@pytest.mark.parametrize("span", ["3 2", "2 4", "x 3", "2", ""])
def test_invalid_token_spans_are_dropped_and_counted(tmp_path: Path, span: str) -> None:
    records, tally = read(token_files(tmp_path, f"{span}\n"), "squad_tokens")
    assert records == []
    assert tally.dropped == {"span is not two tokens of the context": 1}


def test_token_files_belong_together(tmp_path: Path) -> None:
    paths = token_files(tmp_path, "0 0\n0 0\n")
    with pytest.raises(
        DataError, match="differ in their number of lines: context 1, question 1, answer 1, span 2"
    ):
        read(paths, "squad_tokens")
    with pytest.raises(DataError, match=r"needs one file `\*\.span` in the source, not 0"):
        read(paths[:3], "squad_tokens")
    with pytest.raises(DataError, match=r"needs one file `\*\.context` in the source, not 2"):
        read((*paths, *files(tmp_path, w__context="a\n")), "squad_tokens")


def test_parallel_lines(tmp_path: Path) -> None:
    paths = files(tmp_path, text="a\x1cb\n\nc\n", labels="0\r\n1\r\n2\r\n")
    assert fields(paths, "parallel") == [
        {"text": "a\x1cb", "label": "0"},
        {"text": "", "label": "1"},
        {"text": "c", "label": "2"},
    ]
    assert fields(paths, "parallel", names=["source", "target"])[2] == {"source": "c", "target": "2"}


def test_parallel_files_of_different_length_or_number(tmp_path: Path) -> None:
    paths = files(tmp_path, text="a\nb\n", labels="0\n")
    with pytest.raises(DataError, match="differ in their number of lines: text 2, labels 1"):
        read(paths, "parallel")
    with pytest.raises(DataError, match="`names` has 2 columns for 1 files"):
        read(paths[:1], "parallel")


def test_pairs_of_ids(tmp_path: Path) -> None:
    paths = files(tmp_path, gold="z1\te2\nz9\te1\n", zh="z1\t一\n", en="e1\tone\ne2\ttwo\n")
    records, tally = read(paths, "id_pairs")
    pair = {"id": "z1 e2", "first": "一", "second": "two", "first_id": "z1", "second_id": "e2"}
    assert [record.fields for record in records] == [pair]
    assert tally.dropped == {"pair of an id without a sentence": 1}
    with pytest.raises(DataError, match="needs three files"):
        read(paths[:2], "id_pairs")
    with pytest.raises(DataError, match=r"gold, line 1: should be an id, a tab"):
        read(files(tmp_path, gold="z1 e2\n", zh="z1\ta\n", en="e1\tb\n"), "id_pairs")


def test_sentences_without_partner_follow_where_they_are_wanted(tmp_path: Path) -> None:
    gold = "z1\te2\nz1\te3\nz9\te1\n"
    paths = files(tmp_path, gold=gold, zh="z1\t一\nz2\t二\n", en="e1\tone\ne2\ttwo\ne3\tthree\n")
    records, tally = read(paths, "id_pairs", unpaired="keep")
    assert [record.fields["id"] for record in records] == ["z1 e2", "z1 e3", "first z2", "second e1"]
    third, fourth = records[2:]
    assert third.fields | {"first_id": "z2", "first": "二", "second_id": None, "second": None} == third.fields
    assert fourth.fields | {"second_id": "e1", "second": "one", "first": None} == fourth.fields
    assert (third.file, third.place) == (str(paths[1]), "line 2")
    # A pair that names an unknown sentence is none: its other sentence stands alone.
    assert tally.dropped == {"pair of an id without a sentence": 1}


TEXT = "El Sr. Ruiz tiene cáncer de\u00a0mama. Metástasis-ósea, no.\n\nअंत हिन्दी\n"
SPANS = {"TUMOR": ("cáncer de\u00a0mama", "Metástasis"), "SITIO": ("ósea",)}


def offsets() -> list[tuple[str, int, int]]:
    return [
        (kind, TEXT.index(text), TEXT.index(text) + len(text))
        for kind, texts in SPANS.items()
        for text in texts
    ]


def expected_sentences() -> list[tuple[list[str], list[str]]]:
    return [
        (
            ["El", "Sr", ".", "Ruiz", "tiene", "cáncer", "de", "mama", "."],
            ["O", "O", "O", "O", "O", "B-TUMOR", "I-TUMOR", "I-TUMOR", "O"],
        ),
        (["Metástasis", "-", "ósea", ",", "no", "."], ["B-TUMOR", "O", "B-SITIO", "O", "O", "O"]),
        (["अंत", "हिन्दी"], ["O", "O"]),
    ]


def joined(records: list[Record]) -> list[tuple[list[str], list[str]]]:
    """Return the sentences, "El Sr." joined to its rest: to the splitter an abbreviation is an end."""
    rows = [(record.fields["tokens"], record.fields["tags"]) for record in records]
    return [(rows[0][0] + rows[1][0], rows[0][1] + rows[1][1]), *rows[2:]]


def test_brat(tmp_path: Path) -> None:
    lines = [f"T{n}\t{kind} {start} {end}\t..." for n, (kind, start, end) in enumerate(offsets())]
    paths = files(
        tmp_path, d1__txt=TEXT, d1__ann="\n".join([*lines, "#1\tNote T1\tx", "R1\tpart Arg1:T1 Arg2:T2", ""])
    )
    records, tally = read(paths, "brat")
    assert joined(records) == expected_sentences()
    assert [record.fields["id"] for record in records] == ["d1-1", "d1-2", "d1-3", "d1-4"]
    assert {record.fields["group"] for record in records} == {"d1"}
    assert not tally.repaired
    for record in records:
        for token, start in zip(record.fields["tokens"], record.fields["starts"], strict=True):
            assert TEXT.startswith(token, start)


def test_offset_tables_give_the_same(tmp_path: Path) -> None:
    rows = [f"{kind}\td1\t{start}\t{end}" for kind, start, end in offsets()]
    paths = files(tmp_path, d1__txt=TEXT, spans__tsv="\n".join(["mark\tfile\toff0\toff1", *rows, ""]))
    options = {"label": "mark", "document": "file", "start": "off0", "end": "off1"}
    assert joined(read(paths, "offsets", **options)[0]) == expected_sentences()


def annotated(folder: Path, text: str, *annotations: str, **options: Any) -> tuple[list[Record], Tally]:
    content = "".join(f"T{n}\t{annotation}\tx\n" for n, annotation in enumerate(annotations))
    return read(files(folder, d__txt=text, d__ann=content), "brat", **options)


def brat(folder: Path, text: str, *annotations: str) -> tuple[list[tuple[list[str], list[str]]], Tally]:
    records, tally = annotated(folder, text, *annotations)
    return [(record.fields["tokens"], record.fields["tags"]) for record in records], tally


def test_neighbouring_spans_stay_two(tmp_path: Path) -> None:
    rows, _ = brat(tmp_path, "ab cd", "A 0 2", "A 3 5")
    assert rows == [(["ab", "cd"], ["B-A", "B-A"])]


def test_what_flat_tags_cannot_hold_is_counted(tmp_path: Path) -> None:
    rows, tally = brat(tmp_path, "ab cd ef", "A 0 5", "B 0 2", "A 6 8;0 2", "A 7 99", "A 0 5")
    assert rows == [(["ab", "cd", "ef"], ["B-A", "I-A", "O"])]
    assert tally.repaired == {
        "annotation left out: overlaps a longer one": 1,
        "annotation of several pieces left out": 1,
        "annotation outside its text left out": 1,
    }


def test_spans_keep_what_tags_cannot_hold(tmp_path: Path) -> None:
    text = "Ab cd ef. Gh ij."
    records, _ = annotated(tmp_path, text, "A 0 5", "B 0 2", "A 3 8", "B 10 12", "C 10 12")
    assert [record.fields["spans"] for record in records] == [
        [(0, 2, "B"), (0, 5, "A"), (3, 8, "A")],
        [(10, 12, "B"), (10, 12, "C")],
    ]
    assert [record.fields["tags"] for record in records] == [["B-A", "I-A", "O", "O"], ["B-B", "O", "O"]]
    assert {record.fields["document"] for record in records} == {"d"}


def test_a_span_belongs_to_the_sentence_that_it_begins_in(tmp_path: Path) -> None:
    # The longer annotation wins the tags, so the sentence may end inside the other one.
    records, _ = annotated(tmp_path, "Abcdefghi j. Kl mn", "A 0 11", "B 10 15")
    assert [record.fields["spans"] for record in records] == [[(0, 11, "A"), (10, 15, "B")], []]


def test_an_annotation_that_brat_cut_at_a_line_end_is_one_span(tmp_path: Path) -> None:
    records, tally = annotated(tmp_path, "ab cd \n ef", "A 3 5;8 10")
    # One entity, though its words stand in two sentences, which tags cannot say.
    assert [record.fields["tags"] for record in records] == [["O", "B-A"], ["B-A"]]
    assert records[0].fields["spans"] == [(3, 10, "A")]
    assert tally.repaired == {"annotation that does not begin and end with tokens of a sentence": 1}


def test_an_annotation_in_pieces_is_no_gold_at_all(tmp_path: Path) -> None:
    records, tally = annotated(tmp_path, "ab cd ef", "A 0 2;6 8")
    assert (records[0].fields["tags"], records[0].fields["spans"]) == (["O", "O", "O"], [])
    assert tally.repaired == {"annotation of several pieces left out": 1}


def test_white_space_at_an_end_of_an_annotation_is_cut_off(tmp_path: Path) -> None:
    records, tally = annotated(tmp_path, "ab cd ef", "A 2 6")
    assert records[0].fields["spans"] == [(3, 5, "A")]
    assert tally.repaired == {"white space at an end of an annotation cut off": 1}


def test_texts_are_read_without_annotations_when_that_is_said(tmp_path: Path) -> None:
    (text,) = files(tmp_path, d__txt=TEXT)
    for reader in ("brat", "offsets"):
        records, _ = read((text,), reader, annotations="none")
        assert [record.fields["tags"] for record in records] == [None] * 4
        assert all(record.fields["spans"] == [] for record in records)
        assert records[3].fields["starts"] == [TEXT.index("अंत"), TEXT.index("हिन्दी")]
    with pytest.raises(DataError, match=r"no table of annotations in the source; .*`annotations: none`"):
        read((text,), "offsets")
    records, _ = annotated(tmp_path, "ab cd", "A 0 2", annotations="none")
    assert records[0].fields["tags"] is None


def test_files_of_documents_belong_together(tmp_path: Path) -> None:
    (text,) = files(tmp_path, d__txt="x")
    (tmp_path / "other").mkdir()
    (again,) = files(tmp_path / "other", d__txt="y")
    with pytest.raises(DataError, match=r"other/d\.txt: has the name of .*give documents different names"):
        read((text, again), "brat", annotations="none")
    with pytest.raises(DataError, match=r"e\.ann: has no text; add e\.txt"):
        read((*files(tmp_path, d__txt="x", d__ann="", e__ann=""),), "brat")
    with pytest.raises(DataError, match=r"there is no \.txt file"):
        read(files(tmp_path, d__ann=""), "brat")
    with pytest.raises(DataError, match=r"e\.txt: has no annotation file, like 1 others"):
        read(files(tmp_path, e__txt="x", f__txt="x"), "brat")


def test_long_runs_of_spaces_and_stops_take_no_time(tmp_path: Path) -> None:
    (text,) = files(tmp_path, d__txt="a" + " " * 200_000 + "b" + "." * 200_000 + "c")
    (record,), _ = read((text,), "brat", annotations="none")
    assert len(record.fields["tokens"]) == 200_003


def test_broken_annotations(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d\.ann, line 1: is not an annotation of brat"):
        brat(tmp_path, "ab", "A zero one")
    with pytest.raises(DataError, match=r"has no annotation file; add e\.ann"):
        read(files(tmp_path, e__txt="x"), "brat")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("document\tstart\tend\n", "no column 'label'"),
        ("document\tstart\tend\tlabel\nd\tx\t2\tA\n", "line 2: start and end should be whole numbers"),
        ("document\tstart\tend\tlabel\nz\t0\t2\tA\n", "1 documents of the table have no text file"),
    ],
)
def test_broken_offset_tables(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(files(tmp_path, d__txt="ab", spans__tsv=table), "offsets")
