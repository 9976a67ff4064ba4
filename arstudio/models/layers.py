"""Layers that two or more models use. All tensors are channels-last, (B, H, W, features).

Pointwise layers act on the last dimension, so they work on an image (B, H, W, F), a row (B, W, F) and a site
(B, F) alike; only the two convolutions of `convolutions.py` mix positions.

At a place the layers take NumPy arrays as well as tensors and answer in kind: on a CPU the products of one site
are so small that most of the time of a torch call is its own bookkeeping. `at_site` makes the choice.

Channel groups keep the order R, G, B inside a pixel: feature i of n belongs to colour i·C // n, and "mask A"
lets a group see strictly earlier colours of its own pixel, "mask B" also itself
(van den Oord et al. 2016a, section 3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Array = Tensor | np.ndarray
ALWAYS = -1    # group of inputs that carry no pixel value, such as the channel of ones


def groups(features: int, channels: int) -> Tensor:
    """(features,) colour of each feature, in blocks of equal size up to rounding."""
    return torch.arange(features) * channels // features


def centre_mask(inputs: Tensor, outputs: Tensor, strict: bool) -> Tensor | None:
    """(out, in) 0/1 mask between groups at one pixel: mask A if strict, else mask B.
    None where all is allowed."""
    allowed = inputs[None] < outputs[:, None] if strict else inputs[None] <= outputs[:, None]
    return None if bool(allowed.all()) else allowed.float()


def at_site(x: Tensor) -> Array:
    """A tensor as the kind of array that is fastest at a single site: NumPy's on a CPU, sharing memory."""
    return x.numpy() if x.device.type == "cpu" else x


def wide(x: Tensor) -> Tensor:
    """x in float64, on the CPU where its device has none."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def joined(*parts: Array) -> Array:
    """Features side by side."""
    return np.concatenate(parts, axis=-1) if isinstance(parts[0], np.ndarray) else torch.cat(parts, dim=-1)


def times(x: Array, matrix: Array) -> Array:
    """(…, in) times (in, out). NumPy hands products of two dimensions to BLAS, others not."""
    if not isinstance(x, np.ndarray):
        return x @ matrix
    if x.ndim == 2:
        return x.dot(matrix)
    return x.reshape(-1, x.shape[-1]).dot(matrix).reshape(*x.shape[:-1], matrix.shape[1])


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0) if isinstance(x, np.ndarray) else F.relu(x)


class Ready(nn.Module):
    """A layer whose frozen copy, which does not change any more, prepares what decoding needs when that is first asked for."""

    def fold_mask(self) -> None:
        """Forget what was prepared: the weights are new. Never on a network that is trained."""
        self.made: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "made": {}} if "made" in self.__dict__ else self.__dict__    # copies make their own

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once in a frozen copy."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


class Linear(nn.Linear, Ready):
    """A dense layer on the last dimension, of tensors and, in a frozen copy, of arrays."""

    def forward(self, x: Array) -> Array:
        if isinstance(x, np.ndarray):
            z = times(x, self.matrix)
            z += self.shift
            return z
        return super().forward(x)

    @property
    def matrix(self) -> np.ndarray:
        """(in, out) weight of a frozen copy."""
        return self.once("matrix", lambda: np.ascontiguousarray(self.weight.detach().numpy().T))

    @property
    def shift(self) -> np.ndarray | np.generic:
        """(out,) bias of a frozen copy, or zero."""
        return self.once("shift", lambda: self.matrix.dtype.type(0) if self.bias is None else self.bias.detach().numpy())


class MaskedLinear(Linear):
    """A 1×1 convolution over channels-last tensors in which each group sees
    its own and earlier colours (mask B), or with `strict` only earlier ones (mask A)."""

    def __init__(self, inputs: Tensor, outputs: Tensor, bias: bool = True, strict: bool = False) -> None:
        super().__init__(len(inputs), len(outputs), bias)
        self.register_buffer("mask", centre_mask(inputs, outputs, strict), persistent=False)

    def forward(self, x: Array) -> Array:
        if self.mask is None or isinstance(x, np.ndarray):
            return super().forward(x)
        return F.linear(x, self.masked_weight(), self.bias)

    def masked_weight(self) -> Tensor:
        """(out, in) weight as applied; the stored weight is never changed."""
        return self.weight if self.mask is None else self.weight * self.mask

    def fold_mask(self) -> None:
        """Multiply the mask into the weight of a frozen copy, once. Never on a network that is trained."""
        if self.mask is not None:
            self.weight.data.mul_(self.mask)
            self.mask = None
        super().fold_mask()


class Head(nn.Sequential):
    """ReLU, 1×1, ReLU, 1×1: from features to the parameters of every colour (van den Oord et al. 2016a)."""

    def __init__(self, inputs: Tensor, hidden: Tensor, outputs: Tensor) -> None:
        super().__init__(nn.ReLU(), MaskedLinear(inputs, hidden), nn.ReLU(), MaskedLinear(hidden, outputs))

    def forward(self, x: Array) -> Array:
        return self[3](relu(self[1](relu(x))))


def gate(z: Array) -> Array:
    """(…, 2p) -> (…, p): tanh of the first half times the sigmoid of the second
    (van den Oord et al. 2016b). An array is overwritten."""
    if isinstance(z, np.ndarray):
        half = z.shape[-1] // 2
        z[..., half:] *= 0.5                # σ(b) = (1 + tanh(b / 2)) / 2, so one tanh does for both
        np.tanh(z, out=z)
        b = z[..., half:]
        b += 1
        b *= z[..., :half]
        b *= 0.5
        return b
    a, b = z.chunk(2, dim=-1)
    return torch.tanh(a) * torch.sigmoid(b)


def plus(base: Array, x: Array, linear: Linear) -> Array:
    """base (…, out) + linear(x), x (…, in), of a layer without bias."""
    if isinstance(x, np.ndarray):
        z = times(x, linear.matrix)
        z += base
        return z
    return base + linear(x)


def lstm_cell(z: Array, c: Array, dim: int = -1) -> tuple[Array, Array]:
    """Sums i, f, o, g that enter the gates, side by side in `dim`, and the cell's state c -> the next (h, c):
    c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g), h = σ(o) ⊙ tanh(c') (van den Oord et al. 2016a, equation 3).
    Arrays have dim −1; an array z is overwritten."""
    n = z.shape[dim] // 4
    if isinstance(z, np.ndarray):
        gates = z[..., :3 * n]
        gates *= 0.5                        # σ(b) = (1 + tanh(b / 2)) / 2, as in `gate`
        np.tanh(z, out=z)
        gates += 1
        gates *= 0.5
        i, f, o, g = (z[..., part * n:(part + 1) * n] for part in range(4))
        c = f * c
        c += i * g
        return o * np.tanh(c), c
    i, f, o = z.narrow(dim, 0, 3 * n).sigmoid().chunk(3, dim)
    c = torch.addcmul(f * c, i, z.narrow(dim, 3 * n, n).tanh())
    return o * c.tanh(), c


def with_ones(e: Tensor) -> Tensor:
    """(B, 1, C, H, W) scaled levels -> (B, H, W, C + 1), channels-last with a channel of ones.

    The ones tell padding from level values: outside the image they are zero.
    """
    x = e[:, 0].permute(0, 2, 3, 1)
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)
