"""Packed tokens: nothing is lost on the way there and back, and gradients go the same way."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from metrics.examples import PROPERTY
from torch import Tensor

from adapterstilts.engine.attention import attend, key_mask
from adapterstilts.engine.packing import Packing

from .examples import batch_of

LENGTHS = st.lists(st.integers(2, 9), min_size=1, max_size=6)


@PROPERTY
@given(LENGTHS)
def test_a_batch_comes_back_as_it_was(lengths: list[int]) -> None:
    batch = batch_of(lengths)
    packing = Packing.of(batch)
    ids = packing.pack(batch.input_ids)
    assert ids.tolist() == [
        id_ for row, length in zip(batch.input_ids.tolist(), lengths, strict=True) for id_ in row[:length]
    ]
    assert ids[packing.first].tolist() == batch.input_ids[:, 0].tolist()
    back = packing.unpack(ids[:, None].float())[..., 0]
    assert torch.equal(back, (batch.input_ids * batch.attention_mask).float())
    spread = packing.spread(ids[:, None].float())
    assert torch.equal(packing.gather(spread)[:, 0], ids.float())
    assert torch.equal(spread.view_as(back)[batch.attention_mask.bool()], back[batch.attention_mask.bool()])


@PROPERTY
@given(LENGTHS, st.integers(0, 1000))
def test_gradients_are_those_of_attention_alone(lengths: list[int], seed: int) -> None:
    """Each sequence attends as if it stood alone, forwards and backwards, by either way of computing it."""
    packing = Packing.of(batch_of(lengths))
    generator = torch.Generator().manual_seed(seed)
    tokens, heads, size = sum(lengths), 2, 3
    x = torch.randn(tokens, 3 * heads * size, generator=generator, requires_grad=True)
    weights = torch.randn(tokens, heads * size, generator=generator)

    def packed(values: Tensor) -> Tensor:
        parts = packing.spread(values).view(len(lengths), -1, 3, heads, size).permute(2, 0, 3, 1, 4)
        return packing.gather(attend(*parts, key_mask(packing, values.dtype)))  # type: ignore[call-arg]

    def alone(values: Tensor) -> Tensor:
        read = []
        for own in values.split(lengths):
            query, key, value = own.view(-1, 3, heads, size).permute(1, 2, 0, 3)
            read.append(((query @ key.mT / size**0.5).softmax(-1) @ value).transpose(0, 1).flatten(1))
        return torch.cat(read)

    ours, expected = packed(x), alone(x)
    assert torch.allclose(ours, expected, atol=1e-5)
    gradient, wanted = (torch.autograd.grad((one * weights).sum(), x)[0] for one in (ours, expected))
    assert torch.allclose(gradient, wanted, atol=1e-5)
    half = x.detach().bfloat16().requires_grad_()
    rough = packed(half)
    assert torch.allclose(rough.float(), expected, atol=0.1)
    (rough_gradient,) = torch.autograd.grad((rough.float() * weights).sum(), half)
    assert torch.allclose(rough_gradient.float(), wanted, atol=0.2)


def test_attention_keeps_its_shares_once_and_small() -> None:
    packing = Packing.of(batch_of([9, 5]))
    parts = [torch.randn(2, 4, 9, 8).bfloat16().requires_grad_() for _ in range(3)]
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attend(parts[0], parts[1], parts[2], key_mask(packing, torch.bfloat16))
    square = [tensor for tensor in kept if tensor.shape[-2:] == (9, 9)]
    assert [tensor.dtype for tensor in square] == [torch.bfloat16]
