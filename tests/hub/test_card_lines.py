"""The lines of a card do what it says: they are taken out of it and run, against a hub, in a fresh process."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conftest import Command

import adapterstilts
from adapterstilts.data.inputs import row_of
from adapterstilts.hub import card
from adapterstilts.hub.provenance import read_provenance
from adapterstilts.hub.remote import Remote

from .conftest import AVERAGE, FUSED, SINGLE
from .server import Server

pytestmark = pytest.mark.usefixtures("home", "_keep_signals")

TEXTS = ["north1 en3 north2", "en4 west0 west2", "xx1 south2 south3 xx7"]
DOTS = '["..."]'
PRINT = "print(json.dumps([[*one.probabilities.values()] for one in found]))\n"
ANSWER = """
import json, torch
from transformers import AutoTokenizer
tokens = AutoTokenizer.from_pretrained(backbone)(json.loads(texts), padding=True, return_tensors="pt")
print(json.dumps(model(**tokens).logits.softmax(-1).tolist()))
"""


@dataclass(frozen=True)
class Lines:
    """The code of a card.

    Attributes:
        bash: one command a line.
        own: Python with adapterstilts; empty where there is none.
        plain: Python with plain ``adapters``.
        recipe: YAML; empty where there is none.
    """

    bash: str
    own: str
    plain: str
    recipe: str


def lines_of(folder: Path) -> Lines:
    text = (folder / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    python = [code for language, code in found if language == "python"]

    def only(language: str) -> str:
        return "".join(code for one, code in found if one == language)

    plain = next((code for code in python if "from adapters import" in code), "")
    return Lines(only("bash"), next((code for code in python if code != plain), ""), plain, only("yaml"))


@dataclass(frozen=True)
class Elsewhere:
    """Another machine: an empty store, an empty cache, the hub, and the folder of the backbone."""

    folder: Path
    hub: Server
    backbone: Path

    def python(self, code: str) -> str:
        """Run lines in a fresh process; return what they print."""
        environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"} | {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.folder / "cache"),
            "ADAPTERSTILTS_STORE": str(self.folder / "store"),
            "PYTHONPATH": str(Path(adapterstilts.__file__).parents[1]),
        }
        given = f"backbone = {str(self.backbone)!r}\ntexts = {json.dumps(TEXTS)!r}\n"
        command = [sys.executable, "-c", given + code]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def elsewhere(hub: Server, backbone_folder: Path, tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere", hub, backbone_folder)


@pytest.mark.hub
@pytest.mark.parametrize("stage", [SINGLE, FUSED])
def test_a_card_can_be_followed_to_the_letter(
    built: dict[str, Path], stage: str, elsewhere: Elsewhere, cli: Command
) -> None:
    lines, said = lines_of(built[stage]), read_provenance(built[stage])
    Remote(elsewhere.hub.url).push(built[stage], said.name, said.version)
    where = ("--store", elsewhere.folder / "store", "--endpoint", elsewhere.hub.url)
    program, *words = shlex.split(lines.bash)
    assert program == "adapterstilts"
    assert cli(*words, *where).code == 0
    # Once as they stand, and once with texts in place of the dots: both ways answer alike.
    asked = lines.own.replace("adapterstilts.load", "found = adapterstilts.load")
    own = f"import json\n{lines.own}{asked.replace(DOTS, 'json.loads(texts)')}{PRINT}"
    ours, plain = map(json.loads, elsewhere.python(own + lines.plain + ANSWER).splitlines())
    assert torch.allclose(torch.tensor(plain), torch.tensor(ours), atol=1e-6)


@pytest.mark.hub
def test_a_card_of_an_adapter_without_head_can_be_followed(
    built: dict[str, Path], elsewhere: Elsewhere
) -> None:
    lines = lines_of(built[AVERAGE])
    assert (lines.own, lines.bash) == ("", "")
    assert lines.recipe.startswith("pretrained: {")
    Remote(elsewhere.hub.url).push(built[AVERAGE], "alice/mean", "1.0.0")
    shown = elsewhere.python(lines.plain + "print(model.active_adapters)")
    assert next(iter(read_provenance(built[AVERAGE]).unit.adapters.values())) in shown


@pytest.mark.parametrize("kind", card._PIPELINES)
def test_what_a_card_asks_is_what_models_of_the_kind_read(kind: str) -> None:
    asked = eval(card._QUESTIONS.get(kind, '"..."'))
    assert row_of(kind, 0, asked).id == "0"


def test_a_backbone_in_eight_bits_is_called_so(built: dict[str, Path]) -> None:
    said = read_provenance(built[SINGLE])
    reduced = dataclasses.replace(said, backbone=dataclasses.replace(said.backbone, quantize="8bit"))
    assert card._backbone(reduced).endswith("hidden size 32) in 8 bits")
