"""Several processes on one store: each stage is trained once, whoever dies or stands still."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import tiny

from adapterstilts.errors import Interrupted
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.specs import WEIGHTS_FILE
from adapterstilts.store.store import Store

from .test_walk import failing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL, SIGSTOP")
FIRST = "target/topics/target@0"
WHOLE = "intermediate/full(reply)@0"


class Slow(tiny.Listener):
    """Takes its time over every step, so that others meet the stage."""

    def step(self, *arguments: Any) -> None:
        super().step(*arguments)
        time.sleep(0.02)


def share(recipe: str, options: Options, told: str) -> None:
    """One of several processes."""
    listener = Slow()
    tiny.train(recipe, options, listener)
    Path(told).write_text(json.dumps([listener.ended, listener.first]), encoding="utf-8")


def told(path: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Return stage -> status and stage -> first step of a process."""
    ended, first = json.loads(path.read_text(encoding="utf-8"))
    return ended, first


def done(paths: list[Path]) -> Counter[str]:
    """Return how often each stage was trained to its end."""
    return Counter(name for path in paths for name, status in told(path)[0].items() if status == "done")


def eventually(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 90
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def key_of(recipe: Path, options: Options, name: str) -> str:
    plan = prepare(str(recipe), options=options).plan
    return next(key for key, stage in plan.stages.items() if stage.name == name)


def test_three_processes_share_a_plan(recipe: Path, tmp_path: Path, alone: dict[str, dict[str, str]]) -> None:
    options = Options(store=tmp_path / "store")
    paths = [tmp_path / f"{n}.json" for n in range(3)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(tiny.child(share, str(recipe), options, str(path))) for path in paths
        ]
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0, 0]
    assert done(paths) == Counter(list(alone))
    assert tiny.digests(Store(tmp_path / "store")) == alone
    assert all(set(told(path)[0]) == set(alone) for path in paths)
    # They went on with other stages in place of waiting.
    assert sum(bool(done([path])) for path in paths) >= 2


def test_what_a_killed_process_was_at_is_finished_by_another(
    recipe: Path, tmp_path: Path, alone: dict[str, dict[str, str]]
) -> None:
    options = Options(store=tmp_path / "store", checkpoint_seconds=0.0)
    paths = [tmp_path / f"{n}.json" for n in range(3)]
    with ExitStack() as stack:
        killed = stack.enter_context(
            tiny.child(share, str(recipe), options, str(paths[0]), kill_at="optimiser_step:3")
        )
        eventually((tmp_path / "store" / "leases" / key_of(recipe, options, FIRST)).exists)
        others = [
            stack.enter_context(tiny.child(share, str(recipe), options, str(path))) for path in paths[1:]
        ]
        for process in (killed, *others):
            process.join(120)
        assert [process.exitcode for process in (killed, *others)] == [-signal.SIGKILL, 0, 0]
    assert done(paths[1:]) == Counter(list(alone))
    # The checkpoint is that after the second step.
    assert [told(path)[1][FIRST] for path in paths[1:] if FIRST in told(path)[1]] == [3]
    assert tiny.digests(Store(tmp_path / "store")) == alone


def test_a_process_that_stood_still_finds_its_stage_made(
    recipe: Path, tmp_path: Path, alone: dict[str, dict[str, str]]
) -> None:
    options = Options(store=tmp_path / "store", checkpoint_seconds=0.0, lease_seconds=1.0)
    key = key_of(recipe, options, FIRST)
    store = Store(tmp_path / "store")
    paths = [tmp_path / f"{n}.json" for n in range(2)]
    with tiny.child(share, str(recipe), options, str(paths[0])) as stopped:
        eventually((store.checkpoint(key) / "checkpoint.pt").exists)
        os.kill(stopped.pid, signal.SIGSTOP)
        assert store.find(key) is None
        assert tiny.run_in_child(share, str(recipe), options, str(paths[1])) == 0
        assert done([paths[1]]) == Counter(list(alone))
        made = (store.path(key) / "record.json").stat()
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.join(60)
        assert stopped.exitcode == 0
    assert set(told(paths[0])[0].values()) == {"cached"}
    after = (store.path(key) / "record.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert tiny.digests(store) == alone
    assert store.verify() == []
    store.collect_garbage()
    assert not list((store.root / "checkpoints").iterdir())
    assert not list((store.root / "staging").iterdir())


# ---- what another process does meanwhile, in this one


def publish_meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception | None) -> list[str]:
    """Let a successor take over and publish while a stage runs; then the stage ends, or stumbles."""
    from adapterstilts.stages import STAGES

    real, seen = STAGES["train_adapter"], []

    def stage_function(stage: Stage, context: Any, workspace: Path) -> dict[str, Any]:
        results = real(stage, context, workspace)
        if stage.name == name and not seen:
            seen.append(name)
            lease = context.store.lease(stage.key, after=1)
            assert lease is not None
            with lease:
                pass
            if error is not None:
                raise error
        return results

    monkeypatch.setitem(STAGES, "train_adapter", stage_function)  # type: ignore[arg-type]
    return seen


@pytest.mark.parametrize("error", [None, FileNotFoundError("what the successor has removed")])
def test_who_was_given_up_publishes_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    published: list[str] = []
    real = Store.publish
    monkeypatch.setattr(
        Store,
        "publish",
        lambda self, key, *rest, **more: (published.append(key), real(self, key, *rest, **more))[1],
    )
    assert publish_meanwhile(monkeypatch, FIRST, error) == []
    listener = tiny.Listener()
    options = Options(store=tmp_path)
    outcome = tiny.train(str(recipe), options, listener)
    # The successor let go without an artifact, so the stage was run again, and published once.
    assert published.count(key_of(recipe, options, FIRST)) == 1
    assert outcome.count("done") == len(outcome.status)
    assert listener.ended[FIRST] == "done"


def test_waiting_can_be_stopped(recipe: Path, tmp_path: Path) -> None:
    options = Options(store=tmp_path)
    store = Store(tmp_path)
    listener = tiny.Listener()
    held = [store.lease(key) for key in prepare(str(recipe), options=options).plan.stages]
    assert all(held)
    asked = iter([False] * 20 + [True])
    with pytest.raises(Interrupted, match="stopped before it"):
        tiny.train(str(recipe), options, listener, stop=lambda: next(asked))
    assert set(listener.why.values()) == {"waiting"}
    assert listener.ended == {}


def test_a_model_whose_weights_another_process_brought_back_is_taken(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(store=tmp_path)
    tiny.train(str(recipe), options)
    changes = {"targets.0.languages": ["en", "xx"]}
    before = prepare(str(recipe), changes, options)
    assert WEIGHTS_FILE in Store(tmp_path).get(key_of(recipe, options, WHOLE)).record.dropped
    # Another process stops after the whole models are there again, before it can let them go.
    failing(monkeypatch, "evaluate", "evaluate/topics.xx.test/full_stilts(reply)@0", Interrupted())
    with pytest.raises(Interrupted):
        run(prepare(str(recipe), changes, options))
    monkeypatch.undo()
    listener = tiny.Listener()
    run(before, listener)
    assert listener.ended["target/topics/full_stilts(reply)@0"] == "cached"
    assert listener.ended["evaluate/topics.xx.test/full_stilts(reply)@0"] == "done"


def run(prepared: Any, listener: tiny.Listener | None = None) -> Any:
    from adapterstilts.runner.walk import walk

    return walk(prepared.plan, prepared.missing, tiny.context_of(prepared), listener or tiny.Listener())
