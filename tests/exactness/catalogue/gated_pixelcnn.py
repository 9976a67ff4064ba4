"""Gated PixelCNN: full past as soon as the stack is deep enough."""

import numpy as np
from hypothesis import strategies as st

from catalogue.reach import above, left, pixel, row, taps

SMALL = {"channels": 9, "dilations": (1, 1, 2, 4, 8), "head": 9}
VARIANTS = [{"kernel": 5, "dilations": (1, 2), "channels": 5}, {"likelihood": "logistic", "components": 2}]


def configs(draw):
    return {
        "channels": draw(st.integers(6, 9)), "head": draw(st.integers(3, 9)), "kernel": draw(st.sampled_from([3, 5])),
        "dilations": (1, *draw(st.lists(st.integers(1, 3), max_size=2))),
    }


def sight(case) -> np.ndarray:
    """Two stacks: the vertical one sees rows above, in any colour; van den Oord et al.
    2016b."""
    k = case.config.get("kernel", 3)
    same, strict = pixel(case.spec, strict=False), pixel(case.spec, strict=True)
    whole = taps(case.spec, [(0, 0)])
    vertical = horizontal = np.eye(case.spec.sites, dtype=bool)
    for i, step in enumerate(case.config["dilations"]):
        here = strict if i == 0 else same
        rows_above = above(case.spec, k, step)
        vertical = rows_above if i == 0 else (rows_above | row(case.spec, k, step)) @ vertical
        gated = same @ ((left(case.spec, k, step) | here) @ horizontal | whole @ vertical)
        horizontal = gated if i == 0 else horizontal | gated
    return same @ horizontal
