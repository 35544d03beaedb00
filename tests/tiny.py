"""A tiny world: a random XLM-R, words in three made-up languages, and a recipe with every method.

Everything is small enough for one core, and learnable: a topic is told by its marker words, which all languages
share, as related languages share names.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "xx", "yy")
TOPICS = ("north", "south", "west")
MARKERS = {topic: tuple(f"{topic}{n}" for n in range(4)) for topic in TOPICS}
FILLERS = {language: tuple(f"{language}{n}" for n in range(30)) for language in LANGUAGES}
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
WORDS = (
    *(word for words in MARKERS.values() for word in words),
    *(word for words in FILLERS.values() for word in words),
)
CONFIG: Mapping[str, Any] = {
    "architectures": ["XLMRobertaModel"],
    "model_type": "xlm-roberta",
    "vocab_size": len(SPECIALS) + len(WORDS) + 1,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 130,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}

METHODS = (
    "target",
    "stack(<intermediate>, target)",
    "fuse(reply, pairs, target)",
    "stack(average(reply, pairs), target)",
    "stack(fuse(reply, pairs), target)",
    "full_finetune",
    "full_stilts(<intermediate>)",
)

_RECIPE = """\
# Every method, on next to nothing.
version: 1
name: tiny
backbone: {{model: {backbone}, retrieval: {{layer: 1}}}}
adapter: {{config: seq_bn, reduction_factor: 4}}
training:
  default: {{precision: fp32, tokens_per_batch: 128, max_length: 16, learning_rate: 2e-2, steps: {steps}}}
  full_finetune: {{learning_rate: 3e-3}}
tasks:
  topics:
    kind: classification
    domain: compass
    labels: [north, south, west]
    languages:
      en: {{train: data/topics.en.train.jsonl, test: data/topics.en.jsonl}}
      xx: {{test: data/topics.xx.jsonl}}
      yy: {{test: data/topics.yy.jsonl}}
    format: {{type: jsonl}}
    licence: MIT
  pairs:
    kind: classification
    labels: [other, same]
    languages:
      en: {{train: data/pairs.train.jsonl, test: data/pairs.jsonl}}
    format: {{type: jsonl}}
    licence: MIT
  reply:
    kind: multiple_choice
    languages:
      en: {{train: data/reply.train.jsonl, test: data/reply.jsonl}}
    format: {{type: jsonl}}
    licence: MIT
  match:
    kind: retrieval
    languages:
      xx: {{test: data/match.xx.jsonl}}
    format: {{type: jsonl}}
    licence: MIT
  words:
    kind: mlm
    languages:
      en: {{train: data/words.en.jsonl}}
      xx: {{train: data/words.xx.jsonl}}
      yy: {{train: data/words.yy.jsonl}}
    format: {{type: jsonl}}
    licence: MIT
intermediate: [reply, pairs]
targets:
  - {{task: topics, languages: {languages}}}
{more_targets}
methods:
{methods}
seeds: {seeds}
report: {{bootstrap: 100}}
{more}
"""

# Controls, floors, and compositions that need more than intermediates; `MORE` has what they name.
MORE_METHODS = (
    "target",
    "head_only",
    "majority",
    "stack(random, target)",
    "stack(placebo(pairs), target)",
    "longer(pairs)",
    "init_from(pairs)",
    "init_from(reply)",
    "stack(parallel(reply, pairs), target)",
    "stack(words-xx, fuse(reply, pairs), target)",
    "stack(<language>, target)",
    "fuse(stack(<language>, reply), stack(<language>, pairs))",
    "fuse(stack(<language>, target), pairs)",
    "full_stilts(placebo(pairs))",
    "with(lora, target)",
    "with(lora, stack(pairs, target))",
    "with(upper, stack(<intermediate>, target))",
)
MORE = """\
language:
  - {name: words-en, task: words, language: en}
  - {name: words-xx, task: words, language: xx}
  - {name: words-yy, task: words, language: yy}
adapters:
  lora: {config: lora, options: {r: 2, alpha: 4}}
  upper: {reduction_factor: 4, skip_layers: 1}
