"""EoNADE: the running sum of the first layer sees the whole past, in any order."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"hidden": 12, "components": 2}
VARIANTS = [{"order": "raster"}, {"layers": 1}, {"layers": 3, "hidden": 16}, {"inputs": "one_hot"}, {"likelihood": "logistic"}]
GREY = ImageSpec(1, 3, 3, 4)
REFUSED = [
    (GREY, {"hidden": 0}, "hidden and layers must be at least 1, not 0 and 2"),
    (GREY, {"layers": 0}, "hidden and layers must be at least 1, not 300 and 0"),
    (GREY, {"inputs": "raw"}, "inputs is 'scaled' or 'one_hot', not 'raw'"),
    (ImageSpec(1, 3, 3, 0), {"inputs": "one_hot"}, "Real values have no indicator"),
    (ImageSpec(3, 64, 64, 256), {}, r"An EoNADE of 2 × 300 hidden units on 64×64 RGB .* needs 954 million weights"),
]


def configs(draw):
    return {
        "order": draw(st.sampled_from(["raster", "spiral", "random"])), "hidden": draw(st.integers(1, 12)),
        "layers": draw(st.integers(1, 3)), "inputs": draw(st.sampled_from(["scaled", "scaled", "one_hot"])),
    }
