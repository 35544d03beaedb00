"""An assembly that computes with the engine; the library's modules keep the parameters, save and load."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from adapterstilts.data.encoding.columns import IGNORED
from adapterstilts.data.masking import TOLD
from adapterstilts.data.tensors import Batch
from adapterstilts.engine.adapters import LayerBlocks, adapter_free, blocks_of
from adapterstilts.engine.coverage import uncovered
from adapterstilts.engine.encoder import FrozenEncoder, Tokens
from adapterstilts.engine.prefix import Prefix
from adapterstilts.errors import AdapterStiltsError, Fault
from adapterstilts.model.assembly import Assembly, head_name

# Kinds whose heads read the first token of a sequence and nothing else.
FIRST_TOKEN_KINDS = frozenset(
    {"classification", "multilabel", "regression", "multiple_choice", "multi_select"}
)


class EngineError(AdapterStiltsError):
    """The engine was asked for what it does not compute."""

    exit_code = 5


class _Output(tuple[Tensor]):
    """What a head of the library takes as the encoder's output."""

    hidden_states = attentions = None


def _refuse(assembly: Assembly, wrong: bool, what: str) -> None:
    if wrong:
        remedy = "write `path: library` under `training.default`"
        raise EngineError(
            Fault(assembly.blueprint.composition, f"the engine does not compute {what}", remedy)
        )


@dataclass
class EngineAssembly(Assembly):
    """The same function as the assembly that it is made of, without dropout in the backbone.

    Attributes:
        encoder: of the same backbone.
        blocks: the adapters of each layer.
        prefix: where the lowest layers' states come from; None to compute them.
    """

    encoder: FrozenEncoder
    blocks: tuple[LayerBlocks, ...] = field(repr=False)
    prefix: Prefix | None = None

    @classmethod
    def of(cls, assembly: Assembly, encoder: FrozenEncoder, prefix: Prefix | None = None) -> EngineAssembly:
        """Return an assembly that computes with the engine.

        Args:
            assembly: in place, with the intended parameters trainable.
            encoder: prepared from the same backbone.
            prefix: see the attribute.

        Raises:
            EngineError: for what the engine does not compute.
        """
        _refuse(assembly, not encoder.belongs_to(assembly.model), "a backbone with the weights of another")
        reason = uncovered(assembly)
        _refuse(assembly, bool(reason), reason)
        blocks = blocks_of(assembly)
        given = 0 if prefix is None else prefix.layers
        what = f"an adapter in the lowest {given} layers, whose states are given"
        _refuse(assembly, given > adapter_free(blocks), what)
        return cls(assembly.backbone, assembly.blueprint, assembly.fusion, encoder, blocks, prefix)

    def logits(self, batch: Batch, task: int = 0) -> Tensor:
        """Return a head's scores; their first axis is the batch's sequences (`adapterstilts.model.heads`)."""
        kind = self.blueprint.heads[task].kind
        if kind in FIRST_TOKEN_KINDS:
            states = self._states(batch, self.encoder.tokens(batch), first=True)[:, None]
        else:
            states = self.hidden(batch, self.encoder.layers)
        head = self.model.heads[head_name(self.blueprint.heads, task)]
        return self.head(task).logits(head(_Output((states.float(),)), return_dict=True))

    def _told(self, batch: Batch) -> Tensor:
        """Return the last states of a masked batch's hidden subwords, ``(told, hidden)``."""
        tokens = self.encoder.tokens(batch)
        # What is hidden is drawn anew at every step, so no states can be given for it.
        states = self._run(self.encoder.embed(tokens), tokens, 0, self.encoder.layers)
        chosen = tokens.packing.pack(batch.per_token[TOLD] != IGNORED).nonzero()[:, 0]
        return states.index_select(0, chosen).float()

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Return hidden state `layer`, ``(sequences, length, hidden)``, zero at padding; 0 is the embeddings."""
        tokens = self.encoder.tokens(batch)
        return tokens.packing.unpack(self._states(batch, tokens, stop=layer))

    def _states(
        self, batch: Batch, tokens: Tokens, *, stop: int | None = None, first: bool = False
    ) -> Tensor:
        """Return hidden state `stop`, the last by default: ``(tokens, hidden)``, or ``(sequences, hidden)``."""
        stop = self.encoder.layers if stop is None else stop
        if self.prefix is not None and self.prefix.layers <= stop:
            start, states = self.prefix.layers, self.prefix.states(batch).to(self.encoder.dtype)
        else:
            start, states = 0, self.encoder.embed(tokens)
        return self._run(states, tokens, start, stop, first=first)

    def _run(self, states: Tensor, tokens: Tokens, start: int, stop: int, *, first: bool = False) -> Tensor:
        """Return hidden state `stop` of hidden state `start`; see `FrozenEncoder.run`."""
        checkpointing = self.model.is_gradient_checkpointing
        return self.encoder.run(
            states, tokens, self.blocks, start, stop, first=first, checkpointing=checkpointing
        )
