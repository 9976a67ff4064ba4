"""The first yardstick of `arstudio bench training`: Gated PixelCNN as the paper has it, written plainly, with our weights.

    vertical     conv k×k · mask               gate(z^v)                  convolutions on (B, C, H, W), padded all round,
    horizontal   conv 1×k · mask + 1×1(z^v)    h + 1×1(gate(z^h))         kernels with masked places that are multiplied by 0

van den Oord et al. 2016b, sections 2.1 and 2.4, figure 2. Written from the paper in the way of the usual implementations: masks
multiply the weights at every pass, gates chunk the features, nothing is fused. It computes what `GatedPixelCNN` computes,
with the same weights that count (a test holds the two to each other), for one colour and no classes. Not a model of the
registry: it only exists to be measured.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.models.gated_pixelcnn import GatedLayer, GatedPixelCNN


class MaskedConv(nn.Conv2d):
    """A convolution that keeps its size and multiplies `mask` (in, kh, kw) into its weights at every pass."""

    def __init__(self, outputs: int, mask: Tensor, dilation: int) -> None:
        inputs, height, width = mask.shape
        padding = (dilation * (height - 1) // 2, dilation * (width - 1) // 2)
        super().__init__(inputs, outputs, (height, width), padding=padding, dilation=dilation)
        self.register_buffer("mask", mask[None])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, 1, self.padding, self.dilation)


class PlainLayer(nn.Module):
    """One layer of both stacks, (B, C, H, W)."""

    def __init__(self, inputs: int, p: int, k: int, dilation: int, first: bool) -> None:
        super().__init__()
        rows, row = torch.ones(inputs, k, k), torch.ones(inputs, 1, k)
        rows[:, k // 2 + (not first):] = 0
        row[..., k // 2 + 1:] = 0
        if first:
            row[0, :, k // 2] = 0    # of the channel of ones it may see its own place
        self.first = first
        self.vertical, self.horizontal = MaskedConv(2 * p, rows, dilation), MaskedConv(2 * p, row, dilation)
        self.link, self.out = nn.Conv2d(2 * p, 2 * p, 1), nn.Conv2d(p, p, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        z = self.vertical(v)
        a, b = self.horizontal(h).add(self.link(z)).chunk(2, dim=1)
        g = self.out(torch.tanh(a) * torch.sigmoid(b))
        a, b = z.chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b), g if self.first else h + g


class PlainGated(nn.Module):
    """(B, 1, H, W) levels -> (B, L', H, W) logits, L' = 1 for two levels; the function of `model`, a GatedPixelCNN for one
    colour without classes, written plainly and beginning with its weights."""

    def __init__(self, model: GatedPixelCNN) -> None:
        super().__init__()
        c = model.config
        self.factor = 2.0 / (model.spec.levels - 1)
        self.layers = nn.ModuleList(
            PlainLayer(c.channels if i else 2, c.channels, c.kernel, dilation, first=i == 0)
            for i, dilation in enumerate(c.dilations)
        )
        outputs = model.likelihood.num_params
        self.hidden, self.final = nn.Conv2d(c.channels, c.head, 1), nn.Conv2d(c.head, outputs, 1)
        with torch.no_grad():
            for mine, theirs in zip(self.layers, model.layers, strict=True):
                _copy(mine, theirs)
            for mine, theirs in ((self.hidden, model.head[1]), (self.final, model.head[3])):
                mine.weight.copy_(theirs.weight[:, :, None, None])
                mine.bias.copy_(theirs.bias)

    def forward(self, x: Tensor) -> Tensor:
        e = x.to(self.final.weight.dtype) * self.factor - 1
        v = h = torch.cat([e, torch.ones_like(e)], dim=1)
        for layer in self.layers:
            v, h = layer(v, h)
        return self.final(F.relu(self.hidden(F.relu(h))))

    def nats(self, x: Tensor) -> Tensor:
        """Mean −log p of (B, 1, H, W) levels in nats per image."""
        return image_nats(self(x), x)


def image_nats(logits: Tensor, x: Tensor) -> Tensor:
    """Mean −log p in nats per image of (B, 1, H, W) levels under (B, L', H, W) logits, L' = 1 for two levels."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="sum") / len(x)
    return F.cross_entropy(logits, x[:, 0].long(), reduction="sum") / len(x)


def weights_that_count(network: nn.Module) -> int:
    """Parameters less those that a mask hides."""
    masked = [m for m in network.modules() if getattr(m, "mask", None) is not None]
    return sum(p.numel() for p in network.parameters()) - sum(int((m.mask.expand_as(m.weight) == 0).sum()) for m in masked)


def _copy(mine: PlainLayer, theirs: GatedLayer) -> None:
    vertical, horizontal = theirs.vertical_conv, theirs.horizontal_conv
    mine.vertical.weight[:, :, :vertical.kernel[0]] = vertical.weight
    mine.horizontal.weight[..., :horizontal.side + 1] = horizontal.weight
    mine.vertical.bias.copy_(vertical.bias)
    mine.horizontal.bias.copy_(horizontal.bias)
    for conv, linear in ((mine.link, theirs.link), (mine.out, theirs.out)):
        conv.weight.copy_(linear.weight[:, :, None, None])
        conv.bias.copy_(linear.bias)
