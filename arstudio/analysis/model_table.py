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
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from arstudio.progress import Progress

LOOK = 0.2    # seconds between two looks whether somebody wants it stopped


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

    `done` is told each row as it comes. Raises Cancelled if stopped, what `measure` raises, and ChildProcessError where a
    process is killed; rows under way are abandoned.
    """
    progress, waiting = progress or Progress(), list(enumerate(jobs))
    total, spawn = len(waiting), get_context("spawn")
    rows: dict[int, Row] = {}
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                i, job = waiting.pop(0)
                here, there = spawn.Pipe(duplex=False)
                process = spawn.Process(target=_send_row, args=(there, job), daemon=True)
                process.start()
                there.close()
                running[here] = i, process
            for here in wait(list(running), timeout=LOOK):
                i, process = running.pop(here)
                row = rows[i] = _received(here)
                process.join()
                if done is not None:
                    done(row)
                progress.report(len(rows) / total, f"{row.title} on {row.job.dataset}: {row.nats:.2f} nats")
            progress.check()
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()
    return [rows[i] for i in range(total)]


def _send_row(there: Connection, job: Job) -> None:
    """In a process of its own: send the row of a job, or the error that it ended in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # who waits for the row answers Ctrl-C
    try:
        there.send(measure(job))
    except Exception as error:
        error.add_note(traceback.format_exc())
        there.send(error)


def _received(here: Connection) -> Row:
    """The row that a process sent. Raises the error it sent instead, ChildProcessError if it sent nothing."""
    try:
        found = here.recv()
    except EOFError:
        raise ChildProcessError(
            "A process that trained was killed, perhaps for lack of memory; try fewer --workers or a smaller --preset."
        ) from None
    finally:
        here.close()
    if isinstance(found, Exception):
        raise found
    return found


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
