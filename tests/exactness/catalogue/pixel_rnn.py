"""RNN over pixels: full past, through a state that carries it."""

from hypothesis import strategies as st

from arstudio.image import ImageSpec

SMALL = {"hidden": 10, "place": 4}
VARIANTS = [
    {"cell": "tanh"}, {"cell": "gru", "layers": 2, "hidden": 6}, {"likelihood": "logistic", "components": 2},
    {"order": "snake", "layers": 2},
]
REFUSED = [
    (ImageSpec(1, 3, 4, 2), {"cell": "relu"}, "cell is 'tanh', 'gru' or 'lstm', not 'relu'"),
    (ImageSpec(1, 3, 4, 2), {"hidden": 0}, "hidden must be at least 1, not 0"),
    (ImageSpec(3, 3, 4, 4), {"layers": 0}, "layers must be at least 1, not 0"),
    (ImageSpec(1, 3, 4, 2), {"place": 0}, "place must be at least 1, not 0"),
    (ImageSpec(1, 3, 4, 0), {"likelihood": "logistic"}, "the data are continuous; choose 'gaussian'"),
]


def configs(draw):
    return {
        "cell": draw(st.sampled_from(["tanh", "gru", "lstm"])), "hidden": draw(st.integers(2, 9)),
        "layers": draw(st.integers(1, 3)), "place": draw(st.integers(1, 4)),
        "order": draw(st.sampled_from(["raster", "spiral", "random"])),
    }
