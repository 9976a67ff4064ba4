"""Gated PixelCNN: two stacks of gated convolutions that together see the whole past, with no blind spot.

    vertical     z^v = K_v ∗ v + V_v y          v' = tanh(z^v_a) ⊙ σ(z^v_b)       all rows above
    horizontal   z^h = K_h ∗ h + L z^v + V_h y  h' = h + O (tanh(z^h_a) ⊙ σ(z^h_b))  this row, to the left

van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders".

How the blind spot is avoided: the first vertical layer excludes the current row, so every vertical feature at
row r depends on rows < r only. Later vertical layers and the link to the horizontal stack therefore need no
shift; shifting again in each layer is the well-known bug that loses part of the past.

Deviations: kernel widths may be dilated (a cheap way to see all of a small image); a channel of ones marks
the inside of the image; dropout; the class vector enters every layer of both stacks as a bias,
with one row for "none". For a larger model a map s of `context` features of the whole image may be given: it enters
every layer of both stacks as a bias that depends on the place, V s.

Shapes: (B, H, W, p) channels-last inside; parameters (B, P, C, H, W) outside. RGB by channel groups in the
horizontal stack (`layers.py`); the vertical stack needs no groups because it never sees the current row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.convolutions import Padding, RowConv, SiteConv
from arstudio.models.decoder import Decoder
from arstudio.models.gated_decoder import GatedPixelCNNDecoder
from arstudio.models.gated_row_steps import GatedRowSteps
from arstudio.models.gated_step import GatedStep, Shape
from arstudio.models.layers import ALWAYS, Head, MaskedLinear, Ready, gate, groups, with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register
from arstudio.models.row_steps import RowSteps

WIDE = 96    # channels from which on a row of one image keeps a core busy


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
    """One layer of both stacks, for whole images. `gated_decoder.py` computes the same by rows and pixels."""

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
        self.shape = Shape(self.vertical_conv.padding, self.horizontal_conv.padding, dilation, first)

    def forward(self, v: Tensor, h: Tensor, bias_v: Tensor | None, bias_h: Tensor | None) -> tuple[Tensor, Tensor]:
        """v and h (B, H, W, ·) and what the class and the context add, (B, 1 or H, 1 or W, 2p) or None -> next v and h."""
        written = v.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()
        if written and torch.is_grad_enabled():
            rows, row = self.vertical_conv, self.horizontal_conv
            keep = self._drop(v.new_ones(*v.shape[:3], self.out.in_features)) if self.training and self.dropout else None
            v, h = GatedStep.apply(
                v, h, rows.masked_weight(), rows.bias, self.link.weight, row.masked_weight(), row.bias + self.link.bias,
                self.out.masked_weight(), self.out.bias, bias_v, bias_h, keep, self.shape,
            )
            return self._drop(v), h
        v, z = self.vertical(v, bias_v)
        return v, self.horizontal(h, z, bias_h)

    def vertical(self, v: Tensor, bias: Tensor | None, padding: Padding = None) -> tuple[Tensor, Tensor]:
        """v (B, H, W, p) -> next v and, before its gate, what the horizontal stack sees of it."""
        z = self.vertical_conv(v, padding=padding)                                  # (B, H, W, 2p)
        z = z if bias is None else z + bias
        return self._drop(gate(z)), z

    def horizontal(self, h: Tensor, above: Tensor, bias: Tensor | None, padding: Padding = None) -> Tensor:
        """h (B, H, W, p) and what comes from the vertical stack -> next h."""
        link = self.link(above)
        link = link if bias is None else link + bias
        g = gate(self.horizontal_conv(h, None, link, padding))                      # (B, H, W, p)
        g = self.out(self._drop(g))
        return g if self.first else h[:, :, -g.shape[2]:] + g

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


@register("gated_pixelcnn", "Gated PixelCNN", "van den Oord et al. 2016b", GatedPixelCNNConfig)
class GatedPixelCNN(AutoregressiveModel, Ready):
    """Gated PixelCNN; see the module docstring. `context` is the number of features of a map that `network` takes."""

    config: GatedPixelCNNConfig
    in_blocks = True

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
        a bias for the vertical and the horizontal stack of each layer. Without classes one zero, seen from everywhere."""
        shape = (len(y), len(self.layers), 2, 2 * self.config.channels)
        if self.class_bias is None:
            return torch.zeros(1, dtype=self.dtype, device=self.device).expand(shape).permute(1, 2, 0, 3)
        return self.class_bias(y).view(shape).permute(1, 2, 0, 3)

    def _biases(self, y: Tensor, needed: bool = False) -> list[Tensor | None]:
        """What classes add to all stacks in turn, (B, 1, 1, 2p); None where nothing does, unless it is needed."""
        if self.class_bias is None and not needed:
            return [None] * (2 * len(self.layers))
        return [bias[:, None, None] for pair in self.class_biases(y) for bias in pair]

    def located(self, biases: list[Tensor], context: Tensor) -> list[Tensor]:
        """Biases of all stacks in turn and a map (B, …, features) -> biases (B, …, 2p) that depend on the place."""
        if self.context_bias is None:
            return biases
        return [a + b for a, b in zip(biases, self.context_bias(context).chunk(len(biases), -1), strict=True)]

    def network(self, e: Tensor, y: Tensor, context: Tensor | None = None) -> Tensor:
        """`context` (B, H, W, features) may know any pixel that is drawn before all others."""
        v = h = with_ones(e)                                                        # (B, H, W, C + 1)
        biases = self._biases(y, context is not None)
        if context is not None:
            biases = self.located(biases, context)
        for layer, bias_v, bias_h in zip(self.layers, biases[::2], biases[1::2], strict=True):
            v, h = layer(v, h, bias_v, bias_h)
        params = self.head(h).unflatten(-1, (self.spec.channels, -1))               # (B, H, W, C, P)
        return params.permute(0, 4, 3, 1, 2)

    def conditional(self, x: Tensor, y: Tensor | int | None, site: tuple[int, int, int]) -> Tensor:
        """From the patch of x that the site can see; each layer only where the layers after it look, and in the horizontal
        stack that is the site's own row."""
        self.spec.check(x)
        channel, row, column = site
        reach = self.config.kernel // 2 * sum(self.config.dilations)
        top, left, right = self._around(row, column, reach)
        v = with_ones(self.encode(x[:, :, top:row + 1, left:right + 1]))
        h = v[:, -1:, :column - left + 1]
        biases = self._biases(self.class_index(y, len(x)))
        for i, dilation in enumerate(self.config.dilations):
            layer, side = self.layers[i], self.config.kernel // 2 * dilation
            reach -= side
            above, before, after = self._around(row, column, reach)
            beside = side - (before - left)
            v, z = layer.vertical(v, biases[2 * i], (side - (above - top), beside, side - (right - after)))
            h = layer.horizontal(h, z[:, -1:, :column - before + 1], biases[2 * i + 1], (0, beside, 0))
            del layer                                                               # the referee has room for one at a time
            top, left, right = above, before, after
        return self.head(h).reshape(len(x), self.spec.channels, -1)[:, channel]

    def _around(self, row: int, column: int, reach: int) -> tuple[int, int, int]:
        """The first row and the first and last column within reach of a pixel."""
        return max(row - reach, 0), max(column - reach, 0), min(column + reach, self.spec.width - 1)

    @property
    def in_row_steps(self) -> bool:
        return self.spec.levels > 0 and self.context_bias is None

    @property
    def images_a_thread(self) -> int:
        """A narrow network's products are short, and two threads soon wait for the interpreter's lock: measured on 2 cores
        with 48 and 128 channels."""
        return 4 if self.wide else 16

    @property
    def wide(self) -> bool:
        return self.config.channels >= WIDE

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return GatedPixelCNNDecoder(self, batch, y)

    def row_steps(self, batch: int, y: Tensor | int | None = None) -> RowSteps:
        return GatedRowSteps(self, batch, y)
