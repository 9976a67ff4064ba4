"""WaveNet: two taps a layer along the sequence of sites; the whole past only if the dilations add up to it."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"channels": 6, "dilations": (1, 2, 4, 8, 16, 4), "head": 8}
VARIANTS = [
    {"dilations": (2, 3), "channels": 4}, {"position": False, "dilations": (1, 2, 1)},
    {"likelihood": "logistic", "components": 2},
]
REFUSED = [
    (ImageSpec(1, 4, 4, 2), {"dilations": ()}, "dilations must be one or more whole numbers"),
    (ImageSpec(1, 4, 4, 2), {"dilations": (1, 0)}, r"dilations must be .* at least 1, not \(1, 0\)"),
    (ImageSpec(1, 4, 4, 2), {"channels": 0}, "channels and head must be at least 1"),
]


def configs(draw):
    return {
        "channels": draw(st.integers(1, 7)), "head": draw(st.integers(1, 9)), "position": draw(st.booleans()),
        "dilations": tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))),
    }


def sight(case) -> np.ndarray:
    """The first convolution reads one and two sites back, and each layer adds its dilation or does not
    (van den Oord et al. 2016c, figure 3)."""
    offsets = {1, 2}
    for dilation in case.config["dilations"]:
        offsets |= {offset + dilation for offset in offsets}
    place = np.empty(case.spec.sites, dtype=int)
    place[case.order.sites(case.spec.channels)] = np.arange(case.spec.sites)
    return np.isin(place[:, None] - place[None], sorted(offsets))
