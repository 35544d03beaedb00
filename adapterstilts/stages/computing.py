"""What computes a stage, and the data that it reads: the library's assembly, or the engine's in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from adapterstilts.data.encoding.columns import Encoded, join
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.engine.adapters import adapter_free
from adapterstilts.engine.assembly import EngineAssembly
from adapterstilts.engine.lower import LowerStates
from adapterstilts.model.assembly import Assembly
from adapterstilts.model.heads import MASKED
from adapterstilts.paths import LIBRARY
from adapterstilts.recipe.plan import DataUse
from adapterstilts.specs import Numerics
from adapterstilts.stages.context import Context


@dataclass(frozen=True)
class Computing:
    """A stage at work.

    Attributes:
        assembly: what computes.
        context: the process.
        lower: the states below the lowest adapter; None where they are computed batch by batch.
    """

    assembly: Assembly
    context: Context
    lower: LowerStates | None = None

    def encoded(self, uses: Sequence[DataUse], settings: Settings) -> Encoded:
        """Return the encoding of the parts of one task, joined.

        Args:
            uses: the parts.
            settings: how they are encoded.

        Raises:
            DataError: when they cannot be read.
        """
        parts = [self.context.encoded(use, self.assembly.backbone, settings) for use in uses]
        # What is hidden of a text is drawn anew at every step, so nothing of it can be kept.
        if uses[0].task.kind == MASKED:
            return join(parts)
        return self.placed(parts, keep=not any(use.task.confidential for use in uses))

    def placed(self, parts: Sequence[Encoded], *, keep: bool) -> Encoded:
        """Return encoded parts joined, with their states where these are given.

        Args:
            parts: of one task.
            keep: whether a copy of the states may stay on the disk.
        """
        return join(parts) if self.lower is None else self.lower.add(parts, keep=keep)


@contextmanager
def computing(
    assembly: Assembly, numerics: Numerics, context: Context, *, stop: int | None = None
) -> Iterator[Computing]:
    """Yield what computes a stage.

    Where the lowest layers carry no adapter, the engine takes their states from one layout, kept or not
    (`adapterstilts.engine.kept`).

    Args:
        assembly: in place, with what trains and the dropout of the backbone as the stage has them.
        numerics: of the stage.
        context: the process.
        stop: hidden state that is read; the last one by default.

    Raises:
        EngineError: for what the engine does not compute.
    """
    if numerics.path == LIBRARY:
        yield Computing(assembly, context)
        return
    encoder = context.encoder(assembly.backbone, numerics.precision)
    engine = EngineAssembly.of(assembly, encoder)
    layers = min(adapter_free(engine.blocks), encoder.layers if stop is None else stop)
    if layers == 0:
        yield Computing(engine, context)
        return
    lower = LowerStates(encoder, layers, context.keeping(numerics))
    try:
        yield Computing(replace(engine, prefix=lower.prefix), context, lower)
    finally:
        lower.keeping.close()
