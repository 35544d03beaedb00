"""A recipe from beginning to end: results, report, failures, and a second run that does nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import Done

import adapterstilts
from adapterstilts.errors import AdapterStiltsError, DataError, Fault, Interrupted, StageFailed, UsageError
from adapterstilts.metrics.files import read_predictions
from adapterstilts.model.assembly import AssemblyError
from adapterstilts.runner.execute import Run, execute
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.runner.reporting import report_again
from adapterstilts.stages import STAGES
from adapterstilts.store.store import Store

# As the design names them; other programs read these lines.
FIELDS = (  # noqa: SIM905
    "recipe method composition target domain source setting language split metric value main seed draw n "
    "parameters examples_seen seconds peak_bytes chain_examples_seen chain_seconds shared_examples_seen shared_seconds "
    "disk_bytes relation select_on device versions artifact"
).split()
METHODS = ("target", "stack(reply, target)", "stack(pairs, target)")


@pytest.fixture(scope="module")
def recipe(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_recipe(
        tmp_path_factory.mktemp("execute"),
        backbone_folder,
        methods=METHODS,
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=2,
    )


def run(recipe: Path, folder: Path, overrides: Any = (), **options: Any) -> Run:
    given = Options(store=folder / "store", out=folder / "out", threads=1, **options)
    return execute(prepare(str(recipe), overrides, given))


def failing(monkeypatch: pytest.MonkeyPatch, word: str, error: Exception) -> None:
    real = STAGES["train_adapter"]

    def stage_function(stage: Any, *rest: Any) -> dict[str, Any]:
        if word in stage.name:
            raise error
        return real(stage, *rest)

    monkeypatch.setitem(STAGES, "train_adapter", stage_function)  # type: ignore[arg-type]


# ---- results


def test_a_line_of_results_has_every_field(done: Done) -> None:
    lines = (done.run.out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(list(row) == FIELDS for row in rows)
    assert rows == [dataclasses.asdict(row) for row in done.run.rows]


def test_every_cell_has_its_row(done: Done) -> None:
    found = {(r.target, r.method, r.language, r.seed): r for r in done.run.rows if r.main}
    methods = {cell.method for cell in done.run.prepared.plan.cells}
    assert len(methods) == 9
    expected = {
        ("topics", m, language, seed) for m in methods for language in tiny.LANGUAGES for seed in (0, 1)
    }
    assert set(found) == expected | {("match", method, "xx", seed) for method in methods for seed in (0, 1)}
    assert len(done.run.rows) == 2 * len(expected) + sum(
        1 + (r.value is not None) for r in found.values() if r.target == "match"
    )


def test_a_row_says_what_it_is_a_score_of(done: Done) -> None:
    store = done.run.prepared.store
    row = next(
        r
        for r in done.run.rows
        if (r.target, r.method, r.language, r.seed, r.main)
        == ("topics", "stack(reply, target)", "yy", 1, True)
    )
    trained = store.get(done.keys["target/topics/stack(reply, target)@1"]).record
    scored = store.get(done.keys["evaluate/topics.yy.test/stack(reply, target)@1"]).record
    assert row.artifact == scored.key
    assert row.value == scored.results["scores"]["accuracy"]
    assert (row.metric, row.n, row.split, row.composition) == ("accuracy", 21, "test", "stack(x0, self)")
    assert (row.parameters, row.examples_seen) == (
        trained.results["parameters"],
        trained.results["examples_seen"],
    )
    assert (row.seconds, row.peak_bytes) == (trained.results["seconds"], trained.results["peak_bytes"])
    assert (row.recipe, row.domain, row.source, row.setting) == ("tiny", "compass", "topics", "zero_shot")
    assert (row.relation, row.device) == ("other domain", "cpu")


def test_a_method_without_meaning_on_a_target_is_shown_as_such(done: Done) -> None:
    empty = {row.method for row in done.run.rows if row.target == "match" and row.artifact is None}
    assert empty == {"fuse(pairs, reply, target)", "stack(fuse(pairs, reply), target)", "full_finetune"}
    assert all(row.value is None for row in done.run.rows if row.artifact is None)


def test_results_and_predictions_are_frames(done: Done) -> None:
    frame = done.run.results()
    assert list(frame.columns) == FIELDS
    assert len(frame) == len(done.run.rows)
    one = done.run.predictions(target="topics", method="target", language="xx", seed=0)
    stored = read_predictions(done.path("evaluate/topics.xx.test/target@0"))
    assert one["prediction"].tolist() == [prediction.prediction for prediction in stored]
    assert set(one["language"]) == {"xx"}
    assert len(done.run.predictions(target="topics", method="target")) == 3 * 2 * 21


def test_unknown_predictions_name_the_known_ones(done: Done) -> None:
    for wanted in (
        {"target": "topics", "method": "targt"},
        {"target": "topics", "method": "target", "seed": 5},
    ):
        with pytest.raises(UsageError, match=r"no result for .*topics: target"):
            done.run.predictions(**wanted)


# ---- files


def test_a_run_leaves_its_report(done: Done) -> None:
    files = {path.name for path in done.run.out.iterdir()}
    assert files == {
        "results.jsonl",
        "report.html",
        "report.md",
        "plots",
        "recipe.resolved.yaml",
        "plan.json",
        "overlap.json",
    }
    assert list((done.run.out / "plots").glob("*.svg"))
    text = (done.run.out / "report.md").read_text(encoding="utf-8")
    assert "stack(reply, target)" in text
    assert done.run.table is not None


def test_the_plan_file_lists_every_stage(done: Done) -> None:
    data = json.loads((done.run.out / "plan.json").read_text(encoding="utf-8"))
    assert [stage["key"] for stage in data["stages"]] == list(done.run.prepared.plan.stages)


def test_the_resolved_recipe_has_the_same_keys(done: Done) -> None:
    again = prepare(str(done.run.out / "recipe.resolved.yaml"), options=done.options)
    assert list(again.plan.stages) == list(done.run.prepared.plan.stages)
    assert again.missing == {}


# ---- again


def test_a_second_run_trains_nothing_and_says_the_same(done: Done, tmp_path: Path) -> None:
    options = dataclasses.replace(done.options, out=tmp_path)
    again = execute(prepare(str(done.recipe), options=options))
    assert again.trained == 0
    assert again.rows == done.run.rows
    for name in ("results.jsonl", "report.md", "plan.json"):
        assert (tmp_path / name).read_bytes() == (done.run.out / name).read_bytes()


def test_a_second_run_does_not_import_torch(done: Done, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from adapterstilts.cli.main import run\n"
        "code = run(sys.argv[1:])\n"
        "assert not {'torch', 'transformers', 'adapters'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", script, "recipe", "run", str(done.recipe), "--out", str(tmp_path)]
    environment = {**os.environ, "HOME": str(tmp_path), "ADAPTERSTILTS_STORE": str(done.options.store)}
    finished = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "nothing to do: every stage is in the store" in finished.stdout


@pytest.mark.parametrize("times", [1, 2])
def test_the_package_runs_a_recipe(recipe: Path, tmp_path: Path, times: int) -> None:
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    runs = [adapterstilts.run(recipe, {"methods": ["target"]}, options=options) for _ in range(times)]
    assert [finished.trained for finished in runs] == [2, 0][:times]
    assert len(runs[0].results()) == 2


def test_trackers_and_reporter_are_told(recipe: Path, tmp_path: Path) -> None:
    listener = tiny.Listener()
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    execute(prepare(str(recipe), {"methods": ["target"]}, options), listener)
    assert set(listener.ended.values()) == {"done"}
    assert (tmp_path / "store" / "cache" / "throughput.json").is_file()
    again = tiny.Listener()
    execute(prepare(str(recipe), {"methods": ["target"]}, options), again)
    assert set(again.ended.values()) == {"cached"}


# ---- what changes a key


def test_a_limit_takes_fewer_examples_and_has_other_keys(recipe: Path, tmp_path: Path) -> None:
    whole, part = (
        run(recipe, tmp_path, {"methods": ["target"]}),
        run(recipe, tmp_path, {"methods": ["target"]}, limit=7),
    )
    assert part.trained == 2
    assert not set(part.prepared.plan.stages) & set(whole.prepared.plan.stages)
    assert {row.n for row in part.rows} == {7}


# ---- failures


def test_a_failed_stage_leaves_the_others_their_report(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "stack(pairs", ZeroDivisionError("bad luck"))
    finished = run(recipe, tmp_path)
    assert {row.method for row in finished.rows} == {"target", "stack(reply, target)"}
    assert finished.table is not None
    assert (tmp_path / "out" / "report.html").is_file()
    with pytest.raises(StageFailed, match="ZeroDivisionError: bad luck; run again with -v") as caught:
        finished.raise_failures()
    assert caught.value.exit_code == 5
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_without_a_baseline_there_are_results_and_no_table(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "topics/target", ZeroDivisionError("bad luck"))
    finished = run(recipe, tmp_path)
    assert finished.table is None
    assert {row.method for row in finished.rows} == {"stack(reply, target)", "stack(pairs, target)"}
    with pytest.raises(StageFailed):
        finished.raise_failures()


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([StageFailed(Fault("a", "x")), DataError(Fault("b", "y"))], DataError),
        ([StageFailed(Fault("a", "x")), AssemblyError(Fault("b", "y"))], StageFailed),
        ([DataError(Fault("a", "x")), ZeroDivisionError("y")], StageFailed),
    ],
)
def test_all_failures_are_told_and_the_lowest_code_wins(
    done: Done, errors: list[BaseException], kind: type[AdapterStiltsError]
) -> None:
    finished = dataclasses.replace(done.run, errors=errors)
    with pytest.raises(AdapterStiltsError) as caught:
        finished.raise_failures()
    assert caught.value.exit_code == kind.exit_code
    assert "x" in str(caught.value)
    assert "y" in str(caught.value)


def test_without_failures_nothing_is_raised(done: Done) -> None:
    done.run.raise_failures()


# ---- stopping


def test_a_stopped_run_goes_on(recipe: Path, tmp_path: Path) -> None:
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    asked = iter([False] * 4 + [True])
    with pytest.raises(Interrupted, match="run the same command again to go on"):
        execute(prepare(str(recipe), options=options), stop=lambda: next(asked))
    assert not (tmp_path / "out" / "results.jsonl").exists()
    left = prepare(str(recipe), options=options).missing
    finished = execute(prepare(str(recipe), options=options))
    assert 0 < finished.trained == len(left) < len(finished.prepared.plan.stages)
    assert finished.table is not None


def test_a_time_limit_stops_cleanly(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as caught:
        run(recipe, tmp_path, max_hours=1e-9)
    assert caught.value.exit_code == 130


# ---- recipe.resolved.yaml, in another folder than the recipe


def test_own_files_are_found_from_where_the_resolved_recipe_lies(recipe: Path, tmp_path: Path) -> None:
    options = Options(store=tmp_path / "store", out=tmp_path / "far" / "away", threads=1)
    changes = {"methods": ["target"], "training.default.precision": "auto"}
    run = execute(prepare(str(recipe), changes, options))
    again = prepare(str(run.out / "recipe.resolved.yaml"), options=options)
    assert list(again.plan.stages) == list(run.prepared.plan.stages)
    assert not again.missing
    assert again.recipe.file.training.default.precision == run.prepared.precision


def test_a_report_again_takes_baseline_and_labels_from_the_recipe(recipe: Path, tmp_path: Path) -> None:
    methods = ["full_finetune", "target"]
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    run = execute(prepare(str(recipe), {"methods": methods, "report.baseline": "full_finetune"}, options))
    before = (run.out / "report.md").read_bytes()
    (run.out / "report.md").unlink()
    table = report_again(run.out, run.prepared.store, None, None)
    assert table.baseline == "full_finetune"
    assert (run.out / "report.md").read_bytes() == before


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"results\.jsonl"):
        report_again(tmp_path, Store(tmp_path / "store"), None, None)
