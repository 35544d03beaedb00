"""A stage on several devices: what one process makes up to rounding, the same bits again, and an end for all."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kinds
import psutil
import pytest
import tiny
import torch
from conftest import Command
from safetensors.torch import load_file

from adapterstilts.errors import EnvironmentFault, Fault, Interrupted, StageFailed
from adapterstilts.runner import site as site_module
from adapterstilts.runner.attempt import Ending, portable
from adapterstilts.runner.peers import Peers, _Peer
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.runner.processes import PROCESSES
from adapterstilts.runner.site import Site
from adapterstilts.runner.walk import Outcome, walk
from adapterstilts.runner.workers import Workers
from adapterstilts.store.store import Artifact, Store

distributed = pytest.mark.distributed

# Adapter, fusion, whole model, masked language modelling, and layers that are computed once.
METHODS = (
    "target",
    "fuse(reply, pairs, target)",
    "full_finetune",
    "stack(words-xx, target)",
    "with(upper, target)",
)
FIRST = "target/topics/target@0"
# Heads that choose among options, or places.
OVER_PLACES = ("intermediate/reply", "target/spans")
TRAINED = ("train_adapter", "train_fusion", "full_finetune")


@pytest.fixture(autouse=True)
def _enough_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "cores", lambda: 4)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone whose heads have no dropout either."""
    folder = tmp_path_factory.mktemp("still") / "model"
    return tiny.write_backbone(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture(scope="module")
def recipe(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the dropout that heads usually have."""
    return write(tmp_path_factory.mktemp("peers"), backbone_folder, ["target"])


def write(folder: Path, backbone: Path, methods: Sequence[str]) -> Path:
    more = tiny.MORE.replace("  - {name: words-en, task: words, language: en}\n", "")
    return tiny.write_recipe(
        folder, backbone, methods=methods, languages=["en"], more_targets=(), seeds=[0], steps=6, more=more
    )


def options(folder: Path, device: str = "cpu:0,1", **more: Any) -> Options:
    return Options(store=folder / "store", out=folder / "out", device=device, threads=1, keep=True, **more)


def run(
    prepared: Prepared, workers: Workers, listener: tiny.Listener, stop: Callable[[], bool] = lambda: False
) -> Outcome:
    context = Site.of(prepared).open(stop)
    return walk(prepared.plan, prepared.missing, context, listener, executor=workers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes that tests share keep what they make."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def workers(recipe: Path, folder: Path) -> Iterator[Workers]:
    """One worker that leads another process; both are gone in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site_module, "cores", lambda: 4)
        site = Site.of(prepare(str(recipe), options=options(folder, checkpoint_seconds=0.0)))
    with closing(Workers(site, 1)) as started:
        yield started
        leader = leader_of(started)
        family = [leader, *leader.children(recursive=True)]
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


def leader_of(workers: Workers) -> psutil.Process:
    return psutil.Process(workers._all[0].process.pid)


def others_of(workers: Workers) -> list[psutil.Process]:
    """Return the processes that take part; the leader's own children only start them, and count what is shared."""
    leader = leader_of(workers)
    return [child for child in leader.children(recursive=True) if child.ppid() != leader.pid]


class Meddler(tiny.Listener):
    """Does something once, after a step."""

    def __init__(self, meddle: Callable[[], object], after: int = 3) -> None:
        super().__init__()
        self.meddle, self.after, self.done = meddle, after, False

    def step(self, stage: Any, step: int, *rest: Any) -> None:
        super().step(stage, step, *rest)
        if step >= self.after and not self.done:
            self.done = True
            self.meddle()


def trained(artifacts: dict[str, Artifact]) -> dict[str, Artifact]:
    """Return the artifacts of stages that trained, by name."""
    return {name: one for name, one in artifacts.items() if one.record.spec["kind"] in TRAINED}


def by_name(folder: Path) -> dict[str, Artifact]:
    return {artifact.record.name: artifact for artifact in Store(folder / "store").artifacts()}


def is_unseen(stage: str, name: str) -> bool:
    """Whether a softmax does not see a bias, which it adds to all its scores: its gradient is rounding alone."""
    over_places = name.startswith("heads.") and name.endswith(".bias") and stage.startswith(OVER_PLACES)
    return over_places or name.endswith("key.bias")


def assert_near(first: Artifact, second: Artifact) -> None:
    assert {*first.record.files} == {*second.record.files}
    for file in first.path.rglob("*.safetensors"):
        ours, theirs = load_file(str(file)), load_file(str(second.path / file.relative_to(first.path)))
        for name, value in ours.items():
            near = torch.allclose(value, theirs[name], rtol=0, atol=1e-5)
            assert near or is_unseen(first.record.name, name), (first.record.name, name)
    ours, theirs = (
        [json.loads(line)["loss"] for line in (one.path / "curve.jsonl").read_text().splitlines()]
        for one in (first, second)
    )
    assert ours == pytest.approx(theirs, abs=1e-5)
    for count in ("steps", "examples_seen", "tokens_seen", "parameters"):
        assert first.record.results[count] == second.record.results[count]


# ---- the same


@distributed
def test_two_processes_make_what_one_makes(still: Path, tmp_path: Path, cli: Command) -> None:
    recipe = write(tmp_path, still, METHODS)
    common = ["recipe", "run", recipe, "--threads", 1, "--keep"]
    for name, device in (("one", "cpu"), ("two", "cpu:0,1")):
        folder = tmp_path / name
        answer = cli(*common, "--device", device, "--store", folder / "store", "--out", folder / "out")
        assert answer.code == 0, answer.err
        assert (folder / "out" / "report.html").is_file()
    one, two = by_name(tmp_path / "one"), by_name(tmp_path / "two")
    assert {name: artifact.record.key for name, artifact in one.items()} == {
        name: artifact.record.key for name, artifact in two.items()
    }
    assert len(trained(one)) == 8
    for name, artifact in trained(one).items():
        assert_near(artifact, two[name])
    for name, artifact in two.items():
        assert artifact.record.provenance["processes"] == (2 if name in trained(two) else 1)
    assert {artifact.record.provenance["processes"] for artifact in one.values()} == {1}


@distributed
def test_two_processes_tag_and_find_spans_as_one_does(still: Path, tmp_path: Path) -> None:
    recipe = kinds.write_recipe(tmp_path, "targets: [tags, spans]\nmethods: [target]\n", steps=6)
    for name, device in (("one", "cpu"), ("two", "cpu:0,1")):
        given = {"backbone.model": str(still), "training.by_task.spans.stride": 8}
        prepared = prepare(str(recipe), given, options(tmp_path / name, device))
        with closing(Workers(Site.of(prepared), 1)) as workers:
            assert run(prepared, workers, tiny.Listener()).errors == []
            others = others_of(workers)
        assert len(others) == (device == "cpu:0,1")
        _, alive = psutil.wait_procs(others, timeout=60)
        assert not alive
    one, two = by_name(tmp_path / "one"), by_name(tmp_path / "two")
    assert len(trained(one)) == 2
    for name, artifact in trained(one).items():
        assert_near(artifact, two[name])


# ---- again to the bit


@distributed
def test_a_killed_leader_takes_the_others_along_and_its_stage_goes_on_to_the_same_bits(
    recipe: Path, folder: Path, workers: Workers
) -> None:
    given = options(folder)
    assert run(prepare(str(recipe), options=given), workers, tiny.Listener()).errors == []
    unbroken = tiny.digests(Store(folder / "store"))
    again = dataclasses.replace(given, force=(FIRST,))
    family = [leader_of(workers), *others_of(workers)]
    killer = Meddler(leader_of(workers).kill)
    (error,) = run(prepare(str(recipe), options=again), workers, killer).errors
    assert str(error).startswith(f"{FIRST}: its process was ended by SIGKILL")
    _, alive = psutil.wait_procs(family, timeout=60)
    assert len(family) == 2 and not alive
    listener = tiny.Listener()
    assert run(prepare(str(recipe), options=again), workers, listener).errors == []
    assert listener.first[FIRST] >= 3
    assert tiny.digests(Store(folder / "store")) == unbroken


# ---- what fails


@distributed
def test_a_process_that_dies_fails_its_stage_and_the_next_one_has_a_new_one(
    recipe: Path, folder: Path, workers: Workers
) -> None:
    long = prepare(str(recipe), {"training.default.steps": 2999}, options(folder))
    killer = Meddler(lambda: [one.kill() for one in others_of(workers)])
    (error,) = run(long, workers, killer).errors
    assert killer.ended[FIRST] == "failed"
    assert isinstance(error, StageFailed)
    assert str(error).startswith(
        f"{FIRST}: one of its processes was ended by SIGKILL; often memory has run out"
    )
    again = tiny.Listener()
    assert run(prepare(str(recipe), {"seeds": [1]}, options(folder)), workers, again).errors == []
    assert again.ended["target/topics/target@1"] == "done"


def said(ending: Ending) -> _Peer:
    """Return a process that has said how its part ended."""
    ours, theirs = PROCESSES.Pipe()
    theirs.send_bytes(portable(ending))
    return _Peer(b"", None, SimpleNamespace(kill=lambda: None, join=lambda: None), ours)


def dead() -> _Peer:
    ours, theirs = PROCESSES.Pipe()
    theirs.close()
    return _Peer(b"", None, SimpleNamespace(kill=lambda: None, join=lambda: None, exitcode=1), ours)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (lambda: [said(_lost()), said(_lacking())], "GPU: too small"),
        (lambda: [said(_lost()), dead()], "x: one of its processes ended"),
        (lambda: [said(_lost())], "x: its processes lost each other"),
    ],
)
def test_the_cause_is_told_and_not_who_missed_whom(
    recipe: Path, tmp_path: Path, others: Callable[[], list[_Peer]], message: str
) -> None:
    peers = Peers(Site.of(prepare(str(recipe), options=options(tmp_path))), [])
    peers._peers = others()
    cause = peers._cause(SimpleNamespace(name="x"))  # type: ignore[arg-type]
    assert str(cause).startswith(message)
    peers.close()
    assert all(peer.process is None for peer in peers._peers)


