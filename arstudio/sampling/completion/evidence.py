"""Soft evidence: "about this bright", with a certainty, at pixels that are still to be drawn.

    g(x) = exp(−½ ((x − value) / (top · s))²)        s = (1 − certainty) / (2 · certainty)

`top` is the brightest level. Certainty 0 says nothing (s infinite), ½ allows half of the range as a standard deviation, 0.9
a twentieth, and 1 leaves the nearest level alone. g multiplies the model's probability of the image as a likelihood would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arstudio.image import ImageSpec, SpecMismatch
from arstudio.sampling.draw import SettingsError


@dataclass(frozen=True, eq=False)
class Evidence:
    """`value` (C, H, W) in levels, 0 … top and not only whole ones; `certainty` (H, W) or (C, H, W) in [0, 1]."""

    value: np.ndarray
    certainty: np.ndarray

    def check(self, spec: ImageSpec) -> None:
        """Raise SpecMismatch or SettingsError unless it fits images of `spec`."""
        if self.value.shape != spec.shape or self.certainty.shape not in (spec.shape, spec.shape[1:]):
            raise SpecMismatch(
                f"Soft evidence needs a brightness of shape {spec.shape} and a certainty of that shape or {spec.shape[1:]}, "
                f"not {self.value.shape} and {self.certainty.shape}."
            )
        said = self.value[np.broadcast_to(self.certainty > 0, spec.shape)]
        if not (np.isfinite(self.certainty).all() and 0 <= self.certainty.min() <= self.certainty.max() <= 1):
            raise SettingsError("The certainty of soft evidence must be between 0 (none) and 1 (this level and no other).")
        if len(said) and not (np.isfinite(said).all() and 0 <= said.min() <= said.max() <= spec.top):
            raise SettingsError(f"The brightness of soft evidence must be between 0 and {spec.top:g}.")
        if spec.levels == 0 and self.certainty.max() == 1:
            raise SettingsError("A real pixel cannot be told with certainty 1; make it a known one, or take 0.99.")

    def pixels(self) -> np.ndarray:
        """(H, W) bool, where anything is said."""
        return self.certainty > 0 if self.certainty.ndim == 2 else (self.certainty > 0).any(0)

    def log_terms(self, spec: ImageSpec, site: tuple[int, int, int], values: np.ndarray) -> np.ndarray | None:
        """log g, up to a constant, of `values` at (channel, row, column), of their shape; None where nothing is said."""
        certainty = float(np.broadcast_to(self.certainty, spec.shape)[site])
        if certainty == 0:
            return None
        distance = np.abs(values - float(self.value[site])) / spec.top
        if certainty == 1:
            return np.where(distance == distance.min(), 0.0, -np.inf)
        return -0.5 * (distance * 2 * certainty / (1 - certainty)) ** 2
