"""NADE: one hidden layer that sees the whole past."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"hidden": 12}
VARIANTS = [{"units": "relu"}]
REFUSED = [(ImageSpec(1, 3, 3, 4), {"units": "tanh"}, r"units is 'sigmoid' or 'relu', not 'tanh'\.")]


def configs(draw):
    return {
        "order": draw(st.sampled_from(["raster", "spiral", "random"])), "units": draw(st.sampled_from(["sigmoid", "relu"])),
    }
