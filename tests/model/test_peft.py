"""The layout of PEFT: PEFT itself computes with it what was trained here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from references.setups import BATCH, states

from adapterstilts.errors import UsageError
from adapterstilts.model.assembly import Blueprint, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.peft import export_peft
from adapterstilts.specs import AdapterSpec

OPTIONS = {
    "r": 4,
    "alpha": 12,
    "attn_matrices": ["q", "k", "v"],
    "intermediate_lora": True,
    "output_lora": True,
}


def trained(backbone: Backbone, spec: AdapterSpec, folder: Path) -> Path:
    """Write an adapter whose every number is random."""
    with assembled(backbone, Blueprint("self", adapter=spec)) as assembly:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name, parameter in assembly.model.named_parameters():
                if ".trained." in name:
                    parameter.normal_(0, 0.3, generator=generator)
        assembly.save(folder)
    return folder / "adapter"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_peft_computes_the_same(backbone: Backbone, backbone_folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModel

    adapter = trained(backbone, AdapterSpec("lora", 1, options=OPTIONS), tmp_path / "own")
    export_peft(adapter, tmp_path / "peft", "tiny", None)
    with assembled(backbone, Blueprint("x0", {"x0": adapter})) as assembly:
        ours = states(assembly)[-1]
    plain = AutoModel.from_pretrained(
        str(backbone_folder), attn_implementation="eager", add_pooling_layer=False
    )
    given = {"input_ids": BATCH.input_ids, "attention_mask": BATCH.attention_mask}
    with torch.no_grad():
        bare = plain.eval()(**given).last_hidden_state[BATCH.attention_mask.bool()]
        model = peft.PeftModel.from_pretrained(plain, str(tmp_path / "peft")).eval()
        theirs = model(**given).last_hidden_state[BATCH.attention_mask.bool()]
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, bare, atol=1e-2)


@pytest.mark.parametrize(
    "spec", [AdapterSpec("seq_bn", 4), AdapterSpec("ia3", 1)], ids=lambda spec: spec.config
)
def test_what_peft_does_not_have_is_refused(backbone: Backbone, tmp_path: Path, spec: AdapterSpec) -> None:
    adapter = trained(backbone, spec, tmp_path / "own")
    with pytest.raises(UsageError, match="is no LoRA that PEFT has"):
        export_peft(adapter, tmp_path / "peft", "tiny", None)
    assert not (tmp_path / "peft").exists()
