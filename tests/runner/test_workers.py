"""Stages side by side: the same bits as one after the other, and an end for every process."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import studies
import tiny
import torch

from adapterstilts.errors import (
    DataError,
    EnvironmentFault,
    Fault,
    Interrupted,
    StageFailed,
    StoreError,
    UsageError,
)
from adapterstilts.runner import site as site_module
from adapterstilts.runner.attempt import Ending, portable, received
from adapterstilts.runner.execute import execute, open_executor
from adapterstilts.runner.executor import Here
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.runner.site import Site, compute_threads
from adapterstilts.runner.walk import Outcome, walk
from adapterstilts.runner.workers import Workers, now_and_then
from adapterstilts.store.store import Store

FIRST = "target/topics/target@0"


class Beside(tiny.Listener):
    """Counts the stages that are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.now: set[str] = set()
        self.most = 0

    def stage_started(self, stage: Any, number: int, count: int) -> None:
        self.now.add(stage.name)
        self.most = max(self.most, len(self.now))

    def stage_ended(self, stage: Any, *rest: Any) -> None:
        super().stage_ended(stage, *rest)
        self.now.discard(stage.name)


def prepared_of(recipe: Path, store: Path, **options: Any) -> Prepared:
    return prepare(str(recipe), options=Options(store=store, threads=1, **options))


def run(prepared: Prepared, workers: Workers, listener: tiny.Listener, stop: Any = lambda: False) -> Outcome:
    context = Site.of(prepared).open(stop)
    return walk(prepared.plan, prepared.missing, context, listener, executor=workers)


@pytest.fixture
def workers(recipe: Path, tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(Site.of(prepared_of(recipe, tmp_path, checkpoint_seconds=0.0)), 2)) as started:
        yield started
        processes = [worker.process for worker in started._all if worker.process is not None]
    assert not any(process.is_alive() for process in processes)


# ---- the same, sooner


def test_two_workers_make_what_one_makes(
    recipe: Path, tmp_path: Path, workers: Workers, alone: dict[str, dict[str, str]]
) -> None:
    listener = Beside()
    outcome = run(prepared_of(recipe, tmp_path), workers, listener)
    assert outcome.errors == []
    assert listener.ended == dict.fromkeys(alone, "done")
    assert listener.most == 2
    assert set(listener.first.values()) == {1}
    assert tiny.digests(Store(tmp_path)) == alone
    assert {artifact.record.provenance["threads"] for artifact in Store(tmp_path).artifacts()} == {1}


@pytest.mark.distributed
def test_the_command_runs_workers(recipe: Path, tmp_path: Path, alone: dict[str, dict[str, str]]) -> None:
    command = [*command_of(recipe, tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tiny.digests(Store(tmp_path / "store")) == alone
    assert f"[1/{len(alone)}]" in done.stderr


# ---- what fails


@pytest.mark.distributed
def test_a_process_that_dies_fails_its_stage_alone(
    recipe: Path, tmp_path: Path, workers: Workers, alone: dict[str, dict[str, str]]
) -> None:
    class Killer(tiny.Listener):
        def step(self, stage: Any, *rest: Any) -> None:
            super().step(stage, *rest)
            if stage.name == FIRST and FIRST not in self.why:
                self.why[FIRST] = "killed"
                pid = int(json.loads((tmp_path / "leases" / stage.key / "1").read_text())["pid"])
                os.kill(pid, signal.SIGKILL)

    listener = Killer()
    outcome = run(prepared_of(recipe, tmp_path), workers, listener)
    (error,) = outcome.errors
    assert isinstance(error, StageFailed)
    assert f"{FIRST}: its process was ended by SIGKILL; often memory has run out" in str(error)
    assert {name for name, status in listener.ended.items() if status != "done"} == {
        FIRST,
        "evaluate/topics.en.test/target@0",
        "fusion/topics/fuse(pairs, reply, target)@0",
        "evaluate/topics.en.test/fuse(pairs, reply, target)@0",
    }
    tiny.train(str(recipe), Options(store=tmp_path))
    assert tiny.digests(Store(tmp_path)) == alone


def test_a_fault_comes_back_as_what_it_is(recipe: Path, tmp_path: Path) -> None:
    prepared = prepared_of(recipe, tmp_path)
    site = dataclasses.replace(Site.of(prepared), backbone_folder=tmp_path)
    with closing(Workers(site, 2)) as broken, pytest.raises(EnvironmentFault) as caught:
        run(prepared, broken, tiny.Listener())
    assert "its model type is None; use a backbone of type 'xlm-roberta'" in str(caught.value)
    assert "Traceback" in str(caught.value.__cause__)


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (DataError(Fault("a", "b", "c")), DataError(Fault("a", "b", "c"))),
        (Interrupted(Fault("a", "b")), Interrupted(Fault("a", "b"))),
        (Odd(1, 2), RuntimeError("Odd: 1 and 2")),
        (ValueError(lambda: 1), None),
    ],
)
def test_errors_are_sent_with_their_traceback(error: Exception, sent: Exception | None) -> None:
    ending = received(portable(Ending("failed", 1.5, {}, error, "Traceback: here")))
    assert (ending.status, ending.seconds) == ("failed", 1.5)
    assert "Traceback: here" in str(ending.error.__cause__)  # type: ignore[union-attr]
    if sent is not None:
        assert (type(ending.error), str(ending.error)) == (type(sent), str(sent))
    else:
        assert str(ending.error).startswith("ValueError: <function")


