"""A recipe with a study, from its first trial to the comparison on test data."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import studies
import tiny

from adapterstilts.errors import Interrupted, StageFailed, UsageError
from adapterstilts.report.studies import read_study
from adapterstilts.runner.execute import Run
from adapterstilts.runner.prepare import Options, Prepared, prepare
from adapterstilts.runner.reporter import Silent
from adapterstilts.search.run import Telling, open_search, run_one_study, run_studies


@dataclass(frozen=True)
class Searched:
    """A study that was run to its end.

    Attributes:
        recipe: its file.
        options: as it was run.
        run: the comparison.
        heard: what was told of its trials.
        stages: what was told of its stages.
    """

    recipe: Path
    options: Options
    run: Run
    heard: studies.Heard
    stages: tiny.Listener

    @property
    def prepared(self) -> Prepared:
        return prepare(str(self.recipe), options=self.options)


def searched(recipe: Path, folder: Path, **options: Any) -> Searched:
    given = Options(store=folder / "store", out=folder / "out", threads=1, **options)
    heard, stages = studies.Heard(), tiny.Listener()
    (run,) = run_studies(prepare(str(recipe), options=given), telling=Telling(stages, heard))
    run.raise_failures()
    return Searched(recipe, given, run, heard, stages)


@pytest.fixture(scope="module")
def done(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    folder = tmp_path_factory.mktemp("study")
    recipe = studies.write_recipe(
        folder, backbone_folder, methods=("target", "full_finetune"), trials=6, held_out=True
    )
    return searched(recipe, folder)


def test_the_methods_come_first_then_the_obvious_compositions(done: Searched) -> None:
    first = [str(trial.candidate) for trial in done.heard.trials[:7]]
    assert first == [
        "target, learning_rate 0.02",
        "full_finetune, learning_rate 0.003",
        "stack(reply, target), learning_rate 0.02",
        "stack(reply, target), learning_rate 0.02",
        "stack(pairs, target), learning_rate 0.02",
        "stack(reply, pairs, target), learning_rate 0.02",
        *first[6:],
    ]


def test_equal_work_is_done_once(done: Searched) -> None:
    again = done.heard.trials[3]
    assert again.same_as == 2
    assert again.values == done.heard.trials[2].values
    works = [trial.work for trial in done.heard.trials if trial.same_as is None]
    assert len(works) == len(set(works))


def test_every_family_has_as_many_trials_as_the_winners(done: Searched) -> None:
    facts = read_study(done.run.out)
    assert facts is not None
    families = Counter(trial.family for trial in done.heard.trials if trial.phase == "tune")
    winner = next(trial for trial in done.heard.trials if trial.number == facts.winner.trial)
    share = sum(1 for one in done.heard.trials if one.phase == "search" and one.family == winner.family)
    assert families["target"] == families["single"] == share
    # There are two rates for whole models, and no more points.
    assert families["full_finetune"] == min(2, share)
    assert all(text.startswith("tuned") for text in facts.tuned.values()), facts.tuned


def test_test_data_are_read_with_other_seeds_and_by_nothing_but_the_comparison(done: Searched) -> None:
    tests = [name for name in done.stages.ended if name.startswith("evaluate/topics.xx.test")]
    methods = {row.method for row in done.run.rows}
    assert sorted(tests) == sorted(f"evaluate/topics.xx.test/{method}@0" for method in methods)
    assert not any(
        name.startswith("evaluate/topics.xx.validation") and name.endswith("@0") for name in done.stages.ended
    )
    assert {row.seed for row in done.run.rows} == {0}


def test_the_comparison_has_methods_winner_and_best_single_adapter_with_their_settings(
    done: Searched,
) -> None:
    facts = read_study(done.run.out)
    assert facts is not None and facts.single is not None
    methods = list(dict.fromkeys(row.method for row in done.run.rows))
    assert methods == list(
        dict.fromkeys(["target", "full_finetune", facts.winner.method, facts.single.method])
    )
    best = max(
        (one for one in done.heard.trials if one.phase == "search" and one.values),
        key=lambda one: (one.values[0], -one.number),
    )
    assert facts.winner.trial == best.number
    rate = done.run.prepared.recipe.file.training.by_method[facts.winner.method].learning_rate
    assert rate == best.candidate.settings.learning_rate


def test_the_report_tells_of_the_study(done: Searched) -> None:
    text = (done.run.out / "report.md").read_text(encoding="utf-8")
    facts = read_study(done.run.out)
    assert facts is not None and facts.regret is not None
    assert "## Study" in text
    assert f"Winner: {facts.winner.method}" in text
    assert f"costs {facts.regret.loss:.4f}" in text
    assert facts.regret.loss >= 0
    assert "| `target` | tuned: " in text


def test_the_report_tells_what_sharing_saves(done: Searched) -> None:
    facts = read_study(done.run.out)
    assert facts is not None and facts.spending is not None
    kinds = ("train_adapter", "train_fusion", "full_finetune")
    records = [one.record for one in done.prepared.store.artifacts()]
    made = [one for one in records if one.kind in kinds and one.name.endswith("@1000")]
    assert facts.spending.models == len(made)
    assert facts.spending.seconds == pytest.approx(sum(one.results["seconds"] for one in made))
    assert facts.spending.models_alone > facts.spending.models
    assert facts.spending.seconds_alone > facts.spending.seconds > 0


def test_the_comparison_can_be_run_again_from_its_own_file(done: Searched) -> None:
    again = prepare(str(done.run.out / "recipe.resolved.yaml"), options=done.options)
    assert again.recipe.space is None
    assert again.missing == {}
    assert set(again.plan.stages) == set(done.run.prepared.plan.stages)


def test_a_second_run_trains_nothing(done: Searched) -> None:
    before = (done.run.out / "study.json").read_text(encoding="utf-8")
    again = searched(done.recipe, done.options.out.parent if done.options.out else Path())
    assert again.heard.trials == []
    assert again.run.trained == 0
    assert (again.run.out / "study.json").read_text(encoding="utf-8") == before


def test_whole_models_leave_no_weights_behind(done: Searched) -> None:
    store = done.run.prepared.store
    kept = [
        one.record.name
        for one in store.artifacts()
        if one.record.kind == "full_finetune" and "model.safetensors" not in one.record.dropped
    ]
    assert kept == []


def test_optuna_goes_on_with_a_study_by_hand(done: Searched, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    loop = open_search(done.prepared, other)
    loop.study.optimize(loop.objective, n_trials=1)
    (trial,) = loop.study.trials
    assert trial.state == optuna.trial.TrialState.COMPLETE
    assert trial.user_attrs["method"].endswith("target)")


def test_another_study_of_the_same_name_is_refused_saying_what_differs(done: Searched) -> None:
    changed = prepare(
        str(done.recipe), {"search.over.adapters": 1, "training.target.evaluations": 3}, done.options
    )
    with pytest.raises(UsageError) as error:
        run_studies(changed)
    assert "search.over.adapters: 2, now 1" in str(error.value)
    assert "training.target.evaluations: 2, now 3" in str(error.value)
    more = prepare(str(done.recipe), {"search.trials": 7}, done.options)
    assert open_search(more).study.study_name == "tiny"


def test_other_data_make_another_study(done: Searched) -> None:
    less = prepare(str(done.recipe), options=replace(done.options, limit=9))
    with pytest.raises(UsageError, match="another data, backbone or machine"):
        run_studies(less)


def test_a_study_that_no_recipe_made_is_refused(done: Searched, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'foreign.db'}"
    foreign = optuna.create_study(storage=url, study_name="tiny")
    foreign.set_user_attr("mine", 1)
    with pytest.raises(UsageError, match="was not made by a recipe"):
        run_studies(done.prepared, url)
    bare = f"sqlite:///{tmp_path / 'bare.db'}"
    optuna.create_study(storage=bare, study_name="tiny", direction="minimize")
    with pytest.raises(UsageError, match="was not made by a recipe"):
        run_studies(done.prepared, bare)


def test_python_runs_and_opens_studies(done: Searched) -> None:
    import adapterstilts

    run = adapterstilts.run(done.recipe, options=done.options)
    assert run.trained == 0
    opened = adapterstilts.study(done.recipe, options=done.options)
    assert len(opened.study.trials) == len(done.heard.trials)
    with pytest.raises(UsageError, match="the recipe has no `search:`"):
        adapterstilts.study(done.run.out / "recipe.resolved.yaml", options=done.options)


# ---- what is sought, and what is told


def test_target_validation_decides_and_is_not_called_zero_shot(backbone_folder: Path, tmp_path: Path) -> None:
    recipe = studies.write_recipe(
        tmp_path,
        backbone_folder,
        trials=2,
        compositions="[stack]",
        search="  select_on: target_validation\n  tune: false",
        held_out=True,
    )
    done = searched(recipe, tmp_path)
    assert {row.setting for row in done.run.rows} == {"target_validation"}
    facts = read_study(done.run.out)
    assert facts is not None
    assert facts.tuned["target"] == "untuned"
    scored = {
        one.record.key: one.record.results["scores"]["accuracy"]
        for one in done.run.prepared.store.artifacts()
        if one.record.name.startswith("evaluate/topics.xx.validation")
    }
    assert facts.winner.value in scored.values()
    again = prepare(str(done.run.out / "recipe.resolved.yaml"), options=done.options)
    assert {cell.setting for cell in again.plan.cells} == {"target_validation"}
    assert again.missing == {}


def test_the_targets_data_decide_without_any_evaluation_in_training(
    backbone_folder: Path, tmp_path: Path
) -> None:
    search = "  select_on: target_validation\n  tune: false"
    recipe = studies.write_recipe(
        tmp_path, backbone_folder, trials=2, search=search, held_out=True, evaluations=0
    )
    done = searched(recipe, tmp_path)
    assert all(trial.state == "complete" and trial.other is None for trial in done.heard.trials)


@pytest.mark.parametrize("pruner", ["halving", "hyperband"])
def test_every_pruner_leaves_checkpoints_and_no_artifacts(
    pruner: str, backbone_folder: Path, tmp_path: Path
) -> None:
    search = f"  tune: false\n  pruner: {pruner}\n  sampler: random"
    recipe = studies.write_recipe(
        tmp_path, backbone_folder, trials=8, search=search, compositions="[stack]", evaluations=4
    )
    done = searched(recipe, tmp_path)
    pruned = [trial for trial in done.heard.trials if trial.state == "pruned" and trial.same_as is None]
    store = done.run.prepared.store
    checkpoints = {path.name for path in (store.root / "checkpoints").iterdir()}
    study = open_search(done.prepared).study
    for trial in pruned:
        (stage,) = study.trials[trial.number].user_attrs["stages"]
        assert store.find(stage) is None
        assert stage in checkpoints
    assert pruned


def test_several_objectives_have_a_front(backbone_folder: Path, tmp_path: Path) -> None:
    search = "  sampler: nsga2\n  objectives: [parameters, score, disk]\n  tune: false"
    recipe = studies.write_recipe(
        tmp_path,
        backbone_folder,
        trials=4,
        search=search.replace("\n  tune", "\n  tune"),
        compositions="[stack, init_from]",
    )
    text = recipe.read_text(encoding="utf-8").replace(
        "adapters: 2\n", "adapters: 2\n    reduction_factor: [4, 8]\n"
    )
    recipe.write_text(text, encoding="utf-8")
    done = searched(recipe, tmp_path)
    facts = read_study(done.run.out)
    assert facts is not None
    best = facts.winner
    assert best.value == max(one.values[1] for one in done.heard.trials if one.values)
    assert any(choice.trial == best.trial for choice in facts.front)
    assert best.parameters == done.heard.trials[best.trial].values[0]
    small = [choice for choice in facts.front if "reduction_factor 8" in choice.settings]
    assert all(choice.method.startswith("with(reduction8") for choice in small)
    assert "No trial is better" in (done.run.out / "report.md").read_text(encoding="utf-8")


def test_methods_alone_are_tuned_on_equal_terms(backbone_folder: Path, tmp_path: Path) -> None:
    whole = "search: {trials: 2, over: {learning_rate: auto, epochs: [1, 2]}, sampler: random}"
    recipe = studies.write_recipe(
        tmp_path,
        backbone_folder,
        methods=("target", "stack(pairs, target)", "full_finetune", "majority"),
        whole=whole,
    )
    done = searched(recipe, tmp_path)
    families = Counter(trial.family for trial in done.heard.trials)
    assert families == {"target": 2, "stack(pairs, target)": 2, "full_finetune": 2}
    for trial in done.heard.trials:
        low, high = (1e-5, 5e-5) if trial.family == "full_finetune" else (5e-5, 1e-3)
        assert low <= trial.candidate.settings.learning_rate <= high
    facts = read_study(done.run.out)
    assert facts is not None
    assert facts.single is None
    assert {facts.tuned[method] for method in families} == {"tuned: 2 trials"}
    assert {row.method for row in done.run.rows} == {*families, "majority"}


def test_a_failed_trial_is_recorded_and_the_study_goes_on(
    backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapterstilts.stages import STAGES

    real = STAGES["train_fusion"]

    def broken(stage: Any, context: Any, workspace: Path) -> dict[str, Any]:
        raise ValueError("fusions are out of order")

    monkeypatch.setitem(STAGES, "train_fusion", broken)  # type: ignore[arg-type]
    recipe = studies.write_recipe(tmp_path, backbone_folder, trials=8, search="  tune: false")
    done = searched(recipe, tmp_path)
    failed = [trial for trial in done.heard.trials if trial.state == "failed"]
    assert failed and all(trial.family == "fuse" for trial in failed)
    assert all(trial.error == "ValueError: fusions are out of order" for trial in failed)
    assert len(done.heard.trials) == 8
    monkeypatch.setitem(STAGES, "train_fusion", real)  # type: ignore[arg-type]
    monkeypatch.setitem(STAGES, "train_adapter", broken)  # type: ignore[arg-type]
    with pytest.raises(StageFailed, match="every trial failed: ValueError: fusions are out of order"):
        searched(recipe, tmp_path / "all")


def test_a_request_to_stop_leaves_the_trial_to_the_next_run(backbone_folder: Path, tmp_path: Path) -> None:
    recipe = studies.write_recipe(tmp_path, backbone_folder, trials=3, search="  tune: false")
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1, checkpoint_seconds=0.0)
    asked = iter([False] * 20 + [True] * 100)
    telling = Telling(Silent(), studies.Heard(), (), lambda: next(asked))
    with pytest.raises(Interrupted):
        run_studies(prepare(str(recipe), options=options), telling=telling)
    before = studies.told(recipe, options)
    assert before[-1].state in ("running", "complete")
    again = searched(recipe, tmp_path)
    assert [trial.number for trial in studies.told(recipe, options)] == [0, 1, 2]
    assert again.heard.trials[-1].number == 2


def test_two_targets_have_a_study_each(backbone_folder: Path, tmp_path: Path) -> None:
    recipe = studies.write_recipe(
        tmp_path,
        backbone_folder,
        trials=1,
        compositions="[stack]",
        search="  tune: false",
        more_targets=("{task: topics, name: again, languages: [yy]}",),
    )
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    with pytest.raises(UsageError, match="its 2 targets have a study and a comparison each"):
        run_one_study(prepare(str(recipe), options=options), None, None, ())
    runs = run_studies(prepare(str(recipe), options=options))
    assert [run.out.name for run in runs] == ["topics", "again"]
    assert [json.loads((run.out / "study.json").read_text())["name"] for run in runs] == [
        "tiny.topics",
        "tiny.again",
    ]
    assert [{row.target for row in run.rows} for run in runs] == [{"topics"}, {"again"}]
