"""The whole vocabulary of a recipe, on one page. Only shapes and types; meaning is checked in `load`.

Every field's description feeds the reference in ``docs/reference.md``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag

from adapterstilts.methods import METHODS
from adapterstilts.tasks.spec import Kind

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Percent = Annotated[int, Field(ge=0, le=100)]

# Marks that pydantic sets into an error's path to say which form of a value it tried.
TEXT, SECTION, LIST = "<text>", "<section>", "<list>"
FORMS = frozenset({TEXT, SECTION, LIST})


def _form(value: Any) -> str:
    return TEXT if isinstance(value, str) else LIST if isinstance(value, list) else SECTION


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class RetrievalSection(Section):
    """How the backbone's states become sentence vectors, for targets without training."""

    layer: int | None = Field(
        None,
        ge=0,
        description="hidden state that is read; default: the last for a sentence encoder, 14 of 24 for XLM-R Large",
    )
    pooling: Literal["mean", "first"] = Field("mean", description="mean over the tokens, or the first token")
    centre: bool = Field(False, description="subtract the mean vector of each language")


class BackboneSection(Section):
    """The pretrained network."""

    model: str = Field(
        "FacebookAI/xlm-roberta-large",
        description="hub id, `package:NAME` of a registry package, or a local folder",
    )
    revision: str | None = Field(None, description="commit SHA on the hub, or version of the package")
    quantize: Literal["none", "8bit", "4bit"] = Field(
        "none",
        description="frozen weights held in fewer bits, for less memory: `8bit` on any device, `4bit` on a GPU; needs "
        "the extra `quantize`; whole models and lora cannot be trained on them",
    )
    retrieval: RetrievalSection = Field(
        RetrievalSection(), description="sentence vectors of untrained targets"
    )


class AdapterSection(Section):
    """The adapters that are trained."""

    config: str = Field("seq_bn", description=f"what they are: {', '.join(METHODS)} (see configurations)")
    reduction_factor: Positive | None = Field(
        None,
        description="hidden size divided by the bottleneck's size, of configurations that have one; "
        "default: the published one",
    )
    skip_layers: int = Field(0, ge=0, description="the lowest n layers carry no adapter")
    options: dict[str, Any] = Field({}, description="the configuration's own options (see configurations)")


class TrainingFields(Section):
    """Settings of a training stage; what is not given comes from the section before it."""

    precision: Literal["auto", "fp32", "bf16"] | None = Field(
        None, description="`auto`: bf16 where the device does it well"
    )
    path: Literal["auto", "library"] | None = Field(
        None,
        description="`auto`: the fast engine where it covers a stage; `library`: the modules of `adapters` always",
    )
    tokens_per_batch: Positive | None = Field(None, description="subwords a batch, padding included")
    max_length: int | None = Field(
        None,
        ge=8,
        le=512,
        description="subwords of an example, or of a window of it; default: 128, span_qa 384",
    )
    stride: Positive | None = Field(
        None,
        description="subwords from the start of one window of a long text to that of the next; default: span_qa 128; "
        "elsewhere long texts are cut (classification, choice) or split without overlap (tagging, mlm)",
    )
    learning_rate: Rate | None = Field(None, description="peak learning rate of AdamW")
    epochs: Annotated[float, Field(gt=0)] | None = Field(None, description="passes over the training data")
    steps: Positive | None = Field(
        None, description="optimiser steps; wins over `epochs` given at the same place"
    )
    warmup: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="share of the steps with rising rate"
    )
    weight_decay: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="AdamW's weight decay")
    max_grad_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="norm that gradients are clipped to"
    )
    backbone_dropout: Literal["auto", True, False] | None = Field(
        None, description="the backbone's own dropout; `auto`: off while it is frozen, on while it trains"
    )
    evaluations: int | None = Field(
        None,
        ge=0,
        description="how often, evenly spread, a model is scored on validation data; the best state is kept; "
        "default: 0, the last state is",
    )
    patience: Positive | None = Field(
        None, description="training ends after so many `evaluations` without a better score"
    )
    accumulate: Positive | None = Field(
        None, description="batches whose gradients make one step, each by its number of examples; default: 1"
    )
    class_weights: Literal["none", "balanced"] | None = Field(
        None,
        description="`balanced`: the loss of a class counts by the inverse of its share of the training labels; of "
        "classification and tagging, other kinds have no classes",
    )


