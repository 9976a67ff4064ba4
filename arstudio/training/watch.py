"""What a watcher may read of a training under way. The trainer writes it; lists only ever grow. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arstudio.training.runs import Point

if TYPE_CHECKING:
    from arstudio.models.base import AutoregressiveModel
    from arstudio.models.modelfile import ModelCard


@dataclass
class Live:
    """Figures are nats per image unless they say otherwise."""

    uniform_nats: float
    step_seconds: list[float] = field(default_factory=list)
    step_nats: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    film: list[tuple[float, np.ndarray]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)    # what happened on the way, a sentence each
    snapshots: list[Path] = field(default_factory=list)    # model files, in the order they were asked for
    shared: tuple[AutoregressiveModel, ModelCard] | None = None    # a copy of the average, see `Trainer.share`
    loss_map: np.ndarray | None = None    # (H, W) mean −log₂ p of each pixel of the validation images, in bits
    best_nats: float = math.inf
    step: int = 0
    epoch: float = 0.0
    seconds: float = 0.0
    fraction: float = 0.0
    images_per_second: float = 0.0
    learning_rate: float = math.nan
    gradient_norm: float = math.nan

    @property
    def eta(self) -> float:
        """Seconds left at the present pace, NaN while unknown."""
        return self.seconds * (1 - self.fraction) / self.fraction if self.fraction > 0 else math.nan
