"""Splits, from declared source to rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapterstilts.data.draws import few_shot
from adapterstilts.data.load import CHECKED_RECORDS, check_split, load_split
from adapterstilts.data.readers.base import Tally
from adapterstilts.data.readers.choose import bucket
from adapterstilts.data.readers.hub import read_hub
from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import DataError, EnvironmentFault
from adapterstilts.specs import FewShot
from adapterstilts.tasks.spec import FileSource, Format, HubSource, PackageSource, Source, Split, TaskSpec

FORMAT = Format("jsonl")


@pytest.fixture
def roots(tmp_path: Path) -> DataRoots:
    return DataRoots(tmp_path)


def write(roots: DataRoots, *records: dict[str, Any]) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records)
    (roots.recipe / "data.jsonl").write_text(text, encoding="utf-8")


def numbered(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"text": f"text {n}", "label": "x", **more} for n in range(count)]


def task(
    kind: str = "classification", source: Source | None = None, format: Format = FORMAT, **more: Any
) -> TaskSpec:
    source = source or FileSource(("data.jsonl",))
    parts = {
        "train": Split(source, format, (0, 80)),
        "validation": Split(source, format, (80, 100)),
        "test": Split(source, format),
    }
    splits = {"en": parts, "de": {"test": parts["test"]}}
    return TaskSpec("toy", kind, "test", splits, ("accuracy",), **{"labels": ("x",), **more})  # type: ignore[arg-type]


def texts(*args: Any, **more: Any) -> list[str]:
    return [getattr(row, "text", "") for row in load_split(*args, **more).rows]


def test_rows_keep_the_order_of_the_data(roots: DataRoots) -> None:
    write(roots, *numbered(5))
    assert texts(task(), "en", "test", roots) == [f"text {n}" for n in range(5)]


def test_portions_part_the_rows_by_group(roots: DataRoots) -> None:
    write(roots, *numbered(300), *numbered(300))
    train, validation = (texts(task(), "en", split, roots) for split in ("train", "validation"))
    assert sorted([*train, *validation]) == sorted(f"text {n % 300}" for n in range(600))
    assert not set(train) & set(validation)
    assert 400 < len(train) < 540
    assert all(bucket(text) < 80 for text in train)


def test_a_group_column_keeps_rows_together(roots: DataRoots) -> None:
    write(roots, *numbered(50, group="one"), *numbered(50, group="two 2"))
    sizes = [
        len(texts(task(), "en", "train", roots)) if b < 80 else 0 for b in (bucket("one"), bucket("two 2"))
    ]
    assert set(sizes) <= {0, 50, 100}
    write(roots, *numbered(50, group="train me"))
    split = "train" if bucket("train me") < 80 else "validation"
    assert len(texts(task(), "en", split, roots)) == 50


def test_a_limit_takes_a_fixed_sample_that_only_grows(roots: DataRoots) -> None:
    write(roots, *numbered(100))
    small, large = (texts(task(), "en", "test", roots, limit=limit) for limit in (5, 20))
    assert small == ["text 10", "text 19", "text 34", "text 47", "text 57"]
    assert set(small) < set(large)
    assert large == sorted(large, key=lambda text: int(text.split()[1]))
    assert len(texts(task(), "en", "test", roots, limit=1000)) == 100


def test_a_limited_split_still_reports_bad_labels_of_other_rows(roots: DataRoots) -> None:
    write(roots, *numbered(20), {"text": "a", "label": "y"})
    with pytest.raises(DataError, match="1 values are not labels"):
        load_split(task(), "en", "test", roots, limit=1)


def test_a_few_shot_sample_is_one_of_all_rows_whatever_the_limit(roots: DataRoots) -> None:
    write(roots, *numbered(100))
    whole = load_split(task(), "en", "test", roots).rows
    for limit in (None, 3):
        loaded = load_split(task(), "en", "test", roots, limit, FewShot(8, 1))
        assert loaded.rows == few_shot(whole, 8, 1)
    with pytest.raises(DataError, match="task toy, 'test' of 'en': 101 examples are wanted, there are 100"):
        load_split(task(), "en", "test", roots, few_shot=FewShot(101, 0))


def test_a_few_shot_sample_for_training_holds_labelled_rows(roots: DataRoots) -> None:
    write(roots, *numbered(50), *({"text": f"other {n}", "label": None} for n in range(50)))
    rows = load_split(task(), "en", "train", roots, few_shot=FewShot(20, 0, stratify=True)).rows
    assert len(rows) == 20
    assert {getattr(row, "label", None) for row in rows} == {"x"}


def test_unlabelled_rows_are_kept_for_a_test_and_dropped_for_training(roots: DataRoots) -> None:
    write(roots, *numbered(50), *({"text": f"text {n}", "label": None} for n in range(50)))
    assert len(load_split(task(), "en", "test", roots).rows) == 100
    assert load_split(task(), "en", "validation", roots).dropped == {}
    loaded = load_split(task(), "en", "train", roots)
    assert loaded.dropped["no label to train on"] == len(loaded.rows) > 0


@pytest.mark.parametrize(("kind", "field"), [("mlm", "text"), ("retrieval", "source")])
def test_kinds_without_labels_train_on_all_rows(kind: str, field: str, roots: DataRoots) -> None:
    write(roots, *({field: f"a {n}", "target": "b"} for n in range(20)))
    assert load_split(task(kind), "en", "train", roots).dropped == {}


def test_an_empty_split_is_an_error_that_says_why(roots: DataRoots) -> None:
    write(roots)
    with pytest.raises(DataError, match=r"data\.jsonl: holds no records"):
        load_split(task(), "en", "test", roots)
    write(roots, {"text": "", "label": "x"})
    with pytest.raises(DataError, match="task toy: no rows in 'test' of 'en'; left out: no text: 1"):
        load_split(task(), "en", "test", roots)
    write(roots, {"text": "text", "label": "x"})
    empty = "validation" if bucket("text") < 80 else "train"
    with pytest.raises(DataError, match=r"no rows in .* of 'en'; its portion of the data is empty"):
        load_split(task(), "en", empty, roots)


def test_a_language_or_split_that_is_not_there(roots: DataRoots) -> None:
    with pytest.raises(DataError, match="has no language 'fr'; languages: en, de"):
        load_split(task(), "fr", "test", roots)
    message = "has no split 'train' in 'de'; splits of 'de': test; languages with 'train': en"
    with pytest.raises(DataError, match=message):
        load_split(task(), "de", "train", roots)


def test_losses_and_repairs_are_counted(roots: DataRoots) -> None:
    records = [{"id": "1", "text": "a", "label": "-"}, {"id": "1", "text": "b", "label": "x"}]
    write(roots, *records)
    loaded = load_split(task(label_map={"-": None}), "en", "test", roots)
    assert loaded.dropped == {"label mapped to null": 1}
    assert loaded.repaired == {"id repeated": 1}


def test_a_check_returns_faults_instead_of_raising(roots: DataRoots) -> None:
    assert "no such file" in check_split(task(), "en", "test", roots)[0].what
    assert "no language" in check_split(task(), "fr", "test", roots)[0].what
    write(roots, *numbered(3))
    assert check_split(task(), "en", "test", roots) == ()
    assert "not labels" in check_split(task(labels=("y",)), "en", "test", roots)[0].what
    write(roots)
    assert "no records" in check_split(task(), "en", "test", roots)[0].what
    write(roots, {"text": "", "label": "x"})
    assert "no rows" in check_split(task(), "en", "test", roots)[0].what
    missing = task(source=PackageSource("no_such_package_here", ("x",)))
    assert "not installed" in check_split(missing, "en", "test", roots)[0].what
    with pytest.raises(EnvironmentFault):
        load_split(missing, "en", "test", roots)


def test_a_check_reads_the_first_records_only(roots: DataRoots) -> None:
    write(roots, *numbered(CHECKED_RECORDS), {"text": "a", "label": "y"})
    assert check_split(task(), "en", "test", roots) == ()
    with pytest.raises(DataError):
        load_split(task(), "en", "test", roots)


def test_a_check_downloads_nothing(roots: DataRoots) -> None:
    hub = task(source=HubSource("a/b", None, "train"), format=Format("hub"))
    assert check_split(hub, "en", "test", roots) == ()


def joined(roots: DataRoots, **more: Any) -> TaskSpec:
    lines = "".join(f"x\tmore {n}\n" for n in range(40))
    (roots.recipe / "more.tsv").write_text(lines, encoding="utf-8")
    write(roots, *numbered(10))
    other = Split(FileSource(("more.tsv",)), Format("tsv", options={"header": ["label", "text"]}), (0, 50))
    split = Split(FileSource(("data.jsonl",)), FORMAT, also=(other,))
    return TaskSpec(
        "toy", "classification", "test", {"en": {"test": split}}, (), **{"labels": ("x",), **more}
    )


def test_parts_of_a_split_follow_each_other_with_ids_of_their_own(roots: DataRoots) -> None:
    rows = load_split(joined(roots), "en", "test", roots).rows
    more = [n for n in range(40) if bucket(f"more {n}") < 50]
    assert [getattr(row, "text", "") for row in rows] == [f"text {n}" for n in range(10)] + [
        f"more {n}" for n in more
    ]
    assert [row.id for row in rows[:2]] == ["0", "1"]
    assert [row.id for row in rows[10:12]] == [f"1:{n}" for n in more[:2]]


@pytest.mark.parametrize(
    ("kind", "record", "names"),
    [
        ("tagging", {"tokens": ["a"], "tags": ["x"], "starts": [0], "document": "d"}, {"document": "1:d"}),
        (
            "retrieval",
            {"source": "a", "target": "b", "source_id": "s", "target_id": "t"},
            {"source_id": "1:s", "target_id": "1:t"},
        ),
        ("mlm", {"text": "a"}, {}),
    ],
)
def test_names_of_later_parts_are_told_apart(
    kind: str, record: dict[str, Any], names: dict[str, str], roots: DataRoots
) -> None:
    write(roots, {**record, "group": "g"})
    part = Split(FileSource(("data.jsonl",)), FORMAT)
    splits = {"en": {"test": replace(part, also=(part,))}}
    first, second = load_split(TaskSpec("toy", kind, "", splits, (), ("x",)), "en", "test", roots).rows  # type: ignore[arg-type]
    assert second == replace(first, id="1:0", **names)
    assert second.group == "g"


def test_faults_of_later_parts_are_found(roots: DataRoots) -> None:
    task = joined(roots)
    assert check_split(task, "en", "test", roots) == ()
    (roots.recipe / "more.tsv").write_text("y\ttext\n", encoding="utf-8")
    assert "not labels" in check_split(task, "en", "test", roots)[0].what
    with pytest.raises(DataError, match=r"more\.tsv, line 1: 1 values are not labels"):
        load_split(task, "en", "test", roots)


class Names:
    """Stands in for `datasets.ClassLabel`."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)


