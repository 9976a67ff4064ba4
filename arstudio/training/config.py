"""How a model is to be trained: what a person chooses before the start, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from arstudio.training.runs import RunError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train. Exactly one of `minutes` and `epochs` is the budget;
    `patience` epochs without progress end it (0: never). `warmup` counts steps; `final_share` is what is left of
    `learning_rate` at the end, `clip` the greatest norm of a gradient of nats a site (0: any), `ema` the decay of the averaged
    weights a step, `samples` the images drawn on the way. Raises RunError naming a value that cannot be."""

    minutes: float = 0.0
    epochs: float = 0.0
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 50
    final_share: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    weight_decay: float = 0.0
    patience: int = 0
    seed: int = 0
    validation_images: int = 1000
    samples: int = 16
    autosave: float = 60.0    # seconds between saves, besides those at every improvement

    def __post_init__(self) -> None:
        if (self.minutes > 0) == (self.epochs > 0):
            raise RunError("Give the run one budget: minutes or epochs, more than 0.")
        if not 0 < self.learning_rate < math.inf:
            raise RunError(f"learning_rate must be above 0 and finite, not {self.learning_rate}.")
        lows = {
            "minutes": 0, "epochs": 0, "batch": 1, "warmup": 0, "final_share": 0, "clip": 0, "weight_decay": 0, "autosave": 0,
            "patience": 0, "validation_images": 1, "samples": 1,
        }
        for name, low in lows.items():
            value = getattr(self, name)
            if not low <= value < math.inf:
                raise RunError(f"{name} must be {'finite' if value == math.inf else f'at least {low}'}, not {value}.")
        if not 0 <= self.ema < 1:
            raise RunError(f"ema must be in [0, 1), not {self.ema}.")
