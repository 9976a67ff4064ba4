"""Test and validation figures: mean negative log-likelihood in nats and bits per dimension,
every image counted once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel
from arstudio.models.orders import Order
from arstudio.progress import Progress

RAW = 200         # validation images on which weights are compared with their average


@dataclass(frozen=True)
class Evaluation:
    """Mean −log p(x) over `images`, of reals −log density; `stderr` is its standard error in nats.
    `bits_per_dim` of reals is the bound on that of the native levels, where those are known. `each` (N,) are the nats of
    every image and `site_nats` (C, H, W) the mean of every site, None where a figure is not a sum over sites in one order."""

    nats: float
    bits_per_dim: float
    stderr: float
    images: int
    exact: bool = True    # False: an estimate of −log p(x), see `AutoregressiveModel.validation_loss`
    each: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    site_nats: np.ndarray | None = field(default=None, repr=False, compare=False)


@torch.inference_mode()
def evaluate(
    model: AutoregressiveModel, x: np.ndarray, y: np.ndarray | None = None, *, batch: int = 64,
    progress: Progress | None = None, native: int = 0, exact: bool = True, orders: Sequence[Order] = (),
) -> Evaluation:
    """Evaluate on images x (N, C, H, W) and, for class-conditional models, their classes y (N,). `native` levels are
    those that reals were dequantised from. `exact=False` takes the estimate of models with `slow_exact`, with the same
    random numbers every time, so that figures of one training can be compared. With `orders`, for models with
    `any_order`, the probabilities of whole images are averaged over them.

    The last batch counts with its true size. Publishes the figures of the images so far. Raises SpecMismatch if x does not
    fit the model, Cancelled if stopped.
    """
    progress = progress or Progress()
    model.spec.check(x)
    training, sums, sites = model.training, np.empty(len(x)), np.zeros(model.spec.shape)

    def so_far(count: int) -> Evaluation:
        nats, mean = sums[:count], float(sums[:count].mean())
        stderr = float(nats.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
        bits, of_sites = model.spec.bits_per_dim(mean, native), sites / count if exact and not orders else None
        return Evaluation(mean, bits, stderr, count, exact, nats, of_sites)

    exact = exact or not model.slow_exact
    generator = torch.Generator().manual_seed(0)
    model.eval()
    try:
        for start in range(0, len(x), batch):
            progress.check()
            images = torch.from_numpy(np.ascontiguousarray(x[start:start + batch])).to(model.device)
            given = y is not None and model.num_classes > 0
            classes = torch.from_numpy(y[start:start + batch]).to(model.device) if given else None
            if orders:
                nats = -model.ensemble_log_prob(images, classes, orders)
            elif exact:
                found = -model.log_prob_sites(images, classes).cpu().numpy().astype(np.float64)
                sites += found.sum(0)
                nats = torch.from_numpy(found.reshape(len(found), -1).sum(1))
            else:
                nats = model.validation_loss(images, classes, generator)
            sums[start:start + batch] = nats.cpu().numpy()
            done = min(start + batch, len(x))
            progress.report(done / len(x), f"{done} of {len(x)} images")
            progress.publish(so_far(done))
    finally:
        model.train(training)
    return so_far(len(x))


def raw_nats(
    model: AutoregressiveModel, average: Evaluation, x: np.ndarray, y: np.ndarray | None, progress: Progress, native: int,
) -> float:
    """What `model` reaches, whose averaged weights reached `average` on x and y: that figure and the mean difference on the
    first RAW images, which is far steadier than a figure of those images alone. NaN for a model with a closed form."""
    if model.closed_form:
        return math.nan
    count = min(RAW, average.images)
    raw = evaluate(model, x[:count], None if y is None else y[:count], progress=progress, native=native, exact=False)
    return average.nats + raw.nats - float(average.each[:count].mean())


def loss_map(site_nats: np.ndarray, spec: ImageSpec, native: int) -> np.ndarray:
    """(C, H, W) nats of sites -> (H, W) bits of pixels, of reals the bound on those of the native levels."""
    more = math.log(native) if native and not spec.levels else 0.0
    return (site_nats + more).sum(0) / math.log(2)


def units(spec: ImageSpec, native: int) -> str:
    """What the figures of a model of reals mean, in words to put behind a protocol; "" for levels."""
    if spec.levels:
        return ""
    return f"; nats of a density, bits/dim (nats + D ln {native}) / (D ln 2), a bound on that of the {native} levels"
