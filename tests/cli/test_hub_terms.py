"""Under which terms a unit goes out: what its data ask, what has to be allowed, and what is never told."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import Answer, Command

from adapterstilts.hub.provenance import read_provenance
from adapterstilts.store.digest import digest_file
from adapterstilts.trust.origins import Origin

pytestmark = pytest.mark.usefixtures("home", "_keep_signals")

TARGET = "target/topics/target@0"
SMALL: dict[str, Any] = {"methods": ["target"], "languages": ["en"], "seeds": [0], "steps": 2}


class Place:
    """A folder with a recipe, its data, its store and its runs; the registry is everybody's."""

    def __init__(self, cli: Command, folder: Path, backbone: Path, **changes: Any) -> None:
        self._cli, self._folder = cli, folder
        self._where: tuple[object, ...] = ("--store", folder / "store")
        self.data = folder / "data"
        self._recipe = tiny.write_recipe(folder, backbone, **{**SMALL, "more_targets": (), **changes})

    def run(self, *overrides: str) -> dict[str, str]:
        """Run the recipe; return name of a stage -> key."""
        more = (*self._where, "--out", self._folder / "out", "--threads", 1)
        answer = self._cli("recipe", "run", self._recipe, *overrides, *more)
        assert answer.code == 0, answer.err
        return {one["name"]: one["key"] for one in self.hub("adapter", "ls", "--json").json}

    def hub(self, *words: object) -> Answer:
        """Run a command on the store."""
        return self._cli(*words, *self._where)

    def push(self, key: str, *words: object) -> Answer:
        return self.hub("hub", "push", key, "--run", self._folder / "out", "--json", *words)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "registry"
    monkeypatch.setenv("ADAPTERSTILTS_REGISTRY", str(folder))
    return folder


def card_of(pushed: Answer) -> str:
    return html.unescape((Path(pushed.json["folder"]) / "README.md").read_text(encoding="utf-8"))


def test_the_licence_of_data_follows_a_unit_into_what_is_derived_of_it(
    cli: Command, backbone_folder: Path, tmp_path: Path, registry: Path
) -> None:
    maker = Place(cli, tmp_path / "maker", backbone_folder)
    key = maker.run("tasks.topics.licence=CC-BY-NC-4.0")[TARGET]
    freer = maker.push(key, "--to", "local:alice/topics", "--licence", "mit")
    assert freer.code == 2
    assert (
        "mit is not what its data ask for (non-commercial, attribution): target/topics/target@0 -> topics"
        " (CC-BY-NC-4.0); leave --licence out for CC-BY-NC-4.0, or `--allow other-licence:topics`"
    ) in freer.err
    assert not registry.exists()
    pushed = maker.push(key, "--to", "local:alice/topics")
    assert pushed.json["licence"] == "CC-BY-NC-4.0"
    assert "license: cc-by-nc-4.0" in card_of(pushed)

    user = Place(
        cli,
        tmp_path / "user",
        backbone_folder,
        methods=["target", "stack(known, target)"],
        more="pretrained: {known: local:alice/topics@1.0.0}",
    )
    assert user.hub("hub", "pull", "local:alice/topics@1.0.0").code == 0
    keys = user.run()
    derived = user.push(keys["target/topics/stack(known, target)@0"], "--to", "local:bob/derived")
    assert derived.json["licence"] == "CC-BY-NC-4.0"
    path = ("target/topics/stack(known, target)@0", "pretrained/known")
    said = read_provenance(Path(derived.json["folder"]))
    assert Origin("topics", "CC-BY-NC-4.0", path=(*path, TARGET)) in said.data_behind
    assert Origin("alice/topics@1.0.0", "CC-BY-NC-4.0", path=path) in said.data_behind
    text = card_of(derived)
    assert f"- non-commercial: {' -> '.join((*path, TARGET))} -> topics (CC-BY-NC-4.0)" in text
    assert "Its data limit what may be done with it (CC-BY-NC-4.0)" in text
    # What does not stand on the unit is free of it.
    alone = user.push(keys[TARGET], "--to", "local:bob/alone", "--licence", "mit")
    assert alone.json["licence"] == "mit"
    assert "They ask for no more than their notices." in card_of(alone)


