"""ImageGPT: a causal transformer that reads an image as a sequence of tokens and predicts the next one.

    h⁰_n = token_{n−1} + position_n + class                               token_{−1} is a learned start
    h ← h + attention(norm(h));   h ← h + W₂ gelu(W₁ norm(h))             each place sees itself and earlier ones
    z_n = head(norm(h_n))                                                 what is said of token n

Chen et al. 2020, "Generative Pretraining from Pixels", sections 2 and 3.2 (pre-norm transformer of GPT-2).

What a token is (`tokens`), and how z becomes the distribution of each site in it:

    levels    a site; z is its parameters
    palette   a pixel; softmax(z) are the weights of K colours, each a distribution over pixels (`tokens.py`)
    patches   p×p pixels; NADE inside, a_s = z + c_s + Σ_{i<s} W_i e_i and parameters V_s gelu(a_s) + b_s

Deviations: the paper predicts palette indices and gives bits of the reduced image; here all three schemes are exact on
the original levels. The paper's palette is fixed; here k-means (`prepare`) is where its training begins. A pixel
enters by soft assignment, softmax_k(−β |v − colour_k|²), as the embedding must be differentiable. Patches, several
orders, output families and classes are additions.

Shapes: N tokens of S sites with E features each, (B, N, S, E), in the model's order; hidden (B, N, width).
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
from arstudio.models.attention import Memory, Norm, Remembering, causal_attention, gelu
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, Linear, at_site
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.orders import Order
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder
from arstudio.models.tokens import LevelTokens, Palette, PatchTokens

TOKENS = ("levels", "palette", "patches")
ONE_HOT = 32           # up to so many levels are looked up, more enter as a number
PALETTE_PIXELS = 20_000    # k-means looks at so many
STD = 0.15             # of the vectors of start, places and classes at first, about that of tokens


@dataclass(frozen=True, kw_only=True)
class ImageGPTConfig(ModelConfig):
    """`tokens` is levels, palette or patches; `palette` the number of colours K, `patch` the side of a patch."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"layers": 3, "width": 48, "heads": 2},
        "medium": {},
        "paper": {"layers": 24, "width": 512, "heads": 8, "palette": 512},
    }

    tokens: str = "levels"
    palette: int = 64
    patch: int = 2
    layers: int = 4
    width: int = 96
    heads: int = 4
    dropout: float = 0.1

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.tokens in TOKENS, f"tokens is levels, palette or patches, not {self.tokens!r}.")
        self.require(self.layers >= 1, f"layers must be at least 1, not {self.layers}.")
        divides = self.heads >= 1 and self.width >= self.heads and self.width % self.heads == 0
        self.require(divides, f"width must be a multiple of heads, not {self.width} for {self.heads} heads.")
        self.require(0 <= self.dropout < 1, f"dropout must be in [0, 1), not {self.dropout}.")
        if self.tokens == "palette":
            self.require(spec.levels > 0, "A palette needs integer levels; choose tokens levels or patches.")
            discrete = self.likelihood in ("auto", "bernoulli", "categorical")
            self.require(discrete, f"A palette gives probabilities of levels; the likelihood cannot be {self.likelihood!r}.")
            most = spec.levels**spec.channels
            self.require(
                2 <= self.palette <= most,
                f"A palette for {spec} has 2 to {most:,} colours, not {self.palette}.",
            )
        if self.tokens == "patches":
            self.require(self.patch >= 2, f"patch must be at least 2, not {self.patch}.")
            self.require(self.order == "raster", "With patches ImageGPT draws patch by patch in raster order only.")

    def make_order(self, spec: ImageSpec) -> Order:
        if self.tokens != "patches":
            return super().make_order(spec)
        index, p = np.arange(spec.pixels).reshape(spec.height, spec.width), self.patch
        corners = [(r, c) for r in range(0, spec.height, p) for c in range(0, spec.width, p)]
        pixels = np.concatenate([index[r:r + p, c:c + p].reshape(-1) for r, c in corners])
        return Order.custom(pixels, spec.height, spec.width)

    def features(self, spec: ImageSpec) -> int:
        """E, numbers that stand for one level at the network's input."""
        return spec.levels if self.tokens == "palette" or 0 < spec.levels <= ONE_HOT else 1

    def grid(self, spec: ImageSpec) -> tuple[int, int]:
        """(N, S): number of tokens, and of sites in each."""
        if self.tokens == "patches":
            return -(-spec.height // self.patch) * -(-spec.width // self.patch), self.patch**2 * spec.channels
        return (spec.pixels, spec.channels) if self.tokens == "palette" else (spec.sites, 1)

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        (count, sites), e, p = self.grid(spec), self.features(spec), self.outputs(spec)
        w, k = self.width, self.palette
        ends = {
            "levels": (e + 1) * w + (w + 1) * p,
            "palette": k * (2 * spec.channels + w) + 1 + (w + 1) * k,
            "patches": (sites * e + 1) * w + (w + 1) * w + sites * (w + w * p + p) + (sites - 1) * e * w,
        }[self.tokens]
        a_layer = 12 * w * w + 13 * w
        return ends + self.layers * a_layer + (count + 1) * w + 2 * w + (num_classes + 1) * w * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        (count, sites), e, p = self.grid(spec), self.features(spec), self.outputs(spec)
        w = self.width
        a_layer = (17 + (self.dropout > 0)) * w + self.heads
        ends = {
            "levels": e + 2 * p,
            "palette": spec.channels * (e + 2 * self.palette + 3 * p) + 2 * self.palette,
            "patches": sites * (2 * e + 3 * w + 2 * p),
        }[self.tokens]
        return count * (self.layers * a_layer + 3 * w + ends)


class Block(nn.Module):
    """Pre-norm transformer layer. Takes a sequence, or one place and the memory of the earlier ones."""

    def __init__(self, config: ImageGPTConfig) -> None:
        super().__init__()
        width, deep = config.width, 1 / math.sqrt(2 * config.layers)    # so that many layers add up to one
        self.heads, self.dropout = config.heads, config.dropout
        self.norm_attention, self.norm_mlp = Norm(width), Norm(width)
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.up, self.down = Linear(width, 4 * width), Linear(4 * width, width)
        for layer, gain in ((self.qkv, 1.0), (self.out, deep), (self.up, 1.0), (self.down, deep)):
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)

    def forward(
        self, h: Array, memory: Memory | None = None, place: int = 0, some: slice | np.ndarray | None = None
    ) -> Array:
        """h (B, N, width), or with `memory` (B, width) at one place, or a run of places of some images from there on
        -> the same shape."""
        qkv = self.qkv(self.norm_attention(h))
        qkv = qkv.reshape(*h.shape[:-1], 3, self.heads, h.shape[-1] // self.heads)       # (…, 3, heads, d)
        q, k, v = qkv[..., 0, :, :], qkv[..., 1, :, :], qkv[..., 2, :, :]
        if memory is None:
            a = causal_attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)
        elif some is None:
            memory.write(place, k, v)
            a = memory.attend(q, place + 1)
        else:
            a = memory.run(some, place, q, k, v)
        h = h + self._drop(self.out(a.reshape(h.shape)))
        return h + self._drop(self.down(gelu(self.up(self.norm_mlp(h)))))

    def _drop(self, x: Array) -> Array:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


