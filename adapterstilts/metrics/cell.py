"""One cell of a study: a method on a task, in every language and with every seed, as statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from adapterstilts.errors import DataError, Fault, UsageError
from adapterstilts.metrics.core import FloatArray, Metric, Prediction

# An id (0, no language) or a group of one language (1): ids sort first.
_Node = tuple[int, str, str]


@dataclass(frozen=True)
class Cell:
    """What intervals and paired tests need to know about a method on a task.

    Attributes:
        statistics: language -> one array ``(examples, k)`` a seed (`Metric.statistics`); examples are
            the same, in the same order, for every seed. For one language, any single key will do.
        groups: language -> the unit of each example; examples of one unit are resampled together (the
            questions of a passage, the cases of a template). A unit that occurs in several languages is
            drawn for all of them at once, which suits parallel data. None: each example is its own.
        ids: language -> the examples' ids; lets pairing find a wrong order, not only a wrong number.
        seeds: the seeds' names, in the order of the arrays; lets pairing compare them. Empty: unknown.

    Raises:
        UsageError: no language, no seed, or a different number of seeds from one language to another.
        DataError: no examples, or a different number of examples within a language.
    """

    statistics: Mapping[str, Sequence[FloatArray]]
    groups: Mapping[str, Sequence[Hashable]] | None = None
    ids: Mapping[str, Sequence[str]] | None = None
    seeds: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.statistics:
            raise UsageError(Fault("cell", "no language", "give the statistics of one language or more"))
        seeds = {language: len(arrays) for language, arrays in self.statistics.items()}
        if len(set(seeds.values())) > 1 or 0 in seeds.values():
            raise UsageError(
                Fault("cell", f"seeds by language are {seeds}", "run every seed in every language")
            )
        if self.seeds and len(self.seeds) != self.seed_count:
            raise UsageError(Fault("cell", f"{len(self.seeds)} seed names for {self.seed_count} seeds"))
        for language, arrays in self.statistics.items():
            self._check_examples(language, arrays)

    def _check_examples(self, language: str, arrays: Sequence[FloatArray]) -> None:
        counts = [len(array) for array in arrays]
        besides = [beside for beside in (self.groups, self.ids) if beside is not None]
        counts += [len(beside.get(language, ())) for beside in besides]
        if len(set(counts)) > 1 or 0 in counts:
            what = f"numbers of examples (by seed, then of groups and ids) are {counts}"
            raise DataError(
                Fault(f"cell, language {language!r}", what, "evaluate every seed on the same examples")
            )

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in the order given."""
        return tuple(self.statistics)

    @property
    def seed_count(self) -> int:
        """The number of seeds, the same in every language."""
        return len(next(iter(self.statistics.values())))

    def examples(self, language: str) -> int:
        """Return the number of examples in a language."""
        return len(self.statistics[language][0])

    @classmethod
    def of(
        cls,
        metric: Metric | Mapping[str, Metric],
        predictions: Mapping[str, Sequence[Sequence[Prediction]]],
        *,
        parallel: bool = False,
        seeds: Sequence[int] = (),
    ) -> Cell:
        """Return the cell of some predictions.

        Args:
            metric: whose statistics to take; by language where the metric depends on it (MLQA).
            predictions: language -> one list a seed, the same examples in the same order.
            parallel: whether examples of equal id in two languages translate each other (`are_parallel`).
                They are then resampled together, and with them their groups: the passages of one id.
            seeds: the seeds' names.

        Raises:
            DataError: two seeds of a language hold different examples, or another order of them.
        """
        statistics, ids = {}, {}
        for language, lists in predictions.items():
            of_language = metric if isinstance(metric, Metric) else metric[language]
            statistics[language] = [of_language.statistics(one) for one in lists]
            ids[language] = _shared_ids(language, lists)
        examples = {language: lists[0] if lists else () for language, lists in predictions.items()}
        groups = _linked(examples) if parallel else {code: _units(code, examples[code]) for code in examples}
        return cls(statistics, groups, ids, tuple(seeds))


