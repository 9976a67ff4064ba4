"""One decision: from a distribution and one uniform number to a value, the same whichever sampler asks.

Every site of every image owns one uniform u, drawn from the seed before anything else; the value is the
inverse CDF at u. Naive, incremental and parallel samplers therefore return the same pixels. Their float32
parameters differ in the last bits, though, and u may fall between two such CDFs. Whenever u lies within
`REFER` of a step of the CDF (or a truncation is that close to keeping another value), the site is *referred*:
its parameters are computed again by one float64 `forward`, which all samplers share;
`Referee.referred` counts them.

Source of the shared-noise idea: Song et al. 2021, "Accelerating Feedforward Computation via Parallel
Nonlinear Equation Solving".
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from arstudio.models.base import AutoregressiveModel

REFER = 1e-5


class SettingsError(ValueError):
    """Sampling settings that make no distribution; the message says which and what they may be."""


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Temperature divides log-probabilities (0: always the most probable value); top_k keeps that many values
    (0: all); top_p keeps the fewest most probable values that hold at least this much probability
    (1: all)."""

    seed: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.temperature <= 100 and math.isfinite(self.temperature)):
            raise SettingsError(f"temperature must be between 0 and 100, not {self.temperature}.")
        if self.top_k < 0:
            raise SettingsError(f"top_k must be 0 (keep all) or more, not {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if not -(2**63) <= self.seed < 2**63:
            raise SettingsError(f"seed must fit 64 bits, not {self.seed}.")


def noise(count: int, sites: int, seed: int) -> Tensor:
    """(count, sites) float64 uniforms in [0, 1). Image i is the same however many images are asked for."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.rand(sites, generator=generator, dtype=torch.float64) for _ in range(count)])


def reshape(log_pmf: Tensor, settings: SampleSettings) -> tuple[Tensor, Tensor]:
    """(B, L) model log-probabilities -> (B, L) probabilities to draw from, and (B,) how near a truncation
    came to another choice (in nats; infinite without truncation). Temperature, then top-k, then top-p."""
    margin = torch.full_like(log_pmf[:, 0], math.inf)
    if settings.temperature == 0:
        best = log_pmf.max(1, keepdim=True)
        order = log_pmf.topk(min(2, log_pmf.shape[1]), dim=1).values
        pmf = torch.zeros_like(log_pmf).scatter_(1, best.indices, 1.0)
        return pmf, order[:, 0] - order[:, -1]
    log_pmf = (log_pmf - log_pmf.amax(1, keepdim=True)) / settings.temperature    # the best stays finite
    if 0 < settings.top_k < log_pmf.shape[1]:
        ranked, order = log_pmf.sort(dim=1, descending=True, stable=True)
        margin = ranked[:, settings.top_k - 1] - ranked[:, settings.top_k]
        log_pmf = log_pmf.scatter(1, order[:, settings.top_k:], -math.inf)
    pmf = log_pmf.softmax(1)
    if settings.top_p < 1:
        ranked, order = pmf.sort(dim=1, descending=True, stable=True)
        before = ranked.cumsum(1) - ranked
        margin = torch.minimum(margin, (before - settings.top_p).abs().min(1).values)
        kept = (before < settings.top_p).sum(1, keepdim=True).clamp(max=pmf.shape[1] - 1)
        last, first = ranked.gather(1, kept - 1)[:, 0], ranked.gather(1, kept)[:, 0]
        tie = torch.where(last > REFER / 10, last - first, torch.full_like(last, math.inf))
        margin = torch.minimum(margin, tie)
        beyond = torch.zeros_like(pmf, dtype=torch.bool).scatter_(1, order, before >= settings.top_p)
        pmf = pmf.masked_fill(beyond, 0.0)
        pmf = pmf / pmf.sum(1, keepdim=True)
    return pmf, margin


def decide(pmf: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) float64 probabilities and (B,) uniforms -> (B,) values by the inverse CDF, (B,) distance of u to
    the nearest step of the CDF that would change the value."""
    cdf = pmf.cumsum(1)
    u = u[:, None] * cdf[:, -1:]
    value = (cdf <= u).sum(1).clamp_(max=pmf.shape[1] - 1)
    last = (pmf > 0).long().mul_(torch.arange(1, pmf.shape[1] + 1, device=pmf.device)).amax(1) - 1
    steps = (cdf - u).abs()[:, :-1]
    distance = steps.amin(1) if steps.shape[1] else torch.full_like(u[:, 0], math.inf)
    return torch.minimum(value, last), distance


class Referee:
    """The float64 copy of a model that settles decisions too close for float32. Made when first needed."""

    def __init__(self, model: AutoregressiveModel) -> None:
        self._source = model
        self._model: AutoregressiveModel | None = None
        self.referred = 0

    def log_pmf(self, x: Tensor, classes: Tensor, site: tuple[int, int, int]) -> Tensor:
        """(B, C, H, W) levels known so far and (B,) class rows
        -> (B, L) float64 log-probabilities at `site`."""
        if self._model is None:
            twin = copy.deepcopy(self._source).eval().requires_grad_(False)
            self._model = (twin.cpu() if twin.device.type == "mps" else twin).double()
        model = self._model
        self.referred += len(x)
        none = model.num_classes
        y = torch.where(classes == none, -1, classes).to(model.device)
        params = model(x.to(model.device), y)[:, :, site[0], site[1], site[2]]
        return model.likelihood.log_pmf(params).to(x.device)
