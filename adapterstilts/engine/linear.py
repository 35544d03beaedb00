"""A frozen matrix: laid out once, multiplied often, never learned.

On a CPU the matrices are reordered for oneDNN once; torch's own linear layer does that at every call or, in fp32,
leaves the product to another library, which is slower on some machines. The operators are private to torch, so they
are tried on a small product first; the plain product stands in where they are missing, refuse, or are wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows that the layout is made for; others work as well.
_ROWS = 2048
# How far a product in bf16 may be off, relative to its size; fp32 is far closer.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Product:
    """How inputs are multiplied by a constant matrix.

    Attributes:
        name: ``packed`` or ``plain``.
        arrange: ``(out, in)`` matrix -> what `multiply` takes.
        multiply: ``(rows, in)``, arranged matrix, bias ``(out,)`` or None -> ``(rows, out)``.
    """

    name: str
    arrange: Callable[[Tensor], Tensor]
    multiply: Callable[[Tensor, Tensor, Tensor | None], Tensor]


PLAIN = Product("plain", lambda matrix: matrix, F.linear)


def _onednn() -> Product:
    """Return the product by oneDNN's prearranged matrices.

    Raises:
        AttributeError: when this torch has no such operators.
    """
    operators: Any = torch.ops.mkldnn
    reorder, linear = operators._reorder_linear_weight, operators._linear_pointwise

    def multiply(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
        product: Tensor = linear(x, matrix, bias, "none", [], "")
        return product

    return Product("packed", lambda matrix: reorder(matrix, _ROWS), multiply)


@functools.cache
def best_product(device: torch.device, dtype: torch.dtype) -> Product:
    """Return the fastest product that works here."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return PLAIN
    try:
        product = _onednn()
        return product if _works(product, dtype) else PLAIN
    except (AttributeError, RuntimeError):
        return PLAIN


def _works(product: Product, dtype: torch.dtype) -> bool:
    """Whether a product of odd sizes comes out as it does plainly."""
    generator = torch.Generator().manual_seed(0)
    matrix, x, bias = (torch.randn(*shape, generator=generator) for shape in ((7, 33), (5, 33), (7,)))
    with torch.inference_mode(False), torch.no_grad():
        found = product.multiply(x.to(dtype), product.arrange(matrix.to(dtype)), bias.to(dtype)).float()
    expected = F.linear(x, matrix, bias)
    return found.shape == expected.shape and bool((found - expected).norm() <= _TOLERANCE * expected.norm())


class FrozenLinear:
    """Several frozen linear layers of one input as one, ``(tokens, in) -> (tokens, out)``.

    The layouts are made when they are first needed: most layers of an evaluation never need that of the gradient. The
    layers may not change after that.
    """

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        """Take the layers' weights as they are.

        Args:
            layers: ``in`` to parts of ``out``, in order.
            dtype: of the product.
        """
        self._layers = tuple(layers)
        self._dtype = dtype
        self._product = best_product(layers[0].weight.device, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``(tokens, out)`` for ``(tokens, in)``."""
        if torch.is_grad_enabled() and x.requires_grad:
            product: Tensor = _Multiply.apply(x, self)  # type: ignore[no-untyped-call]
            return product
        return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product, without a gradient."""
        return self._product.multiply(x, self._matrix, self._bias)

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the input's gradient ``(tokens, in)`` for that of the product ``(tokens, out)``."""
        return self._product.multiply(gradient, self._transposed, None)

    @functools.cached_property
    def _matrix(self) -> Tensor:
        return self._product.arrange(self._weights())

    @functools.cached_property
    def _transposed(self) -> Tensor:
        return self._product.arrange(self._weights().T.contiguous())

    @functools.cached_property
    def _bias(self) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return torch.cat([layer.bias.detach() for layer in self._layers]).to(self._dtype)

    def _weights(self) -> Tensor:
        # A layout that is first made in an evaluation would otherwise be of no use in a training after it.
        with torch.inference_mode(False), torch.no_grad():
            return torch.cat([layer.weight.detach() for layer in self._layers]).to(self._dtype).contiguous()


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, linear: FrozenLinear) -> Tensor:
        ctx.linear = linear
        return linear.forward(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.linear.backward(gradient.contiguous()), None
