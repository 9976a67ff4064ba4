"""Row LSTM: 7×7 mask A, then layers that see their row to the left and a triangle above."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from catalogue.reach import above, left, pixel, taps

SMALL = {"hidden": 6, "layers": 2, "head": 9}
VARIANTS = [
    {"first_kernel": 3, "input_kernel": 1, "layers": 1}, {"first_kernel": 3, "input_kernel": 5, "state_kernel": 1},
    {"state_kernel": 5, "first_kernel": 3, "hidden": 7}, {"likelihood": "logistic", "components": 2},
]
REFUSED = [
    (ImageSpec(1, 4, 4, 4), {"state_kernel": 2}, "state_kernel must be odd and at least 1, not 2"),
    (ImageSpec(1, 4, 4, 4), {"input_kernel": 0}, "input_kernel must be odd and at least 1, not 0"),
    (ImageSpec(1, 4, 4, 4), {"first_kernel": 1}, "first_kernel must be odd and at least 3, not 1"),
    (ImageSpec(1, 4, 4, 4), {"layers": 0}, "layers must be at least 1, not 0"),
    (ImageSpec(1, 4, 4, 4), {"order": "snake"}, "Row LSTM draws in raster order only"),
    (ImageSpec(3, 4, 4, 4), {"hidden": 2}, "hidden and head must be at least 3, one per colour"),
    (ImageSpec(3, 4, 4, 4), {"head": 1}, "hidden and head must be at least 3, one per colour"),
]


def configs(draw):
    odd = st.sampled_from([1, 3, 5])
    return {
        "hidden": draw(st.integers(3, 7)), "layers": draw(st.integers(1, 3)), "head": draw(st.integers(3, 9)),
        "first_kernel": draw(st.sampled_from([3, 7])), "input_kernel": draw(odd), "state_kernel": draw(odd),
    }


def sight(case) -> np.ndarray:
    """Mask A, then in each layer the row to the left and the states of the row above, in any colour;
    van den Oord et al. 2016a, figures 2 and 4."""
    spec, config = case.spec, case.config
    first, half = config.get("first_kernel", 7), config.get("state_kernel", 3) // 2
    same = pixel(spec, strict=False)
    seen = same @ (above(spec, first, 1) | left(spec, first, 1) | pixel(spec, strict=True))
    row_above = taps(spec, [(-1, step) for step in range(-half, half + 1)])
    for _ in range(config["layers"]):
        fed = state = (same | left(spec, config.get("input_kernel", 3), 1)) @ seen
        for _ in range(spec.height):
            state = fed | row_above @ state
        seen = seen | same @ state
    return same @ seen