class TrainingSection(Section):
    """Settings from general to special: default, role, named settings, whole model, task, few examples, method."""

    default: TrainingFields = Field(TrainingFields(), description="for every training stage")
    intermediate: TrainingFields = Field(TrainingFields(), description="for intermediate adapters and models")
    target: TrainingFields = Field(TrainingFields(), description="for target adapters and models")
    fusion: TrainingFields = Field(TrainingFields(), description="for fusion layers")
    by_adapter: dict[Name, TrainingFields] = Field(
        {}, description="for adapters with these settings of `adapters:`, after the role"
    )
    full_finetune: TrainingFields = Field(TrainingFields(), description="for whole models, after the role")
    by_task: dict[Name, TrainingFields] = Field(
        {}, description="for stages that train on this task or mix, or for this target, after the role"
    )
    few_shot: TrainingFields = Field(
        TrainingFields(),
        description="for stages that train on a few examples, after the task; default: 20 epochs; "
        "its learning rate is not for whole models",
    )
    by_method: dict[str, TrainingFields] = Field(
        {},
        description="for the stage that this method trains last on a target (its fusion, where it has one), after all "
        "others",
    )


class FormatSection(Section):
    """How files become records."""

    type: str = Field(description="a reader: jsonl, json, csv, tsv ... (`adapterstilts doctor` lists them)")
    columns: dict[str, str] = Field({}, description="field of the kind -> column in the file")
    options: dict[str, Any] = Field({}, description="the reader's own options: header, quoting, encoding ...")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_files(value: Any) -> Any:
    return {"files": value} if isinstance(value, (str, list)) else value


def _named_task(value: Any) -> Any:
    return {"task": value} if isinstance(value, str) else value


def _source(value: Any) -> Any:
    # YAML's null says the same as the word.
    return "none" if value is None else value if value == "none" else _named_task(value)


Paths = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]


class SplitSection(Section):
    """One split of one language: files, or a split on the hub."""

    files: Paths | None = Field(None, description="a path or several, which may hold `*`")
    hub: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = Field(
        None, description="a data set on the hub, as `namespace/name`, in place of files"
    )
    config: str | None = Field(None, description="configuration of the hub's data set, where it has some")
    split: str | None = Field(None, description="the hub's own name of the split")
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="commit SHA on the hub; without one the first run asks for it and keeps it"
    )
    ref: str | None = Field(
        None, description="branch on the hub to read until there is a commit; default: main"
    )
    format: FormatSection | None = Field(None, description="how to read it; default: the task's `format`")
    portion: tuple[Percent, Percent] = Field(
        (0, 100),
        description="percent range of the rows, chosen by a hash of each row's group, for data without splits: "
        "[0, 80] to train, [80, 100] to test",
    )


Split = Annotated[SplitSection | None, BeforeValidator(_as_files)]


class LanguageSection(Section):
    """The splits of one language: a path, a list of paths, or a section."""

    train: Split = Field(None, description="training data")
    validation: Split = Field(None, description="validation data")
    test: Split = Field(None, description="test data")


