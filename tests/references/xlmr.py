"""XLM-R with adapters as their papers define them, in plain operations over saved weights, in double precision.

Nothing of ``adapters`` and nothing of our model code computes here; only weights and configurations are read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from adapterstilts import compose
from adapterstilts.data.tensors import Batch
from adapterstilts.model.blocks import memory_name

NOTHING = compose.Group("stack", ())


def read(composition: str) -> compose.Expression:
    """Return the expression of a composition, ``stack()`` included."""
    return NOTHING if composition == "stack()" else compose.parse(composition)


def activation(name: str, x: Tensor) -> Tensor:
    return {
        "relu": lambda: x.clamp(min=0),
        "gelu": lambda: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
        "swish": lambda: x / (1 + torch.exp(-x)),
        "tanh": lambda: torch.tanh(x),
    }[name]()


class Reference:
    """An encoder, adapters by their names in memory, a fusion and a head."""

    def __init__(self, backbone_folder: Path) -> None:
        self.weights: dict[str, Tensor] = {}
        self.configs: dict[str, list[dict[str, Any]]] = {}
        self._take(backbone_folder / "model.safetensors")
        config = json.loads((backbone_folder / "config.json").read_text(encoding="utf-8"))
        self.heads, self.epsilon = config["num_attention_heads"], config["layer_norm_eps"]
        self.layers = config["num_hidden_layers"]

    def _take(self, path: Path, old: str = "", new: str = "") -> None:
        for key, tensor in load_file(str(path)).items():
            self.weights[key.replace(old, new) if old else key] = tensor.double()

    def add(self, folder: Path, position: str = "self") -> None:
        """Take an adapter, a head or a fusion from a folder; an adapter gets the name of a position."""
        for path in folder.glob("*.safetensors"):
            if path.stem != "adapter":
                self._take(path)
                continue
            described = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            name = memory_name(position)
            self._take(path, f".{described['name']}.", f".{name}.")
            self.configs[name] = described["config"].get("configs", [described["config"]])

    def _config(self, name: str, architecture: str | None) -> dict[str, Any]:
        return next(one for one in self.configs[name] if one.get("architecture") == architecture)

    # ---- the encoder

    def linear(self, name: str, x: Tensor) -> Tensor:
        y = x @ self.weights[f"{name}.weight"].T
        return y + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else y

    def norm(self, name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def embed(self, ids: Tensor, expression: compose.Expression) -> Tensor:
        place = "roberta.embeddings"
        real = (ids != 1).long()
        positions = real.cumsum(1) * real + 1
        x = self.weights[f"{place}.word_embeddings.weight"][ids]
        x = x + self.weights[f"{place}.position_embeddings.weight"][positions]
        x = self.norm(f"{place}.LayerNorm", x + self.weights[f"{place}.token_type_embeddings.weight"][0])
        for name in self.names(expression):
            x = self.inverted(name, x)
        return x

    def attend(self, place: str, x: Tensor, mask: Tensor, expression: compose.Expression) -> Tensor:
        def split(name: str) -> Tensor:
            y = self.product(f"{place}.attention.self.{name}", x, expression)
            return y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)

        query, key, value = split("query"), split("key"), split("value")
        seen = mask[:, None, None] != 0
        for name in self.names(expression):
            key, value, seen = self.prefixed(name, place, key, value, seen)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores.masked_fill(~seen, -math.inf)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape)
        return self.sublayer(f"{place}.attention.output", mixed, x, expression)

    def sublayer(self, place: str, inner: Tensor, entered: Tensor, expression: compose.Expression) -> Tensor:
        """Return the output of an attention or feed-forward block, added to its input and normalised."""
        out = self.product(f"{place}.dense", inner, expression)
        out = self.block(expression, place, out, entered)
        return self.norm(f"{place}.LayerNorm", out + entered)

    def hidden(self, batch: Batch, composition: str) -> list[Tensor]:
        """Return all hidden states, the embeddings first."""
        expression = read(composition)
        states = [self.embed(batch.input_ids, expression)]
        for i in range(self.layers):
            place = f"roberta.encoder.layer.{i}"
            attended = self.attend(place, states[-1], batch.attention_mask, expression)
            inner = activation("gelu", self.product(f"{place}.intermediate.dense", attended, expression))
            states.append(self.sublayer(f"{place}.output", inner, attended, expression))
        return states

    def logits(self, batch: Batch, composition: str) -> Tensor:
        """Return the scores of a classification head."""
        first = self.hidden(batch, composition)[-1][:, 0]
        return self.linear("heads.trained.4", torch.tanh(self.linear("heads.trained.1", first)))

    # ---- compositions: what stands before comes in, what stands after goes out

    def names(self, expression: compose.Expression) -> list[str]:
        return [memory_name(leaf) for leaf in compose.leaves(expression)]

    def block(self, expression: compose.Expression, place: str, out: Tensor, entered: Tensor) -> Tensor:
        """Return what bottlenecks make of the output of a block."""
        if isinstance(expression, compose.Leaf):
            return out + self.bottleneck(memory_name(expression.name), place, out, entered)
        if expression.function == "stack":
            for child in expression.children:
                out = self.block(child, place, out, entered)
            return out
        outputs = [self.block(child, place, out, entered) for child in expression.children]
        if expression.function == "parallel":
            return mean(outputs)
        return self.fused(expression, place, out, entered, outputs)

    def fused(
        self,
        expression: compose.Group,
        place: str,
        out: Tensor,
        entered: Tensor,
        outputs: Sequence[Tensor],
    ) -> Tensor:
        """Attention over what each member changes; its query is the members' common input."""
        lasts = [self.names(child)[-1] for child in expression.children]
        fusion = f"{place}.adapter_fusion_layer.{','.join(lasts)}"
        if f"{fusion}.query.weight" not in self.weights:
            return out
        changes = torch.stack([output - out for output in outputs], 2)
        asked = self.read_by(lasts[0], place, out, entered)
        query, key = self.linear(f"{fusion}.query", asked), self.linear(f"{fusion}.key", changes)
        attention = (query[:, :, None] * key).sum(-1).softmax(-1)
        return out + (attention[..., None] * self.linear(f"{fusion}.value", changes)).sum(2)

    def product(self, place: str, x: Tensor, expression: compose.Expression) -> Tensor:
        """Return a matrix product and what lora and ia3 make of it."""
        return self.changed_product(expression, place, self.linear(place, x), x)

    def changed_product(self, expression: compose.Expression, place: str, y: Tensor, x: Tensor) -> Tensor:
        if isinstance(expression, compose.Leaf):
            return self.one_product(memory_name(expression.name), place, y, x)
        if expression.function == "stack":
            for child in expression.children:
                y = self.changed_product(child, place, y, x)
            return y
        if expression.function == "parallel":
            return mean([self.changed_product(child, place, y, x) for child in expression.children])
        return y

    # ---- single adapters

    def read_by(self, name: str, place: str, out: Tensor, entered: Tensor) -> Tensor:
        """Return what a bottleneck reads."""
        config = self._config(name, None)
        if config["is_parallel"]:
            return entered
        return self.norm(f"{place}.LayerNorm", out + entered) if config["original_ln_before"] else out

    def bottleneck(self, name: str, place: str, out: Tensor, entered: Tensor) -> Tensor:
        """Return what a bottleneck adds to the output of a block."""
        own = f"{place}.adapters.{name}"
        if not any(key.startswith(f"{own}.") for key in self.weights):
            return torch.zeros_like(out)
        config = self._config(name, None)
        x = self.read_by(name, place, out, entered)
        narrow = activation(config["non_linearity"], self.projected(f"{own}.adapter_down.0", name, x))
        learned = self.weights.get(f"{own}.scaling")
        scaling = config["scaling"] if learned is None else learned
        return scaling * self.projected(f"{own}.adapter_up", name, narrow)

    def projected(self, place: str, name: str, x: Tensor) -> Tensor:
        if f"{place}.weight" in self.weights:
            return self.linear(place, x)
        # A sum of Kronecker products (Mahabadi et al. 2021); the small factors are the same in all layers.
        rules = self.weights[f"roberta.shared_parameters.{name}.phm_rule"]
        left, right = self.weights[f"{place}.W_left"], self.weights[f"{place}.W_right"]
        matrix = sum(torch.kron(rules[i], left[i] @ right[i]) for i in range(len(rules)))
        return x @ matrix + self.weights[f"{place}.b"]

    def one_product(self, name: str, place: str, y: Tensor, x: Tensor) -> Tensor:
        down, up = (self.weights.get(f"{place}.loras.{name}.lora_{part}") for part in "AB")
        if up is None:
            return y
        if down is None:
            return y * up[:, 0]
        config = self._config(name, "lora")
        return y + config["alpha"] / config["r"] * (x @ down.T @ up.T)

    def prefixed(
        self, name: str, place: str, key: Tensor, value: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Put a prefix before keys and values ``(batch, heads, seq, width)``; everything attends to it."""
        own, layer = f"roberta.prefix_tuning.prefix_tunings.{name}.self_prefix", int(place.rsplit(".")[-1])
        config = [one for one in self.configs[name] if one.get("architecture") == "prefix_tuning"]
        if not config or layer in config[0]["leave_out"]:
            return key, value, seen
        if config[0]["flat"]:
            made = self.weights[f"{own}.control_trans"].view(config[0]["prefix_length"], -1)
        else:
            narrow = torch.tanh(self.linear(f"{own}.control_trans.0", self.weights[f"{own}.wte.weight"]))
            made = self.linear(f"{own}.control_trans.2", narrow)
        number = layer - sum(left < layer for left in config[0]["leave_out"])
        pairs = made.view(len(made), -1, 2, self.heads, key.shape[-1])[:, number]
        keys, values = (pairs[:, side].transpose(0, 1).expand(len(key), -1, -1, -1) for side in (0, 1))
        always = torch.ones(*seen.shape[:-1], len(made), dtype=torch.bool)
        return torch.cat([keys, key], 2), torch.cat([values, value], 2), torch.cat([always, seen], -1)

    def inverted(self, name: str, x: Tensor) -> Tensor:
        """Additive coupling of the two halves of the embeddings (Pfeiffer et al. 2020, MAD-X, section 3.4)."""
        own = f"roberta.invertible_adapters.{name}"
        if f"{own}.F.0.weight" not in self.weights:
            return x

        def small(part: str, half: Tensor) -> Tensor:
            kind = self._config(name, None)["non_linearity"]
            return self.linear(f"{own}.{part}.2", activation(kind, self.linear(f"{own}.{part}.0", half)))

        first, second = x.chunk(2, -1)
        first = first + small("F", second)
        return torch.cat([first, second + small("G", first)], -1)


def mean(tensors: Iterable[Tensor]) -> Tensor:
    found = list(tensors)
    return sum(found[1:], found[0]) / len(found)