def are_parallel(ids: Mapping[str, Collection[str]]) -> bool:
    """Return whether equal ids in two languages name one example in translation.

    They do when all languages hold the same ids, and when languages that differ share ids that are more than
    numbers (MLQA's questions are in four languages or more of its seven): numbers may be those of lines.
    Where lines are all that equal ids mean, and all languages have as many, drawing them together neither
    widens nor narrows an interval.

    Args:
        ids: language -> ids of its examples.
    """
    sets = [frozenset(some) for some in ids.values()]
    if len(set(sets)) <= 1:
        return len(sets) > 1
    counts = Counter(id_ for some in sets for id_ in some)
    shared = [id_ for id_, count in counts.items() if count > 1]
    return bool(shared) and not all(id_.isdecimal() for id_ in shared)


def check_pairing(cell: Cell, baseline: Cell) -> None:
    """Refuse to compare cells that are not about the same languages, seeds and examples.

    Raises:
        UsageError: languages or seeds differ.
        DataError: the examples of a language differ.
    """
    if set(cell.languages) != set(baseline.languages):
        what = f"languages differ: {sorted(cell.languages)} and {sorted(baseline.languages)}"
        raise UsageError(Fault("paired comparison", what, "compare over the languages that both have"))
    names = (tuple(cell.seeds), tuple(baseline.seeds))
    if cell.seed_count != baseline.seed_count or (all(names) and names[0] != names[1]):
        have = [list(side.seeds) or side.seed_count for side in (cell, baseline)]
        what = f"seeds differ: {have[0]} and {have[1]}"
        raise UsageError(
            Fault("paired comparison", what, "give both sides the same seeds, in the same order")
        )
    for language in cell.languages:
        _check_same_examples(cell, baseline, language)


def _check_same_examples(cell: Cell, baseline: Cell, language: str) -> None:
    where = f"paired comparison, language {language!r}"
    if cell.examples(language) != baseline.examples(language):
        what = f"{cell.examples(language)} examples beside {baseline.examples(language)}"
        raise DataError(Fault(where, what, "evaluate both on the same examples"))
    for side, other in ((cell.ids, baseline.ids), (cell.groups, baseline.groups)):
        if side is not None and other is not None and list(side[language]) != list(other[language]):
            what = "the examples, their order or their groups differ"
            raise DataError(Fault(where, what, "evaluate both on the same examples"))


def _units(language: str, predictions: Sequence[Prediction]) -> list[Hashable]:
    """Return each example's unit: its group, else itself."""
    return [(language, "group", one.group) if one.group else (language, "id", one.id) for one in predictions]


def _linked(examples: Mapping[str, Sequence[Prediction]]) -> dict[str, list[Hashable]]:
    """Return each example's unit in parallel data: all that equal ids and groups of a language connect.

    A passage has another group in every language; its questions have the same ids, and so make one unit of
    all its translations. A unit is named after its first id, whatever the order of the languages.
    """
    parents: dict[_Node, _Node] = {}

    def root(node: _Node) -> _Node:
        while parents.setdefault(node, node) != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for language, predictions in examples.items():
        for one in predictions:
            nodes = [_id_node(one), *([(1, language, one.group)] if one.group else [])]
            first, *others = sorted(map(root, nodes))
            parents.update(dict.fromkeys(others, first))
    return {code: [root(_id_node(one)) for one in predictions] for code, predictions in examples.items()}


def _id_node(prediction: Prediction) -> _Node:
    return (0, "", prediction.id)


def _shared_ids(language: str, lists: Sequence[Sequence[Prediction]]) -> list[str]:
    by_seed = [[prediction.id for prediction in one] for one in lists]
    if any(ids != by_seed[0] for ids in by_seed):
        what = "seeds hold different examples, or another order of them"
        raise DataError(Fault(f"language {language!r}", what, "evaluate every seed on the same examples"))
    return by_seed[0] if by_seed else []
