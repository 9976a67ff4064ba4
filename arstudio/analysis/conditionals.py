"""The conditional distribution of one site, with every number a person may ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.image import ImageError, ImageSpec
from arstudio.models.base import AutoregressiveModel


@dataclass(frozen=True)
class Conditional:
    """p(x_t | x_<t) at one site. `pmf` (levels,) sums to 1;
    `value` is the level the image has there, or None.

    `log_prob` in nats, `surprise` = −log2 p(value) and `entropy` in bits,
    `rank` 1 for the most probable value.
    """

    pmf: np.ndarray
    value: int | None
    step: int
    site: tuple[int, int, int]

    @property
    def log_prob(self) -> float:
        """log p(value) in nats, NaN without a value."""
        return math.nan if self.value is None else float(np.log(max(self.pmf[self.value], 1e-300)))

    @property
    def surprise(self) -> float:
        """−log2 p(value) in bits."""
        return -self.log_prob / math.log(2)

    @property
    def entropy(self) -> float:
        """Entropy of the distribution in bits."""
        p = self.pmf[self.pmf > 0]
        return float(-(p * np.log2(p)).sum())

    @property
    def rank(self) -> int | None:
        """Place of the value among all by probability, 1 first."""
        return None if self.value is None else int((self.pmf > self.pmf[self.value]).sum()) + 1

    @property
    def mean(self) -> float:
        """Mean level."""
        return float((np.arange(len(self.pmf)) * self.pmf).sum())

    @property
    def sd(self) -> float:
        """Standard deviation in levels."""
        return math.sqrt(max(0.0, float(((np.arange(len(self.pmf)) - self.mean) ** 2 * self.pmf).sum())))

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The most probable values with their probabilities."""
        return [(int(k), float(self.pmf[k])) for k in np.argsort(-self.pmf, kind="stable")[:count]]


def check_site(spec: ImageSpec, site: tuple[int, int, int]) -> None:
    """Raise ImageError unless (channel, row, column) lies inside the image."""
    channel, row, column = site
    if not (0 <= channel < spec.channels and 0 <= row < spec.height and 0 <= column < spec.width):
        raise ImageError(
            f"There is no site at row {row}, column {column}, channel {channel}: rows go from 0 to "
            f"{spec.height - 1}, columns from 0 to {spec.width - 1}, channels from 0 to {spec.channels - 1}."
        )


@torch.inference_mode()
def conditional(
    model: AutoregressiveModel, x: np.ndarray, site: tuple[int, int, int], y: Tensor | int | None = None
) -> Conditional:
    """The conditional at (channel, row, column) of image x (C, H, W) levels, from one forward pass.

    Raises ImageError if the site lies outside the image, SpecMismatch if x does not fit the model.
    """
    spec = model.spec
    spec.check(x)
    check_site(spec, site)
    channel, row, column = site
    levels = torch.from_numpy(np.ascontiguousarray(x)).long().clamp(min=0)[None].to(model.device)
    params = model(levels, y)[:, :, channel, row, column]
    pmf = model.likelihood.log_pmf(params.cpu().double()).exp()[0].numpy()
    step = int(model.order.rank[row, column]) * spec.channels + channel
    value = int(x[channel, row, column])
    return Conditional(pmf, value if value >= 0 else None, step, site)
