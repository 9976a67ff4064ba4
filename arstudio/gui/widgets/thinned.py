"""A growing series kept short enough to paint."""

from __future__ import annotations

import numpy as np

MOST_POINTS = 240


class Thinned:
    """A growing series as at most MOST_POINTS averages of equally many neighbours; only what is new costs."""

    def __init__(self) -> None:
        self._x: list[float] = []
        self._y: list[float] = []
        self._open_x = self._open_y = 0.0
        self._open = 0
        self._each = 1
        self.taken = 0

    def feed(self, x: list[float], y: list[float]) -> bool:
        """Take what lists x and y hold beyond last time; True if there was anything."""
        end = min(len(x), len(y))
        if end <= self.taken:
            return False
        for i in range(self.taken, end):
            self._open_x += x[i]
            self._open_y += y[i]
            self._open += 1
            if self._open == self._each:
                self._x.append(self._open_x / self._open)
                self._y.append(self._open_y / self._open)
                self._open_x = self._open_y = 0.0
                self._open = 0
                if len(self._x) == MOST_POINTS:
                    self._x = [(a + b) / 2 for a, b in zip(self._x[::2], self._x[1::2], strict=True)]
                    self._y = [(a + b) / 2 for a, b in zip(self._y[::2], self._y[1::2], strict=True)]
                    self._each *= 2
        self.taken = end
        return True

    def points(self) -> np.ndarray:
        """(n, 2) averages so far."""
        return np.column_stack([self._x, self._y]) if self._x else np.zeros((0, 2))
