"""FVSBN: one regression per site on its whole past."""

from hypothesis import strategies as st

SMALL = {}
VARIANTS = [{"inputs": "one_hot"}]


def configs(draw):
    return {"order": draw(st.sampled_from(["raster", "spiral", "random"]))}
