"""How much a training may spend, and what follows the share of it that is spent: how fast to learn, how often to measure."""

from __future__ import annotations

import math

from arstudio.training.config import TrainConfig
from arstudio.training.runs import RunError

WARM = 0.05    # share of the budget after which the learning rate is warm, however slow the steps


class Budget:
    """`total` seconds where the configuration counts minutes, else `total` epochs."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.total = config.minutes * 60 if config.minutes else config.epochs

    def spent(self, seconds: float, epoch: float) -> float:
        """The share of it, 0 … 1, that so many seconds and epochs are."""
        return min(1.0, (seconds if self.config.minutes else epoch) / self.total)

    def rate(self, step: int, spent: float) -> float:
        """The learning rate of a step, counted from 0: a linear warm-up over `warmup` steps or WARM of the budget, whichever
        is over first, then a cosine from 1 to `final_share` over the budget."""
        c = self.config
        cosine = 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
        warm = min(1.0, max((step + 1) / max(c.warmup, 1), spent / WARM))
        return c.learning_rate * warm * (c.final_share + (1 - c.final_share) * cosine)

    def pause(self, measuring: float) -> float:
        """Seconds between validations inside an epoch, the last of which took `measuring` seconds: twenty in a budget of
        minutes, at most a tenth of the time."""
        wanted = self.total / 20 if self.config.minutes else 60.0
        return max(3.0, min(60.0, wanted), 9 * measuring)

    def extend(self, seconds: float, epoch: float, more_minutes: float = 0.0, more_epochs: float = 0.0) -> None:
        """Let it last longer than the seconds and epochs that are spent, in its own unit. Raises RunError for the other unit,
        or if nothing of it is left then."""
        if self.config.minutes and more_minutes > 0:
            self.total = seconds + more_minutes * 60
        elif self.config.epochs and more_epochs > 0:
            self.total = epoch + more_epochs
        elif more_minutes > 0 or more_epochs > 0:
            unit = "minutes" if self.config.minutes else "epochs"
            raise RunError(f"This run counts its budget in {unit}; extend it with --{unit}.")
        if self.spent(seconds, epoch) >= 1:
            raise RunError("This run has spent its budget; say how much longer with --minutes or --epochs.")