"""


def write_backbone(folder: Path, spread: float = 0.3, **changes: Any) -> Path:
    """Write a random XLM-R as an ordinary model folder; every weight, biases and norms too, is random.

    With a small `spread` of the layers' weights a token's state still tells which word it is.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = {**CONFIG, **changes}
    torch.manual_seed(20)
    model = XLMRobertaModel(XLMRobertaConfig(**config), add_pooling_layer=False)
    weights = {}
    for name, parameter in model.state_dict().items():
        if parameter.is_floating_point():
            matrix = name.endswith("weight") and parameter.ndim == 2
            scale = (0.3 if "embeddings" in name else spread) if matrix else 0.1
            parameter = parameter + scale * torch.randn_like(parameter)
            weights[f"roberta.{name}"] = parameter.contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """Write a fast tokenizer of whole words with XLM-R's special tokens at their places."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing

    words = (*SPECIALS, *WORDS, "<mask>")
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in (*SPECIALS, "<mask>")])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "XLMRobertaTokenizerFast",
        "model_max_length": 128,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


# ---- data


def sentence(chance: random.Random, topic: str, language: str, longest: int = 7) -> str:
    """Return a sentence that two marker words give away."""
    words = [
        *chance.choices(FILLERS[language], k=chance.randint(1, longest)),
        *chance.sample(MARKERS[topic], 2),
    ]
    chance.shuffle(words)
    return " ".join(words)


def write_data(folder: Path) -> None:
    """Write the data of all tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(5)
    _write(folder / "topics.en.train.jsonl", (_topic(chance, "en") for _ in range(60)))
    for language in LANGUAGES:
        _write(folder / f"topics.{language}.jsonl", (_topic(chance, language) for _ in range(21)))
    for name, count in (("pairs.train", 40), ("pairs", 15)):
        _write(folder / f"{name}.jsonl", (_pair(chance) for _ in range(count)))
    for name, count in (("reply.train", 24), ("reply", 12)):
        _write(folder / f"{name}.jsonl", (_reply(chance) for _ in range(count)))
    _write(folder / "match.xx.jsonl", (_translation(chance) for _ in range(24)))
    for language in LANGUAGES:
        _write(folder / f"words.{language}.jsonl", ({"text": _plain(chance, language)} for _ in range(20)))


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    lines = [json.dumps({"id": f"{path.stem}-{n}", **record}) for n, record in enumerate(records)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _topic(chance: random.Random, language: str) -> dict[str, Any]:
    topic = chance.choice(TOPICS)
    return {"text": sentence(chance, topic, language), "label": topic}


def _pair(chance: random.Random) -> dict[str, Any]:
    first, second = chance.choice(TOPICS), chance.choice(TOPICS)
    label = "same" if first == second else "other"
    return {
        "text": sentence(chance, first, "en", 4),
        "text_pair": sentence(chance, second, "en", 4),
        "label": label,
    }


def _reply(chance: random.Random) -> dict[str, Any]:
    topics = chance.sample(TOPICS, chance.choice((2, 3)))
    right = chance.randrange(len(topics))
    choices = [sentence(chance, topic, "en", 2) for topic in topics]
    return {"context": sentence(chance, topics[right], "en", 2), "choices": choices, "label": right}


def _translation(chance: random.Random) -> dict[str, Any]:
    numbers = chance.choices(range(30), k=chance.randint(2, 6))
    return {side: " ".join(FILLERS[language][n] for n in numbers) for side, language in SIDES.items()}


def _plain(chance: random.Random, language: str) -> str:
    return " ".join(chance.choices(FILLERS[language], k=chance.randint(6, 14)))


SIDES = {"source": "xx", "target": "en"}


# ---- recipes


def recipe_text(
    backbone: Path | str,
    *,
    methods: Sequence[str] = METHODS,
    languages: Sequence[str] = LANGUAGES,
    more_targets: Sequence[str] = ("match",),
    seeds: Sequence[int] = (0, 1),
    steps: int = 8,
    more: str = "",
) -> str:
    """Return a recipe; its data lie in `data` beside it."""
    return _RECIPE.format(
        backbone=backbone,
        steps=steps,
        languages=f"[{', '.join(languages)}]",
        more_targets="\n".join(f"  - {target}" for target in more_targets),
        methods="\n".join(f"  - {method}" for method in methods),
        seeds=list(seeds),
        more=more,
    )


def write_recipe(folder: Path, backbone: Path | str, **changes: Any) -> Path:
    """Write a recipe and the data that it names; return the recipe's path."""
    write_data(folder / "data")
    path = folder / "tiny.yaml"
    path.write_text(recipe_text(backbone, **changes), encoding="utf-8")
    return path


# ---- processes that die

# Each child is forked from a server that has imported the slow libraries once; the tests' own process is never
# forked.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "adapterstilts.runner.walk",
        "adapterstilts.runner.execute",
        "adapterstilts.search.run",
        "adapters.models.auto",
        "adapters.models.xlm_roberta",
        "adapters.models.roberta.adapter_model",
        "transformers.models.xlm_roberta.tokenization_xlm_roberta_fast",
    ]
)


