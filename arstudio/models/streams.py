"""What PixelCNN++ is made of: gated residual blocks in two streams, changes of resolution, weight normalisation.

    block   y = x + a ⊙ σ(b),   [a, b] = K_2 ∗ φ(K_1 ∗ φ(x) + S φ(skip) + L φ(v)) + V y_class,   φ(x) = [elu(x), elu(−x)]
    weight  w = g v / ‖v‖ for each output                           Salimans & Kingma 2016

All tensors are channels-last. The vertical stream reads 2×3 places ending in its own row, the horizontal stream 2×2
ending at its own place. Layers serve whole images, a row and a site alike, as in `layers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.models.convolutions import Cache, RowConv, SiteConv, _CausalConv
from arstudio.models.layers import Array, Linear, joined

Given = Iterable[Array | None]
Caches = Iterable[Sequence[Cache | None]]


class NormalLinear(Linear):
    """A dense layer with normalised weights."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, bias)
        self.gain = nn.Parameter(torch.full((outputs,), gain))

    def forward(self, x: Array) -> Array:
        if self.gain is None or isinstance(x, np.ndarray):
            return super().forward(x)
        return F.linear(x, normalised(self.weight, self.gain), self.bias)

    def fold_mask(self) -> None:
        """Write the normalised weight into a frozen copy, once."""
        self.weight.data, self.gain = normalised(self.weight, self.gain).data, None
        super().fold_mask()


class _NormalConv(_CausalConv):
    """A convolution whose weights are normalised wherever they are read."""

    gain: nn.Parameter | None

    def masked_weight(self) -> Tensor:
        return normalised(super().masked_weight(), self.gain)

    def fold_mask(self) -> None:
        """Write the normalised weight into a frozen copy, once."""
        super().fold_mask()
        self.gain = None


