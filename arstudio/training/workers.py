"""The processes that train one model together, as `torchrun` starts them; usually one alone.

Every process holds the whole model and takes its part of every batch; gradients are added up, so that a step is the step
that one process would have made with the whole batch. The first process decides (time, stopping), measures and writes; the
others follow. Goyal et al. 2017, section 2.2; gradients travel as one flat tensor, by gloo on CPUs and nccl on CUDA.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
from torch import Tensor, nn

from arstudio.training.runs import RunError

PATIENCE = timedelta(hours=2)    # of those that wait while the first one measures


class Workers:
    """One process alone: adds nothing up and decides for itself."""

    rank, size = 0, 1

    @property
    def first(self) -> bool:
        """Whether this process measures and writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device a process should ask for."""
        return name

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch's rows."""
        return rows[self.rank::self.size]

    def add_up(self, parameters: Iterable[nn.Parameter], nats: float) -> float:
        """Replace gradients by their sums over all processes -> the sum of `nats`."""
        return nats

    def agree(self, *values: float) -> list[float]:
        """What the first process says."""
        return list(values)

    def wait(self) -> None:
        """Until everybody is here."""

    def leave(self) -> None:
        """Part from the others."""


class Group(Workers):
    """One of several processes, joined by the environment that `torchrun` sets. Raises RunError if they do not meet."""

    def __init__(self, cuda: bool) -> None:
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.local = int(os.environ.get("LOCAL_RANK", "0"))
        self._cuda = cuda
        if cuda:
            torch.cuda.set_device(self.local)
        try:
            torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise RunError(f"The {self.size} processes of this training did not meet ({error}).") from None

    def device(self, name: str) -> str:
        return f"cuda:{self.local}" if self._cuda else "cpu"

    def add_up(self, parameters: Iterable[nn.Parameter], nats: float) -> float:
        parameters = [p for p in parameters if p.requires_grad]
        parts = [p.new_zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters]
        flat = torch.cat([*parts, parts[0].new_tensor([nats])])
        torch.distributed.all_reduce(flat)
        for p, part in zip(parameters, flat[:-1].split([p.numel() for p in parameters]), strict=True):
            p.grad = part.view_as(p)
        return float(flat[-1])

    def agree(self, *values: float) -> list[float]:
        told = torch.tensor(values, dtype=torch.float64, device=self.device(""))
        torch.distributed.broadcast(told, 0)
        return told.tolist()

    def wait(self) -> None:
        torch.distributed.barrier()

    def leave(self) -> None:
        torch.distributed.destroy_process_group()


ALONE = Workers()


def join(device: str = "auto") -> Workers:
    """The processes this one was started with: `ALONE`, or all that `torchrun` started. Raises RunError."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        return ALONE
    if not torch.distributed.is_available():
        raise RunError("This torch cannot train in several processes; install one with torch.distributed.")
    return Group(device in ("auto", "cuda") and torch.cuda.is_available())
