"""What a composition computes, by one rule for every method.

An adapter maps the output of a part of a layer to another output; where it has no module, it changes nothing. A stack
applies one map after the other, a mean of outputs is the mean of them, and a fusion attends over what each of its
members changes (Pfeiffer et al. 2021).

The library follows this rule for some methods only. Its stack of parallel bottlenecks keeps the last one alone, its
stack of LoRAs multiplies them, a stack inside a fusion or a mean is normalised twice, and of a stack inside a fusion
only the last adapter's change counts. So its modules are kept, with all their weights, and told here how to compose.
Where the library follows the rule the results are the same to the bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from adapterstilts.errors import Fault
from adapterstilts.model.faults import AssemblyError

State = TypeVar("State")


class _Composer(Generic[State]):
    """The rule over one place in a layer; `State` is what adapters change there."""

    def through(self, block: Any, state: State) -> State:
        """Return the state after a block: an adapter's name, or the library's ``Stack``, ``Average`` or ``Fuse``."""
        from adapters.composition import Average, Fuse, Stack

        if isinstance(block, str):
            return self.one(block, state)
        forms: dict[type, Callable[[Any, State], State]] = {
            Stack: self.stack,
            Average: self.mean,
            Fuse: self.fuse,
        }
        return forms[type(block)](block, state)

    def stack(self, block: Any, state: State) -> State:
        for child in block:
            state = self.through(child, state)
        return state

    def one(self, name: str, state: State) -> State:
        raise NotImplementedError

    def mean(self, block: Any, state: State) -> State:
        raise NotImplementedError

    def fuse(self, block: Any, state: State) -> State:
        """Only bottlenecks can be fused; others stand beside a fusion of them and are not changed by it."""
        raise NotImplementedError


class _Bottlenecks(_Composer[Tensor]):
    """The output of an attention or feed-forward block, ``(batch, seq, hidden)``, before it is added to its input."""

    def __init__(self, layer: Any, entered: Tensor, norm: Any) -> None:
        self.layer, self.entered, self.norm = layer, entered, norm
        self._read: tuple[Tensor, Any, Tensor] | None = None

    def one(self, name: str, state: Tensor) -> Tensor:
        if name not in self.layer.adapters:
            return state
        return state + self._change(name, state)

    def mean(self, block: Any, state: Tensor) -> Tensor:
        return _mean([self.through(child, state) for child in block])

    def fuse(self, block: Any, state: Tensor) -> Tensor:
        present = [name for name in _names(block) if name in self.layer.adapters]
        if not present:
            return state
        # Members are of one family and read the same, which is also what the fusion asks with.
        query = self._inner(self.layer.adapters[present[-1]], state)
        # Laid out as the library does: another layout would be another order of sums in bf16.
        changes = torch.stack([self._member(child, state) for child in block]).permute(1, 2, 0, 3)
        fused: Tensor = self.layer.adapter_fusion_layer[block.name](query, changes, changes, state)
        return fused

    def _member(self, block: Any, state: Tensor) -> Tensor:
        """Return what a member of a fusion changes; it is summed up, since a difference would lose digits in bf16."""
        total = None
        for name in _names(block):
            if name in self.layer.adapters:
                change = self._change(name, state)
                state, total = state + change, change if total is None else total + change
        return torch.zeros_like(state) if total is None else total

    def _change(self, name: str, state: Tensor) -> Tensor:
        adapter = self.layer.adapters[name]
        inner = adapter.adapter_down(self._inner(adapter, state))
        change: Tensor = adapter.dropout(adapter.adapter_up(inner) * adapter.scaling)
        return change

    def _inner(self, adapter: Any, state: Tensor) -> Tensor:
        """Return what an adapter reads; of adapters side by side it is made once, and so has one gradient."""
        kind = (type(adapter), adapter.original_ln_before)
        if self._read is None or self._read[0] is not state or self._read[1] != kind:
            self._read = (state, kind, adapter.pre_forward(state, self.entered, self.norm)[0])
        return self._read[2]


class _Linears(_Composer[Any]):
    """What is added to a matrix product, or what scales it, ``(batch, seq, out)``; None is nothing yet."""

    def __init__(self, layer: Any, entered: Tensor) -> None:
        self.layer, self.entered = layer, entered

    def one(self, name: str, state: Tensor | None) -> Tensor | None:
        if name not in self.layer.loras:
            return state
        module = self.layer.loras[name]
        if module.composition_mode == "scale":
            scaled: Tensor = module(state, self.entered)[0]
            return scaled
        added: Tensor = module(None, self.entered)[0]
        return added if state is None else state + added

    def mean(self, block: Any, state: Tensor | None) -> Tensor | None:
        if not block.flatten() & set(self.layer.loras):
            return state
        return _mean([self.through(child, state) for child in block])

    def fuse(self, block: Any, state: Tensor | None) -> Tensor | None:
        _refuse(block, self.layer.loras)
        return state


class _Prefixes(_Composer[Any]):
    """The attention's keys and values, to which prefixes are put; the state is the library's own."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def one(self, name: str, state: Any) -> Any:
        return self.layer.compose_single(name, state) if name in self.layer.prefixes else state

    def mean(self, block: Any, state: Any) -> Any:
        _refuse(block, self.layer.prefixes)
        return state

    fuse = mean


