"""The weights of a frozen Gated PixelCNN, made ready for drawing by rows.

    σ(b) = (1 + tanh(b / 2)) / 2, so one tanh does for both halves of a gate. The half inside goes into the weights that
    make b, the half outside into the weights that read the gate: t = tanh(z K), z' = t_a (1 + t_b), stored doubled.
    In the first and the last layer, the link L to the horizontal stack follows its convolution K without a gate
    between them that anybody needs, so the two are one matrix, K L.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from arstudio.models.layers import wide
from arstudio.models.one_piece import in_one_piece
from arstudio.models.row_products import TILE, Matrix, dense_weight, pair_weight, tiled_weight

if TYPE_CHECKING:
    from arstudio.models.gated_pixelcnn import GatedLayer, GatedPixelCNN


class Prepared:
    """The weights of one layer, ready for products: see the module docstring. Empty where nothing is computed.

    `conv` and `joined` as `convolve` takes them, `link` (2p, 2p), `taps` of a site and those left of it and `pair` for rows
    as a whole, `out`, all in the five `rooms` that `shapes` asks for."""

    def __init__(self, layer: GatedLayer, last: bool, tiled: bool, rooms: list[Tensor]) -> None:
        like, p = layer.out.weight, layer.out.in_features
        half = like.new_ones(2 * p)
        half[p:] = 0.5                                                                  # powers of two: nothing is rounded
        vertical, horizontal = layer.vertical_conv, layer.horizontal_conv
        self.tiled = tiled and may_be_tiled(layer)
        weigh = tiled_weight if self.tiled else dense_weight
        inside = half if layer.first else half * 0.5                                    # the input of others is stored doubled
        kernel, left = (conv.weight.detach().permute(2, 3, 1, 0) for conv in (vertical, horizontal))    # (kh, kw, in, 2p)
        link = layer.link.weight.T * half                                               # (2p, 2p)
        self._links = layer.first or last
        self.conv, self.joined, self.link, left_room, out_room = rooms
        if not last:
            weigh(kernel, inside, self.conv)
        if self._links:
            both = like.new_empty(kernel.shape)
            for taps, made in zip(kernel.flatten(0, 1), both.flatten(0, 1), strict=True):   # all at once take much memory
                made.copy_(wide(taps) @ wide(link) * wide(inside[0]))
            weigh(both, like.new_ones(1), self.joined)
        else:
            self.link.copy_(link / half[:, None])
        self.shape = [*kernel.shape[:2], vertical.dilation, vertical.padding[1], vertical.padding[0]]
        self.pad = horizontal.padding[1]
        rows, taps, inputs, outputs = kernel.shape
        before = outputs * 6 // TILE if self.tiled else rows * taps * inputs
        self.most = max(before, (horizontal.side + 1) * inputs)                         # numbers a pixel between two products
        left = left[-1, :horizontal.side + 1] * half
        if self.tiled:
            pair_weight(left, left_room)                                                # which begins with the taps
        else:
            left_room.copy_(left)
        self.pair = left_room if self.tiled else like.new_zeros(0)
        self.taps = Matrix(left_room[:horizontal.side + 1].flatten(0, 1))
        self.out = Matrix(out_room.copy_(layer.out.weight.T * 0.5), layer.out.bias)
        self._half, self._link = wide(half), wide(link) if self._links else None
        self._shifts = wide(vertical.bias), wide(layer.link.bias) + wide(horizontal.bias)

    def constants(self, vertical: Tensor, horizontal: Tensor) -> tuple[Tensor, Tensor]:
        """Biases (…, 2p) that classes and places add to the two stacks -> what is added to the vertical gate and, where the
        link has not seen that, to what enters the horizontal stack from above."""
        a, b = self._shifts
        z, enters = wide(vertical) + a, (wide(horizontal) + b) * self._half
        if self._links:
            enters = enters + z @ self._link
        return (z * self._half).to(vertical), enters.to(vertical)


def prepared(model: GatedPixelCNN, tiled: bool) -> list[Prepared]:
    """What drawing needs of all layers, made once in a frozen model, in one piece of memory."""
    return model.once(f"prepared, tiled {tiled}", lambda: _prepared(model, tiled))


@torch.inference_mode(False)    # threads, which do not share the mode of their caller, write into the rooms
def _prepared(model: GatedPixelCNN, tiled: bool) -> list[Prepared]:
    layers = model.layers
    wanted = [shapes(layer, layer is layers[-1], tiled) for layer in layers]
    rooms = iter(in_one_piece(model.head[1].weight, [shape for some in wanted for shape in some]))
    return [Prepared(layer, layer is layers[-1], tiled, [next(rooms) for _ in wanted[0]]) for layer in layers]


def may_be_tiled(layer: GatedLayer) -> bool:
    """Whether the vertical convolution has a tiled form."""
    return not layer.first and layer.vertical_conv.dilation == 1 and layer.vertical_conv.kernel == (2, 3)


def shapes(layer: GatedLayer, last: bool, tiled: bool) -> list[tuple[int, ...]]:
    """Of the rooms that `Prepared` needs."""
    (kh, kw), inputs, p = layer.vertical_conv.kernel, layer.vertical_conv.inputs, layer.out.in_features
    tiled = tiled and may_be_tiled(layer)
    conv = (3, 6, inputs, 2 * p) if tiled else (1, kh * kw * inputs, 2 * p)
    joined, left = layer.first or last, layer.horizontal_conv
    link = (0,) if joined else (2 * p, 2 * p)
    return [(0,) if last else conv, conv if joined else (0,), link, (5 if tiled else left.side + 1, left.inputs, 2 * p), (p, p)]
