"""A backbone's tokenizer alone, for looking at data without any weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapterstilts.backbones import KNOWN, PACKAGE_MODEL, PACKAGE_PREFIX
from adapterstilts.data.encoding.tokens import Tokenizer
from adapterstilts.errors import EnvironmentFault, Fault, suggest
from adapterstilts.model.backbone import quiet_library
from adapterstilts.model.convert import package_vocabulary
from adapterstilts.model.xlmr_tokenizer import SPECIAL_TOKENS, build_tokenizer


def load_tokenizer(model: str, revision: str | None = None, *, offline: bool = False) -> Tokenizer:
    """Return the tokenizer of a backbone.

    Args:
        model: ``package:NAME``, a folder, or a hub id.
        revision: of a hub id; default: the one that is known for it.
        offline: whether only files that were downloaded before may be used.

    Raises:
        EnvironmentFault: when it cannot be had.
    """
    if model.startswith(PACKAGE_PREFIX):
        return _of_package(model)
    from transformers import AutoTokenizer

    known = KNOWN.get(model)
    options: dict[str, Any] = {}
    if not Path(model).is_dir():
        options = {"revision": revision or (known and known.revision), "local_files_only": offline}
    try:
        with quiet_library():
            tokenizer: Tokenizer = AutoTokenizer.from_pretrained(model, use_fast=True, **options)
    except (OSError, ValueError) as error:
        what = f"its tokenizer cannot be loaded: {str(error).strip().splitlines()[0]}"
        remedy = f"check name and network, or take {PACKAGE_MODEL}, which needs none"
        raise EnvironmentFault(Fault(model, what, remedy)) from error
    return tokenizer


def _of_package(model: str) -> Tokenizer:
    from transformers import XLMRobertaTokenizerFast

    if model not in KNOWN:
        raise EnvironmentFault(Fault(model, "no backbone in this package is known", suggest(model, KNOWN)))
    vocabulary = package_vocabulary(model.removeprefix(PACKAGE_PREFIX), KNOWN[model].revision)
    tokenizer: Tokenizer = XLMRobertaTokenizerFast(
        tokenizer_object=build_tokenizer(vocabulary), **SPECIAL_TOKENS
    )
    return tokenizer
