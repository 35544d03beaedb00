"""``adapterstilts hub``: from a trained adapter to another machine's recipe, by a folder or by a hub."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import Answer, Command, Done, tiny_package

import adapterstilts
from adapterstilts.hub.references import parse_reference
from adapterstilts.metrics.files import read_predictions

pytestmark = pytest.mark.usefixtures("home", "_keep_signals")

SINGLE, FUSED = "target/topics/target@0", "fusion/topics/fuse(pairs, reply, target)@0"
LORA_RECIPE = {
    "methods": ["target", "with(lora, target)"],
    "languages": ["en"],
    "more_targets": (),
    "seeds": [0],
}


@pytest.fixture
def push(done: Done, cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Push a stage of the tiny run into a registry of this test."""
    monkeypatch.setenv("ADAPTERSTILTS_REGISTRY", str(tmp_path / "registry"))

    def run(stage: str, target: str, *more: object) -> Answer:
        where = ("--store", done.options.store_root, "--run", done.options.out, "--licence", "apache-2.0")
        return cli("hub", "push", done.keys[stage][:12], "--to", target, *where, *more)

    return run


def texts(done: Done, language: str) -> list[str]:
    path = done.recipe.parent / "data" / f"topics.{language}.jsonl"
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_fusion_answers_elsewhere_as_where_it_was_trained(
    done: Done, push: Any, cli: Command, backbone_folder: Path, tmp_path: Path
) -> None:
    pushed = push(FUSED, "local:alice/fused@1.0.0", "--json").json
    given = texts(done, "xx")
    code = (
        "import sys, json, adapterstilts\n"
        "store, backbone, reference, *texts = sys.argv[1:]\n"
        "model = adapterstilts.load(reference, store=store, backbone=backbone or None, device='cpu')\n"
        "print(json.dumps([one.probabilities for one in model.predict(texts)]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(adapterstilts.__file__).parents[1])}

    def fresh(store: Path, reference: str, backbone: Path | str) -> Any:
        command = [sys.executable, "-c", code, str(store), str(backbone), reference, *given]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return json.loads(ran.stdout)

    # Equal probabilities in full digits: the logits are equal to the bit.
    own = fresh(done.options.store_root, done.keys[FUSED], "")
    assert fresh(tmp_path / "elsewhere", "local:alice/fused@1.0.0", backbone_folder) == own
    assert fresh(tmp_path / "elsewhere", f"sha256:{pushed['digest'][:12]}", backbone_folder) == own
    stored = read_predictions(done.path("evaluate/topics.xx.test/fuse(pairs, reply, target)@0"))
    assert [max(one, key=one.get) for one in own] == [one.prediction for one in stored]


def test_a_pulled_adapter_stands_in_a_recipe_and_enters_keys_by_its_bytes(
    done: Done, push: Any, cli: Command, backbone_folder: Path, tmp_path: Path
) -> None:
    push(SINGLE, "local:alice/topics@1.0.0")
    assert cli("hub", "pull", "local:alice/topics", "--store", tmp_path / "store").code == 0
    digest = parse_reference(cli("hub", "ls", "--store", tmp_path / "store", "--json").json[-1]["reference"])
    keys = []
    for spelling in (
        "{known: local:alice/topics@1.0.0}",
        f"{{known: '{digest}'}}",
        "[{name: known, path: PATH}]",
    ):
        place = tmp_path / "registry/alice/topics/versions/1.0.0"
        recipe = tiny.write_recipe(
            tmp_path,
            backbone_folder,
            methods=["target", "stack(known, target)"],
            languages=["en"],
            more_targets=(),
            seeds=[0],
            steps=2,
            more=f"pretrained: {spelling.replace('PATH', str(place))}",
        )
        planned = cli("recipe", "plan", recipe, "--store", tmp_path / "store", "--json").json
        keys.append(
            {stage["name"]: stage["key"] for stage in planned["stages"]}[
                "target/topics/stack(known, target)@0"
            ]
        )
    assert len(set(keys)) == 1
    ran = cli(
        "recipe", "run", recipe, "--store", tmp_path / "store", "--out", tmp_path / "out", "--threads", 1
    )
    assert ran.code == 0, ran.err


def test_a_composition_is_no_single_adapter(
    push: Any, cli: Command, backbone_folder: Path, tmp_path: Path
) -> None:
    push(FUSED, "local:alice/fused")
    more = {"methods": ["target", "stack(known, target)"], "more": "pretrained: {known: local:alice/fused}"}
    recipe = tiny.write_recipe(tmp_path, backbone_folder, more_targets=(), **more)
    answer = cli("recipe", "check", recipe)
    assert (answer.code, "is a composition of several adapters" in answer.err) == (2, True)


def test_an_adapter_of_another_backbone_is_refused_although_it_fits(
    push: Any, cli: Command, tmp_path: Path
) -> None:
    push(SINGLE, "local:alice/topics")
    more = {"methods": ["target", "stack(known, target)"], "more": "pretrained: {known: local:alice/topics}"}
    other = tiny.write_backbone(tmp_path / "other", spread=0.2)
    recipe = tiny.write_recipe(tmp_path, other, more_targets=(), **more)
    answer = cli("recipe", "plan", recipe)
    assert (answer.code, "pretrained.known: it was trained on files:" in answer.err) == (2, True)


def test_versions_follow_each_other_only_where_something_changed(push: Any, cli: Command) -> None:
    first = push(SINGLE, "local:alice/topics", "--json").json
    assert first["version"] == "1.0.0"
    assert push(SINGLE, "local:alice/topics", "--json").json == first
    changed = push(SINGLE, "local:alice/topics", "--licence", "mit", "--json").json
    assert (changed["version"], changed["digest"] != first["digest"]) == ("1.0.1", True)
    refused = push(FUSED, "local:alice/topics@1.0.0")
    assert (refused.code, "versions never change" in refused.err) == (6, True)


def test_units_are_listed_shown_and_verified(push: Any, cli: Command, tmp_path: Path) -> None:
    pushed = push(FUSED, "local:alice/fused", "--json").json
    listed = cli("hub", "ls", "--store", tmp_path / "store")
    assert "local:alice/fused@1.0.0" in listed.out
    assert pushed["digest"][:12] in listed.out
    assert cli("hub", "verify", "local:alice/fused", "--store", tmp_path / "store").code == 0
    shown = cli("adapter", "show", "local:alice/fused", "--store", tmp_path / "store")
    assert "name: alice/fused" in shown.out
    card = Path(pushed["folder"]) / "README.md"
    card.write_text("changed", encoding="utf-8")
    for command in (("hub", "verify"), ("hub", "pull"), ("adapter", "show"), ("adapter", "predict")):
        more = ("--text", "north1") if command[1] == "predict" else ()
        answer = cli(*command, "local:alice/fused", "--store", tmp_path / "store", *more)
        assert (answer.code, "its bytes are not those of the manifest" in answer.err) == (6, True), command


@pytest.mark.parametrize(
    ("stage", "target", "more", "code", "message"),
    [
        ("target/topics/full_finetune@0", "local:a/b", (), 2, "not an adapter or a fusion"),
        (SINGLE, "local:a/b", ("--licence", ""), 2, "name one with --licence"),
        (SINGLE, "local:a/b@1", (), 2, "is not a version"),
        (SINGLE, "ftp:a/b", (), 2, "is no"),
        (SINGLE, "local:a/b@sha256:01234567", (), 2, "is no place to push to"),
        (SINGLE, "hf:a/b", ("--offline",), 2, "--offline opens no connection"),
        (SINGLE, "local:a/b", ("--run", "nowhere"), 2, "no finished run there uses it"),
        (SINGLE, "local:a/b", ("--sign", "nowhere.pem"), 4, "there is no such key"),
    ],
)
def test_what_cannot_go_out_is_refused_and_nothing_is_published(
    push: Any, tmp_path: Path, stage: str, target: str, more: tuple[str, ...], code: int, message: str
) -> None:
    answer = push(stage, target, *more)
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert not (tmp_path / "registry").exists()


def test_offline_no_command_opens_a_socket(
    done: Done,
    push: Any,
    cli: Command,
    backbone_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        opened.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *place, **_: refuse(socket.socket(), place))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    store = ("--store", tmp_path / "store", "--offline")
    assert push(SINGLE, "local:alice/topics", "--offline").code == 0
    assert cli("hub", "pull", "local:alice/topics", *store).code == 0
    assert cli("hub", "verify", "local:alice/topics", *store).code == 0
    predicted = ("--text", "north1", "--backbone", backbone_folder)
    assert cli("adapter", "predict", "local:alice/topics", *store, *predicted).code == 0
    for command in (("pull", "--unpinned"), ("verify", "--full")):
        assert cli("hub", command[0], "hf:alice/topics@v1.0.0", command[1], *store).code != 0
    assert opened == []


OFFLINE = """
import json, socket, sys
from adapterstilts.cli import main

opened = []

def listen(event, arguments):
    # One socket may be made: urllib3 looks, when it is imported, whether ::1 can be bound, and closes it.
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.send")):
        opened.append(f"{event} {arguments[1:]}")

sys.addaudithook(listen)
codes = [main.run(words) for words in json.loads(sys.stdin.read())]
found = list(opened)
socket.socket().connect_ex(("127.0.0.1", 9))
heard = len(opened) > len(found)
print(json.dumps({"codes": codes, "opened": found, "heard": heard}), file=sys.stderr)
"""


def without_network() -> list[str]:
    """Return the words before a command that leave it no network; skip where the machine has none."""
    words = ["unshare", "--map-root-user", "--net"]
    if shutil.which(words[0]) is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a namespace without network")
    return words


def test_offline_all_goes_well_in_a_namespace_without_network(
    done: Done, backbone_folder: Path, tmp_path: Path
) -> None:
    """A fresh process, in which nothing is patched, hears of every connection and every look-up of a name."""
    recipe = tiny.write_recipe(
        tmp_path, backbone_folder, methods=["target"], languages=["en"], more_targets=(), seeds=[0], steps=2
    )
    ours, theirs = ("--store", str(tmp_path / "ours")), ("--store", str(tmp_path / "theirs"))
    trained = ("--store", str(done.options.store_root), "--run", str(done.options.out))
    asked = ("--backbone", str(backbone_folder), "--text", "north1")
    pushed = ("hub", "push", done.keys[SINGLE], "--to", "hub:alice/topics", *trained)
    well = [
        ("recipe", "run", str(recipe), *ours, "--threads", "1", "--offline"),
        (*pushed, "--licence", "mit", "--offline"),
        ("hub", "pull", "hub:alice/topics@1.0.0", *theirs, "--offline"),
        ("hub", "verify", "local:alice/topics", *theirs, "--offline"),
        ("hub", "ls", *theirs),
        ("adapter", "predict", "local:alice/topics", *theirs, *asked, "--offline"),
    ]
    refused = [
        (*pushed, "--licence", "mit", "--offline", "--to", "hf:alice/topics"),
        ("hub", "pull", "hf:alice/topics@v1.0.0", "--unpinned", *theirs, "--offline"),
        ("hub", "verify", "hf:alice/topics@v1.0.0", *theirs, "--offline"),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"} | {
        "PYTHONPATH": str(Path(adapterstilts.__file__).parents[1]),
        "ADAPTERSTILTS_REGISTRY": str(tmp_path / "registry"),
    }
    ran = subprocess.run(
        [*without_network(), sys.executable, "-c", OFFLINE],
        input=json.dumps([*well, *refused]),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stderr.splitlines()[-1])
    assert found["opened"] == [], ran.stderr
    assert found["heard"], "a connection would have been noticed"
    assert found["codes"] == [0] * len(well) + [2, 2, 6], ran.stderr


def test_an_adapter_on_a_packaged_backbone_answers_elsewhere(
    packaged: Done, backbone_folder: Path, cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever loads it has the package, and needs no folder: the backbone is converted into their store."""
    monkeypatch.setenv("ADAPTERSTILTS_REGISTRY", str(tmp_path / "registry"))
    where = ("--store", packaged.options.store_root, "--run", packaged.options.out, "--licence", "mit")
    given = texts(packaged, "en")
    with tiny_package(backbone_folder):
        pushed = cli("hub", "push", packaged.keys[SINGLE], "--to", "local:alice/packed", *where, "--json")
        own = adapterstilts.load(packaged.keys[SINGLE], store=packaged.options.store_root, device="cpu")
        there = adapterstilts.load("local:alice/packed@1.0.0", store=tmp_path / "elsewhere", device="cpu")
        assert there.predict(given) == own.predict(given)
        # A second time the backbone is there.
        monkeypatch.setattr("adapterstilts.stages.convert.convert_package", None)
        known = {"store": tmp_path / "elsewhere", "device": "cpu", "offline": True}
        again = adapterstilts.load("local:alice/packed", **known)
        assert again.predict(given[:1]) == own.predict(given[:1])
    card = (Path(pushed.json["folder"]) / "README.md").read_text(encoding="utf-8")
    assert "The backbone is in the package `tiny==1`." in card
    assert "- Of this backbone: tiny." in card
    assert 'adapterstilts.load("hf:alice/packed@v1.0.0").predict(["..."])' in card
    assert 'convert_package("tiny", "1", backbone)' in card


def test_a_lora_goes_out_to_peft(backbone_folder: Path, cli: Command, tmp_path: Path) -> None:
    recipe = tiny.write_recipe(tmp_path, backbone_folder, steps=2, more=tiny.MORE, **LORA_RECIPE)
    store = ("--store", tmp_path / "store")
    assert cli("recipe", "run", recipe, *store, "--threads", 1).code == 0
    keys = {one["name"]: one["key"] for one in cli("adapter", "ls", *store, "--json").json}
    for name, stage in (("lora", "target/topics/with(lora, target)@0"), ("plain", "target/topics/target@0")):
        assert (
            cli("hub", "push", keys[stage], "--to", f"local:a/{name}", "--licence", "mit", *store).code == 0
        )
    assert cli("hub", "peft", "local:a/lora", tmp_path / "peft", *store).code == 0
    described = json.loads((tmp_path / "peft" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (described["r"], described["lora_alpha"]) == (2, 4)
    again = cli("hub", "peft", "local:a/lora", tmp_path / "peft", *store)
    assert (again.code, "is not empty" in again.err) == (2, True)
    other = cli("hub", "peft", "local:a/plain", tmp_path / "other", *store)
    assert (other.code, "is no LoRA" in other.err) == (2, True)
