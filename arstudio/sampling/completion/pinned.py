"""How probable an image is as a draw by N particles: sequential Monte Carlo in which one particle is that image.

Particles draw from a distribution q_N of their own, which tends to p(hidden | observed) as N grows. Let one particle of a
population be pinned to an image x: it takes the values of x, and is never resampled away. Then

    q_N(x) = p(x) E[1 / Ẑ]        −log q_N(x) ≤ −log p(x) + E[log Ẑ]        over the noise of the others

so −log p(x) + log Ẑ is too large on average by what few particles cost, where without a pinned one it is too small; between the
two lies what N would have to grow for. Andrieu, Doucet & Holenstein 2010, section 4.3; Grosse, Ghahramani & Adams 2015,
"Sandwiching the marginal likelihood using bidirectional Monte Carlo".

Systematic resampling with a survivor: its place among the N is uniform over its own stretch of the weights, which is the law of
(uniform, place) given that the place is taken by it, and any of its copies is as much the pinned one as another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arstudio.sampling.completion.particles import ParticleCompleter
from arstudio.sampling.completion.proposal import Outcome
from arstudio.sampling.draw import SettingsError


class PinnedParticles(ParticleCompleter):
    """`ParticleCompleter` with one particle of each population pinned to the whole of x, hidden sites included.

    `log_evidence` is (repeats,) log Ẑ as above. Raises SettingsError with moves, which would change the pinned one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.particles.moves:
            raise SettingsError("A pinned particle cannot be moved: leave moves at 0.")
        repeats, particles = self.shape
        self.pinned = self.rng.integers(particles, size=repeats) + particles * np.arange(repeats)    # columns

    def _outcome(self, t: int, site: tuple[int, int, int], params: np.ndarray) -> Outcome:
        values = super()._outcome(t, site, params)[0]
        values[self.pinned] = self.proposal.given[t]
        return self.proposal.outcome(t, site, params, self.rng, values)

    def _uniforms(self, weights: np.ndarray) -> np.ndarray:
        repeats, particles = self.shape
        steps = np.cumsum(weights, 1)
        steps = np.concatenate([np.zeros((repeats, 1)), steps / steps[:, -1:]], 1)
        each, own = np.arange(repeats), self.pinned % particles
        low, high = steps[each, own], steps[each, own + 1]
        return (low + (high - low) * self.rng.random(repeats)) * particles % 1.0

    def _ancestors(self, weights: np.ndarray, poor: np.ndarray) -> np.ndarray:
        places, particles = super()._ancestors(weights, poor), self.shape[1]
        for population, column in enumerate(self.pinned):
            first = population * particles
            copies = first + np.flatnonzero(places[first:first + particles] == column)
            if not len(copies):                          # lost to rounding
                places[column], copies = column, [column]
            self.pinned[population] = self.rng.choice(copies)
        return places
