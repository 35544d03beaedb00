from __future__ import annotations

from dataclasses import replace

import pytest

from adapterstilts.errors import DataError, UsageError
from adapterstilts.metrics import registry
from adapterstilts.metrics.core import Prediction
from adapterstilts.report.transfer import transfer_table

from .examples import ROW, Results, study

METHOD = "stack(mnli, target)"


def table(results: Results, baseline: str = "target", samples: int = 50, **options):
    return transfer_table(results.rows, results.predictions, baseline=baseline, samples=samples, **options)


def two_methods() -> Results:
    """Baseline: en 0.5 and 0.25, de 0.5 and 0.75; method: en 0.75 and 0.5, de 0.5 and 1.0."""
    results = Results()
    for language, first, second in (("en", "1100", "1000"), ("de", "1010", "1110")):
        results.add("target", first, language=language, seed=0)
        results.add("target", second, language=language, seed=1)
    for language, first, second in (("en", "1110", "1100"), ("de", "1010", "1111")):
        results.add(METHOD, first, language=language, seed=0)
        results.add(METHOD, second, language=language, seed=1)
    return results


def test_scores_and_gains_counted_by_hand():
    cells = table(two_methods()).cells
    baseline, method = cells["xnli", "target"], cells["xnli", METHOD]

    assert baseline.score.value == pytest.approx(0.5)  # (0.5 + 0.5) / 2 and (0.25 + 0.75) / 2
    assert method.score.value == pytest.approx(0.6875)  # (0.75 + 0.5) / 2 and (0.5 + 1) / 2
    assert method.gain.value == pytest.approx(0.1875)
    assert method.languages["en"].score.value == pytest.approx(0.625)
    assert method.languages["en"].gain.value == pytest.approx(0.25)
    assert method.languages["de"].gain.value == pytest.approx(0.125)
    assert baseline.gain is None
    assert baseline.languages["en"].gain is None


def test_a_cell_counts_seeds_languages_and_examples_and_says_what_it_covers():
    cell = table(two_methods()).cells["xnli", METHOD]

    assert cell.seeds == (0, 1)
    assert list(cell.languages) == ["en", "de"]
    assert (cell.overall.examples, cell.languages["en"].examples) == (8, 4)
    assert cell.gain.covers == ("seeds", "examples")
    assert cell.gain.level == 0.95
    assert cell.notes == ()


def test_languages_count_alike_whatever_their_size():
    results = Results()
    for method in ("target", METHOD):
        results.add(method, "11111111", language="en")
        results.add(method, "00", language="de")

    assert table(results).cells["xnli", METHOD].score.value == 0.5


def test_a_single_seed_covers_examples_only():
    results = Results()
    results.add("target", "1100")
    results.add(METHOD, "1110")

    cell = table(results).cells["xnli", METHOD]

    assert cell.gain.covers == ("examples",)
    assert cell.gain.value == 0.25
    assert cell.gain.low <= 0.25 <= cell.gain.high


def test_a_method_without_meaning_is_na():
    results = two_methods()
    for seed in (0, 1):
        results.add_na("full_finetune", seed=seed)

    cell = table(results).cells["xnli", "full_finetune"]

    assert (cell.state, cell.score, cell.gain, cell.cost) == ("n/a", None, None, None)
    assert cell.on("en") is None


def test_data_without_labels_is_na_and_says_so():
    results = two_methods()
    results.rows.append(replace(ROW, method="m", value=None, artifact="unlabelled"))

    cell = table(results).cells["xnli", "m"]

    assert (cell.state, cell.notes) == ("n/a", ("the data has no labels",))


def test_a_method_that_never_got_there_is_missing():
    results = two_methods()
    results.add(METHOD, "11", target="other")
    results.add("target", "10", target="other")
    results.add("init_from(mnli)", "11", target="other")

    cell = table(results).cells["xnli", "init_from(mnli)"]

    assert cell.state == "missing"
    assert "no results" in cell.notes[0]


def test_where_the_baseline_is_na_there_are_scores_and_no_gains():
    results = two_methods()
    results.add(METHOD, "1110", target="tatoeba")
    results.add_na("target", target="tatoeba")

    cell = table(results).cells["tatoeba", METHOD]

    assert cell.score.value == 0.75
    assert cell.gain is None
    assert cell.notes == ("the baseline has no score here, hence no gain",)


def test_a_missing_baseline_is_a_usage_error_with_a_remedy():
    with pytest.raises(UsageError, match=r"no results of 'targets'; did you mean 'target'\?; or add it"):
        table(two_methods(), baseline="targets")
    with pytest.raises(UsageError, match="results are there for target, stack"):
        table(two_methods(), baseline="zzz")