@pytest.mark.distributed
def test_a_process_that_died_between_two_stages_is_replaced(
    recipe: Path, tmp_path: Path, workers: Workers
) -> None:
    class Killer(tiny.Listener):
        def stage_ended(self, stage: Any, *rest: Any) -> None:
            super().stage_ended(stage, *rest)
            if len(self.ended) == 1:
                idle = next(one for one in workers._all if one.process is not None and not one.at_work)
                idle.process.kill()
                idle.process.join()

    listener = Killer()
    assert run(prepared_of(recipe, tmp_path), workers, listener).errors == []
    assert set(listener.ended.values()) == {"done"}


@pytest.mark.distributed
def test_a_request_to_stop_reaches_all(recipe: Path, tmp_path: Path, workers: Workers) -> None:
    asked: list[bool] = []

    class Stopper(tiny.Listener):
        def step(self, *arguments: Any) -> None:
            super().step(*arguments)
            asked.append(True)

    prepared = prepare(
        str(recipe),
        {"training.default.steps": 3000},
        Options(store=tmp_path, threads=1, checkpoint_seconds=9999),
    )
    listener = Stopper()
    with pytest.raises(Interrupted, match="of 3000: stopped on request"):
        run(prepared, workers, listener, stop=lambda: bool(asked))
    assert listener.ended == {}
    # Each process wrote a checkpoint, and none was killed for it.
    assert len(list((tmp_path / "checkpoints").glob("*/checkpoint.pt"))) == 2
    assert all(Store(tmp_path).ended(key) is not None for key in prepared.plan.stages)


@pytest.mark.distributed
def test_a_walk_that_stops_leaves_its_neighbour_alone(recipe: Path, tmp_path: Path, workers: Workers) -> None:
    """As a trial that is pruned, whose neighbours go on."""
    options = Options(store=tmp_path, threads=1, checkpoint_seconds=9999)
    long = prepare(str(recipe), {"methods": ["target"], "training.default.steps": 3000}, options)
    methods = {"methods": ["stack(reply, target)"], "report.baseline": "stack(reply, target)"}
    short = prepare(str(recipe), methods, options)
    asked = threading.Event()

    class Stopper(tiny.Listener):
        def stage_started(self, stage: Any, number: int, count: int) -> None:
            asked.set()

    listener = tiny.Listener()
    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(run, long, workers, tiny.Listener(), asked.is_set)
        assert run(short, workers, Stopper()).errors == []
        with pytest.raises(Interrupted):
            stopped.result()
    # The process that was asked to stop is as good as before.
    assert run(prepared_of(recipe, tmp_path), workers, listener).errors == []


def test_scores_come_from_the_workers(backbone_folder: Path, tmp_path: Path) -> None:
    prepared = prepared_of(studies.write_recipe(tmp_path, backbone_folder), tmp_path / "store")
    heard: list[tuple[str, int]] = []
    with closing(Workers(Site.of(prepared), 2)) as workers:
        walk(
            prepared.plan,
            prepared.missing,
            Site.of(prepared).open(lambda: False),
            tiny.Listener(),
            executor=workers,
            on_score=lambda stage, step, score: heard.append((stage.name, step)),
        )
    assert heard == [(FIRST, 2), (FIRST, 4)]


# ---- signals


def command_of(recipe: Path, folder: Path, *more: str) -> list[str]:
    options = ["--store", folder / "store", "--out", folder / "out", "--threads", 1, "--workers", 2, *more]
    code = (
        "from adapterstilts.runner import site; site.cores = lambda: 2\n"
        "from adapterstilts.cli.main import main\n"
        "if __name__ == '__main__': main()"
    )
    return [sys.executable, "-c", code, "recipe", "run", *map(str, [recipe, *options])]


