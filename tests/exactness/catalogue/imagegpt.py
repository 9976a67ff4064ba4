"""ImageGPT: the whole past, whatever a token is."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"layers": 2, "width": 8, "heads": 2}
VARIANTS = [
    {"tokens": "palette", "palette": 2}, {"tokens": "palette", "palette": 7, "order": "spiral"},
    {"tokens": "patches"}, {"tokens": "patches", "patch": 3, "likelihood": "logistic", "components": 2},
    {"likelihood": "logistic", "components": 2, "heads": 1},
]
BINARY, GREY, REAL = ImageSpec(1, 4, 4, 2), ImageSpec(1, 4, 4, 8), ImageSpec(1, 4, 4, 0)
REFUSED = [
    (GREY, {"tokens": "pixels"}, r"tokens is levels, palette or patches, not 'pixels'\."),
    (GREY, {"layers": 0}, r"layers must be at least 1, not 0\."),
    (GREY, {"width": 10, "heads": 4}, r"width must be a multiple of heads, not 10 for 4 heads\."),
    (GREY, {"heads": 0}, r"width must be a multiple of heads"),
    (GREY, {"dropout": 1.0}, r"dropout must be in \[0, 1\), not 1\.0\."),
    (GREY, {"tokens": "palette", "palette": 9}, r"A palette for 4×4 · 8 levels has 2 to 8 colours, not 9\."),
    (ImageSpec(3, 4, 4, 2), {"tokens": "palette", "palette": 9}, r"has 2 to 8 colours, not 9\."),
    (GREY, {"tokens": "palette", "palette": 1}, r"has 2 to 8 colours, not 1\."),
    (REAL, {"tokens": "palette"}, r"A palette needs integer levels; choose tokens levels or patches\."),
    (GREY, {"tokens": "palette", "palette": 4, "likelihood": "logistic"}, r"the likelihood cannot be 'logistic'\."),
    (GREY, {"tokens": "patches", "patch": 1}, r"patch must be at least 2, not 1\."),
    (GREY, {"tokens": "patches", "order": "snake"}, r"patch by patch in raster order only\."),
]


def configs(draw):
    kind = draw(st.sampled_from(["levels", "palette", "patches"]))
    orders = ["raster"] if kind == "patches" else ["raster", "random"]
    return {
        "tokens": kind, "palette": draw(st.integers(2, 8)), "patch": draw(st.integers(2, 4)), "width": 8,
        "layers": draw(st.integers(1, 2)), "heads": draw(st.integers(1, 2)), "order": draw(st.sampled_from(orders)),
    }
