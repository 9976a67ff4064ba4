"""The conditional distribution of one site, with every number a person may ask of it.

Of reals the distribution is known twice: as a mixture of Gaussians, and as its masses in the 256 bins of [0, 1] that
are shown. Log p and surprise are of the density, mean and sd of the mixture, rank and entropy of the bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.image import ImageError, ImageSpec, filled, is_hidden
from arstudio.models.base import AutoregressiveModel
from arstudio.models.likelihoods import Mixture as Components


@dataclass(frozen=True, eq=False)
class Mixture:
    """Components of a density of v in [0, 1]: (K,) weights that sum to 1, means and standard deviations."""

    weights: np.ndarray
    means: np.ndarray
    sds: np.ndarray

    def densities(self, v: np.ndarray) -> np.ndarray:
        """(n,) places -> (K, n) density of each component there, its weight included."""
        weights, means, sds = (part[:, None] for part in (self.weights, self.means, self.sds))
        return weights * np.exp(-0.5 * ((v - means) / sds) ** 2) / (sds * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class Conditional:
    """p(x_t | x_<t) at one site. `pmf` (levels,) sums to 1;
    `value` is the level the image has there, or None.

    `log_prob` in nats, `surprise` = −log2 p(value) and `entropy` in bits,
    `rank` 1 for the most probable value. Reals (`continuous`) have a `pmf` of bins, and may know `log_density` of the
    value, in nats, and `mixture`; without it mean and sd are those of the bins. Where the model puts out a mixture over
    levels, `components` (K, levels) is what each component adds to `pmf`.
    """

    pmf: np.ndarray
    value: float | None
    step: int
    site: tuple[int, int, int]
    continuous: bool = False
    log_density: float | None = None
    mixture: Mixture | None = None
    components: np.ndarray | None = None

    @property
    def place(self) -> int | None:
        """Index of the value in `pmf`: the level, or the bin a real lies in."""
        if self.value is None:
            return None
        bins = len(self.pmf)
        return min(max(math.floor(self.value * bins), 0), bins - 1) if self.continuous else int(self.value)

    @property
    def values(self) -> np.ndarray:
        """(levels,) the value each entry of `pmf` is about: levels, or the middles of bins."""
        places = np.arange(len(self.pmf))
        return (places + 0.5) / len(self.pmf) if self.continuous else places

    @property
    def log_prob(self) -> float:
        """log p(value) in nats, of reals a log density; NaN without a value."""
        if self.value is None:
            return math.nan
        if self.continuous:
            return math.nan if self.log_density is None else self.log_density
        return float(np.log(max(self.pmf[self.place], 1e-300)))

    @property
    def surprise(self) -> float:
        """−log2 p(value) in bits; of reals −log2 of the density, which may be negative."""
        return -self.log_prob / math.log(2)

    @property
    def entropy(self) -> float:
        """Entropy of the distribution in bits."""
        p = self.pmf[self.pmf > 0].astype(np.float64)
        return float(-(p * np.log2(p)).sum())

    @property
    def rank(self) -> int | None:
        """Place of the value among all by probability, 1 first."""
        return None if self.value is None else int((self.pmf > self.pmf[self.place]).sum()) + 1

    @property
    def mean(self) -> float:
        """Mean level or real."""
        if self.mixture is not None:
            return float((self.mixture.weights * self.mixture.means).sum())
        return float((self.values * self.pmf).sum())

    @property
    def sd(self) -> float:
        """Standard deviation, in levels or as a real."""
        if self.mixture is not None:
            m = self.mixture
            return math.sqrt(float((m.weights * (m.sds**2 + (m.means - self.mean) ** 2)).sum()))
        return math.sqrt(max(0.0, float(((self.values - self.mean) ** 2 * self.pmf).sum())))

    def divergence(self, other: Conditional) -> float:
        """KL(this ‖ other) in bits: how far `other` has moved from this one."""
        p, q = (np.maximum(part.pmf.astype(np.float64), 1e-300) for part in (self, other))
        return max(0.0, float((self.pmf * (np.log2(p) - np.log2(q))).sum()))

    def top(self, count: int = 5) -> list[tuple[float, float]]:
        """The most probable values with their probabilities; of reals the middles of bins."""
        values = self.values.tolist()
        return [(values[k], float(self.pmf[k])) for k in np.argsort(-self.pmf, kind="stable")[:count]]


def check_site(spec: ImageSpec, site: tuple[int, int, int]) -> None:
    """Raise ImageError unless (channel, row, column) lies inside the image."""
    channel, row, column = site
    if not (0 <= channel < spec.channels and 0 <= row < spec.height and 0 <= column < spec.width):
        raise ImageError(
            f"There is no site at row {row}, column {column}, channel {channel}: rows go from 0 to "
            f"{spec.height - 1}, columns from 0 to {spec.width - 1}, channels from 0 to {spec.channels - 1}."
        )


def as_batch(model: AutoregressiveModel, x: np.ndarray) -> Tensor:
    """Image x (C, H, W), hidden sites anywhere -> (1, C, H, W) on the model's device, 0 where hidden."""
    images = torch.from_numpy(np.ascontiguousarray(filled(np.asarray(x))))[None].to(model.device)
    return images.long() if model.spec.levels else images.to(model.dtype)


def conditional_of(
    model: AutoregressiveModel, params: Tensor, value: float | None, site: tuple[int, int, int]
) -> Conditional:
    """The conditional that (P,) parameters describe at (channel, row, column); `value` is what the image has there."""
    channel, row, column = site
    likelihood, params = model.likelihood, params[None].cpu().double()
    pmf = likelihood.log_pmf(params).exp()[0].numpy()
    step = int(model.order.rank[row, column]) * model.spec.channels + channel
    if model.spec.levels:
        parts = likelihood.log_components(params).exp()[0].T.numpy() if isinstance(likelihood, Components) else None
        return Conditional(pmf, value, step, site, components=parts)
    density = None if value is None else float(likelihood.log_prob(params, torch.tensor([value], dtype=torch.float64)))
    mixture = Mixture(*(part[0].numpy() for part in likelihood.moments(params)))
    return Conditional(pmf, value, step, site, True, density, mixture)


def value_at(x: np.ndarray, site: tuple[int, int, int]) -> float | None:
    """What image x (C, H, W) holds at a site, None where it is hidden."""
    seen = x[site]
    return None if is_hidden(np.asarray(seen)) else seen.item()


@torch.inference_mode()
def conditional(
    model: AutoregressiveModel, x: np.ndarray, site: tuple[int, int, int], y: Tensor | int | None = None
) -> Conditional:
    """The conditional at (channel, row, column) of image x (C, H, W) levels, from as much of it as the site can see.

    Raises ImageError if the site lies outside the image, SpecMismatch if x does not fit the model.
    """
    model.spec.check(x)
    check_site(model.spec, site)
    params = model.conditional(as_batch(model, x), y, site)[0]
    return conditional_of(model, params, value_at(x, site), site)


def sees_less(model: AutoregressiveModel) -> bool:
    """True if one conditional costs less than all of them."""
    return type(model).conditional is not AutoregressiveModel.conditional
