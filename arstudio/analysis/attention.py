"""Where attention looks from one site: softmax_s(q_t · k_s / √d) of every layer and head (Vaswani et al. 2017, eq. 1), laid
out as an image.

A key may tell of a pixel, of one colour of it, of a patch, or of nothing but the start of the sequence; the weight of a
patch is shared among its pixels. What rests on the start, or on nothing at the first pixel, is missing from the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from arstudio.analysis.conditionals import as_batch, check_site
from arstudio.models.attention import watched
from arstudio.models.base import AutoregressiveModel
from arstudio.models.layers import wide


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One head: `weights` (H, W) sum to at most 1, what is missing is `elsewhere`. Layers and heads count from 0."""

    layer: int
    head: int
    weights: np.ndarray
    elsewhere: float


@torch.inference_mode()
def attention_maps(
    model: AutoregressiveModel, x: np.ndarray, site: tuple[int, int, int], y: int | None = None
) -> list[AttentionMap]:
    """The maps of every layer and head at (channel, row, column) of image x (C, H, W).

    Raises ImageError if the site lies outside the image, ConfigError for a model without attention.
    """
    spec = model.spec
    check_site(spec, site)
    places, queries = (t.cpu().numpy() for t in model.attention_places())                  # (T, S), (D,)
    query = int(queries[np.ravel_multi_index(site, spec.shape)])
    with watched() as seen:
        model(as_batch(model, x), y)
    inside = places < spec.sites
    share = 1 / np.maximum(inside.sum(1), 1)                                                # of each site behind a key
    found = []
    for layer, (q, k, strict) in enumerate(seen):
        keys = query if strict else query + 1
        scores = wide((k[0, :, :keys] @ q[0, :, query, :, None])[..., 0]) / q.shape[-1] ** 0.5
        for head, weights in enumerate(scores.softmax(-1).cpu().numpy()):                   # (heads, keys)
            flat = np.zeros(spec.sites + 1)
            np.add.at(flat, places[:keys], (weights * share[:keys])[:, None])
            image = flat[:-1].reshape(spec.shape).sum(0)
            found.append(AttentionMap(layer, head, image, float(1 - image.sum())))
    return found
