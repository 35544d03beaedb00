"""A stage on several devices: what one process makes up to rounding, the same bits again, and an end for all."""

from __future__ import annotations

import json
import os
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


@pytest.fixture
def workers(recipe: Path, tmp_path: Path) -> Iterator[Workers]:
    prepared = prepare(str(recipe), options=options(tmp_path, checkpoint_seconds=0.0))
    with closing(Workers(Site.of(prepared), 1)) as started:
        yield started
        (worker,) = started._all
        family = [] if worker.process is None else psutil.Process(worker.process.pid).children(recursive=True)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


@pytest.fixture(scope="module")
def unbroken(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What two processes make: stage -> file -> digest."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert tiny.run_in_child(with_cores, str(recipe), options(folder)) == 0
    return tiny.digests(Store(folder / "store"))


def with_cores(path: str, options: Options) -> None:
    """Run a recipe in a child, as if there were cores enough."""
    site_module.cores = lambda: 4  # type: ignore[attr-defined]
    tiny.run_recipe(path, options)


def trained(artifacts: dict[str, Artifact]) -> dict[str, Artifact]:
    """Return the artifacts of stages that trained, by name."""
    return {name: one for name, one in artifacts.items() if one.record.spec["kind"] in TRAINED}


def by_name(folder: Path) -> dict[str, Artifact]:
    return {artifact.record.name: artifact for artifact in Store(folder / "store").artifacts()}


def assert_near(first: Artifact, second: Artifact) -> None:
    assert {*first.record.files} == {*second.record.files}
    for file in first.path.rglob("*.safetensors"):
        ours, theirs = load_file(str(file)), load_file(str(second.path / file.relative_to(first.path)))
        for name, value in ours.items():
            # A softmax does not see what is added to all its scores: the gradient is rounding and nothing else.
            unseen = name.endswith("key.bias") or (name == "heads.trained.4.bias" and value.numel() == 1)
            assert unseen or torch.allclose(value, theirs[name], rtol=0, atol=1e-5), (first.record.name, name)
    ours, theirs = (
        [json.loads(line)["loss"] for line in (one.path / "curve.jsonl").read_text().splitlines()]
        for one in (first, second)
    )
    assert ours == pytest.approx(theirs, abs=1e-5)
    for count in ("steps", "examples_seen", "tokens_seen", "parameters"):
        assert first.record.results[count] == second.record.results[count]


# ---- the same


@distributed
@pytest.mark.parametrize("path", ["engine", "library"])
def test_two_processes_make_what_one_makes(still: Path, tmp_path: Path, cli: Command, path: str) -> None:
    recipe = write(tmp_path, still, METHODS)
    common = ["recipe", "run", recipe, f"training.default.path={path}", "--threads", 1, "--keep"]
    for name, device in (("one", "cpu"), ("two", "cpu:0,1")):
        folder = tmp_path / name
        answer = cli(*common, "--device", device, "--store", folder / "store", "--out", folder / "out")
        assert answer.code == 0, answer.err
        assert (folder / "out" / "report.html").is_file()
    one, two = by_name(tmp_path / "one"), by_name(tmp_path / "two")
    assert {name: artifact.record.key for name, artifact in one.items()} == {
        name: artifact.record.key for name, artifact in two.items()
    }
    assert len(trained(one)) == 7
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
    one, two = by_name(tmp_path / "one"), by_name(tmp_path / "two")
    assert len(trained(one)) == 2
    for name, artifact in trained(one).items():
        assert_near(artifact, two[name])


@distributed
def test_workers_share_the_devices_out(
    recipe: Path, tmp_path: Path, unbroken: dict[str, dict[str, str]]
) -> None:
    prepared = prepare(str(recipe), options=options(tmp_path, "cpu:0,1,2,3", workers=2))
    with closing(Workers(Site.of(prepared), 2)) as workers:
        assert [worker.devices for worker in workers._all] == [(None, None)] * 2
        assert run(prepared, workers, tiny.Listener()).errors == []
    assert tiny.digests(Store(tmp_path / "store")) == unbroken


# ---- again to the bit


@distributed
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_team_goes_on_to_the_same_bits(
    recipe: Path, tmp_path: Path, unbroken: dict[str, dict[str, str]]
) -> None:
    given = options(tmp_path, checkpoint_seconds=0.0)
    # The worker dies of it, and the stage fails.
    assert tiny.run_in_child(with_cores, str(recipe), given, kill_at="checkpoint_write:3") == 1
    assert FIRST not in by_name(tmp_path)
    assert len(list((tmp_path / "store" / "checkpoints").glob("*/checkpoint.pt"))) == 1
    assert tiny.run_in_child(with_cores, str(recipe), given) == 0
    assert tiny.digests(Store(tmp_path / "store")) == unbroken


@distributed
def test_a_stopped_team_goes_on_to_the_same_bits(
    recipe: Path, tmp_path: Path, workers: Workers, unbroken: dict[str, dict[str, str]]
) -> None:
    asked: list[bool] = []

    class Stopper(tiny.Listener):
        def step(self, *arguments: Any) -> None:
            super().step(*arguments)
            asked.append(True)

    given = options(tmp_path, checkpoint_seconds=9999)
    long = prepare(str(recipe), {"training.default.steps": 3000}, given)
    with pytest.raises(Interrupted, match="of 3000: stopped on request"):
        run(long, workers, Stopper(), stop=lambda: bool(asked))
    assert len(list((tmp_path / "store" / "checkpoints").glob("*/checkpoint.pt"))) == 1


# ---- what fails


@distributed
def test_a_process_that_dies_fails_its_stage_and_the_next_one_has_a_new_one(
    recipe: Path, tmp_path: Path, workers: Workers
) -> None:
    killed: list[int] = []

    class Killer(tiny.Listener):
        def step(self, *arguments: Any) -> None:
            super().step(*arguments)
            leader = workers._all[0].process.pid
            family = psutil.Process(leader).children(recursive=True)
            # The leader's own children only start processes and count what is shared.
            for one in [child for child in family if child.ppid() != leader and not killed]:
                killed.append(one.pid)
                one.kill()

    given = options(tmp_path)
    long = prepare(str(recipe), {"training.default.steps": 3000}, given)
    listener = Killer()
    (error,) = run(long, workers, listener).errors
    assert listener.ended[FIRST] == "failed"
    assert isinstance(error, StageFailed)
    assert str(error).startswith(
        f"{FIRST}: one of its processes was ended by SIGKILL; often memory has run out"
    )
    again = tiny.Listener()
    assert run(prepare(str(recipe), options=given), workers, again).errors == []
    assert again.ended[FIRST] == "done"


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
