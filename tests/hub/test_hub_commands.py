"""The commands against a hub: one to push, one to pull, and the unit answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command, Done

import adapterstilts

from .conftest import FUSED, SINGLE
from .server import Server

pytestmark = [pytest.mark.hub, pytest.mark.usefixtures("home", "_keep_signals")]


def test_a_fusion_goes_to_the_hub_and_comes_back(
    done: Done, hub: Server, cli: Command, backbone_folder: Path, tmp_path: Path
) -> None:
    own = ("--store", done.options.store_root, "--run", done.options.out, "--endpoint", hub.url)
    pushed = cli(
        "hub",
        "push",
        done.keys[FUSED],
        "--to",
        "hf:alice/fused",
        "--licence",
        "mit",
        "--verify",
        "full",
        *own,
        "--json",
    ).json
    assert (pushed["reference"], pushed["version"]) == ("hf:alice/fused@v1.0.0", "1.0.0")
    there = ("--store", tmp_path / "store", "--endpoint", hub.url)
    pinned = f"hf:alice/fused@{pushed['commit']}"
    assert cli("hub", "verify", pinned, "--full", *there, "--json").json["digest"] == pushed["digest"]
    refused = cli("hub", "pull", "hf:alice/fused@v1.0.0", *there)
    assert (refused.code, "--unpinned" in refused.err) == (2, True)
    early = cli("adapter", "predict", pinned, "--text", "x", *there[:2])
    assert (early.code, f"run `adapterstilts hub pull {pinned}`" in early.err) == (6, True)
    assert cli("hub", "pull", pinned, *there).code == 0
    listed = cli("hub", "ls", *there[:2], "--json").json
    assert [(one["digest"], one["taken_as"]) for one in listed] == [(pushed["digest"], [pinned])]
    hub.process.kill()
    lines = (done.recipe.parent / "data" / "topics.xx.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    pulled = adapterstilts.load(pinned, store=tmp_path / "store", backbone=backbone_folder, device="cpu")
    trained = adapterstilts.load(done.keys[FUSED], store=done.options.store_root, device="cpu")
    assert pulled.predict(texts) == trained.predict(texts)


def test_a_registrys_unit_goes_to_the_hub_as_it_is(
    done: Done, hub: Server, cli: Command, tmp_path: Path
) -> None:
    where = ("--store", done.options.store_root, "--registry", tmp_path / "registry", "--endpoint", hub.url)
    own = ("--run", done.options.out, "--licence", "mit")
    local = cli(
        "hub", "push", done.keys[SINGLE], "--to", "local:alice/one@2.1.0", *own, *where, "--json"
    ).json
    remote = cli("hub", "push", "local:alice/one", "--to", "hf:alice/one", *where, "--json").json
    assert (remote["digest"], remote["version"]) == (local["digest"], "2.1.0")
    other = cli("hub", "push", "local:alice/one", "--to", "hf:alice/two", *where)
    assert (other.code, "it is alice/one 2.1.0" in other.err) == (2, True)


def test_the_next_version_on_the_hub_is_counted_from_what_is_there(
    done: Done, hub: Server, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--store", done.options.store_root, "--run", done.options.out, "--endpoint", hub.url, "--json")
    versions = [
        cli("hub", "push", done.keys[SINGLE], "--to", "hf:alice/one", "--licence", licence, *where).json[
            "version"
        ]
        for licence in ("mit", "mit", "apache-2.0")
    ]
    assert versions == ["1.0.0", "1.0.0", "1.0.1"]
    monkeypatch.setenv("HF_TOKEN", "hf_bob")
    answer = cli("hub", "push", done.keys[SINGLE], "--to", "hf:alice/one", "--licence", "mit", *where)
    assert answer.code == 4
    assert "hf_bob" not in answer.err
