"""What is measured on: a backbone as a folder, and real texts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from adapterstilts.backbones import KNOWN, PACKAGE_MODEL, PACKAGE_PREFIX
from adapterstilts.data.load import load_split
from adapterstilts.data.rows import TextRow
from adapterstilts.data.sources import DataRoots
from adapterstilts.errors import DataError, Fault
from adapterstilts.model.tokenizers import load_tokenizer
from adapterstilts.tasks.catalogue import get

_TWEETS = ("umsab/*/*_text.txt", "tweeteval/*/*_text.txt")
_DIALOGUES = "dialogue-topics"


def data_folder() -> Path:
    """Return where the data sets are: ``$ADAPTERSTILTS_TEST_DATA``, or ``../shared/data`` beside the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("ADAPTERSTILTS_TEST_DATA", beside))


def tweets(folder: Path, count: int) -> list[str]:
    """Return `count` different tweets.

    Raises:
        DataError: when the folder holds none.
    """
    real = _tweets(folder)
    if not real:
        what = f"holds no tweets: {' or '.join(_TWEETS)}"
        raise DataError(Fault(str(folder), what, "set ADAPTERSTILTS_TEST_DATA or --data to the data sets"))
    return _numbered(real, count)


def texts(folder: Path, count: int) -> list[str]:
    """Return `count` different texts: tweets from all over the data sets, or the dialogues of the quickstart."""
    real = _tweets(folder) or _dialogues()
    step = max(1, len(real) // count)
    return _numbered(real[::step], count)


def backbone_folder(model: str, target: Path) -> Path:
    """Return the folder of a backbone: `model` itself, or that of a package, written to `target`."""
    if not model.startswith(PACKAGE_PREFIX):
        return Path(model)
    from adapterstilts.model.convert import convert_package

    target.mkdir()
    convert_package(model.removeprefix(PACKAGE_PREFIX), KNOWN[PACKAGE_MODEL].revision, target)
    return target


def layers_of(backbone: Path) -> int:
    """Return the number of layers of a backbone in a folder."""
    config = json.loads((backbone / "config.json").read_text(encoding="utf-8"))
    return int(config["num_hidden_layers"])


def lengths_of(backbone: Path, texts: Sequence[str]) -> list[int]:
    """Return the subwords of each text."""
    return [len(ids) for ids in load_tokenizer(str(backbone))(list(texts))["input_ids"]]


def _tweets(folder: Path) -> list[str]:
    paths = sorted(path for pattern in _TWEETS for path in folder.glob(pattern))
    lines = (line for path in paths for line in path.read_text(encoding="utf-8-sig").split("\n"))
    return list(dict.fromkeys(text for line in lines if (text := line.strip())))


def _dialogues() -> list[str]:
    task, roots = get(_DIALOGUES), DataRoots(Path.cwd())
    rows = [
        row
        for language, splits in task.splits.items()
        for split in splits
        for row in load_split(task, language, split, roots).rows
    ]
    return list(dict.fromkeys(f"{row.text} {row.text_pair}" for row in rows if isinstance(row, TextRow)))


def _numbered(real: list[str], count: int) -> list[str]:
    """Return texts again and again; later passes end in the number of the pass, so that none occurs twice."""
    passes = -(-count // len(real))
    return [text if number == 0 else f"{text} {number}" for number in range(passes) for text in real][:count]
