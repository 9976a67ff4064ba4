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
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.convolutions import Cache, Place, Rows, SiteConv
from arstudio.models.decoder import Decoder
from arstudio.models.layers import ALWAYS, Array, Head, MaskedLinear, at_site, groups, relu, with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.pixelcnn_row_steps import PixelCNNRowSteps
from arstudio.models.registry import register
from arstudio.models.row_steps import RowSteps
from arstudio.models.rowwise import RowDecoder


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
    """Residual block of figure 5 (left). Takes an image, or some pixels and their cache."""

    def __init__(self, colours: int, config: PixelCNNConfig) -> None:
        super().__init__()
        wide, narrow = groups(config.channels, colours), groups(config.channels // 2, colours)
        self.dropout = config.dropout
        self.down = MaskedLinear(wide, narrow)
        self.conv = SiteConv(narrow, narrow, config.kernel, rows=config.kernel // 2 + 1)
        self.up = MaskedLinear(narrow, wide)

    def forward(self, x: Array, bias: Tensor | None, cache: Cache | None = None) -> Array:
        """x (B, H, W, 2h) and the class's bias, or pixels (N, 2h), whose sums have it already -> the same shape."""
        z = self.conv(relu(self.down(relu(x))), cache)
        z = relu(z if bias is None else z + bias)
        return x + self.up(F.dropout(z, self.dropout) if self.training and self.dropout else z)


@register("pixelcnn", "PixelCNN", "van den Oord et al. 2016a", PixelCNNConfig)
class PixelCNN(AutoregressiveModel):
    """PixelCNN with its blind spot; see the module docstring."""

    config: PixelCNNConfig
    in_blocks = True

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

    @property
    def wave_from(self) -> int:
        """Of few images, binary ones above all, most guesses are right, and blocks are as fast (measured on bundled models)."""
        return 4 if self.spec.levels == 2 else 2

    @property
    def lag(self) -> int:
        """The first convolution leads f columns to the right in the row above; a block b in each, but then the first one to
        the left."""
        return max(self.config.first_kernel // 2 + 1, self.config.kernel // 2 * (self.config.blocks > 0))

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return PixelCNNDecoder(self, batch, y)

    @property
    def in_row_steps(self) -> bool:
        return self.spec.levels > 0

    def row_steps(self, batch: int, y: Tensor | int | None = None) -> RowSteps:
        return PixelCNNRowSteps(self, batch, y)


class PixelCNNDecoder(RowDecoder):
    """Every feature computed once: what rows above contribute, and the class, is summed at the start of a row, the
    rest at the pixel."""

    model: PixelCNN
    batched = ("x", "buffers", "aboves", "biases")

    def __init__(self, model: PixelCNN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.convs = [self.model.first, *(block.conv for block in self.model.blocks)]
        like = self.model.head[1].weight
        self.caches = [Rows(conv, batch, self.spec.height, self.spec.width, like) for conv in self.convs]
        self.caches[0].line[..., -1] = 1
        with torch.inference_mode():
            self.biases = [row.clone() for row in self.model.class_biases(self.classes)]    # (B, h) each

    def _enter(self, place: Place) -> None:
        for conv, cache, bias in zip(self.convs, self.caches, [None, *self.biases], strict=False):
            conv.begin_row((cache, place))
            if bias is not None and self.model.class_bias is not None:
                cache.sums[place.some] += at_site(bias)[place.some, None]

    def _evaluate(self, place: Place) -> Array:
        x = self.model.first(None, (self.caches[0], place))
        summed = place.in_one_row or self.model.class_bias is None
        for block, cache, bias in zip(self.model.blocks, self.caches[1:], self.biases, strict=False):
            x = block(x, None if summed else at_site(bias)[place.images], (cache, place))
        return self.model.head(x)
