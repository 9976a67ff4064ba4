"""PixelSNAIL: causal convolutions for what is near, causal attention for what is far; every past pixel is in sight.

    residual    h ← h + a ⊙ σ(b),   [a, b] = K₂ ∗ elu(K₁ ∗ elu(h)) + V y                     `residuals` of them
    attention   q = Q(h, place),   k, v = M(x, place, h),   m_t = Σ_{s<t} softmax_s(q_t · k_s / √d) v_s
    merge       h ← h + a ⊙ σ(b),   [a, b] = W₂ elu(W₁ elu(h) + W₃ elu(m)) + V' y

Chen, Mishra, Rohaninejad & Abbeel 2018, "PixelSNAIL: An Improved Autoregressive Generative Model".
A block is some residuals, an attention and a merge; a 1×1 convolution of elu(h) is the output.

h at a pixel depends on earlier pixels only, so its own values may enter keys and values (x), which later pixels read.
Attention is strict, and the first pixel, with nothing before it, takes exactly 0 from it.

K₁ and K₂ are 2×2, the pixel itself, its left neighbour and the two above those. The first convolution is 3×2 without
the pixel itself. Colours of a pixel are coupled as in PixelCNN++ (`coupling.py`).

Deviations: one convolution at the start in place of two shifted ones that are added; Q and M are two dense layers with
an elu between them in place of a gated residual and a dense layer; no weight normalisation; a channel of ones marks
the inside of the image; an optional class adds a bias in every layer; other output families than logistics.

Shapes: (B, H, W, p) channels-last inside, pixels in raster order for the attention; parameters (B, P, C, H, W) outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.attention import Memory, Remembering, causal_attention
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.convolutions import Cache, Place, Rows, SiteConv
from arstudio.models.coupling import couple, initial_raw, raw_size
from arstudio.models.decoder import Decoder
from arstudio.models.layers import ALWAYS, Array, Linear, at_site, joined
from arstudio.models.likelihoods import LIKELIHOODS, Mixture
from arstudio.models.registry import register
from arstudio.models.rowwise import RowDecoder
from arstudio.models.streams import linear_gate


@dataclass(frozen=True, kw_only=True)
class PixelSNAILConfig(ModelConfig):
    """`channels` is p; `blocks` times `residuals` gated residuals and an attention of `heads` heads, whose keys have
    `key` features and whose values have p/2 together."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 32, "residuals": 1},
        "medium": {},
        "paper": {"channels": 256, "blocks": 12, "residuals": 4, "components": 10, "dropout": 0.5},
    }

    channels: int = 48
    blocks: int = 2
    residuals: int = 2
    heads: int = 1
    key: int = 16
    dropout: float = 0.0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.order == "raster", "PixelSNAIL draws in raster order only.")
        for name, least in (("blocks", 1), ("residuals", 0), ("heads", 1), ("key", 1)):
            value = getattr(self, name)
            self.require(value >= least, f"{name} must be at least {least}, not {value}.")
        share = 2 * self.heads
        divides = self.channels >= share and self.channels % share == 0
        self.require(divides, f"channels must be a multiple of {share}, twice the number of heads, not {self.channels}.")
        self.require(0 <= self.dropout < 1, f"dropout must be in [0, 1), not {self.dropout}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        p, inputs, keys = self.channels, spec.channels + 3, self.heads * self.key
        value, raw = p // 2, raw_size(self.make_likelihood(spec), spec.channels)
        residual = 3 * p * (4 * p + 1)
        attention = (p + 3) * p + (p + 1) * keys + (inputs + p + 1) * p + (p + 1) * (keys + value)
        merge = 3 * p * (p + 1) + (value + 1) * p
        total = p * (6 * inputs + 1) + self.blocks * (self.residuals * residual + attention + merge) + (p + 1) * raw
        return total + (num_classes + 1) * self.blocks * (self.residuals + 1) * 2 * p * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        p, keys, outputs = self.channels, self.heads * self.key, spec.channels * self.outputs(spec)
        residual = (6 + 2 * (self.dropout > 0)) * p
        attention = 6 * p + 3 * keys + 4 * max(p // 2, keys)
        kept = 10 if isinstance(self.make_likelihood(spec), Mixture) else 1
        return spec.pixels * (self.blocks * ((self.residuals + 1) * residual + attention) + 3 * p + kept * outputs)


def elu(x: Array) -> Array:
    """x where positive, exp(x) − 1 where not."""
    return np.maximum(x, np.expm1(np.minimum(x, 0))) if isinstance(x, np.ndarray) else F.elu(x)


class Residual(nn.Module):
    """Gated residual of two 2×2 causal convolutions. Takes an image, or one pixel and the caches of both."""

    def __init__(self, p: int, dropout: float) -> None:
        super().__init__()
        one = torch.zeros(p)    # all features of a pixel are one group
        self.first = SiteConv(one, one, 2, rows=2)
        self.second = SiteConv(one, one.repeat(2), 2, rows=2)
        self.dropout = dropout

    def forward(self, h: Array, bias: Tensor | None, caches: tuple[Cache | None, Cache | None] = (None, None)) -> Array:
        """h (B, H, W, p) and the class's bias, or pixels (N, p), whose sums have it already -> the same shape."""
        z = elu(self.first(elu(h), caches[0]))
        if self.training and self.dropout:
            z = F.dropout(z, self.dropout)
        z = self.second(z, caches[1])
        return h + linear_gate(z if bias is None else z + bias)


class Attention(nn.Module):
    """Attention to all earlier pixels."""

    def __init__(self, colours: int, config: PixelSNAILConfig) -> None:
        super().__init__()
        p, keys, value = config.channels, config.heads * config.key, config.channels // 2
        self.colours, self.heads, self.keys = colours, config.heads, keys
        self.query_in, self.query_out = Linear(p + 2, p), Linear(p, keys)
        self.memory_in, self.memory_out = Linear(colours + 3 + p, p), Linear(p, keys + value)

    def query(self, h: Array, inputs: Array) -> Array:
        """h (…, p) and inputs (…, C + 3), of which the place alone is read -> (…, heads, key)."""
        return self._by_head(self.query_out(elu(self.query_in(joined(h, inputs[..., self.colours + 1:])))))

    def remember(self, h: Array, inputs: Array) -> tuple[Array, Array]:
        """h (…, p) and inputs (…, C + 3) -> key (…, heads, key) and value (…, heads, p/2 / heads)."""
        kv = self.memory_out(elu(self.memory_in(joined(inputs, h))))
        return self._by_head(kv[..., :self.keys]), self._by_head(kv[..., self.keys:])

    def forward(self, h: Tensor, inputs: Tensor) -> Tensor:
        """(B, H, W, p) and (B, H, W, C + 3) -> (B, H, W, p/2)."""
        parts = (self.query(h, inputs), *self.remember(h, inputs))
        mixed = causal_attention(*(t.flatten(1, 2).transpose(1, 2) for t in parts), strict=True)
        return mixed.transpose(1, 2).reshape(*h.shape[:3], -1)

    def _by_head(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.heads, x.shape[-1] // self.heads)


class Merge(nn.Module):
    """Gated residual of dense layers that takes in what attention found."""

    def __init__(self, p: int, dropout: float) -> None:
        super().__init__()
        self.first, self.mixed, self.second = Linear(p, p), Linear(p // 2, p), Linear(p, 2 * p)
        self.dropout = dropout

    def forward(self, h: Array, mixed: Array, bias: Array | None) -> Array:
        """h (…, p), mixed (…, p/2), class bias broadcast to 2p, if there is one -> (…, p)."""
        z = elu(self.first(elu(h)) + self.mixed(elu(mixed)))
        if self.training and self.dropout:
            z = F.dropout(z, self.dropout)
        z = self.second(z)
        return h + linear_gate(z if bias is None else z + bias)


class Block(nn.Module):
    """Residuals, an attention and a merge."""

    def __init__(self, colours: int, config: PixelSNAILConfig) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(Residual(config.channels, config.dropout) for _ in range(config.residuals))
        self.attention = Attention(colours, config)
        self.merge = Merge(config.channels, config.dropout)

    def forward(self, h: Tensor, inputs: Tensor, biases: Tensor) -> Tensor:
        """h (B, H, W, p), inputs (B, H, W, C + 3), biases (residuals + 1, B, 1, 1, 2p) -> h."""
        for residual, bias in zip(self.residuals, biases, strict=False):
            h = residual(h, bias)
        return self.merge(h, self.attention(h, inputs), biases[-1])


@register("pixelsnail", "PixelSNAIL", "Chen et al. 2018", PixelSNAILConfig)
class PixelSNAIL(AutoregressiveModel):
    """PixelSNAIL; see the module docstring."""

    config: PixelSNAILConfig
    in_blocks = True
    attends = True

    def __init__(self, spec: ImageSpec, config: PixelSNAILConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        p, colours = config.channels, spec.channels
        inputs = torch.tensor([0] * colours + [ALWAYS] * 3)
        self.first = SiteConv(inputs, torch.zeros(p), 3, rows=2, strict=True)
        self.blocks = nn.ModuleList(Block(colours, config) for _ in range(config.blocks))
        self.head = Linear(p, raw_size(self.likelihood, colours))
        self.head.bias.data.copy_(initial_raw(self.likelihood, colours))
        self.class_bias = nn.Embedding(num_classes + 1, config.blocks * (config.residuals + 1) * 2 * p) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)
        rows, columns = ((torch.arange(n) + 0.5) / n - 0.5 for n in (spec.height, spec.width))
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
        self.register_buffer("background", torch.cat([torch.ones_like(place[..., :1]), place], -1), persistent=False)

    def attention_places(self) -> tuple[Tensor, Tensor]:
        pixels = torch.arange(self.spec.pixels, device=self.device)
        channels = self.spec.pixels * torch.arange(self.spec.channels, device=self.device)
        return pixels[:, None] + channels, pixels.repeat(self.spec.channels)

    def class_biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (blocks, residuals + 1, B, 2p)."""
        shape = (len(y), self.config.blocks, self.config.residuals + 1, 2 * self.config.channels)
        biases = self.background.new_zeros(shape) if self.class_bias is None else self.class_bias(y).view(shape)
        return biases.permute(1, 2, 0, 3)

    def inputs(self, e: Tensor) -> Tensor:
        """(B, C, H, W) scaled levels -> (B, H, W, C + 3): levels, a one, row and column."""
        return torch.cat([e.permute(0, 2, 3, 1), self.background.expand(len(e), -1, -1, -1)], dim=-1)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        inputs = self.inputs(e[:, 0])
        h = self.first(inputs)                                                      # (B, H, W, p)
        for block, biases in zip(self.blocks, self.class_biases(y)[:, :, :, None, None], strict=True):
            h = block(h, inputs, biases)
        raw = self.head(elu(h)).permute(0, 3, 1, 2)                                 # (B, R, H, W)
        return couple(raw, e[:, 0], self.likelihood)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return PixelSNAILDecoder(self, batch, y)


class PixelSNAILDecoder(Remembering, RowDecoder):
    """The network once a pixel: convolutions add what the row above gives once a row, keys and values are remembered.

    State: an input buffer for each convolution, what rows above add to the current row, and for each block a memory and the
    hidden state at every pixel, counted from 1. A pixel enters the memory when the next one is evaluated: not before are
    its own values final.
    """

    model: PixelSNAIL
    batched = ("x", "buffers", "aboves", "memories", "hidden", "biases")
    coupled = True

    def __init__(self, model: PixelSNAIL, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        net, config, spec = self.model, model.config, self.spec
        residuals = [residual for block in net.blocks for residual in block.residuals]
        self.convs = [net.first, *(conv for residual in residuals for conv in (residual.first, residual.second))]
        self.caches = [Rows(conv, batch, spec.height, spec.width, net.background) for conv in self.convs]
        self.caches[0].line[..., spec.channels:] = at_site(net.background)
        value = config.channels // 2 // config.heads
        sizes = (batch, config.heads, spec.pixels, config.key, value)
        self.memory = [Memory(*sizes, net.background) for _ in net.blocks]
        with torch.inference_mode():
            self.biases = [bias.clone() for block in net.class_biases(self.classes) for bias in block]
        self.hidden = [net.background.new_zeros(batch, spec.pixels + 1, config.channels) for _ in net.blocks]
        self.raw = net.background.new_zeros(batch, net.head.out_features)

    def _enter(self, place: Place) -> None:
        biases, per_block = iter(self.biases), self.model.config.residuals + 1
        second = {2 * (i - i // per_block) + 2: bias for i, bias in enumerate(biases) if (i + 1) % per_block}
        for i, (conv, cache) in enumerate(zip(self.convs, self.caches, strict=True)):
            conv.begin_row((cache, place))
            if self.model.class_bias is not None and i in second:
                cache.sums[place.some] += at_site(second[i])[place.some, None]

    def _evaluate(self, place: Place) -> Array:
        images, width, line, caches = place.images, self.spec.width, self.caches[0].line, iter(self.caches)
        pixels = place.row * width + place.columns
        seen = line[place.at]                                                       # (N, C + 3)
        before = line[images, (pixels - 1) // width, (pixels - 1) % width]          # of pixel 0 nobody reads it
        h, per_block = self.model.first(None, (next(caches), place)), self.model.config.residuals + 1
        for i, (block, memory, hidden) in enumerate(zip(self.model.blocks, self.memory, self.hidden, strict=True)):
            for residual in block.residuals:
                h = residual(h, None, ((next(caches), place), (next(caches), place)))
            kept = at_site(hidden)
            kept[images, pixels + 1] = h
            memory.write_at(images, pixels - 1, *block.attention.remember(kept[images, pixels], before))
            mixed = memory.attend_at(images, pixels, block.attention.query(h, seen))
            bias = None if self.model.class_bias is None else at_site(self.biases[(i + 1) * per_block - 1])[images]
            h = block.merge(h, mixed.reshape(len(h), -1), bias)
        return self.model.head(elu(h))
