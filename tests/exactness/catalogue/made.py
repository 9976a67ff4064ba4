"""MADE: the whole past through direct connections; without them, only where degrees make a path."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from arstudio.models import create

SMALL = {"hidden": 14, "components": 2}
VARIANTS = [
    {"direct": False}, {"direct": False, "hidden": 60, "layers": 3}, {"inputs": "one_hot", "layers": 1},
    {"masks": 3, "orders": 2, "mask_seed": 4}, {"likelihood": "logistic", "orders": 0},
]
GREY = ImageSpec(1, 3, 3, 4)
REFUSED = [
    (GREY, {"hidden": 0}, "hidden and layers must be at least 1, not 0 and 2"),
    (GREY, {"layers": 0}, "hidden and layers must be at least 1, not 300 and 0"),
    (GREY, {"masks": 0}, "masks must be 1 to 1000, not 0"),
    (GREY, {"orders": -1}, "orders must be 1 to 1000, or 0 for a new one every batch, not -1"),
    (GREY, {"mask_seed": -1}, "mask_seed must be 0 or more, not -1"),
    (GREY, {"inputs": "raw"}, "inputs is 'scaled' or 'one_hot', not 'raw'"),
    (ImageSpec(1, 3, 3, 0), {"inputs": "one_hot"}, "Real values have no indicator"),
    (ImageSpec(3, 64, 64, 256), {}, r"A MADE of 2 × 300 hidden units on 64×64 RGB .* needs 39,605 million weights"),
]


def configs(draw):
    return {
        "order": draw(st.sampled_from(["raster", "spiral", "random"])), "hidden": draw(st.integers(1, 12)),
        "layers": draw(st.integers(1, 3)), "direct": draw(st.booleans()), "masks": draw(st.integers(1, 2)),
        "inputs": draw(st.sampled_from(["scaled", "scaled", "one_hot"])),
    }


def sight(case) -> np.ndarray:
    """Site i sees site j if a chain of units leads there on which degrees never fall, and rise at the output.

    Only the numbers drawn are taken from the model; what they mean is in Germain et al. 2015.
    """
    sites = case.spec.sites
    rank = np.empty(sites, dtype=int)
    rank[case.order.sites(case.spec.channels)] = np.arange(1, sites + 1)
    before = rank[None] < rank[:, None]
    if case.config.get("direct", True):
        return before
    reach, below = np.eye(sites, dtype=bool), rank
    for degrees in create(case.name, case.spec, **case.config).degrees[0].numpy():
        reach, below = (degrees[:, None] >= below[None]) @ reach, degrees
    return (rank[:, None] > below[None]) @ reach