class Many:
    """Stands in for `datasets.Sequence`."""

    def __init__(self, feature: object) -> None:
        self.feature = feature


class Data:
    """Stands in for `datasets.Dataset`."""

    features: ClassVar = {
        "text": object(),
        "label": Names("no", "yes"),
        "tags": Many(Names("O", "B-A")),
        "n": Many(object()),
    }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield {"text": "a", "label": 1, "tags": [0, 1], "n": [3]}
        yield {"text": "b", "label": -1, "tags": [], "n": []}
        yield {"text": "c", "label": None, "tags": None, "n": None}


def test_hub_records_carry_names_of_classes() -> None:
    asked: list[Any] = []

    def load(*args: Any, **more: Any) -> Data:
        asked.append((args, more))
        return Data()

    source = HubSource("a/b", "c", "train", "abc")
    records = list(read_hub(source, Format("hub"), Tally(), load))
    assert asked == [(("a/b", "c"), {"split": "train", "revision": "abc"})]
    assert records[0].fields == {"text": "a", "label": "yes", "tags": ["O", "B-A"], "n": [3]}
    assert records[1].fields == {"text": "b", "label": "-1", "tags": [], "n": []}
    assert records[2].fields == {"text": "c", "label": None, "tags": None, "n": None}
    assert records[1].where == "a/b c train, record 2"


