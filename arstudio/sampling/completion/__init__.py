"""Completing an image: some sites are known, the rest is drawn.

    clamp       each hidden site follows what comes before it in the model's order; what comes later is ignored
    particles   sequential Monte Carlo: everything known counts, the more exactly the more particles
    exact       known sites first in an order of a model that has every order, or clamping where it ignores nothing
    auto        exact where there is an exact way, else particles

    work = completion_sampler(model, x, known, count=8, settings=SampleSettings(seed=1), method="auto")
    work.run(progress)          # work.trace fills in; Cancelled leaves it as it is
    result = work.finish()      # also after a stop

`work.kind` and `work.reason` say which and why, `result.sentence` what was conditioned on, `result.trust` how far to trust it.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Progress
from arstudio.sampling.choice import methods
from arstudio.sampling.completion.auto import KINDS, choose
from arstudio.sampling.completion.clamp import (
    BlockCompleter,
    Completer,
    clamp_sentence,
    exact_model,
    hidden_log_prob,
    ignored_pixels,
)
from arstudio.sampling.completion.evidence import Evidence
from arstudio.sampling.completion.masks import MASKS, picture_mask, preset_mask
from arstudio.sampling.completion.particles import ParticleCompleter, ParticleSettings
from arstudio.sampling.completion.pinned import PinnedParticles
from arstudio.sampling.completion.result import Completion, Population, Trust, agreement
from arstudio.sampling.draw import SampleSettings

__all__ = [
    "KINDS", "MASKS", "Completer", "Completion", "Evidence", "ParticleCompleter", "ParticleSettings", "PinnedParticles",
    "Population", "Trust", "agreement", "choose", "clamp_sentence", "complete", "completion_sampler", "exact_model",
    "hidden_log_prob", "ignored_pixels", "picture_mask", "preset_mask",
]


def completion_sampler(
    model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, count: int, settings: SampleSettings,
    y: Tensor | int | None = None, *, method: str = "clamp", particles: ParticleSettings | None = None,
    evidence: Evidence | None = None, seconds: float = 0.0,
) -> Completer:
    """A sampler that completes x (C, H, W) where (H, W) `known` is False; see the module docstring.

    `evidence` tells how bright hidden pixels are about; it needs particles, and `auto` takes them. `seconds` is a time
    budget for `auto`, 0 for none. Raises ImageError, SpecMismatch or SettingsError with one sentence.
    """
    model.spec.check(x)
    known = np.asarray(known, dtype=bool)
    choice = choose(model, known, method, particles or ParticleSettings(), evidence, seconds, y)
    if choice.kind == "particles":
        return ParticleCompleter(
            choice.model, x, known, count, settings, y, particles=choice.particles, evidence=evidence, reason=choice.reason
        )
    kind = BlockCompleter if "blocks" in methods(choice.model) else Completer
    return kind(choice.model, x, known, count, settings, y, kind=choice.kind, reason=choice.reason)


def complete(
    model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, count: int = 8,
    settings: SampleSettings | None = None, y: Tensor | int | None = None, progress: Progress | None = None, *,
    method: str = "clamp", particles: ParticleSettings | None = None, evidence: Evidence | None = None,
) -> Completion:
    """Draw `count` completions of x (C, H, W) levels; known (H, W) bool, True where given.

    Known pixels come back unchanged. Raises ImageError, SpecMismatch or SettingsError for a bad task, Cancelled if stopped.
    """
    work = completion_sampler(
        model, x, known, count, settings or SampleSettings(), y, method=method, particles=particles, evidence=evidence
    )
    work.run(progress)
    return work.finish()
