"""Multi-scale PixelRNN: the small image sees its past; the rest sees the raster past, and the grid as far as the map goes."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from catalogue.reach import above, left, pixel, row, taps

SMALL = {"hidden": 4, "layers": 1, "small_hidden": 4, "small_layers": 1, "context": 4, "head": 6}
VARIANTS = [{"network": "gated", "layers": 3}, {"scale": 3, "likelihood": "logistic", "components": 2}]
REFUSED = [
    (ImageSpec(1, 4, 4, 2), {"scale": 1}, "scale must be at least 2, not 1"),
    (ImageSpec(1, 4, 4, 2), {"network": "row_lstm"}, "network is 'diagonal_bilstm' or 'gated', not 'row_lstm'"),
    (ImageSpec(1, 4, 4, 2), {"context": 0}, "context must be at least 1, not 0"),
    (ImageSpec(3, 4, 4, 2), {"small_hidden": 2}, "small_hidden and head must be at least 3, one per colour"),
    (ImageSpec(1, 4, 4, 2), {"small_layers": 0}, "layers and small_layers must be at least 1"),
    (ImageSpec(1, 4, 4, 2), {"order": "column"}, "has an order of its own; leave order at raster"),
]


def configs(draw):
    return {
        "hidden": draw(st.integers(3, 5)), "layers": draw(st.integers(1, 2)), "head": draw(st.integers(3, 6)),
        "small_hidden": 3, "small_layers": 1, "context": draw(st.integers(1, 3)), "scale": draw(st.integers(2, 4)),
        "network": draw(st.sampled_from(["diagonal_bilstm", "gated"])),
    }


def sight(case) -> np.ndarray:
    """Two 3×3 convolutions reach two small pixels; van den Oord et al. 2016a, section 3.6, and 2016b, figure 2."""
    spec, scale = case.spec, case.config.get("scale", 2)
    _, rows, columns = (i.reshape(-1) for i in np.indices(spec.shape))
    grid = (rows % scale == 0) & (columns % scale == 0)
    far = [abs(i[:, None] // scale - i[None] // scale) for i in (rows, columns)]
    mapped = (far[0] <= 2) & (far[1] <= 2) & grid
    place = (rows * spec.width + columns) * spec.channels + np.arange(spec.sites) // spec.pixels
    raster = place[None] < place[:, None]
    if case.config.get("network") == "gated":
        seen = gated(spec, case.config["layers"], mapped)
    else:
        reached = rows[None] * spec.width + columns[None] <= rows[:, None] * spec.width + columns[:, None]
        seen = raster | (reached @ mapped)
    return np.where(grid[:, None], raster & grid, seen)


def gated(spec, layers, mapped) -> np.ndarray:
    """Both stacks of Gated PixelCNN, with the map as one more input of each layer."""
    same, strict, whole = pixel(spec, strict=False), pixel(spec, strict=True), taps(spec, [(0, 0)])
    vertical = horizontal = np.eye(spec.sites, dtype=bool)
    for i, step in enumerate([1, 2, 1, 4][:layers]):
        rows_above = above(spec, 3, step)
        vertical = (rows_above if i == 0 else (rows_above | row(spec, 3, step)) @ vertical) | mapped
        inside = (left(spec, 3, step) | (same if i else strict)) @ horizontal
        out = same @ (inside | whole @ vertical | mapped)
        horizontal = out if i == 0 else horizontal | out
    return same @ horizontal