class TaskSection(Section):
    """A task of your own, without Python."""

    kind: Kind = Field(description="shape of input and output; decides head and loss")
    domain: str = Field("general", description="domain in the results: biomedical, social ...")
    labels: list[str] = Field(
        [],
        description="the label list, in the head's order, or a file beside the recipe with one a line; "
        "of tagging all tags (O, B-X, I-X ...); for multiple choice "
        "the names of the options, if they have some; other kinds have none",
    )
    label_map: dict[str, str | None] = Field(
        {}, description="value in the files -> label; null drops the row, counted"
    )
    unanswerable: bool = Field(
        False, description="of span_qa: a passage may hold no answer; the empty answer is then a prediction"
    )
    languages: dict[str, LanguageSection] = Field(min_length=1, description="language code -> splits")
    format: FormatSection | None = Field(
        None, description="how to read the splits that bring no format of their own"
    )
    metrics: list[str] = Field(
        [], description="scores, the main one first; default: the usual ones of the kind"
    )
    confidential: bool = Field(
        False, description="nothing of its text may leave the data; all that is derived from it is marked"
    )
    licence: str = Field(
        "", description="licence of the data, best as an SPDX id; unknown where none is said"
    )
    citation: str = Field("", description="where the data come from")


class MixEntrySection(Section):
    """A task of a mix."""

    task: Name = Field(description="a task of the catalogue or of `tasks:`")
    languages: list[str] = Field(["en"], min_length=1, description="languages of the training data, joined")


class IntermediateSection(Section):
    """What is learned before the target: a task in one language or several, or a mix of tasks."""

    name: Name = Field(description="its name in methods")
    task: Name | None = Field(None, description="a task of the catalogue or of `tasks:`")
    language: str | None = Field(None, description="language of the training data; default: en")
    languages: list[str] = Field([], description="several languages, joined; in place of `language`")
    mix: list[Annotated[MixEntrySection, BeforeValidator(_named_task)]] = Field(
        [],
        description="several tasks at once, each with a head of its own, in place of `task`: names, or task and "
        "languages",
    )
    cap: Positive | None = Field(
        131072,
        description="of a mix: a task counts at most so many examples (Phang et al. 2020); null: no cap",
    )
    temperature: float = Field(
        1, ge=1, description="of a mix: shares to the power 1 / temperature; more evens them out"
    )
    adapter: Name | None = Field(
        None,
        description="its settings, a name under `adapters:`, which win over those of a method; default: `adapter:`",
    )
    on_language: bool = Field(
        False,
        description="trained on top of the adapter of its training language (MAD-X), to stand on `<language>`",
    )


class PretrainedSection(Section):
    """An adapter that was trained elsewhere; its name stands where an intermediate's can."""

    name: Name = Field(description="its name in methods")
    path: str = Field(
        description="a folder in the layout of `adapters`, as seen from the recipe, the key of a stored adapter, or a "
        "unit on this machine: `local:ns/name@1.0.0`, `hf:ns/name@REVISION` once it was pulled, `sha256:...`"
    )
    language: str | None = Field(None, description="the language that it is for, of a language adapter")
    allow_pickle: bool = Field(
        False,
        description="also read the old pickle files, which can hold code: only from those whom you trust",
    )


class SourceSection(Section):
    """What a target trains on before it is read, or goes on, in its own languages."""

    task: Name | None = Field(
        None, description="a task of the target's kind; default: the target's own source"
    )
    languages: list[str] = Field(["en"], min_length=1, description="languages of the training data, joined")
    labels: dict[str, str | None] = Field(
        {},
        description="label (or span type) of the source -> that of the target; null drops the row, or tags it O; "
        "labels of equal names need no entry",
    )


class FewShotSection(Section):
    """How few examples are chosen; equal draws are equal for every method, and a larger k adds examples."""

    k: Positive = Field(description="examples of the target's own training data, in each evaluation language")
    draws: Positive = Field(
        1, description="independent samples, each a result of its own; they count like seeds"
    )
    stratify: Literal["label", False] = Field(
        False, description="`label`: labels take turns, so that each has about as many examples"
    )


class SettingSection(Section):
    """A setting with numbers of its own."""

    few_shot: FewShotSection = Field(description="train on the source, if any, then on a few examples")


Source = Annotated[Literal["none"], Tag(TEXT)] | Annotated[SourceSection, Tag(SECTION)]
Setting = (
    Annotated[Literal["zero_shot", "target_validation", "in_language"], Tag(TEXT)]
    | Annotated[SettingSection, Tag(SECTION)]
)


