"""What does not fit into memory, and what would make it fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import Command

from adapterstilts import machine
from adapterstilts.paths import LIBRARY
from adapterstilts.recipe.plan import Stage
from adapterstilts.runner.fits import Remedy, Room, remedies
from adapterstilts.specs import AdapterSpec

from .test_memory import INPUT, LARGE, of, stage

GB = 10**9


def made(key: str) -> dict[str, Any]:
    return INPUT


def room(on_device: float, device: str = "cuda", *, checkpointing: bool = False) -> Room:
    return Room(device, LARGE, int(on_device), 100 * GB, checkpointing)


def tried(one: Stage, on_device: float, **more: Any) -> dict[str, Remedy]:
    return {remedy.change: remedy for remedy in remedies(one, made, room(on_device, **more))}


def test_what_suffices_alone_is_told_with_its_peak_the_mildest_first() -> None:
    one = stage(tokens=16384, length=128)
    peak = of(one).peak
    found = remedies(one, made, room(0.7 * peak))
    assert [remedy.change for remedy in found] == [
        "--gradient-checkpointing",
        "tokens_per_batch: 8192 with accumulate: 2",
        "precision: bf16",
        "skip_layers: 12",
    ]
    assert all(remedy.enough and remedy.memory.peak <= 0.7 * peak for remedy in found)


def test_where_nothing_suffices_alone_several_do_together() -> None:
    one = stage(tokens=16384, length=128)
    (together,) = remedies(one, made, room(2.2 * GB))
    assert together.change.startswith(
        "--gradient-checkpointing, tokens_per_batch: 128 with accumulate: 128, "
    )
    assert "quantize: 4bit" in together.change
    assert together.memory.peak < 0.3 * of(one).peak
    (never,) = remedies(one, made, room(0.1 * GB))
    assert not never.enough


def test_a_whole_model_and_lora_are_not_quantised() -> None:
    for one in (
        stage("full", path=LIBRARY, tokens=16384, length=128),
        stage(path=LIBRARY, tokens=16384, length=128, adapter=AdapterSpec("lora", 1)),
    ):
        assert "quantize" not in " ".join(tried(one, 1 * GB))


def test_a_change_that_is_there_is_not_told_again() -> None:
    one = stage(tokens=16384, length=128, precision="bf16")
    found = " ".join(tried(one, 0.5 * GB, checkpointing=True))
    assert "checkpointing" not in found
    assert "precision" not in found


def test_both_memories_have_to_hold_it() -> None:
    memory = of(stage())
    assert room(memory.peak).holds(memory) is True
    assert room(memory.peak - 1).holds(memory) is False
    assert Room("cuda", LARGE, memory.peak, memory.host - 1).holds(memory) is False
    assert Room("cuda", LARGE, None, memory.host).holds(memory) is None


def test_stages_side_by_side_share_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterstilts.runner.fits.device_memory", {"cpu": 80, "cuda": 40}.__getitem__)
    monkeypatch.setattr("adapterstilts.runner.fits.cuda_devices", lambda: ["0", "1"])
    assert Room.here("cpu", LARGE, 2, checkpointing=False).on_device == 40
    shared = Room.here("cuda", LARGE, 4, checkpointing=True)
    assert (shared.on_device, shared.on_host) == (20, 20)
    assert Room.here("cuda", LARGE, 2, checkpointing=True).on_device == 40


# ---- the command


def test_a_plan_tells_what_does_not_fit(
    cli: Command, backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny.write_recipe(tmp_path, backbone_folder, methods=["target", "full_finetune"], seeds=[0])
    given = ("recipe", "plan", recipe, "--store", tmp_path / "store", "--device", "cpu")
    answer = cli(*given, "--json")
    assert answer.code == 0
    rows = {row["name"]: row for row in answer.json["stages"]}
    row = rows["target/topics/target@0"]
    parts = ("weights", "state", "kept", "work", "gaps", "process")
    assert row["memory"]["peak"] == sum(row["memory"][part] for part in parts)
    assert row["fits"] is True
    assert row["remedies"] == []
    assert row["measured_memory"] is None
    assert answer.json["summary"]["too_large"] == 0
    assert "does not fit" not in cli(*given).out
    monkeypatch.setattr(machine, "_own_memory", lambda: 400 << 20)
    answer = cli(*given, "--json")
    assert answer.json["summary"]["too_large"] == answer.json["summary"]["to_run"]
    row = next(row for row in answer.json["stages"] if row["name"] == "target/topics/target@0")
    assert row["fits"] is False
    assert row["remedies"][0]["fits"] is False
    said = cli(*given).out
    assert "What does not fit into the memory of this machine (419.4 MB a stage):" in said
    assert "still too much" in said


def test_of_what_is_in_the_store_the_measured_peak_is_told(cli: Command, done: Any) -> None:
    options = done.options
    given = ("recipe", "plan", done.recipe, "--store", options.store, "--out", options.out, "--threads", 1)
    rows = {row["name"]: row for row in cli(*given, "--json").json["stages"]}
    for name in ("target/topics/target@0", "evaluate/topics.en.test/target@0"):
        assert rows[name]["measured_memory"] > 10**8
        assert rows[name]["remedies"] == []