def _mean(tensors: list[Tensor]) -> Tensor:
    """Return the mean, in single precision at least, which autocast would not see to."""
    return torch.stack(tensors).mean(0, dtype=torch.promote_types(tensors[0].dtype, torch.float32))


def _names(block: Any) -> list[str]:
    """Return the adapters in a block, from left to right."""
    return [block] if isinstance(block, str) else [name for child in block for name in _names(child)]


def _refuse(block: Any, present: Any) -> None:
    if block.flatten() & set(present):
        raise AssemblyError(Fault(str(block), "these adapters cannot be composed so"))


# ---- in place of the library's own


def _bottleneck_forward(layer: Any, hidden_states: Tensor, residual_input: Tensor, layer_norm: Any) -> Tensor:
    setup = layer.get_active_setup()
    if setup is not None:
        hidden_states = _Bottlenecks(layer, residual_input, layer_norm).through(setup, hidden_states)
    out: Tensor = layer_norm(hidden_states + residual_input)
    return out


def _compose_linear(layer: Any, setup: Any, state: Any) -> Any:
    hidden = _Linears(layer, state.layer_input).through(setup, None)
    # It decides whether the product is added to or scaled; a composition has adapters of one of both only.
    last = next(name for name in _names(setup) if name in layer.loras)
    return state._replace(hidden_states=hidden, last=last)


def _compose_prefix(layer: Any, setup: Any, state: Any) -> Any:
    return _Prefixes(layer).through(setup, state)


def install(model: Any) -> None:
    """Make the model's layers compose by the rule, until `uninstall`."""
    for layer, name, function in _replacements(model):
        setattr(layer, name, functools.partial(function, layer))


def uninstall(model: Any) -> None:
    """Give the layers back to the library."""
    for layer, name, _ in _replacements(model):
        layer.__dict__.pop(name, None)


def _replacements(model: Any) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    from adapters.methods.bottleneck import BottleneckLayer
    from adapters.methods.lora import LoRALinear
    from adapters.methods.prefix_tuning import PrefixTuningLayer

    kinds: dict[type, tuple[str, Callable[..., Any]]] = {
        BottleneckLayer: ("bottleneck_layer_forward", _bottleneck_forward),
        LoRALinear: ("compose", _compose_linear),
        PrefixTuningLayer: ("compose", _compose_prefix),
    }
    for module in model.base_model.modules():
        for kind, (name, function) in kinds.items():
            if isinstance(module, kind):
                yield module, name, function