@register("imagegpt", "ImageGPT", "Chen et al. 2020", ImageGPTConfig)
class ImageGPT(AutoregressiveModel):
    """Causal transformer over sites, pixels or patches; see the module docstring."""

    config: ImageGPTConfig
    attends = True

    def __init__(self, spec: ImageSpec, config: ImageGPTConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        self.count, self.size = config.grid(spec)
        self.tokens = self._make_tokens()
        self.start = nn.Parameter(torch.randn(config.width) * STD)
        self.place = nn.Parameter(torch.randn(self.count, config.width) * STD)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.width)
        self.class_vector = nn.Embedding(num_classes + 1, config.width) if num_classes else None
        if config.tokens != "patches":    # there `read` is no output yet
            nn.init.normal_(self.tokens.read.weight, std=0.02)
            nn.init.zeros_(self.tokens.read.bias)
        if self.class_vector is not None:
            nn.init.normal_(self.class_vector.weight, std=STD)
        slots = torch.full((self.count * self.size,), spec.sites)    # which site each place in a token holds, if any
        slots[torch.from_numpy(self._slot_of_rank())] = self.site_index
        where = torch.empty(spec.sites + 1, dtype=torch.long)
        where[slots] = torch.arange(len(slots))
        self.register_buffer("slots", slots.view(self.count, self.size), persistent=False)
        self.register_buffer("slot_of_site", where[:-1], persistent=False)

    def _make_tokens(self) -> LevelTokens | Palette | PatchTokens:
        config, spec = self.config, self.spec
        if config.tokens == "palette":
            return Palette(config.palette, spec.channels, spec.levels, config.width, self.likelihood.name == "bernoulli")
        e, outputs = config.features(spec), self.likelihood.num_params
        if config.tokens == "patches":
            return PatchTokens(self.size, e, config.width, outputs)
        return LevelTokens(e, config.width, outputs)

    @property
    def in_blocks(self) -> bool:
        return self.config.tokens != "patches"    # whose places do not follow the pixels of a row

    def _slot_of_rank(self) -> np.ndarray:
        """(D,) place n·S + s of each site in the model's order; patches at the lower and right edge have gaps."""
        if self.config.tokens != "patches":
            return np.arange(self.spec.sites)
        p, (row, column) = self.config.patch, np.divmod(self.order.pixels, self.spec.width)
        patch = row // p * -(-self.spec.width // p) + column // p
        pixel = patch * p * p + row % p * p + column % p
        return (pixel[:, None] * self.spec.channels + np.arange(self.spec.channels)).reshape(-1)

    def attention_places(self) -> tuple[Tensor, Tensor]:
        nothing = self.slots.new_full((1, self.size), self.spec.sites)    # the first key is the start
        return torch.cat([nothing, self.slots[:-1]]), self.slot_of_site // self.size

    def prepare(self, x: Tensor) -> None:
        """Begin with a palette found by k-means in the colours of (B, C, H, W) training images."""
        if self.config.tokens == "palette":
            colours = x.to(self.device).movedim(1, -1).flatten(0, 2)
            some = torch.randperm(len(colours), generator=torch.Generator().manual_seed(0))[:PALETTE_PIXELS]
            self.tokens.fit(self.scaled(colours[some.to(self.device)]))

    def features(self, x: Tensor) -> Tensor:
        """Levels of any shape -> (…, E)."""
        if self.config.features(self.spec) == 1:
            return self.scaled(x).unsqueeze(-1)
        return F.one_hot(x.long(), self.spec.levels).to(self.dtype)

    def encode(self, x: Tensor) -> Tensor:
        return self.features(x).movedim(-1, 1)

    def class_vectors(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, width), added at every place."""
        return self.start.new_zeros(len(y), self.config.width) if self.class_vector is None else self.class_vector(y)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        t = F.pad(e.flatten(2), (0, 1))[:, :, self.slots].permute(0, 2, 3, 1)            # (B, N, S, E)
        start = self.start.expand(len(e), 1, -1)
        h = torch.cat([start, self.tokens.embed(t[:, :-1])], dim=1) + self.place + self.class_vectors(y)[:, None]
        h = F.dropout(h, self.config.dropout, self.training)
        for block in self.blocks:
            h = block(h)
        z = self.tokens.read(self.norm(h))
        params = torch.stack([self.tokens.site(z, t, s) for s in range(self.size)], dim=2)
        return params.flatten(1, 2)[:, self.slot_of_site].transpose(1, 2).unflatten(2, self.spec.shape)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return ImageGPTDecoder(self, batch, y)


class ImageGPTDecoder(Remembering, RunDecoder):
    """One place of the transformer a token, from keys and values remembered in every layer; then site by site from z.

    `length` places have been computed; z belongs to the last of them.
    """

    model: ImageGPT
    batched = ("x", "sequence", "memories", "vectors", "z")
    counters = ("position", "length")

    def __init__(self, model: ImageGPT, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        net, config = self.model, model.config
        e, d = config.features(self.spec), config.width // config.heads
        self.memory = [Memory(batch, config.heads, net.count, d, d, net.start) for _ in net.blocks]
        self.sequence = net.start.new_zeros(batch, net.count * net.size, e)
        self.codes = at_site(net.features(torch.arange(self.spec.levels, device=net.device)))    # (L, E)
        with torch.inference_mode():
            self.vectors = net.class_vectors(self.classes).clone()
        self.z = net.start.new_zeros(batch, net.tokens.read.out_features)
        self.slot = net.slot_of_site[net.site_index].tolist()
        self.block = self.spec.width if net.in_blocks else 0
        self.length = 0

    def _token(self, n: int) -> Array:
        """(B, S, E) features of token n, as far as its sites are known."""
        return at_site(self.sequence)[:, n * self.model.size:(n + 1) * self.model.size]

    def _advance(self) -> None:
        net, n = self.model, self.length
        h = at_site(net.place[n] + self.vectors) + (net.tokens.embed(self._token(n - 1)) if n else at_site(net.start))
        for block, memory in zip(net.blocks, self.memory, strict=True):
            h = block(h, memory, n)
        self.z, self.length = torch.as_tensor(net.tokens.read(net.norm(h))), n + 1

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        n, s = divmod(self.slot[self.position], self.model.size)
        while self.length <= n:
            self._advance()
        return torch.as_tensor(self.model.tokens.site(at_site(self.z), self._token(n), s))

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        at_site(self.sequence)[:, self.slot[self.position]] = self._seen(at_site(value))

    def _seen(self, values: Array) -> Array:
        """Values of any shape -> (…, E)."""
        return self.codes[values] if self.spec.levels else self.model.scaled(values)[..., None]

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        if start:    # what is not in the block itself, but read there
            at_site(self.sequence)[some, :start] = self._seen(values)

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        net, size, last = self.model, self.model.size, start + values.shape[1]
        sequence = at_site(self.sequence)[some]
        sequence[:, start:last] = self._seen(values)
        at_site(self.sequence)[some, start:last] = sequence[:, start:last]
        tokens = sequence.reshape(len(sequence), net.count, size, -1)                    # (R, N, S, E)
        begin, end = first // size, -(-last // size)
        h = at_site(net.place[begin:end]) + at_site(self.vectors)[some, None]            # (R, T, width)
        h[:, int(begin == 0):] += net.tokens.embed(tokens[:, max(begin - 1, 0):end - 1])
        if begin == 0:
            h[:, 0] += at_site(net.start)
        for block, memory in zip(net.blocks, self.memory, strict=True):
            h = block(h, memory, begin, some)
        z = net.tokens.read(net.norm(h))
        params = [torch.as_tensor(net.tokens.site(z, tokens[:, begin:end], s)) for s in range(size)]
        return torch.stack(params, 2).flatten(1, 2)

    def _restart(self, position: int) -> int:
        if position < self.spec.sites:
            self.length = min(self.length, self.slot[position] // self.model.size)
        return position
