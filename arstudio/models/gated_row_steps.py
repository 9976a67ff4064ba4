"""Gated PixelCNN by rows, for devices that record: `row_steps.py` says why, `gated_pixelcnn.py` what is computed.

Products of dense neighbourhoods with the weights as they are; the gate is tanh in place and torch's GLU, a ⊙ σ(b).

Memory of an image, in numbers: the last (k_h − 1) d + 1 rows that each vertical convolution sees, W + 2 pad columns wide; the
row of each horizontal one, padded on the left; 2p numbers a pixel of what the vertical stack adds; two biases a layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from arstudio.models.row_steps import RowSteps, at_columns, pushed

if TYPE_CHECKING:
    from arstudio.models.gated_pixelcnn import GatedPixelCNN


class GatedRowSteps(RowSteps):
    """State: `rows`, (B, rows, columns, in) of each vertical convolution; `lines`, (B, columns, in) of each horizontal one;
    `above`, (B, W, 2p) what the vertical stack adds to this row; `shifts`, (B, 2p) biases with what classes add."""

    model: GatedPixelCNN
    batched: ClassVar[tuple[str, ...]] = ("x", "classes", "rows", "lines", "above", "shifts")

    def __init__(self, model: GatedPixelCNN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        like, width, layers = self.model.head[1].weight, self.spec.width, self.model.layers
        self.rows, self.lines, self.above, self.shifts = [], [], [], []
        self._near, self._left = [], []
        for layer, (vertical, horizontal) in zip(layers, self.model.class_biases(self.classes), strict=True):
            conv = layer.vertical_conv
            (high, wide), d, side = conv.kernel, conv.dilation, conv.padding[1]
            rows = like.new_zeros(batch, (high - 1) * d + 1, width + 2 * side, conv.inputs)
            image, row, column, one = rows.stride()
            self.rows.append(rows)
            self._near.append(rows.as_strided(
                (batch, width, high, wide, conv.inputs), (image, column, d * row, d * column, one)
            ))
            conv = layer.horizontal_conv
            line = like.new_zeros(batch, conv.padding[1] + width, conv.inputs)
            image, column, one = line.stride()
            self.lines.append(line)
            self._left.append(line.as_strided(
                (batch, width, conv.side + 1, conv.inputs), (image, column, conv.dilation * column, one)
            ))
            self.above.append(like.new_zeros(batch, width, layer.link.out_features))
            self.shifts += [vertical + layer.vertical_conv.bias, horizontal + layer.link.bias + conv.bias]
        self._line(0)[..., -1] = 1

    def _line(self, layer: int) -> Tensor:
        """(B, W, in) of a horizontal convolution's input, without padding."""
        return self.lines[layer][:, self.lines[layer].shape[1] - self.spec.width:]

    def reset(self) -> None:
        for rows in self.rows:
            rows.zero_()

    def enter(self, above: Tensor, inside: Tensor) -> None:
        v = self.pixels(above)                                                        # (B, W, C)
        v = torch.cat([v, torch.ones_like(v[..., :1])], -1) * inside
        for i, layer in enumerate(self.model.layers):
            conv = layer.vertical_conv
            pushed(self.rows[i], v, conv.padding[1])
            z = self._near[i].reshape(-1, conv.taps[..., 0].numel()) @ conv.taps.flatten(0, 2)
            z = z.view(self.above[i].shape).add_(self.shifts[2 * i][:, None])         # (B, W, 2p)
            torch.add(F.linear(z, layer.link.weight), self.shifts[2 * i + 1][:, None], out=self.above[i])
            v = _gate(z)

    def look(self, row: Tensor, columns: Tensor) -> Tensor:
        batch, count = row.shape[2], len(columns)
        self._line(0)[..., :self.spec.channels].copy_(self.pixels(row))
        h = row.new_zeros(())
        for i, layer in enumerate(self.model.layers):
            if i:
                self._line(i).index_copy_(1, columns, h.view(batch, count, -1))
            z = at_columns(self.above[i], self._left[i], columns, layer.horizontal_conv.left_taps)    # (B·m, 2p)
            g = layer.out(_gate(z))
            h = h + g if i else g                                                     # (B·m, p)
        return self.model.head(h).view(batch, count, self.spec.channels, -1).transpose(0, 1)


def _gate(z: Tensor) -> Tensor:
    """(…, 2p), overwritten -> (…, p), as `layers.gate`."""
    z[..., :z.shape[-1] // 2].tanh_()
    return F.glu(z)
