"""What a training may be expected to reach: reference curves that were measured, read before a run begins.

resources/curves.json holds runs on the bundled datasets: the best figure so far (nats per image) against passes over the
images, and how it was measured. The run nearest in size, as |ln(parameters / parameters')|, is read at the number of passes
asked for, nats linear in ln(passes); beyond its ends the end holds. A curve read in its middle is a little pessimistic,
because its learning rate had not come down yet. Nothing here is computed from a formula; no torch is loaded.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from arstudio.image import ImageSpec
from arstudio.resources import resource

SHORT = 1.5


@dataclass(frozen=True)
class Reference:
    """A measured run. `points` are (passes over the images, seconds, best nats per image so far on `split`)."""

    model: str
    dataset: str
    levels: int
    height: int
    width: int
    parameters: int
    split: str
    how: str
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Expectation:
    """`nats` of `reference` after `epochs` passes, which are those asked for or its nearest end."""

    nats: float
    epochs: float
    reference: Reference

    def sentence(self, bits_per_dim: float) -> str:
        """For people, with the figure in bits per dimension beside the nats."""
        r = self.reference
        seconds = np.interp(self.epochs, [p[0] for p in r.points], [p[1] for p in r.points])
        return (
            f"Expect about {self.nats:.1f} nats ({bits_per_dim:.3f} bits/dim): a run with {r.parameters:,} parameters had that "
            f"on {r.split} images after {self.epochs:.3g} epochs, {seconds:,.0f} s ({r.how})."
        )


@cache
def references() -> tuple[Reference, ...]:
    """All measured runs. Raises FileNotFoundError where the installation lacks them."""
    rows = json.loads(resource("curves.json").read_text(encoding="utf-8"))["runs"]
    return tuple(Reference(**{**row, "points": tuple(tuple(p) for p in row["points"])}) for row in rows)


def expectation(model: str, dataset: str, spec: ImageSpec, parameters: int, epochs: float) -> Expectation | None:
    """What to expect of a model with so many parameters on a bundled dataset after `epochs` passes; None where no such model
    was measured on such images, or only after more than SHORT times as many passes."""
    view = (model, dataset, spec.levels, spec.height, spec.width)
    same = [r for r in references() if (r.model, r.dataset, r.levels, r.height, r.width) == view]
    known = [r for r in same if r.points[0][0] <= SHORT * epochs]
    if not known:
        return None
    nearest = min(known, key=lambda r: (abs(math.log(r.parameters / parameters)), -r.points[-1][0]))
    passes = [p[0] for p in nearest.points]
    at = min(max(epochs, passes[0]), passes[-1])
    nats = np.interp(math.log(at), np.log(passes), [p[2] for p in nearest.points])
    return Expectation(float(nats), at, nearest)
