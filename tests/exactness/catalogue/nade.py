"""NADE: one hidden layer that sees the whole past."""

from hypothesis import strategies as st

SMALL = {"hidden": 12}


def configs(draw):
    return {"order": draw(st.sampled_from(["raster", "spiral", "random"]))}
