"""How fast images are drawn: against the naive way, against one forward pass, against the arithmetic.

Everything is measured in one process. Each repeat goes once through every batch size and measures, one after
the other, a matrix product, one forward pass, drawing and, where it is affordable, naive drawing;
so a machine that slows down slows all of them. Medians over the repeats are reported.

    naive     one forward pass for each of the D sites: really run where that takes under a minute, and then
              the pixels must be the same; otherwise D × one timed pass, labelled "extrapolated" (a little
              less than the truth, because drawing from the pmf is left out)
    ρ         seconds of drawing by `method` / seconds of one forward pass of the same batch
    floor     2 · multiply-adds of one forward pass · batch / measured flop/s of a square matrix product
    decoder   the drawn values given to the model's decoder alone, site by site: what is left of a drawing when
              deciding, recording and the random numbers cost nothing
    peak      bytes that one more drawing added to the process at its highest, read from Linux's high-water mark or
              from CUDA's; it includes the weights as a first drawing prepares them, which a frozen model then keeps

A drawing is timed from the making of its decoder to the last pixel in the trace. The floor counts dense
multiply-adds as they are run, taps hidden by a mask included.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from arstudio.analysis.peak import forget_peak, peak_bytes
from arstudio.image import ImageSpec
from arstudio.models import create, threads
from arstudio.models.base import AutoregressiveModel
from arstudio.models.decoder import Decoder
from arstudio.models.row_steps import RowSteps
from arstudio.progress import Muted, Progress
from arstudio.sampling import Sampler, SampleSettings
from arstudio.sampling.sampler import balanced_classes, check_count
from arstudio.training.record import machine

AFFORDABLE = 60.0  # seconds of naive drawing, all repeats together, above which it is extrapolated


@dataclass(frozen=True)
class BatchFigures:
    """Medians for one batch size. `method` is what was drawn by and `why` the reason for it; `identical` says whether naive
    drew the same pixels (None: naive was not run); `naive_source` is "measured" or "extrapolated"; `cache_bytes` is what
    the decoder it was drawn by keeps for its images; `peak_bytes` is None where the system does not tell."""

    batch: int
    method: str
    why: str
    seconds: float
    sites_per_second: float
    naive_seconds: float
    naive_source: str
    ratio_to_naive: float
    forward_seconds: float
    rho: float
    floor_seconds: float
    ratio_to_floor: float | None
    decoder_seconds: float
    cache_bytes: int
    peak_bytes: int | None
    identical: bool | None


@dataclass(frozen=True)
class SamplingBenchmark:
    """One run of `bench_sampling`. Load averages are of one minute, before and after; NaN where the system
    has none. `protocol` says in words how the figures came about and belongs beside them."""

    model: str
    architecture: str
    spec: ImageSpec
    parameters: int
    multiply_adds: int
    matrix_gflops: float
    device: str
    machine: str
    threads: int
    processors: int
    load_before: float
    load_after: float
    busy: bool
    repeats: int
    torch: str
    protocol: str
    rows: tuple[BatchFigures, ...]


def reference_network() -> AutoregressiveModel:
    """The network published figures are about: Gated PixelCNN, 11 layers × 128 channels, 28×28, 2 levels;
    weights from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        spec = ImageSpec(1, 28, 28, 2)
        return create("gated_pixelcnn", spec, channels=128, dilations=(1,) * 11).eval()


