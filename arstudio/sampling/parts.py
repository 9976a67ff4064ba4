"""Where memory does not hold all images at once: the batch is halved, and the images are drawn part by part.

Noise belongs to an image, not to a batch, so they come out the same. Each part has a decoder of its own, which is gone
before the next one begins; what a part has drawn already goes into its decoder again when it is drawn on.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from arstudio.progress import Muted, Progress
from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import FORCED, Trace


class PartSampler(Sampler):
    """What a Sampler becomes when memory runs out, see `Sampler.halve`: at most `size` images have a decoder."""

    def step(self, limit: int | None = None) -> bool:
        """Draw the next site of every image; False when the images are complete."""
        if self.trace.complete:
            return False
        self.run(until=self.trace.cursor + 1)
        return True

    def run(self, progress: Progress | None = None, until: int | None = None) -> Trace:
        progress, sites = progress or Progress(), self.trace.spec.sites
        end, first = sites if until is None else min(until, sites), 0
        while first < self.trace.count and self.trace.cursor < end:
            progress.check()
            progress.report(first / self.trace.count, self.notice)
            rows = slice(first, min(first + self.size, self.trace.count))
            part = self._part(rows)
            part.run(Muted(progress), end)
            if part.size < self.size and part.notice:
                self.size, self.notice = part.size, part.notice
            self.referee.referred += part.referee.referred
            first = rows.stop
        self.trace.cursor = max(self.trace.cursor, end)
        return self.trace

    def _part(self, rows: slice) -> Sampler:
        """A sampler of some of the images that writes into this one's trace."""
        own, y = self.trace, torch.from_numpy(self.trace.classes[rows])
        part = Sampler(self.drawn, self.settings, rows.stop - rows.start, y, method=self.method)
        trace = copy.copy(own)
        for name in ("values", "log_probs", "entropies", "origin", "pmfs", "classes"):
            setattr(trace, name, getattr(own, name)[rows])
        trace.count = rows.stop - rows.start
        part._plan, part._set = self._plan[rows].copy(), self._set[rows].copy()
        forced: dict[int, dict[int, float]] = {}
        for index, step in zip(*np.nonzero(part._plan == FORCED), strict=True):
            forced.setdefault(int(step), {})[int(index)] = part._set[index, step]
        part.take_up(trace, self.u[rows], forced)
        return part

    def rewind(self, step: int) -> None:
        self.trace.cursor = step

    def take_up(self, trace: Trace, u: np.ndarray, forced: dict[int, dict[int, float]]) -> None:
        self.trace, self.u = trace, u
        self._force(forced)
