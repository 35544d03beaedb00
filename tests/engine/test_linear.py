"""Frozen matrices: the plain product and its input's gradient, by private operators or without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adapterstilts.engine import linear
from adapterstilts.engine.linear import PLAIN, FrozenLinear, Product, best_product

CPU = torch.device("cpu")


def layers(*outs: int, size: int = 33) -> list[nn.Linear]:
    torch.manual_seed(1)
    return [nn.Linear(size, out).requires_grad_(False) for out in outs]


def product(of: list[nn.Linear], x: Tensor) -> Tensor:
    return torch.cat([F.linear(x, layer.weight, layer.bias) for layer in of], 1)


@pytest.fixture
def _fresh() -> Iterator[None]:
    best_product.cache_clear()
    yield
    best_product.cache_clear()


@pytest.mark.parametrize("rows", [1, 5, 300])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_several_layers_are_one_product(dtype: torch.dtype, off: float, rows: int) -> None:
    of = layers(7, 20)
    x = torch.randn(rows, 33)
    ours = FrozenLinear(of, dtype)(x.to(dtype)).float()
    expected = product(of, x)
    assert (ours - expected).norm() <= off * expected.norm()


@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_the_inputs_gradient_is_exact_and_there_is_no_other(dtype: torch.dtype, off: float) -> None:
    of = layers(7, 20)
    x, weights = torch.randn(6, 33), torch.randn(6, 27)
    inputs = [x.detach().to(dtype, copy=True).requires_grad_(), x.detach().clone().requires_grad_()]
    frozen = FrozenLinear(of, dtype)
    (frozen(inputs[0]).float() * weights).sum().backward()
    (product(of, inputs[1]) * weights).sum().backward()
    ours, expected = (one.grad for one in inputs)
    assert ours is not None
    assert expected is not None
    assert ours.dtype == dtype
    assert (ours.float() - expected).norm() <= off * expected.norm()
    assert all(parameter.grad is None for layer in of for parameter in layer.parameters())


def test_nothing_is_kept_for_a_gradient_that_nobody_wants() -> None:
    frozen = FrozenLinear(layers(4), torch.float32)
    assert frozen(torch.randn(2, 33)).grad_fn is None
    with torch.no_grad():
        assert frozen(torch.randn(2, 33, requires_grad=True)).grad_fn is None


def missing() -> Product:
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")


def refusing() -> Product:
    def arrange(matrix: Tensor) -> Tensor:
        raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx512bw")

    return Product("refusing", arrange, F.linear)


def wrong() -> Product:
    return Product("wrong", lambda matrix: matrix, lambda x, matrix, bias: F.linear(x, matrix, bias) * 2)


def of_another_shape() -> Product:
    return Product("odd", lambda matrix: matrix, lambda x, matrix, bias: F.linear(x, matrix, bias)[:, :1])


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("operators", [missing, refusing, wrong, of_another_shape])
def test_operators_that_do_not_work_are_not_used(
    monkeypatch: pytest.MonkeyPatch, operators: Callable[[], Any]
) -> None:
    monkeypatch.setattr(linear, "_onednn", operators)
    of, x = layers(7), torch.randn(5, 33, requires_grad=True)
    assert best_product(CPU, torch.float32) is PLAIN
    frozen = FrozenLinear(of, torch.float32)
    assert torch.allclose(frozen(x), product(of, x), atol=1e-6)
    (gradient,) = torch.autograd.grad(frozen(x).sum(), x)
    assert torch.allclose(gradient, of[0].weight.sum(0).expand(5, -1), atol=1e-6)


@pytest.mark.usefixtures("_fresh")
def test_without_onednn_the_product_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert best_product(CPU, torch.float32) is PLAIN


def test_other_devices_use_their_own_product() -> None:
    assert best_product(torch.device("meta"), torch.float32) is PLAIN
