"""Faster ways to compute a step on CUDA, each measured on the training's own batches before it is taken, never assumed.

`try_half` computes products in bfloat16, `try_compiled` has torch.compile write the loss and its gradient as a few kernels.
Each computes the gradients of a batch from the same random numbers as the step that is in use, in turns, and is taken if it is
faster, the loss differs by little and the gradient hardly; otherwise, or where a model cannot, everything stays as it was.
Weights, their average, the optimiser and all validation are float32 and the plain model's either way, so that published figures
never depend on it. Written without a GPU at hand: the tests run all of it on a CPU, where `Trainer` never asks.

Compiling takes a minute, so it is tried once, where the budget left is long enough to win that back (`LONG`). What compiling
took is gone by the time its gain is known: whatever is faster is taken then, and the sentence says when the time is won back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from arstudio.progress import Progress

if TYPE_CHECKING:
    from arstudio.training.descent import Descent
    from arstudio.training.workers import Workers

TURNS = 3
LONG = 15 * 60.0    # seconds left in which a tenth is more than the 27 to 47 s that compiling took on two cores


def offered(device: torch.device, workers: Workers) -> bool:
    """Whether other ways are tried at all: on CUDA, in one process."""
    return device.type == "cuda" and workers.size == 1


@dataclass(frozen=True)
class Limits:
    """What another way must be to be taken: at least so many times faster, with a loss that differs by at most a share, and a
    gradient that differs by at most a share of its length."""

    faster: float
    loss: float
    gradient: float


HALF, COMPILED = Limits(1.15, 0.01, 0.14), Limits(1.1, 0.001, 0.01)


@dataclass(frozen=True)
class Trial:
    """Seconds of a batch's gradients and nats per image as before and in another way, and |g' − g| / |g| of the gradients."""

    seconds: float
    other_seconds: float
    nats: float
    other_nats: float
    difference: float

    def pays(self, limits: Limits) -> bool:
        """Whether to compute in the other way."""
        return self.alike(limits) and self.seconds >= limits.faster * self.other_seconds

    def alike(self, limits: Limits) -> bool:
        """Whether both ways compute the same; False for what is no number."""
        return abs(self.other_nats - self.nats) <= limits.loss * abs(self.nats) and self.difference <= limits.gradient

    @property
    def times(self) -> float:
        """Times faster."""
        return self.seconds / self.other_seconds

    def half_sentence(self) -> str:
        """For people, of bfloat16."""
        return (
            f"Products are computed in bfloat16: {self.times:.1f} times faster, the loss of the first "
            f"batch differs by {abs(self.other_nats / self.nats - 1):.2%}."
        )


def try_half(descent: Descent, x: Tensor, y: Tensor | None) -> Trial | None:
    """Compute the gradients of a batch with float32 and bfloat16; None where the model cannot. Weights, `half` and torch's
    generators are left as they were."""
    try:
        return _measure(descent, x, y, half=True)
    except (RuntimeError, TypeError):
        return None


class CompiledLoss:
    """The loss of a model as torch.compile makes it, for batches of the shape of the first; others are computed as written, so
    that no step ever waits for a compiler again. The model itself is not touched, and random numbers are torch's own."""

    def __init__(self, loss: Callable[..., Tensor], backend: str = "inductor") -> None:
        options = {"fallback_random": True} if backend == "inductor" else None
        self._loss = torch.compile(loss, fullgraph=True, dynamic=False, backend=backend, options=options)
        self._ready = False

    def __call__(self, x: Tensor, y: Tensor | None) -> Tensor:
        if not self._ready:
            self._ready = True
            return self._loss(x, y)
        with torch.compiler.set_stance("eager_on_recompile"):
            return self._loss(x, y)


@dataclass(frozen=True)
class Compilation:
    """What compiling gave: the loss, what it took in seconds, and the trial of it; or why there is none."""

    loss: CompiledLoss | None
    took: float
    trial: Trial | None
    limits: Limits
    trouble: str = ""

    @property
    def pays(self) -> bool:
        """Whether to compute with it."""
        return self.trial is not None and self.trial.pays(self.limits)

    def sentence(self) -> str:
        """For people."""
        tried, trial = f"torch.compile was tried for {self.took:.0f} s and is not used: ", self.trial
        if trial is None:
            return f"{tried}it cannot compile this model here ({self.trouble})."
        if not trial.alike(self.limits):
            return f"{tried}it does not compute the same."
        if not self.pays:
            return f"{tried}a step would be {trial.times:.2f} times faster."
        back = self.took / (1 - 1 / trial.times)    # seconds of plain training after which as many are saved
        return (
            f"Steps are compiled: {trial.times:.1f} times faster, which wins back the {self.took:.0f} s of compiling "
            f"within {back:,.0f} s."
        )


def try_compiled(descent: Descent, x: Tensor, y: Tensor | None, progress: Progress, backend: str = "inductor") -> Compilation:
    """Compile the loss for batches like this one and compute its gradients both ways.

    Whatever goes wrong, a missing compiler or a model that torch.compile cannot take as a whole, is said in the result.
    Weights, `compiled` and torch's generators are left as they were. Raises Cancelled as soon as compiling is over, which
    nobody can interrupt.
    """
    limits = HALF if descent.half else COMPILED    # both ways are in bfloat16 then, and round at different places
    torch.compiler.reset()    # what another training of this process compiled
    _gradients(descent, x, y)    # what a model keeps from its first step would make what was compiled before it out of date
    started = time.perf_counter()
    trial, trouble, loss = None, "", None
    try:
        loss = CompiledLoss(descent.model.loss, backend)
        _gradients(descent, x, y, compiled=loss)
    except Exception as error:
        trouble = _first_line(error)
    took = time.perf_counter() - started
    progress.check()
    if not trouble:
        try:
            trial = _measure(descent, x, y, compiled=loss)
        except Exception as error:
            trouble = _first_line(error)
    return Compilation(loss, took, trial, limits, trouble)


def _measure(descent: Descent, x: Tensor, y: Tensor | None, **other: Any) -> Trial:
    """Gradients of a batch with the attributes of `descent` as they are and with some others, in turns."""
    plain = {name: getattr(descent, name) for name in other}
    seconds, nats, gradients = {}, {}, {}
    for changed in TURNS * (False, True):
        started = time.perf_counter()
        nats[changed], gradients[changed] = _gradients(descent, x, y, **(other if changed else plain))
        seconds[changed] = min(time.perf_counter() - started, seconds.get(changed, math.inf))
    difference = float((gradients[True] - gradients[False]).norm() / gradients[False].norm())
    return Trial(seconds[False], seconds[True], nats[False], nats[True], difference)


def _gradients(descent: Descent, x: Tensor, y: Tensor | None, **attributes: Any) -> tuple[float, Tensor]:
    """Nats per image and all gradients of a batch with some attributes of `descent`, which are put back afterwards."""
    kept = {name: getattr(descent, name) for name in ("part", *attributes)}
    device = descent.model.device
    try:
        for name, value in attributes.items():
            setattr(descent, name, value)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            nats = descent.gradients(x, y)    # ends with reading the loss, so a GPU has finished too
        return nats, torch.cat([p.grad.flatten() for p in descent.model.parameters() if p.grad is not None])
    finally:
        for name, value in kept.items():
            setattr(descent, name, value)
        descent.optimiser.zero_grad(set_to_none=True)


def _first_line(error: Exception) -> str:
    error = getattr(error, "inner_exception", error)    # of a compiler
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}"[:160].rstrip(": .")