def test_the_features_of_the_real_library_are_understood() -> None:
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    answers = {"text": Value("string"), "answer_start": Value("int32")}
    features = Features(
        {
            "label": ClassLabel(names=["no", "yes"]),
            "tags": Sequence(ClassLabel(names=["O"])),
            "answers": Sequence(answers),
        }
    )
    rows = {"label": [1, -1], "tags": [[0, 0], []], "answers": [{"text": ["x"], "answer_start": [3]}] * 2}
    data = Dataset.from_dict(rows, features=features)
    records = list(read_hub(HubSource("a/b", None, "train"), Format("hub"), Tally(), lambda *_, **__: data))
    answer = {"text": ["x"], "answer_start": [3]}
    assert records[0].fields == {"label": "yes", "tags": ["O", "O"], "answers": answer}
    assert records[1].fields["label"] == "-1"


def test_a_moving_branch_is_read_only_without_a_pin() -> None:
    asked: list[Any] = []

    def load(*args: Any, revision: str | None, **more: Any) -> Data:
        asked.append(revision)
        return Data()

    for revision in (None, "abc"):
        read_hub(
            HubSource("a/b", None, "train", revision, ref="refs/convert/parquet"),
            Format("hub"),
            Tally(),
            load,
        )
    assert asked == ["refs/convert/parquet", "abc"]


def test_hub_records_are_chosen_by_the_start_of_a_column() -> None:
    format = Format("hub", options={"column": "text", "starts_with": "b"})
    records = list(read_hub(HubSource("a/b", None, "train"), format, Tally(), lambda *_, **__: Data()))
    assert [record.fields["text"] for record in records] == ["b"]
    nothing = Format("hub", options={"column": "text", "starts_with": "z"})
    with pytest.raises(DataError, match="a/b train: holds no records, or none that the options choose"):
        list(read_hub(HubSource("a/b", None, "train"), nothing, Tally(), lambda *_, **__: Data()))
    with pytest.raises(DataError, match="'colum' is not an option; did you mean 'column'"):
        read_hub(
            HubSource("a/b", None, "train"), Format("hub", options={"colum": "x"}), Tally(), lambda: None
        )


def test_hub_data_that_cannot_be_had_names_the_way_out() -> None:
    def load(*args: Any, **more: Any) -> Any:
        raise ConnectionError("no route")

    with pytest.raises(DataError) as caught:
        read_hub(HubSource("a/b", None, "train"), Format("hub"), Tally(), load)
    message = str(caught.value)
    assert "a/b (default, train): cannot be loaded from the hub: ConnectionError: no route" in message
    assert "nobody of this project has loaded it yet" in message
    assert "declare the same data as files" in message


def test_hub_data_has_the_format_hub() -> None:
    with pytest.raises(DataError, match="write `type: hub`"):
        read_hub(HubSource("a/b", None, "train"), Format("tsv"), Tally(), lambda: None)
