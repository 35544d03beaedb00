"""The scripts of the page on clusters: a shell reads them, and the command that they end in runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import tiny
from conftest import Command

from adapterstilts.store.store import Store

PAGE = Path(__file__).resolve().parents[1] / "docs" / "clusters.md"
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
SCRIPTS = [block for block in BLOCKS if block.startswith("#!")]


def command_in(block: str) -> list[str]:
    """Return the arguments of the one `adapterstilts` command of a block."""
    (line,) = (line for line in block.splitlines() if "adapterstilts recipe run" in line)
    words = shlex.split(line.removesuffix("&"))
    return words[words.index("adapterstilts") + 1 :]


@pytest.fixture
def recipe(backbone_folder: Path, tmp_path: Path) -> Path:
    return tiny.write_recipe(
        tmp_path,
        backbone_folder,
        methods=["target"],
        languages=["en"],
        more_targets=(),
        seeds=[0],
        steps=2,
    )


def here(words: list[str], recipe: Path, folder: Path) -> list[str]:
    """Return a command of the page with this test's recipe, folders, devices and cores."""
    places = {
        "study.yaml": str(recipe),
        "/shared/store": str(folder / "store"),
        "/shared/runs/study": str(folder / "out"),
        "s3://bucket/study": (folder / "bucket").as_uri(),
        "cuda:0,1,2,3": "cpu:0,1,2,3",
        "8": "1",
        "4": "1",
    }
    return [places.get(word, word) for word in words]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
@pytest.mark.parametrize("script", SCRIPTS, ids=["array", "ray"])
def test_a_script_is_one(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    settings = re.findall(r"^#SBATCH (.*)$", script, flags=re.MULTILINE)
    assert len(settings) == script.count("#SBATCH") >= 6
    assert all(re.fullmatch(r"--[a-z-]+(=\S+)?", setting) for setting in settings)


@pytest.mark.parametrize("block", BLOCKS, ids=["workers", "devices", "array", "ray", "mirror"])
def test_every_command_of_the_page_can_be_meant(cli: Command, home: Path, recipe: Path, block: str) -> None:
    words = here(command_in(block), recipe, home)
    planned = cli("recipe", "plan", *words[2:])
    assert planned.code == 0, planned.err
    assert "2 stages: 0 in the store, 2 to run" in planned.out


@pytest.mark.usefixtures("_keep_signals")
def test_the_array_s_command_runs_and_its_next_task_finds_all_done(
    cli: Command, home: Path, recipe: Path
) -> None:
    words = here(command_in(SCRIPTS[0]), recipe, home)
    first = cli(*words)
    assert first.code == 0, first.err
    assert len(list(Store(home / "store").artifacts())) == 2
    assert "nothing to do: every stage is in the store" in cli(*words).out
