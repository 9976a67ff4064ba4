"""How the colours of one pixel depend on each other when a network sees whole pixels: linear coupling.

A network over whole pixels puts out R numbers a pixel before it knows any of the pixel's colours. Mixtures share
the weights π_k among the colours, and the means depend on the colours before (Salimans et al. 2017, section 2.2):

    p(r, g, b) = Σ_k π_k p_k(r) p_k(g | r) p_k(b | r, g)
    μ_k(g | r) = μ_g,k + α_k r        μ_k(b | r, g) = μ_b,k + β_k r + γ_k g        α, β, γ = tanh of an output

The exact conditional of a later colour is a mixture of the same components under posterior weights,

    p(g | r) = Σ_k ω_k p_k(g | r)     ω_k ∝ π_k p_k(r)                             likewise π_k p_k(r) p_k(g | r) for b

with p_k(r) the mass of component k in the level's bin, or its density where values are real. These are parameters
like any others of `likelihoods.py`, one set a site, so nothing else has to know that colours are coupled.

Bernoulli and categorical outputs have no means: their logits are linear in the colours before instead, with slopes
from the network, a_g + α r and a_b + β r + γ g.

Values are in the network's range [-1, 1]. Bins are laid around the value given, not looked up, so parameters are
differentiable in it. log s is kept above max(−7, log(half a bin / 12)): −7 with 256 levels as in the authors' code,
and for coarser levels where a component in the middle of a bin has all but 1e-5 of its mass there; a finer scale would
mostly magnify rounding errors in the means.

Shapes: raw (B, R, …) and values (B, C, …) -> parameters (B, P, C, …); "…" is (H, W) for images, nothing at a pixel.
The R numbers of a mixture of K are K logits, C·K means, C·K log scales, then K coefficients for each pair of colours
(10 K for RGB, 3 K for grey); of others C·P logits, then P slopes a pair. Pairs in the order g←r, b←r, b←g.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from arstudio.models.likelihoods import FAR, LOG_SCALE_LIMIT, DiscretizedLogisticMixture, Likelihood, Mixture

FINEST = 12.0    # the finest scale is half a bin over this: centred, the component then has 1 − 1e-5 of its mass in the bin


def raw_size(likelihood: Likelihood, channels: int) -> int:
    """R, how many numbers a pixel the network puts out."""
    pairs = channels * (channels - 1) // 2
    if isinstance(likelihood, Mixture):
        return likelihood.components * (1 + 2 * channels + pairs)
    return likelihood.num_params * (channels + pairs)


def couple(raw: Tensor, e: Tensor, likelihood: Likelihood) -> Tensor:
    """(B, R, …) outputs and (B, C, …) scaled values -> (B, P, C, …) parameters of every colour given those before."""
    return torch.stack(list(_colours(raw, e, likelihood)), dim=2)


def couple_at(raw: Tensor, e: Tensor, likelihood: Likelihood, channel: int) -> Tensor:
    """The parameters (B, P, …) of one colour; of e (B, C, …) only the colours before it are read."""
    return next(islice(_colours(raw, e, likelihood), channel, None))


def initial_raw(likelihood: Likelihood, channels: int) -> Tensor:
    """(R,) a bias that makes a nearly flat start: wide components, a little apart, and no slopes."""
    raw = torch.zeros(raw_size(likelihood, channels))
    if isinstance(likelihood, Mixture):
        k = likelihood.components
        scale = 0.35 if isinstance(likelihood, DiscretizedLogisticMixture) else 0.55
        raw[k:k + channels * k] = (0.7 * ((torch.arange(k) + 0.5) * (2 / k) - 1)).repeat(channels)
        raw[k + channels * k:k + 2 * channels * k] = math.log(scale)
    return raw


def _colours(raw: Tensor, e: Tensor, likelihood: Likelihood) -> Iterator[Tensor]:
    """Parameters (B, P, …) of the first colour, the second given the first, and so on."""
    if isinstance(likelihood, Mixture):
        yield from _mixtures(raw, e, likelihood)
        return
    width, channels = likelihood.num_params, e.shape[1]
    parts = raw.split(width, dim=1)
    slopes = iter(parts[channels:])
    for colour in range(channels):
        logits = parts[colour]
        for earlier in range(colour):
            logits = logits + next(slopes) * e[:, earlier:earlier + 1]
        yield logits


def _mixtures(raw: Tensor, e: Tensor, likelihood: Mixture) -> Iterator[Tensor]:
    channels = e.shape[1]
    weights, *parts = raw.split(likelihood.components, dim=1)
    coefficients = iter(parts[2 * channels:])
    for colour in range(channels):
        means, log_scales = parts[colour], parts[channels + colour].clamp(_finest(likelihood), LOG_SCALE_LIMIT)
        for earlier in range(colour):
            means = means + torch.tanh(next(coefficients)) * e[:, earlier:earlier + 1]
        params = torch.cat([weights, means, log_scales], dim=1)
        yield params
        if colour < channels - 1:
            weights = (weights + _log_components(params, e[:, colour], likelihood)).log_softmax(1)


def _finest(likelihood: Mixture) -> float:
    """The least log s allowed."""
    half = 1.0 / (likelihood.levels - 1) if likelihood.levels else 0.0
    return max(-LOG_SCALE_LIMIT, math.log(half / FINEST)) if half else -LOG_SCALE_LIMIT


def _log_components(params: Tensor, value: Tensor, likelihood: Mixture) -> Tensor:
    """(B, 3K, …) and scaled values (B, …) -> (B, K, …) log mass of each component in the value's bin, or for reals
    its log density up to a constant."""
    if likelihood.levels == 0:
        _, means, log_scales = likelihood.split(params)
        z = (value.unsqueeze(1) - means) * (-log_scales).exp()
        return -0.5 * z * z - log_scales
    half = 1.0 / (likelihood.levels - 1)
    far = torch.full_like(value, FAR)
    low = torch.where(value < half - 1, -far, value - half)
    high = torch.where(value > 1 - half, far, value + half)
    return likelihood.log_masses(params, low, high)