def test_a_unit_keeps_its_licence_and_its_reasons_wherever_it_goes(
    cli: Command, backbone_folder: Path, tmp_path: Path, registry: Path
) -> None:
    place = Place(cli, tmp_path / "maker", backbone_folder)
    key = place.run("tasks.topics.licence=tweets under their terms")[TARGET]
    refused = place.push(key, "--to", "local:alice/topics")
    assert refused.code == 2
    assert "`--allow unknown-licence:topics` if you may and want to" in refused.err
    assert "its data leave none to compute (unknown); name one with --licence" in refused.err
    allow = ("--allow", "unknown-licence:topics")
    pushed = place.push(key, "--to", "local:alice/topics", "--licence", "mit", *allow)
    assert "- allowed by its maker: unknown-licence:topics" in card_of(pushed)
    again = ("hub", "push", "local:alice/topics", "--to", "local:alice/topics", "--json")
    assert "--allow unknown-licence:topics" in place.hub(*again).err
    other = place.hub(*again, *allow, "--licence", "apache-2.0")
    assert (other.code, "its licence is mit, and its card says so" in other.err) == (2, True)
    assert place.hub(*again, *allow).json["digest"] == pushed.json["digest"]
    idle = place.hub(*again, *allow, "--allow", "confidential:topics")
    assert (idle.code, "--allow confidential:topics: nothing forbids this" in idle.err) == (2, True)


def rename_column(data: Path) -> None:
    for path in data.glob("topics.*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"text"', '"diagnosis"'), encoding="utf-8")


def private_words(data: Path) -> Sequence[str]:
    """Return what nobody may read: names and plain digests of files, texts, words for them."""
    found = []
    for path in data.glob("topics.*"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        texts = [text for line in lines for text in (line["id"], line["diagnosis"])]
        found += [path.name, digest_file(path), *texts]
    return [*found, "diagnosis", "case-of-flu"]


def test_a_confidential_unit_tells_seals_and_no_more(
    cli: Command, backbone_folder: Path, tmp_path: Path, registry: Path
) -> None:
    place = Place(
        cli,
        tmp_path / "maker",
        backbone_folder,
        methods=["target", "stack(reply, target)"],
        more_targets=["pairs"],
    )
    rename_column(place.data)
    columns = ("tasks.topics.format.columns.text=diagnosis", "tasks.topics.label_map.case-of-flu=null")
    keys = place.run("tasks.topics.confidential=true", *columns)
    refused = place.push(keys[TARGET], "--to", "local:alice/topics", "--licence", "mit")
    assert refused.code == 2
    assert "confidential data are behind it: target/topics/target@0 -> topics (MIT)" in refused.err
    assert not registry.exists()
    allow = ("--allow", "confidential:topics", "--licence", "mit")
    pushed = place.push(keys[TARGET], "--to", "local:alice/topics", *allow)
    folder = Path(pushed.json["folder"])
    assert "Confidential data are behind it (`topics`)" in card_of(pushed)
    assert "- allowed by its maker: confidential:topics" in card_of(pushed)
    said = read_provenance(folder)
    assert (said.data_behind[0].task, said.data_behind[0].confidential) == ("topics", True)
    assert said.data["topics.en.train"]
    assert said.recipe["tasks"]["topics"]["languages"]["en"] == ["test", "train"]

    # An adapter of open data may go, and says nothing of the confidential target that it was tried on.
    free = place.push(keys["intermediate/reply@0"], "--to", "local:alice/reply", "--licence", "mit")
    assert {row["target"] for row in read_provenance(Path(free.json["folder"])).results} == {"pairs"}
    assert "topics" not in card_of(free)
    words = private_words(place.data)
    for unit in (folder, Path(free.json["folder"])):
        for name in ("README.md", "provenance.json", "MANIFEST.json"):
            text = (unit / name).read_text(encoding="utf-8")
            assert [word for word in words if word in text] == [], (unit, name)


def test_an_adapter_that_was_only_tried_on_confidential_data_has_nothing_to_tell(
    cli: Command, backbone_folder: Path, tmp_path: Path, registry: Path
) -> None:
    place = Place(cli, tmp_path / "maker", backbone_folder, methods=["target", "stack(reply, target)"])
    key = place.run("tasks.topics.confidential=true")["intermediate/reply@0"]
    answer = place.push(key, "--to", "local:alice/reply", "--licence", "mit")
    assert (answer.code, "that may be told reads it" in answer.err) == (2, True)
