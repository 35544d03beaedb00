"""Stages on a Ray cluster of several nodes on this machine: the same bits, also when a node dies."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tiny
from servers import needs_ray, node_of

from adapterstilts.backbones import KNOWN
from adapterstilts.errors import EnvironmentFault, Interrupted, StageFailed
from adapterstilts.runner.execute import open_executor
from adapterstilts.runner.needs import Needs, needs_of
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.runner.site import Site
from adapterstilts.runner.walk import walk
from adapterstilts.store.store import Store

from .examples import stage
from .examples import write_recipe as write_plain

distributed = pytest.mark.distributed
# Ray warns of what other versions of it will do.
quiet = pytest.mark.filterwarnings("ignore")

FIRST = "target/topics/target@0"


def run(
    recipe: Path, listener: tiny.Listener, stop: Any = lambda: False, overrides: Any = (), **options: Any
) -> Any:
    prepared = prepare(str(recipe), overrides, Options(threads=1, executor="ray", **options))
    context = Site.of(prepared).open(stop)
    with closing(open_executor(prepared)) as executor:
        return walk(prepared.plan, prepared.missing, context, listener, executor=executor)


@needs_ray
@distributed
@quiet
def test_a_cluster_makes_what_one_machine_makes(
    recipe: Path, tmp_path: Path, cluster: Any, alone: dict[str, dict[str, str]]
) -> None:
    listener = tiny.Listener()
    assert run(recipe, listener, store=tmp_path).errors == []
    assert listener.ended == dict.fromkeys(alone, "done")
    assert tiny.digests(Store(tmp_path)) == alone
    assert {artifact.record.provenance["threads"] for artifact in Store(tmp_path).artifacts()} == {1}


@needs_ray
@distributed
@quiet
def test_nodes_without_a_common_folder_meet_at_a_url(
    recipe: Path, tmp_path: Path, cluster: Any, alone: dict[str, dict[str, str]]
) -> None:
    url = (tmp_path / "there").as_uri()
    listener = tiny.Listener()
    assert run(recipe, listener, store=tmp_path / "store", mirror=url).errors == []
    assert listener.ended == dict.fromkeys(alone, "done")
    nodes = [Store(path) for path in (tmp_path / "store" / "nodes").iterdir()]
    assert len(nodes) == 2
    for store in nodes:
        assert store.verify() == []
        assert len(tiny.digests(store)) > 0
    # A machine that comes later has everything, and nothing to do.
    late = tiny.Listener()
    assert run(recipe, late, store=tmp_path / "late", mirror=url).count("cached") == len(alone)
    assert tiny.digests(Store(tmp_path / "late")) == alone


@needs_ray
@distributed
@quiet
def test_a_node_that_dies_is_replaced(
    recipe: Path, tmp_path: Path, cluster: Any, alone: dict[str, dict[str, str]]
) -> None:
    store = Store(tmp_path)
    victims: list[str] = []

    class Killer(tiny.Listener):
        def step(self, stage: Any, *rest: Any) -> None:
            super().step(stage, *rest)
            if not victims:
                victims.append(stage.name)
                cluster.remove_node(node_of(cluster, store, stage.key), allow_graceful=False)

    # Long enough that a report of its steps is seen while a stage runs.
    longer = {"training.default.steps": 300}
    reference = Store(tmp_path / "reference")
    tiny_prepared = prepare(str(recipe), longer, Options(store=reference.root))
    walk(tiny_prepared.plan, tiny_prepared.missing, tiny.context_of(tiny_prepared), tiny.Listener())
    listener = Killer()
    outcome = run(recipe, listener, overrides=longer, store=tmp_path, lease_seconds=2.0)
    assert outcome.errors == []
    assert victims
    assert set(listener.ended.values()) == {"done"}
    assert sum(node["Alive"] for node in nodes()) == 2
    assert tiny.digests(store) == tiny.digests(reference)


def nodes() -> list[Any]:
    import ray

    found: list[Any] = ray.nodes()
    return found


@needs_ray
@distributed
@quiet
def test_a_request_to_stop_reaches_the_nodes(recipe: Path, tmp_path: Path, cluster: Any) -> None:
    asked: list[bool] = []

    class Stopper(tiny.Listener):
        def step(self, *arguments: Any) -> None:
            asked.append(True)

    with pytest.raises(Interrupted, match="stopped"):
        run(
            recipe,
            Stopper(),
            lambda: bool(asked),
            {"training.default.steps": 20000},
            store=tmp_path,
            checkpoint_seconds=9999,
        )
    assert len(list((tmp_path / "checkpoints").glob("*/checkpoint.pt"))) == 2


@needs_ray
@distributed
@quiet
def test_a_stage_that_kills_its_process_fails_alone(
    recipe: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapterstilts.runner import cluster as cluster_module

    monkeypatch.setattr(cluster_module, "_RETRIES", 1)
    real = cluster_module._perform

    def deadly(data: bytes, work: bytes, board: Any, number: int) -> bytes:
        import pickle

        if pickle.loads(work).stage.name == "target/topics/target@0":
            os._exit(9)
        return real(data, work, board, number)

    monkeypatch.setattr(cluster_module, "_perform", deadly)
    listener = tiny.Listener()
    (error,) = run(recipe, listener, store=tmp_path).errors
    assert isinstance(error, StageFailed)
    assert f"{FIRST}: Ray gave it up after 2 tries" in str(error)
    assert listener.ended["intermediate/pairs@0"] == "done"
    assert listener.ended["evaluate/topics.en.test/target@0"] == "skipped"


@needs_ray
@distributed
@quiet
def test_a_cluster_without_room_is_refused(recipe: Path, tmp_path: Path, cluster: Any) -> None:
    from adapterstilts.runner.cluster import OnRay

    site = Site.of(prepare(str(recipe), options=Options(store=tmp_path, threads=8)))
    with pytest.raises(EnvironmentFault, match="no node of the cluster has 8 CPUs; give --threads"):
        OnRay(site)


def test_without_ray_it_is_said_what_to_install(recipe: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from adapterstilts.cli.main import run\n"
        f"sys.exit(run(['recipe', 'run', {str(recipe)!r}, '--executor', 'ray', '--store', {str(tmp_path)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 4
    assert "--executor ray: ray is not installed; pip install 'adapterstilts[ray]'" in done.stderr


# ---- what a stage needs


def test_a_stage_says_what_it_needs(tmp_path: Path) -> None:
    prepared = prepare(str(write_plain(tmp_path)), options=Options(store=tmp_path / "store", device="cpu"))
    adapter = stage(prepared.plan, "target/topics/target@0")
    full = stage(prepared.plan, "target/topics/full_finetune@0")
    large = KNOWN["FacebookAI/xlm-roberta-large"].sizes
    numbers = large.matrices + large.others

    def needs(one: Any, sizes: Any = large, device: str = "cpu") -> Needs:
        return needs_of(one, lambda key: {"kind": "train_adapter"}, sizes, threads=3, device=device)

    assert needs(adapter, None) == Needs(3, 0, None)
    frozen, whole = needs(adapter).memory, needs(full).memory
    assert frozen is not None and whole is not None
    # With a margin: the weights, and laid out for products; a copy, gradients and moments beside the weights.
    assert 1.25 * 4 * (numbers + large.matrices) < frozen < whole
    assert whole > 1.25 * 20 * numbers
    # On a device only the loading takes the machine's own memory.
    on_gpu = needs(full, device="cuda")
    assert (on_gpu.cpus, on_gpu.gpus) == (3, 1)
    assert on_gpu.memory == int(1.25 * ((3 << 30) + 4 * numbers))
