"""LMConv: a convolutional model that draws in any order, by a mask of its own at every place of every kernel.

    z(i) = b + N x(i) + Σ_δ [rank(i+δ) < rank(i)] (W_δ x(i+δ) + v_δ)  a k×k convolution, δ its taps but the centre
    first layer    N is mask A: no value of the pixel itself but earlier colours
    then           N is mask B,  x ← x + O (tanh(z_a) ⊙ σ(z_b))       gated residual blocks, δ spread by a dilation
    head           ReLU, 1×1, ReLU, 1×1

Jain, Abbeel & Pathak 2020, "Locally Masked Convolution for Autoregressive Models": the image is laid out as a matrix of
neighbourhoods (im2col), the matrix is multiplied by the masks of all places, and one product with the weights follows.
The masks follow from the order alone, so several orders share the weights; by v each layer is told its mask, and with
it padding from values.

Training takes one of `orders` orders for each batch, drawn from torch's generator: the order of the config in its
orientations (rows, columns, both reversed; transposed), 8 in the paper, whose order is a snake too. The model can be
asked for any other (`reordered`), but was trained for those, and with `completion` in that share of the batches for one of
them after a random part of the image (`random_part`), as completing an image asks for. `ensemble_log_prob` averages the
*probabilities* of whole images over the trained orders; averages of logits would be no distribution.

A snake has no blind spot: the row above was drawn towards the side of the next pixel, so the path to what lies further
along it is open. A raster has PixelCNN's blind spot, since every step leads to an earlier pixel one tap away.

Deviations: gated residual blocks with dilations rather than the paper's PixelCNN++ network; no normalisation of pixels
(it would mix colours); an optional class adds a bias in every block.

Shapes: (B, H, W, p) channels-last inside; parameters (B, P, C, H, W) outside. RGB by channel groups at the centre tap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, Head, MaskedLinear, at_site, gate, groups, plus, times
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.local_conv import LocalConv, before
from arstudio.models.orders import Order
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder


@dataclass(frozen=True, kw_only=True)
class LMConvConfig(ModelConfig):
    """`channels` is p, one block per entry of `dilations`, `head` the width before the output; `orders` is how many
    orientations of the order are trained, 1 to 8; `completion` the share of batches in which a random part of the image
    comes first; `first_kernel` and `kernel` are odd."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 24, "dilations": (1, 2, 1, 4), "head": 32, "first_kernel": 3},
        "medium": {},
        "paper": {"channels": 160, "dilations": (1, 2) * 15, "head": 160},
    }

    order: str = "snake"
    channels: int = 48
    dilations: tuple[int, ...] = (1, 2, 1, 4, 1, 2, 1)
    first_kernel: int = 5
    kernel: int = 3
    head: int = 64
    orders: int = 8
    completion: float = 0.0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        for name in ("kernel", "first_kernel"):
            k = getattr(self, name)
            self.require(k % 2 == 1 and k >= 3, f"{name} must be odd and at least 3, not {k}.")
        self.require(
            self.channels >= spec.channels and self.head >= spec.channels,
            f"channels and head must be at least {spec.channels}, one per colour.",
        )
        self.require(
            len(self.dilations) >= 1 and min(self.dilations) >= 1,
            f"dilations must be one or more whole numbers of at least 1, not {self.dilations}.",
        )
        self.require(1 <= self.orders <= 8, f"orders must be 1 to 8, not {self.orders}.")
        self.require(0 <= self.completion <= 1, f"completion must be in [0, 1], not {self.completion}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        p, layers, outputs = self.channels, len(self.dilations), spec.channels * self.outputs(spec)
        total = p * (spec.channels * self.first_kernel**2 + self.first_kernel**2)
        total += layers * (2 * p * (p * self.kernel**2 + self.kernel**2) + p * p)
        total += self.head * (p + 1) + outputs * (self.head + 1)
        return total + (num_classes + 1) * layers * 2 * p * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        p, outputs = self.channels, spec.channels * self.outputs(spec)
        first = spec.channels * self.first_kernel**2
        a_block = (self.kernel**2 + 3) * p
        return spec.pixels * (first + len(self.dilations) * a_block + p + 2 * self.head + 2 * outputs)


def orientations(order: Order) -> list[Order]:
    """The order itself, then its other seven orientations: reversed rows, columns, both, and the transposed ones."""
    h, w = order.height, order.width
    rank = order.rank
    across = Order(order.kind, w, h, order.seed).rank.T if order.kind != "custom" else rank.T if h == w else rank
    turned = [flipped for r in (rank, across) for flipped in (r, r[::-1], r[:, ::-1], r[::-1, ::-1])]
    return [order, *(Order.custom(np.argsort(r, axis=None), h, w) for r in turned[1:])]


def random_part(height: int, width: int) -> np.ndarray:
    """(H, W) bool, a random part of an image, from torch's generator: beside a line, in or out of a rectangle, blobs, noise."""
    row, column = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    kind, share, a, b = int(torch.randint(4, ())), float(torch.rand(())), *(2 * torch.rand(2) - 1).tolist()
    if kind == 0:
        score = row * math.sin(math.pi * a) + column * math.cos(math.pi * a)
    elif kind == 1:
        score = torch.maximum((row - a).abs(), (column - b).abs()) * (1.0 if torch.rand(()) < 0.5 else -1.0)
    elif kind == 2:
        coarse = torch.rand(1, 1, max(2, height // 5), max(2, width // 5))
        score = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)[0, 0]
    else:
        score = torch.rand(height, width)
    return (score < score.flatten().quantile(share)).numpy()


class Block(nn.Module):
    """Gated residual block; its `conv` gives the past's share."""

    def __init__(self, colours: int, config: LMConvConfig, dilation: int) -> None:
        super().__init__()
        hidden = groups(config.channels, colours)
        self.conv = LocalConv(hidden, hidden.repeat(2), config.kernel, dilation)
        self.out = MaskedLinear(hidden, hidden, bias=False)

    def forward(self, x: Array, past: Array) -> Array:
        """x (…, p), and (…, 2p) what past and class add -> (…, p)."""
        return plus(x, gate(self.conv(x, past)), self.out)


@register("lmconv", "LMConv", "Jain et al. 2020", LMConvConfig)
class LMConv(AutoregressiveModel):
    """Locally masked convolutions; see the module docstring."""

    config: LMConvConfig
    in_blocks = True
    binary_below = 8
    any_order = True

    def __init__(self, spec: ImageSpec, config: LMConvConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        colours, p = spec.channels, config.channels
        hidden, wide = groups(p, colours), groups(config.head, colours)
        self.first = LocalConv(torch.arange(colours), hidden, config.first_kernel, strict=True)
        self.blocks = nn.ModuleList(Block(colours, config, d) for d in config.dilations)
        outputs = groups(colours * self.likelihood.num_params, colours)
        self.head = Head(hidden, wide, outputs)
        self.class_bias = nn.Embedding(num_classes + 1, len(self.blocks) * 2 * p) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)
        self.trained_orders = orientations(self.order)[:config.orders]
        self._mask_by(self.order)

    def _mask_by(self, order: Order) -> None:
        """Put the masks of an order into buffers, one for each kind of kernel. Taps it never uses, such as those below
        in a raster, are left out."""
        self.used: dict[str, list[int]] = {}
        for conv in (self.first, *(block.conv for block in self.blocks)):
            masks, name = before(order, conv.offsets), self._mask_name(conv)
            self.used[name] = [t for t, mask in enumerate(masks) if mask.any()] or [0]
            kept = torch.from_numpy(masks[self.used[name]]).unsqueeze(-1).to(self.device, self.dtype)
            self.register_buffer(name, kept, persistent=False)

    @staticmethod
    def _mask_name(conv: LocalConv) -> str:
        return "before_{}_{}_{}".format(len(conv.offsets), *conv.offsets[-1])

    def masks(self, conv: LocalConv) -> tuple[Tensor, list[int]]:
        """(A, H, W, 1) 0/1, which neighbours of each place the kernel may see, and the A taps that the order uses."""
        name = self._mask_name(conv)
        return getattr(self, name), self.used[name]

    def reordered(self, order: Order) -> AutoregressiveModel:
        twin = super().reordered(order)
        assert isinstance(twin, LMConv)
        twin._mask_by(order)
        return twin

    def loss(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B,) −log p(x) under a trained order, or one after a part, drawn from torch's generator."""
        order = self.trained_orders[int(torch.randint(len(self.trained_orders), ()))]
        if self.training and self.config.completion > 0 and float(torch.rand(())) < self.config.completion:
            order = order.first(random_part(order.height, order.width))
        return -self.reordered(order).log_prob(x, y)

    def completion_order(self, known: np.ndarray) -> Order:
        """Known pixels first, then the trained order that comes to them earliest: the fewest masks never trained for."""
        return min(self.trained_orders, key=lambda order: int(order.rank[known].sum())).first(known)

    def members(self, orders: Sequence[Order] | None = None) -> list[AutoregressiveModel]:
        """The models that `ensemble_log_prob` averages: in each of the orders, or in all those it was trained in."""
        return super().members(self.trained_orders if orders is None else orders)

    def class_biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (blocks, B, 2p)."""
        shape = (len(y), len(self.blocks), 2 * self.config.channels)
        if self.class_bias is None:
            return torch.zeros(shape, dtype=self.dtype, device=self.device).transpose(0, 1)
        return self.class_bias(y).view(shape).transpose(0, 1)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        x = e[:, 0].permute(0, 2, 3, 1)                                                 # (B, H, W, C)
        x = self.first(x, self.first.past(x, *self.masks(self.first)))
        for block, bias in zip(self.blocks, self.class_biases(y)[:, :, None, None], strict=True):
            x = block(x, block.conv.past(x, *self.masks(block.conv)) + bias)
        params = self.head(x).unflatten(-1, (self.spec.channels, -1))                   # (B, H, W, C, P)
        return params.permute(0, 4, 3, 1, 2)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return LMConvDecoder(self, batch, y)


class LMConvDecoder(RunDecoder):
    """Every feature computed when its pixel is drawn, O(blocks) small products a pixel.

    Inputs of all layers are kept per pixel, with a row of zeros behind the last, to which taps on later pixels point.
    What the past adds is the same for all colours of a pixel: one product gives it for all blocks.
    Pixels are looked up by their place, not their time, so going back costs nothing.
    """

    model: LMConv
    sites = 56
    batched = ("x", "inputs", "features", "biases", "first_past", "pasts")
    counters = ("position", "ready", "done")

    def __init__(self, model: LMConv, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        net, p, blocks, pixels = self.model, self.model.config.channels, self.model.blocks, self.spec.pixels
        like = net.first.around
        with torch.inference_mode():
            self.first_taps, used = self._taps([net.first])
            self.first_around = at_site(net.first.weights(used))                        # (A·in, p)
            self.taps, used = self._taps([block.conv for block in blocks])
            self.around = at_site(torch.stack([block.conv.weights(used) for block in blocks]))    # (blocks, A·p, 2p)
            self.first_shift = at_site(net.first.shift(*net.masks(net.first)).flatten(0, 1))      # (pixels, p)
            shifts = [block.conv.shift(*net.masks(block.conv)).flatten(0, 1) for block in blocks]
            self.shifts = at_site(torch.stack(shifts, 1))                               # (pixels, blocks, 2p)
            self.biases = net.class_biases(self.classes).transpose(0, 1).clone()
        self.inputs = like.new_zeros(batch, pixels + 1, self.spec.channels)
        self.features = like.new_zeros(batch, len(blocks) * (pixels + 1), p)            # block by block
        self.first_past = like.new_zeros(batch, p)                                      # these two at pixel `ready`
        self.pasts = like.new_zeros(batch, len(blocks), 2 * p)
        self.ready = self.done = -1                                                     # pixel, site

    def _taps(self, convs: list[LocalConv]) -> tuple[Array, list[int]]:
        """(pixels, convs·A) where each tap looks, an earlier pixel or the row of zeros, in (convs, pixels + 1) rows laid
        end to end; and the A taps that one of them uses."""
        used, rows = sorted({t for conv in convs for t in self.model.masks(conv)[1]}), []
        for i, conv in enumerate(convs):
            offsets = [conv.offsets[t] for t in used]
            seen = torch.from_numpy(before(self.model.order, offsets)).flatten(1).t()   # (pixels, A)
            steps = torch.tensor([a * self.spec.width + b for a, b in offsets])
            at = torch.arange(self.spec.pixels)[:, None] + steps
            rows.append(torch.where(seen, at, self.spec.pixels) + i * (self.spec.pixels + 1))
        return at_site(torch.cat(rows, 1).to(self.model.device)), used

    def _begin_pixel(self, pixel: int) -> None:
        taps = at_site(self.inputs)[:, self.first_taps[pixel]].reshape(self.batch, -1)
        at_site(self.first_past)[:] = taps @ self.first_around + self.first_shift[pixel]
        taps = at_site(self.features)[:, self.taps[pixel]].reshape(self.batch, len(self.around), -1)
        pasts = (taps.swapaxes(0, 1) @ self.around).swapaxes(0, 1)                      # (B, blocks, 2p)
        at_site(self.pasts)[:] = pasts + self.shifts[pixel] + at_site(self.biases)
        self.ready = pixel

    def _features(self, row: int, column: int) -> Array:
        pixel, stride = row * self.spec.width + column, self.spec.pixels + 1
        if self.ready != pixel:
            self._begin_pixel(pixel)
        features, pasts = at_site(self.features), at_site(self.pasts)
        x = self.model.first(at_site(self.inputs)[:, pixel], at_site(self.first_past))
        for i, block in enumerate(self.model.blocks):
            features[:, i * stride + pixel] = x
            x = block(x, pasts[:, i])
        self.done = self.position
        return x

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        outputs = self.model.head(self._features(row, column))                          # (B, C·P), colour by colour
        first = channel * self.model.likelihood.num_params
        return torch.as_tensor(outputs[:, first:first + self.model.likelihood.num_params])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if channel == self.spec.channels - 1 and self.done != self.position:
            self._features(row, column)    # a given pixel still leaves its features behind
        at_site(self.inputs)[:, row * self.spec.width + column, channel] = self.model.scaled(at_site(value))

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        if start:    # what is not in the block itself, but read there
            pixels = self._order[:start].reshape(-1, self.spec.channels)[:, 0]
            seen = self.model.scaled(values).reshape(len(values), len(pixels), -1)
            self._write(at_site(self.inputs), some, pixels, seen)

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        channels, stride, model = self.spec.channels, self.spec.pixels + 1, self.model
        block = self._order[start:start + values.shape[1]].reshape(-1, channels)[:, 0]
        inputs, features, biases = map(at_site, (self.inputs, self.features, self.biases))
        seen = model.scaled(values).reshape(len(values), len(block), channels)
        self._write(inputs, some, block, seen)
        pixels, seen = block[(first - start) // channels:], seen[:, (first - start) // channels:]
        taps = inputs[some][:, self.first_taps[pixels]].reshape(*seen.shape[:2], -1)
        x = model.first(seen, times(taps, self.first_around) + self.first_shift[pixels])    # (R, T, p)
        taps = self.taps.reshape(len(self.taps), len(model.blocks), -1)
        for i, layer in enumerate(model.blocks):
            self._write(features, some, i * stride + pixels, x)
            around = features[some][:, taps[pixels, i]].reshape(*seen.shape[:2], -1)
            past = times(around, self.around[i])
            past += self.shifts[pixels, i] + biases[some, i, None]
            x = layer(x, past)
        return model.head(x).reshape(len(values), len(pixels) * channels, -1)

    @staticmethod
    def _write(to: Array, some: slice | np.ndarray, places: np.ndarray, x: Array) -> None:
        """Write x (R, T, …) of some images to (T,) places."""
        if isinstance(some, slice):
            to[some, places] = x
        else:
            to[some[:, None], places] = x

    def _restart(self, position: int) -> int:
        self.ready = self.done = -1
        return position
