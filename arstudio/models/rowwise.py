"""Decoding by rows: networks that take any pixels of a row together, once they know the rows above.

In raster order, what enters a pixel is of two kinds. What comes from rows above is the same whatever stands in the row
itself, and is computed once a row (`_enter`). The rest comes from the left, through the values there, and if those are
given, or guessed, all pixels of the row can be evaluated at once (`_evaluate`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arstudio.models.base import AutoregressiveModel
from arstudio.models.convolutions import Place, Rows
from arstudio.models.coupling import couple, couple_at
from arstudio.models.decoder import Decoder, inferring
from arstudio.models.layers import Array, at_site


class RowDecoder(Decoder):
    """A decoder of such a network. Subclasses list their `Rows` in `caches`, whose first holds the image, and keep
    everything else that has a row per image in tensors named in `batched`.

    `coupled`: one evaluation serves all colours of a pixel (`coupling.py`); otherwise each colour takes one, in which
    the earlier colours have their values.
    """

    batched = ("x", "buffers", "aboves")
    counters = ("position", "ready", "done")
    coupled = False
    caches: list[Rows]

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.ready = self.done = -1    # the row that was entered; the site, or pixel if coupled, that was evaluated
        self.block = self.spec.width if self.x.device.type == "cpu" else 0
        if self.coupled:
            self.batched = (*self.batched, "raw")

    def _enter(self, place: Place) -> None:
        """Compute once, for a row of some images, what comes from the rows above."""
        raise NotImplementedError

    def _evaluate(self, place: Place) -> Array:
        """The outputs of the network at (N,) pixels, (N, C·P) colour by colour, or (N, R) coupled, given the values in
        the first cache."""
        raise NotImplementedError

    @property
    def buffers(self) -> list[Tensor]:
        """Every convolution's input buffer, (B, rows, columns, features) each."""
        return [cache.buffer for cache in self.caches]

    @buffers.setter
    def buffers(self, tensors: list[Tensor]) -> None:
        for cache, tensor in zip(self.caches, tensors, strict=True):
            cache.buffer = tensor

    @property
    def aboves(self) -> list[Tensor]:
        """What rows above add to the current row, (B, W, out) each."""
        return [cache.above for cache in self.caches]

    @aboves.setter
    def aboves(self, tensors: list[Tensor]) -> None:
        for cache, tensor in zip(self.caches, tensors, strict=True):
            cache.above = tensor

    @inferring
    def enter(self, images: np.ndarray, block: int) -> None:
        if block:
            self._see(Place(block - 1, images))
        self._enter(Place(block, images))

    @inferring
    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        place, colours = Place(int(pixels[0]) // self.spec.width, images, pixels % self.spec.width), self.spec.channels
        self._see(place)
        outputs = self._evaluate(place)
        if not self.coupled:
            return torch.as_tensor(outputs).view(len(images), colours, -1)
        seen = self.caches[0].line[place.images, place.row, place.columns, :colours]
        return couple(torch.as_tensor(outputs), torch.as_tensor(seen), self.model.likelihood).transpose(1, 2)

    @inferring
    def visit(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        rows, columns = np.divmod(pixels, self.spec.width)
        outputs = self._evaluate(Place(rows, images, columns))
        return torch.as_tensor(outputs).view(len(images), self.spec.channels, -1)

    def tell(self, images: np.ndarray, pixels: np.ndarray, channel: int, values: np.ndarray) -> None:
        rows, columns = np.divmod(pixels, self.spec.width)
        at_site(self.x)[images, channel, rows, columns] = values
        self.caches[0].line[images, rows, columns, channel] = self.model.scaled(values)

    def _see(self, place: Place) -> None:
        """Write the values of a row of some images into the first cache."""
        values = self.model.scaled(at_site(self.x)[place.some, :, place.row])         # (R, C, W)
        self.caches[0].line[place.some, place.row, :, :self.spec.channels] = values.swapaxes(1, 2)

    def _compute(self, row: int, column: int) -> Array:
        """The outputs at one pixel of all images."""
        images, device = np.arange(self.batch), self.x.device.type
        if self.ready != row:
            self._enter(Place(row, images, device=device))
            self.ready = row
        self.done = self.position // self.spec.channels if self.coupled else self.position
        return self._evaluate(Place(row, images, np.full(self.batch, column), device))

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        if self.coupled:
            if self.done != self.position // self.spec.channels:
                self.raw = torch.as_tensor(self._compute(row, column))
            seen = self.caches[0].line[:, row, column, :self.spec.channels]
            return couple_at(self.raw, torch.as_tensor(seen), self.model.likelihood, channel)
        first = channel * self.model.likelihood.num_params
        return torch.as_tensor(self._compute(row, column)[:, first:first + self.model.likelihood.num_params])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if channel == self.spec.channels - 1:    # a given pixel still leaves its features behind
            if self.coupled and self.done != self.position // self.spec.channels:
                self.raw = torch.as_tensor(self._compute(row, column))
            elif self.done != self.position and not self.coupled:
                self._compute(row, column)
        self.caches[0].line[:, row, column, channel] = self.model.scaled(at_site(value))

    def _restart(self, position: int) -> int:
        self.ready = self.done = -1
        return position - position % (self.spec.width * self.spec.channels)
