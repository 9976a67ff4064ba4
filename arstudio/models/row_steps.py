"""Evaluating rows by functions of fixed tensors, which a device can record once and replay.

A CUDA graph repeats the kernels it was recorded with, on the same addresses, with no Python between them. So a network that is
to be drawn that way says what happens to a row in two functions whose shapes never change, which never ask the device for a
value, and which keep everything in tensors that stay where they are:

    enter    what comes from the rows above, once a row; buffers hold the last few rows and move up by one
    look     the parameters at some columns of the row, whatever stands in it

Which columns is a tensor too, so that one recording serves every place. `sampling/captured.py` records them.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from arstudio.models.base import AutoregressiveModel


class RowSteps:
    """One row of `batch` images of integer levels in raster order. Subclasses keep their state in the tensors, or lists of
    tensors, that `batched` names.

    `x` (B, C, H, W) holds what is drawn; whoever draws writes it. `classes` (B,) are class rows.
    """

    batched: ClassVar[tuple[str, ...]] = ("x", "classes")

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        self.model, self.spec = model.frozen(), model.spec
        self.classes = self.model.class_index(y, batch).clone()
        self.x = torch.zeros(batch, *self.spec.shape, dtype=torch.long, device=model.device)

    def reset(self) -> None:
        """Go before the first row."""
        raise NotImplementedError

    def enter(self, above: Tensor, inside: Tensor) -> None:
        """Go to the next row, given the (W, C, B) levels of the row above and whether that is inside the image, (1,) 1 or 0
        in the type of the weights."""
        raise NotImplementedError

    def look(self, row: Tensor, columns: Tensor) -> Tensor:
        """The (W, C, B) levels of the row that was entered, right or guessed, and (m,) ascending columns, each of which was
        looked at since or is now with all before it -> (m, B, C, P) parameters, right wherever everything before is."""
        raise NotImplementedError

    def pixels(self, values: Tensor) -> Tensor:
        """(W, C, B) levels -> (B, W, C) network inputs."""
        return self.model.scaled(values).permute(2, 0, 1)


def at_columns(above: Tensor, left: Tensor, columns: Tensor, taps: Tensor) -> Tensor:
    """What a convolution gives at (m,) columns of a row: (B, W, out) from above, (B, W, taps, in) views of what stands to the
    left and there, (taps·in, out) weights -> (B·m, out)."""
    z = above.index_select(1, columns).flatten(0, 1)
    return z.addmm_(left.index_select(1, columns).view(len(z), -1), taps)


def pushed(rows: Tensor, newest: Tensor, side: int) -> None:
    """Move (B, rows, columns, features) up by one, and (B, W, features) in at the bottom, after `side` columns of padding."""
    if rows.shape[1] > 1:
        rows[:, :-1].copy_(rows[:, 1:].clone())
    rows[:, -1, side:side + newest.shape[1]].copy_(newest)
