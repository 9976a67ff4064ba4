"""Wavefront sampling: pixels of many rows at once, on a slanted line on which none sees another.

A model whose field reaches at most j · (lag − 1) columns to the right in the j-th row above draws the pixel in row r, column c
with all others of the same

    t = c + lag · r        so all it sees has a smaller t, and W + (H − 1) · lag such fronts are the image

Nothing is guessed, so every pixel is evaluated once (C times if it has C colours), and values are those of site-by-site
drawing. All images go together.
"""

from __future__ import annotations

import numpy as np
import torch

from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import DRAWN, Trace


class WavefrontSampler(Sampler):
    """A Sampler whose `step` draws a front of every image. Of rows below the trace's cursor some pixels are drawn already."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        spec = self.trace.spec
        rows, columns = np.divmod(np.arange(spec.pixels), spec.width)
        fronts = columns + self.model.lag * rows
        self._fronts = [np.flatnonzero(fronts == t) for t in np.unique(fronts)]
        lowest = np.minimum.accumulate([spec.pixels, *(int(front[0]) for front in reversed(self._fronts))])
        self._settled = lowest[::-1] * spec.channels    # steps that are drawn before each front, and after the last
        self._next = 0                                  # front
        self._kept = 0                                  # steps that have their values: only their features are wanted

    @torch.inference_mode()
    def step(self, limit: int | None = None) -> bool:
        """Draw a front of every image; the cursor moves at most up to step `limit`. False when the images are complete."""
        sites = self.trace.spec.sites
        if self.trace.cursor >= sites:
            return False
        end = sites if limit is None else min(limit, sites)
        if self._settled[self._next] < end:
            self._draw_front(self._fronts[self._next])
            self._next += 1
        self.trace.cursor = max(self.trace.cursor, min(int(self._settled[self._next]), end))
        return True

    def rewind(self, step: int) -> None:
        self.trace.cursor = self._kept = step
        self._back_to(step)

    def take_up(self, trace: Trace, u: np.ndarray, forced: dict[int, dict[int, float]]) -> None:
        step, held = trace.cursor, self.decoder.x[:trace.count].flatten(1).cpu().numpy()
        differ = (held[:, trace.sites[:step]] != trace.values[:, :step]).any(0)
        self.trace, self.u = trace, u
        self._force(forced)
        self.rewind(step)
        if differ.any():
            self._back_to(int(differ.argmax()))

    def _back_to(self, step: int) -> None:
        """Go back to the front before which nothing from a step on is drawn."""
        spec = self.trace.spec
        row, column = divmod(step // spec.channels, spec.width)
        row, column = min(row, spec.height - 1), column if row < spec.height else spec.width - 1
        later = [row * spec.width + column, *([(row + 1) * spec.width] if row + 1 < spec.height else [])]
        self._next = min(self._next, *(k for k, front in enumerate(self._fronts) if np.isin(later, front).any()))

    def _draw_front(self, front: np.ndarray) -> None:
        count, channels = self.trace.count, self.trace.spec.channels
        rows, pixels = np.repeat(self._rows, len(front)), np.tile(front, count)                    # (N,)
        twins = np.concatenate([rows, rows + count]) if self.guided else rows                      # (N,) or (2N,)
        twice = np.concatenate([pixels, pixels]) if self.guided else pixels
        for channel in range(channels):
            steps = pixels * channels + channel
            params = self.decoder.visit(twins, twice)[:, channel].numpy().astype(np.float64)
            log_pmf = self.model.likelihood.log_pmf_array(params)
            values, close = self._draw(params, log_pmf, self.u[rows, steps])
            plan, fresh = self._plan[rows, steps], steps >= self._kept
            for i in np.flatnonzero(close & fresh & (plan == DRAWN)):
                values[i] = self._refer(rows[i:i + 1], self.trace.site(steps[i]), self.u[rows[i:i + 1], steps[i]])[0]
            values = np.where(plan == DRAWN, values, self._set[rows, steps])
            values = np.where(fresh, values, self.trace.values[rows, steps]).astype(self._set.dtype)
            now = np.flatnonzero(fresh)
            self._record(rows[now], steps[now], params[now], log_pmf[now], values[now])
            self.decoder.tell(twins, twice, channel, np.concatenate([values, values]) if self.guided else values)