class TargetSection(Section):
    """A task we care about."""

    task: Name = Field(description="a task of the catalogue or of `tasks:`")
    name: Name | None = Field(
        None, description="its name in the results; default: the task. Tells two targets of one task apart"
    )
    source: Annotated[Annotated[Source, Discriminator(_form)] | None, BeforeValidator(_source)] = Field(
        None,
        description="what is trained on first: a task's name, a section, or `none`; default: the task's own "
        "training data, or those of the task that it trains on (XNLI on MNLI), in English",
    )
    setting: Annotated[Setting, Discriminator(_form)] = Field(
        "zero_shot",
        description="`zero_shot`: train on the source alone; `target_validation`: the same, with settings that were "
        "chosen on the target's validation data; `in_language`: train on the task's own training data in each "
        "evaluation language; `few_shot`: on the source, then on a few examples of each evaluation language",
    )
    validation: Literal["source", "target", "none"] | None = Field(
        None,
        description="what selects the best state, where training has `evaluations`: the source's validation data, the "
        "target's in the evaluation language (a model of its own for each), or nothing; default: the source's",
    )
    languages: list[str] = Field([], description="evaluation languages; default: all that have the split")
    split: Literal["validation", "test"] = Field("test", description="split that is scored")
    limit: Positive | None = Field(
        None, description="score at most so many examples a language, chosen by a hash"
    )


def _as_sections(value: Any) -> Any:
    """Turn name -> path or section into a list of sections."""
    if not isinstance(value, dict):
        return value
    return [
        {"name": name, **(section if isinstance(section, dict) else {"path": section})}
        for name, section in value.items()
    ]


def _named_intermediate(value: Any) -> Any:
    return {"name": value, "task": value} if isinstance(value, str) else value


class ReportSection(Section):
    """What the report compares."""

    baseline: str = Field("target", description="the method that gains are measured against")
    bootstrap: int = Field(1000, ge=100, le=100_000, description="resamples behind each interval")


class RangeSection(Section):
    """All numbers between two, each order of magnitude as likely as any other."""

    low: Rate = Field(description="the least")
    high: Rate = Field(description="the greatest")


Rates = Annotated[
    Annotated[Annotated[list[Rate], Field(min_length=1)], Tag(LIST)] | Annotated[RangeSection, Tag(SECTION)],
    Discriminator(
        _form,
        custom_error_type="rates",
        custom_error_message="should be a list of rates, or a section with low and high",
    ),
]


class RatesSection(Section):
    """Learning rates that are tried, each a list or a range: whole models need others than adapters."""

    adapter: Rates = Field(
        RangeSection(low=5e-5, high=1e-3),
        description="of adapters, fusions and heads; default: from 5e-5 to 1e-3",
    )
    full: Rates = Field(
        RangeSection(low=1e-5, high=5e-5), description="of whole models; default: from 1e-5 to 5e-5"
    )


Composed = Literal["stack", "fuse", "average", "parallel", "init_from"]


class SpaceSection(Section):
    """What is tried. Settings reach the stage that a method trains last on the target, sizes all its adapters."""

    compositions: list[Composed] = Field(
        [],
        description="how adapters of the pool are composed with the target's: in an order (`stack`), as a set "
        "(`fuse`), as a mean of weights or of outputs under it, or one of them going on; default: `methods` alone "
        "are tuned",
    )
    adapters: Positive = Field(3, description="at most so many adapters of the pool in one composition")
    weights: list[Positive] = Field(
        [1], min_length=1, description="of `average`: the weight of each adapter is one of these"
    )
    learning_rate: (
        Annotated[
            Annotated[Literal["auto"], Tag(TEXT)] | Annotated[RatesSection, Tag(SECTION)],
            Discriminator(_form),
        ]
        | None
    ) = Field(None, description="`auto`, the ranges of the section, or the section; default: not tried")
    epochs: list[Annotated[float, Field(gt=0)]] = Field([], description="passes over the training data")
    skip_layers: list[Annotated[int, Field(ge=0)]] = Field([], description="see `adapter`")
    reduction_factor: list[Positive] = Field([], description="see `adapter`")