def test_no_rows_at_all_is_a_usage_error():
    with pytest.raises(UsageError, match="there are no results; run the recipe first"):
        transfer_table([], lambda key: [], baseline="target")


def test_the_bare_backbone_pairs_with_every_seed_and_its_own_score_covers_examples():
    results = Results()
    for seed, right in ((0, "1110"), (1, "1111")):
        results.add(METHOD, right, seed=seed)
        results.add("target", "1100", seed=seed, artifact="bare")

    cells = table(results).cells
    bare, method = cells["xnli", "target"], cells["xnli", METHOD]

    assert bare.seeds == ()
    assert bare.score.covers == ("examples",)
    assert bare.notes == (
        "the answers are the same for every seed: the interval of the score covers examples only",
    )
    assert method.gain.value == pytest.approx(0.375)
    assert method.gain.covers == ("seeds", "examples")


def test_a_bare_backbone_that_was_evaluated_once_gives_the_same_table():
    each, once = Results(), Results()
    for seed, right in ((0, "1110"), (1, "1111")):
        for results in (each, once):
            results.add(METHOD, right, seed=seed)
    for seed in (0, 1):
        each.add("target", "1100", seed=seed, artifact="bare")
    once.add("target", "1100", artifact="bare", composition="stack()")

    assert table(each).cells["xnli", METHOD].gain == table(once).cells["xnli", METHOD].gain


def test_different_seeds_compare_on_those_that_both_have():
    results = two_methods()
    results.rows = [row for row in results.rows if not (row.method == METHOD and row.seed == 0)]

    cell = table(results).cells["xnli", METHOD]

    assert cell.score.value == pytest.approx(0.75)
    assert cell.gain.value == pytest.approx(0.25)  # 0.75 - 0.5, both of seed 1
    assert cell.gain.covers == ("examples",)
    assert cell.notes == (
        "score over seed 1 only; its interval covers examples only",
        "gain over en, de, seed 1 only: what both sides have",
    )


def test_different_languages_compare_on_those_that_both_have():
    results = two_methods()
    results.rows = [row for row in results.rows if not (row.method == METHOD and row.language == "de")]

    cell = table(results).cells["xnli", METHOD]

    assert cell.gain.value == pytest.approx(0.25)
    assert cell.on("de") is None
    assert cell.notes[0] == "score over en only"


def test_no_seed_in_common_leaves_the_gain_out_and_says_so():
    results = Results()
    results.add("target", "1100", seed=0)
    results.add(METHOD, "1110", seed=1)

    cell = table(results).cells["xnli", METHOD]

    assert cell.gain is None
    assert "no seed and language in common with the baseline, hence no gain" in cell.notes


def test_shared_training_data_is_flagged():
    results = two_methods()
    results.rows = [
        replace(row, relation="shares training data" if row.method == METHOD else "") for row in results.rows
    ]

    cells = table(results).cells

    assert cells["xnli", METHOD].flagged
    assert not cells["xnli", "target"].flagged


def test_only_main_metrics_count():
    results = two_methods()
    plain = table(results)
    results.rows += [replace(row, metric="ece", main=False, value=0.9) for row in results.rows]

    assert table(results) == plain


def test_two_main_metrics_of_one_target_are_refused():
    results = two_methods()
    results.rows.append(replace(results.rows[0], metric="macro_f1"))

    with pytest.raises(DataError, match="several main metrics: accuracy, macro_f1"):
        table(results)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"split": "validation"}, ["xnli (test)", "xnli (validation)"]),
        ({"setting": "few_shot"}, ["xnli (zero_shot)", "xnli (few_shot)"]),
        ({"source": ""}, ["xnli (mnli)", "xnli (none)"]),
        ({"target": "tatoeba"}, ["xnli", "tatoeba"]),
    ],
)
def test_columns_are_named_by_what_tells_them_apart(changes, names):
    results = Results()
    results.add("target", "1100")
    results.add("target", "1110", **changes, artifact="other")

    assert [target.name for target in table(results).targets] == names


def test_columns_of_one_task_keep_their_own_numbers():
    results = Results()
    results.add("target", "1100")
    results.add("target", "1110", split="validation")

    cells = table(results).cells

    assert cells["xnli (test)", "target"].score.value == 0.5
    assert cells["xnli (validation)", "target"].score.value == 0.75


