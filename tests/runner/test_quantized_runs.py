"""A recipe on a backbone in 8 bits, from data to scores; on a real backbone its scores are those of fp32, nearly."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from adapterstilts.runner.execute import Run, execute
from adapterstilts.runner.prepare import Options, prepare, prepare_to_run

pytest.importorskip("bitsandbytes", reason="the extra `quantize` is not installed")

METHODS = ("target", "stack(pairs, target)", "stack(fuse(pairs, reply), target)", "head_only")


def run(recipe: str, folder: Path, overrides: list[str], **options: int) -> Run:
    done = execute(
        prepare_to_run(recipe, overrides, Options(store=folder / "store", out=folder / "out", **options))
    )
    done.raise_failures()
    return done


def test_a_recipe_runs_on_8_bits_and_again_to_the_same_bits(
    backbone_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = str(tiny.write_recipe(tmp_path, backbone_folder, methods=METHODS, seeds=[0], more_targets=()))
    quantized = ["backbone.quantize=8bit"]
    first = run(recipe, tmp_path, quantized, threads=1)
    assert first.trained == len(first.prepared.plan.stages)
    scores = first.results().query("main")
    assert set(scores.method) == {*METHODS}
    assert (scores.value > 0).all()
    again = run(recipe, tmp_path / "other", quantized, threads=1)
    assert tiny.digests(again.prepared.store) == tiny.digests(first.prepared.store)
    assert not [record for record in caplog.records if "bitsandbytes" in record.name], (
        "it speaks at each product"
    )
    # Unquantised it is other work.
    plain = prepare(recipe, (), Options(store=tmp_path / "store"))
    assert plain.missing.keys() == plain.plan.stages.keys()


@pytest.mark.slow
def test_scores_on_a_real_task_are_those_of_fp32_within_noise(tmp_path: Path) -> None:
    # Products in 8 bits are slow on a CPU: one language, few steps.
    target = '{"task": "dialogue-topics", "languages": ["it"]}'
    overrides = ["methods=[target]", f"targets=[{target}]", "seeds=[0,1]", "training.target.steps=40"]
    means = {}
    for quantize in ("none", "8bit"):
        done = run("quickstart", tmp_path, [*overrides, f"backbone.quantize={quantize}"])
        rows = done.results().query("main")
        means[quantize] = rows.groupby("seed").value.mean()
    # Seeds differ by more than the quantisation changes.
    assert abs(means["8bit"].mean() - means["none"].mean()) < max(0.02, 2 * means["none"].std())
