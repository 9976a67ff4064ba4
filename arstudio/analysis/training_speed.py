"""How fast a training step is: ours against Gated PixelCNN as public code writes it, in one process.

Both have the same weights, the same receptive field and take the same images; a test holds their outputs to each other.
A step is everything between two batches: zeroing gradients, forward, loss, backward and Adam; ours also clips the gradient,
averages the weights (EMA) and reads the loss, which the plain one need not. Repeats are interleaved, so that a machine that
slows down slows both; medians are reported.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from arstudio.analysis.plain_gated import PlainGated, weights_that_count
from arstudio.data import DatasetInfo, ImageDataset, Split
from arstudio.image import ImageSpec
from arstudio.models import threads
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.loop import Trainer, machine
from arstudio.training.setup import build, pick_device


@dataclass(frozen=True)
class StepFigures:
    """Medians for one width, in seconds a step; parameters without those that masks hide."""

    channels: int
    parameters: int
    plain_parameters: int
    seconds: float
    plain_seconds: float
    ratio: float
    images_per_second: float
    plain_images_per_second: float


@dataclass(frozen=True)
class TrainingBenchmark:
    """One run of `bench_training`; `protocol` says in words how the figures came about."""

    spec: ImageSpec
    batch: int
    layers: int
    repeats: int
    device: str
    machine: str
    threads: int
    load_before: float
    torch: str
    protocol: str
    rows: tuple[StepFigures, ...]


def bench_training(
    *, channels: tuple[int, ...] = (32, 64), batch: int = 32, side: int = 28, levels: int = 2, repeats: int = 7,
    dilations: tuple[int, ...] = (1, 2, 1, 4, 1, 2, 1), device: str = "cpu", progress: Progress | None = None,
) -> TrainingBenchmark:
    """Time steps of networks of these widths on random images; see the module docstring. Raises Cancelled if stopped,
    RunError for a batch or device that cannot be."""
    progress = progress or Progress()
    threads.use_all()
    place, spec = pick_device(device), ImageSpec(1, side, side, levels)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    work = [_Pair(spec, width, batch, dilations, place) for width in channels]
    for repeat in range(-2, repeats):    # two to warm up
        for pair in work:
            progress.check()
            progress.report((repeat + 2) / (repeats + 2), f"{pair.channels} channels")
            pair.measure(keep=repeat >= 0)
    protocol = (
        f"Gated PixelCNN, {len(dilations)} layers with dilations {','.join(map(str, dilations))}, {spec}, batches of {batch}, "
        f"float32, {place}, {torch.get_num_threads()} threads, torch {torch.__version__}, medians of {repeats} interleaved "
        f"repeats in one process, load average {load:.1f} before. Plain: the paper in masked convolutions, masks applied at "
        "every step, Adam as torch has it, without clipping or average. Ours: the step of `arstudio train`, with both."
    )
    return TrainingBenchmark(
        spec, batch, len(dilations), repeats, str(place), machine(), torch.get_num_threads(), load, torch.__version__, protocol,
        tuple(pair.figures() for pair in work),
    )


class _Pair:
    """Both networks at one width, and their times."""

    def __init__(self, spec: ImageSpec, channels: int, batch: int, dilations: tuple[int, ...], place: torch.device) -> None:
        self.channels, self.batch, self.place = channels, batch, place
        model = build("gated_pixelcnn", spec, 0, {"channels": channels, "dilations": dilations}, seed=0).to(place)
        self.plain = PlainGated(model).to(place)
        x = torch.randint(0, spec.levels, (batch, *spec.shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        info = DatasetInfo("probe", "probe", spec, {"train": batch})
        data = ImageDataset(info, spec, {"train": Split(x.numpy(), None)}, "")
        self.trainer = Trainer(model, data, TrainConfig(minutes=1, batch=batch, warmup=0), None)
        self.optimiser = torch.optim.Adam(self.plain.parameters(), lr=1e-3)
        self.x = x.to(place)
        self.ours: list[float] = []
        self.theirs: list[float] = []

    def measure(self, keep: bool) -> None:
        """One step of each."""
        ours, theirs = self._timed(lambda: self.trainer._step(self.x, None)), self._timed(self._plain_step)
        if keep:
            self.ours.append(ours)
            self.theirs.append(theirs)

    def _plain_step(self) -> None:
        self.optimiser.zero_grad()
        loss = self.plain.nats(self.x) / self.x[0].numel()
        loss.backward()
        self.optimiser.step()

    def _timed(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        if self.place.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def figures(self) -> StepFigures:
        """Medians and what follows from them."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        return StepFigures(
            self.channels, weights_that_count(self.trainer.model), weights_that_count(self.plain), ours, theirs, theirs / ours,
            self.batch / ours, self.batch / theirs,
        )
