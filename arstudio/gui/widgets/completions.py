"""What the Complete panel has of one run, finished or stopped: images, figures, and three ways to rank them.
No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arstudio.gui.widgets.sheet import Sheet
from arstudio.image import is_hidden
from arstudio.models.modelfile import ModelCard

if TYPE_CHECKING:
    from arstudio.sampling.completion import Completion


@dataclass(frozen=True, eq=False)
class Completions:
    """`images` (N, C, H, W) levels, −1 where a stopped run drew nothing; `log_prob` (N,) nats of what was
    drawn.

    `sheet` is the canvas they complete, `found` what the sampler says of them, `seconds` the time.
    """

    sheet: Sheet
    images: np.ndarray
    log_prob: np.ndarray
    found: Completion
    card: ModelCard
    seconds: float

    @property
    def trace(self) -> Any:
        """How they were drawn."""
        return self.found.trace

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.images)

    @property
    def finished(self) -> bool:
        """False when the run was stopped."""
        return self.found.finished

    @property
    def known_pixels(self) -> int:
        """How many pixels were given."""
        return int((~self.sheet.hidden).sum())

    @property
    def hidden_pixels(self) -> int:
        """How many pixels were to be drawn."""
        return int(self.sheet.hidden.sum())

    @property
    def drawn_pixels(self) -> int:
        """How many of them were drawn."""
        return int((self.sheet.hidden & ~is_hidden(self.images[0]).any(0)).sum())

    def evidence(self) -> float:
        """Known pixels that count for a hidden one, averaged over the hidden pixels: all of them, or by clamping those
        that come before it in the model's order."""
        known = ~self.sheet.hidden.reshape(-1)[self.trace.order.pixels]
        if not self.found.ignored or known.all():
            return float(known.sum())
        return float(np.cumsum(known)[~known].mean())

    def bits_per_dim(self, index: int) -> float:
        """Bits of a completion per drawn site."""
        return -float(self.log_prob[index]) / math.log(2) / max(1, self.drawn_pixels * self.trace.spec.channels)

    def order(self, ranking: str) -> list[int]:
        """Image indices: most probable first; nearest the mean log p first; or each one farthest from those
        before it.

        Distance is the sum of |difference in level|, starting from the most probable.
        """
        probable = np.argsort(-self.log_prob, kind="stable")
        if ranking == "typical":
            return np.argsort(np.abs(self.log_prob - self.log_prob.mean()), kind="stable").tolist()
        if ranking == "different":
            return _spread(np.nan_to_num(self.images.reshape(self.count, -1).astype(np.float64)), int(probable[0]))
        return probable.tolist()

    def agreement(self) -> tuple[np.ndarray, float]:
        """((H, W) entropy over the completions in bits, NaN where nothing was drawn; the most it can be)."""
        drawn = self.sheet.hidden & ~is_hidden(self.images[0]).any(0)
        return np.where(drawn, self.found.agreement, np.nan), max_bits(self.trace.spec.bins, self.count)


def max_bits(levels: int, count: int) -> float:
    """Upper end of the agreement scale: N images cannot spread over more than N values. At least 1 bit."""
    return max(1.0, math.log2(min(levels, max(count, 2))))


def live_images(trace: Any, sheet: Sheet) -> np.ndarray:
    """(N, C, H, W) levels of a run under way: known pixels everywhere, drawn ones up to the cursor, −1
    elsewhere."""
    return np.where(sheet.hidden, trace.images(), sheet.content).astype(trace.spec.dtype)


def collect(sampler: Any, sheet: Sheet, card: ModelCard, seconds: float) -> Completions:
    """The Completions of a sampler that has run to the end or was stopped."""
    found = sampler.finish()
    return Completions(sheet, found.images.astype(found.trace.spec.dtype), found.log_prob, found, card, seconds)


def _spread(flat: np.ndarray, first: int) -> list[int]:
    """Farthest-first traversal of (N, D) rows in L1 (Gonzalez 1985)."""
    order = [first]
    nearest = np.abs(flat - flat[first]).sum(1)
    while len(order) < len(flat):
        nearest[order] = -1
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.abs(flat - flat[order[-1]]).sum(1))
    return order