def _lost() -> Ending:
    from adapterstilts.training.team import Left

    return Ending("failed", error=Left("gone"), trace="there")


def _lacking() -> Ending:
    return Ending("failed", error=EnvironmentFault(Fault("GPU", "too small")), trace="there")


def test_trackers_are_the_first_processs_alone(recipe: Path, tmp_path: Path) -> None:
    site = Site.of(prepare(str(recipe), options=options(tmp_path)), [_Tracker()])
    peers = Peers(site, [None])
    assert pickle.loads(peers._peers[0].site).trackers == ()


class _Tracker:
    def start(self, stage: str, settings: Any) -> None: ...

    def log(self, step: int, values: Any) -> None: ...

    def finish(self) -> None: ...


# ---- stopped: the last that the shared processes are asked for


@distributed
def test_a_stop_is_heard_by_all(recipe: Path, folder: Path, workers: Workers) -> None:
    asked: list[bool] = []
    long = prepare(str(recipe), {"training.default.steps": 3000}, options(folder))
    with pytest.raises(Interrupted, match="of 3000: stopped on request"):
        run(long, workers, Meddler(lambda: asked.append(True)), stop=lambda: bool(asked))
    (key,) = [key for key, stage in long.plan.stages.items() if stage.name == FIRST]
    state = torch.load(long.store.checkpoint(key) / "checkpoint.pt", weights_only=True)
    assert 3 <= state["progress"]["step"] < 3000
    assert len(state["generators"]) == 2
    assert workers._all[0].process.is_alive()
