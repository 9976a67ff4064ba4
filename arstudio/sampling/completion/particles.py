"""Particles: sequential Monte Carlo over the decoder, so that everything known counts.

N images are drawn side by side. At a hidden site each draws from p(x_t | x_<t); at a known one each takes the known value
and its weight is multiplied by p(x_t | x_<t). Before the next hidden site, if the effective number of particles has fallen
below `threshold` · N, they are resampled in proportion to their weights. Then

    Ẑ = Π (mean weight since the last resampling)      E Ẑ = p(observed), for any N
    weighted particles  →  p(hidden | observed)        as N grows
    −log p(hidden | observed) = −log p(x) + log Ẑ      in expectation too small, until N suffices: see the spread

Gordon et al. 1993; Doucet & Johansen 2009, "A tutorial on particle filtering and smoothing". Weights are float64
logarithms; resampling is systematic, and waits for the next hidden site, since in between it could only lose particles.
As long as all particles are the same they are computed as one; those whose weight has fallen by e^−40 after the last
hidden site are no longer followed.

With `moves`, resampling is followed by Metropolis moves (`moves.py`) that draw blocks of hidden sites anew, weights are
also evened out while only known sites follow, and a collapse is met in stages: the weights are raised to the power that
leaves half of the particles effective, resampled, moved, and so on (tempering; Del Moral et al. 2006).

What each site does is in `proposal.py`, also where the settings or soft evidence come in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Progress
from arstudio.sampling.completion.clamp import Completer
from arstudio.sampling.completion.evidence import Evidence
from arstudio.sampling.completion.moves import rejuvenate
from arstudio.sampling.completion.proposal import Outcome, Proposal
from arstudio.sampling.completion.result import Completion, Population
from arstudio.sampling.completion.weights import effective, in_place, log_mean, normalised, systematic, tempered
from arstudio.sampling.draw import SampleSettings, SettingsError
from arstudio.sampling.sampler import check_count
from arstudio.sampling.trace import DRAWN, KNOWN, Trace

LOST = 40.0         # nats below the best at which a particle is no longer followed
MOST = 1 << 20      # particles of all populations together
SITES = 1 << 14     # of all particles that are weighed together, so that a stop is answered soon
STAGES = 16         # of tempering at most; the last takes what is left


@dataclass(frozen=True, kw_only=True)
class ParticleSettings:
    """`particles` N in each of `repeats` independent populations, whose spread tells how well log Ẑ is known; `moves`
    Metropolis moves after each resampling; `threshold` the share of effective particles that brings it about."""

    particles: int = 128
    repeats: int = 1
    moves: int = 0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.particles < 2:
            raise SettingsError(f"particles must be at least 2, not {self.particles}.")
        if self.repeats < 1:
            raise SettingsError(f"repeats must be at least 1, not {self.repeats}.")
        if self.particles * self.repeats > MOST:
            raise SettingsError(f"particles times repeats must be at most {MOST:,}, not {self.particles * self.repeats:,}.")
        if self.moves < 0:
            raise SettingsError(f"moves must be 0 (none) or more, not {self.moves}.")
        if not 0 < self.threshold <= 1:
            raise SettingsError(f"threshold must be above 0 and at most 1, not {self.threshold}.")


class ParticleCompleter(Completer):
    """Completes by particles. `trace` shows `count` of them as they are drawn, and at the end `count` draws by weight.

    In drawing order, with a column for each of the repeats · N particles (one for all while they are the same): `values`
    (D, B), and in nats `log_p` of the values at T = 1, `log_q` of what was drawn (0 where known), `potential` what the weight
    was multiplied by, `entropy` at T = 1. `log_w` (B,) is the weight since the last resampling, `log_z` (repeats,) everything
    before it. The trace keeps no distributions: a forward pass gives them again.
    """

    def __init__(
        self, model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, count: int, settings: SampleSettings,
        y: Tensor | int | None = None, *, particles: ParticleSettings | None = None, evidence: Evidence | None = None,
        reason: str = "",
    ) -> None:
        check_count(model.spec, count)
        if isinstance(y, Tensor) and y.numel() > 1:
            if len(y.unique()) > 1:
                raise SettingsError("Particles complete one image of one class; give a single class.")
            y = y.reshape(-1)[:1]
        super().__init__(model, x, known, 1, settings, y, kind="particles", reason=reason)
        self.particles, self.evidence = particles or ParticleSettings(), evidence
        shape, classes = (self.particles.repeats, self.particles.particles), self.trace.classes
        self.shape, sites = shape, model.spec.sites
        self.trace = Trace(model.spec, model.order, count, pmf_bytes=0)
        self.trace.classes[:] = classes
        self.shown = np.linspace(0, shape[0] * shape[1] - 1, count).astype(np.int64)
        hidden = np.flatnonzero(~self.is_given)
        self.last_hidden = int(hidden[-1])
        self._make_room()
        self.rng, self.progress = np.random.default_rng(settings.seed % 2**64), Progress()
        given = np.asarray(x).reshape(-1)[self.trace.sites].astype(np.int64 if model.spec.levels else np.float64)
        self.values = np.zeros((sites, 1), dtype=given.dtype)
        self.log_p, self.log_q, self.potential, self.entropy = (np.zeros((sites, 1)) for _ in range(4))
        self.log_w, self.log_z = np.zeros(1), np.zeros(shape[0])
        self.together = True                               # all particles are the same so far, and are one record
        self.since = np.zeros(shape[0], dtype=np.int64)    # the first step whose potential is in log_w, a population
        self.used = np.zeros(shape[0])                     # the power to which it has been used up, while tempering
        self.weighed = False                               # whether anything was weighed since weights were evened out
        self.followed: np.ndarray | slice = slice(None)    # columns the decoder still has
        self.fewest = float(shape[1])                      # effective particles of a population, the lowest so far
        self.resamplings = self.moves_tried = 0
        self.moves_taken = 0.0
        self.proposal = Proposal(model, settings, given, self.is_given, evidence)

    @property
    def classes(self) -> Tensor:
        """(count,) class rows of the images; num_classes means none."""
        return self.decoder.classes[:1].expand(self.trace.count)

    def _make_room(self) -> None:
        """Exchange the decoder for one made for all particles, and keep one of its rows (with guidance two) for now."""
        several, rows = self.shape[0] * self.shape[1], self.decoder.classes
        y = torch.where(rows == self.model.num_classes, -1, rows).repeat_interleave(several)
        self.decoder = self.drawn.decoder(len(y), y)
        self.decoder.resample(torch.arange(0, len(y), several, device=y.device))

    def run(self, progress: Progress | None = None, until: int | None = None) -> Trace:
        self.progress = progress or Progress()
        return super().run(self.progress, until)

    @torch.inference_mode()
    def step(self, limit: int | None = None) -> bool:
        """Draw the next site of every particle, or weigh the known ones up to the end of their row; False when all are
        complete."""
        trace, t = self.trace, self.trace.cursor
        if t >= trace.spec.sites:
            return False
        while self.decoder.position < t:    # somebody stopped in the middle of a move
            self.push(self.values[self.decoder.position])
        if self._due(t):
            self._balance(t)
            self.progress.check()
        end = min(self._run_ends(t), trace.spec.sites if limit is None else max(limit, t + 1))
        found = self._weighed(t, end) if self.is_given[t] else self._drawn(t)
        for record, part in zip(self.records(), found, strict=True):
            record[t:end, self.followed] = part
        self.show_again(end, t)
        trace.origin[:, t:end] = KNOWN if self.is_given[t] else DRAWN
        self.log_w[self.followed] += found[3].sum(0)
        self.weighed = self.weighed or self.is_given[t] or self.evidence is not None
        trace.cursor = end
        if self.particles.moves and end == trace.spec.sites and self.weighed and not self.together:
            self._balance(end)
        elif t > self.last_hidden and not self.particles.moves and not self.together:
            self._let_go()
        return True

    def _run_ends(self, t: int) -> int:
        """Where the sites end that are taken together with step t: known ones of one row."""
        if not self.is_given[t]:
            return t + 1
        channels, a_row = self.trace.spec.channels, self.trace.spec.width * self.trace.spec.channels
        several = max(1, SITES // self.decoder.batch // channels) * channels
        row = self.is_given[t:min((t // a_row + 1) * a_row, t + several)]
        return t + (len(row) if row.all() else int(row.argmin()))

    def _weighed(self, t: int, end: int) -> Outcome:
        """Give the decoder the known values of steps t … end − 1; what `Proposal` says of them, (end − t, B) each."""
        rows = self.decoder.batch // (1 + self.guided)
        values = torch.from_numpy(self.proposal.given[t:end]).to(self.decoder.x)
        params = self.decoder.follow(values.expand(self.decoder.batch, -1))[:rows]          # (B, end − t, P)
        return self.proposal.weighed(t, end, params.cpu().numpy().astype(np.float64))

    def _drawn(self, t: int) -> Outcome:
        """Draw step t and push it; what `Proposal` says of it, (1, B) each, from one record to many if they differ."""
        site, several = self.decoder.site(), self.shape[0] * self.shape[1]
        params = self.decoder.params().cpu().numpy().astype(np.float64)
        found = self._outcome(t, site, params.repeat(several, 0) if self.together else params)
        if self.together:
            if (found[0] == found[0][0]).all():
                found = tuple(part[:1] for part in found)
            else:
                self._spread_out()
        self.push(found[0])
        return tuple(part[None] for part in found)

    def _outcome(self, t: int, site: tuple[int, int, int], params: np.ndarray) -> Outcome:
        """What is drawn of all particles at step t."""
        return self.proposal.outcome(t, site, params, self.rng)

    def records(self) -> tuple[np.ndarray, ...]:
        """`values`, `log_p`, `log_q`, `potential` and `entropy`, (D, B) each."""
        return self.values, self.log_p, self.log_q, self.potential, self.entropy

    def push(self, values: np.ndarray) -> None:
        """Give (B,) values to the decoder, twice where it holds every image with its class and without."""
        values = np.concatenate([values, values]) if self.guided else values
        self.decoder.push(torch.from_numpy(values).to(self.decoder.x.device))

    def select(self, rows: np.ndarray) -> None:
        """Keep these rows of the decoder, in both halves where it has two."""
        if self.guided:
            rows = np.concatenate([rows, rows + self.decoder.batch // 2])
        index = torch.from_numpy(rows).to(self.decoder.x.device)
        (self.decoder.select if self.particles.moves else self.decoder.resample)(index)    # moves go back

    def rewind(self, step: int) -> None:
        """Raises SettingsError: particles have been chosen by what came later."""
        raise SettingsError("Particles have been chosen by what came later and cannot go back; complete the picture again.")

    def _spread_out(self) -> None:
        """From one record, while all particles were the same, to one for each."""
        several = self.shape[0] * self.shape[1]
        self.select(np.zeros(several, dtype=np.int64))
        self.values, self.log_p, self.log_q, self.potential, self.entropy = (r.repeat(several, 1) for r in self.records())
        self.log_z += self.log_w[0]
        self.log_w, self.weighed, self.together = np.zeros(several), False, False
        self.since[:] = self.trace.cursor

    def _due(self, t: int) -> bool:
        """Whether weights may be evened out before step t: a hidden site after evidence, or with moves a new row."""
        if not self.weighed or self.together:
            return False
        a_row = self.trace.spec.width * self.trace.spec.channels
        return not self.is_given[t] or (self.particles.moves > 0 and t > self.last_hidden and t % a_row == 0)

    def _balance(self, t: int) -> None:
        """Resample the populations in which too few particles are effective, in stages where `moves` can use them."""
        repeats, particles = self.shape
        wanted = self.particles.threshold * particles
        before = effective(self.log_w.reshape(self.shape))
        poor = (before < wanted) | (self.used > 0)
        if not self.particles.moves:
            self.fewest = min(self.fewest, float(before.min()))
        for stage in range(STAGES):
            if not poor.any():
                break
            log_w = self.log_w.reshape(self.shape)
            tempering = self.particles.moves > 0 and stage < STAGES - 1
            power = np.where(poor, tempered(log_w, min(wanted, particles / 2)) if tempering else 1.0, 0.0)[:, None]
            share = np.where(power == 1, log_w, power * np.maximum(log_w, -1e300))
            self.log_z += np.where(poor, log_mean(share), 0.0)
            self._resample(self._ancestors(normalised(share), poor), t)
            self.used = self.used + (1 - self.used) * power[:, 0]
            self._weigh(t)
            for _ in range(self.particles.moves):
                self.moves_taken += rejuvenate(self, t, self.used, np.repeat(poor, particles))
                self.moves_tried += 1
                self._weigh(t)
            poor = poor & (self.used < 1)
        self.since = np.where(self.used > 0, t, self.since)
        self.weighed, self.used = False, np.zeros(repeats)

    def _uniforms(self, weights: np.ndarray) -> np.ndarray:
        """(R, N) weights -> (R,) uniforms by which they are resampled."""
        return self.rng.random(len(weights))

    def _ancestors(self, weights: np.ndarray, poor: np.ndarray) -> np.ndarray:
        """(R, N) weights and which of the populations are resampled by them -> (R · N,) who takes each place."""
        columns = np.arange(weights.size).reshape(self.shape)
        index = systematic(weights, self._uniforms(weights)) + columns[:, :1]
        return in_place(np.where(poor[:, None], index, columns).reshape(-1))

    def _weigh(self, t: int) -> None:
        """Set the weights to what is left of the evidence since each population's last resampling."""
        used = self.used
        pending = np.arange(t)[:, None] >= self.since                                  # (t, R)
        sums = np.where(pending[:, :, None], self.potential[:t].reshape(t, *self.shape), 0.0).sum(0)
        self.log_w = np.where(used[:, None] < 1, (1 - used)[:, None] * np.maximum(sums, -1e300), 0.0).reshape(-1)

    def _resample(self, index: np.ndarray, t: int) -> None:
        """Particle i becomes what particle index[i] was, in the decoder, the records and the images shown."""
        self.resamplings += 1
        self.select(index)
        moved = np.flatnonzero(index != np.arange(len(index)))
        for record in self.records():
            record[:t, moved] = record[:t, index[moved]]
        self.log_w = self.log_w[index]
        self.show_again(t)

    def show_again(self, t: int, first: int = 0) -> None:
        """Bring the images shown in line with the particles, from a first step to before step t."""
        trace, columns = self.trace, np.zeros_like(self.shown) if self.together else self.shown
        for shown, record in ((trace.values, self.values), (trace.log_probs, self.log_p), (trace.entropies, self.entropy)):
            shown[:, first:t] = record[first:t, columns].T

    def _let_go(self) -> None:
        """Stop following particles that have no weight left; no hidden site is to come, so they cannot return."""
        log_w = self.log_w.reshape(self.shape)
        kept = np.flatnonzero((log_w >= log_w.max(1, keepdims=True) - LOST).reshape(-1))
        rows = np.arange(len(self.log_w))[self.followed]
        if len(kept) < 0.8 * len(rows):
            self.select(np.searchsorted(rows, kept))
            self.log_w[np.setdiff1d(rows, kept)] = -np.inf
            self.followed = kept

    def log_evidence(self) -> np.ndarray:
        """(repeats,) log Ẑ of what has been met so far, nats."""
        if self.together:
            return self.log_z + self.log_w[0]
        return self.log_z + log_mean(self.log_w.reshape(self.shape))

    def weights(self) -> np.ndarray:
        """(repeats, N) weights of all particles, which sum to one; populations count by their Ẑ."""
        log_w = self.log_w.reshape(self.shape)
        return normalised((self.log_z[:, None] + log_w).reshape(1, -1)).reshape(self.shape)

    def finish(self) -> Completion:
        """The Completion: `count` draws by weight. See `Completer.finish`."""
        end, log_z = self.trace.cursor, self.log_evidence()
        if self.together:
            self._spread_out()
        weights = self.weights().reshape(1, -1)
        total, u = weights.shape[1], np.random.default_rng([self.settings.seed % 2**64, 1]).random(2)
        self.shown = chosen = systematic(weights, u[:1], self.trace.count)[0]
        self.show_again(end)
        begun = np.flatnonzero(~self.is_given[:end])
        begun = begun[:(len(begun) + 1) // 2]
        survivors = np.unique(systematic(weights, u[1:], total)[0])
        population = Population(
            self.shape[1], log_z, min(self.fewest, float(effective(self.log_w.reshape(self.shape)).min())),
            len(np.unique(self.values[begun][:, survivors], axis=1).T), self.resamplings, self.moves_tried,
            self.moves_taken / max(1, self.moves_tried), self.trace.order.kind == "raster",
        )
        joint = (self.log_q[:end] + self.potential[:end]).sum(0)[chosen]
        return self._completion(joint - population.log_evidence, population)

    def _completion(self, log_prob: np.ndarray, population: Population | None) -> Completion:
        return Completion(
            self.trace, self._images(), log_prob, self.known, 0, self.kind, self._sentence(), self.reason, population
        )

    def _sentence(self) -> str:
        repeats, count = self.shape
        told = "" if self.evidence is None else " and what is told about others"
        many = f"{count} particles" if repeats == 1 else f"{repeats} times {count} particles"
        return (
            f"Particles: {many} weigh all {int(self.known.sum())} known pixels{told}, those after a hidden one too. "
            "Exact in the limit of many."
        )
