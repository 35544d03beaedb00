"""Small results, made up so that their scores can be counted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from adapterstilts.metrics import registry
from adapterstilts.metrics.core import Prediction
from adapterstilts.report.rows import ResultRow

ROW = ResultRow(
    recipe="demo",
    method="target",
    composition="model",
    target="xnli",
    domain="general",
    source="mnli",
    setting="zero_shot",
    language="en",
    split="test",
    metric="accuracy",
    value=0.5,
    main=True,
    seed=0,
    draw=None,
    n=4,
    parameters=1000,
    examples_seen=4000,
    seconds=12.5,
    peak_bytes=2**28,
    chain_examples_seen=9000,
    chain_seconds=30.0,
    shared_examples_seen=6000,
    shared_seconds=20.0,
    disk_bytes=5 * 2**20,
    relation="",
    select_on="",
    device="cpu",
    versions={"torch": "2.13.0", "adapters": "1.3.0"},
    artifact="0",
)


class Results:
    """Rows with the predictions behind them."""

    def __init__(self) -> None:
        self.rows: list[ResultRow] = []
        self.stored: dict[str, list[Prediction]] = {}

    def add(
        self,
        method: str,
        right: str | Sequence[int],
        *,
        artifact: str | None = None,
        prefix: str = "",
        **changes: object,
    ) -> ResultRow:
        """Add an evaluation; `right` holds a 1 for each example that is answered right, else a 0."""
        row = replace(ROW, method=method, **changes)  # type: ignore[arg-type]
        key = artifact or f"{method}/{row.target}/{row.split}/{row.language}/{row.seed}/{row.draw}"
        answers = [
            Prediction(f"{prefix}{number}", "yes", "yes" if int(good) else "no")
            for number, good in enumerate(right)
        ]
        self.stored[key] = answers
        value = registry.get(row.metric, labels=("yes", "no"))(answers)
        self.rows.append(replace(row, value=value, n=len(answers), artifact=key))
        return self.rows[-1]

    def add_na(self, method: str, **changes: object) -> None:
        """Add a method that has no meaning on the target."""
        empty = {"value": None, "artifact": None, "n": 0, "parameters": 0, "examples_seen": 0, "seconds": 0.0}
        self.rows.append(replace(ROW, method=method, **{**empty, **changes}))  # type: ignore[arg-type]

    def predictions(self, key: str) -> list[Prediction]:
        return self.stored[key]


METHODS: Mapping[str, float] = {
    "target": 0.62,
    "stack(mnli, target)": 0.70,
    "stack(squad, target)": 0.60,
    "stack(average(dialogue-reply, emoji-alias), target)": 0.64,
    "fuse(mnli, squad, dialogue-reply, target)": 0.69,
    "init_from(mnli)": 0.66,
    "full_finetune": 0.72,
    "full_stilts(mnli)": 0.76,
}


def study(examples: int = 400, languages: Sequence[str] = ("en", "de", "sw", "zh", "ar", "tr")) -> Results:
    """Return two targets, eight methods and three seeds; on the second, whole models are n/a."""
    rng = np.random.default_rng(3)
    results = Results()
    for target in ("xnli", "tatoeba"):
        for number, (method, chance) in enumerate(METHODS.items()):
            relation = "shares training data" if "mnli" in method and target == "xnli" else "other domain"
            for language in languages:
                for seed in (0, 1, 2):
                    place: dict[str, object] = {"target": target, "language": language, "seed": seed}
                    if target == "tatoeba" and method.startswith("full_f"):
                        results.add_na(method, **place)
                        continue
                    bare = target == "tatoeba" and method == "target"
                    cost = 10 ** (4 + number // 2) * (0 if bare else 1)
                    right = rng.random(examples) < chance + 0.02 * seed
                    results.add(
                        method,
                        right.astype(int).tolist(),
                        artifact=f"bare/{language}" if bare else None,
                        relation="" if method in ("target", "full_finetune") else relation,
                        parameters=cost,
                        examples_seen=cost,
                        seconds=cost / 200,
                        **place,
                    )
    _repeat_bare(results)
    return results


def _repeat_bare(results: Results) -> None:
    """Give rows of the bare backbone the score of its one evaluation."""
    accuracy = registry.get("accuracy")
    results.rows = [
        row
        if row.artifact is None or not row.artifact.startswith("bare/")
        else replace(row, value=accuracy(results.stored[row.artifact]))
        for row in results.rows
    ]
