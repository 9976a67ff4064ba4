"""Jacobi sampling: all sites at once, again and again, until the beginning of the image reproduces itself.

With one uniform u_t a site, an image is the solution of x_t = F⁻¹(u_t | x_<t) for all t. A Jacobi iteration puts the
present guess of the whole image into one forward pass and decides every site anew. Site t is right as soon as
everything before it is, so the first site that changed, and all before it, are final: each iteration settles at least
one site, and usually many, and the image is the one that site-by-site drawing gives, bit for bit.

Song, Meng, Liao & Ermon 2021, "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving",
algorithm 1. They stop by an oracle or a tolerance; values here are discrete, so the settled prefix is known exactly.
"""

from __future__ import annotations

import numpy as np
import torch

from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import DRAWN, FORCED, KNOWN


class JacobiSampler(Sampler):
    """A Sampler whose `step` settles a run of sites by one forward pass. `iterations` counts the passes."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **(options | {"method": "naive"}))
        self.method, self.iterations = "jacobi", 0
        self._guess = np.zeros((self.trace.count, self.trace.spec.sites), dtype=self.trace.values.dtype)
        if self._given is not None:
            self._guess[:, self._is_given] = self._given[self._is_given]
            self._place()

    @torch.inference_mode()
    def step(self, limit: int | None = None) -> bool:
        """One iteration: settle the next sites, at most up to step `limit`; False when the images are complete."""
        trace, spec, start = self.trace, self.trace.spec, self.trace.cursor
        end = spec.sites if limit is None else limit
        if start >= end:
            return start < spec.sites
        params, log_pmf = self._pass(start)                                # (sites, B or 2B, P or L)
        values, origin, close = self._decide_all(params, log_pmf, start)   # (sites, B)
        count = min(self._settled(values, start), end - start)
        if close[:count].any():
            self._refer(values, close[:count], start)
            count = min(self._settled(values, start), count)
        for i in range(count):
            self._write(params[i], log_pmf[i], values[i], origin[i])
        self._guess[:, start:] = values.T
        self._place()
        self.decoder.position = trace.cursor
        self.iterations += 1
        return True

    def rewind(self, step: int) -> None:
        self._guess[:] = self.trace.values
        self.trace.cursor = self.decoder.position = step
        self._place()

    def _pass(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and log-probabilities of every site from `start` on, given the present guess."""
        decoder, none = self.decoder, self.model.num_classes
        y = torch.where(decoder.classes == none, -1, decoder.classes)
        found = decoder.model(decoder.x, y).flatten(2)[:, :, decoder.model.site_index[start:]]
        params = found.permute(2, 0, 1).cpu().numpy().astype(np.float64)
        flat = np.ascontiguousarray(params).reshape(-1, params.shape[2])
        return params, self.model.likelihood.log_pmf_array(flat).reshape(*params.shape[:2], -1)

    def _decide_all(
        self, params: np.ndarray, log_pmf: np.ndarray, start: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What each site would be if the guess before it were right, where that comes from, and which decisions were close."""
        images, sites = self.trace.count, len(params)

        def stacked(part: np.ndarray) -> np.ndarray:
            """With the class for all sites and images, then, if guided, without."""
            halves = [part[:, :images], part[:, images:]] if self.guided else [part]
            return np.concatenate([half.reshape(sites * images, -1) for half in halves])

        u = np.ascontiguousarray(self.u[:, start:].T).reshape(-1)
        values, close = (part.reshape(sites, images) for part in self._draw(stacked(params), stacked(log_pmf), u))
        origin = np.full((sites, images), DRAWN)
        given = np.flatnonzero(self._is_given[start:])
        if len(given):
            values[given], origin[given] = self._given[start + given][:, None], KNOWN
        for t, forced in self._forced.items():
            for index, value in forced.items():
                if t >= start:
                    values[t - start, index], origin[t - start, index] = value, FORCED
        return values, origin, close & (origin == DRAWN)

    def _settled(self, values: np.ndarray, start: int) -> int:
        """How many sites are final in every image: those that came out as guessed, and one more."""
        changed = (values != self._guess[:, start:].T).any(1)
        return int(changed.argmax()) + 1 if changed.any() else len(values)

    def _refer(self, values: np.ndarray, close: np.ndarray, start: int) -> None:
        """Settle close decisions in float64, given the guess; those after the first change are settled again later."""
        decoder = self.decoder
        for i, index in zip(*np.nonzero(close), strict=True):
            where = np.unravel_index(int(self.trace.sites[start + i]), self.trace.spec.shape)
            rows = torch.tensor([index], device=decoder.x.device)
            exact = self.referee.params(decoder.x[rows], decoder.classes[rows], tuple(map(int, where)), guided=self.guided)
            exact = exact.cpu().numpy().astype(np.float64)
            log_pmf = self.model.likelihood.log_pmf_array(exact)
            values[i, index] = self._draw(exact, log_pmf, self.u[[index], start + i])[0][0]

    def _place(self) -> None:
        """Put the guess into the decoder's images."""
        decoder = self.decoder
        guess = torch.from_numpy(np.concatenate([self._guess] * (1 + self.guided))).to(decoder.x)
        decoder.x.flatten(1)[:, decoder.model.site_index] = guess
