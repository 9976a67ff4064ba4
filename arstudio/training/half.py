"""Whether a training on CUDA computes its products in bfloat16: measured on its own first batch, never assumed.

Both ways compute the same gradients from the same random numbers, in turns. Half the bits are taken if that is faster, the loss
differs by little and the gradient points the same way; otherwise, or where a model cannot, everything stays float32. Weights,
their average, the optimiser and all validation are float32 either way, so that published figures never depend on it. Written
without a GPU at hand: the tests run all of it on a CPU, where `Trainer` never asks.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from arstudio.training.descent import Descent

FASTER, LOSS, COSINE = 1.15, 0.01, 0.99    # times faster, share of the loss, between the gradients: at least, most, least
TURNS = 3


@dataclass(frozen=True)
class Trial:
    """Seconds of a batch's gradients and nats per image in float32 and with bfloat16, and the cosine between the gradients."""

    seconds: float
    half_seconds: float
    nats: float
    half_nats: float
    cosine: float

    @property
    def pays(self) -> bool:
        """Whether to compute with bfloat16."""
        close = abs(self.half_nats - self.nats) <= LOSS * abs(self.nats)    # False for what is no number
        return close and self.cosine >= COSINE and self.seconds >= FASTER * self.half_seconds

    def sentence(self) -> str:
        """For people."""
        return (
            f"Products are computed in bfloat16: {self.seconds / self.half_seconds:.1f} times faster, the loss of the first "
            f"batch differs by {abs(self.half_nats / self.nats - 1):.2%}."
        )


def try_half(descent: Descent, x: Tensor, y: Tensor | None) -> Trial | None:
    """Compute the gradients of a batch both ways; None where the model cannot with bfloat16. Weights, `half` and torch's
    generators are left as they were."""
    before, seconds, nats, gradients = descent.half, {}, {}, {}
    try:
        for half in TURNS * (False, True):
            descent.half = half
            devices = [descent.model.device] if descent.model.device.type == "cuda" else []
            with torch.random.fork_rng(devices):
                torch.manual_seed(0)
                started = time.perf_counter()
                nats[half] = descent.gradients(x, y)    # ends with reading the loss, so a GPU has finished too
                took = time.perf_counter() - started
            seconds[half] = min(took, seconds.get(half, math.inf))
            gradients[half] = torch.cat([p.grad.flatten() for p in descent.model.parameters() if p.grad is not None])
    except (RuntimeError, TypeError):
        return None
    finally:
        descent.half = before
        descent.optimiser.zero_grad(set_to_none=True)
    cosine = float(torch.nn.functional.cosine_similarity(gradients[False], gradients[True], dim=0))
    return Trial(seconds[False], seconds[True], nats[False], nats[True], cosine)
