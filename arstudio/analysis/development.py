"""How the distribution of one pixel develops as its context arrives: p(x_i | the first k pixels) for k = 0, 1, 2, …

A model of every order answers exactly: the pixel is moved to place k of the order, `reordered` with the same weights, so
that it is asked when exactly the first k pixels are known. A model of one order defines a pixel's distribution at its own
turn only; before it, p(x_i | x_<k) would be a sum over everything between, which nothing computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from arstudio.analysis.conditionals import Conditional, as_batch, check_site, conditional_of, value_at
from arstudio.models.base import AutoregressiveModel, ConfigError
from arstudio.models.orders import Order
from arstudio.progress import Progress


@dataclass(frozen=True, eq=False)
class Development:
    """`known` (n,) pixels known each time, ascending, the last being all before the pixel; `conditionals` n of them."""

    known: np.ndarray
    conditionals: tuple[Conditional, ...]


@torch.inference_mode()
def development(
    model: AutoregressiveModel, x: np.ndarray, site: tuple[int, int, int], y: int | None = None, *,
    most: int = 24, progress: Progress | None = None,
) -> Development:
    """The distribution at (channel, row, column) of image x (C, H, W) at `most` moments, from nothing known to all
    pixels before it. Earlier colours of the pixel itself are always known.

    Raises ConfigError for a model of one order, ImageError if the site lies outside the image, Cancelled.
    """
    check_site(model.spec, site)
    if not model.any_order:
        raise ConfigError(
            f"{model.title} knows this pixel's distribution at its own turn only: it was trained in one order."
        )
    progress = progress or Progress()
    order, width = model.order, model.spec.width
    own = site[1] * width + site[2]
    turn = int(order.rank[site[1], site[2]])
    known = np.unique(np.linspace(0, turn, min(most, turn + 1)).round().astype(int))
    others, found = order.pixels[order.pixels != own], []
    for count in known:
        progress.check()
        moved = Order.custom([*others[:count], own, *others[count:]], order.height, order.width)
        twin = model.reordered(moved)
        params = twin(as_batch(twin, x), y)[0, :, site[0], site[1], site[2]]
        found.append(conditional_of(twin, params, value_at(np.asarray(x), site), site))
        progress.report(len(found) / len(known), f"{count} pixels known")
    return Development(known, tuple(found))
