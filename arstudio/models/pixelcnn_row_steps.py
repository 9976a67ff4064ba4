"""PixelCNN by rows, for devices that record: `row_steps.py` says why, `pixelcnn.py` what is computed.

What a pixel sees of the rows above are features of those, so a row is looked at as a whole once more, with its final values,
before the next one is entered. Memory of an image, in numbers: of each convolution the rows it sees, W + pad columns wide, and
the sums of what lies above, W times its outputs; a bias for each block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from arstudio.models.row_steps import RowSteps, at_columns

if TYPE_CHECKING:
    from arstudio.models.pixelcnn import PixelCNN


class PixelCNNRowSteps(RowSteps):
    """State: `rows`, (B, rows, columns, in) of each convolution, the current row last; `above`, (B, W, out) what the others
    add to it; `biases`, (B, h) what classes add."""

    model: PixelCNN
    batched: ClassVar[tuple[str, ...]] = ("x", "classes", "rows", "above", "biases")

    def __init__(self, model: PixelCNN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        like, width = self.model.head[1].weight, self.spec.width
        self._convs = [self.model.first, *(block.conv for block in self.model.blocks)]
        self.biases = [row.clone() for row in self.model.class_biases(self.classes)]
        self.rows, self.above, self._up, self._left, self._lines = [], [], [], [], []
        for conv in self._convs:
            (high, wide), (_, left, right) = conv.kernel, conv.padding
            rows = like.new_zeros(batch, high, left + width + right, conv.inputs)
            image, row, column, one = rows.stride()
            self.rows.append(rows)
            self.above.append(like.new_zeros(batch, width, conv.outputs))
            self._up.append(rows.as_strided((batch, width, high - 1, wide, conv.inputs), (image, column, row, column, one)))
            self._left.append(rows[:, -1].as_strided(
                (batch, width, conv.side + 1, conv.inputs), (image, column, column, one), (high - 1) * row
            ))
            self._lines.append(rows[:, -1, left:left + width])
        self._all = torch.arange(width, device=like.device)
        self.reset()

    def reset(self) -> None:
        for rows in self.rows:
            rows.zero_()
        self._lines[0][..., -1] = 1

    def enter(self, above: Tensor, inside: Tensor) -> None:
        self._features(above, self._all)
        for i, (conv, rows) in enumerate(zip(self._convs, self.rows, strict=True)):
            rows[:, :-1].copy_(rows[:, 1:] * inside)
            taps = conv.taps[:-1].flatten(0, 2)
            sums = torch.addmm(conv.bias, self._up[i].reshape(-1, len(taps)), taps).view(self.above[i].shape)
            self.above[i].copy_(sums + self.biases[i - 1][:, None] if i else sums)

    def look(self, row: Tensor, columns: Tensor) -> Tensor:
        params = self.model.head(self._features(row, columns))
        return params.view(row.shape[2], len(columns), self.spec.channels, -1).transpose(0, 1)

    def _features(self, row: Tensor, columns: Tensor) -> Tensor:
        """(B·m, 2h) features at (m,) columns; of what goes into each convolution there, its line is told."""
        self._lines[0][..., :self.spec.channels].copy_(self.pixels(row))
        x = at_columns(self.above[0], self._left[0], columns, self._convs[0].left_taps)
        for i, block in enumerate(self.model.blocks, 1):
            narrow = block.down(x.relu()).relu_()
            self._lines[i].index_copy_(1, columns, narrow.view(len(self.x), len(columns), -1))
            z = at_columns(self.above[i], self._left[i], columns, block.conv.left_taps)
            x = x + block.up(z.relu_())
        return x
