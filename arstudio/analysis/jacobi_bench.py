"""How many Jacobi iterations an image takes, and how that grows with its size.

A MADE is trained on `mnist`, 2 levels, at several sizes, with the same processor time for each, and draws images one at a
time from seeds 0, 1, 2, …, by full passes (`jacobi`) and site by site, which must give the same pixels. An iteration is one
forward pass; site by site there are D of them. Song et al. 2021, section 5, count the same for MADE.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arstudio.models import load_model, preset_settings
from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Muted, Progress
from arstudio.sampling import Sampler, SampleSettings
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer

SIDES = (7, 14, 21, 28)
WIDTH, HEIGHT, EDGE = 560, 360, 56    # of the plot, in screen pixels


@dataclass(frozen=True)
class Iterations:
    """Of one size: D, processor seconds of training, the best validation figure, the iterations of each image, and whether
    every one of them is the image that site-by-site drawing gives."""

    side: int
    sites: int
    training_seconds: float
    validation_nats: float
    iterations: tuple[int, ...]
    identical: bool

    @property
    def mean(self) -> float:
        """Iterations an image, on average."""
        return statistics.fmean(self.iterations)


def bench_jacobi(
    sides: tuple[int, ...] = SIDES, *, seconds: float = 60.0, images: int = 16, progress: Progress | None = None,
) -> list[Iterations]:
    """Train and draw at each size, see the module docstring. Publishes the sizes so far. Raises DatasetError, Cancelled if
    stopped."""
    progress, rows = progress or Progress(), []
    for i, side in enumerate(sides):
        progress.report(i / len(sides), f"{side}×{side}")
        with tempfile.TemporaryDirectory() as place:
            trainer = new_trainer(
                Path(place) / "run", DataView(dataset="mnist", levels=2, size=side), "made", TrainConfig(minutes=seconds / 60),
                preset_settings("made", "small"), classes=False, device="cpu", clock=time.process_time,
            )
            trainer.fit(Muted(progress))
            model, _ = load_model(Path(place) / "run" / "best.safetensors")
        counts, same = count_iterations(model, images, Muted(progress))
        rows.append(Iterations(side, model.spec.sites, trainer.live.seconds, trainer.live.best_nats, counts, same))
        progress.publish(list(rows))
    return rows


def count_iterations(model: AutoregressiveModel, images: int, progress: Progress | None = None) -> tuple[tuple[int, ...], bool]:
    """Iterations of `images` images, each drawn alone, and whether all are those of site-by-site drawing."""
    counts, same = [], True
    for seed in range(images):
        jacobi, plain = (Sampler(model, SampleSettings(seed=seed), method=way) for way in ("jacobi", "incremental"))
        same &= bool(np.array_equal(jacobi.run(progress).values, plain.run(progress).values))
        counts.append(jacobi.iterations)
    return tuple(counts), same


def plot(rows: list[Iterations]) -> Any:
    """A PIL image: iterations against D, every image a dot, the mean a line, and the D of site-by-site drawing for scale."""
    from PIL import Image, ImageDraw

    scale = 2    # drawn larger and reduced, for smooth lines
    picture = Image.new("RGB", (WIDTH * scale, HEIGHT * scale), "white")
    draw, ink, grey, accent = ImageDraw.Draw(picture), "#202124", "#c8ccd1", "#2f6fdf"
    right, bottom = max(row.sites for row in rows), max(max(row.iterations) for row in rows)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if bottom / s <= 6)

    def at(sites: float, iterations: float) -> tuple[float, float]:
        x = EDGE + (WIDTH - 1.5 * EDGE) * sites / right
        return x * scale, (HEIGHT - EDGE - (HEIGHT - 1.8 * EDGE) * iterations / (step * -(-bottom // step))) * scale

    def text(where: tuple[float, float], words: str, anchor: str) -> None:
        draw.text(where, words, fill=ink, anchor=anchor, font_size=13 * scale)

    for mark in range(0, bottom + step, step):
        draw.line([at(0, mark), at(right, mark)], fill=grey, width=scale)
        x, y = at(0, mark)
        text((x - 8 * scale, y), str(mark), "rm")
    for row in rows:
        x, y = at(row.sites, 0)
        text((x, y + 8 * scale), str(row.sites), "mt")
        for count in row.iterations:
            x, y = at(row.sites, count)
            draw.ellipse([x - 3 * scale, y - 3 * scale, x + 3 * scale, y + 3 * scale], fill="#a9c5f7")
    draw.line([at(row.sites, row.mean) for row in rows], fill=accent, width=2 * scale)
    text((WIDTH * scale / 2, 14 * scale), "Jacobi iterations an image, MADE on mnist, 2 levels", "mt")
    text((WIDTH * scale / 2, (HEIGHT - 10) * scale), "sites D = iterations of naive drawing", "mb")
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
