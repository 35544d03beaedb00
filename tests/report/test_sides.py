from __future__ import annotations

from dataclasses import replace

import pytest

from adapterstilts.errors import DataError
from adapterstilts.metrics import registry
from adapterstilts.report.sides import Frame, Repeat, common, side_of, translate_each_other

from .examples import Results

ACCURACY = {language: registry.get("accuracy") for language in ("en", "de")}


def side(results: Results, method: str):
    rows = [row for row in results.rows if row.method == method]
    parallel = translate_each_other(results.rows, results.predictions)
    return side_of(rows, ACCURACY, results.predictions, parallel=parallel)


def seeds(*numbers: int) -> tuple[Repeat, ...]:
    return tuple(Repeat(number) for number in numbers)


def test_a_side_has_the_targets_languages_and_sorted_seeds():
    results = Results()
    for language in ("de", "en"):
        for seed in (9, 2):
            results.add("m", "1100", language=language, seed=seed)

    assert side(results, "m").frame == Frame(seeds(2, 9), ("en", "de"))


def test_a_seed_that_lacks_a_language_is_left_out():
    results = Results()
    for language, seed in (("en", 0), ("de", 0), ("en", 1)):
        results.add("m", "1100", language=language, seed=seed)

    assert side(results, "m").frame == Frame(seeds(0), ("en", "de"))


def test_without_a_complete_seed_the_languages_with_every_seed_remain():
    results = Results()
    metrics = {language: registry.get("accuracy") for language in ("en", "de", "sw")}
    for language, seed in (("en", 0), ("en", 1), ("de", 0), ("sw", 1)):
        results.add("m", "1100", language=language, seed=seed)

    assert side_of(results.rows, metrics, results.predictions, parallel=False).frame == Frame(
        seeds(0, 1), ("en",)
    )


def test_nothing_complete_is_no_side():
    results = Results()
    results.add("m", "1100", language="en", seed=0)
    results.add("m", "1100", language="de", seed=1)

    assert side(results, "m") is None


def test_one_evaluation_for_all_seeds_is_read_once_and_stands_for_each():
    results = Results()
    for seed in (0, 1, 2):
        results.add("bare", "1100", seed=seed, artifact="one")
    read = []

    def predictions(key):
        read.append(key)
        return results.stored[key]

    bare = side_of(results.rows, ACCURACY, predictions, parallel=False)

    assert bare.frame == Frame(seeds(), ("en",))
    assert read == ["one"]
    assert bare.on(Frame(seeds(0, 1, 2), ("en",))).seed_count == 3


def test_the_bare_backbone_of_one_seed_stands_for_all():
    results = Results()
    results.add("bare", "1100", seed=0, composition="stack()")

    assert side(results, "bare").frame.repeats == ()


def test_a_trained_model_of_one_seed_stands_for_that_seed():
    results = Results()
    results.add("m", "1100", seed=4)

    assert side(results, "m").frame.seeds == (4,)


def test_an_intermediate_on_a_target_without_training_keeps_its_seed_though_it_cost_nothing():
    results = Results()
    results.add("stack(mnli, target)", "1100", seed=4, composition="x0", parameters=0, examples_seen=0)

    assert side(results, "stack(mnli, target)").frame.seeds == (4,)


def test_what_two_sides_have_in_common():
    results = Results()
    for language in ("en", "de"):
        for seed in (0, 1):
            results.add("wide", "1100", language=language, seed=seed)
    for seed in (1, 2):
        results.add("other", "1100", language="de", seed=seed)
    for language in ("en", "de"):
        results.add("bare", "1100", language=language, composition="stack()")
    wide, other, bare = (side(results, method) for method in ("wide", "other", "bare"))

    assert common(wide, other) == Frame(seeds(1), ("de",))
    assert common(wide, bare) == common(bare, wide) == Frame(seeds(0, 1), ("en", "de"))
    assert common(bare, bare) == Frame(seeds(), ("en", "de"))


def test_no_seed_in_common_is_no_frame():
    results = Results()
    results.add("a", "1100", seed=0)
    results.add("b", "1100", seed=1)

    assert common(side(results, "a"), side(results, "b")) is None