def bench_sampling(
    model: AutoregressiveModel,
    name: str,
    *,
    batches: tuple[int, ...] = (1, 16, 64),
    method: str = "auto",
    repeats: int = 3,
    affordable: float = AFFORDABLE,
    progress: Progress | None = None,
) -> SamplingBenchmark:
    """Measure drawing `batches` images at once; see the module docstring. Publishes the figures of the repeats so far, without
    peaks. Raises Cancelled if stopped, SettingsError for a method that does not exist or more images than memory can record.

    `affordable` is how many seconds naive drawing may take for one batch size, all repeats together.
    """
    progress = progress or Progress()
    for batch in batches:
        check_count(model.spec, batch)
    before = load_average()
    model = model.frozen()    # as the program opens models
    work = [_Work(model, batch, method, affordable, repeats) for batch in batches]
    matrix: list[float] = []
    multiply_adds, processors = _multiply_adds(model), os.cpu_count() or 1
    busy = before > 0.25 * processors

    def so_far(repeats: int) -> SamplingBenchmark:
        flops = statistics.median(matrix)
        return SamplingBenchmark(
            name, model.name, model.spec, model.num_parameters, multiply_adds, flops / 1e9, str(model.device), machine(),
            torch.get_num_threads(), processors, before, load_average(), busy, repeats, torch.__version__,
            _protocol(name, model, repeats, flops, before, processors, busy),
            tuple(w.figures(multiply_adds, flops) for w in work),
        )

    total, done = sum(w.cost for w in work) * repeats, 0.0
    for repeat in range(repeats):
        for w in work:
            progress.check()
            progress.report(done / total, f"repeat {repeat + 1} of {repeats}, {w.batch} at once")
            matrix.append(_matrix_flops(model.device))
            w.measure(repeat, progress)
            done += w.cost
        progress.publish(so_far(repeat + 1))
    for w in work:
        w.measure_peak()
    return so_far(repeats)