class NormalRowConv(_NormalConv, RowConv):
    """A row-causal convolution with normalised weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, kernel)
        self.gain = nn.Parameter(torch.full((outputs,), gain))


class NormalSiteConv(_NormalConv, SiteConv):
    """A raster-causal convolution with normalised weights; all features of a pixel are one group."""

    def __init__(self, inputs: int, outputs: int, kernel: int, strict: bool = False, gain: float = 1.0) -> None:
        super().__init__(torch.zeros(inputs), torch.zeros(outputs), kernel, rows=2, strict=strict)
        self.gain = nn.Parameter(torch.full((outputs,), gain))


def normalised(v: Tensor, gain: Tensor | None) -> Tensor:
    """Weights (out, …) brought to the lengths `gain` (out,), zeros left as they are; unchanged without."""
    if gain is None:
        return v
    return (F.normalize(v.flatten(1), dim=1) * gain[:, None]).view_as(v)


def concat_elu(x: Array) -> Array:
    """(…, p) -> (…, 2p): elu(x) and elu(−x)."""
    if isinstance(x, np.ndarray):
        p = x.shape[-1]
        y = np.empty((*x.shape[:-1], 2 * p), x.dtype)
        left, right = y[..., :p], y[..., p:]
        np.abs(x, out=left)
        np.negative(left, out=left)
        bent = np.expm1(left)                   # elu(x) = max(x, exp(−|x|) − 1)
        np.maximum(x, bent, out=left)
        np.negative(x, out=right)
        np.maximum(right, bent, out=right)
        return y
    return F.elu(torch.cat([x, -x], dim=-1), inplace=True)


def linear_gate(z: Array) -> Array:
    """(…, 2p) -> (…, p): the first half times the sigmoid of the second."""
    if isinstance(z, np.ndarray):
        half = z.shape[-1] // 2
        g = np.tanh(z[..., half:] * 0.5)
        g += 1
        g *= z[..., :half]
        g *= 0.5
        return g
    return F.glu(z, dim=-1)


class Feature:
    """A feature map, row or site `x` (…, p) with `bent` = concat_elu(x) (…, 2p), which several layers read."""

    __slots__ = ("bent", "x")

    def __init__(self, x: Array) -> None:
        self.x, self.bent = x, concat_elu(x)


class Block(nn.Module):
    """One gated residual block of one stream; `vertical` has the wider convolutions, horizontal ones a link."""

    def __init__(self, p: int, vertical: bool, shortcut: bool, dropout: float) -> None:
        super().__init__()
        if vertical:
            self.first, self.second = NormalRowConv(2 * p, p, 3), NormalRowConv(2 * p, 2 * p, 3, gain=0.1)
        else:
            self.first, self.second = NormalSiteConv(2 * p, p, 2), NormalSiteConv(2 * p, 2 * p, 2, gain=0.1)
        self.shortcut = NormalLinear(2 * p, p, bias=False) if shortcut else None
        self.link = None if vertical else NormalLinear(2 * p, p, bias=False)
        self.dropout = dropout

    def forward(
        self, x: Feature, skip: Feature | None = None, link: Tensor | None = None, bias: Tensor | None = None,
        caches: Sequence[Cache | None] = (None, None),
    ) -> Feature:
        """The next feature; link (…, p) comes from the vertical stream, bias (…, 2p) from the class. At some pixels
        both are in the sums of the caches already."""
        z = self.first(x.bent, caches[0])
        if link is not None:
            z = z + link
        if skip is not None:
            z = z + self.shortcut(skip.bent)
        z = concat_elu(z)
        if self.training and self.dropout:
            z = F.dropout(z, self.dropout)
        z = self.second(z, caches[1])
        if bias is not None:
            z = z + bias
        return Feature(x.x + linear_gate(z))


class Shrink(nn.Module):
    """Convolution of stride 2: (R, C) reads rows 2R − 1 and 2R, columns from 2C − 1 to 2C, or 2C + 1 if vertical."""

    def __init__(self, p: int, vertical: bool) -> None:
        super().__init__()
        self.columns = 3 if vertical else 2
        self.dense = NormalLinear(2 * self.columns * p, p)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, p) -> (B, ⌈H/2⌉, ⌈W/2⌉, p)."""
        return self.framed(F.pad(x, (0, 0, 1, 1, 1, 1)), (x.shape[1] + 1) // 2, (x.shape[2] + 1) // 2)

    def framed(self, x: Array, height: int, width: int) -> Array:
        """The same of x with a row of zeros (or what lies there) above, and a column at either side."""
        taps = [x[:, i:i + 2 * height - 1:2, j:j + 2 * width - 1:2] for i in range(2) for j in range(self.columns)]
        return self.dense(joined(*taps))


class Grow(nn.Module):
    """Transposed convolution of stride 2: (r, c) reads (r // 2, c // 2); if vertical and c is odd, also one further."""

    def __init__(self, p: int, vertical: bool) -> None:
        super().__init__()
        self.dense = NormalLinear(p, 4 * p)
        self.right = NormalLinear(p, 2 * p, bias=False) if vertical else None

    def forward(self, x: Tensor) -> Tensor:
        """Rows (…, W, p) -> (…, 2, 2W, p), two rows from each."""
        z = self.dense(x).unflatten(-1, (2, 2, -1))                                 # (…, W, row, column, p)
        if self.right is not None:
            further = F.pad(self.right(x)[..., 1:, :], (0, 0, 0, 1)).unflatten(-1, (2, -1))
            z = torch.stack([z[..., 0, :], z[..., 1, :] + further], dim=-2)
        return z.movedim(-3, -4).flatten(-3, -2)

    def image(self, x: Tensor, height: int, width: int) -> Tensor:
        """(B, H, W, p) -> (B, height, width, p)."""
        return self(x).flatten(1, 2)[:, :height, :width]


class Stream(nn.Module):
    """One stream at one resolution: blocks on the way up, and blocks with shortcuts on the way down."""

    def __init__(self, p: int, blocks: int, vertical: bool, dropout: float, first: bool, last: bool) -> None:
        super().__init__()
        self.enter = None if first else Shrink(p, vertical)
        self.up = nn.ModuleList(Block(p, vertical, False, dropout) for _ in range(blocks))
        self.down = nn.ModuleList(Block(p, vertical, True, dropout) for _ in range(blocks + (not last)))
        self.leave = None if first else Grow(p, vertical)

    @property
    def blocks(self) -> list[Block]:
        """Blocks on the way up, then those on the way down."""
        return [*self.up, *self.down]

    def climb(self, x: Array, links: Given = (), biases: Given = (), caches: Caches = ()) -> list[Feature]:
        """What enters the resolution -> that, and the output of each block on the way up."""
        features = [Feature(x)]
        for block, link, bias, rows in zip_longest(self.up, links, biases, caches):
            features.append(block(features[-1], None, link, bias, rows or (None, None)))
        return features

    def descend(
        self, x: Array | None, features: list[Feature], links: Given = (), biases: Given = (), caches: Caches = ()
    ) -> list[Feature]:
        """What comes from the coarser resolution, if there is one, and the way up -> the output of each block."""
        outputs = [features[-1] if x is None else Feature(x)]
        skips = features[-2::-1] if x is None else features[::-1]
        for block, skip, link, bias, rows in zip_longest(self.down, skips, links, biases, caches):
            outputs.append(block(outputs[-1], skip, link, bias, rows or (None, None)))
        return outputs[1:]


def linked(blocks: Iterable[Block], features: list[Feature]) -> list[Array]:
    """What the outputs of the vertical blocks contribute to the horizontal blocks beside them, (…, p) each."""
    return [block.link(feature.bent) for block, feature in zip(blocks, features, strict=True)]