def test_metrics_get_the_language():
    results = Results()
    # "la" is an article in Spanish: dropped there, a word of the answer elsewhere.
    answers = [Prediction("0", ["la casa"], "casa")]
    for language in ("es", "en"):
        value = registry.get("mlqa_f1", language=language)(answers)
        key = f"mlqa/{language}"
        results.stored[key] = answers
        results.rows.append(
            replace(ROW, target="mlqa", metric="mlqa_f1", language=language, value=value, artifact=key)
        )

    cell = table(results).cells["mlqa", "target"]

    assert cell.languages["es"].score.value == 1
    assert cell.languages["en"].score.value == pytest.approx(2 / 3)


def test_metrics_get_the_labels_of_their_target():
    results = Results()
    answers = [Prediction("0", "a", "a"), Prediction("1", "b", "c"), Prediction("2", "c", "c")]
    results.stored["k"] = answers
    value = registry.get("macro_f1", labels=("a", "b"))(answers)
    results.rows = [replace(ROW, metric="macro_f1", value=value, artifact="k")]

    found = table(results, labels={"xnli": ("a", "b")})

    assert found.cells["xnli", "target"].score.value == pytest.approx(0.5)
    with pytest.raises(DataError, match="give the task's labels"):
        table(results)


def test_an_error_measure_keeps_its_unit_and_its_direction():
    results = Results()
    results.stored["k"] = [Prediction("0", 1.0, 2.0)]
    results.rows = [replace(ROW, metric="rmse", value=1.0, artifact="k")]

    target = table(results).targets[0]

    assert (target.higher_is_better, target.scale) == (False, 1.0)


def test_costs_are_means_over_seeds_of_one_training_each():
    results = Results()
    for seed, seconds in ((0, 10.0), (1, 30.0)):
        for language in ("en", "de"):
            results.add(
                "target",
                "10",
                seed=seed,
                language=language,
                seconds=seconds,
                examples_seen=100 * (seed + 1),
                parameters=7,
                peak_bytes=50 + seed,
            )

    cost = table(results).cells["xnli", "target"].cost

    assert (cost.seconds, cost.examples_seen, cost.parameters, cost.peak_bytes) == (20.0, 150, 7, 51)


def test_equal_results_give_equal_tables():
    assert table(study(40, ("en", "de"))) == table(study(40, ("en", "de")))


# ---- draws of few examples


def with_repeats(*places) -> Results:
    """Return a baseline and a method with one result a ``(seed, draw)``."""
    results = Results()
    rights = {"target": ("11001010", "10001010", "11001110"), METHOD: ("11101010", "11001010", "11101111")}
    for method, answers in rights.items():
        for (seed, draw), right in zip(places, answers, strict=True):
            changes = {"seed": seed, "draw": draw, "seconds": 10.0 * (draw or seed)}
            results.add(method, right, artifact=f"{method}{seed}{draw}", **changes)
    return results


def test_draws_act_like_seeds():
    by_seed = table(with_repeats((0, None), (1, None), (2, None))).cells["xnli", METHOD]
    by_draw = table(with_repeats((0, 0), (0, 1), (0, 2))).cells["xnli", METHOD]

    assert (by_seed.seeds, by_seed.draws) == ((0, 1, 2), ())
    assert (by_draw.seeds, by_draw.draws) == ((0,), (0, 1, 2))
    for first, second in ((by_seed.score, by_draw.score), (by_seed.gain, by_draw.gain)):
        assert (first.value, first.low, first.high) == (second.value, second.low, second.high)
    assert (by_seed.gain.covers, by_draw.gain.covers) == (("seeds", "examples"), ("draws", "examples"))
    assert by_seed.cost == by_draw.cost
    assert by_draw.cost.seconds == 10.0


def test_a_draw_that_one_side_lacks_is_left_out_of_the_gain():
    results = with_repeats((0, 0), (0, 1), (1, 0))
    results.rows = [row for row in results.rows if (row.method, row.draw) != (METHOD, 1)]

    cell = table(results).cells["xnli", METHOD]

    assert cell.notes == (
        "score over seed 0 draw 0, seed 1 draw 0 only; its interval covers seeds and examples",
        "gain over en, seed 0 draw 0, seed 1 draw 0 only: what both sides have",
    )


def test_settings_of_one_task_are_columns_of_their_own():
    results = with_repeats((0, None), (1, None), (2, None))
    few = with_repeats((0, 0), (0, 1), (0, 2))
    results.rows += [replace(row, setting="few_shot k=50", select_on="source") for row in few.rows]
    results.stored |= few.stored

    found = table(results)

    assert [target.name for target in found.targets] == ["xnli (zero_shot)", "xnli (few_shot k=50)"]
    assert [target.select_on for target in found.targets] == ["", "source"]
    assert [found.cells[target.name, METHOD].draws for target in found.targets] == [(), (0, 1, 2)]
