"""Multi-scale PixelRNN: a small image first, every scale-th pixel of the large one, then the large image given the small.

    s = x[::k, ::k]                                                     the small image, k = scale
    log p(x) = Σ_{i on the grid} log p(s_i | s_<i) + Σ_{i off the grid} log p(x_i | x_<i, s)

The first sum is a Diagonal BiLSTM on the small image. The second is a network over the whole large image in raster order,
in which a map m(s) of the small image is added as a bias in every layer (spatial conditioning):

    m(s) = ReLU(deconv(ReLU(3×3(ReLU(3×3(s))))))                        k×k kernel, stride k, cut to the image's size

van den Oord et al. 2016a, "Pixel Recurrent Neural Networks", section 3.6 and figure 2. With network = "gated" the layers
of the large network are those of Gated PixelCNN, conditioned as in van den Oord et al. 2016b.

Deviations: the paper's conditional network draws all pixels of the large image again, so p(s) p(x | s) counts the
pixels on the grid twice. Here they are drawn once, in the small image, and the large network is asked for the others
only; the sum above is the chain rule over the pixels of x in the order grid, then rest, and log p(x) is exact. The large
network runs over all places nevertheless: where it meets a pixel of the grid, that pixel is known like the raster past.
What lies on the grid below and to the right is in sight only as far as m(s) reaches, two small pixels around.

Shapes: parameters (B, P, C, H, W); the map (B, H, W, features).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.convolutions import Place
from arstudio.models.decoder import Decoder, inferring
from arstudio.models.diagonal_bilstm import DiagonalBiLSTM, DiagonalBiLSTMConfig, DiagonalBiLSTMDecoder
from arstudio.models.gated_decoder import GatedPixelCNNDecoder
from arstudio.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from arstudio.models.layers import with_ones
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.orders import Order
from arstudio.models.registry import register

LARGE = {
    "diagonal_bilstm": (DiagonalBiLSTM, DiagonalBiLSTMDecoder),
    "gated": (GatedPixelCNN, GatedPixelCNNDecoder),
}
DILATIONS = (1, 2, 1, 4)    # of the layers of a gated network, over and over


@dataclass(frozen=True, kw_only=True)
class MultiscaleConfig(ModelConfig):
    """`scale` is the step of the grid, `context` the features of the map; `network` is "diagonal_bilstm" or "gated".

    `hidden` and `layers` are h and the depth of the large network (a gated one has 2h channels), `small_hidden`
    and `small_layers` those of the small one; `head` is the width before the output of both.
    """

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"layers": 2, "small_layers": 2}, "medium": {}, "paper": {"layers": 7, "small_layers": 7},
    }

    scale: int = 2
    network: str = "diagonal_bilstm"
    hidden: int = 16
    layers: int = 4
    small_hidden: int = 16
    small_layers: int = 4
    context: int = 16
    head: int = 32

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "Multi-scale PixelRNN has an order of its own; leave order at raster.")
        self.require(self.scale >= 2, f"scale must be at least 2, not {self.scale}.")
        self.require(self.network in LARGE, f"network is 'diagonal_bilstm' or 'gated', not {self.network!r}.")
        self.require(self.context >= 1, f"context must be at least 1, not {self.context}.")
        self.require(
            min(self.hidden, self.small_hidden, self.head) >= spec.channels,
            f"hidden, small_hidden and head must be at least {spec.channels}, one per colour.",
        )
        self.require(min(self.layers, self.small_layers) >= 1, "layers and small_layers must be at least 1.")

    def make_order(self, spec: ImageSpec) -> Order:
        """The pixels on the grid, then the others, each in raster order."""
        grid = np.zeros((spec.height, spec.width), dtype=bool)
        grid[::self.scale, ::self.scale] = True
        return Order("raster", spec.height, spec.width).first(grid)

    def small_spec(self, spec: ImageSpec) -> ImageSpec:
        """Size of the small image: every scale-th row and column, the first included."""
        return ImageSpec(spec.channels, -(-spec.height // self.scale), -(-spec.width // self.scale), spec.levels)

    def block(self, spec: ImageSpec) -> int:
        """Pixels that lie in one row of either network wherever a block of so many begins in the order; 0 if only one does."""
        block = math.gcd(self.small_spec(spec).width, spec.width)
        return block if block > 1 else 0

    def small_config(self) -> DiagonalBiLSTMConfig:
        """Config of the small network."""
        return DiagonalBiLSTMConfig(hidden=self.small_hidden, layers=self.small_layers, head=self.head, **self._shared())

    def large_config(self) -> DiagonalBiLSTMConfig | GatedPixelCNNConfig:
        """Config of the large network."""
        if self.network == "diagonal_bilstm":
            return DiagonalBiLSTMConfig(hidden=self.hidden, layers=self.layers, head=self.head, **self._shared())
        dilations = tuple(DILATIONS[i % len(DILATIONS)] for i in range(self.layers))
        return GatedPixelCNNConfig(channels=2 * self.hidden, dilations=dilations, head=self.head, **self._shared())

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        u = self.context
        upscale = u * (9 * (spec.channels + 1) + 1) + u * (9 * u + 1) + u * (u * self.scale**2) + u
        small = self.small_config().parameters(self.small_spec(spec), num_classes)
        return small + upscale + self.large_config().parameters(spec, num_classes, u)

    def activations(self, spec: ImageSpec) -> int:
        small = self.small_spec(spec)
        inside = self.large_config().activations(spec) + self.small_config().activations(small)
        each_layer = 2 * self.layers * self.context if self.network == "diagonal_bilstm" else self.context
        return inside + spec.pixels * (each_layer + self.context) + small.pixels * 3 * self.context

    def _shared(self) -> dict[str, Any]:
        return {"class_dropout": self.class_dropout, "likelihood": self.likelihood, "components": self.components}


class Upscale(nn.Module):
    """m(s): the small image -> a map of `features` for every pixel of the large one."""

    def __init__(self, spec: ImageSpec, scale: int, features: int) -> None:
        super().__init__()
        self.size = spec.height, spec.width
        self.convs = nn.Sequential(
            nn.Conv2d(spec.channels + 1, features, 3, padding=1), nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(features, features, scale, stride=scale), nn.ReLU(),
        )

    def forward(self, e: Tensor) -> Tensor:
        """(B, 1, C, H/k, W/k) scaled levels -> (B, H, W, features)."""
        height, width = self.size
        return self.convs(with_ones(e).permute(0, 3, 1, 2))[:, :, :height, :width].permute(0, 2, 3, 1)


@register("multiscale", "Multi-scale PixelRNN", "van den Oord et al. 2016a", MultiscaleConfig)
class Multiscale(AutoregressiveModel):
    """Multi-scale PixelRNN; see the module docstring."""

    config: MultiscaleConfig

    def __init__(self, spec: ImageSpec, config: MultiscaleConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        large, _ = LARGE[config.network]
        self.small = DiagonalBiLSTM(config.small_spec(spec), config.small_config(), num_classes)
        self.upscale = Upscale(spec, config.scale, config.context)
        self.large = large(spec, config.large_config(), num_classes, config.context)

    def grid(self, x: Tensor) -> Tensor:
        """The small image of a large one, (…, H, W)."""
        return x[..., ::self.config.scale, ::self.config.scale]

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        s = self.grid(e)
        params = self.large.network(e, y, self.upscale(s)).clone()
        self.grid(params).copy_(self.small.network(s, y))
        return params

    @property
    def in_blocks(self) -> bool:
        return self.config.block(self.spec) > 0

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return MultiscaleDecoder(self, batch, y)


class MultiscaleDecoder(Decoder):
    """The small network's decoder over the grid, then the large one's over all pixels in raster order,
    which is told the pixels on the grid as it comes by."""

    model: Multiscale

    def __init__(self, model: Multiscale, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        _, walk = LARGE[self.model.config.network]
        self.small = self.model.small.decoder(batch, y)
        context = self.model.large.head[1].weight.new_zeros(batch, *self.spec.shape[1:], self.model.config.context)
        self.large = walk(self.model.large, batch, y, context)
        self.block = self.model.config.block(self.spec)
        place, self._grid = self.model.order.pixels, self.small.spec.pixels    # raster places in order; how many on the grid
        self._before = np.full(self.spec.pixels, -1)    # the nearest place off the grid before each that is off it
        self._before[place[self._grid + 1:]] = place[self._grid:-1]

    def _large_at(self, channel: int, row: int, column: int) -> Decoder:
        """The large decoder, moved up to a site off the grid."""
        if self.large.position == 0:    # a pixel of the grid, so this happens once, when the small image is complete
            self.large.context = self.model.upscale(self.model.encode(self.model.grid(self.x)))
        while self.large.position < (row * self.spec.width + column) * self.spec.channels + channel:
            c, r, k = self.large.site()
            self.large.push(self.x[:, c, r, k])
        return self.large

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        on_grid = self.position < self.small.spec.sites
        return self.small.params() if on_grid else self._large_at(channel, row, column).params()

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        on_grid = self.position < self.small.spec.sites
        (self.small if on_grid else self._large_at(channel, row, column)).push(value)

    @inferring
    def enter(self, images: np.ndarray, block: int) -> None:
        some, first = Place(0, images).some, block * self.block
        if first < self._grid:
            self._show(self.small, some)
            self.small.enter(images, first // self.small.spec.width)
            return
        if first == self._grid:
            self.large.context[some] = self.model.upscale(self.model.encode(self.model.grid(self.x[some])))
        self._show(self.large, some)
        place, width = self.model.order.pixels[first], self.spec.width
        row, column = divmod(int(self._run(place)[0]), width)
        if column == 0 and row:    # pixels of the grid that end the row above have not been looked at with all before them
            self._look(images, row - 1, int(self._before[place]) % width + 1, width)
        self.large.enter(images, row)
        self._look(images, row, 0, column)    # of this block's row what came in an earlier block

    @inferring
    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        some = Place(0, images).some
        if pixels[0] < self._grid:
            self._show(self.small, some)
            return self.small.look(images, pixels)
        self._show(self.large, some)
        runs = [self._run(place) for place in self.model.order.pixels[pixels]]
        found = self.large.look(np.repeat(images, [len(run) for run in runs]), np.concatenate(runs))
        ends = np.cumsum([len(run) for run in runs]) - 1
        return found[torch.from_numpy(ends).to(found.device)]

    def _run(self, place: int) -> np.ndarray:
        """A raster place off the grid -> it and those of the grid before it in its row, which the large network passes."""
        row = place // self.spec.width * self.spec.width
        return np.arange(max(self._before[place] + 1, row), place + 1)

    def _look(self, images: np.ndarray, row: int, first: int, last: int) -> None:
        if first < last:
            columns = row * self.spec.width + np.arange(first, last)
            self.large.look(np.repeat(images, len(columns)), np.tile(columns, len(images)))

    def _show(self, decoder: Decoder, some: slice | np.ndarray) -> None:
        """Give the small or the large network's decoder the images as they are."""
        decoder.x[some] = self.model.grid(self.x[some]) if decoder is self.small else self.x[some]

    def select(self, index: Tensor) -> None:
        super().select(index)
        self.small.select(index)
        self.large.select(index)

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"small": self.small.snapshot(), "large": self.large.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.small.restore(state["small"])
        self.large.restore(state["large"])

    def _restart(self, position: int) -> int:
        if position < self.small.spec.sites:
            self.small.rewind(position)
            self.large.rewind(0)
        elif position < self.spec.sites:
            pixel, channel = divmod(position, self.spec.channels)
            row, column = self._where[pixel]
            raster = (row * self.spec.width + column) * self.spec.channels + channel
            self.large.rewind(min(self.large.position, raster))
        return position
