"""What a completion leaves behind: images, their log p, how they were conditioned, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arstudio.image import SHOWN_BINS, is_hidden, quantise
from arstudio.sampling.trace import Trace

FEW = 10.0    # effective particles below which a population says little
FAR = 1.0     # nats between repeats above which log Ẑ is not to be relied on


@dataclass(frozen=True)
class Trust:
    """How far a completion can be relied on: `level` for a gauge, `words` for people."""

    level: Literal["exact", "good", "fair", "poor"]
    words: str


@dataclass(frozen=True)
class Population:
    """What the particles tell of themselves.

    `particles` a population; `log_z` (repeats,) nats, each population's estimate log Ẑ of log p(observed); `effective`
    the lowest effective number of particles, 1 / Σ w², that a population had when weights were evened out or at the end
    (with moves: at the end); `ancestors` how many different beginnings (first halves of the hidden
    sites; in raster order their `upper` halves) are left among as many draws as there are particles; `resamplings` how often
    they were resampled; `moves` the rejuvenation moves tried and `accepted` the share of particles that took them.
    """

    particles: int
    log_z: np.ndarray
    effective: float
    ancestors: int
    resamplings: int = 0
    moves: int = 0
    accepted: float = 0.0
    upper: bool = False

    @property
    def repeats(self) -> int:
        """How many independent populations there are."""
        return len(self.log_z)

    @property
    def log_evidence(self) -> float:
        """log of the mean of Ẑ over the repeats, nats."""
        top = float(self.log_z.max())
        return top + math.log(float(np.exp(self.log_z - top).mean())) if math.isfinite(top) else top

    @property
    def spread(self) -> float:
        """Standard deviation of log Ẑ over the repeats in nats; NaN for a single one."""
        return float(self.log_z.std(ddof=1)) if self.repeats > 1 else math.nan

    @property
    def trust(self) -> Trust:
        """The gauge: many effective particles, several beginnings and repeats that agree."""
        total = self.particles * self.repeats
        half = f"{'upper' if self.upper else 'first'} half"
        beginnings = f"one single {half}" if self.ancestors == 1 else f"{self.ancestors} different {half[:-1]}ves"
        words = f"{total} particles agree on {beginnings} of the hidden part"
        if self.repeats > 1:
            words += f"; {self.repeats} separate runs differ by {self.spread:.1f} nats on how probable the known part is"
        apart = self.repeats > 1 and not self.spread < FAR
        if self.effective < 3 or self.ancestors < 3 or (apart and not self.spread < 3 * FAR):
            return Trust("poor", f"{words}: far more particles are needed.")
        if self.effective < FEW or self.ancestors < FEW or apart:
            return Trust("fair", f"{words}: more particles would help.")
        return Trust("good", f"{words}: enough to rely on.")


@dataclass(frozen=True)
class Completion:
    """`images` (N, C, H, W) levels or reals, hidden (-1, NaN) where a stopped run drew nothing.

    `log_prob` (N,) nats of the hidden sites as drawn: by `clamp` Σ log p(x_t | x_<t), by `exact` log p(hidden | known),
    by `particles` its estimate log p(x) − log Ẑ. `method` is one of these three, `reason` why `auto` chose it, `sentence`
    what it conditioned on, `ignored` how many known pixels did not count. `population` is there for particles alone.
    """

    trace: Trace
    images: np.ndarray
    log_prob: np.ndarray
    known: np.ndarray
    ignored: int
    method: str = "clamp"
    sentence: str = ""
    reason: str = ""
    population: Population | None = None

    @property
    def ranking(self) -> np.ndarray:
        """Indices from the most to the least probable."""
        return np.argsort(-self.log_prob, kind="stable")

    @property
    def agreement(self) -> np.ndarray:
        """(H, W) entropy over the completions in bits: 0 where all agree. Mean over channels."""
        return agreement(self.images)

    @property
    def finished(self) -> bool:
        """False when the run was stopped before every hidden site was drawn."""
        return not bool(is_hidden(self.images).any())

    @property
    def trust(self) -> Trust:
        """How far it can be relied on, in words."""
        if not self.finished:
            return Trust("poor", "Stopped: what was drawn until then has not met all of the evidence.")
        if self.population is not None:
            return self.population.trust
        if self.ignored == 0:
            return Trust("exact", "Every completion is an exact draw given everything known.")
        return Trust("poor", f"{self.ignored} known pixels were ignored: particles would count them.")


def agreement(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) levels -> (H, W) entropy in bits of the empirical distribution over the N images,
    mean over channels. Reals agree within 1/256."""
    if images.dtype.kind == "f":
        images = quantise(images, SHOWN_BINS)
    total = np.zeros(images.shape[1:])
    for level in np.unique(images):
        p = (images == level).mean(0)
        total -= np.where(p > 0, p * np.log2(np.where(p > 0, p, 1.0)), 0.0)
    return total.mean(0)
