"""How much each past site moves the distribution of one site, in bits.

Occlusion, exact: site j is replaced by values v drawn from its own conditional, everything else stays, and

    depends_j = Σ_v p(x_j = v | x_<j) · KL( p(x_i | x_<i)  ‖  p(x_i | x_<i with x_j ← v) )

so a pixel counts for what was open there: replacing a sure pixel by what it never is would ask the model about images it
has not learned. Gradient, the same to second order from one backward pass, with F the Fisher information about x_j:

    KL ≈ ½ Σ_k p(k) (∇ log p(k) · (e(v) − e(x_j)))²

e is the model's encoding, so levels that are looked up rather than scaled are differences of codes. Models with up to
ALL_LEVELS levels are asked about every v; of more levels, and of reals, QUANTILES equally probable values stand for all.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.analysis.conditionals import as_batch, check_site
from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Progress

ALL_LEVELS = 17
QUANTILES = 8
LEAST = 1e-3         # replacements less probable than this are left out, and their weight with them
AT_ONCE = 32         # images in one pass


@dataclass(frozen=True, eq=False)
class Replacements:
    """(V, C, H, W) values each site may take instead, and their weights, which sum to at most 1 over V."""

    values: np.ndarray
    weights: np.ndarray


def past_of(model: AutoregressiveModel, site: tuple[int, int, int]) -> np.ndarray:
    """(C, H, W) bool: the sites before (channel, row, column) in the model's order."""
    step = np.empty(model.spec.sites, dtype=np.int64)
    step[model.order.sites(model.spec.channels)] = np.arange(model.spec.sites)
    step = step.reshape(model.spec.shape)
    return step < step[site]


@torch.inference_mode()
def replacements(model: AutoregressiveModel, x: np.ndarray, y: int | None = None) -> Replacements:
    """What each site of image x (C, H, W) might have been instead, by its own conditional."""
    spec = model.spec
    params = model(as_batch(model, x), y).cpu().double()
    pmf = model.likelihood.log_pmf(params).exp()[0].numpy()                                # (L, C, H, W)
    if 0 < spec.levels <= ALL_LEVELS:
        values = np.broadcast_to(np.arange(spec.levels)[:, None, None, None], pmf.shape)
        return Replacements(values.astype(spec.dtype), pmf)
    cdf = pmf.cumsum(0)
    places = [(cdf < (v + 0.5) / QUANTILES * cdf[-1]).sum(0) for v in range(QUANTILES)]
    table = np.array([spec.value_of(k) for k in range(len(pmf))])
    values = table[np.minimum(np.stack(places), len(pmf) - 1)]
    return Replacements(values.astype(spec.dtype), np.full(values.shape, 1 / QUANTILES))


def depends_gradient(
    model: AutoregressiveModel, x: np.ndarray, site: tuple[int, int, int], y: int | None = None
) -> np.ndarray:
    """(C, H, W) bits to second order; 0 outside the past. Raises ImageError if the site lies outside the image."""
    check_site(model.spec, site)
    past, other = past_of(model, site), replacements(model, x, y)
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    images = as_batch(twin, x)
    e = twin.encode(images)[0]                                                              # (E, C, H, W)
    p, outcomes = _outcomes(twin, images, site, y)
    rows = e.expand(len(outcomes), *e.shape).clone().requires_grad_()
    params = twin.network(rows, twin.class_index(y, len(rows)))[:, :, site[0], site[1], site[2]]
    if not params.requires_grad:    # a model that looks at nothing
        return np.zeros(model.spec.shape)
    log_p = twin.likelihood.log_pmf(params).gather(1, outcomes[:, None])[:, 0]
    (slopes,) = torch.autograd.grad(log_p.sum(), rows, materialize_grads=True)              # (K, E, C, H, W)
    total = np.zeros(model.spec.shape)
    with torch.inference_mode():
        for values, weights in zip(other.values, other.weights, strict=True):
            moved = twin.encode(as_batch(twin, values))[0] - e
            fisher = (p[:, None, None, None] * (slopes * moved).sum(1).square()).sum(0)     # (C, H, W)
            total += weights * 0.5 * fisher.cpu().double().numpy() / math.log(2)
    return np.where(past, total, 0.0)


def _outcomes(model: AutoregressiveModel, images: Tensor, site: tuple[int, int, int], y: int | None) -> tuple[Tensor, Tensor]:
    """(K,) probabilities and places in the pmf at a site that stand for its distribution: the 32 most probable."""
    with torch.inference_mode():
        params = model(images, y)[:, :, site[0], site[1], site[2]]
        p, place = model.likelihood.log_pmf(params).exp()[0].topk(min(32, model.likelihood.bins))
    return (p / p.sum()).clone(), place.clone()


@torch.inference_mode()
def depends(
    model: AutoregressiveModel, x: np.ndarray, site: tuple[int, int, int], y: int | None = None, *,
    least: float = LEAST, first: np.ndarray | None = None, progress: Progress | None = None,
) -> np.ndarray:
    """(C, H, W) bits by exact occlusion, for image x (C, H, W) whose sites before (channel, row, column) are known; 0
    outside the past.

    `first` (C, H, W), such as the map by gradient, says which sites to do first: the largest. Publishes the map so far
    after each pass, NaN where nothing is known yet. Raises ImageError if the site lies outside the image, Cancelled.
    """
    check_site(model.spec, site)
    progress = progress or Progress()
    past, other = past_of(model, site), replacements(model, x, y)
    use = past & (other.weights > least) & (other.values != x)
    jobs = np.argwhere(use)                                                                 # (N, 4): v, c, h, w
    if first is not None:
        jobs = jobs[np.argsort(-first[tuple(jobs[:, 1:].T)], kind="stable")]
    total = np.zeros(past.shape)
    waiting = use.sum(0)
    images = as_batch(model, x)
    own = _log_pmf(model, images, site, y)                                                  # (1, L)
    for start in range(0, len(jobs), AT_ONCE):
        progress.check()
        some = jobs[start:start + AT_ONCE]
        batch = images.repeat(len(some), 1, 1, 1)
        v, c, h, w = some.T
        batch[np.arange(len(some)), c, h, w] = torch.from_numpy(other.values[v, c, h, w]).to(batch)
        changed = _log_pmf(model, batch, site, y)
        bits = (own.exp() * (own - changed)).sum(1).clamp(min=0).numpy() / math.log(2)
        np.add.at(total, (c, h, w), other.weights[v, c, h, w] * bits)
        np.subtract.at(waiting, (c, h, w), 1)
        progress.report((start + len(some)) / len(jobs), f"{start + len(some)} of {len(jobs)} replacements")
        progress.publish(np.where(waiting > 0, np.nan, total))
    return total


def _log_pmf(model: AutoregressiveModel, images: Tensor, site: tuple[int, int, int], y: int | None) -> Tensor:
    """(B, L) float64 log-probabilities at a site, bounded below so that differences stay finite."""
    params = model(images, y)[:, :, site[0], site[1], site[2]].cpu().double()
    return model.likelihood.log_pmf(params).clamp(min=-700)