def test_two_results_of_one_place_are_refused():
    results = Results()
    results.add("m", "1100")
    results.add("m", "1110", artifact="another")

    with pytest.raises(DataError, match="'m' has two results in 'en' with seed 0"):
        side(results, "m")


def test_a_score_that_its_predictions_do_not_give_is_refused():
    results = Results()
    results.rows.append(replace(results.add("m", "1100"), value=0.75))

    with pytest.raises(
        DataError, match=r"accuracy is 0.75, but the stored predictions give 0.5; give the task"
    ):
        side_of(results.rows[-1:], ACCURACY, results.predictions, parallel=False)


def test_a_score_without_an_artifact_is_refused():
    results = Results()
    row = replace(results.add("m", "1100"), artifact=None)

    with pytest.raises(DataError, match="have a score but no artifact"):
        side_of([row], ACCURACY, results.predictions, parallel=False)


def test_unlabelled_examples_do_not_count():
    results = Results()
    row = results.add("m", "1100")
    results.stored[row.artifact].append(replace(results.stored[row.artifact][0], id="9", gold=None))

    assert side(results, "m").cell.examples("en") == 4


def test_languages_of_equal_ids_are_drawn_together_and_others_are_not():
    together, apart = Results(), Results()
    for language in ("en", "de"):
        together.add("m", "1100", language=language)
        apart.add("m", "1100", language=language, prefix=language)

    first, second = side(together, "m").cell.groups, side(apart, "m").cell.groups
    assert first["en"] == first["de"]
    assert not set(second["en"]) & set(second["de"])


# ---- draws of few examples


def test_repeats_are_sorted_by_seed_and_then_by_draw():
    results = Results()
    for seed, draw in ((1, 0), (0, 10), (0, 2)):
        results.add("m", "1100", seed=seed, draw=draw)

    frame = side(results, "m").frame

    assert frame.repeats == (Repeat(0, 2), Repeat(0, 10), Repeat(1, 0))
    assert (frame.seeds, frame.draws) == ((0, 1), (2, 10, 0))


def test_draws_of_one_seed_are_several_results():
    results = Results()
    for draw in (0, 1):
        results.add("m", "1100", draw=draw)
    assert side(results, "m").cell.seed_count == 2

    results.add("m", "1110", draw=1, artifact="another")
    with pytest.raises(DataError, match="'m' has two results in 'en' with seed 0 draw 1"):
        side(results, "m")


def test_a_draw_that_lacks_a_language_is_left_out():
    results = Results()
    for language, draw in (("en", 0), ("de", 0), ("en", 1)):
        results.add("m", "1100", language=language, draw=draw)

    assert side(results, "m").frame == Frame((Repeat(0, 0),), ("en", "de"))


def test_two_sides_have_the_same_draws_in_common():
    results = Results()
    for draw in (0, 1):
        results.add("a", "1100", draw=draw)
    for seed, draw in ((0, 1), (1, 0)):
        results.add("b", "1100", draw=draw, seed=seed)

    assert common(side(results, "a"), side(results, "b")) == Frame((Repeat(0, 1),), ("en",))


@pytest.mark.parametrize(
    ("places", "sources"),
    [
        ([(0, None)], ("examples",)),
        ([(0, None), (1, None)], ("seeds", "examples")),
        ([(0, 0), (0, 1)], ("draws", "examples")),
        ([(0, 0), (1, 0)], ("seeds", "examples")),
        ([(0, 0), (0, 1), (1, 0), (1, 1)], ("seeds", "draws", "examples")),
    ],
)
def test_what_a_resample_can_show_is_named(places, sources):
    results = Results()
    for seed, draw in places:
        results.add("m", "1100", seed=seed, draw=draw)

    found = side(results, "m")

    assert found.frame.sources(found.cell) == sources


# ---- translations


def test_a_method_that_lacks_a_language_is_drawn_as_the_others_are():
    results = Results()
    for language in ("en", "de"):
        results.add("all", "1100", language=language)
    results.add("few", "1100", language="en")

    assert side(results, "few").cell.groups["en"] == side(results, "all").cell.groups["en"]
