"""PixelCNN: 7×7 mask A, then residual mask B, blind spot and all."""

import numpy as np
from hypothesis import strategies as st

from catalogue.reach import above, left, pixel

SMALL = {"channels": 12, "blocks": 2, "first_kernel": 5, "head": 9}
VARIANTS = [{"likelihood": "logistic", "components": 2}]


def configs(draw):
    return {
        "channels": draw(st.integers(6, 9)), "head": draw(st.integers(3, 9)), "kernel": draw(st.sampled_from([3, 5])),
        "blocks": draw(st.integers(0, 2)), "first_kernel": draw(st.sampled_from([3, 7])),
    }


def sight(case) -> np.ndarray:
    """Mask A, then blocks of mask B with a residual path; van den Oord et al. 2016a, figures 2, 4 and 5."""
    k, first = case.config.get("kernel", 3), case.config["first_kernel"]
    same = pixel(case.spec, strict=False)
    seen = same @ (above(case.spec, first, 1) | left(case.spec, first, 1) | pixel(case.spec, strict=True))
    block = same @ (above(case.spec, k, 1) | left(case.spec, k, 1) | same) @ same
    for _ in range(case.config["blocks"]):
        seen = seen | block @ seen
    return same @ seen
