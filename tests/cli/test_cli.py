"""The command line: every command, every exit code, and what goes where."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import tiny
from conftest import Command, Done

from adapterstilts import __version__
from adapterstilts.cli import main
from adapterstilts.paths import ENGINE
from adapterstilts.stages import STAGES
from adapterstilts.store.store import Store

pytestmark = pytest.mark.usefixtures("home", "_keep_signals")


@pytest.fixture
def recipe(backbone_folder: Path, tmp_path: Path) -> Path:
    return tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target", "stack(reply, target)", "stack(pairs, target)"],
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=2,
    )


@pytest.fixture
def quick(recipe: Path, tmp_path: Path) -> tuple[object, ...]:
    """A recipe and options for it that write nowhere else."""
    return (recipe, "--store", tmp_path / "store", "--out", tmp_path / "out", "--threads", 1)


# ---- recipes


def test_shipped_recipes_are_listed_shown_and_copied(cli: Command, tmp_path: Path) -> None:
    listed = cli("recipe", "ls")
    assert listed.code == 0
    assert "quickstart" in listed.out
    shown = cli("recipe", "show", "quickstart")
    assert shown.out.splitlines()[0].startswith("#")
    copied = cli("recipe", "cp", "quickstart", tmp_path / "mine.yaml")
    assert copied.code == 0
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == shown.out
    again = cli("recipe", "cp", "quickstart", tmp_path / "mine.yaml")
    assert (again.code, again.err) == (
        2,
        f"error: {tmp_path / 'mine.yaml'}: is there already; name another file\n",
    )
    assert cli("recipe", "cp", "quickstart", tmp_path / "no" / "mine.yaml").code == 2


def test_a_good_recipe_is_checked(cli: Command, recipe: Path) -> None:
    assert cli("recipe", "check", recipe).out == "tiny: no faults; 3 (method, target, seed) cells\n"
    assert cli("recipe", "check", recipe, "seeds=[0,1]", "--json").json == {
        "recipe": "tiny",
        "ok": True,
        "methods": ["target", "stack(reply, target)", "stack(pairs, target)"],
    }


def test_all_faults_of_a_recipe_are_told_at_once(cli: Command, recipe: Path) -> None:
    checked = cli("recipe", "check", recipe, "methods=[targt, 'stack(repl, target)']", "targets.0.task=topcs")
    assert checked.code == 2
    assert len([line for line in checked.err.splitlines() if line.startswith("error: ")]) >= 3
    assert "did you mean 'topics'?" in checked.err
    assert checked.out == ""


def test_a_plan_says_what_is_to_do(cli: Command, quick: tuple[object, ...]) -> None:
    plan = cli("recipe", "plan", *quick)
    assert plan.code == 0
    assert "target/topics/stack(reply, target)@0" in plan.out
    assert "8 stages: 0 in the store, 8 to run, 0 unresolved" in plan.out
    rows = cli("recipe", "plan", *quick, "--json").json
    assert rows["summary"]["to_run"] == len(rows["stages"]) == 8
    assert all(len(row["key"]) == 64 for row in rows["stages"])
    assert {(row["path"], row["why_library"]) for row in rows["stages"]} == {(ENGINE, "")}


def test_a_plan_says_which_path_a_stage_takes(cli: Command, quick: tuple[object, ...]) -> None:
    plan = cli("recipe", "plan", *quick, "training.default.path=library")
    header, first = plan.out.splitlines()[:2]
    assert first[header.index("PATH") :].startswith("library: the recipe says so  ")


def test_a_bound_that_is_no_number_is_said_before_anything_runs(
    cli: Command, quick: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTERSTILTS_CACHE_GB", "plenty")
    ran = cli("recipe", "run", *quick)
    assert ran.code == 2
    assert "ADAPTERSTILTS_CACHE_GB: 'plenty' is no number of gigabytes" in ran.err
    assert "[1/" not in ran.err


def test_a_recipe_runs_and_then_has_nothing_to_do(
    cli: Command, quick: tuple[object, ...], tmp_path: Path
) -> None:
    ran = cli("recipe", "run", *quick)
    assert ran.code == 0, ran.err
    assert "stack(reply, target)" in ran.out
    assert "[1/8] target/topics/target@0 ..." in ran.err
    assert "done in" in ran.err
    assert (tmp_path / "out" / "report.html").is_file()
    again = cli("recipe", "run", *quick)
    assert again.code == 0
    assert "nothing to do: every stage is in the store" in again.out
    assert again.err.count("in the store") == 8
    assert "8 in the store, 0 to run" in cli("recipe", "plan", *quick).out


def test_a_run_answers_for_machines(cli: Command, quick: tuple[object, ...], tmp_path: Path) -> None:
    ran = cli("recipe", "run", *quick, "--json")
    assert ran.code == 0
    data = ran.json
    assert (data["recipe"], data["trained"], data["stages"], data["failed"]) == ("tiny", 8, 8, 0)
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert data["results"] == [json.loads(line) for line in lines]
    assert cli("recipe", "run", *quick, "--json").json["trained"] == 0


def test_a_changed_setting_is_told(cli: Command, quick: tuple[object, ...]) -> None:
    cli("recipe", "run", *quick)
    plan = cli("recipe", "plan", *quick, "training.target.learning_rate=1e-3", "--json").json
    why = {row["name"]: (row["state"], row["why"]) for row in plan["stages"]}
    assert why["intermediate/reply@0"] == ("in the store", "")
    assert why["target/topics/target@0"] == ("to run", "changed: training.learning_rate")
    assert why["evaluate/topics.en.test/target@0"] == ("to run", "changed input: target/topics/target@0")


def test_options_reach_the_run(cli: Command, quick: tuple[object, ...], tmp_path: Path) -> None:
    ran = cli("recipe", "run", *quick, "methods=[target]", "--limit", 5, "--track", "tensorboard", "--json")
    assert {row["n"] for row in ran.json["results"]} == {5}
    assert list((tmp_path / "out" / "tensorboard" / "target_topics_target_0").glob("events.*"))
    forced = cli(
        "recipe",
        "run",
        *quick,
        "methods=[target]",
        "--limit",
        5,
        "--force",
        "target/topics/target@0",
        "--json",
    )
    assert forced.json["trained"] == 2
    assert len(list((tmp_path / "store" / "aside").iterdir())) == 2


def test_a_second_data_folder_is_searched(cli: Command, recipe: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "data", tmp_path / "elsewhere" / "data")
    assert cli("recipe", "check", recipe).code == 3
    assert cli("recipe", "check", recipe, "--data-dir", tmp_path / "elsewhere").code == 0


# ---- tasks


def test_tasks_are_listed_and_shown(cli: Command) -> None:
    listed = cli("task", "ls")
    assert listed.code == 0
    assert listed.out.startswith("NAME")
    names = [task["name"] for task in cli("task", "ls", "--json").json]
    assert "xnli" in names
    assert len(names) == len(set(names)) == len(listed.out.splitlines()) - 1
    shown = cli("task", "show", "xnli")
    assert "SOURCE" in shown.out
    assert cli("task", "show", "xnli", "--json").json["name"] == "xnli"
    unknown = cli("task", "show", "xnlli")
    assert (unknown.code, "did you mean 'xnli'?" in unknown.err) == (2, True)


# ---- adapters


def test_what_was_trained_is_listed_and_shown(cli: Command, done: Done) -> None:
    store = ("--store", done.options.store)
    listed = cli("adapter", "ls", *store)
    assert listed.code == 0
    data = cli("adapter", "ls", *store, "--json").json
    assert {one["kind"] for one in data} == {"train_adapter", "train_fusion", "full_finetune", "average"}
    assert len(data) == len(listed.out.splitlines()) - 1 == 28
    key = done.keys["target/topics/target@0"]
    shown = cli("adapter", "show", key[:10], *store)
    assert f"key: {key}" in shown.out
    assert cli("adapter", "show", key[:10], *store, "--json").json["name"] == "target/topics/target@0"
    assert cli("adapter", "show", "0123456789", *store).code == 2


def test_texts_are_predicted(cli: Command, packaged: Done) -> None:
    ask = ("adapter", "predict", packaged.keys["target/topics/target@0"], "--store", packaged.options.store)
    plain = cli(*ask, "--text", "north1 en2", "--text", "west0 en3")
    assert plain.code == 0, plain.err
    rows = [line.split("\t") for line in plain.out.splitlines()]
    assert [row[2] for row in rows] == ["north1 en2", "west0 en3"]
    data = cli(*ask, "--text", "north1 en2", "--text", "west0 en3", "--json").json
    assert [one["prediction"] for one in data] == [row[0] for row in rows]
    for one, row in zip(data, rows, strict=True):
        assert set(one["probabilities"]) == {"north", "south", "west"}
        assert float(row[1]) == pytest.approx(max(one["probabilities"].values()), abs=1e-3)


def test_pairs_are_predicted(cli: Command, packaged: Done) -> None:
    ask = ("adapter", "predict", packaged.keys["target/pairs/target@0"], "--store", packaged.options.store)
    pair = cli(*ask, "--text", "north1", "--pair", "north2", "--json").json
    alone = cli(*ask, "--text", "north1", "--json").json
    assert pair[0]["probabilities"] != alone[0]["probabilities"]
    uneven = cli(*ask, "--text", "a", "--text", "b", "--pair", "c")
    assert (uneven.code, "2 --text and 1 --pair" in uneven.err) == (2, True)


def test_files_are_predicted(cli: Command, packaged: Done, tmp_path: Path) -> None:
    store = ("--store", packaged.options.store, "--json")
    topics = packaged.keys["target/topics/target@0"]
    (tmp_path / "in.txt").write_text("\ufeffnorth1 en2\r\n\r\nwest0 en3\n", encoding="utf-8")
    lines = cli("adapter", "predict", topics, "--input", tmp_path / "in.txt", *store).json
    given = cli("adapter", "predict", topics, "--text", "north1 en2", "--text", "west0 en3", *store).json
    assert lines == given
    (tmp_path / "in.jsonl").write_text('"north1 en2"\n{"id": "w", "text": "west0 en3"}\n', encoding="utf-8")
    records = cli("adapter", "predict", topics, "--input", tmp_path / "in.jsonl", *store).json
    assert [one["id"] for one in records] == ["0", "w"]
    assert [one["prediction"] for one in records] == [one["prediction"] for one in given]
    choices = packaged.keys["target/reply/target@0"]
    (tmp_path / "c.jsonl").write_text(
        '{"context": "en1", "choices": ["en2", "en3", "en4"]}', encoding="utf-8"
    )
    (answer,) = cli("adapter", "predict", choices, "--input", tmp_path / "c.jsonl", *store).json
    assert answer["prediction"] in (0, 1, 2)
    assert set(answer["probabilities"]) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text": ', 3),
        ("a.jsonl", b"5\n", 3),
        ("a.jsonl", b'{"context": "a"}\n', 2),
        ("a.txt", b"\n\n", 3),
        ("a.txt", b"\xff\xfe", 3),
        ("a.txt", None, 3),
    ],
)
def test_a_bad_input_file_is_a_clear_error(
    cli: Command, packaged: Done, tmp_path: Path, file: str, content: bytes | None, code: int
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    ask = ("adapter", "predict", packaged.keys["target/topics/target@0"], "--store", packaged.options.store)
    answer = cli(*ask, "--input", tmp_path / file)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("error: ")


def test_predict_wants_exactly_one_kind_of_input(cli: Command, packaged: Done, tmp_path: Path) -> None:
    ask = ("adapter", "predict", packaged.keys["target/topics/target@0"], "--store", packaged.options.store)
    assert cli(*ask).code == 2
    assert cli(*ask, "--text", "a", "--input", tmp_path / "x").code == 2


# ---- store and report


@pytest.fixture
def copied(done: Done, tmp_path: Path) -> Store:
    return Store(Path(shutil.copytree(done.run.prepared.store.root, tmp_path / "copied")))


def test_the_store_is_listed_and_verified(cli: Command, copied: Store) -> None:
    store = ("--store", copied.root)
    everything = cli("store", "ls", *store, "--json").json
    assert len(everything) == 93
    assert len(cli("store", "ls", "--kind", "average", *store).out.splitlines()) == 3
    assert cli("store", "verify", *store).out == "93 artifacts, all as recorded\n"
    assert cli("store", "verify", *store, "--json").json == {"artifacts": 93, "faults": []}


def test_a_damaged_store_is_told(cli: Command, copied: Store) -> None:
    path = next((copied.root / "artifacts").glob("*/*/predictions.jsonl"))
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    verified = cli("store", "verify", "--store", copied.root)
    assert verified.code == 6
    assert verified.err.startswith(f"error: {path}: its bytes are not those of its record")
    as_json = cli("store", "verify", "--store", copied.root, "--json")
    assert as_json.code == 6
    assert len(as_json.json["faults"]) == 1


def test_what_nobody_needs_is_removed(cli: Command, copied: Store) -> None:
    (copied.root / "staging" / "abc.1").mkdir()
    (copied.root / "checkpoints" / "unfinished").mkdir()
    assert cli("store", "gc", "--store", copied.root).out == "removed 1 folders\n"
    assert (copied.root / "checkpoints" / "unfinished").is_dir()
    assert cli("store", "verify", "--store", copied.root).code == 0


def test_the_store_of_the_environment_is_used(
    cli: Command, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTERSTILTS_STORE", str(done.options.store))
    assert len(cli("store", "ls", "--json").json) == 93


def test_a_report_is_written_again(cli: Command, done: Done, tmp_path: Path) -> None:
    out = Path(shutil.copytree(done.run.out, tmp_path / "runs" / "tiny"))
    (out / "report.html").unlink()
    for folder in (out, "tiny"):
        written = cli("report", folder, "--store", done.options.store, "--bootstrap", 100)
        assert written.code == 0, written.err
        assert (out / "report.html").is_file()
        assert "stack(reply, target)" in written.out
    data = cli("report", out, "--store", done.options.store, "--bootstrap", 100, "--json").json
    assert Path(data["report"]).is_file()
    assert (out / "results.jsonl").read_bytes() == (done.run.out / "results.jsonl").read_bytes()
    assert cli("report", "nowhere", "--store", done.options.store).code == 2
    assert cli("report", out, "--store", done.options.store, "--baseline", "targt").code == 2


def test_the_doctor_knows_the_machine(cli: Command, tmp_path: Path) -> None:
    data = cli("doctor", "--store", tmp_path / "none", "--json").json
    assert data["versions"]["adapterstilts"] == __version__
    assert data["device"] in ("cpu", "cuda")
    assert "jsonl" in data["readers"]
    assert "quickstart" in cli("doctor", "--store", tmp_path / "none").out
    assert not (tmp_path / "none").exists()


# ---- help, usage and exit codes


@pytest.mark.parametrize("noun", ["", *main._NOUNS])
def test_help_names_every_command(cli: Command, noun: str) -> None:
    answer = cli(*noun.split(), "--help")
    assert answer.code == 0
    command = main.cli if not noun else main.cli.get_command(click.Context(main.cli), noun)
    if isinstance(command, click.Group):
        names = command.list_commands(click.Context(command))
        assert names
        assert all(name in answer.out for name in names)
    assert cli("--version").out == f"adapterstilts, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["recip"],
        ["recipe", "chek"],
        ["recipe", "check"],
        ["recipe", "check", "RECIPE", "--colour"],
        ["recipe", "check", "quickstar"],
        ["recipe", "check", "missing.yaml"],
        ["recipe", "check", "RECIPE", "seed=[0]"],
        ["recipe", "check", "RECIPE", "seeds"],
        ["recipe", "run", "RECIPE", "--device", "tpu", "--store", "s"],
        ["recipe", "run", "RECIPE", "--force", "target/topics/targt@0", "--store", "s"],
        ["recipe", "run", "RECIPE", "--limit", "0"],
        ["store", "ls", "--kind"],
        ["adapter", "show", "zz", "--store", "s"],
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_meant(cli: Command, recipe: Path, arguments: list[str]) -> None:
    answer = cli(*[recipe if argument == "RECIPE" else argument for argument in arguments])
    assert (answer.code, answer.out) == (2, "")
    assert answer.err


def test_missing_data_is_code_3(cli: Command, quick: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "data" / "topics.en.jsonl").unlink()
    (tmp_path / "data" / "reply.train.jsonl").unlink()
    ran = cli("recipe", "run", *quick)
    assert (ran.code, ran.out) == (3, "")
    assert len(ran.err.splitlines()) == 2
    assert not (tmp_path / "out").exists()


def test_a_missing_backbone_is_code_4(cli: Command, quick: tuple[object, ...], tmp_path: Path) -> None:
    ran = cli("recipe", "run", *quick, f"backbone.model={tmp_path / 'nowhere'}")
    assert (ran.code, ran.out) == (4, "")
    assert "no model folder" in ran.err


def test_a_damaged_backbone_is_code_4(
    cli: Command, quick: tuple[object, ...], backbone_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(backbone_folder, tmp_path / "model"))
    (folder / "model.safetensors").write_bytes(b"\0" * 64)
    ran = cli("recipe", "run", *quick, f"backbone.model={folder}")
    assert ran.code == 4
    assert "error: files:" in ran.err
    assert "the backbone cannot be loaded" in ran.err


def test_a_device_that_is_not_there_is_code_4(
    cli: Command, quick: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cli("recipe", "run", *quick, "--device", "cuda").code == 4


def test_a_failed_stage_is_code_5_and_the_others_go_on(
    cli: Command, quick: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = STAGES["train_adapter"]

    def fail(stage: Any, *rest: Any) -> dict[str, Any]:
        if "stack(pairs" in stage.name:
            raise ZeroDivisionError("bad luck")
        return real(stage, *rest)

    monkeypatch.setitem(STAGES, "train_adapter", fail)  # type: ignore[arg-type]
    ran = cli("recipe", "run", *quick, "--json")
    assert ran.code == 5
    assert (ran.json["failed"], ran.json["trained"]) == (1, 6)
    assert "failed: ZeroDivisionError: bad luck" in ran.err
    assert "skipped: a stage that it needs failed" in ran.err
    assert (
        ran.err.splitlines()[-1]
        == "error: stage: ZeroDivisionError: bad luck; run again with -v for the traceback"
    )
    verbose = cli("recipe", "run", *quick, verbose=True)
    assert verbose.code == 5
    assert "Traceback" in verbose.err
    assert "in fail" in verbose.err
    monkeypatch.undo()


def test_a_store_that_cannot_be_written_is_code_6(cli: Command, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    ran = cli("recipe", "run", recipe, "--store", tmp_path / "file")
    assert (ran.code, ran.out) == (6, "")
    assert "give another folder with --store" in ran.err


def test_a_time_limit_is_code_130(cli: Command, quick: tuple[object, ...]) -> None:
    ran = cli("recipe", "run", *quick, "--max-hours", 1e-9)
    assert (ran.code, ran.out) == (130, "")
    assert "run the same command again" in ran.err
    assert cli("recipe", "run", *quick).code == 0


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_any_command_with_code_130(
    cli: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(Store, "artifacts", lambda _store: signal.raise_signal(number))
    answer = cli("store", "ls", "--store", "s")
    assert (answer.code, answer.err.lstrip()) == (
        130,
        "error: interrupted; run the same command again to go on\n",
    )


LONG = 500


@pytest.fixture
def long_run(backbone_folder: Path, tmp_path: Path) -> list[str]:
    """A run of one long stage, with a checkpoint after every step."""
    recipe = tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target"],
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=LONG,
    )
    options = ["--store", tmp_path / "store", "--out", tmp_path / "out", "--threads", 1]
    return ["recipe", "run", *map(str, [recipe, *options]), "--checkpoint-seconds", "0"]


def wait_for_checkpoint(tmp_path: Path, alive: Callable[[], bool]) -> None:
    """Return once training has begun."""
    until = time.monotonic() + 90
    while not list((tmp_path / "store").glob("checkpoints/*/checkpoint.pt")):
        assert alive(), "the run ended before its first checkpoint"
        assert time.monotonic() < until
        time.sleep(0.01)


def check_interrupted_and_resume(cli: Command, tmp_path: Path, command: list[str]) -> None:
    import torch

    (path,) = (tmp_path / "store").glob("checkpoints/*/checkpoint.pt")
    step = torch.load(path, weights_only=True)["progress"]["step"]
    assert 1 <= step < LONG
    assert Store(tmp_path / "store").verify() == []
    assert not list((tmp_path / "store" / "staging").iterdir())
    assert cli(*command[:-2]).code == 0
    (curve,) = (tmp_path / "store").glob("artifacts/*/*/curve.jsonl")
    assert json.loads(curve.read_text(encoding="utf-8").splitlines()[-1])["step"] == LONG


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for another process")
def test_ctrl_c_stops_after_a_step_and_the_next_run_goes_on(
    cli: Command, tmp_path: Path, long_run: list[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from adapterstilts.cli.main import main; main()", *long_run],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    wait_for_checkpoint(tmp_path, lambda: process.poll() is None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "stopping after this step; once more ends at once" in err
    assert f"of {LONG}: stopped on request; run the same command again to go on from here" in err
    assert "Traceback" not in err
    check_interrupted_and_resume(cli, tmp_path, long_run)


def _main(arguments: list[str]) -> None:
    main.main(arguments)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM for another process")
@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGUSR1]], ids=len
)
def test_a_terminated_run_goes_on(
    cli: Command, tmp_path: Path, long_run: list[str], numbers: list[signal.Signals]
) -> None:
    with tiny.child(_main, long_run) as process:
        wait_for_checkpoint(tmp_path, process.is_alive)
        for number in numbers:
            os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode == 130
    check_interrupted_and_resume(cli, tmp_path, long_run)
