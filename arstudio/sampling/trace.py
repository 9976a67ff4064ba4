"""The record of one generation: what was drawn, in which order, how probable it was,
and the distributions themselves.

The worker writes into every array and then moves `cursor` past what is complete in all images; a reader takes `cursor`
once and looks only at what lies before it. Nothing is signalled and nothing is locked.
"""

from __future__ import annotations

import copy
import csv
import math
from typing import IO

import numpy as np

from arstudio.image import ImageSpec
from arstudio.models.orders import Order

DRAWN, KNOWN, FORCED = 0, 1, 2         # `origin`: drawn by the sampler, given or changed by the person


class Trace:
    """Arrays over (image, step): `values`, `origin`, and in nats under the model at T = 1, without guidance,
    `log_probs` and `entropies`.

    `pmfs` (images kept, steps, bins) holds the T = 1 distributions of as many images as fit `pmf_bytes`. Of reals
    (levels = 0) `values` are float64, `log_probs` are log densities, `pmfs` and `entropies` of the 256 bins of [0, 1].
    """

    def __init__(self, spec: ImageSpec, order: Order, count: int, *, pmf_bytes: int = 96_000_000) -> None:
        self.spec, self.order, self.count = spec, order, count
        self.sites = order.sites(spec.channels)     # step -> index into a flat (C, H, W) image
        self.step_of = np.empty_like(self.sites)    # and back
        self.step_of[self.sites] = np.arange(spec.sites)
        shape = (count, spec.sites)
        self.values = np.zeros(shape, dtype=spec.dtype)
        self.log_probs = np.zeros(shape, dtype=np.float64)
        self.entropies = np.zeros(shape, dtype=np.float32)
        self.origin = np.zeros(shape, dtype=np.uint8)
        kept = min(count, pmf_bytes // (4 * spec.sites * spec.bins))
        self.pmfs = np.zeros((kept, spec.sites, spec.bins), dtype=np.float32)
        self.classes = np.full(count, -1, dtype=np.int64)          # class of each image, −1 for none
        self.cursor = 0

    @property
    def complete(self) -> bool:
        """True when every site has been drawn."""
        return self.cursor >= self.spec.sites

    def put(
        self, images: np.ndarray | int, steps: np.ndarray | slice, values: np.ndarray, log_probs: np.ndarray,
        entropies: np.ndarray, origin: np.ndarray, pmfs: np.ndarray,
    ) -> None:
        """Record (N,) images at (N,) steps, or one image at a slice of N steps, at or after the cursor: (N,) each, and
        (N, bins) T = 1 probabilities. Move the cursor when all that lies before it is there."""
        at = (images, steps)
        self.values[at], self.log_probs[at], self.entropies[at], self.origin[at] = values, log_probs, entropies, origin
        kept = images < len(self.pmfs)
        if np.all(kept):
            self.pmfs[at] = pmfs
        elif not isinstance(images, int):
            self.pmfs[images[kept], steps[kept]] = pmfs[kept]

    def put_steps(
        self, first: int, values: np.ndarray, log_probs: np.ndarray, entropies: np.ndarray, origin: np.ndarray,
        pmfs: np.ndarray,
    ) -> None:
        """`put` for k steps of every image from step `first` on: (count, k) each, and (images kept, k, bins) of `pmfs`."""
        steps = slice(first, first + values.shape[1])
        self.values[:, steps], self.log_probs[:, steps], self.entropies[:, steps] = values, log_probs, entropies
        self.origin[:, steps], self.pmfs[:, steps] = origin, pmfs

    def copy(self) -> Trace:
        """A record of this moment that later writing does not change."""
        twin = copy.copy(self)
        for name in ("values", "log_probs", "entropies", "origin", "pmfs", "classes"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def step(self, channel: int, row: int, column: int) -> int:
        """Step at which a site is drawn."""
        return int(self.step_of[(channel * self.spec.height + row) * self.spec.width + column])

    def site(self, step: int) -> tuple[int, int, int]:
        """(channel, row, column) drawn at a step."""
        channel, pixel = divmod(int(self.sites[step]), self.spec.pixels)
        return channel, *divmod(pixel, self.spec.width)

    def image(self, index: int, cursor: int | None = None) -> np.ndarray:
        """Image at a moment: (C, H, W) int16 levels or float64 reals,
        hidden (-1, NaN) where nothing is drawn or given before `cursor`."""
        return self._place(self.values[index], cursor)

    def images(self, cursor: int | None = None) -> np.ndarray:
        """All images at a moment, (count, C, H, W)."""
        return self._place(self.values, cursor)

    def map(self, name: str, index: int, cursor: int | None = None) -> np.ndarray:
        """(C, H, W) float map of an image, NaN where hidden: "surprise" (−log2 p) or "entropy", in bits.
        Surprise about reals is that at a precision of 1/256, −log2(density / 256), beside the entropy of 256 bins."""
        column = {"surprise": self._surprise(index), "entropy": self.entropies[index]}[name]
        end = self.cursor if cursor is None else min(cursor, self.cursor)
        flat = np.full(self.spec.sites, np.nan, dtype=np.float32)
        flat[self.sites[:end]] = column[:end] / math.log(2)
        return flat.reshape(self.spec.shape)

    def nats(self, index: int, cursor: int | None = None) -> float:
        """−log p of what an image holds before `cursor`, in nats; −log density of reals."""
        end = self.cursor if cursor is None else min(cursor, self.cursor)
        return float(0.0 - self.log_probs[index, :end].sum())    # of nothing it is 0, not −0

    def bits(self, index: int, cursor: int | None = None) -> float:
        """What an image holds before `cursor`, in bits; of reals at a precision of 1/256, as in `map`."""
        end = self.cursor if cursor is None else min(cursor, self.cursor)
        return float(self._surprise(index)[:end].sum() / math.log(2))

    def pixel_bits(self, index: int) -> np.ndarray:
        """(H·W,) bits of each pixel in drawing order, summed over its channels; NaN from the cursor on.
        Of reals at a precision of 1/256, as in `map`."""
        end, bits = self.cursor, np.full(self.spec.sites, np.nan)    # the cursor once: a worker may move it meanwhile
        bits[:end] = self._surprise(index)[:end] / math.log(2)
        return bits.reshape(-1, self.spec.channels).sum(1)

    def _surprise(self, index: int) -> np.ndarray:
        """(steps,) −log p in nats, of reals −log(density / 256)."""
        return -self.log_probs[index] + (0.0 if self.spec.levels else math.log(self.spec.bins))

    def write_csv(self, file: IO[str], index: int) -> None:
        """One row per drawn site of an image: step, channel, row, column, value, log p in nats,
        entropy in nats, origin."""
        table = csv.writer(file)
        table.writerow(
            ["step", "channel", "row", "column", "value", "log_prob_nats", "entropy_nats", "origin"]
        )
        names = ("drawn", "known", "forced")
        number = int if self.spec.levels else float
        for t in range(self.cursor):
            table.writerow([
                t, *self.site(t), number(self.values[index, t]), repr(float(self.log_probs[index, t])),
                repr(float(self.entropies[index, t])), names[self.origin[index, t]],
            ])

    def _place(self, values: np.ndarray, cursor: int | None) -> np.ndarray:
        """(…, steps) -> (…, C, H, W), hidden from the cursor on."""
        end = self.cursor if cursor is None else min(cursor, self.cursor)
        flat = np.full(values.shape, self.spec.hidden, dtype=values.dtype)
        flat[..., self.sites[:end]] = values[..., :end]
        return flat.reshape(*values.shape[:-1], *self.spec.shape)
