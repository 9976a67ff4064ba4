"""What a person edits on the canvas, and which pixels a gesture touches, as (H, W) masks. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Cell = tuple[int, int]    # (row, column); may lie outside the image while the mouse does


@dataclass(frozen=True, eq=False)
class Sheet:
    """`content` (C, H, W) int16 levels or float64 reals, also below the mask, and `hidden` (H, W) bool. Never changed in
    place.

    `hint` (C, H, W) is about how bright a hidden pixel is, `certainty` (H, W) float32 in [0, 1] how sure that is, 0 where
    nothing is said and where the pixel is known.
    """

    content: np.ndarray
    hidden: np.ndarray
    hint: np.ndarray
    certainty: np.ndarray

    @classmethod
    def of(cls, content: np.ndarray, hidden: np.ndarray, like: Sheet | None = None) -> Sheet:
        """A sheet that owns copies of both; with the hints of `like` where it stays hidden, or without any."""
        kind = np.float64 if np.asarray(content).dtype.kind == "f" else np.int16
        content, hidden = np.array(content, dtype=kind), np.array(hidden, dtype=bool)
        if like is None:
            return cls(content, hidden, np.zeros_like(content), np.zeros(hidden.shape, np.float32))
        return cls(content, hidden, like.hint, np.where(hidden, like.certainty, np.float32(0)))

    def same(self, other: Sheet) -> bool:
        """True if every level, every hidden pixel and every hint agree."""
        return (
            np.array_equal(self.content, other.content) and np.array_equal(self.hidden, other.hidden)
            and np.array_equal(self.certainty, other.certainty)
            and np.array_equal(self.hint * (self.certainty > 0), other.hint * (other.certainty > 0))
        )

    @property
    def hinted(self) -> np.ndarray:
        """(H, W) bool: hidden pixels about which something is said."""
        return self.hidden & (self.certainty > 0)

    def shown(self) -> np.ndarray:
        """(C, H, W) levels, −1 where hidden, or reals, NaN where hidden."""
        none = np.nan if self.content.dtype.kind == "f" else -1
        return np.where(self.hidden, none, self.content).astype(self.content.dtype)


def disc(at: Cell, size: int, shape: tuple[int, int]) -> np.ndarray:
    """Footprint of a round brush `size` pixels wide at a cell, (H, W) bool: 1 is a pixel, 2 and 3 are
    squares."""
    centre = (size - 1) / 2 - size // 2          # an even brush is centred on the pixel's upper left corner
    rows = np.arange(shape[0])[:, None] - at[0] - centre
    columns = np.arange(shape[1])[None, :] - at[1] - centre
    return rows**2 + columns**2 <= (size / 2) ** 2


def segment(start: Cell, end: Cell) -> list[Cell]:
    """Cells of a straight line, both ends included (Bresenham 1965)."""
    (row, column), (last_row, last_column) = start, end
    down, across = abs(last_row - row), -abs(last_column - column)
    step_row, step_column = (1 if last_row > row else -1), (1 if last_column > column else -1)
    error, cells = down + across, []
    while True:
        cells.append((row, column))
        if (row, column) == (last_row, last_column):
            return cells
        twice = 2 * error
        if twice >= across:
            error += across
            row += step_row
        if twice <= down:
            error += down
            column += step_column


def stroke(start: Cell, end: Cell, size: int, shape: tuple[int, int]) -> np.ndarray:
    """A round brush drawn along a line, (H, W) bool."""
    touched = np.zeros(shape, dtype=bool)
    for cell in segment(start, end):
        touched |= disc(cell, size, shape)
    return touched


def box(start: Cell, end: Cell, shape: tuple[int, int]) -> np.ndarray:
    """The rectangle between two cells, both included, (H, W) bool."""
    rows, columns = sorted((start[0], end[0])), sorted((start[1], end[1]))
    touched = np.zeros(shape, dtype=bool)
    touched[max(rows[0], 0):max(rows[1] + 1, 0), max(columns[0], 0):max(columns[1] + 1, 0)] = True
    return touched


def grown(mask: np.ndarray) -> np.ndarray:
    """A (H, W) mask and every pixel that shares a side with it. Shrinking is growing what is outside."""
    wider = mask.copy()
    wider[1:] |= mask[:-1]
    wider[:-1] |= mask[1:]
    wider[:, 1:] |= mask[:, :-1]
    wider[:, :-1] |= mask[:, 1:]
    return wider


def region(content: np.ndarray, hidden: np.ndarray, at: Cell) -> np.ndarray:
    """Pixels joined to a cell by sides that look the same as it: (C, H, W) levels, (H, W) hidden -> (H, W)
    bool.

    All hidden pixels look the same.
    """
    shown = np.where(hidden, -1, content)
    alike = (shown == shown[:, at[0], at[1]][:, None, None]).all(0)
    found = np.zeros_like(hidden)
    found[at] = True
    while True:
        wider = grown(found) & alike
        if np.array_equal(wider, found):
            return found
        found = wider


def outline(mask: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Border of a (H, W) mask as segments (x1, y1, x2, y2) in pixels, neighbours in a line joined into
    one."""
    padded = np.pad(mask, 1)
    across = np.diff(padded, axis=0)[:, 1:-1]       # (H + 1, W): an edge above row y
    down = np.diff(padded, axis=1)[1:-1]            # (H, W + 1): an edge left of column x
    found = [(start, y, end, y) for y, start, end in _runs(across)]
    return found + [(x, start, x, end) for x, start, end in _runs(down.T)]


def _runs(edges: np.ndarray) -> list[tuple[int, int, int]]:
    """(line, start, end) of every unbroken run of True along the second axis."""
    steps = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    line, start = np.nonzero(steps == 1)
    _, end = np.nonzero(steps == -1)
    return list(zip(line.tolist(), start.tolist(), end.tolist(), strict=True))
