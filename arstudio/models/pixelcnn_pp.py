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
levels; other output families couple colours through their logits; the two convolutions that begin the horizontal stream
are one with the reach of both. A channel of ones marks the inside of the image.

Shapes: (B, H, W, p) channels-last inside; (B, R, H, W) numbers a pixel, then parameters (B, P, C, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ConfigError, ModelConfig
from arstudio.models.convolutions import Place, Rows
from arstudio.models.coupling import couple, initial_raw, raw_size
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, Linear, at_site, with_ones
from arstudio.models.likelihoods import LIKELIHOODS, Likelihood, make_likelihood
from arstudio.models.registry import register
from arstudio.models.rowwise import RowDecoder
from arstudio.models.streams import Feature, Given, NormalRowConv, NormalSiteConv, Stream, linked


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
    in_blocks = True
    whole_frozen = False    # normalised weights forget their lengths

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
            return [([None] * up, [None] * down) * 2 for up, down in self.counts]
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


class Resolution:
    """One resolution of a network being decoded: its streams with a pair of caches for each of their blocks."""

    def __init__(self, vertical: Stream, horizontal: Stream, batch: int, size: tuple[int, int], like: Tensor) -> None:
        self.vertical, self.horizontal, self.width, self.up = vertical, horizontal, size[1], len(vertical.up)
        self.pairs_v, self.pairs_h = (
            [[Rows(conv, batch, *size, like) for conv in (block.first, block.second)] for block in stream.blocks]
            for stream in (vertical, horizontal)
        )
        self.caches = [cache for pair in (*self.pairs_v, *self.pairs_h) for cache in pair]

    def add(self, place: Place, links: list[Array], biases: Given, first: int) -> None:
        """Sum for a row all that enters the horizontal blocks from number `first` on besides their own row."""
        blocks = zip(self.horizontal.blocks[first:], self.pairs_h[first:], links, biases, strict=False)
        for block, (one, two), link, bias in blocks:
            block.first.begin_row((one, place))
            block.second.begin_row((two, place))
            one.sums[place.some] += link
            if bias is not None:
                two.sums[place.some] += bias


class PixelCNNPPDecoder(RowDecoder):
    """Every feature of every resolution is computed once: vertical ones a row at a time, horizontal ones at a pixel.

    A row or site of a resolution 2^s times coarser is computed when the first pixel row or pixel that may read it
    comes, at multiples of 2^s; its 2×2 finer sites keep what the transposed convolution gives them on the way back.

    State: input buffers of all convolutions; the features that `Shrink` reads, framed with zeros; what `Grow` gave; what
    rows above and the vertical stream add to the horizontal ones; the numbers of the pixel.
    """

    model: PixelCNNPP
    batched = ("x", "buffers", "aboves", "left_v", "left_h", "grown_v", "grown_h")
    coupled = True

    def __init__(self, model: PixelCNNPP, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        m, p, like = self.model, self.model.config.channels, self.model.head.weight
        sizes = m.config.sizes(self.spec)
        self.last = len(sizes) - 1
        first_h, self.first_v = (Rows(conv, batch, *sizes[0], like) for conv in (m.first_h, m.first_v))
        streams = zip(m.vertical, m.horizontal, sizes, strict=True)
        self.resolutions = [Resolution(v, h, batch, size, like) for v, h, size in streams]
        self.caches = [first_h, self.first_v, *(cache for one in self.resolutions for cache in one.caches)]
        first_h.line[..., -1] = 1
        self.left_v, self.left_h = ([like.new_zeros(batch, h + 2, w + 2, p) for h, w in sizes[:-1]] for _ in range(2))
        self.grown_v, self.grown_h = ([like.new_zeros(batch, 2 * h, 2 * w, p) for h, w in sizes[1:]] for _ in range(2))
        self.raw = like.new_zeros(batch, len(m.head.bias))
        self._look()

    def _look(self) -> None:
        """Arrays that share memory with the state, and what the classes add, made once."""
        self.class_rows = self.model.class_biases(self.classes, 1)
        self.framed_v, self.grown_rows = ([at_site(t) for t in ts] for ts in (self.left_v, self.grown_v))
        self.framed, self.grown = ([at_site(t) for t in ts] for ts in (self.left_h, self.grown_h))
        self.fours, self.fourths = (
            [at_site(t.unfold(1, 2, 2).unfold(2, 2, 2).permute(0, 1, 2, 4, 5, 3)) for t in ts]
            for ts in (self.left_h, self.grown_h)
        )    # the 2×2 fine places of every coarse one, (B, H / 2, W / 2, 2, 2, p)

    def _enter(self, place: Place) -> None:
        m, row, some, ways = self.model, place.row, place.some, []
        biases = self.class_rows
        if m.class_bias is not None:
            biases = [[[at_site(bias)[some] for bias in part] for part in parts] for parts in biases]
        at = [Place(row >> s, place.images) for s in range(self.last + 1) if row % 2**s == 0]
        m.first_h.begin_row((self.caches[0], place))
        v = m.first_v(self.caches[0].line[some, row - 1] if row else 0, (self.first_v, place))
        for s, (here, where) in enumerate(zip(self.resolutions, at, strict=False)):
            r = where.row
            if s:
                v = here.vertical.enter.framed(self.framed_v[s - 1][some, 2 * r:2 * r + 2], 1, here.width)[:, 0]
            pairs = [[(cache, where) for cache in pair] for pair in here.pairs_v]
            way = here.vertical.climb(v, biases=biases[s][0], caches=pairs[:here.up])
            here.add(where, linked(here.horizontal.up, way[1:]), biases[s][2], 0)
            if s < self.last:
                self.framed_v[s][some, r + 1, 1:here.width + 1] = way[-1].x
            ways.append((way, pairs))
        v = None
        for s in reversed(range(len(at))):
            here, r = self.resolutions[s], at[s].row
            if s < self.last:
                if v is not None:
                    two = self.resolutions[s + 1].vertical.leave(torch.as_tensor(v))
                    self.grown_rows[s][some, r:r + 2] = at_site(two)
                v = self.grown_rows[s][some, r, :here.width]
            way = here.vertical.descend(v, ways[s][0], biases=biases[s][1], caches=ways[s][1][here.up:])
            here.add(at[s], linked(here.horizontal.down, way), biases[s][3], here.up)
            v = way[-1].x

    def _evaluate(self, place: Place) -> Array:
        at, ways = [place], []
        while len(at) <= self.last and at[-1].row % 2 == 0:
            images, columns = at[-1].images, at[-1].columns
            even = columns % 2 == 0
            if not even.any():
                break
            at.append(Place(at[-1].row // 2, images[even], columns[even] // 2))
        h = self.model.first_h(None, (self.caches[0], place))
        for s, (here, where) in enumerate(zip(self.resolutions, at, strict=False)):
            images, r, c = where.images, where.row, where.columns
            if s:
                h = here.horizontal.enter.dense(self.fours[s - 1][images, r, c].reshape(len(images), -1))
            pairs = [[(cache, where) for cache in pair] for pair in here.pairs_h]
            way = here.horizontal.climb(h, caches=pairs[:here.up])
            if s < self.last:
                self.framed[s][images, r + 1, c + 1] = way[-1].x
            ways.append((way, pairs))
        h = None
        for s in reversed(range(len(at))):
            here, images, r, c = self.resolutions[s], at[s].images, at[s].row, at[s].columns
            if s < self.last:
                if h is not None:
                    four = self.resolutions[s + 1].horizontal.leave.dense(h)
                    self.fourths[s][at[s + 1].images, at[s + 1].row, at[s + 1].columns] = four.reshape(len(four), 2, 2, -1)
                h = self.grown[s][images, r, c]
            way = here.horizontal.descend(h, ways[s][0], caches=ways[s][1][here.up:])
            h = way[-1].x
        return self.model.raw(way[-1])

    def select(self, index: Tensor) -> None:
        super().select(index)
        self._look()

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._look()
