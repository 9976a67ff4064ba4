"""Output families: what turns a network's parameters into a distribution over the values of one site.

A likelihood reads parameters with P in dimension 1, `(B, P)` from a decoder or `(B, P, C, H, W)` from
`forward`, and answers in nats. Nothing else in the program applies a sigmoid or a softmax to network outputs,
so the loss and the sampler cannot disagree.

    Bernoulli                    P = 1        p(x=1) = σ(a)
    Categorical                  P = levels   p(x=k) = softmax(a)_k
    DiscretizedLogisticMixture   P = 3K       p(x=k) = Σ_j π_j [σ((k⁺ − μ_j)/s_j) − σ((k⁻ − μ_j)/s_j)]
    MixtureOfGaussians           P = 3K       p(v) = Σ_j π_j N(v; μ_j, s_j²) for reals, or its mass in a level's bin

Mixture parameters are K logits of π, K means μ and K logarithms of the scale s, in the network's range
[-1, 1]; s is kept within e^±7 and μ within ±100. A level's bin ends half-way to its neighbours (k⁻, k⁺), and
the first and the last bin reach to infinity, so every distribution over levels sums to one exactly.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arstudio.image import SHOWN_BINS

LOG_SCALE_LIMIT = 7.0     # |log s| stays below it: finite for any parameters, finer than a bin of 256 levels
MEAN_LIMIT = 100.0        # |μ| stays below it; beyond, float32 could no longer tell neighbouring bins apart
FAR = 1e6                 # stands for infinity at the outer ends; a true infinity would have no gradient


def log_softmax(a: np.ndarray) -> np.ndarray:
    """(B, L) -> (B, L) a − log Σ exp a."""
    a = a - a.max(1, keepdims=True)
    return a - np.log(np.exp(a).sum(1, keepdims=True))


class Likelihood:
    """Interface of the families. `levels` is the number of values (0: reals in [0, 1]), `num_params` is P,
    `bins` the length of `log_pmf`: the levels, or SHOWN_BINS equal bins of [0, 1] for reals."""

    name: str
    levels: int
    num_params: int

    @property
    def bins(self) -> int:
        """Number of entries of `log_pmf`."""
        return self.levels or SHOWN_BINS

    def first_guess(self) -> Tensor:
        """(P,) parameters to begin training from: values about alike, the components of a mixture apart."""
        return torch.zeros(self.num_params)

    def log_pmf(self, params: Tensor) -> Tensor:
        """(B, P, …) -> (B, bins, …) log-probabilities in nats, normalised over dimension 1."""
        raise NotImplementedError

    def log_pmf_array(self, params: np.ndarray) -> np.ndarray:
        """`log_pmf` of one site, (B, P) -> (B, bins), for arrays: a sampler asks once a site, and most of the time
        of so small a torch call is its own bookkeeping."""
        return self.log_pmf(torch.from_numpy(params)).numpy()

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """(B, P, …) parameters and (B, …) values -> (B, …) log p(x) in nats; a log density for reals."""
        return self.log_pmf(params).gather(1, x.long().unsqueeze(1)).squeeze(1)


class Bernoulli(Likelihood):
    """Two levels from one logit, log p = −softplus(∓a): exact where 1 − σ(a) would round to zero."""

    name = "bernoulli"
    levels = 2
    num_params = 1

    def log_pmf(self, params: Tensor) -> Tensor:
        return torch.cat([F.logsigmoid(-params), F.logsigmoid(params)], dim=1)

    def log_pmf_array(self, params: np.ndarray) -> np.ndarray:
        return -np.logaddexp(0.0, np.stack([params[:, 0], -params[:, 0]])).T    # each level in one stretch, for sums over both

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return F.logsigmoid(torch.where(x.bool(), params[:, 0], -params[:, 0]))


class Categorical(Likelihood):
    """A softmax over all levels (PixelRNN, van den Oord et al. 2016a, section 2.2):
    no assumption of order or smoothness."""

    name = "categorical"

    def __init__(self, levels: int) -> None:
        self.levels = self.num_params = levels

    def log_pmf(self, params: Tensor) -> Tensor:
        return F.log_softmax(params, dim=1)

    def log_pmf_array(self, params: np.ndarray) -> np.ndarray:
        return log_softmax(params)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return -F.cross_entropy(params, x.long(), reduction="none")


class Mixture(Likelihood):
    """What the two mixtures share: K components with weight, mean and scale in the network's range [-1, 1]."""

    def __init__(self, levels: int, components: int) -> None:
        self.levels, self.components, self.num_params = levels, components, 3 * components

    def first_guess(self) -> Tensor:
        k = self.components
        means = (2 * torch.arange(k) + 1) / k - 1    # evenly over [-1, 1]
        return torch.cat([torch.zeros(k), means, torch.full((k,), -math.log(k))])

    def split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3K, …) -> (B, K, …) each: log π, μ and log s."""
        logits, means, log_scales = params.chunk(3, dim=1)
        means = means.clamp(-MEAN_LIMIT, MEAN_LIMIT)
        return logits.log_softmax(1), means, log_scales.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)

    def edges(self, like: Tensor) -> Tensor:
        """(bins + 1,) ends of the bins in the network's range; the outermost are as good as infinite."""
        inner, ends = self._inner_edges(like), like.new_full((1,), FAR)
        return torch.cat([-ends, inner, ends])

    def log_masses(self, params: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """(B, 3K, …) and ends (B, …) of one bin per site -> (B, K, …) log mass of each component in it."""
        _, means, log_scales = self.split(params)
        low, high = low.unsqueeze(1), high.unsqueeze(1)
        precision = (-log_scales).exp()
        return self.log_interval((low - means) * precision, (high - means) * precision)

    def log_mass(self, params: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """(B, 3K, …) and ends (B, …) in the network's range -> (B, …) log mass of the mixture between them."""
        return torch.logsumexp(self.split(params)[0] + self.log_masses(params, low, high), dim=1)

    def log_components(self, params: Tensor) -> Tensor:
        """(B, 3K, …) -> (B, bins, K, …) log of what each component adds to the probability of each bin."""
        log_weights, means, log_scales = (part.unsqueeze(1) for part in self.split(params))    # (B, 1, K, …)
        edges = self.edges(params).view(-1, *[1] * (params.dim() - 1))                         # (bins + 1, 1, …)
        z = (edges.unsqueeze(0) - means) * (-log_scales).exp()                                 # (B, bins + 1, K, …)
        return log_weights + self.log_interval(z[:, :-1], z[:, 1:])

    def log_pmf(self, params: Tensor) -> Tensor:
        return torch.logsumexp(self.log_components(params), dim=2)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        edges, x = self.edges(params), x.long()
        return self.log_mass(params, edges[x], edges[x + 1])

    def _inner_edges(self, like: Tensor) -> Tensor:
        """(bins − 1,) places in [-1, 1] where one bin ends and the next begins, half-way between scaled levels."""
        if self.levels == 0:
            return torch.arange(1, self.bins, device=like.device, dtype=like.dtype) * (2.0 / self.bins) - 1.0
        return (torch.arange(1, self.levels, device=like.device, dtype=like.dtype) - 0.5) * (2.0 / (self.levels - 1)) - 1.0

    @staticmethod
    def log_interval(low: Tensor, high: Tensor) -> Tensor:
        """log mass of the standard component between two standardised places, low < high."""
        raise NotImplementedError


class DiscretizedLogisticMixture(Mixture):
    """Logistic components integrated over each level's bin (Salimans et al. 2017, section 2.1, equation 2).

    σ(b) − σ(a) = σ(b) σ(−a) (1 − e^{a−b}) holds exactly, so no case needs an approximation.
    """

    name = "logistic"

    @staticmethod
    def log_interval(low: Tensor, high: Tensor) -> Tensor:
        return F.logsigmoid(high) + F.logsigmoid(-low) + torch.log(-torch.expm1(low - high))


class MixtureOfGaussians(Mixture):
    """Gaussian components: a density on reals (levels = 0; RNADE, Uria et al. 2013), or the mass in
    each level's bin. Densities are of v in [0, 1], with respect to dv."""

    name = "gaussian"

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return super().log_prob(params, x) if self.levels else self.log_density(params, x)

    def log_density(self, params: Tensor, v: Tensor) -> Tensor:
        """(B, 3K, …) and reals v (B, …) -> (B, …) log density in nats per unit of v in [0, 1]."""
        log_weights, means, log_scales = self.split(params)
        z = ((2 * v.to(params.dtype) - 1).unsqueeze(1) - means) * (-log_scales).exp()
        log_density = -0.5 * (z * z + math.log(2 * math.pi)) - log_scales
        return torch.logsumexp(log_weights + log_density, dim=1) + math.log(2)

    def moments(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3K, …) -> (B, K, …) each: weights, means and standard deviations of the components, of v in [0, 1]."""
        log_weights, means, log_scales = self.split(params)
        return log_weights.exp(), (means + 1) / 2, log_scales.exp() / 2

    @staticmethod
    def log_interval(low: Tensor, high: Tensor) -> Tensor:
        low, high = torch.minimum(low, -high), torch.minimum(high, -low)    # mirrored on the right: log Φ is precise
        wide = low.double() if low.device.type != "mps" else low
        top, bottom = torch.special.log_ndtr(high.to(wide.dtype)), torch.special.log_ndtr(wide)
        return (top + torch.log(-torch.expm1(bottom - top))).to(low.dtype)


LIKELIHOODS = ("auto", "bernoulli", "categorical", "logistic", "gaussian")


def make_likelihood(name: str, levels: int, components: int = 5) -> Likelihood:
    """Likelihood by name. "auto": Bernoulli for 2 levels, Categorical for more, MixtureOfGaussians for reals.

    Raises ValueError with one sentence for a family that does not exist or does not fit the levels.
    """
    if name == "auto":
        name = {0: "gaussian", 2: "bernoulli"}.get(levels, "categorical")
    if name not in LIKELIHOODS:
        raise ValueError(f"There is no likelihood {name!r}; choose one of {', '.join(LIKELIHOODS)}.")
    if components < 1:
        raise ValueError(f"components must be at least 1, not {components}.")
    if name == "gaussian":
        return MixtureOfGaussians(levels, components)
    if levels == 0:
        raise ValueError(f"The likelihood {name!r} is for integer levels, but the data are continuous; choose 'gaussian'.")
    if name == "bernoulli" and levels != 2:
        raise ValueError(f"The likelihood 'bernoulli' is for 2 levels, not {levels}; choose 'categorical'.")
    if name == "logistic":
        return DiscretizedLogisticMixture(levels, components)
    return Bernoulli() if name == "bernoulli" else Categorical(levels)
