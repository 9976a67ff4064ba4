"""Order-agnostic network: a mean over the image lets every pixel see all that are visible, so the whole past."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"channels": 6, "dilations": (1, 2), "head": 8}
VARIANTS = [{"order": "raster"}, {"dilations": (3,), "channels": 4}, {"likelihood": "logistic", "components": 2}]
REFUSED = [
    (ImageSpec(3, 4, 4, 2), {"head": 2}, "channels must be at least 1 and head at least 3, one per colour"),
    (ImageSpec(1, 4, 4, 2), {"channels": 0}, "channels must be at least 1"),
    (ImageSpec(1, 4, 4, 2), {"dilations": (1, 0)}, "dilations must be one or more whole numbers"),
]


def configs(draw):
    return {
        "channels": draw(st.integers(1, 7)), "head": draw(st.integers(3, 9)),
        "dilations": tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))),
        "order": draw(st.sampled_from(["raster", "spiral"])),
    }
