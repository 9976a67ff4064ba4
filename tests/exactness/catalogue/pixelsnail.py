"""PixelSNAIL: convolutions see little, but attention sees every earlier pixel: the whole past from one block on."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"channels": 8, "blocks": 2, "residuals": 1, "key": 4}
VARIANTS = [
    {"blocks": 1, "residuals": 0}, {"heads": 2, "key": 7, "residuals": 2},
    {"likelihood": "logistic", "components": 2},
]
GREY = ImageSpec(1, 4, 4, 8)
REFUSED = [
    (GREY, {"order": "snake"}, r"PixelSNAIL draws in raster order only\."),
    (GREY, {"blocks": 0}, r"blocks must be at least 1, not 0\."),
    (GREY, {"residuals": -1}, r"residuals must be at least 0, not -1\."),
    (GREY, {"key": 0}, r"key must be at least 1, not 0\."),
    (GREY, {"channels": 9}, r"channels must be a multiple of 2, twice the number of heads, not 9\."),
    (GREY, {"channels": 6, "heads": 2}, r"channels must be a multiple of 4, twice the number of heads, not 6\."),
    (GREY, {"dropout": 1.0}, r"dropout must be in \[0, 1\), not 1\.0\."),
]


def configs(draw):
    return {
        "channels": 4 * draw(st.integers(1, 3)), "blocks": draw(st.integers(1, 2)), "residuals": draw(st.integers(0, 2)),
        "heads": draw(st.integers(1, 2)), "key": draw(st.integers(1, 6)),
    }
