"""One step of learning: gradients of a batch, in as many parts as its memory needs, clipped; Adam; the average of the weights.

Nothing here knows a budget, a run or a watcher; `batches.py` says which batch, `budget.py` how fast.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from arstudio.models import memory
from arstudio.models.base import AutoregressiveModel
from arstudio.training.config import TrainConfig
from arstudio.training.workers import ALONE, Workers


class Descent:
    """A model that learns, the optimiser, and `average`, the weights averaged over time (EMA), which are judged and kept."""

    def __init__(self, model: AutoregressiveModel, config: TrainConfig, workers: Workers = ALONE) -> None:
        self.model, self.config, self.workers = model, config, workers
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimiser = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay,
            fused=model.device.type in ("cpu", "cuda"),
        )
        self.half = False          # products in bfloat16, see ways.py
        self.compiled: Callable[[Tensor, Tensor | None], Tensor] | None = None    # in place of the model's loss, see ways.py
        self.part = config.batch   # images that fit the memory at once; less than a batch are added up

    def step(self, x: Tensor, y: Tensor | None, rate: float, number: int) -> tuple[float, float]:
        """Step `number`, from 0, on (B, C, H, W) levels and their classes, with a learning rate -> (nats per image, norm of
        the gradient of nats a site before it is clipped); nothing moves if either is no finite number. A model with a closed
        form counts the batch instead.

        Where memory runs out, `part` becomes smaller, with the same result; raises the device's error when single images
        do not fit.
        """
        self.model.train()
        if self.model.closed_form:
            return self._count(x, y), 0.0
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        nats = self.gradients(x, y)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip or math.inf))
        if math.isfinite(nats) and math.isfinite(norm):
            self.optimiser.step()
            decay = min(self.config.ema, (1 + number) / (10 + number))
            with torch.no_grad():
                for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                    mean.lerp_(value, 1 - decay)
        return nats, norm

    def gradients(self, x: Tensor, y: Tensor | None) -> float:
        """Gradients of (B, C, H, W) levels and their classes, this process's share of them -> nats per image of all."""
        whole, x, y = len(x), self.workers.share(x), None if y is None else self.workers.share(y)
        loss_of = self.compiled or self.model.loss
        while True:
            try:
                self.optimiser.zero_grad(set_to_none=True)
                nats = 0.0
                for start in range(0, len(x), self.part):
                    rows = slice(start, start + self.part)
                    with torch.autocast(x.device.type, torch.bfloat16, enabled=self.half):
                        loss = loss_of(x[rows], None if y is None else y[rows]).sum() / whole
                    (loss / self.model.spec.sites).backward()
                    nats += float(loss.detach())
                return self.workers.add_up(self.model.parameters(), nats)
            except Exception as error:
                if not memory.out_of_memory(error) or self.part == 1:
                    raise
            self.part = (min(self.part, len(x)) + 1) // 2    # outside the except block, so that its tensors are gone
            self.optimiser.zero_grad(set_to_none=True)
            if x.device.type == "cuda":
                torch.cuda.empty_cache()

    @torch.no_grad()
    def _count(self, x: Tensor, y: Tensor | None) -> float:
        nats = -float(self.model.log_prob(x, y).mean())    # before it has seen them
        self.model.learn(x, y)
        self.average.load_state_dict(self.model.state_dict())
        return nats
