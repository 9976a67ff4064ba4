"""The second yardstick of `arstudio bench training`: Gated PixelCNN in the arrangement of much public code.

    vertical     z = K_{n×1} ∗ (K_{1×N} ∗ v), n = ⌊N/2⌋ + 1    v' = gate(z + A v)
    horizontal   u = K_{1×n} ∗ h + L z                         h' = h + R gate(u)      skip  S gate(u)
    head         ReLU, 1×1, ReLU, 1×1 of the sum of all skips

van den Oord et al. 2016b, figure 2, read in another way than `plain_gated.py` does: the N×N convolution over the rows above is
a pair of thin ones, no mask is needed because every layer pads all round and crops what it does not want, each vertical layer
shifts down by a row once more (which leaves a blind spot), and skips go straight to the head. The first layer has N = 7 and
leaves out its own place, the others N = 3. Shapes (B, c, H, W), torch's usual order. For one colour and no classes; not a model
of the registry, it only exists to be measured.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.analysis.plain_gated import image_nats


class PublicLayer(nn.Module):
    """One layer of both stacks -> next v, next h and what it adds to the head, each (B, c, H, W)."""

    def __init__(self, inputs: int, c: int, kernel: int, first: bool) -> None:
        super().__init__()
        side, taps = kernel // 2, kernel // 2 + 1
        self.first = first
        self.across = nn.Conv2d(inputs, c, (1, kernel), padding=(0, side))
        self.down = nn.Conv2d(c, 2 * c, (taps, 1), padding=(taps, 0))    # rows r − taps … r − 1 at row r
        self.around = nn.Conv2d(inputs, 2 * c, 1)
        self.link = nn.Conv2d(2 * c, 2 * c, 1)
        self.along = nn.Conv2d(inputs, 2 * c, (1, taps), padding=(0, side + first))
        self.residual, self.skip = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = v.shape[2:]
        z = self.down(self.across(v))[:, :, :height]
        g = _gate(self.along(h)[..., :width] + self.link(z))
        residual = self.residual(g)
        return _gate(z + self.around(v)), residual if self.first else h + residual, self.skip(g)


class PublicGated(nn.Module):
    """(B, 1, H, W) levels -> (B, L', H, W) logits, L' = 1 for two levels: one layer of kernel 7, the rest of kernel 3."""

    def __init__(self, levels: int, channels: int, layers: int, head: int) -> None:
        super().__init__()
        self.factor = 2.0 / (levels - 1)
        self.layers = nn.ModuleList(
            PublicLayer(channels if i else 1, channels, 3 if i else 7, first=i == 0) for i in range(layers)
        )
        self.hidden, self.final = nn.Conv2d(channels, head, 1), nn.Conv2d(head, 1 if levels == 2 else levels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.to(self.final.weight.dtype) * self.factor - 1)

    def network(self, e: Tensor) -> Tensor:
        """(B, 1, H, W) levels scaled to −1 … 1 -> logits."""
        v, h, skips = e, e, 0
        for layer in self.layers:
            v, h, skip = layer(v, h)
            skips = skips + skip
        return self.final(F.relu(self.hidden(F.relu(skips))))

    def nats(self, x: Tensor) -> Tensor:
        """Mean −log p of (B, 1, H, W) levels in nats per image."""
        return image_nats(self(x), x)


def _gate(z: Tensor) -> Tensor:
    a, b = z.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)
