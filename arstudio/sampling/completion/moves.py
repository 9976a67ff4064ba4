"""Rejuvenation: Metropolis moves inside the hidden sites, so that pixels drawn early regain diversity.

Resampling leaves many copies of few beginnings. A move takes a block of hidden sites, the same in all particles and of
random place and length, and draws it anew from the model's own conditionals; what was drawn after the block is kept.
With x' for x it is accepted with probability

    min(1, Π p(x'_t | x'_<t)^b_t / Π p(x_t | x_<t)^b_t)        over all sites after the start of the block but its own

where b_t is the power to which the evidence counts so far (1 unless weights are tempered). The block's own conditionals
cancel against the proposal. That leaves the distribution which the particles stand for as it is: Metropolis-Hastings with an
independent proposal within a block; Gilks & Berzuini 2001, "Following a moving target".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arstudio.sampling.completion.particles import ParticleCompleter


def rejuvenate(work: ParticleCompleter, t: int, power: np.ndarray, may: np.ndarray) -> float:
    """One move of the particles that `may` (B,), all drawn up to step t -> the share of those that took it.

    `power` (repeats,) is b for the evidence since `work.since`. The decoder holds old and new images side by side meanwhile.
    """
    hidden = np.flatnonzero(~work.is_given[:t])
    longest = int(np.log2(len(hidden)))
    length = 2 ** int(work.rng.integers(longest + 1))
    first = int(work.rng.integers(len(hidden)))
    block = hidden[first:first + length]
    start, count = int(block[0]), work.values.shape[1]
    inside = np.zeros(t, dtype=bool)
    inside[block] = True

    columns = np.arange(count)
    work.decoder.rewind(start)
    work.select(np.concatenate([columns, columns]))
    news = tuple(record[:t].copy() for record in work.records())
    for s in range(start, t):
        if work.progress.cancelled():
            work.select(columns)    # the old ones, which catch up if somebody goes on
            work.progress.check()
        site, params = work.decoder.site(), work.decoder.params().cpu().numpy().astype(np.float64)
        moved = params.reshape(-1, 2, count, params.shape[1])[:, 1].reshape(-1, params.shape[1])
        found = work.proposal.outcome(s, site, moved, work.rng, None if inside[s] else work.values[s])
        for new, column in zip(news, found, strict=True):
            new[s] = column
        work.push(np.concatenate([work.values[s], found[0]]))
    log_q, potential = news[2:4]
    pending = np.arange(start, t)[:, None] >= work.since                                # (steps, R)
    exponent = np.repeat(np.where(pending, power, 1.0), work.shape[1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = (exponent * (potential[start:] - work.potential[start:t])).sum(0)
        gain += np.where(inside[start:, None], 0.0, log_q[start:] - work.log_q[start:t]).sum(0)
        accepted = may & (np.log(work.rng.random(count)) < np.nan_to_num(gain, nan=-np.inf))
    for record, new in zip(work.records(), news, strict=True):
        record[:t, accepted] = new[:, accepted]
    work.select(np.where(accepted, columns + count, columns))
    work.show_again(t)
    return float(accepted.sum() / may.sum())
