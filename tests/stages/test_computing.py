"""What computes a stage is what its plan says, and nothing confidential is kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toys import head_of, toy

from adapterstilts.data.encoding.columns import join
from adapterstilts.engine.assembly import EngineAssembly
from adapterstilts.engine.encoder import FrozenEncoder
from adapterstilts.engine.kept import Keeping
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.paths import ENGINE, LIBRARY
from adapterstilts.specs import AdapterSpec, Numerics
from adapterstilts.stages.computing import computing

UPPER = AdapterSpec("seq_bn", 4, skip_layers=2)
WHOLE = AdapterSpec("seq_bn", 4)
NUMERICS = Numerics(ENGINE, "fp32")


class Context:
    """Gives an encoder, a place to keep states, and encodings by the name of a use's kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encoder(self, backbone: Backbone, precision: Any) -> FrozenEncoder:
        return FrozenEncoder(backbone.model, precision)

    def keeping(self, numerics: Numerics) -> Keeping:
        return Keeping(self.folder, 10**9, {"path": numerics.path})

    def encoded(self, use: Any, backbone: Backbone, settings: Any) -> Any:
        return toy(use.task.kind, 12, use.seed)


def use(kind: str = "classification", *, seed: int = 1, confidential: bool = False) -> Any:
    return SimpleNamespace(task=SimpleNamespace(kind=kind, confidential=confidential), seed=seed)


@pytest.fixture
def context(tmp_path: Path) -> Any:
    return Context(tmp_path / "prefix")


def kept(context: Any) -> int:
    return len(list(context.folder.glob("*")))


def blueprint(adapter: AdapterSpec | None, kind: str = "classification") -> Blueprint:
    return Blueprint("stack()" if adapter is None else "self", adapter=adapter, heads=(head_of(kind),))


def test_the_librarys_path_is_the_library(backbone: Backbone, context: Any) -> None:
    with (
        assembled(backbone, blueprint(UPPER)) as assembly,
        computing(assembly, Numerics(LIBRARY, "fp32"), context) as work,
    ):
        assert work.assembly is assembly
        encoded = work.encoded([use(), use(seed=2)], None)  # type: ignore[arg-type]
        assert set(encoded.per_token) == set(toy("classification").per_token)
        assert len(encoded) == 24
    assert kept(context) == 0


@pytest.mark.parametrize(("adapter", "layers"), [(WHOLE, None), (UPPER, 2), (None, 3)])
def test_the_engine_is_given_what_lies_below_the_lowest_adapter(
    backbone: Backbone, context: Any, adapter: AdapterSpec | None, layers: int | None
) -> None:
    with (
        assembled(backbone, blueprint(adapter)) as assembly,
        computing(assembly, NUMERICS, context) as work,
    ):
        assert isinstance(work.assembly, EngineAssembly)
        prefix = work.assembly.prefix
        assert (None if prefix is None else prefix.layers) == layers
        work.encoded([use()], None)  # type: ignore[arg-type]
    assert kept(context) == (layers is not None)


def test_no_layer_above_the_one_that_is_read_is_kept(backbone: Backbone, context: Any) -> None:
    with (
        assembled(backbone, Blueprint("stack()")) as assembly,
        computing(assembly, NUMERICS, context, stop=1) as work,
    ):
        assert isinstance(work.assembly, EngineAssembly) and work.assembly.prefix is not None
        assert work.assembly.prefix.layers == 1


def test_nothing_confidential_is_kept(backbone: Backbone, context: Any) -> None:
    found = []
    for confidential in (True, False):
        with (
            assembled(backbone, blueprint(UPPER)) as assembly,
            computing(assembly, NUMERICS, context) as work,
            torch.inference_mode(),
        ):
            uses = [use(), use(seed=2, confidential=confidential)]
            encoded = work.encoded(uses, None)  # type: ignore[arg-type]
            assert kept(context) == (0 if confidential else 2)
            found.append(_states(work.assembly, encoded))
    assert torch.equal(*found)


def _states(assembly: Any, encoded: Any) -> torch.Tensor:
    from adapterstilts.data.tensors import collate

    states: torch.Tensor = assembly.hidden(collate(encoded, range(len(encoded)), torch.device("cpu")), 3)
    return states


def test_a_text_that_is_masked_anew_at_every_step_has_no_states(backbone: Backbone, context: Any) -> None:
    with (
        assembled(backbone, blueprint(UPPER, "mlm")) as assembly,
        computing(assembly, NUMERICS, context) as work,
    ):
        encoded = work.encoded([use("mlm")], None)  # type: ignore[arg-type]
        assert set(encoded.per_token) == set(join([toy("mlm", 12)]).per_token)
    assert kept(context) == 0
