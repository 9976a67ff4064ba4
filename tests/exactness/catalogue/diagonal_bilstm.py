"""Diagonal BiLSTM: one layer sees the whole past."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"hidden": 6, "layers": 2, "first_kernel": 3, "head": 6}
VARIANTS = [{"layers": 1, "first_kernel": 5}, {"likelihood": "logistic", "components": 2}]
REFUSED = [
    (ImageSpec(1, 4, 4, 2), {"layers": 0}, "layers must be at least 1, not 0"),
    (ImageSpec(1, 4, 4, 2), {"first_kernel": 4}, "first_kernel must be odd and at least 3, not 4"),
    (ImageSpec(3, 4, 4, 2), {"hidden": 2}, "hidden and head must be at least 3, one per colour"),
    (ImageSpec(1, 4, 4, 2), {"order": "column"}, "draws in raster order only"),
]


def configs(draw):
    return {
        "hidden": draw(st.integers(3, 7)), "layers": draw(st.integers(1, 3)), "head": draw(st.integers(3, 8)),
        "first_kernel": draw(st.sampled_from([3, 5])),
    }
