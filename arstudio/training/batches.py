"""Which images a training sees next, and how far through them it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from arstudio.data import ImageDataset
from arstudio.models.base import AutoregressiveModel
from arstudio.training.config import TrainConfig

HELD = 0.25    # share of a GPU's free memory that the images may take


class Batches:
    """The training images x (N, C, H, W) of a model, their classes y (N,) where it has some, and the place in them: of epoch
    `epochs_done`, counted from 0, `position` images are used already."""

    def __init__(self, model: AutoregressiveModel, data: ImageDataset, config: TrainConfig) -> None:
        self.model, self.config = model, config
        device = model.device
        self.x = torch.from_numpy(np.ascontiguousarray(data.train.x))
        if device.type != "cuda" or self.x.nbytes < HELD * torch.cuda.mem_get_info(device)[0]:
            self.x = self.x.to(device)    # once; more images than that go over batch by batch
        labelled = data.train.y is not None and model.num_classes > 0
        self.y = torch.from_numpy(data.train.y).to(device) if labelled else None
        self.epochs_done = self.position = 0
        self.noise = torch.Generator().manual_seed(config.seed)    # class dropout

    @property
    def epoch(self) -> float:
        """How often every image was seen, with the part of this epoch that is over."""
        return self.epochs_done + self.position / len(self.x)

    @property
    def counted(self) -> bool:
        """Whether a model with a closed form has seen every image; no budget makes it count them again."""
        return self.model.closed_form and self.epochs_done > 0

    def rest(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Batches of the rest of this epoch, (B, C, H, W) levels and (B,) classes, −1 where the class is left out, in an order
        that depends on seed and epoch alone."""
        shuffle = torch.Generator().manual_seed((self.config.seed * 100_003 + self.epochs_done) % 2**63)
        order = torch.randperm(len(self.x), generator=shuffle)
        while self.position < len(order):
            rows = order[self.position:self.position + self.config.batch]
            y = None
            if self.y is not None:
                drop = torch.rand(len(rows), generator=self.noise) < self.model.config.class_dropout
                y = self.y[rows.to(self.y.device)]    # a model that counts needs every class it can get
                if not self.model.closed_form:
                    y = torch.where(drop.to(y.device), -1, y)
            self.position += len(rows)
            yield self.x[rows.to(self.x.device)].to(self.model.device), y

    def first(self, count: int) -> tuple[Tensor, Tensor | None]:
        """The first images and their classes, where they lie."""
        return self.x[:count], None if self.y is None else self.y[:count]

    def turn(self) -> None:
        """Go on with the next epoch."""
        self.epochs_done, self.position = self.epochs_done + 1, 0
