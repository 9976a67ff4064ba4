"""Order-agnostic network: one unmasked network that guesses every hidden pixel from those that are visible.

    f = network(m ⊙ x, m)                    m marks the visible pixels; parameters of all others in one pass
    p(x) = Π_t p(x_σ(t) | x_σ(<t))           for any order σ: pass t shows the first t pixels and is asked for the next
    loss = D · E_{σ, t} [ 1/(D − t + 1) Σ_{k in σ(≥t)} −log p(x_k | x_σ(<t)) ]

Hoogeboom et al. 2022, "Autoregressive Diffusion Models"; Uria et al. 2014, "A Deep and Tractable Density
Estimator". Every term is a random step of a random order, so `loss` is one pass an image
and its mean is the mean of −log p(x) over all orders, by Jensen a bound on −log of the mean probability. D counts pixels.

Nothing can be cached: a newly visible pixel changes every feature of an unmasked network. So the exact log p of an
image takes H·W passes, and drawing takes one pass a pixel, however it is programmed; the decoder saves only that of
the pixels it is not asked for. That is the price of the simplest any-order model; compare LMConv.

Training shows scattered pixels, hardly ever whole rows with nothing below, so `order` is random unless something else is
chosen; in a raster the same weights give lower probabilities.

While it trains, figures are `bound` (`validation_loss`), a pass or a few an image; `evaluate` is exact.

Deviations: D pixels rather than sites. The colours of a pixel are hidden and shown together, and those of the pixel in
hand follow R, G, B exactly, by a small head that also reads its earlier colours. The network is a stack of dilated
residual blocks with a mean over the image in each, not the paper's 32 blocks with attention; the step t is not told,
as m tells it. An optional class adds a bias in every block.

Shapes: (N, p, H, W) inside, N images with their masks; parameters (B, P, C, H, W) outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.decoder import Decoder
from arstudio.models.layers import MaskedLinear, groups
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register

PIXELS_AT_ONCE = 200_000    # pixels of all images in one pass when many masks are evaluated together


@dataclass(frozen=True, kw_only=True)
class OrderAgnosticConfig(ModelConfig):
    """`channels` is p, one residual block per entry of `dilations`, `head` the width before the output."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 32, "dilations": (1, 2, 1, 4), "head": 48},
        "medium": {},
        "paper": {"channels": 256, "dilations": (1, 2, 4, 8) * 8, "head": 256},
    }

    order: str = "random"
    channels: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    head: int = 96

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(
            self.channels >= 1 and self.head >= spec.channels,
            f"channels must be at least 1 and head at least {spec.channels}, one per colour.",
        )
        self.require(
            len(self.dilations) >= 1 and min(self.dilations) >= 1,
            f"dilations must be one or more whole numbers of at least 1, not {self.dilations}.",
        )

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        p, blocks, outputs = self.channels, len(self.dilations), spec.channels * self.outputs(spec)
        total = p * (9 * (spec.channels + 2) + 1) + blocks * (p * (9 * p + 1) + p * p + p * (p + 1))
        total += self.head * (p + 1) + outputs * (self.head + 1) + self.head * spec.channels * (spec.channels > 1)
        return total + (num_classes + 1) * blocks * p * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        p, outputs = self.channels, spec.channels * self.outputs(spec)
        return spec.pixels * (len(self.dilations) * 2 * p + p + 2 * self.head + 2 * outputs + 2 * spec.channels + 2)


