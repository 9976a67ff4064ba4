"""Diagonal BiLSTM (PixelRNN): two LSTMs walk along the image's diagonals from both sides and see the whole past.

    [i, f, o, g] = W x(r, c) + U_left h(r, c−1) + U_up h(r−1, c)        input-to-state and state-to-state
    c' = σ(f) ⊙ c(r, c−1) + σ(i) ⊙ tanh(g)        h(r, c) = σ(o) ⊙ tanh(c')
    x' = x + A (h→(r, c) + h←(r−1, c))                                  residual layer, 2h → h → 2h

van den Oord et al. 2016a, "Pixel Recurrent Neural Networks", sections 3.2 to 3.4, equation 3 and figures 3 and 4:
7×7 convolution with mask A, layers of h features, then ReLU, 1×1, ReLU, 1×1.

How it runs: states on one diagonal r + c = d need those on diagonal d − 1 only. Skewed, each row one place to the right of
the row above, diagonals become columns and U a 2×1 convolution down a column: H + W − 1 steps for a whole image. The
second LSTM ← is the same on the mirrored image. It sees sites to the right of its own, so its output goes down one row
before it is added: (r, c) gets h←(r−1, c), which knows rows above r only. To reverse the skewed map instead of mirroring
the image, or to pad it at the wrong end, are the two well-known bugs; tests/models/test_diagonal_bilstm.py has both.

Diagonals order the computation, not the drawing. The raster past of (r, c) holds pixels of its own and of later
diagonals, up and to the right, so a whole diagonal could be drawn at once only by a reduced model (`orders.py`) without
them. Pixels are drawn in raster order, → by one site and ← by one row at a time.

Deviations: after a mask A no feature of row r−1 knows the last pixel of that row, so (r, c) would not see it either,
except within three columns of the right edge. The first ← layer therefore reads the pixels themselves, all colours:
for the row below they are past, and so mask B does not bind ←. A channel of ones marks the inside of the image; an
optional class, or a map of `context` features, adds a bias in every layer; forget gates begin open.

Shapes: (P, B, features) for P = H·W pixels inside, in the LSTMs features × (diagonal, image); parameters (B, P, C, H, W)
outside. RGB by channel groups (`layers.py`); state-to-state needs none, because it comes from earlier pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.convolutions import Place, Rows, SiteConv
from arstudio.models.decoder import Decoder
from arstudio.models.layers import ALWAYS, Array, Head, MaskedLinear, at_site, groups, lstm_cell, times, with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register
from arstudio.models.rowwise import RowDecoder


@dataclass(frozen=True, kw_only=True)
class DiagonalBiLSTMConfig(ModelConfig):
    """`hidden` is h, the features of each of the two LSTMs in each of `layers` layers; 2h run between layers.
    `first_kernel` is odd, `head` the width before the output."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {"small": {"layers": 2}, "medium": {}, "paper": {"layers": 7}}

    hidden: int = 16
    layers: int = 4
    first_kernel: int = 7
    head: int = 32

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "Diagonal BiLSTM draws in raster order only.")
        k, least = self.first_kernel, spec.channels
        self.require(k % 2 == 1 and k >= 3, f"first_kernel must be odd and at least 3, not {k}.")
        self.require(
            self.hidden >= least and self.head >= least, f"hidden and head must be at least {least}, one per colour."
        )
        self.require(self.layers >= 1, f"layers must be at least 1, not {self.layers}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0, context: int = 0) -> int:
        """Trained scalars; `context` is the number of features of a map that adds a bias."""
        h, k, outputs = self.hidden, self.first_kernel, spec.channels * self.outputs(spec)
        total = 2 * h * ((spec.channels + 1) * k * (k // 2 + 1) + 1) + 8 * h * spec.channels    # 7×7, pixels into ←
        total += self.layers * (8 * h * (2 * h + context + 1 + 2 * h) + 2 * h * (h + 1))
        total += self.head * (2 * h + 1) + outputs * (self.head + 1)
        return total + (num_classes + 1) * self.layers * 8 * h * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        inside = 21 * self.layers * self.hidden + 2 * self.hidden
        return spec.pixels * (inside + 2 * self.head + 2 * spec.channels * self.outputs(spec))


class Diagonals(nn.Module):
    """Where each pixel lies when the image and its mirror image are read diagonal by diagonal, and the walk along them."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        row, column = np.divmod(np.arange(height * width), width)
        by_diagonal = np.lexsort((row, row + column))
        place = np.argsort(by_diagonal) + 1                    # of each pixel; place 0 holds zeros
        mirrored = row * width + width - 1 - column
        to_right = np.where(row == 0, 0, place[mirrored - width])
        self.sizes = np.bincount(row + column).tolist()
        self.skips = [int(d >= width) for d in range(len(self.sizes))]    # whether its first row lies one lower
        for name, index in (
            ("read", np.concatenate([by_diagonal, mirrored[by_diagonal]])), ("to_left", place), ("to_right", to_right)
        ):
            self.register_buffer(name, torch.from_numpy(index), persistent=False)

    def forward(self, z: Tensor, weight: Tensor) -> Tensor:
        """Input-to-state z (2, 4h, P·B), by diagonals, and state-to-state (2, 4h, 2h) -> (h, P, B), by pixels: the
        states of the first LSTM, and those of the second one row lower."""
        hidden, images = weight.shape[2] // 2, z.shape[2] // len(self.to_left)
        h = c = z.new_zeros(2, hidden, 0)
        states = [z.new_zeros(2, hidden, images)]
        for part, size, skip in zip(z.split([n * images for n in self.sizes], 2), self.sizes, self.skips, strict=True):
            first, count = skip * images, size * images
            h, c = (F.pad(t, (images, images)).narrow(2, first, count + images) for t in (h, c))
            near = torch.cat([h[..., images:], h[..., :count]], 1)                  # (2, 2h, ·): left, above
            h, c = lstm_cell(torch.baddbmm(part, weight, near), c[..., images:], 1)
            states.append(h)
        left, right = torch.cat(states, 2).unflatten(2, (-1, images))
        return left.index_select(1, self.to_left) + right.index_select(1, self.to_right)


class DiagonalLayer(nn.Module):
    """One residual layer of two LSTMs. Weights are those of the first LSTM (→), then of the second (←)."""

    def __init__(self, colours: int, hidden: int, first: bool, context: int) -> None:
        super().__init__()
        wide, narrow = groups(2 * hidden, colours), groups(hidden, colours)
        late = colours    # as if one more colour: what only rows below may see, a pixel as a whole and all of ←
        known = torch.cat([wide, torch.full((colours * first,), late), torch.full((context,), ALWAYS)])
        self.hidden = hidden
        self.input = MaskedLinear(known, torch.cat([narrow.repeat(4), torch.full((4 * hidden,), late)]))
        self.state = nn.Parameter(torch.empty(8 * hidden, 2 * hidden))
        self.output = MaskedLinear(narrow, wide)
        bound = 1 / math.sqrt(2 * hidden)
        nn.init.uniform_(self.state, -bound, bound)
        with torch.no_grad():
            self.input.bias.view(2, 4, hidden)[:, 1] += 1

    def forward(self, x: Tensor, added: list[Tensor], bias: Tensor | None, diagonals: Diagonals) -> Tensor:
        """x (P, B, 2h), further inputs (P, B, …) and the class's bias (B, 8h) -> the next x."""
        pixels, images, _ = x.shape
        seen = torch.cat([x, *added], -1).index_select(0, diagonals.read).view(2, pixels * images, -1)
        weight, state = self.input.masked_weight().view(2, 4 * self.hidden, -1), self.state.view(2, 4 * self.hidden, -1)
        z = torch.baddbmm(self.input.bias.view(2, -1, 1), weight, seen.transpose(1, 2))    # (2, 4h, P·B)
        if bias is not None:
            z = (z.unflatten(2, (pixels, images)) + bias.T.reshape(2, -1, 1, images)).flatten(2)
        h = diagonals(z, state).flatten(1)                                          # (h, P·B)
        return x + self.output(h.T).view_as(x)

    def fold_mask(self) -> None:
        """Prepare a frozen copy for decoding: for each LSTM the matrices of its inputs, its left and its upper state."""
        h, weight, state = self.hidden, self.input.masked_weight().detach(), self.state.detach()
        blocks = [(weight[part], state[part, :h], state[part, h:]) for part in (slice(4 * h), slice(4 * h, 8 * h))]
        self.taps = [tuple(matrix.T.contiguous() for matrix in block) for block in blocks]


@register("diagonal_bilstm", "Diagonal BiLSTM", "van den Oord et al. 2016a", DiagonalBiLSTMConfig)
class DiagonalBiLSTM(AutoregressiveModel):
    """Diagonal BiLSTM; see the module docstring. `context` is the number of features of a map that `network` takes."""

    config: DiagonalBiLSTMConfig
    in_blocks = True
    binary_below = 32

    def __init__(self, spec: ImageSpec, config: DiagonalBiLSTMConfig, num_classes: int = 0, context: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        colours, hidden, k = spec.channels, config.hidden, config.first_kernel
        image = torch.cat([torch.arange(colours), torch.tensor([ALWAYS])])
        wide, head = groups(2 * hidden, colours), groups(config.head, colours)
        self.first = SiteConv(image, wide, k, rows=k // 2 + 1, strict=True)
        self.diagonals = Diagonals(spec.height, spec.width)
        self.layers = nn.ModuleList(DiagonalLayer(colours, hidden, i == 0, context) for i in range(config.layers))
        self.head = Head(wide, head, groups(colours * self.likelihood.num_params, colours))
        self.class_bias = nn.Embedding(num_classes + 1, config.layers * 8 * hidden) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)

    def class_biases(self, y: Tensor) -> list[Tensor | None]:
        """(B,) class rows -> a (B, 8h) bias for each layer, or None without classes."""
        if self.class_bias is None:
            return [None] * len(self.layers)
        return list(self.class_bias(y).chunk(len(self.layers), 1))

    def network(self, e: Tensor, y: Tensor, context: Tensor | None = None) -> Tensor:
        """`context` (B, H, W, features) may know any pixel that is drawn before all others."""
        image = with_ones(e)                                                        # (B, H, W, C + 1)
        maps = [self.first(image), image[..., :-1], *([] if context is None else [context])]
        x, values, *added = (m.permute(1, 2, 0, 3).flatten(0, 1) for m in maps)     # (P, B, …)
        for i, (layer, bias) in enumerate(zip(self.layers, self.class_biases(y), strict=True)):
            x = layer(x, added if i else [values, *added], bias, self.diagonals)
        params = self.head(x).view(*e.shape[3:], len(e), self.spec.channels, -1)    # (H, W, B, C, P)
        return params.permute(2, 4, 3, 0, 1)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return DiagonalBiLSTMDecoder(self, batch, y)


class DiagonalBiLSTMDecoder(RowDecoder):
    """→ from pixel to pixel, ← over the whole row above as soon as that row is complete; every state computed once.

    Of a run of pixels only the state of → has to be computed one by one.

    State: → and ← of every row, and of the current row the inputs of each layer and what enters it from above. `entered`
    is the row of each image, whose inputs are therefore there when ← comes to it.
    """

    model: DiagonalBiLSTM
    batched = ("x", "buffers", "aboves", "biases", "context", "left", "right", "cells", "inputs", "above", "entered")

    def __init__(
        self, model: DiagonalBiLSTM, batch: int, y: Tensor | int | None = None, context: Tensor | None = None
    ) -> None:
        super().__init__(model, batch, y)
        (_, height, width), layers, h = self.spec.shape, self.model.layers, self.model.config.hidden
        like = self.model.head[1].weight
        self.caches = [Rows(self.model.first, batch, height, width, like)]
        self.caches[0].line[..., -1] = 1
        with torch.inference_mode():
            added = [0 if bias is None else bias for bias in self.model.class_biases(self.classes)]
            biases = [(layer.input.bias + bias).expand(batch, -1) for layer, bias in zip(layers, added, strict=True)]
        self.biases = torch.stack(biases, 1)                                        # (B, layers, 8h)
        self.context = like.new_zeros(batch, height, width, 0) if context is None else context
        self.left = like.new_zeros(batch, len(layers), height + 1, width + 1, h)    # row and column 0 are outside
        self.right = like.new_zeros(batch, len(layers), height + 1, width, h)       # row 0 is outside
        self.cells = like.new_zeros(batch, len(layers), width + 1, h)               # c of →, current row
        self.inputs = like.new_zeros(batch, len(layers), width, 2 * h)              # x of every layer, current row
        self.above = like.new_zeros(batch, len(layers), width, 4 * h)
        self.entered = torch.full((batch,), -1, device=model.device)
        wide = 2 * h
        self.matrices = [(at_site(layer.taps[0][0][:wide]), at_site(layer.taps[0][1])) for layer in layers]
        self.back = at_site(torch.stack([layer.taps[1][1] for layer in layers]))    # (layers, h, 4h)

    def _enter(self, place: Place) -> None:
        some, row, h = place.some, place.row, self.left.shape[4]
        fresh = torch.arange(self.batch, device=self.entered.device)[some]
        fresh = fresh[self.entered[fresh] == row - 1]
        if row and len(fresh):
            self._scan(fresh, row - 1)
        self.entered[some] = row
        added = self.context[some, row]                                             # (R, W, features)
        for i, layer in enumerate(self.model.layers):
            matrix, _, up = layer.taps[0]
            above = self.left[some, i, row, 1:] @ up + added @ matrix[len(matrix) - added.shape[2]:]
            self.above[some, i] = above + self.biases[some, i, None, :4 * h]
        self.model.first.begin_row((self.caches[0], place))

    def _scan(self, some: Tensor, row: int) -> None:
        """← over a complete row of some images, from its right end, all layers at once."""
        values, h = torch.as_tensor(self.caches[0].line)[some, row, :, :-1], self.left.shape[4]
        z = []
        for i, layer in enumerate(self.model.layers):
            matrix, _, up = layer.taps[1]
            seen = torch.cat([self.inputs[some, i], *([] if i else [values]), self.context[some, row]], -1)
            z.append(seen @ matrix + self.right[some, i, row] @ up + self.biases[some, i, None, 4 * h:])
        z = at_site(torch.stack(z))                                                 # (layers, R, W, 4h)
        h = c = 0 * z[:, :, 0, :h]                                                  # (layers, R, h)
        states = []
        for column in reversed(range(self.spec.width)):
            h, c = lstm_cell(z[:, :, column] + h @ self.back, c)
            states.append(torch.as_tensor(h))
        self.right[some, :, row + 1] = torch.stack(states[::-1], 2).transpose(0, 1)

    def _evaluate(self, place: Place) -> Array:
        images, row, columns = place.images, place.row, place.columns
        left, right, cells, inputs, above = map(at_site, (self.left, self.right, self.cells, self.inputs, self.above))
        x, steps = self.model.first(None, (self.caches[0], place)), _one_by_one(columns)
        for i, (layer, (matrix, near)) in enumerate(zip(self.model.layers, self.matrices, strict=True)):
            inputs[images, i, columns] = x
            z = times(x, matrix)
            z += above[images, i, columns]
            found = 0 * z[:, :near.shape[0]]
            for part in steps:
                who, column = images[part], columns[part]
                h, c = lstm_cell(z[part] + times(left[who, i, row + 1, column], near), cells[who, i, column])
                left[who, i, row + 1, column + 1] = found[part] = h
                cells[who, i, column + 1] = c
            x = x + layer.output(found + right[images, i, row, columns])
        return self.model.head(x)


def _one_by_one(columns: Array) -> list[slice | np.ndarray]:
    """(N,) columns -> which of them can be computed together, from the left."""
    first, last = int(columns.min()), int(columns.max())
    if first == last:
        return [slice(None)]
    if len(columns) == last - first + 1 and columns[0] == first:    # of one image, in order
        return [slice(i, i + 1) for i in range(len(columns))]
    return [np.flatnonzero(columns == column) for column in range(first, last + 1)]
