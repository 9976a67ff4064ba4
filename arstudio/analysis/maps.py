"""Maps over an image: how surprising and how uncertain each pixel is, what it would most likely be,
what it can see."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.analysis.conditionals import as_batch, check_site
from arstudio.image import is_hidden
from arstudio.models.base import AutoregressiveModel


@dataclass(frozen=True)
class ImageMaps:
    """(C, H, W) each: `surprise` and `entropy` in bits, `argmax` the most probable level,
    `expectation` the mean level. Of reals everything is about the 256 bins of [0, 1], but surprise is at a precision
    of 1/256, −log2(density / 256)."""

    surprise: np.ndarray
    entropy: np.ndarray
    argmax: np.ndarray
    expectation: np.ndarray


@torch.inference_mode()
def image_maps(model: AutoregressiveModel, x: np.ndarray, y: Tensor | int | None = None) -> ImageMaps:
    """All maps of image x (C, H, W) levels from one forward pass.
    Hidden (negative) sites have no surprise, NaN. Raises SpecMismatch if x does not fit the model."""
    model.spec.check(x)
    images = as_batch(model, x)
    params = model(images, y).cpu().double()
    log_pmf = model.likelihood.log_pmf(params)[0]                                           # (L, C, H, W)
    pmf, spec = log_pmf.exp(), model.spec
    log_prob = model.likelihood.log_prob(params, images.cpu())[0] - (0.0 if spec.levels else math.log(spec.bins))
    surprise = -log_prob / math.log(2)
    surprise[torch.from_numpy(is_hidden(np.asarray(x)))] = math.nan
    entropy = -(pmf * log_pmf.clamp(min=-1e30)).sum(0) / math.log(2)
    values = torch.tensor([spec.value_of(k) for k in range(len(pmf))])
    mean = (pmf * values.double()[:, None, None, None]).sum(0)
    return ImageMaps(surprise.numpy(), entropy.numpy(), values[pmf.argmax(0)].numpy(), mean.numpy())


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
