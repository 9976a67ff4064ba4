"""NADE: one hidden layer that sees the whole past."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"hidden": 12}
VARIANTS = [{"units": "relu"}]
GREY = ImageSpec(1, 3, 3, 4)
REFUSED = [
    (GREY, {"hidden": 0}, r"hidden must be at least 1, not 0\."),
    (GREY, {"units": "tanh"}, r"units is 'sigmoid' or 'relu', not 'tanh'\."),
    (ImageSpec(3, 64, 64, 256), {}, r"A NADE of 200 hidden units on 64×64 RGB .* needs 1258 million weights"),
]


def configs(draw):
    return {
        "order": draw(st.sampled_from(["raster", "spiral", "random"])), "units": draw(st.sampled_from(["sigmoid", "relu"])),
    }