class _Work:
    """The measurements of one batch size."""

    def __init__(
        self,
        model: AutoregressiveModel,
        batch: int,
        method: str,
        affordable: float,
        repeats: int,
    ) -> None:
        self.model, self.batch, self.method = model, batch, method
        self.y = balanced_classes(model.num_classes, batch)
        generator = torch.Generator().manual_seed(0)
        shape, levels = (batch, *model.spec.shape), model.spec.levels
        x = torch.randint(0, levels, shape, generator=generator) if levels else torch.rand(shape, generator=generator)
        self.x = x.to(model.device)
        self.drawn: list[float] = []
        self.decoded: list[float] = []
        self.passes: list[float] = []
        self.naive: list[float] = []
        self.cache_bytes = 0
        self.peak_bytes: int | None = None
        self.identical: bool | None = None
        warm_up = Sampler(model, SampleSettings(), batch, self.y, method=method)
        self.choice = warm_up.choice
        warm_up.run(until=min(model.spec.sites, 2 * model.spec.width * model.spec.channels))
        one = min(self._pass() for _ in range(2))
        estimate = model.spec.sites * one
        self.naive_runs = min(repeats, int(affordable // max(estimate, 1e-9)))
        self.cost = estimate * min(1.0, self.naive_runs / repeats) + 10 * one

    def measure(self, repeat: int, progress: Progress) -> None:
        """One interleaved round: two full passes, a drawing and, if affordable, a naive one."""
        self.passes += [self._pass(), self._pass()]
        seconds, sampler = self._draw(self.method, progress)
        self.drawn.append(seconds)
        self.decoded.append(self._decode(sampler.trace.values))
        if sampler.decoder is not None:    # else memory ran out, and each part of the images had one of its own
            self.cache_bytes = decoder_bytes(sampler.decoder)
        if repeat < self.naive_runs:
            seconds, naive = self._draw("naive", progress)
            self.naive.append(seconds)
            same = bool(np.array_equal(naive.trace.values, sampler.trace.values))
            self.identical = same and self.identical is not False

    def _pass(self) -> float:
        with torch.inference_mode():
            return _timed(lambda: self.model(self.x, self.y), self.model.device)[0]

    def _draw(self, method: str, progress: Progress) -> tuple[float, Sampler]:
        def work() -> Sampler:
            sampler = Sampler(self.model, SampleSettings(seed=0), self.batch, self.y, method=method)
            sampler.run(Muted(progress))
            return sampler

        return _timed(work, self.model.device)

    def _decode(self, values: np.ndarray) -> float:
        """Seconds of a decoder that is given (B, D) values, one site after the other."""
        sites = [torch.from_numpy(column) for column in np.ascontiguousarray(values.T)]

        def work() -> None:
            decoder = self.model.decoder(self.batch, self.y)
            with torch.inference_mode(), threads.single():
                for value in sites:
                    decoder.params()
                    decoder.push(value.to(self.model.device))

        return _timed(work, self.model.device)[0]

    def measure_peak(self) -> None:
        """Bytes that one more drawing adds at its highest; none where the system does not tell."""
        model = copy.deepcopy(self.model)    # which keeps nothing prepared yet
        before = _fresh_peak(model.device)
        Sampler(model, SampleSettings(seed=0), self.batch, self.y, method=self.method).run()
        if before is not None:
            self.peak_bytes = max(0, _peak(self.model.device) - before)

    def figures(self, multiply_adds: int, flops: float) -> BatchFigures:
        """Medians in seconds and their ratios; `flops` is the machine's measured matrix throughput a second."""
        sites = self.model.spec.sites
        seconds, forward = statistics.median(self.drawn), statistics.median(self.passes)
        naive = statistics.median(self.naive) if self.naive else sites * forward
        floor = 2 * multiply_adds * self.batch / flops
        return BatchFigures(
            self.batch,
            self.choice.method,
            self.choice.why,
            seconds,
            self.batch * sites / seconds,
            naive,
            "measured" if self.naive else "extrapolated",
            naive / seconds,
            forward,
            seconds / forward,
            floor,
            seconds / floor if floor else None,    # a histogram multiplies nothing
            statistics.median(self.decoded),
            self.cache_bytes,
            self.peak_bytes,
            self.identical,
        )


def _timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds of wall clock until the device has finished, and what the work returned."""
    _wait(device)
    started = time.perf_counter()
    result = work()
    _wait(device)
    return time.perf_counter() - started, result


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _matrix_flops(device: torch.device) -> float:
    """Flop/s of a square float32 matrix product, the better of three."""
    side = 1024 if device.type == "cpu" else 4096
    a = torch.ones(side, side, device=device)
    with torch.inference_mode():
        return 2 * side**3 / min(_timed(lambda: a @ a, device)[0] for _ in range(3))


def _multiply_adds(model: AutoregressiveModel) -> int:
    """Multiply-adds of one forward pass of one image, as torch counts its matrix products and
    convolutions."""
    x = torch.zeros(1, *model.spec.shape, dtype=torch.long, device=model.device)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(x, balanced_classes(model.num_classes, 1))
    return counter.get_total_flops() // 2


def decoder_bytes(decoder: Decoder | RowSteps) -> int:
    """Bytes of every tensor that what a sampler draws by, and the decoders that is made of, keep for their images."""
    values = [getattr(decoder, name) for name in decoder.batched]
    tensors = [t for value in values for t in (value if isinstance(value, list) else [value])]
    parts = sum(decoder_bytes(part) for part in vars(decoder).values() if isinstance(part, Decoder))
    return parts + sum(t.numel() * t.element_size() for t in tensors)


def _fresh_peak(device: torch.device) -> int | None:
    """Begin to count the most bytes used anew -> what is used now; None where that cannot be."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return _peak(device)
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)    # memory freed before must not hide what is taken now
    return _peak(device) if device.type == "cpu" and forget_peak() else None


def _peak(device: torch.device) -> int:
    """The most bytes used since `_fresh_peak`; on a CPU those of the whole process."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else int(peak_bytes())


def load_average() -> float:
    """Processes that want to run, averaged over a minute; NaN where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _protocol(
    name: str,
    model: AutoregressiveModel,
    repeats: int,
    flops: float,
    load: float,
    processors: int,
    busy: bool,
) -> str:
    state = "BUSY with other work: do not publish these figures" if busy else "otherwise idle"
    return (
        f"{name}: {model.title}, {model.num_parameters:,} parameters, {model.spec}, seed 0, temperature 1. "
        f"Medians of {repeats} interleaved repeats in one process, float32 on {machine()}, "
        f"{flops / 1e9:,.0f} Gflop/s in a matrix product, torch {torch.__version__}. "
        f"Load average {load:.2f} on {processors} processors before the start, {state}."
    )
