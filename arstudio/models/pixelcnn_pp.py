"""PixelCNN++: whole pixels seen by two streams at several resolutions, drawn from coupled mixtures of logistics.

    block      y = x + a ⊙ σ(b),   [a, b] = K_2 ∗ φ(K_1 ∗ φ(x) + S φ(skip) + L φ(v)) + V y_class
    φ          concat_elu: [elu(x), elu(−x)]
    vertical   v: K are 2×3, at (r, c) it has seen rows < r
    horizontal h: K are 2×2, at (r, c) it has seen rows < r and, in row r, columns < c; L brings v in

Salimans et al. 2017, "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other
Modifications", sections 2.1 to 2.5, figure 2. The output family and the coupling of colours (2.1, 2.2) are in
`coupling.py`, whole-pixel conditioning is section 2.2, resolutions 2.3, shortcuts 2.4, dropout 2.5.

On the way up each resolution has `blocks` blocks, and a convolution of stride 2 leads to the next; on the way down one
block more for each shortcut, and transposed convolutions lead back. A feature at (R, C) of a resolution 2^s times
coarser has seen what pixel (2^s R, 2^s C) may see, so it may be read at that pixel and at all after it, and it can be
computed as soon as that pixel is next to be drawn. Sizes are halved rounding up, and what a transposed convolution
puts beyond the edge is cut off: any height and width will do.

Deviations: weights are normalised without the start that depends on data, those of the last layer not at all; strided
and transposed convolutions are written as dense layers on neighbourhoods (the same sums); "auto" is Bernoulli for two
levels; other output families couple colours through their logits. A channel of ones marks the inside of the image.

Shapes: (B, H, W, p) channels-last inside; (B, R, H, W) numbers a pixel, then parameters (B, P, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ConfigError, Decoder, ModelConfig
from arstudio.models.coupling import couple, couple_at, initial_raw, raw_size
from arstudio.models.layers import Array, Linear, Rows, SiteConv, at_site, with_ones
from arstudio.models.likelihoods import LIKELIHOODS, Likelihood, make_likelihood
from arstudio.models.registry import register
from arstudio.models.streams import NONE, Block, Caches, Feature, Given, NormalRowConv, NormalSiteConv, Stream, linked


@dataclass(frozen=True, kw_only=True)
class PixelCNNPPConfig(ModelConfig):
    """`channels` is p, `scales` the number of resolutions, each half the one before, with `blocks` blocks on the way
    up. "auto" is Bernoulli for two levels, the mixture of logistics for more, of Gaussians for reals."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 24, "blocks": 1, "scales": 2},
        "medium": {},
        "paper": {"channels": 160, "blocks": 5, "components": 10, "dropout": 0.5},
    }

    channels: int = 32
    blocks: int = 1
    scales: int = 3
    dropout: float = 0.0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "PixelCNN++ draws in raster order only.")
        self.require(self.channels >= 1, f"channels must be at least 1, not {self.channels}.")
        self.require(self.blocks >= 1, f"blocks must be at least 1, not {self.blocks}.")
        self.require(1 <= self.scales <= 8, f"scales must be 1 to 8, not {self.scales}.")
        self.require(0 <= self.dropout < 1, f"dropout must be in [0, 1), not {self.dropout}.")

    def make_likelihood(self, spec: ImageSpec) -> Likelihood:
        name = "logistic" if self.likelihood == "auto" and spec.levels > 2 else self.likelihood
        try:
            return make_likelihood(name, spec.levels, self.components)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def sizes(self, spec: ImageSpec) -> list[tuple[int, int]]:
        """Height and width at each resolution, finest first."""
        return [(-(-spec.height // 2**s), -(-spec.width // 2**s)) for s in range(self.scales)]

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        p, up, down = self.channels, self.scales * self.blocks, self.scales * (self.blocks + 1) - 1
        raw = raw_size(self.make_likelihood(spec), spec.channels)
        total = 2 * p * (6 * (spec.channels + 1) + 2) + raw * (p + 1)                       # into the network, out of it
        total += (up + down) * 3 * p * ((12 * p + 2) + (8 * p + 2))                         # K_1 and K_2 of v and h
        total += (up + 3 * down) * p * (2 * p + 1)                                          # L; L and S of v and h
        total += (self.scales - 1) * p * ((6 * p + 2) + (4 * p + 2) + 8 * (p + 2) + 2 * (p + 1))
        return total + (num_classes + 1) * (up + down) * 4 * p * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        p, raw = self.channels, raw_size(self.make_likelihood(spec), spec.channels)
        a_block = (26 + 4 * (self.dropout > 0)) * p
        total = spec.pixels * (2 * raw + 4 * spec.channels * self.outputs(spec) + 14 * p)
        for s, (height, width) in enumerate(self.sizes(spec)):
            total += height * width * (2 * self.blocks + (s < self.scales - 1)) * a_block
        return total


@register("pixelcnn_pp", "PixelCNN++", "Salimans et al. 2017", PixelCNNPPConfig)
class PixelCNNPP(AutoregressiveModel):
    """PixelCNN++; see the module docstring."""

    config: PixelCNNPPConfig

    def __init__(self, spec: ImageSpec, config: PixelCNNPPConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        p, inputs, raw = config.channels, spec.channels + 1, raw_size(self.likelihood, spec.channels)
        self.first_v, self.first_h = NormalRowConv(inputs, p, 3), NormalSiteConv(inputs, p, 3, strict=True)
        self.vertical, self.horizontal = (
            nn.ModuleList(
                Stream(p, config.blocks, vertical, config.dropout, first=s == 0, last=s == config.scales - 1)
                for s in range(config.scales)
            )
            for vertical in (True, False)
        )
        self.head = Linear(p, raw)
        self.counts = [(len(stream.up), len(stream.down)) for stream in self.vertical]
        blocks = sum(map(sum, self.counts))
        self.class_bias = nn.Embedding(num_classes + 1, blocks * 4 * p) if num_classes else None
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(initial_raw(self.likelihood, spec.channels))
            if self.class_bias is not None:
                nn.init.normal_(self.class_bias.weight, std=0.1)

    def class_biases(self, y: Tensor, places: int) -> list[tuple[Given, Given, Given, Given]]:
        """(B,) class rows -> per resolution, biases of the vertical blocks on the way up and down, then of the
        horizontal ones; (B, 1, …, 2p) each with as many ones as there are `places`."""
        if self.class_bias is None:
            return [(NONE,) * 4 for _ in self.counts]
        shape = (len(y), 2, -1, *[1] * places, 2 * self.config.channels)
        vertical, horizontal = (list(stream.unbind(1)) for stream in self.class_bias(y).view(shape).unbind(1))
        found, start = [], 0
        for up, down in self.counts:
            top, end = start + up, start + up + down
            found.append((vertical[start:top], vertical[top:end], horizontal[start:top], horizontal[top:end]))
            start = end
        return found

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        image, biases, sizes = with_ones(e), self.class_biases(y, 2), self.config.sizes(self.spec)    # (B, H, W, C + 1)
        v, h = self.first_v(F.pad(image, (0, 0, 0, 0, 1, 0))[:, :-1]), self.first_h(image)
        ways = []
        for s, (vertical, horizontal) in enumerate(zip(self.vertical, self.horizontal, strict=True)):
            if s:
                v, h = vertical.enter(v), horizontal.enter(h)
            way_v = vertical.climb(v, biases=biases[s][0])
            way_h = horizontal.climb(h, linked(horizontal.up, way_v[1:]), biases[s][2])
            v, h = way_v[-1].x, way_h[-1].x                                             # (B, H / 2^s, W / 2^s, p)
            ways.append((way_v, way_h))
        v = h = None
        for s in reversed(range(self.config.scales)):
            vertical, horizontal, (way_v, way_h) = self.vertical[s], self.horizontal[s], ways[s]
            down_v = vertical.descend(v, way_v, biases=biases[s][1])
            down_h = horizontal.descend(h, way_h, linked(horizontal.down, down_v), biases[s][3])
            if s:
                v = vertical.leave.image(down_v[-1].x, *sizes[s - 1])
                h = horizontal.leave.image(down_h[-1].x, *sizes[s - 1])
        return couple(self.raw(down_h[-1]).permute(0, 3, 1, 2), e[:, 0], self.likelihood)

    def raw(self, feature: Feature) -> Array:
        """The last feature (…, p) -> (…, R) numbers a pixel, a dense layer on its elu."""
        return self.head(feature.bent[..., :self.config.channels])

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return PixelCNNPPDecoder(self, batch, y)


class PixelCNNPPDecoder(Decoder):
    """Every feature of every resolution is computed once: vertical ones a row at a time, horizontal ones at a site.

    A row or site of a resolution 2^s times coarser is computed when the first pixel row or pixel that may read it
    comes, at multiples of 2^s; on the way back its 2×2 finer sites keep what the transposed convolution gives them.

    State: input buffers of all convolutions; the features that `Shrink` reads, framed with zeros; what `Grow` gave to
    the present rows; what rows above and the vertical stream add to the horizontal ones; the numbers of the pixel.
    """

    model: PixelCNNPP
    batched = ("x", "inputs", "buffers", "sums", "left_v", "left_h", "grown_v", "grown_h", "raw")
    counters = ("position", "ready", "done")

    def __init__(self, model: PixelCNNPP, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        m, config, colours = self.model, self.model.config, self.spec.channels
        p, like = config.channels, self.model.head.weight
        self.sizes, self.scales = config.sizes(self.spec), range(config.scales)
        self.first = [Rows(conv, batch, *self.sizes[0], like) for conv in (m.first_v, m.first_h)]
        self.caches_v, self.caches_h = (
            [
                [[Rows(conv, batch, *size, like) for conv in (block.first, block.second)] for block in stream.blocks]
                for stream, size in zip(streams, self.sizes, strict=True)
            ]
            for streams in (m.vertical, m.horizontal)
        )
        self.inputs = like.new_zeros(batch, *self.sizes[0], colours + 1)
        self.inputs[..., -1] = 1
        self.left_v = [like.new_zeros(batch, h + 2, w + 2, p) for h, w in self.sizes[:-1]]
        self.left_h = [like.new_zeros(batch, h + 2, w + 2, p) for h, w in self.sizes[:-1]]
        self.grown_v = [like.new_zeros(batch, 2, 2 * w, p) for _, w in self.sizes[1:]]
        self.grown_h = [like.new_zeros(batch, 2, 2 * w, p) for _, w in self.sizes[1:]]
        self.sums = [like.new_zeros(batch, cache.width, conv.outputs) for conv, cache in self._site_convs()]
        self.raw = like.new_zeros(batch, len(m.head.bias))
        self.ready = self.done = -1                                       # row and pixel whose features are there

    def _site_convs(self) -> list[tuple[SiteConv, Rows]]:
        """Convolutions of the horizontal stream with their caches."""
        found = [(self.model.first_h, self.first[1])]
        for stream, caches in zip(self.model.horizontal, self.caches_h, strict=True):
            for block, (first, second) in zip(stream.blocks, caches, strict=True):
                found += [(block.first, first), (block.second, second)]
        return found

    def _all_caches(self) -> list[Rows]:
        blocks = [cache for scales in (self.caches_v, self.caches_h) for scale in scales for pair in scale for cache in pair]
        return [*self.first, *blocks]

    @property
    def buffers(self) -> list[Tensor]:
        """Every convolution's input buffer, (B, rows, columns, features) each."""
        return [cache.buffer for cache in self._all_caches()]

    @buffers.setter
    def buffers(self, tensors: list[Tensor]) -> None:
        for cache, tensor in zip(self._all_caches(), tensors, strict=True):
            cache.buffer = tensor

    @property
    def sums(self) -> list[Tensor]:
        """What enters each horizontal convolution's row besides its own past, (B, W, out) each."""
        return [cache.above for _, cache in self._site_convs()]

    @sums.setter
    def sums(self, tensors: list[Tensor]) -> None:
        for (_, cache), tensor in zip(self._site_convs(), tensors, strict=True):
            cache.above, cache.windows = tensor, None

    def _begin_row(self, row: int) -> None:
        m, biases = self.model, self.model.class_biases(self.classes, 1)
        present = [s for s in self.scales if row % 2**s == 0]
        ways = []
        self.first[0].row = row
        m.first_h.begin_row(self.first[1], row)
        v = m.first_v(self.inputs[:, row - 1] if row else torch.zeros_like(self.inputs[:, 0]), self.first[0])
        for s in present:
            r, (_, width), count = row >> s, self.sizes[s], len(m.vertical[s].up)
            if s:
                v = m.vertical[s].enter.framed(self.left_v[s - 1][:, 2 * r:2 * r + 2], 1, width)[:, 0]
            for pair in self.caches_v[s]:
                for cache in pair:
                    cache.row = r
            ways.append(m.vertical[s].climb(v, biases=biases[s][0], caches=self.caches_v[s]))
            v = ways[s][-1].x
            if s < self.scales[-1]:
                self.left_v[s][:, r + 1, 1:width + 1] = v
            self._add(s, r, m.horizontal[s].up, ways[s][1:], self.caches_h[s][:count], biases[s][2])
        down: list[Feature] = []
        for s in reversed(present):
            r, count, v = row >> s, len(m.vertical[s].up), None
            if s < self.scales[-1]:
                if s + 1 in present:
                    self.grown_v[s][...] = m.vertical[s + 1].leave(down[-1].x)
                v = self.grown_v[s][:, r % 2, :self.sizes[s][1]]
            down = m.vertical[s].descend(v, ways[s], biases=biases[s][1], caches=self.caches_v[s][count:])
            self._add(s, r, m.horizontal[s].down, down, self.caches_h[s][count:], biases[s][3])
        self.ready = row

    def _add(
        self, s: int, r: int, blocks: Iterable[Block], beside: list[Feature], caches: Caches, biases: Given
    ) -> None:
        """Sum for a row all that enters horizontal blocks besides their own row."""
        for block, link, (first, second), bias in zip(blocks, linked(blocks, beside), caches, biases, strict=False):
            block.first.begin_row(first, r)
            block.second.begin_row(second, r)
            first.above = first.above + link
            if bias is not None:
                second.above = second.above + bias

    def _features(self, row: int, column: int) -> None:
        if self.ready != row:
            self._begin_row(row)
        m, present, ways = self.model, [s for s in self.scales if (row | column) % 2**s == 0], []
        self.first[1].column = column
        h = m.first_h(at_site(self.inputs[:, row, column]), self.first[1])
        for s in present:
            r, c = row >> s, column >> s
            if s:
                h = m.horizontal[s].enter.dense(at_site(self.left_h[s - 1][:, 2 * r:2 * r + 2, 2 * c:2 * c + 2].flatten(1)))
            for pair in self.caches_h[s]:
                for cache in pair:
                    cache.column = c
            ways.append(m.horizontal[s].climb(h, caches=self.caches_h[s]))
            h = ways[s][-1].x
            if s < self.scales[-1]:
                at_site(self.left_h[s][:, r + 1, c + 1])[...] = h
        down: list[Feature] = []
        for s in reversed(present):
            r, c, h, count = row >> s, column >> s, None, len(m.horizontal[s].up)
            if s < self.scales[-1]:
                if s + 1 in present:
                    four = torch.as_tensor(m.horizontal[s + 1].leave.dense(down[-1].x)).unflatten(-1, (2, 2, -1))
                    self.grown_h[s][:, :, c:c + 2] = four
                h = at_site(self.grown_h[s][:, r % 2, c])
            down = m.horizontal[s].descend(h, ways[s], caches=self.caches_h[s][count:])
        self.raw.copy_(torch.as_tensor(m.raw(down[-1])))
        self.done = self.position // self.spec.channels

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        if self.done != self.position // self.spec.channels:
            self._features(row, column)
        return couple_at(self.raw, self.inputs[:, row, column, :-1], self.model.likelihood, channel)

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if channel == self.spec.channels - 1 and self.done != self.position // self.spec.channels:
            self._features(row, column)    # a given pixel still leaves its features behind
        scaled, first = self.model.scaled(value), self.first[1]
        self.inputs[:, row, column, channel] = scaled
        first.buffer[:, first.top + row, first.left + column, channel] = scaled

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.first[0].row = self.first[1].row = max(self.ready, 0)
        for caches in (self.caches_v, self.caches_h):
            for s, scale in enumerate(caches):
                for pair in scale:
                    for cache in pair:
                        cache.row, cache.windows = max(self.ready, 0) >> s, None
        self.first[1].windows = None

    def _restart(self, position: int) -> int:
        self.ready = self.done = -1
        coarsest = 2 ** self.scales[-1]    # from a row that begins one of every resolution, nothing older is read
        row = position // (self.spec.width * self.spec.channels)
        return (row - row % coarsest) * self.spec.width * self.spec.channels