@contextmanager
def child(work: Callable[..., None], *arguments: Any, kill_at: str | None = None) -> Iterator[Any]:
    """Start `work` in another process with one thread; end it in any case."""
    process = _PROCESSES.Process(target=_in_child, args=(kill_at, work, arguments))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            process.kill()
        process.join()


def run_in_child(work: Callable[..., None], *arguments: Any, kill_at: str | None = None) -> int:
    """Run `work` in another process and return its exit code (negative: the signal it died of)."""
    with child(work, *arguments, kill_at=kill_at) as process:
        process.join(120)
        assert process.exitcode is not None, "the child did not end"
        return int(process.exitcode)


def _in_child(kill_at: str | None, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    if kill_at is not None:
        os.environ["ADAPTERSTILTS_KILL_AT"] = kill_at
    work(*arguments)


def run_recipe(path: str, options: Any) -> None:
    """Run a recipe, for use in a child."""
    from adapterstilts.runner.execute import execute
    from adapterstilts.runner.prepare import prepare

    execute(prepare(path, options=options)).raise_failures()


def context_of(prepared: Any, **changes: Any) -> Any:
    """Return the surroundings in which a prepared recipe's stages run here."""
    import torch

    from adapterstilts.runner.prepare import local_backbone
    from adapterstilts.runner.pretrained import imported
    from adapterstilts.stages.context import Context

    return Context(
        store=prepared.store,
        roots=prepared.roots,
        device=torch.device("cpu"),
        threads=1,
        backbone_folder=local_backbone(prepared.recipe),
        pretrained={one.content: one.folder for one in prepared.pretrained.values()},
        imported=imported(prepared.pretrained.values()),
        offline=True,
        **changes,
    )


def train(path: str, options: Any, reporter: Any = None, **changes: Any) -> Any:
    """Run what a recipe lacks, without the report that `run_recipe` writes; return what became of the stages."""

    from adapterstilts.runner.prepare import prepare
    from adapterstilts.runner.reporter import Silent
    from adapterstilts.runner.walk import walk

    prepared = prepare(path, options=options)
    context = context_of(prepared, checkpoint_seconds=options.checkpoint_seconds, **changes)
    outcome = walk(prepared.plan, prepared.missing, context, reporter or Silent(), keep=options.keep)
    for error in outcome.errors:
        raise error
    return outcome


class Listener:
    """A reporter that remembers.

    Attributes:
        ended: stage name -> status.
        why: stage name -> why it ended so.
        first: stage name -> the first step that was done of it.
    """

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.why: dict[str, str] = {}
        self.first: dict[str, int] = {}

    def stage_started(self, stage: Any, number: int, count: int) -> None:
        pass

    def stage_waiting(self, stage: Any) -> None:
        self.why[stage.name] = "waiting"

    def step(self, stage: Any, step: int, steps: int, loss: float, rate: float) -> None:
        self.first.setdefault(stage.name, step)

    def stage_ended(self, stage: Any, status: str, seconds: float, results: Any, why: str) -> None:
        self.ended[stage.name], self.why[stage.name] = status, why


def digests(store: Any) -> dict[str, dict[str, str]]:
    """Return stage name -> file -> digest of all artifacts of a store."""
    return {
        artifact.record.name: {name: file.sha256 for name, file in artifact.record.files.items()}
        for artifact in store.artifacts()
    }
