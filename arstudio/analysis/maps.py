"""Maps over an image: how surprising and how uncertain each pixel is, what it would most probably be, how far off that
is, what it can see."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.analysis.conditionals import as_batch, check_site
from arstudio.image import ImageSpec, is_hidden
from arstudio.models.base import AutoregressiveModel
from arstudio.sampling.trace import Trace


@dataclass(frozen=True)
class ImageMaps:
    """(C, H, W) each: `surprise` and `entropy` in bits, `argmax` the most probable level, `expectation` the mean level,
    `error` the distance |x − expectation|. Of reals everything is about the 256 bins of [0, 1], but surprise is at a
    precision of 1/256, −log2(density / 256). Surprise and error are NaN where the image is hidden."""

    surprise: np.ndarray
    entropy: np.ndarray
    argmax: np.ndarray
    expectation: np.ndarray
    error: np.ndarray


@torch.inference_mode()
def maps_of(model: AutoregressiveModel, params: Tensor, x: np.ndarray) -> ImageMaps:
    """All maps of image x (C, H, W), from (P, C, H, W) float64 parameters of its conditionals; see `readings.read`."""
    spec, params = model.spec, params[None]
    log_pmf = model.likelihood.log_pmf(params)[0]                                           # (L, C, H, W)
    pmf = log_pmf.exp()
    log_prob = model.likelihood.log_prob(params, as_batch(model, x).cpu())[0]
    surprise = -(log_prob - (0.0 if spec.levels else math.log(spec.bins))).numpy() / math.log(2)
    hidden = is_hidden(np.asarray(x))
    surprise[hidden] = math.nan
    entropy = -(pmf * log_pmf.clamp(min=-1e30)).sum(0) / math.log(2)
    argmax, mean = _guesses(spec, np.moveaxis(pmf.numpy(), 0, -1))
    return ImageMaps(surprise, entropy.numpy(), argmax, mean, np.where(hidden, math.nan, np.abs(x - mean)))


def drawn_map(trace: Trace, name: str, index: int, cursor: int | None = None) -> np.ndarray | None:
    """A map by its name in `ImageMaps`, of a drawing as far as it goes: (C, H, W), NaN beyond `cursor`, from what the sampler
    recorded of each site at its moment. None where the trace kept no distributions of image `index`."""
    if name in ("surprise", "entropy"):
        return trace.map(name, index, cursor)
    if index >= len(trace.pmfs):
        return None
    end = trace.cursor if cursor is None else min(cursor, trace.cursor)
    argmax, mean = _guesses(trace.spec, trace.pmfs[index, :end])
    column = {"argmax": argmax, "expectation": mean, "error": np.abs(trace.values[index, :end] - mean)}[name]
    flat = np.full(trace.spec.sites, np.nan)
    flat[trace.sites[:end]] = column
    return flat.reshape(trace.spec.shape)


def _guesses(spec: ImageSpec, pmf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(…, bins) probabilities -> (…) the most probable value and the mean."""
    values = np.array([spec.value_of(k) for k in range(pmf.shape[-1])], dtype=np.float64)
    return values[pmf.argmax(-1)], pmf.astype(np.float64) @ values


def sees(
    model: AutoregressiveModel, site: tuple[int, int, int], *, inputs: int = 3, seed: int = 0,
    x: np.ndarray | None = None, y: Tensor | int | None = None,
) -> np.ndarray:
    """Which sites can influence the conditional at (channel, row, column): (C, H, W) mean |gradient|,
    exactly 0 where there is no path. Averaged over x, if given, and random images, in float64, so a dead unit
    does not look like a blind spot. Raises ImageError if the site lies outside the image."""
    spec = model.spec
    check_site(spec, site)
    twin = copy.deepcopy(model).eval().cpu().double().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    if spec.levels:
        images = torch.randint(0, spec.levels, (inputs, *spec.shape), generator=generator)
    else:
        images = torch.rand((inputs, *spec.shape), generator=generator, dtype=torch.float64)
    if x is not None:
        images[0] = as_batch(twin, x)[0]
    e = twin.encode(images).requires_grad_()
    params = twin.network(e, twin.class_index(y, inputs))[:, :, site[0], site[1], site[2]]
    if not params.requires_grad:    # a model that looks at nothing
        return np.zeros(spec.shape)
    weights = torch.randn(params.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((params * weights).sum(), e, materialize_grads=True)
    return gradient.abs().sum(1).mean(0).numpy()
