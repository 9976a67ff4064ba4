"""Histogram of levels at every site, the model that knows nothing of a pixel's neighbours.

Sites are independent, so the chain of conditionals has no conditions:

    p(x) = Π_i p_i(x_i)        p_i(v) = (n_i(v) + a) / (N + a L)

n_i(v) counts the training images with level v at site i, N all of them; a is `smoothing`. Laplace 1814, "Essai
philosophique sur les probabilités", gives a = 1, the rule of succession. Drawing is the inverse CDF of each p_i.

There is nothing to descend: `learn` counts every image once. What is stored is the unnormalised log(n_i(v) + a),
whose differences are logits. In float32 they still give back every count exactly up to 1,000,000 images, so `learn`
adds whole numbers and no rounding adds up.

Deviations: with classes, each has a table of its own, and the table of "no class" counts every image.

Shapes: table (K + 1, D, L) with K classes, sites in (C, H, W) reading order; one row if there are no classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, at_site
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder


@dataclass(frozen=True, kw_only=True)
class HistogramConfig(ModelConfig):
    """`smoothing` is a, the count every level has before any image is seen. There is one size only."""

    smoothing: float = 1.0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(
            1e-6 <= self.smoothing <= 1000, f"smoothing must be between 0.000001 and 1000, not {self.smoothing}."
        )

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        return (num_classes + 1) * spec.sites * spec.levels

    def activations(self, spec: ImageSpec) -> int:
        return 0    # no backward pass


def count_levels(x: Tensor, levels: int) -> Tensor:
    """(N, C, H, W) levels -> (C·H·W, levels) int64, how often each level stands at each site."""
    sites = math.prod(x.shape[1:])
    counts = torch.zeros(sites * levels, dtype=torch.long)
    for part in x.cpu().flatten(1).split(1024):
        places = part.long() + levels * torch.arange(sites)
        counts += torch.bincount(places.flatten(), minlength=sites * levels)
    return counts.view(sites, levels)


@register("histogram", "Histogram", "Laplace 1814", HistogramConfig)
class Histogram(AutoregressiveModel):
    """Independent sites; see the module docstring."""

    config: HistogramConfig
    in_blocks = True
    closed_form = True
    any_order = True

    def __init__(self, spec: ImageSpec, config: HistogramConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        empty = torch.full((num_classes + 1, spec.sites, spec.levels), math.log(config.smoothing))
        self.table = nn.Parameter(empty)

    @torch.no_grad()
    def learn(self, x: Tensor, y: Tensor | int | None = None) -> None:
        """Count (B, C, H, W) images, each in the row of its class, if it has one, and in the row of all.

        Raises SpecMismatch if x does not fit, ConfigError for a class that does not exist.
        """
        self.spec.check(x)
        rows = self.class_index(y, len(x))
        counts = self.counts()
        for row in range(self.num_classes):
            counts[row] += count_levels(x[rows == row], self.spec.levels)
        counts[-1] += count_levels(x, self.spec.levels)
        self.table.copy_((counts + self.config.smoothing).log())

    def counts(self) -> Tensor:
        """(K + 1, D, L) float64 numbers of images counted so far, whole numbers."""
        return (self.table.detach().cpu().double().exp() - self.config.smoothing).round().clamp(min=0)

    def output(self, table: Tensor) -> Tensor:
        """(…, L) log counts -> (…, P) parameters of the likelihood."""
        return table if self.likelihood.num_params > 1 else table[..., 1:] - table[..., :1]

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        return self.output(self.table[y]).transpose(1, 2).unflatten(2, self.spec.shape)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return HistogramDecoder(self, batch, y)


class HistogramDecoder(RunDecoder):
    """Reads one entry of the table a site; what was pushed does not matter, and the whole image is one block."""

    model: Histogram

    def __init__(self, model: Histogram, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.block = self.spec.pixels
        with torch.inference_mode():
            table = self.model.output(self.model.table)
            self.table = table[:, self.model.site_index].contiguous()    # (K + 1, D, P), in order

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        return self.table[self.classes, self.position]

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        return at_site(self.table[self.classes[some], first:start + values.shape[1]])

    def _restart(self, position: int) -> int:
        return position
