"""Generation orders: a permutation of the pixels, and with it what "before" means.

    raster      left to right, top to bottom          column   top to bottom, left to right
    snake       raster, every second row reversed     diagonal anti-diagonals from the top left corner
    spiral      from the rim inwards, clockwise       random   a permutation drawn from a seed

    custom   any permutation, for models that allow every order

Reduced autoregressive modelling leaves dependencies out so that many pixels can be drawn in one step. If conditionals in
the diagonal order looked at earlier diagonals only, the pixels of one diagonal would be independent given those, and an
image would take H + W − 1 steps in place of H·W. No model here is reduced: in this order, too, a pixel sees those of
its own diagonal that were drawn before it, and the chain rule holds without an assumption.

Inside a pixel the order is always R, G, B. Site t of an order is pixel `pixels[t // C]`, channel `t % C`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

ORDERS = ("raster", "column", "snake", "diagonal", "spiral", "random")


@dataclass(frozen=True)
class Order:
    """One order over height × width pixels. `kind` is one of ORDERS, or "custom" with the raster index of the
    pixel at each rank in `permutation`; `seed` matters to `random` alone."""

    kind: str
    height: int
    width: int
    seed: int = 0
    permutation: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in (*ORDERS, "custom"):
            raise ValueError(f"There is no order {self.kind!r}; choose one of {', '.join(ORDERS)}.")
        if self.kind == "custom" and sorted(self.permutation) != list(range(self.height * self.width)):
            raise ValueError(f"A custom order must name each of the {self.height * self.width} pixels once.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Order:
        return self    # nothing of it changes, and copies of models need not copy their orders

    @classmethod
    def custom(cls, pixels: Iterable[int], height: int, width: int) -> Order:
        """Order that visits pixels by the raster indices given. Raises ValueError unless each comes once."""
        return cls("custom", height, width, permutation=tuple(int(p) for p in pixels))

    def first(self, known: np.ndarray) -> Order:
        """The same order, but with the pixels of the (H, W) bool mask `known` before all others."""
        late = ~np.asarray(known, dtype=bool).reshape(-1)[self.pixels]
        return Order.custom(self.pixels[np.argsort(late, kind="stable")], self.height, self.width)

    @cached_property
    def pixels(self) -> np.ndarray:
        """(H·W,) raster index of the pixel at each rank."""
        h, w = self.height, self.width
        if self.kind == "custom":
            return np.array(self.permutation, dtype=np.int64)
        index = np.arange(h * w).reshape(h, w)
        if self.kind == "column":
            index = index.T
        elif self.kind == "snake":
            index[1::2] = index[1::2, ::-1]
        elif self.kind == "diagonal":
            row, column = np.divmod(np.arange(h * w), w)
            index = np.lexsort((row, row + column))
        elif self.kind == "spiral":
            index = _spiral(index)
        elif self.kind == "random":
            index = np.random.default_rng(self.seed).permutation(h * w)
        return np.ascontiguousarray(index).reshape(-1)

    @cached_property
    def rank(self) -> np.ndarray:
        """(H, W) position of each pixel in the order; the inverse of `pixels`."""
        rank = np.empty(self.height * self.width, dtype=np.int64)
        rank[self.pixels] = np.arange(rank.size)
        return rank.reshape(self.height, self.width)

    def sites(self, channels: int) -> np.ndarray:
        """(C·H·W,) index of each site, in order, into an image flattened from (C, H, W)."""
        plane = self.height * self.width
        return (self.pixels[:, None] + plane * np.arange(channels)[None]).reshape(-1)


def _spiral(index: np.ndarray) -> np.ndarray:
    rim = []
    while index.size:
        rim.append(index[0])
        index = np.rot90(index[1:])
    return np.concatenate(rim)
