"""LMConv: each tap leads to a pixel earlier in the order, so sight is what such steps can reach."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from catalogue.reach import pixel, taps

SMALL = {"channels": 6, "dilations": (1, 2, 1), "head": 6, "first_kernel": 3, "orders": 2}
VARIANTS = [
    {"kernel": 5, "first_kernel": 5, "dilations": (1, 2), "order": "raster"}, {"likelihood": "logistic", "components": 2},
    {"order": "random", "order_seed": 3, "orders": 8},
]
REFUSED = [
    (ImageSpec(1, 4, 4, 2), {"kernel": 4}, "kernel must be odd and at least 3, not 4"),
    (ImageSpec(1, 4, 4, 2), {"first_kernel": 1}, "first_kernel must be odd and at least 3, not 1"),
    (ImageSpec(3, 4, 4, 2), {"channels": 2}, "channels and head must be at least 3, one per colour"),
    (ImageSpec(1, 4, 4, 2), {"dilations": ()}, "dilations must be one or more whole numbers"),
    (ImageSpec(1, 4, 4, 2), {"orders": 9}, "orders must be 1 to 8, not 9"),
    (ImageSpec(1, 4, 4, 2), {"completion": 1.5}, r"completion must be in \[0, 1\], not 1.5"),
]


def configs(draw):
    return {
        "channels": draw(st.integers(3, 7)), "head": draw(st.integers(3, 8)), "kernel": draw(st.sampled_from([3, 5])),
        "first_kernel": draw(st.sampled_from([3, 5])), "orders": draw(st.integers(1, 8)),
        "dilations": tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))),
        "order": draw(st.sampled_from(["raster", "snake", "spiral"])),
    }


def sight(case) -> np.ndarray:
    """Square kernels, cut to pixels that come earlier (Jain et al. 2020); within a pixel colours decide."""
    def earlier(kernel, step):
        reach = [step * i for i in range(-(kernel // 2), kernel // 2 + 1)]
        rank = np.tile(case.order.rank.reshape(-1), case.spec.channels)
        return taps(case.spec, [(a, b) for a in reach for b in reach]) & (rank[None] < rank[:, None])

    same = pixel(case.spec, strict=False)
    seen = earlier(case.config.get("first_kernel", 5), 1) | pixel(case.spec, strict=True)
    for step in case.config["dilations"]:
        seen = seen | same @ (earlier(case.config.get("kernel", 3), step) | same) @ seen
    return same @ seen
