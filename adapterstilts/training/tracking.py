"""A small hook for training curves: the stage writes JSON lines, anyone else may listen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from adapterstilts.errors import EnvironmentFault, Fault

TENSORBOARD_FOLDER = "tensorboard"
"""Below a run's results."""
VALIDATION = "validation"
"""What a score on validation data is called, where training logs it and where its results tell the best one."""


class Tracker(Protocol):
    """Receives what training measures; write one for any tracking service."""

    def start(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Take note that a stage begins, with its name and its spec as plain data."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Receive the values after `step`: loss, learning_rate ..."""

    def finish(self) -> None:
        """Take note that the stage has ended."""


class TensorBoard:
    """Writes curves that TensorBoard shows, one run a stage.

    Args:
        folder: the log folder, for ``tensorboard --logdir``.

    Raises:
        EnvironmentFault: when TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            remedy = "pip install 'adapterstilts[tensorboard]'"
            raise EnvironmentFault(Fault("tensorboard", "the package is not installed", remedy)) from error
        self._make = SummaryWriter
        self._folder = folder
        self._writer: Any = None

    def start(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Open the stage's run, and note its settings."""
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in stage)
        self._writer = self._make(str(self._folder / safe))
        self._writer.add_text("settings", "```json\n" + json.dumps(settings, indent=1) + "\n```")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one point a value."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        """Close the stage's run."""
        self._writer.close()
