"""Histogram: every site on its own."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {}
VARIANTS = [{"likelihood": "categorical", "smoothing": 0.5}]
REFUSED = [
    (ImageSpec(1, 3, 3, 2), {"smoothing": 0}, r"smoothing must be between 0\.000001 and 1000, not 0\.0\."),
    (ImageSpec(1, 3, 3, 2), {"smoothing": "nan"}, "smoothing must be between"),
    (ImageSpec(1, 3, 3, 2), {"smoothing": 1e9}, "smoothing must be between"),
    (ImageSpec(1, 3, 3, 0), {}, "needs integer levels"),
    (ImageSpec(1, 3, 3, 4), {"likelihood": "logistic"}, "likelihood of this model is one of auto, bernoulli, categorical"),
]


def configs(draw):
    return {"smoothing": draw(st.sampled_from([0.1, 1.0])), "order": draw(st.sampled_from(["raster", "random"]))}


def sight(case) -> np.ndarray:
    """Nothing: sites are independent."""
    return np.zeros((case.spec.sites, case.spec.sites), dtype=bool)
