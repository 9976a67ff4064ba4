"""Reachability over sites: (D, D) bool matrices, D = C·H·W sites in (C, H, W) reading order, True where site i
reads site j. Products of matrices are layers one after the other, `|` is layers side by side. Shares no code
with the models."""

from __future__ import annotations

import numpy as np

from arstudio.image import ImageSpec


def taps(spec: ImageSpec, offsets: list[tuple[int, int]]) -> np.ndarray:
    """(D, D) bool: site i reads every colour of the pixels at these (row, column) offsets from its own."""
    reads = np.zeros((spec.channels, spec.height, spec.width, *spec.shape), dtype=bool)
    for row in range(spec.height):
        for column in range(spec.width):
            for down, right in offsets:
                r, c = row + down, column + right
                if 0 <= r < spec.height and 0 <= c < spec.width:
                    reads[:, row, column, :, r, c] = True
    return reads.reshape(spec.sites, spec.sites)


def above(spec: ImageSpec, kernel: int, step: int) -> np.ndarray:
    half = kernel // 2
    rows, columns = range(-half, 0), range(-half, half + 1)
    return taps(spec, [(step * r, step * c) for r in rows for c in columns])


def row(spec: ImageSpec, kernel: int, step: int) -> np.ndarray:
    half = kernel // 2
    return taps(spec, [(0, step * c) for c in range(-half, half + 1)])


def left(spec: ImageSpec, kernel: int, step: int) -> np.ndarray:
    return taps(spec, [(0, -step * c) for c in range(1, kernel // 2 + 1)])


def pixel(spec: ImageSpec, strict: bool) -> np.ndarray:
    """Within a pixel a colour reads the colours before it and, unless `strict`, itself."""
    colour = np.repeat(np.arange(spec.channels), spec.pixels)
    before = colour[None] < colour[:, None] if strict else colour[None] <= colour[:, None]
    return taps(spec, [(0, 0)]) & before
