"""PixelCNN: a stack of masked convolutions, whose mask makes every output depend on earlier sites only.

    first layer   k×k convolution, mask A: rows above and sites to the left, not the site itself
    then          x ← x + 1×1 (ReLU 3×3 mask B (ReLU 1×1 (ReLU x)))          2h -> h -> h -> 2h
    head          ReLU, 1×1, ReLU, 1×1

van den Oord et al. 2016a, "Pixel Recurrent Neural Networks", sections 3.4, 3.5 and figure 5
(7×7 mask A, 15 blocks).

The blind spot is kept, because it is the point of comparison: a 3×3 mask B sees one site to the upper right,
so the field widens by one column a row, and pixels above and further to the right never reach the output
however deep the stack is. The test of its expected sight is in tests/exactness; for the cure see Gated
PixelCNN.

Deviations: a channel of ones marks the inside of the image; an optional class adds a bias in every block;
dropout.
Shapes: (B, H, W, features) channels-last inside; parameters (B, P, C, H, W) outside. RGB by channel groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, Decoder, ModelConfig
from arstudio.models.layers import ALWAYS, Array, Head, MaskedLinear, Rows, SiteConv, at_site, groups, relu, with_one, with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(ModelConfig):
    """`channels` is 2h, the width of the residual stream; `first_kernel` and `kernel` are odd."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 32, "blocks": 3, "head": 32},
        "medium": {},
        "paper": {"channels": 256, "blocks": 15, "head": 1024},
    }

    channels: int = 64
    blocks: int = 5
    first_kernel: int = 7
    kernel: int = 3
    head: int = 64
    dropout: float = 0.0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "PixelCNN draws in raster order only.")
        for name in ("kernel", "first_kernel"):
            k = getattr(self, name)
            self.require(k % 2 == 1 and k >= 3, f"{name} must be odd and at least 3, not {k}.")
        least = 2 * spec.channels
        self.require(
            self.channels >= least and self.head >= spec.channels and self.blocks >= 0,
            f"channels must be at least {least}, head at least {spec.channels}, blocks at least 0.",
        )
        self.require(0 <= self.dropout < 1, f"dropout must be in [0, 1), not {self.dropout}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        wide, k, first, outputs = self.channels, self.kernel, self.first_kernel, spec.channels * self.outputs(spec)
        h = wide // 2
        total = wide * ((spec.channels + 1) * first * (first // 2 + 1) + 1)
        total += self.blocks * (h * (wide + 1) + h * (h * k * (k // 2 + 1) + 1) + wide * (h + 1))
        total += self.head * (wide + 1) + outputs * (self.head + 1)
        return total + (num_classes + 1) * max(self.blocks, 1) * h * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        a_block = (5 + 2 * (self.dropout > 0)) * self.channels // 2
        rest = 2 * self.channels + 2 * self.head + 2 * spec.channels * self.outputs(spec)
        return spec.pixels * (self.blocks * a_block + rest)


class Block(nn.Module):
    """Residual block of figure 5 (left). Takes an image, or one site and its cache."""

    def __init__(self, colours: int, config: PixelCNNConfig) -> None:
        super().__init__()
        wide, narrow = groups(config.channels, colours), groups(config.channels // 2, colours)
        self.dropout = config.dropout
        self.down = MaskedLinear(wide, narrow)
        self.conv = SiteConv(narrow, narrow, config.kernel, rows=config.kernel // 2 + 1)
        self.up = MaskedLinear(narrow, wide)

    def forward(self, x: Array, bias: Array, cache: Rows | None = None) -> Array:
        """x (B, H, W, 2h) or a site (B, 2h), class bias broadcast to h -> the same shape."""
        z = relu(self.conv(relu(self.down(relu(x))), cache) + bias)
        return x + self.up(F.dropout(z, self.dropout) if self.training and self.dropout else z)


@register("pixelcnn", "PixelCNN", "van den Oord et al. 2016a", PixelCNNConfig)
class PixelCNN(AutoregressiveModel):
    """PixelCNN with its blind spot; see the module docstring."""

    config: PixelCNNConfig

    def __init__(self, spec: ImageSpec, config: PixelCNNConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        colours = spec.channels
        image = torch.cat([torch.arange(colours), torch.tensor([ALWAYS])])
        wide, head = groups(config.channels, colours), groups(config.head, colours)
        outputs = groups(colours * self.likelihood.num_params, colours)
        k = config.first_kernel
        self.first = SiteConv(image, wide, k, rows=k // 2 + 1, strict=True)
        self.blocks = nn.ModuleList(Block(colours, config) for _ in range(config.blocks))
        self.head = Head(wide, head, outputs)
        width = config.channels // 2
        rows = max(config.blocks, 1) * width
        self.class_bias = nn.Embedding(num_classes + 1, rows) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)

    def class_biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (blocks, B, h)."""
        shape = (len(y), max(self.config.blocks, 1), self.config.channels // 2)
        if self.class_bias is None:
            return torch.zeros(shape, dtype=self.dtype, device=self.device).transpose(0, 1)
        return self.class_bias(y).view(shape).transpose(0, 1)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        x = self.first(with_ones(e))                                                # (B, H, W, 2h)
        for block, bias in zip(self.blocks, self.class_biases(y)[:, :, None, None], strict=False):
            x = block(x, bias)
        params = self.head(x).unflatten(-1, (self.spec.channels, -1))               # (B, H, W, C, P)
        return params.permute(0, 4, 3, 1, 2)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return PixelCNNDecoder(self, batch, y)


class PixelCNNDecoder(Decoder):
    """Every feature computed once: what rows above contribute is summed at the start of a row,
    the rest at the site."""

    model: PixelCNN
    batched = ("x", "buffers", "aboves", "biases")
    counters = ("position", "ready", "done")

    def __init__(self, model: PixelCNN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.convs = [self.model.first, *(block.conv for block in self.model.blocks)]
        like = self.model.head[1].weight
        self.caches = [Rows(conv, batch, self.spec.height, self.spec.width, like) for conv in self.convs]
        with torch.inference_mode():
            self.biases = [row.clone() for row in self.model.class_biases(self.classes)]
        self.ready = self.done = -1

    @property
    def buffers(self) -> list[Tensor]:
        """Every convolution's input buffer, (B, rows, columns, features) each."""
        return [cache.buffer for cache in self.caches]

    @buffers.setter
    def buffers(self, tensors: list[Tensor]) -> None:
        for cache, tensor in zip(self.caches, tensors, strict=True):
            cache.buffer = tensor

    @property
    def aboves(self) -> list[Tensor]:
        """What rows above add to the current row, (B, W, out) each; empty before the first row."""
        return [] if self.ready < 0 else [cache.above for cache in self.caches]

    @aboves.setter
    def aboves(self, tensors: list[Tensor]) -> None:
        for cache, tensor in zip(self.caches, tensors, strict=False):
            cache.above = tensor

    def _features(self, row: int, column: int) -> Array:
        if self.ready != row:
            for conv, cache in zip(self.convs, self.caches, strict=True):
                conv.begin_row(cache, row)
            self.ready = row
        for cache in self.caches:
            cache.column = column
        seen = self.model.scaled(at_site(self.x[:, :, row, column]))
        x = self.model.first(with_one(seen), self.caches[0])
        for block, bias, cache in zip(self.model.blocks, self.biases, self.caches[1:], strict=False):
            x = block(x, at_site(bias), cache)
        self.done = self.position
        return x

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        outputs = self.model.head(self._features(row, column))                      # (B, C·P), colour by colour
        first = channel * self.model.likelihood.num_params
        return torch.as_tensor(outputs[:, first:first + self.model.likelihood.num_params])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        last = channel == self.spec.channels - 1
        if last and self.done != self.position:
            self._features(row, column)    # a given pixel still leaves its features behind
        if last:
            first = self.caches[0]
            at_site(first.buffer)[:, first.top + row, first.left + column, channel] = self.model.scaled(at_site(value))

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        for cache in self.caches:
            cache.row, cache.windows = max(self.ready, 0), None

    def _restart(self, position: int) -> int:
        self.ready = self.done = -1
        return position - position % (self.spec.width * self.spec.channels)
