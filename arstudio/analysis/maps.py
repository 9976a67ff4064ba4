"""Maps over an image: how surprising and how uncertain each pixel is, what it would most likely be,
what it can see."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.analysis.conditionals import check_site
from arstudio.models.base import AutoregressiveModel


@dataclass(frozen=True)
class ImageMaps:
    """(C, H, W) each: `surprise` and `entropy` in bits, `argmax` the most probable level,
    `expectation` the mean level."""

    surprise: np.ndarray
    entropy: np.ndarray
    argmax: np.ndarray
    expectation: np.ndarray


@torch.inference_mode()
def image_maps(model: AutoregressiveModel, x: np.ndarray, y: Tensor | int | None = None) -> ImageMaps:
    """All maps of image x (C, H, W) levels from one forward pass.
    Hidden (negative) sites have no surprise, NaN. Raises SpecMismatch if x does not fit the model."""
    model.spec.check(x)
    levels = torch.from_numpy(np.ascontiguousarray(x)).long().clamp(min=0)[None].to(model.device)
    log_pmf = model.likelihood.log_pmf(model(levels, y).cpu().double())[0]                  # (L, C, H, W)
    pmf = log_pmf.exp()
    surprise = -log_pmf.gather(0, levels.cpu())[0] / math.log(2)
    surprise[torch.from_numpy(np.asarray(x) < 0)] = math.nan
    entropy = -(pmf * log_pmf.clamp(min=-1e30)).sum(0) / math.log(2)
    values = torch.arange(len(pmf), dtype=torch.float64)[:, None, None, None]
    return ImageMaps(surprise.numpy(), entropy.numpy(), pmf.argmax(0).numpy(), (pmf * values).sum(0).numpy())


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
    images = torch.randint(0, spec.levels, (inputs, *spec.shape), generator=generator)
    if x is not None:
        images[0] = torch.from_numpy(np.clip(np.ascontiguousarray(x), 0, None)).long()
    e = twin.encode(images).requires_grad_()
    params = twin.network(e, twin.class_index(y, inputs))[:, :, site[0], site[1], site[2]]
    weights = torch.randn(params.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((params * weights).sum(), e)
    return gradient.abs().sum(1).mean(0).numpy()
