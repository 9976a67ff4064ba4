"""Which way to complete: exact where there is one, particles where there is none, and why in one sentence."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.models import threads
from arstudio.models.base import AutoregressiveModel
from arstudio.sampling.completion.clamp import exact_model, ignored_pixels
from arstudio.sampling.completion.evidence import Evidence
from arstudio.sampling.completion.particles import ParticleSettings
from arstudio.sampling.draw import SettingsError

KINDS = ("auto", "clamp", "particles", "exact")
FEWEST = 16    # particles below which clamping is no worse


@dataclass(frozen=True)
class Choice:
    """A way to complete: its `kind` (clamp, particles or exact), the model in the order to use, particles, and why."""

    kind: str
    model: AutoregressiveModel
    particles: ParticleSettings
    reason: str


def choose(
    model: AutoregressiveModel, known: np.ndarray, method: str, particles: ParticleSettings,
    evidence: Evidence | None = None, seconds: float = 0.0, y: Tensor | int | None = None,
) -> Choice:
    """The way that `method` names, or for "auto" the one that model, (H, W) mask, evidence and time allow.

    A budget of `seconds` (0: none) limits the particles to what a short trial says the machine can do in it.
    Raises SettingsError for a method there is not, that has no exact way, or that cannot use the evidence.
    """
    if method not in KINDS:
        raise SettingsError(f"There is no way to complete called {method!r}; choose one of {', '.join(KINDS)}.")
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise SettingsError(f"The time budget must be 0 (none) or a number of seconds, not {seconds}.")
    if evidence is not None:
        evidence.check(model.spec)
        if not (evidence.pixels() & ~known).any():
            evidence = None
    if method in ("clamp", "exact") and evidence is not None:
        raise SettingsError("Soft evidence needs particles: choose particles or auto.")
    if method == "clamp":
        return Choice("clamp", model, particles, "")
    if method == "exact":
        return Choice("exact", exact_model(model, known), particles, "")
    if evidence is not None and model.any_order:
        order = model.completion_order(known | evidence.pixels()).first(known)
        return Choice("particles", model.reordered(order), particles, _because(
            method, "the model draws in any order, so known pixels come first and those told about next, as particles."
        ))
    if method == "particles":
        return Choice("particles", model, particles, "")
    ignored = ignored_pixels(model, known)
    if evidence is None and ignored == 0:
        reason = "every known pixel comes before every hidden one in the model's order, so plain drawing is exact."
        return Choice("exact", model, particles, _because(method, reason))
    if evidence is None and model.any_order:
        reason = "the model draws in any order, so the known pixels come first."
        return Choice("exact", exact_model(model, known), particles, _because(method, reason))
    what = "pixels are told about softly" if evidence is not None else f"{ignored} known pixels come after a hidden one"
    able = affordable(model, particles, seconds, y) if seconds else particles.particles
    if able < FEWEST and evidence is None:
        reason = f"{what}, but {seconds:g} s allow fewer than {FEWEST} particles of this model, so they are ignored."
        return Choice("clamp", model, particles, _because(method, reason))
    able = max(able, 2)
    chosen = dataclasses.replace(particles, particles=able)
    count = f"{able * particles.repeats} particles"
    if able < particles.particles:
        count += f", as many as {seconds:g} s allow,"
    return Choice("particles", model, chosen, _because(method, f"{what}, which {count} take into account."))


def affordable(
    model: AutoregressiveModel, particles: ParticleSettings, seconds: float, y: Tensor | int | None = None
) -> int:
    """How many particles a population, at most those asked for and a power of two below that, a trial of a few sites
    promises within `seconds`."""
    able = particles.particles
    while able >= FEWEST:
        decoder = model.decoder(able * particles.repeats, y)
        steps = min(model.spec.sites, 2 * model.spec.width * model.spec.channels)
        zeros = torch.zeros(decoder.batch, dtype=decoder.x.dtype, device=decoder.x.device)
        started = time.perf_counter()
        with torch.inference_mode(), threads.single():
            for _ in range(steps):
                decoder.params()
                decoder.push(zeros)
        if (time.perf_counter() - started) / steps * model.spec.sites <= seconds:
            break
        able = 2 ** int(math.log2(able - 1))
    return able


def _because(method: str, reason: str) -> str:
    return f"Chosen because {reason}" if method == "auto" else ""