class SearchSection(Section):
    """A study: which composition and which settings serve each target best, told by validation data alone."""

    trials: Positive = Field(
        40,
        description="of the compositions together; without compositions, of each method. Methods get as many as the "
        "winner's kind of composition had",
    )
    over: SpaceSection = Field(description="what is tried")
    pool: list[Name] = Field(
        [],
        description="adapters that compositions are made of; default: those of `intermediate`, `domain`, `pretrained`",
    )
    tune: bool = Field(
        True,
        description="whether `methods` get trials as well; without, they keep their settings and are called untuned",
    )
    sampler: Literal["tpe", "nsga2", "random", "grid"] = Field(
        "tpe",
        description="what proposes trials; a space of no more points than trials is always tried as a whole; `grid`: "
        "nothing else is",
    )
    pruner: Literal["none", "median", "halving", "hyperband"] = Field(
        "none", description="what ends trials early, by their validation scores; needs `evaluations`"
    )
    objectives: list[Literal["score", "parameters", "disk"]] = Field(
        ["score"],
        min_length=1,
        description="what is sought: a high score, few trained parameters, few bytes that predicting reads beside the "
        "backbone",
    )
    select_on: Literal["validation", "target_validation"] = Field(
        "validation",
        description="whose validation data decide: those of the source, or the target's in its evaluation languages "
        "(results are then not called zero-shot)",
    )
    seeds: list[Seed] = Field([1000], min_length=1, description="of the trials; none of `seeds`")
    rank: Literal["none", "size", "similarity", "logme", "neighbours", "few_step"] = Field(
        "none", description="what orders the first trials: see `adapterstilts study rank`"
    )
    seed: Seed = Field(0, description="of the sampler")


class RecipeFile(Section):
    """A recipe."""

    version: Literal[1] = Field(description="of this format")
    name: Name = Field(description="names the folder below `runs/`")
    backbone: BackboneSection = Field(BackboneSection(), description="the pretrained network")
    adapter: AdapterSection = Field(AdapterSection(), description="the adapters that are trained")
    adapters: dict[Name, AdapterSection] = Field(
        {}, description="other settings by name, for `with(NAME, METHOD)` and for single intermediates"
    )
    training: TrainingSection = Field(TrainingSection(), description="how stages optimise")
    tasks: dict[Name, TaskSection] = Field({}, description="your own tasks, beside the catalogue")
    intermediate: list[Annotated[IntermediateSection, BeforeValidator(_named_intermediate)]] = Field(
        [], description="what is learned before the target: a task's name, or name and task, or name and mix"
    )
    domain: list[Annotated[IntermediateSection, BeforeValidator(_named_intermediate)]] = Field(
        [], description="the same, of the target's domain, for `<domain>`"
    )
    language: list[IntermediateSection] = Field(
        [], description="one mlm task a language, as name, task and language, for `<language>`"
    )
    pretrained: Annotated[list[PretrainedSection], BeforeValidator(_as_sections)] = Field(
        [],
        description="adapters that were trained elsewhere; also as a mapping of names to paths: "
        "`{mnli: local:ns/mnli@1.0.0}`",
    )
    targets: list[Annotated[TargetSection, BeforeValidator(_named_task)]] = Field(
        min_length=1, description="the tasks that are scored"
    )
    methods: list[str] = Field(
        min_length=1, description="what is compared on every target (see compositions)"
    )
    seeds: list[Seed] = Field([0], min_length=1, description="each seed runs the whole chain")
    remove_overlap: bool = Field(
        False, description="take the texts that are scored, of all targets, out of all training data"
    )
    search: SearchSection | None = Field(None, description="a study that goes before the comparison")
    report: ReportSection = Field(ReportSection(), description="what the report compares")
