"""FVSBN: one regression per site on its whole past, or on the few sites before it in the order."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"components": 2}
VARIANTS = [
    {"inputs": "one_hot"}, {"context": 4}, {"context": 1, "inputs": "one_hot"}, {"context": 34},
    {"context": 5, "order": "snake"}, {"likelihood": "logistic"},
]
GREY = ImageSpec(1, 3, 3, 4)
REFUSED = [
    (GREY, {"context": -1}, r"context must be 0 \(the whole past\) to 8, .* not -1\."),
    (GREY, {"context": 9}, r"context must be 0 \(the whole past\) to 8, .* not 9\."),
    (ImageSpec(1, 3, 3, 0), {"inputs": "one_hot"}, "Real values have no indicator"),
    (ImageSpec(1, 28, 28, 256), {"inputs": "one_hot", "context": 10}, r"needs 514 million weights; choose fewer levels"),
]


def configs(draw):
    return {
        "order": draw(st.sampled_from(["raster", "spiral", "random"])), "context": draw(st.sampled_from([0, 1, 3])),
        "likelihood": draw(st.sampled_from(["auto", "auto", "logistic"])),
    }


def sight(case) -> np.ndarray:
    """The last `context` sites in the order, or all before."""
    sites, context = case.spec.sites, case.config.get("context", 0)
    rank = np.empty(sites, dtype=int)
    rank[case.order.sites(case.spec.channels)] = np.arange(sites)
    back = rank[:, None] - rank[None]
    return (back >= 1) & (back <= (context or sites))