def begun(process: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    """Wait until both workers train; return them."""
    until = time.monotonic() + 90
    while len(list(folder.glob("store/checkpoints/*/checkpoint.pt"))) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.distributed
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL, process groups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_command(recipe: Path, tmp_path: Path, number: signal.Signals) -> None:
    command = command_of(recipe, tmp_path, "training.default.steps=3000", "--checkpoint-seconds", "0")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers = begun(process, tmp_path)
    assert len(workers) >= 2
    if number == signal.SIGINT:
        # A terminal tells all processes; only the first of them is to act.
        os.killpg(process.pid, number)
    else:
        process.kill()
    out, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert (process.returncode, out) == (130, ""), err
        assert "Traceback" not in err
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    store = Store(tmp_path / "store")
    assert not list((store.root / "staging").iterdir())
    steps = [
        torch.load(path, weights_only=True)["progress"]["step"]
        for path in store.root.glob("checkpoints/*/checkpoint.pt")
    ]
    assert len(steps) == 2
    assert all(0 < step < 3000 for step in steps)


# ---- cores, devices, messages


@pytest.mark.parametrize(
    ("workers", "threads", "expected"), [(1, None, 8), (1, 16, 16), (2, None, 4), (3, None, 2), (2, 4, 4)]
)
def test_workers_share_the_cores_out(
    monkeypatch: pytest.MonkeyPatch, workers: int, threads: int | None, expected: int
) -> None:
    monkeypatch.setattr(site_module, "cores", lambda: 8)
    assert compute_threads(Options(workers=workers, threads=threads)) == expected


@pytest.mark.parametrize(("workers", "threads"), [(2, 5), (9, None)])
def test_too_many_threads_are_refused(
    monkeypatch: pytest.MonkeyPatch, workers: int, threads: int | None
) -> None:
    monkeypatch.setattr(site_module, "cores", lambda: 8)
    with pytest.raises(UsageError, match="on 8 cores; give fewer workers or --threads"):
        compute_threads(Options(workers=workers, threads=threads))


def test_processes_of_a_stage_share_the_cores_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "cores", lambda: 8)
    assert compute_threads(Options(workers=2), 2) == 2
    what = "--workers: 2 workers of 2 processes of 3 threads on 8 cores; give fewer workers, devices or --threads"
    with pytest.raises(UsageError, match=what):
        compute_threads(Options(workers=2, threads=3), 2)
    with pytest.raises(UsageError, match="--device: 1 workers of 9 processes of 1 threads on 8 cores"):
        compute_threads(Options(), 9)


def test_a_cluster_has_its_own_number_of_workers() -> None:
    with pytest.raises(UsageError, match="leave it out: a cluster runs as many stages as it has room for"):
        compute_threads(Options(executor="ray", workers=2))


def test_each_worker_has_a_device(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    site = dataclasses.replace(Site.of(prepared_of(recipe, tmp_path)), device="cuda")
    with closing(Workers(site, 3)) as workers:
        assert [worker.devices for worker in workers._all] == [("2",), ("5",), ("2",)]


def test_each_worker_has_its_part_of_the_devices_that_were_named(recipe: Path, tmp_path: Path) -> None:
    site = Site.of(prepared_of(recipe, tmp_path))
    site = dataclasses.replace(site, device="cuda", devices=("7", "5", "3", "1"))
    with closing(Workers(site, 2)) as workers:
        assert [worker.devices for worker in workers._all] == [("7", "5"), ("3", "1")]


def test_a_named_device_is_a_workers(recipe: Path, tmp_path: Path) -> None:
    with closing(open_executor(prepared_of(recipe, tmp_path, device="cpu:0"))) as executor:
        assert isinstance(executor, Workers) and executor.slots == 1


def test_one_executor_serves_several_runs(recipe: Path, tmp_path: Path) -> None:
    """As the trials of a study do, whose backbone is loaded once."""
    methods = [["target"], ["target", "stack(reply, target)"]]
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    prepared = [prepare(str(recipe), {"methods": own}, options) for own in methods]
    started: list[str] = []
    with closing(open_executor(prepared[0])) as executor:
        real = executor.start

        def start(work: Any, follower: Any) -> Any:
            started.append(work.stage.name)
            return real(work, follower)

        executor.start = start  # type: ignore[method-assign]
        trained = [execute(one, executor=executor).trained for one in prepared]
        assert isinstance(executor, Here)
        assert executor._context._backbone is not None
    assert (trained, len(started)) == ([2, 3], 5)


def test_a_tracker_that_cannot_be_sent_is_refused(recipe: Path, tmp_path: Path) -> None:
    site = Site.of(prepared_of(recipe, tmp_path), [lambda: None])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="trackers: cannot be sent to a worker process"):
        Workers(site, 2)


def test_steps_are_told_now_and_then() -> None:
    told: list[int] = []
    now = iter(range(100))
    pass_on = now_and_then(lambda step, *_: told.append(step), 5, clock=lambda: float(next(now)))
    for step in range(1, 21):
        pass_on(step, 20, 0.5, 1.0)
    assert (told[0], told[-1]) == (1, 20)
    assert 2 < len(told) < 8


def test_a_stage_can_be_sent(recipe: Path, tmp_path: Path) -> None:
    for stage in prepared_of(recipe, tmp_path).plan.stages.values():
        assert pickle.loads(pickle.dumps(stage)) == stage


def test_a_full_disk_ends_all(recipe: Path, tmp_path: Path, workers: Workers) -> None:
    prepared = prepared_of(recipe, tmp_path)
    (tmp_path / "staging").rmdir()
    (tmp_path / "staging").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="--store"):
        run(prepared, workers, tiny.Listener())
