"""Weights of particles, in float64 logs: their effective number, tempering, and systematic resampling.

Arrays are (repeats, particles); every row is a population of its own.
"""

from __future__ import annotations

import numpy as np


def log_mean(log_w: np.ndarray) -> np.ndarray:
    """(R, N) log weights -> (R,) log of their mean; −∞ where all are."""
    top = log_w.max(1)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return safe + np.log(np.exp(log_w - safe[:, None]).mean(1))


def normalised(log_w: np.ndarray) -> np.ndarray:
    """(R, N) log weights -> (R, N) weights that sum to one; equal ones where all are −∞."""
    top = log_w.max(1, keepdims=True)
    w = np.exp(log_w - np.where(np.isfinite(top), top, 0.0))
    w[~np.isfinite(top[:, 0])] = 1.0
    return w / w.sum(1, keepdims=True)


def effective(log_w: np.ndarray) -> np.ndarray:
    """(R, N) log weights -> (R,) effective number of particles, (Σ w)² / Σ w². Kong et al. 1994."""
    return 1.0 / np.square(normalised(log_w)).sum(1)


def tempered(log_w: np.ndarray, wanted: float) -> np.ndarray:
    """(R, N) log weights -> (R,) the first of the powers 1, ½, ¼, … that leaves `wanted` effective particles.

    Powers from a grid: one fitted to the very weights it is used on depends more on each of them.
    Jasra et al. 2011, section 3.2, fit it.
    """
    power, finite = np.ones(len(log_w)), np.maximum(log_w, -1e300)
    for _ in range(30):
        few = effective(power[:, None] * finite) < wanted
        if not few.any():
            break
        power[few] /= 2
    return power


def systematic(weights: np.ndarray, u: np.ndarray, count: int = 0) -> np.ndarray:
    """(R, N) weights that sum to one and (R,) uniforms -> (R, count) indices of particles in ascending order, each
    particle w · count times up to rounding; count 0 is N. Carpenter et al. 1999."""
    repeats, particles = weights.shape
    count = count or particles
    places = (np.arange(count) + u[:, None]) / count + np.arange(repeats)[:, None]
    steps = np.cumsum(weights, 1)
    steps /= steps[:, -1:]
    index = np.searchsorted((steps + np.arange(repeats)[:, None]).reshape(-1), places.reshape(-1), side="right")
    index = index.reshape(repeats, count) - particles * np.arange(repeats)[:, None]
    last = particles - 1 - (weights[:, ::-1] > 0).argmax(1)    # rounding may have led past the last that can be
    return np.minimum(index, last[:, None])


def in_place(index: np.ndarray) -> np.ndarray:
    """(N,) particles to go on with -> the same in an order in which each that is among them keeps its place, and the others'
    places are taken by copies."""
    often = np.bincount(index, minlength=len(index))
    places = np.arange(len(index))
    places[often == 0] = np.repeat(places, np.maximum(often - 1, 0))
    return places
