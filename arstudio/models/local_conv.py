"""A convolution with a mask of its own at every place: the taps whose pixels come earlier in an order.

Jain, Abbeel & Pathak 2020, "Locally Masked Convolution for Autoregressive Models"; the formula is in `lmconv.py`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.models.layers import Array, MaskedLinear, plus
from arstudio.models.orders import Order


def neighbours(kernel: int, dilation: int) -> list[tuple[int, int]]:
    """(row, column) offsets of the taps of a kernel in reading order, without the centre."""
    reach = range(-(kernel // 2), kernel // 2 + 1)
    return [(dilation * a, dilation * b) for a in reach for b in reach if a or b]


def before(order: Order, offsets: list[tuple[int, int]]) -> np.ndarray:
    """(T, H, W) bool: is the pixel at each offset inside the image and earlier in the order?"""
    h, w = order.height, order.width
    row, column = np.mgrid[:h, :w]
    masks = np.zeros((len(offsets), h, w), dtype=bool)
    for mask, (down, right) in zip(masks, offsets, strict=True):
        r, c = row + down, column + right
        inside = (r >= 0) & (r < h) & (c >= 0) & (c < w)
        mask[inside] = order.rank[r[inside], c[inside]] < order.rank[inside]
    return masks


class LocalConv(nn.Module):
    """A convolution whose taps are masked by the order at every place, and by colours at the centre."""

    def __init__(self, inputs: Tensor, outputs: Tensor, kernel: int, dilation: int = 1, strict: bool = False) -> None:
        super().__init__()
        self.offsets = neighbours(kernel, dilation)
        width = len(self.offsets) * len(inputs)
        bound = 1.0 / math.sqrt(len(inputs) + width / 2)    # about half of the neighbours are earlier
        self.around = nn.Parameter(torch.empty(width, len(outputs)).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(outputs)))
        self.told = nn.Parameter(0.1 * torch.randn(len(self.offsets), len(outputs)))
        self.centre = MaskedLinear(inputs, outputs, bias=False, strict=strict)

    def gather(self, x: Tensor, masks: Tensor, used: list[int]) -> Tensor:
        """x (B, H, W, in), masks (A, H, W, 1) of the A taps in `used` -> (B, H, W, A·in) neighbours, zeros where masked."""
        h, w = x.shape[1:3]
        side = self.offsets[-1][0]
        x = F.pad(x, (0, 0, side, side, side, side))
        places = [(side + self.offsets[t][0], side + self.offsets[t][1]) for t in used]
        return torch.cat([x[:, a:a + h, b:b + w] * m for (a, b), m in zip(places, masks, strict=True)], dim=-1)

    def weights(self, used: list[int]) -> Tensor:
        """(A·in, out) weights of the taps in `used`."""
        return self.around.unflatten(0, (len(self.offsets), -1))[used].flatten(0, 1)

    def shift(self, masks: Tensor, used: list[int]) -> Tensor:
        """Masks as in `gather` -> (H, W, out): the bias, and what the layer is told of its mask."""
        return self.bias + masks.squeeze(-1).permute(1, 2, 0) @ self.told[used]

    def past(self, x: Tensor, masks: Tensor, used: list[int]) -> Tensor:
        """x (B, H, W, in) and masks as in `gather` -> (B, H, W, out) all that does not depend on the place itself."""
        return self.shift(masks, used) + self.gather(x, masks, used) @ self.weights(used)

    def forward(self, x: Array, past: Array) -> Array:
        """x (…, in) at the place itself and what its past adds -> z (…, out)."""
        return plus(past, x, self.centre)
