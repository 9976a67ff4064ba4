"""Test and validation figures: mean negative log-likelihood in nats and bits per dimension,
every image counted once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Progress


@dataclass(frozen=True)
class Evaluation:
    """Mean −log p(x) over `images`; `stderr` is its standard error in nats."""

    nats: float
    bits_per_dim: float
    stderr: float
    images: int


@torch.inference_mode()
def evaluate(
    model: AutoregressiveModel, x: np.ndarray, y: np.ndarray | None = None, *, batch: int = 64,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate on images x (N, C, H, W) and, for class-conditional models, their classes y (N,).

    The last batch counts with its true size. Raises SpecMismatch if x does not fit the model,
    Cancelled if stopped.
    """
    progress = progress or Progress()
    model.spec.check(x)
    training, sums = model.training, np.empty(len(x))
    model.eval()
    try:
        for start in range(0, len(x), batch):
            progress.check()
            images = torch.from_numpy(np.ascontiguousarray(x[start:start + batch])).to(model.device)
            given = y is not None and model.num_classes > 0
            classes = torch.from_numpy(y[start:start + batch]).to(model.device) if given else None
            sums[start:start + batch] = -model.log_prob(images, classes).cpu().numpy()
            done = min(start + batch, len(x))
            progress.report(done / len(x), f"{done} of {len(x)} images")
    finally:
        model.train(training)
    nats = float(sums.mean())
    stderr = float(sums.std(ddof=1) / math.sqrt(len(sums))) if len(sums) > 1 else float("nan")
    return Evaluation(nats, model.spec.bits_per_dim(nats), stderr, len(sums))