class Block(nn.Module):
    """Residual block: a dilated 3×3 convolution, the mean over the image and the class, then 1×1."""

    def __init__(self, p: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(p, p, 3, padding=dilation, dilation=dilation)
        self.context = nn.Linear(p, p, bias=False)
        self.out = nn.Conv2d(p, p, 1)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x (N, p, H, W), class bias (N, p) -> (N, p, H, W)."""
        a = F.relu(x)
        added = self.context(a.mean((2, 3))) + bias
        return x + self.out(F.relu(self.conv(a) + added[:, :, None, None]))


@register("order_agnostic", "Order-agnostic network", "Hoogeboom et al. 2022", OrderAgnosticConfig)
class OrderAgnostic(AutoregressiveModel):
    """Order-agnostic convolutional network; see the module docstring."""

    config: OrderAgnosticConfig
    any_order = True
    slow_exact = True

    def __init__(self, spec: ImageSpec, config: OrderAgnosticConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        colours, p = spec.channels, config.channels
        self.first = nn.Conv2d(colours + 2, p, 3, padding=1)
        self.blocks = nn.ModuleList(Block(p, dilation) for dilation in config.dilations)
        wide, outputs = groups(config.head, colours), groups(colours * self.likelihood.num_params, colours)
        self.hidden = nn.Linear(p, config.head)
        self.earlier = MaskedLinear(torch.arange(colours), wide, bias=False, strict=True) if colours > 1 else None
        self.output = MaskedLinear(wide, outputs)
        self.class_bias = nn.Embedding(num_classes + 1, len(self.blocks) * p) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.1)

    def features(self, x: Tensor, visible: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W) scaled, visible (N, 1, H, W) 0/1, class rows (N,) -> (N, p, H, W), blind to hidden pixels."""
        h = self.first(torch.cat([x * visible, visible, torch.ones_like(visible)], dim=1))
        biases = h.new_zeros(len(self.blocks), len(h), h.shape[1])
        if self.class_bias is not None:
            biases = self.class_bias(y).view(len(h), len(self.blocks), -1).transpose(0, 1)
        for block, bias in zip(self.blocks, biases, strict=True):
            h = block(h, bias)
        return h

    def head(self, f: Tensor, x: Tensor) -> Tensor:
        """Features (…, p) and scaled colours (…, C) of a pixel -> (…, C, P); each colour sees those before it."""
        h = self.hidden(F.relu(f))
        if self.earlier is not None:
            h = h + self.earlier(x)
        return self.output(F.relu(h)).unflatten(-1, (self.spec.channels, -1))

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        """One pass for each pixel, in which exactly those before it are visible."""
        x, count, pixels = e[:, 0], len(e), self.spec.pixels
        place = torch.from_numpy(self.order.pixels).to(e.device)
        rank = torch.from_numpy(self.order.rank).to(e.device)
        parts = []
        for steps in torch.arange(pixels, device=e.device).split(max(1, PIXELS_AT_ONCE // (count * pixels))):
            visible = (rank < steps[:, None, None]).to(e.dtype)[:, None]                # (R, 1, H, W)
            images = x[:, None].expand(-1, len(steps), -1, -1, -1).flatten(0, 1)
            f = self.features(images, visible.repeat(count, 1, 1, 1), y.repeat_interleave(len(steps)))
            f = f.flatten(2).unflatten(0, (count, len(steps)))                          # (B, R, p, D)
            parts.append(f.gather(3, place[steps].view(1, -1, 1, 1).expand(*f.shape[:3], 1))[..., 0])
        values = x.flatten(2)[:, :, place].transpose(1, 2)                              # (B, D, C)
        params = self.head(torch.cat(parts, dim=1), values)                             # (B, D, C, P)
        flat = torch.empty_like(params).index_copy(1, place, params)
        return flat.permute(0, 3, 2, 1).unflatten(-1, (self.spec.height, self.spec.width))

    def guess(self, x: Tensor, visible: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels, (B, 1, H, W) bool -> (B, P, C, H, W) parameters of every pixel given the visible ones
        (and its own earlier colours), in one pass; those of visible pixels mean nothing."""
        scaled = self.encode(x)[:, 0]
        f = self.features(scaled, visible.to(scaled.dtype), self.class_index(y, len(x)))
        return self.head(f.permute(0, 2, 3, 1), scaled.permute(0, 2, 3, 1)).permute(0, 4, 3, 1, 2)

    def bound(
        self, x: Tensor, y: Tensor | int | None = None, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) levels -> (B,) unbiased estimate in nats of the mean of log p(x) over all orders.

        `samples` passes an image. Steps are spread evenly over the batch, which leaves each uniform by itself.
        """
        self.spec.check(x)
        count, pixels = len(x), self.spec.pixels
        total = torch.zeros(count, dtype=torch.float64 if x.device.type != "mps" else torch.float32, device=x.device)
        for _ in range(samples):
            spread = (torch.rand((), generator=generator) + torch.randperm(count, generator=generator) / count) % 1.0
            shown = (spread * pixels).long().clamp(max=pixels - 1)                      # t − 1, before 0 to D − 1 of D
            rank = torch.rand(count, pixels, generator=generator).argsort(1).argsort(1)
            visible = (rank < shown[:, None]).view(count, 1, self.spec.height, self.spec.width).to(x.device)
            sites = self.likelihood.log_prob(self.guess(x, visible, y), x) * ~visible
            total = total + sites.flatten(1).sum(1, dtype=total.dtype) * (pixels / (pixels - shown)).to(total)
        return total / samples

    def loss(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B,) nats: minus `bound` with one pass an image."""
        return -self.bound(x, y)

    def validation_loss(self, x: Tensor, y: Tensor | int | None, generator: torch.Generator) -> Tensor:
        return -self.bound(x, y, samples=4, generator=generator)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return OrderAgnosticDecoder(self, batch, y)


class OrderAgnosticDecoder(Decoder):
    """One pass of the whole network a pixel, shared by its colours; there is nothing else that could be kept."""

    model: OrderAgnostic
    batched = ("x", "here")
    counters = ("position", "ready")

    def __init__(self, model: OrderAgnostic, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.rank = torch.from_numpy(self.model.order.rank).to(model.device)
        self.here = self.model.hidden.weight.new_zeros(batch, self.model.config.channels)
        self.ready = -1    # pixel in order whose features `here` (B, p) holds

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        pixel = self.position // self.spec.channels
        x = self.model.scaled(self.x)
        if self.ready != pixel:
            visible = (self.rank < pixel).to(x.dtype).expand(self.batch, 1, -1, -1)
            self.here = self.model.features(x, visible, self.classes)[:, :, row, column]
            self.ready = pixel
        return self.model.head(self.here, x[:, :, row, column])[:, channel]

    def _restart(self, position: int) -> int:
        self.ready = -1
        return position
