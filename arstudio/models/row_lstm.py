"""Row LSTM (PixelRNN): an LSTM that walks down the image and takes a whole row of sites in every step.

    [i, f, o, g] = K_is ∗ x(r) + K_ss ∗ h(r−1)       two convolutions along the row, K_is with mask B
    c(r) = σ(f) ⊙ c(r−1) + σ(i) ⊙ tanh(g)            h(r) = σ(o) ⊙ tanh(c(r)),   h = c = 0 above the image
    x' = x + A h                                     residual layer, 2h → h → 2h

van den Oord et al. 2016a, "Pixel Recurrent Neural Networks", sections 3.1, 3.3 and 3.4, equation 3 and figures 2, 4 and 5:
7×7 convolution with mask A, layers of h features, then ReLU, 1×1, ReLU, 1×1.

What it sees: input-to-state K_is reads the row itself up to its own site, so every layer reaches `input_kernel` // 2 sites
further left. State-to-state K_ss reads all columns of the row above, which lies in the past as a whole, and so needs no
mask; with 3 taps the field widens by one column to each side with every row up. What is left is a triangle above the
site: pixels high above and far to the side of it never arrive (figure 4). Compare Diagonal BiLSTM, which sees them all.

All sites of a row are computed at once, H steps a layer. Input-to-state is one convolution over the whole image before.

Deviations: a channel of ones marks the inside of the image; an optional class adds a bias to the gates of every layer;
forget gates begin open (bias + 1).
Shapes: (B, H, W, features) channels-last between layers, in the recurrence features × (column, image); parameters
(B, P, C, H, W) outside. RGB by channel groups (`layers.py`), also those of the state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.convolutions import Place, Rows, SiteConv
from arstudio.models.decoder import Decoder
from arstudio.models.layers import ALWAYS, Array, Head, MaskedLinear, at_site, groups, lstm_cell, with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register
from arstudio.models.rowwise import RowDecoder


@dataclass(frozen=True, kw_only=True)
class RowLSTMConfig(ModelConfig):
    """`hidden` is h, the features of the state in each of `layers` layers; 2h run between layers. The kernels of the
    7×7, of input-to-state and of state-to-state are odd; `head` is the width before the output."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden": 16, "layers": 3}, "medium": {}, "paper": {"hidden": 128, "layers": 12, "head": 1024},
    }

    hidden: int = 24
    layers: int = 5
    first_kernel: int = 7
    input_kernel: int = 3
    state_kernel: int = 3
    head: int = 32

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "Row LSTM draws in raster order only.")
        for name, least in (("first_kernel", 3), ("input_kernel", 1), ("state_kernel", 1)):
            k = getattr(self, name)
            self.require(k % 2 == 1 and k >= least, f"{name} must be odd and at least {least}, not {k}.")
        least = spec.channels
        self.require(
            self.hidden >= least and self.head >= least, f"hidden and head must be at least {least}, one per colour."
        )
        self.require(self.layers >= 1, f"layers must be at least 1, not {self.layers}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        h, k, outputs = self.hidden, self.first_kernel, spec.channels * self.outputs(spec)
        total = 2 * h * ((spec.channels + 1) * k * (k // 2 + 1) + 1)
        total += self.layers * 4 * h * (2 * h * (self.input_kernel // 2 + 1) + 1 + h * self.state_kernel)
        total += self.layers * 2 * h * (h + 1)
        total += self.head * (2 * h + 1) + outputs * (self.head + 1)
        return total + (num_classes + 1) * self.layers * 4 * h * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        a_layer = (9 + self.state_kernel) * self.hidden
        return spec.pixels * (self.layers * a_layer + 2 * self.head + 2 * spec.channels * self.outputs(spec))


class RowLSTMLayer(nn.Module):
    """One residual layer. The recurrence runs over images and, in a decoder, over rows and sites by the same parts."""

    def __init__(self, colours: int, config: RowLSTMConfig) -> None:
        super().__init__()
        wide, narrow = groups(2 * config.hidden, colours), groups(config.hidden, colours)
        self.hidden, self.taps = config.hidden, config.state_kernel
        self.input = SiteConv(wide, narrow.repeat(4), config.input_kernel)
        self.state = nn.Parameter(torch.empty(4 * config.hidden, config.state_kernel * config.hidden))
        self.output = MaskedLinear(narrow, wide)
        bound = 1 / math.sqrt(self.state.shape[1])
        nn.init.uniform_(self.state, -bound, bound)
        with torch.no_grad():
            self.input.bias[config.hidden:2 * config.hidden] += 1                   # f of i, f, o, g

    def near(self, h: Tensor, images: int) -> Tensor:
        """States of a row (h, W·B), image by image in each column -> (taps·h, W·B), those around each column."""
        margin = self.taps // 2 * images
        padded = F.pad(h, (margin, margin))
        return torch.cat([padded.narrow(1, tap * images, h.shape[1]) for tap in range(self.taps)])

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x (B, H, W, 2h) and the class's bias (B, 4h) -> the next x."""
        z = self.input(x) + bias[:, None, None]
        images, height, width, _ = z.shape
        rows = z.permute(1, 3, 2, 0).reshape(height, 4 * self.hidden, -1)           # (H, 4h, W·B)
        h = c = z.new_zeros(self.hidden, width * images)
        states = []
        for row in rows.unbind():
            h, c = lstm_cell(torch.addmm(row, self.state, self.near(h, images)), c, dim=0)
            states.append(h)
        h = torch.stack(states).unflatten(2, (width, images))                       # (H, h, W, B)
        return x + self.output(h.permute(3, 0, 2, 1))

    def from_above(self, h: Tensor) -> Tensor:
        """States (B, W, h) of a row -> (B, W, 4h), what they add to the gates of the next row."""
        images, width, _ = h.shape
        z = self.state @ self.near(h.permute(2, 1, 0).flatten(1), images)
        return z.unflatten(1, (width, images)).permute(2, 1, 0)


@register("row_lstm", "Row LSTM", "van den Oord et al. 2016a", RowLSTMConfig)
class RowLSTM(AutoregressiveModel):
    """Row LSTM; see the module docstring."""

    config: RowLSTMConfig
    in_blocks = True

    def __init__(self, spec: ImageSpec, config: RowLSTMConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        colours, k = spec.channels, config.first_kernel
        image = torch.cat([torch.arange(colours), torch.tensor([ALWAYS])])
        wide, head = groups(2 * config.hidden, colours), groups(config.head, colours)
        self.first = SiteConv(image, wide, k, rows=k // 2 + 1, strict=True)
        self.layers = nn.ModuleList(RowLSTMLayer(colours, config) for _ in range(config.layers))
        self.head = Head(wide, head, groups(colours * self.likelihood.num_params, colours))
        self.class_bias = nn.Embedding(num_classes + 1, config.layers * 4 * config.hidden) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)

    def class_biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (layers, B, 4h)."""
        shape = (len(y), self.config.layers, 4 * self.config.hidden)
        if self.class_bias is None:
            return torch.zeros(shape, dtype=self.dtype, device=self.device).transpose(0, 1)
        return self.class_bias(y).view(shape).transpose(0, 1)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        x = self.first(with_ones(e))                                                # (B, H, W, 2h)
        for layer, bias in zip(self.layers, self.class_biases(y), strict=True):
            x = layer(x, bias)
        params = self.head(x).unflatten(-1, (self.spec.channels, -1))               # (B, H, W, C, P)
        return params.permute(0, 4, 3, 1, 2)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return RowLSTMDecoder(self, batch, y)


class RowLSTMDecoder(RowDecoder):
    """State-to-state once a row, the rest once a pixel; every feature is computed exactly once.

    State: h and c of every row, so going back to the start of a row costs nothing; the input of each convolution; and
    for the current row what enters the gates from above.
    """

    model: RowLSTM
    batched = ("x", "buffers", "aboves", "biases", "states")

    def __init__(self, model: RowLSTM, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        (_, height, width), layers, h = self.spec.shape, self.model.layers, self.model.config.hidden
        like = self.model.head[1].weight
        self.caches = [Rows(conv, batch, height, width, like) for conv in (self.model.first, *(one.input for one in layers))]
        self.caches[0].line[..., -1] = 1
        with torch.inference_mode():
            self.biases = list(self.model.class_biases(self.classes).clone())       # (B, 4h) a layer
        self.states = [like.new_zeros(batch, height + 1, width, 2 * h) for _ in layers]    # h, c; row 0 is outside

    @property
    def states(self) -> list[Tensor]:
        """States of every layer and row, (B, H + 1, W, 2h)."""
        return self._states

    @states.setter
    def states(self, tensors: list[Tensor]) -> None:
        self._states, self._at = tensors, [at_site(t) for t in tensors]

    def _enter(self, place: Place) -> None:
        some, h = place.some, self.model.config.hidden
        self.model.first.begin_row((self.caches[0], place))
        for layer, bias, states, cache in zip(self.model.layers, self.biases, self.states, self.caches[1:], strict=True):
            from_above = layer.from_above(states[some, place.row, :, :h])           # (R, W, 4h)
            cache.sums[some] = at_site(from_above + (bias[some] + layer.input.bias)[:, None])

    def _evaluate(self, place: Place) -> Array:
        h, (images, row, columns) = self.model.config.hidden, place.at
        x = self.model.first(None, (self.caches[0], place))
        for layer, cache, states in zip(self.model.layers, self.caches[1:], self._at, strict=True):
            z = layer.input(x, (cache, place))
            hidden, cell = lstm_cell(z, states[images, row, columns, h:])
            states[images, row + 1, columns, :h], states[images, row + 1, columns, h:] = hidden, cell
            x = x + layer.output(hidden)
        return self.model.head(x)
