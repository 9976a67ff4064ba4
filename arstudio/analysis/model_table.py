"""Every system on the same footing: trained for the same processor time, tested on the same images.

A row is one model on one view of a dataset. Each row runs in a process of its own with one thread, and its
budget is processor time of that process, so a busy machine makes the table slower, not different. Weights,
order of images and validation follow the seed. The test figure is the exact log p of the EMA weights with the best
validation figure, over the whole test split unless `test_images` says fewer; drawing is timed in processor
seconds, decoder included, for 16 images from one seed.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from arstudio.progress import Progress


@dataclass(frozen=True)
class Job:
    """One row to be measured: `seconds` of processor time to train, at most `test_images` to test on (0: all)."""

    model: str
    dataset: str
    levels: int
    seconds: float
    preset: str = "small"
    learning_rate: float = 2e-3
    batch: int = 32
    seed: int = 0
    test_images: int = 0


@dataclass(frozen=True)
class Row:
    """One measured row. `nats` and `bits_per_dim` are test figures, `stderr` that of the nats; times in processor
    seconds; `protocol` names the view of the data."""

    job: Job
    title: str
    protocol: str
    parameters: int
    nats: float
    stderr: float
    bits_per_dim: float
    images: int
    validation_nats: float
    epochs: float
    training_seconds: float
    drawing_seconds: float
    machine: str


def measure(job: Job) -> Row:
    """Train, test and draw with one model, in this process with one thread. Raises ConfigError, DatasetError."""
    os.environ["OMP_NUM_THREADS"] = "1"    # read when torch is loaded

    from arstudio.models import load_model, preset_settings
    from arstudio.sampling import SampleSettings, sample
    from arstudio.training.config import TrainConfig
    from arstudio.training.evaluation import evaluate
    from arstudio.training.record import machine
    from arstudio.training.setup import DataView, new_trainer

    view = DataView(dataset=job.dataset, levels=job.levels)
    config = TrainConfig(
        minutes=job.seconds / 60, seed=job.seed, batch=job.batch, learning_rate=job.learning_rate, validation_images=200,
    )
    with tempfile.TemporaryDirectory() as place:
        trainer = new_trainer(
            Path(place) / "run", view, job.model, config, preset_settings(job.model, job.preset), classes=False,
            device="cpu", clock=time.process_time,
        )
        trainer.fit()
        network, _ = load_model(Path(place) / "run" / "best.safetensors")
    split = trainer.data.test
    count = min(job.test_images or len(split.x), len(split.x))
    figure = evaluate(network, split.x[:count], native=trainer.data.info.spec.levels)
    started = time.process_time()
    sample(network, 16, SampleSettings(seed=job.seed))
    drawing = time.process_time() - started
    return Row(
        job, network.title, trainer.data.protocol, network.num_parameters, figure.nats, figure.stderr,
        figure.bits_per_dim, figure.images, trainer.live.best_nats, trainer.live.epoch, trainer.live.seconds,
        drawing, machine(),
    )


def measure_all(
    jobs: Iterable[Job], *, workers: int = 1, done: Callable[[Row], None] | None = None, progress: Progress | None = None,
) -> list[Row]:
    """Measure every job, `workers` at a time, each in a fresh process -> rows in the order of the jobs.

    `done` is told each row as it comes. Raises Cancelled if stopped; rows under way are abandoned.
    """
    progress, jobs = progress or Progress(), list(jobs)
    rows: dict[int, Row] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting: dict[Future[Row], int] = {pool.submit(measure, job): i for i, job in enumerate(jobs)}
        try:
            for future in as_completed(waiting):
                row = rows[waiting[future]] = future.result()
                progress.check()
                progress.report(len(rows) / len(jobs), f"{row.title} on {row.job.dataset}: {row.nats:.2f} nats")
                if done is not None:
                    done(row)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [rows[i] for i in range(len(jobs))]


def read_rows(path: Path) -> list[Row]:
    """Rows written by `write_rows`; none if the file is not there."""
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [Row(**{**entry, "job": Job(**entry["job"])}) for entry in entries]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Keep rows as JSON, the newest of each model, dataset and levels. Raises WriteError."""
    from arstudio.models.modelfile import write_atomically

    kept: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        kept[row.job.model, row.job.dataset, row.job.levels] = row
    text = json.dumps({"rows": [asdict(row) for row in kept.values()]}, indent=1, ensure_ascii=False)
    write_atomically(path, text.encode())


def as_markdown(rows: Iterable[Row], dataset: str) -> str:
    """The rows of one dataset as a Markdown table, best test figure first."""
    chosen = sorted((row for row in rows if row.job.dataset == dataset), key=lambda row: row.nats)
    lines = [
        "| system | test nats | bits/dim | parameters | epochs | training s | 16 images s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in chosen:
        stars = "" if row.images == max(r.images for r in chosen) else f" ({row.images} images)"
        lines.append(
            f"| {row.title} | {row.nats:.2f} ± {row.stderr:.2f}{stars} | {row.bits_per_dim:.3f} | {row.parameters:,} | "
            f"{row.epochs:.1f} | {row.training_seconds:.0f} | {row.drawing_seconds:.2f} |"
        )
    return "\n".join(lines)
