"""PixelCNN++: two streams at several resolutions; Salimans et al. 2017, figure 2, and the shifts named in section 2.2."""

import numpy as np
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from catalogue.reach import pixel

SMALL = {"channels": 5, "blocks": 1, "scales": 2, "components": 3}
VARIANTS = [{"blocks": 2, "scales": 3, "channels": 3}, {"scales": 1}, {"likelihood": "categorical"}, {"likelihood": "gaussian"}]
REFUSED = [
    (ImageSpec(1, 4, 4, 2), {"order": "snake"}, "PixelCNN\\+\\+ draws in raster order only"),
    (ImageSpec(1, 4, 4, 2), {"channels": 0}, "channels must be at least 1, not 0"),
    (ImageSpec(1, 4, 4, 2), {"blocks": 0}, "blocks must be at least 1, not 0"),
    (ImageSpec(1, 4, 4, 2), {"scales": 0}, "scales must be 1 to 8, not 0"),
    (ImageSpec(1, 4, 4, 2), {"dropout": 1.0}, "dropout must be in"),
    (ImageSpec(1, 4, 4, 2), {"components": 0, "likelihood": "logistic"}, "components must be at least 1"),
    (ImageSpec(1, 4, 4, 0), {"likelihood": "logistic"}, "for integer levels, but the data are continuous"),
    (ImageSpec(3, 4, 4, 4), {"likelihood": "bernoulli"}, "is for 2 levels, not 4"),
]


def configs(draw):
    return {
        "channels": draw(st.integers(2, 5)), "blocks": draw(st.integers(1, 2)), "scales": draw(st.integers(1, 3)),
        "components": 2, "likelihood": draw(st.sampled_from(["auto", "auto", "categorical", "gaussian"])),
    }


def reads(to, of, where) -> np.ndarray:
    """(h·w, h'·w') bool: which places of a grid `of` the places of a grid `to` read; where(r, c) -> rows, columns."""
    found = np.zeros((*to, *of), dtype=bool)
    for r in range(to[0]):
        for c in range(to[1]):
            rows, columns = where(r, c)
            for i in rows:
                for j in columns:
                    if 0 <= i < of[0] and 0 <= j < of[1]:
                        found[r, c, i, j] = True
    return found.reshape(to[0] * to[1], of[0] * of[1])


def sight(case) -> np.ndarray:
    """Follows the pixels, not the colours, through both streams at all resolutions, up and down."""
    spec, blocks, scales = case.spec, case.config["blocks"], case.config["scales"]
    grids = [(spec.height, spec.width)]
    for _ in range(1, scales):
        grids.append(((grids[-1][0] + 1) // 2, (grids[-1][1] + 1) // 2))
    v = reads(grids[0], grids[0], lambda r, c: ((r - 2, r - 1), (c - 1, c, c + 1)))
    h = reads(grids[0], grids[0], lambda r, c: ((r - 1,), (c - 1, c, c + 1)))
    h |= reads(grids[0], grids[0], lambda r, c: ((r - 1, r), (c - 1,)))
    shortcuts = []
    for s, grid in enumerate(grids):
        if s:
            v = reads(grid, grids[s - 1], lambda r, c: ((2 * r - 1, 2 * r), (2 * c - 1, 2 * c, 2 * c + 1))) @ v
            h = reads(grid, grids[s - 1], lambda r, c: ((2 * r - 1, 2 * r), (2 * c - 1, 2 * c))) @ h
        wide, narrow = convolutions(grid)
        shortcuts.append((v, h))
        for _ in range(blocks):
            v = v | wide @ wide @ v
            h = h | narrow @ (narrow @ h | v)
            shortcuts.append((v, h))
    v, h = shortcuts.pop()
    for s, grid in reversed(list(enumerate(grids))):
        if s < scales - 1:
            right = reads(grid, grids[s + 1], lambda r, c: ((r // 2,), (c // 2, c // 2 + c % 2)))
            v, h = right @ v, reads(grid, grids[s + 1], lambda r, c: ((r // 2,), (c // 2,))) @ h
        wide, narrow = convolutions(grid)
        for _ in range(blocks + (s < scales - 1)):
            skip_v, skip_h = shortcuts.pop()
            v = v | wide @ (wide @ v | skip_v)
            h = h | narrow @ (narrow @ h | v | skip_h)
    assert not shortcuts
    return np.tile(h, (spec.channels, spec.channels)) | pixel(spec, strict=True)


def convolutions(grid) -> tuple[np.ndarray, np.ndarray]:
    """2×3 ending in the row, 2×2 ending at the place."""
    return (
        reads(grid, grid, lambda r, c: ((r - 1, r), (c - 1, c, c + 1))),
        reads(grid, grid, lambda r, c: ((r - 1, r), (c - 1, c))),
    )
