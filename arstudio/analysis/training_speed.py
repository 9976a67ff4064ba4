"""How fast a training step is: ours against Gated PixelCNN written in two other ways, in one process.

`plain` is the paper in masked convolutions, with our weights; a test holds its outputs to ours. `public` is the arrangement
that much public code has, at as many layers and channels; tests hold its parameters to within 3 % of ours, and what it sees to
a part of what ours sees. All take the same images. A step is everything between two batches: zeroing gradients, forward, loss,
backward and Adam; ours also clips the gradient, averages the weights (EMA) and reads the loss, which the others need not.
Repeats are interleaved, so that a machine that slows down slows all; medians are reported.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from arstudio.analysis.benchmarks import load_average
from arstudio.analysis.plain_gated import PlainGated, weights_that_count
from arstudio.analysis.public_gated import PublicGated
from arstudio.data import DatasetInfo, ImageDataset, Split
from arstudio.image import ImageSpec
from arstudio.models import memory, threads
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.loop import Trainer
from arstudio.training.record import machine
from arstudio.training.setup import build, pick_device

HEAD = 32    # features before the output
DILATIONS = (1, 2, 3, 4, 1, 2, 3)    # see 16 rows up, as the public network of as many layers does


@dataclass(frozen=True)
class StepFigures:
    """One network at one width: parameters without those that masks hide, the median seconds of a step, and how many times
    longer that is than ours."""

    channels: int
    network: str    # ours, plain or public
    parameters: int
    seconds: float
    images_per_second: float
    times_ours: float


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
    dilations: tuple[int, ...] = DILATIONS, device: str = "cpu", progress: Progress | None = None,
) -> TrainingBenchmark:
    """Time steps of networks of these widths on random images; see the module docstring. Publishes the figures of the
    repeats so far. Raises Cancelled if stopped, RunError for a batch or device that cannot be."""
    progress = progress or Progress()
    threads.use_all()
    memory.reuse()
    place, spec = pick_device(device), ImageSpec(1, side, side, levels)
    load = load_average()
    work = [_Contest(spec, width, batch, dilations, place) for width in channels]

    def so_far(repeats: int) -> TrainingBenchmark:
        protocol = (
            f"Gated PixelCNN, {len(dilations)} layers, ours and plain with dilations {','.join(map(str, dilations))}, {HEAD} "
            f"features before the output, {spec}, batches of {batch}, float32, {place}, {torch.get_num_threads()} threads, "
            f"torch {torch.__version__}, medians of {repeats} interleaved repeats in one process, load average {load:.1f} "
            "before. Plain: the paper in masked convolutions with our weights. Public: the arrangement of much public code. "
            "Both with Adam as torch has it, without clipping or average. Ours: the step of `arstudio train`, with both."
        )
        return TrainingBenchmark(
            spec, batch, len(dilations), repeats, str(place), machine(), torch.get_num_threads(), load, torch.__version__,
            protocol, tuple(row for contest in work for row in contest.figures()),
        )

    try:
        for repeat in range(-2, repeats):    # two to warm up
            for contest in work:
                progress.check()
                progress.report((repeat + 2) / (repeats + 2), f"{contest.channels} channels")
                contest.measure(keep=repeat >= 0)
            if repeat >= 0:
                progress.publish(so_far(repeat + 1))
    finally:
        memory.give_back()
    return so_far(repeats)


class _Contest:
    """The networks at one width, and their times."""

    def __init__(self, spec: ImageSpec, channels: int, batch: int, dilations: tuple[int, ...], place: torch.device) -> None:
        self.channels, self.batch, self.place = channels, batch, place
        model = build("gated_pixelcnn", spec, 0, {"channels": channels, "dilations": dilations, "head": HEAD}, seed=0).to(place)
        x = torch.randint(0, spec.levels, (batch, *spec.shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        info = DatasetInfo("probe", "probe", spec, {"train": batch})
        data = ImageDataset(info, spec, {"train": Split(x.numpy(), None)}, "")
        trainer, x = Trainer(model, data, TrainConfig(minutes=1, batch=batch, warmup=0), None), x.to(place)
        self.networks = {
            "ours": model, "plain": PlainGated(model).to(place),
            "public": PublicGated(spec.levels, channels, len(dilations), HEAD).to(place),
        }
        self.steps: dict[str, Callable[[], object]] = {"ours": lambda: trainer.step(x, None)}
        self.steps |= {name: _step(self.networks[name], x) for name in ("plain", "public")}
        self.seconds: dict[str, list[float]] = {name: [] for name in self.networks}

    def measure(self, keep: bool) -> None:
        """One step of each."""
        for name, step in self.steps.items():
            seconds = self._timed(step)
            if keep:
                self.seconds[name].append(seconds)

    def _timed(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        if self.place.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def figures(self) -> list[StepFigures]:
        """Medians and what follows from them."""
        medians = {name: statistics.median(seconds) for name, seconds in self.seconds.items()}
        return [
            StepFigures(
                self.channels, name, weights_that_count(self.networks[name]), seconds, self.batch / seconds,
                seconds / medians["ours"],
            )
            for name, seconds in medians.items()
        ]


def _step(network: PlainGated | PublicGated, x: Tensor) -> Callable[[], None]:
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        (network.nats(x) / x[0].numel()).backward()
        optimiser.step()

    return step
