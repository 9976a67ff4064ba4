"""Gated PixelCNN: two stacks of gated convolutions that together see the whole past, with no blind spot.

    vertical     z^v = K_v ∗ v + V_v y          v' = tanh(z^v_a) ⊙ σ(z^v_b)       all rows above
    horizontal   z^h = K_h ∗ h + L z^v + V_h y  h' = h + O (tanh(z^h_a) ⊙ σ(z^h_b))  this row, to the left

van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders", equations 2 and 4, figure 2.

How the blind spot is avoided: the first vertical layer excludes the current row, so every vertical feature at
row r depends on rows < r only. Later vertical layers and the link to the horizontal stack therefore need no
shift; shifting again in each layer is the well-known bug that loses part of the past.

Deviations: kernel widths may be dilated (a cheap way to see all of a small image); a channel of ones marks
the inside of the image; dropout; the class vector enters every layer of both stacks as a bias,
with one row for "none". For a larger model a map s of `context` features of the whole image may be given: it enters
every layer of both stacks as a bias that depends on the place, V s (section 2.3).

Shapes: (B, H, W, p) channels-last inside; parameters (B, P, C, H, W) outside. RGB by channel groups in the
horizontal stack (`layers.py`); the vertical stack needs no groups because it never sees the current row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, Decoder, ModelConfig
from arstudio.models.layers import ALWAYS, Array, Head, MaskedLinear, RowConv, Rows, SiteConv, at_site, gate, groups, with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register


@dataclass(frozen=True, kw_only=True)
class GatedPixelCNNConfig(ModelConfig):
    """`channels` is p; one layer per entry of `dilations`, the first undilated;
    `head` the width before the output."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 16, "dilations": (1, 2, 1, 4), "head": 32},
        "medium": {},
        "paper": {"channels": 128, "dilations": (1,) * 15, "kernel": 5, "head": 1024},
    }

    channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 1, 4, 1, 2, 1)
    kernel: int = 3
    head: int = 64
    dropout: float = 0.0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "Gated PixelCNN draws in raster order only.")
        odd = self.kernel % 2 == 1 and self.kernel >= 3
        self.require(odd, f"kernel must be odd and at least 3, not {self.kernel}.")
        self.require(
            self.channels >= spec.channels and self.head >= spec.channels,
            f"channels and head must be at least {spec.channels}, one per colour.",
        )
        self.require(
            len(self.dilations) >= 1 and self.dilations[0] == 1 and min(self.dilations) >= 1,
            f"dilations must be whole numbers that begin with 1, not {self.dilations}.",
        )
        self.require(0 <= self.dropout < 1, f"dropout must be in [0, 1), not {self.dropout}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0, context: int = 0) -> int:
        p, k, layers, outputs = self.channels, self.kernel, len(self.dilations), spec.channels * self.outputs(spec)
        total = 0
        for width, rows in [(spec.channels + 1, k // 2)] + [(p, k // 2 + 1)] * (layers - 1):
            total += 2 * p * (width * rows * k + 1) + 2 * p * (2 * p + 1)               # vertical, link
            total += 2 * p * (width * (k // 2 + 1) + 1) + p * (p + 1)                   # horizontal, out
        total += self.head * (p + 1) + outputs * (self.head + 1)
        return total + ((num_classes + 1) * bool(num_classes) + context) * layers * 4 * p

    def activations(self, spec: ImageSpec) -> int:
        a_layer = (9 + 2 * (self.dropout > 0)) * self.channels
        return spec.pixels * (len(self.dilations) * a_layer + 2 * self.head + 2 * spec.channels * self.outputs(spec))


class GatedLayer(nn.Module):
    """One layer of both stacks. Each method takes a whole image,
    or one window and the cache that knows the rest."""

    def __init__(self, colours: int, config: GatedPixelCNNConfig, dilation: int, first: bool) -> None:
        super().__init__()
        p, k = config.channels, config.kernel
        hidden, doubled = groups(p, colours), groups(p, colours).repeat(2)
        image = torch.cat([torch.arange(colours), torch.tensor([ALWAYS])])
        self.first, self.dropout = first, config.dropout
        self.vertical_conv = RowConv(colours + 1 if first else p, 2 * p, k, dilation, above=first)
        self.link = nn.Linear(2 * p, 2 * p)
        inputs = image if first else hidden
        self.horizontal_conv = SiteConv(inputs, doubled, k, dilation=dilation, strict=first)
        self.out = MaskedLinear(hidden, hidden)

    def vertical(self, v: Tensor, bias: Tensor, cache: Rows | None = None) -> tuple[Tensor, Tensor]:
        """v (B, H, W, p) or a row (B, W, p) -> (next v, contribution to the horizontal stack)."""
        z = self.vertical_conv(v, cache) + bias                                     # (…, 2p)
        return self._drop(gate(z)), self.link(z)

    def horizontal(self, h: Array, from_above: Array, cache: Rows | None = None) -> Array:
        """h (B, H, W, p) or a site (B, p), and what the vertical stack and the class add -> next h."""
        g = gate(self.horizontal_conv(h, cache, from_above))                        # (…, p)
        g = self.out(self._drop(g))
        return g if self.first else h + g

    def _drop(self, x: Array) -> Array:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


@register("gated_pixelcnn", "Gated PixelCNN", "van den Oord et al. 2016b", GatedPixelCNNConfig)
class GatedPixelCNN(AutoregressiveModel):
    """Gated PixelCNN; see the module docstring. `context` is the number of features of a map that `network` takes."""

    config: GatedPixelCNNConfig

    def __init__(self, spec: ImageSpec, config: GatedPixelCNNConfig, num_classes: int = 0, context: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        colours, p = spec.channels, config.channels
        self.layers = nn.ModuleList(
            GatedLayer(colours, config, dilation, first=i == 0) for i, dilation in enumerate(config.dilations)
        )
        hidden, wide = groups(p, colours), groups(config.head, colours)
        outputs = groups(colours * self.likelihood.num_params, colours)
        self.head = Head(hidden, wide, outputs)
        self.class_bias = nn.Embedding(num_classes + 1, len(self.layers) * 4 * p) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)
        self.context_bias = nn.Linear(context, len(self.layers) * 4 * p, bias=False) if context else None

    def class_biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (layers, 2, B, 2p):
        a bias for the vertical and the horizontal stack of each layer."""
        shape = (len(y), len(self.layers), 2, 2 * self.config.channels)
        if self.class_bias is None:
            return torch.zeros(shape, dtype=self.dtype, device=self.device).permute(1, 2, 0, 3)
        return self.class_bias(y).view(shape).permute(1, 2, 0, 3)

    def located(self, biases: list[Tensor], context: Tensor) -> list[Tensor]:
        """Biases of all stacks in turn and a map (B, …, features) -> biases (B, …, 2p) that depend on the place."""
        if self.context_bias is None:
            return biases
        return [a + b for a, b in zip(biases, self.context_bias(context).chunk(len(biases), -1), strict=True)]

    def network(self, e: Tensor, y: Tensor, context: Tensor | None = None) -> Tensor:
        """`context` (B, H, W, features) may know any pixel that is drawn before all others."""
        v = h = with_ones(e)                                                        # (B, H, W, C + 1)
        biases = [bias[:, None, None] for pair in self.class_biases(y) for bias in pair]
        if context is not None:
            biases = self.located(biases, context)
        for layer, bias_v, bias_h in zip(self.layers, biases[::2], biases[1::2], strict=True):
            v, link = layer.vertical(v, bias_v)
            h = layer.horizontal(h, link + bias_h)
        params = self.head(h).unflatten(-1, (self.spec.channels, -1))               # (B, H, W, C, P)
        return params.permute(0, 4, 3, 1, 2)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return GatedPixelCNNDecoder(self, batch, y)


class GatedPixelCNNDecoder(Decoder):
    """Vertical stack once a row, horizontal stack once a site; every feature is computed exactly once.

    State: one padded input buffer per convolution, and for the current row what enters the horizontal stack.
    """

    model: GatedPixelCNN
    batched = ("x", "buffers", "biases", "from_above", "inputs", "context")
    counters = ("position", "ready", "done")

    def __init__(
        self, model: GatedPixelCNN, batch: int, y: Tensor | int | None = None, context: Tensor | None = None
    ) -> None:
        super().__init__(model, batch, y)
        height, width = self.spec.height, self.spec.width
        like = self.model.head[1].weight
        layers = self.model.layers
        self.vertical = [Rows(layer.vertical_conv, batch, height, width, like) for layer in layers]
        self.horizontal = [Rows(layer.horizontal_conv, batch, height, width, like) for layer in layers]
        with torch.inference_mode():
            biases = self.model.class_biases(self.classes)
        self.biases = [row.clone() for pair in biases for row in pair]    # 2 per layer, (B, 2p)
        self.from_above = []
        self.fused = [_fused_weights(layer) for layer in layers] if like.device.type == "cpu" else []
        self.inputs = like.new_zeros(batch, height, width, self.spec.channels + 1)
        self.inputs[..., -1] = 1
        self.context = like.new_zeros(batch, height, width, 0) if context is None else context
        self.ready = -1                                                   # row whose from_above is there
        self.done = -1                                                    # site whose features are there

    @property
    def from_above(self) -> list[Tensor]:
        """Per layer (B, W, 2p): what enters the horizontal stack of the current row besides its own past."""
        return self._from_above

    @from_above.setter
    def from_above(self, tensors: list[Tensor]) -> None:
        self._from_above, self.steps = tensors, []    # steps look at one row

    @property
    def buffers(self) -> list[Tensor]:
        """Every convolution's input buffer, (B, rows, columns, features) each."""
        return [cache.buffer for cache in (*self.vertical, *self.horizontal)]

    @buffers.setter
    def buffers(self, tensors: list[Tensor]) -> None:
        for cache, tensor in zip((*self.vertical, *self.horizontal), tensors, strict=True):
            cache.buffer = tensor

    def _begin_row(self, row: int) -> None:
        v = self.inputs[:, row - 1] if row else torch.zeros_like(self.inputs[:, 0])
        rows, biases = [], self.model.located([bias[:, None] for bias in self.biases], self.context[:, row])
        for i, layer in enumerate(self.model.layers):
            self.vertical[i].row = row
            layer.horizontal_conv.begin_row(self.horizontal[i], row)
            v, link = layer.vertical(v, biases[2 * i], self.vertical[i])
            rows.append(link + (biases[2 * i + 1] + layer.horizontal_conv.bias))
        self.from_above, self.ready = rows, row

    def _features(self, row: int, column: int) -> Array:
        if self.ready != row:
            self._begin_row(row)
        h = at_site(self.inputs[:, row, column])
        self.done = self.position
        if isinstance(h, np.ndarray):
            return self._fused(h, column)
        for layer, cache, above in zip(self.model.layers, self.horizontal, self.from_above, strict=True):
            cache.column = column
            h = layer.horizontal(h, above[:, column], cache)
        return h

    def _fused(self, h: np.ndarray, column: int) -> np.ndarray:
        """GatedLayer.horizontal of every layer at one site, in as few operations as can be: see `_fused_weights`."""
        if not self.steps:
            parts = zip(self.model.layers, self.horizontal, self.from_above, self.fused, strict=True)
            self.steps = [_row_of(*part) for part in parts]
        p, tanh, first = self.model.config.channels, np.tanh, True
        for line, windows, above, (taps, out, shift) in self.steps:
            line[column][...] = h
            window = windows[column]
            z = (window if window.ndim == 2 else window.reshape(len(h), -1)).dot(taps)
            z += above[column]
            tanh(z, z)
            g = z[:, p:]
            g += 1
            g *= z[:, :p]
            g = g.dot(out)
            g += shift
            if not first:
                g += h
            h, first = g, False
        return h

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        outputs = self.model.head(self._features(row, column))                      # (B, C·P), colour by colour
        first = channel * self.model.likelihood.num_params
        return torch.as_tensor(outputs[:, first:first + self.model.likelihood.num_params])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if channel == self.spec.channels - 1 and self.done != self.position:
            self._features(row, column)    # a given pixel still leaves its features behind
        scaled, first = self.model.scaled(at_site(value)), self.horizontal[0]
        at_site(self.inputs)[:, row, column, channel] = scaled
        at_site(first.buffer)[:, first.top + row, first.left + column, channel] = scaled

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        for cache in (*self.vertical, *self.horizontal):
            cache.row, cache.windows = max(self.ready, 0), None

    def _restart(self, position: int) -> int:
        self.ready = self.done = -1
        return position - position % (self.spec.width * self.spec.channels)


def _fused_weights(layer: GatedLayer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Taps, output matrix and output bias of a frozen layer for one tanh over both halves of the gate:
    σ(b) = (1 + tanh(b / 2)) / 2, with the first half in the taps of b and the second in the output matrix."""
    taps, p = layer.horizontal_conv.left_matrix.copy(), layer.out.in_features
    taps[:, p:] *= 0.5
    return taps, layer.out.matrix * layer.out.matrix.dtype.type(0.5), layer.out.shift


def _row_of(layer: GatedLayer, cache: Rows, above: Tensor, weights: tuple) -> tuple:
    """What `_fused` needs of the current row: places to write inputs, windows to read, what comes from above."""
    layer.horizontal_conv.look_at_row(cache, arrays=True)
    added, p = above.transpose(0, 1).numpy().copy(), layer.out.in_features
    added[..., p:] *= 0.5
    return cache.line[cache.left:], cache.windows, tuple(added), weights
