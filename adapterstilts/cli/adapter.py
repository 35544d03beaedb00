"""``adapterstilts adapter``: trained adapters and models, and predictions with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapterstilts.cli.options import (
    backbone_option,
    device_option,
    json_option,
    offline_option,
    print_json,
    store_option,
    verbose_option,
)
from adapterstilts.cli.table import echo_table, size_text
from adapterstilts.errors import DataError, Fault, UsageError
from adapterstilts.hub.manifest import PROVENANCE_FILE
from adapterstilts.hub.references import is_reference
from adapterstilts.hub.shelf import Shelf
from adapterstilts.runner.prepare import Options
from adapterstilts.store.store import Store

if TYPE_CHECKING:
    from adapterstilts.stages.predict import Predictor

_KINDS = (
    "train_adapter",
    "train_fusion",
    "train_head",
    "full_finetune",
    "average",
    "import_adapter",
    "random_adapter",
)

_RECORD_FIELDS = ("key", "name", "inputs", "results", "provenance", "spec")
_UNIT_FIELDS = ("name", "version", "key", "unit", "backbone", "reading", "data", "licence", "results")


@click.group(name="adapter")
def command() -> None:
    """Look at trained adapters and models, and predict with them."""


@command.command("ls")
@store_option
@json_option
def list_adapters(store: Path | None, as_json: bool) -> None:
    """List what was trained."""
    found = [one for one in Store(Options(store=store).store_root).artifacts() if one.record.kind in _KINDS]
    if as_json:
        print_json(
            [
                {"key": a.record.key, "name": a.record.name, "kind": a.record.kind, "bytes": a.size}
                for a in found
            ]
        )
        return
    rows = [
        (a.record.key[:12], a.record.name, str(a.record.results.get("parameters", "")), size_text(a.size))
        for a in found
    ]
    echo_table(("KEY", "NAME", "PARAMETERS", "SIZE"), rows)


@command.command("show")
@click.argument("ref")
@store_option
@json_option
def show(ref: str, store: Path | None, as_json: bool) -> None:
    """Print an artifact's record, or what a unit says of itself."""
    root = Options(store=store).store_root
    fields: tuple[str, ...]
    if is_reference(ref):
        path, fields = Shelf(root).find(ref).folder / PROVENANCE_FILE, _UNIT_FIELDS
        data = json.loads(path.read_text(encoding="utf-8"))
    else:
        data, fields = json.loads(Store(root).resolve(ref).record.to_json()), _RECORD_FIELDS
    if as_json:
        print_json(data)
        return
    for field in fields:
        value = data[field]
        click.echo(
            f"{field}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)}"
        )


@command.command("predict")
@click.argument("ref")
@click.option("--text", "texts", multiple=True, help="A text; may be given several times.")
@click.option("--pair", "pairs", multiple=True, help="The second text of each --text, for pair tasks.")
@click.option(
    "--input",
    "file",
    type=click.Path(path_type=Path),
    help="Lines of text, a .jsonl file of examples, or with `--to brat` a folder of .txt files.",
)
@click.option("--to", "form", type=click.Choice(["lines", "brat"]), default="lines", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the .ann files of `--to brat`.")
@backbone_option
@store_option
@device_option
@offline_option
@json_option
@verbose_option
def predict(
    ref: str,
    texts: tuple[str, ...],
    pairs: tuple[str, ...],
    file: Path | None,
    form: str,
    out: Path | None,
    backbone: Path | None,
    store: Path | None,
    device: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Answer with labels and probabilities, or write the entities of documents for brat.

    REF is a key, or a unit on this machine: local:NS/NAME@1.0.0, hf:NS/NAME@REVISION, sha256:DIGEST.
    """
    if form == "brat":
        if texts or pairs or file is None or out is None:
            raise UsageError(
                Fault("adapter predict", "`--to brat` needs --input and --out, and nothing else")
            )
        _predict_brat(_predictor(ref, store, device, offline, backbone), file, out, as_json)
        return
    inputs = _inputs(texts, pairs, file)
    answers = _predictor(ref, store, device, offline, backbone).predict(inputs)
    if as_json:
        print_json(
            [
                {"id": a.id, "prediction": a.prediction, "probabilities": dict(a.probabilities or {})}
                for a in answers
            ]
        )
        return
    for given, answer in zip(inputs, answers, strict=True):
        best = max((answer.probabilities or {}).values(), default=0.0)
        shown = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        click.echo(f"{answer.prediction}\t{best:.3f}\t{shown}")


def _predictor(ref: str, store: Path | None, device: str, offline: bool, backbone: Path | None) -> Predictor:
    from adapterstilts.stages.predict import Predictor

    return Predictor.load(ref, store=store, device=device, offline=offline, backbone=backbone)


def _predict_brat(predictor: Predictor, place: Path, out: Path, as_json: bool) -> None:
    from adapterstilts.data.documents import documents_in, write_brat

    documents = documents_in(place)
    entities = predictor.predict_documents(documents)
    write_brat(out, documents, entities)
    counts = {name: len(found) for name, found in entities.items()}
    if as_json:
        print_json(counts)
    else:
        click.echo(f"{sum(counts.values())} entities in {len(counts)} documents; annotations in {out}")


def _inputs(texts: tuple[str, ...], pairs: tuple[str, ...], file: Path | None) -> list[Any]:
    if bool(texts) == bool(file):
        raise UsageError(Fault("adapter predict", "give either --text or --input"))
    if pairs and len(pairs) != len(texts):
        raise UsageError(
            Fault("adapter predict", f"{len(texts)} --text and {len(pairs)} --pair", "give one each")
        )
    if pairs:
        return list(zip(texts, pairs, strict=True))
    if file is None:
        return list(texts)
    inputs = list(_read(file))
    if not inputs:
        raise DataError(Fault(str(file), "holds no text"))
    return inputs


def _read(file: Path) -> Iterator[Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(Fault(str(file), f"cannot be read as UTF-8 text: {error}")) from error
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if file.suffix != ".jsonl":
            yield line
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(Fault(f"{file}:{number}", f"not JSON: {error}")) from error
        if not isinstance(value, (str, dict)):
            raise DataError(Fault(f"{file}:{number}", "neither a text nor an object of fields"))
        yield value
