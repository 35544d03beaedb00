"""What all tests share: one thread, no way to the user's own folders, and one finished run of the tiny recipe."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before anything imports torch, and for the processes that tests start.
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    MPLBACKEND="agg",
)
os.environ.pop("ADAPTERSTILTS_STORE", None)

import kinds
import pytest
import servers
import tiny

if TYPE_CHECKING:
    import torch

    from adapterstilts.model.backbone import Backbone
    from adapterstilts.runner.execute import Run
    from adapterstilts.runner.prepare import Options
    from adapterstilts.stages.context import Context


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random backbone."""
    return tiny.write_backbone(tmp_path_factory.mktemp("backbone") / "model")


@pytest.fixture(scope="session")
def shared_backbone(backbone_folder: Path) -> Backbone:
    """The tiny backbone, loaded once; `backbone` checks that a test leaves it as it was."""
    import torch

    from adapterstilts.model.backbone import load_backbone
    from adapterstilts.specs import BackboneSpec

    torch.set_num_threads(1)
    spec = BackboneSpec("files:tiny", None)
    loaded = load_backbone(spec, backbone_folder, torch.device("cpu"), offline=True)
    loaded.model.requires_grad_(False)
    return loaded


@pytest.fixture
def backbone(shared_backbone: Backbone) -> Iterator[Backbone]:
    """The tiny backbone; fails the test that leaves anything on it."""
    before = state_of(shared_backbone)
    yield shared_backbone
    assert state_of(shared_backbone) == before


def state_of(backbone: Backbone) -> dict[str, Any]:
    """Return all that a test could leave behind, weights by digest."""
    import hashlib

    from torch import nn

    model = backbone.model
    digests = {
        name: hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest()
        for name, tensor in model.state_dict().items()
    }
    return {
        "weights": digests,
        "trainable": [name for name, parameter in model.named_parameters() if parameter.requires_grad],
        "gradients": [name for name, parameter in model.named_parameters() if parameter.grad is not None],
        "training": [name for name, module in model.named_modules() if module.training],
        "dropout": {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)},
        "modules": [name for name, _ in model.named_modules()],
        "adapters": dict(model.adapters_config.adapters),
        "fusions": dict(model.adapters_config.fusions),
        "active": str(model.active_adapters),
        "heads": list(model.heads),
        "active_head": model.active_head,
    }


@dataclass(frozen=True)
class Done:
    """A finished run.

    Attributes:
        recipe: its file.
        options: as it was run.
        run: its results.
    """

    recipe: Path
    options: Options
    run: Run

    @property
    def keys(self) -> dict[str, str]:
        """Stage name -> key."""
        return {stage.name: key for key, stage in self.run.prepared.plan.stages.items()}

    def path(self, name: str) -> Path:
        """Return a stage's folder in the store."""
        return self.run.prepared.store.path(self.keys[name])

    def context(self) -> Context:
        """Return what a stage of this run is given."""
        return tiny.context_of(self.run.prepared)


@pytest.fixture(scope="session")
def done(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The tiny recipe with all methods, run once. Tests read its store and add to it, but change nothing."""
    from adapterstilts.runner.execute import execute
    from adapterstilts.runner.prepare import Options, prepare

    folder = tmp_path_factory.mktemp("done")
    recipe = tiny.write_recipe(folder, backbone_folder)
    options = Options(store=folder / "store", out=folder / "out", threads=1)
    run = execute(prepare(str(recipe), options=options))
    run.raise_failures()
    return Done(recipe, options, run)


@contextmanager
def tiny_package(backbone_folder: Path) -> Iterator[None]:
    """Let there be a package `tiny` that holds the tiny backbone."""
    from adapterstilts import backbones
    from adapterstilts.stages import convert

    def copy(package: str, version: str, target: Path) -> None:
        assert (package, version) == ("tiny", "1")
        shutil.copytree(backbone_folder, target, dirs_exist_ok=True)

    known = backbones.KnownBackbone(
        "1", layers=3, hidden=32, heads=4, vocabulary=107, parameters=30_000, retrieval_layer=1, note="tiny"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.KNOWN, "package:tiny", known)  # type: ignore[arg-type]
        patch.setattr(convert, "convert_package", copy)
        yield


@pytest.fixture(scope="session")
def packaged(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One task a kind, on a backbone that came out of a package and so lies in the store; whole models are kept."""
    from adapterstilts.runner.execute import execute
    from adapterstilts.runner.prepare import Options, prepare

    folder = tmp_path_factory.mktemp("packaged")
    recipe = tiny.write_recipe(
        folder,
        "package:tiny",
        methods=["target", "full_finetune"],
        languages=["en"],
        more_targets=["pairs", "reply"],
        seeds=[0],
    )
    options = Options(store=folder / "store", out=folder / "out", threads=1, keep=True)
    with tiny_package(backbone_folder):
        run = execute(prepare(str(recipe), options=options))
    run.raise_failures()
    return Done(recipe, options, run)


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A target of every kind that trains, learned well enough to be told from chance."""
    from adapterstilts.runner.execute import execute
    from adapterstilts.runner.prepare import Options, prepare

    folder = tmp_path_factory.mktemp("kinds")
    recipe = kinds.write_recipe(folder, kinds.EVERY_KIND, steps=150)
    options = Options(store=folder / "store", out=folder / "out", threads=1)
    run = execute(prepare(str(recipe), {"training.by_task.spans.stride": 8}, options))
    run.raise_failures()
    return Done(recipe, options, run)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that is also home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def _keep_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    # A shell's background job ignores the signal, and Python then installs no handler of its own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def cpu() -> torch.device:
    """The CPU."""
    import torch

    return torch.device("cpu")


# ---- servers


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster; see `servers.ray_cluster`."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_health_check_period_ms", "500")
    with servers.ray_cluster() as made:
        yield made


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a local S3 server; the processes that a test starts after it find the server, too."""
    import fsspec

    with servers.s3_server() as endpoint:
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", endpoint),
        ):
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("studies")
        yield "s3://studies/one"


# ---- the command line


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout, which has to be one JSON document."""
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; only -v may show a traceback."""

    from adapterstilts.cli import main

    def run(*arguments: object, verbose: bool = False) -> Answer:
        capsys.readouterr()
        code = main.run([str(argument) for argument in arguments] + ["-v"] * verbose)
        captured = capsys.readouterr()
        assert ("Traceback" in captured.out + captured.err) <= verbose
        return Answer(code, captured.out, captured.err)

    return run
