"""RNADE: full past, like NADE, through rectified units that one draw of the weights may switch off."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"hidden": 40, "components": 2}
VARIANTS = [{"objective": "dequantised"}, {"components": 1}]
REFUSED = [
    (ImageSpec(1, 3, 4, 4), {"hidden": 0}, "hidden must be at least 1, not 0"),
    (ImageSpec(1, 3, 4, 4), {"objective": "best"}, "objective is 'discretised' or 'dequantised', not 'best'"),
    (ImageSpec(1, 3, 4, 4), {"likelihood": "categorical"}, "The likelihood of this model is one of gaussian"),
    (ImageSpec(1, 3, 4, 0), {"components": 0}, "components must be at least 1, not 0"),
    (ImageSpec(3, 256, 256, 256), {"hidden": 500}, "needs .* million weights"),
]


def configs(draw):
    return {
        "hidden": draw(st.integers(1, 12)), "components": draw(st.integers(1, 4)),
        "order": draw(st.sampled_from(["raster", "spiral", "random"])),
    }
