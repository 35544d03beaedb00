"""Whatever lies in a file: every reader gives records, or a `DataError` that names the file and the place."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapterstilts.data import readers
from adapterstilts.data.parse import Parser
from adapterstilts.data.readers import base, quoting
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.errors import DataError
from adapterstilts.tasks.spec import KINDS, Format, TaskSpec


def parquet(rows: int) -> bytes:
    from pyarrow import Table
    from pyarrow import parquet as arrow

    target = BytesIO()
    arrow.write_table(Table.from_pydict({"text": ["a"] * rows}), target)
    return target.getvalue()


QUESTION = {"question": "q", "answers": [{"text": "c", "answer_start": 0}]}
CONLLU = b"1\ta\ta\tNOUN\tN\t_\t_\t_\t_\t_\n"

# Reader -> the files of a good source, in their order.
GOOD: Mapping[str, Mapping[str, bytes]] = {
    "brat": {"d.txt": b"one two", "d.ann": b"T1\tA 0 3\tone\n"},
    "conll": {"a.txt": b"one\tO\ntwo\tO\n"},
    "conllu": {"a.conllu": CONLLU},
    "csv": {"a.csv": b"text,label\none,x\n"},
    "dialogues": {"a.yml": b"conversations: [[a, b]]"},
    "emoji_names": {"emoji.json": b'{"x": {"en": ":a:", "status": 2, "alias": [":b:"]}}'},
    "id_pairs": {"gold": b"1\t2\n", "one": b"1\ta\n", "two": b"2\tb\n"},
    "json": {"a.json": b'[{"a": 1}]'},
    "jsonl": {"a.jsonl": b'{"a": 1}\n'},
    "offsets": {"d.txt": b"one two", "spans.tsv": b"document\tstart\tend\tlabel\nd\t0\t3\tA\n"},
    "parallel": {"text": b"a\n", "labels": b"0\n"},
    "parquet": {"a.parquet": parquet(1)},
    "squad": {
        "a.json": json.dumps({"data": [{"paragraphs": [{"context": "c", "qas": [QUESTION]}]}]}).encode()
    },
    "squad_tokens": {"a.context": b"c d\n", "a.question": b"q\n", "a.answer": b"c\n", "a.span": b"0 0\n"},
    "tsv": {"a.tsv": b"text\tlabel\none\tx\n"},
}
EACH_FILE = [(reader, name) for reader, files in GOOD.items() for name in files]
# An annotation file without annotations says that there are none.
MAY_BE_EMPTY = {("brat", "d.ann")}
BLANK_LINES_ARE_CELLS = {"parallel", "squad_tokens"}
EMPTY = [
    (reader, name, content)
    for reader, name in EACH_FILE
    for content in (b"", b"\n\n")
    if (reader, name) not in MAY_BE_EMPTY and (content == b"" or reader not in BLANK_LINES_ARE_CELLS)
]
BY_LINE = [
    (reader, name)
    for reader, name in EACH_FILE
    if reader not in ("dialogues", "emoji_names", "json", "parquet", "squad") and name != "d.txt"
]


def read(folder: Path, reader: str, changed: Mapping[str, bytes], **options: Any) -> list[Record]:
    paths = []
    for name, content in {**GOOD[reader], **changed}.items():
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    return list(readers.read(paths, Format(reader, options=options), Tally()))


def test_every_reader_is_tried() -> None:
    assert set(GOOD) == set(readers.names())


@pytest.mark.parametrize("reader", GOOD)
def test_the_good_files_are_good(reader: str, tmp_path: Path) -> None:
    assert len(read(tmp_path, reader, {})) == 1


@pytest.mark.parametrize(("reader", "name", "content"), EMPTY)
def test_an_empty_file_is_named(reader: str, name: str, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, reader, {name: content})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("reader", "name", "content", "message"),
    [
        ("csv", "a.csv", b"text,label\n", "holds no rows; it may be cut off: fetch it again"),
        ("tsv", "a.tsv", b"text\tlabel\n", "holds no rows"),
        ("conllu", "a.conllu", b"# sent_id = 1\n", "holds no sentences"),
        ("json", "a.json", b"[]", "holds no records"),
        ("squad", "a.json", b'{"data": []}', "holds no questions"),
        ("dialogues", "a.yml", b"conversations: []", "holds no conversations"),
        ("emoji_names", "emoji.json", b"{}", "should be an object with entries"),
        ("parquet", "a.parquet", parquet(0), "holds no records"),
        ("offsets", "spans.tsv", b"", "is empty; write at least the header"),
    ],
)
def test_a_file_with_a_header_alone_is_empty(
    reader: str, name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=f"{name}: {message}"):
        read(tmp_path, reader, {name: content})


def test_one_empty_file_among_others_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.tsv").write_text("text\n", encoding="utf-8")
    (tmp_path / "a.tsv").write_text("text\nx\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.tsv: holds no rows"):
        list(readers.read([tmp_path / "a.tsv", tmp_path / "b.tsv"], Format("tsv"), Tally()))


@pytest.mark.parametrize(("reader", "name"), BY_LINE)
def test_a_line_without_end_is_refused(
    reader: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LONGEST_LINE", 50)
    long = GOOD[reader][name] + b"x" * 60
    with pytest.raises(DataError, match=rf"{name}, line \d: has more than 50 characters; .*lost its line"):
        read(tmp_path, reader, {name: long})


def test_the_bound_counts_one_line_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LONGEST_LINE", 50)
    assert len(read(tmp_path, "tsv", {"a.tsv": b"text\n" + b"y" * 49 + b"\n" + b"x\n" * 50})) == 51
    assert len(read(tmp_path, "json", {"a.json": json.dumps([{"a": "x" * 100}]).encode()})) == 1


def test_a_quoted_row_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quoting, "LONGEST_LINE", 50)
    open_ = b'text,label\none,x\n"two\n' + b"three,x\n" * 20
    with pytest.raises(
        DataError, match=r"a\.csv, line 3: is not quoted as in CSV: a quoted row has more than 50"
    ):
        read(tmp_path, "csv", {"a.csv": open_})
    # Read plainly, the mark is text and the rows are told by their widths.
    with pytest.raises(DataError, match="line 3: 1 rows do not have 2 cells"):
        read(tmp_path, "csv", {"a.csv": open_}, quoting="none")


@pytest.mark.parametrize(("reader", "name"), [one for one in EACH_FILE if one[0] != "parquet"])
def test_nul_characters_are_refused_with_their_line(reader: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{name}, line \d+: holds a NUL character; .*`encoding: utf-16`"):
        read(tmp_path, reader, {name: GOOD[reader][name] + b"\n\0\n"})


@pytest.mark.parametrize(("reader", "name"), EACH_FILE)
def test_a_packed_file_is_refused(reader: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, reader, {name: gzip.compress(GOOD[reader][name])})
    assert name in str(caught.value)
    assert caught.value.faults[0].remedy


def test_utf_16_is_read_when_it_is_said(tmp_path: Path) -> None:
    content = "text\tlabel\nnaïve\tx\n".encode("utf-16")
    assert read(tmp_path, "tsv", {"a.tsv": content}, encoding="utf-16")[0].fields["text"] == "naïve"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "\\ud83d"}', "line 1: holds half of a surrogate pair; it was cut inside a character"),
        (b"[" * 100_000, "line 1: is nested too deeply for data"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "line 1: holds a number of too many digits"),
    ],
    ids=["surrogate", "depth", "digits"],
)
def test_json_that_python_would_trip_over(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "jsonl", {"a.jsonl": content})
    with pytest.raises(DataError, match=message.removeprefix("line 1: ")):
        read(tmp_path, "json", {"a.json": content})


def test_whole_surrogate_pairs_are_characters(tmp_path: Path) -> None:
    assert read(tmp_path, "jsonl", {"a.jsonl": b'{"a": "\\uD83D\\ude00"}'})[0].fields == {"a": "😀"}


@pytest.mark.parametrize(
    ("reader", "name", "content", "message"),
    [
        (
            "conll",
            "a.txt",
            b"a\tO\nb\tO\tX\n",
            "line 2: has 3 columns, the lines before it 2; check `separator`",
        ),
        (
            "conll",
            "a.txt",
            b"a\nb\n",
            "line 1: token and tag are the same column of 1; .*null for a file without",
        ),
        ("id_pairs", "one", b"1\ta\n1\tb\n", "one, line 2: names an id again that line 1 has"),
        ("offsets", "spans.tsv", b"document\tstart\tend\tlabel\nd\t0\n", "line 2: has 2 cells, the header 4"),
        ("json", "a.json", b'[{"a": 1}, 3]', "record 2: should be an object but is a int"),
        ("squad", "a.json", b'{"data": [{"paragraphs": [{"qas": [{}]}]}]}', "question 1: is not SQuAD JSON"),
        (
            "emoji_names",
            "emoji.json",
            b'{"x": {"en": 3, "status": 2}}',
            "record 1: should be an object with `en`",
        ),
        ("dialogues", "a.yml", b"conversations: [[a, 2020-13-45]]", "is not YAML of texts: month must be in"),
        ("brat", "d.ann", b"one 0 3\n", r"d\.ann, line 1: is not an annotation of brat"),
        ("brat", "d.ann", b"Tabelle 1\n", r"d\.ann, line 1: is not an annotation of brat"),
    ],
)
def test_wrong_shapes_are_named_with_their_place(
    reader: str, name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, reader, {name: content})


@pytest.mark.parametrize(
    ("reader", "options", "message"),
    [
        ("csv", {"delimiter": ""}, "option 'delimiter': '' is empty"),
        ("conll", {"separator": ""}, "option 'separator': '' is empty"),
        ("csv", {"header": ["a", "a"]}, "should list different names"),
        ("parallel", {"names": ["a", 1]}, "should list different names"),
        ("json", {"records": "*.x"}, "`records`: no 'x' in it"),
        ("json", {"records": "a.*"}, "`records`: no 'a' in it"),
        ("json", {"keep_keys": "a.json"}, "should be a list of keys"),
    ],
)
def test_options_that_cannot_be_meant(
    reader: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, reader, {}, **options)


CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.text(st.sampled_from("\"'\t\n\r,;{}[]:0123 T#*-aé\0\u2028"), max_size=60).map(str.encode),
)


@pytest.mark.parametrize(("reader", "name"), EACH_FILE)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=CONTENTS)
def test_any_bytes_give_records_or_a_data_error(reader: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            read(Path(folder), reader, {name: content})
        except DataError as error:
            assert error.faults[0].where


def json_values() -> st.SearchStrategy[Any]:
    plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
    names = st.sampled_from(
        [
            "data",
            "paragraphs",
            "context",
            "qas",
            "question",
            "answers",
            "text",
            "answer_start",
            "en",
            "status",
        ]
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.one_of(names, st.text(max_size=3)), inner, max_size=3),
        ),
        max_leaves=12,
    )


@pytest.mark.parametrize("reader", ["dialogues", "emoji_names", "json", "jsonl", "squad"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=json_values())
def test_any_json_gives_records_or_a_data_error(reader: str, value: Any) -> None:
    (name,) = GOOD[reader]
    if reader == "dialogues":
        value = {"conversations": value}
    with tempfile.TemporaryDirectory() as folder:
        try:
            read(Path(folder), reader, {name: json.dumps(value).encode()})
        except DataError as error:
            assert error.faults[0].where


FIELDS = (
    *(
        "id",
        "group",
        "text",
        "text_pair",
        "label",
        "context",
        "question",
        "choices",
        "tokens",
        "tags",
        "starts",
    ),
    *("document", "spans", "answers", "is_impossible", "source", "target", "source_id", "target_id"),
)


def records() -> st.SearchStrategy[dict[str, Any]]:
    values = st.one_of(
        st.sampled_from(["a", "x", 0, 1, None, [0, 1], ["a", "x"], [[0, 1, "x"]]]), json_values()
    )
    return st.dictionaries(st.sampled_from(FIELDS), values, max_size=len(FIELDS))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=records())
def test_any_record_gives_a_row_or_is_refused_or_counted(kind: str, fields: dict[str, Any]) -> None:
    task = TaskSpec("toy", kind, "test", {}, (), ("a", "x"))  # type: ignore[arg-type]
    tally = Tally()
    parser = Parser(task, Format("jsonl"), tally)

    def rows() -> Iterator[Any]:
        yield from parser.rows([Record("f", "line 1", fields)])
        parser.check()

    try:
        assert len(list(rows())) + sum(tally.dropped.values()) == 1
    except DataError as error:
        assert error.faults[0].where == "f, line 1"
