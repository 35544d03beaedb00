"""A small recipe that executors run, and what one process makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from adapterstilts.runner.prepare import Options
from adapterstilts.store.store import Store

from .test_walk import METHODS


@pytest.fixture(scope="module")
def recipe(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One language, one seed, few steps."""
    return tiny.write_recipe(
        tmp_path_factory.mktemp("executed"),
        backbone_folder,
        methods=METHODS,
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=6,
    )


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What one process makes: stage -> file -> digest."""
    store = tmp_path_factory.mktemp("alone")
    torch.set_num_threads(1)
    tiny.train(str(recipe), Options(store=store))
    return tiny.digests(Store(store))
