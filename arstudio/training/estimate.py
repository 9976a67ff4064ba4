"""What a training will cost, measured before it starts: the trainer's own step on a few random batches.

    seconds per epoch = ⌈images / batch⌉ · seconds of a step
    memory            = images + 5 · weights (weights, gradient, Adam's two, EMA) + kept for the backward pass

What the backward pass keeps is counted on one small batch through `saved_tensors_hooks` and scaled, so a
choice that cannot fit is refused before it is tried. Validation and samples along the way are not included.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arstudio.data import DatasetInfo, ImageDataset, Split
from arstudio.image import ImageSpec
from arstudio.models.memory import available_bytes
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.loop import Trainer
from arstudio.training.setup import TooLarge, build, pick_device

SMALL = 2               # images in the batch that measures memory and warms up
PROBE_SECONDS = 0.3     # fast steps are repeated this long, for a steadier figure


@dataclass(frozen=True)
class Estimate:
    """`bytes` of memory at the largest moment; `device` is where it was measured."""

    parameters: int
    seconds_per_epoch: float
    bytes: int
    images_per_second: float
    device: str

    def epochs(self, minutes: float) -> float:
        """Passes over the images that fit into a time, without validation and samples."""
        return 60 * minutes / self.seconds_per_epoch


def estimate(
    model_name: str, spec: ImageSpec, num_classes: int, settings: dict[str, Any], batch: int, images: int,
    device: str = "auto", *, progress: Progress | None = None, available: int | None = None,
) -> Estimate:
    """Measure a training of `images` images of `spec` in batches of `batch`, leaving torch's generator as it
    was.

    Raises ConfigError for settings no model has, RunError for a batch or device that cannot be, TooLarge when
    it needs more than `available` bytes (what the machine has free, unless given), Cancelled.
    """
    progress = progress or Progress()
    config = TrainConfig(minutes=1, batch=batch, warmup=0)
    place = pick_device(device)
    with torch.random.fork_rng(devices=[]):
        model = build(model_name, spec, num_classes, settings, 0).to(place)
        progress.check()
        trainer = Trainer(model, _random_images(spec, num_classes, max(batch, SMALL)), config, None)
        kept = _kept_for_backward(trainer)
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        site = 1 if spec.levels else 4    # bytes: uint8 levels, float32 reals
        total = images * spec.sites * site + 5 * weights + math.ceil(kept * batch / SMALL)
        free = available if available is not None else available_bytes(place)
        if free is not None and total > 0.9 * free:
            raise TooLarge(
                f"{model.title} on {spec} needs about {total / 1e9:.1f} GB in batches of {batch}, and "
                f"{free / 1e9:.1f} GB are free; choose a smaller batch, a smaller size or fewer levels."
            )
        seconds = _step_seconds(trainer, batch, progress)
    return Estimate(
        model.num_parameters, math.ceil(images / batch) * seconds, total, batch / seconds, str(place)
    )


def _random_images(spec: ImageSpec, num_classes: int, count: int) -> ImageDataset:
    rng = np.random.default_rng(0)
    if spec.levels:
        x = rng.integers(0, spec.levels, (count, *spec.shape), dtype=np.uint8)
    else:
        x = rng.random((count, *spec.shape), dtype=np.float32)
    y = rng.integers(0, num_classes, count) if num_classes else None
    info = DatasetInfo("probe", "probe", spec, {"train": count})
    return ImageDataset(info, spec, {"train": Split(x, y)}, "")


def _kept_for_backward(trainer: Trainer) -> int:
    """Bytes that the backward pass of SMALL images holds on to, weights not counted."""
    known = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    kept: dict[int, int] = {}

    def keep(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        trainer.step(*trainer.batches.first(SMALL))
    return sum(kept.values())


def _step_seconds(trainer: Trainer, batch: int, progress: Progress) -> float:
    """Fastest of at least two steps; more when they are quick, or disagree because the machine is busy."""
    x, y = trainer.batches.first(batch)
    times: list[float] = []
    while len(times) < 2 or sum(times) < (PROBE_SECONDS if _agree(times) else 8 * PROBE_SECONDS):
        progress.check()
        started = time.perf_counter()
        trainer.step(x, y)      # ends with reading the loss, so a GPU has finished too
        times.append(time.perf_counter() - started)
    return min(times)


def _agree(times: list[float]) -> bool:
    best, second = sorted(times)[:2]
    return second < 1.3 * best
