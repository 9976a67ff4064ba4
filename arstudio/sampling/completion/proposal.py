"""What a site does to particles: the value each takes, how probable that was, and what it does to their weights.

    known            the value given; potential log p(x_t | x_<t)
    hidden           drawn from q(x_t | x_<t), the model's conditional under the settings; potential 0
    told about       drawn from q(x_t | x_<t) g(x_t) / Σ q g; potential log Σ q g.  Of reals drawn from q; potential log g(x_t)

With each goes the entropy of p(x_t | x_<t). Temperature, truncation and guidance act on q alone: evidence is weighed by
the model itself.
"""

from __future__ import annotations

import numpy as np
import torch

from arstudio.models.base import AutoregressiveModel
from arstudio.sampling.completion.evidence import Evidence
from arstudio.sampling.draw import SampleSettings, decide, decide_real, guide, reshape

Outcome = tuple[np.ndarray, ...]    # (B,) values, log p, log q, potential and entropy


class Proposal:
    """How particles draw. `given` (sites,) holds the known values in drawing order and `is_given` where they are."""

    def __init__(
        self, model: AutoregressiveModel, settings: SampleSettings, given: np.ndarray, is_given: np.ndarray,
        evidence: Evidence | None,
    ) -> None:
        self.spec, self.likelihood, self.settings, self.evidence = model.spec, model.likelihood, settings, evidence
        self.given, self.is_given, self.guided = given, is_given, settings.guidance > 0
        self.plain = settings.temperature == 1 and not settings.top_k and settings.top_p == 1 and not self.guided

    def weighed(self, t: int, end: int, params: np.ndarray) -> Outcome:
        """(B, end − t, P) parameters of known sites -> (end − t, B) values, log p, log q (0), potential (log p), entropy."""
        values = np.repeat(self.given[t:end, None], len(params), 1)
        flat = params.swapaxes(0, 1).reshape(-1, params.shape[2])
        log_pmf = self.likelihood.log_pmf_array(flat)
        log_p = self._log_p(flat, log_pmf, values.reshape(-1)).reshape(values.shape)
        return values, log_p, np.zeros_like(log_p), log_p, _entropy(log_pmf).reshape(values.shape)

    def outcome(
        self, t: int, site: tuple[int, int, int], params: np.ndarray, rng: np.random.Generator,
        kept: np.ndarray | None = None,
    ) -> Outcome:
        """Parameters at step t -> (B,) values, log p, log q, potential and entropy. A hidden site is drawn, or `kept` (B,)
        weighed; with guidance params are (2B, P)."""
        rows = len(params) // (1 + self.guided)
        if self.is_given[t]:
            return tuple(part[0] for part in self.weighed(t, t + 1, params[:rows, None]))
        log_pmf = self.likelihood.log_pmf_array(params)
        own = target = log_pmf[:rows]
        if self.guided:
            target = guide(own, log_pmf[rows:], self.settings.guidance)
        if not self.plain:
            with np.errstate(divide="ignore"):
                target = np.log(reshape(target, self.settings)[0])
        if self.spec.levels == 0:
            return self._real(site, params[:rows], own, target, rng, kept)
        target, potential = self._told(site, own, target)
        values = decide(np.exp(target), rng.random(rows))[0] if kept is None else kept
        each = np.arange(rows)
        return values, own[each, values], target[each, values], potential, _entropy(own)

    def _told(self, site: tuple[int, int, int], own: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, L) log-probabilities to draw from, times soft evidence and normalised, and (B,) the log of what it took."""
        soft = self.evidence.log_terms(self.spec, site, np.arange(self.spec.levels)) if self.evidence else None
        if soft is None:
            return target, np.zeros(len(target))
        both = target + soft
        top = both.max(1)
        possible = np.isfinite(top)
        top = np.where(possible, top, 0.0)
        with np.errstate(divide="ignore"):
            potential = top + np.log(np.exp(both - top[:, None]).sum(1))
        with np.errstate(invalid="ignore"):
            return np.where(possible[:, None], both - potential[:, None], own), potential

    def _real(
        self, site: tuple[int, int, int], params: np.ndarray, own: np.ndarray, target: np.ndarray, rng: np.random.Generator,
        kept: np.ndarray | None,
    ) -> Outcome:
        """`outcome` at a hidden site of a model of reals: drawn without looking at soft evidence, then weighed by it."""
        spec, values = self.spec, kept
        if values is None:
            middle, u = self.settings.temperature == 0, rng.random(len(own))
            values = decide_real(np.exp(target), own, u, self.likelihood, params, middle=middle)[0]
        log_p = log_q = self._log_p(params, own, values)
        if not self.plain:
            bins = np.clip(np.floor(values * spec.bins).astype(np.int64), 0, spec.bins - 1)[:, None]
            log_q = log_p + (np.take_along_axis(target, bins, 1) - np.take_along_axis(own, bins, 1))[:, 0]
        soft = self.evidence.log_terms(spec, site, values) if self.evidence else None
        return values, log_p, log_q, np.zeros(len(own)) if soft is None else soft, _entropy(own)

    def _log_p(self, params: np.ndarray, log_pmf: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(B,) log p of values at T = 1 and without guidance."""
        if self.spec.levels:
            return log_pmf[np.arange(len(values)), values]
        both = (torch.from_numpy(part) for part in (params[:len(values)], values))
        return self.likelihood.log_prob(*both).numpy()


def _entropy(log_pmf: np.ndarray) -> np.ndarray:
    """(B, L) log-probabilities -> (B,) entropy in nats."""
    return -(np.exp(log_pmf) * np.maximum(log_pmf, -1e30)).sum(1)
