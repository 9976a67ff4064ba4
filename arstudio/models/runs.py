"""Decoding in runs: networks along the order of the sites, whatever pixels those are, that take a run of sites together.

`look` is asked for a few pixels of each image. Here it evaluates the same run of all these images, from the first pixel
that any of them is asked for to the last, so that the work is products of whole matrices; features of sites before an
image's own first pixel come out as they were.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from arstudio.models.base import AutoregressiveModel
from arstudio.models.convolutions import Place
from arstudio.models.decoder import Decoder, inferring
from arstudio.models.layers import Array, at_site


class RunDecoder(Decoder):
    """A decoder of such a network. Subclasses give `_run`, and `_begin` if something is computed once a block.

    A block holds as many rows as make no more than `sites` sites: fewer looks save more than guesses from further above cost,
    as long as a site costs little. Indices `some` of images are a slice or ascending integers.
    """

    sites: ClassVar[int] = 112

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        rows = max(1, self.sites // (self.spec.width * self.spec.channels))
        self.block = min(rows, self.spec.height) * self.spec.width
        self._order = self.model.site_index.cpu().numpy()

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        """Make images ready for the block that begins at site `start`; `values` (R, start) are all before it, in order."""

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        """Values (R, T) of the sites from `start`, where the block begins, in order -> parameters (R, ·, P) of the sites from
        `first` to the last of them."""
        raise NotImplementedError

    @inferring
    def enter(self, images: np.ndarray, block: int) -> None:
        start, some = block * self.block * self.spec.channels, Place(0, images).some
        self._begin(some, start, self._values(some, 0, start))

    @inferring
    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        channels, some = self.spec.channels, Place(0, images).some
        low, high = int(pixels.min()), int(pixels.max()) + 1
        start = low // self.block * self.block * channels
        params = self._run(some, start, low * channels, self._values(some, start, high * channels))
        params = torch.as_tensor(params).unflatten(1, (-1, channels))                     # (R, pixels, C, P)
        if len(params) == 1:
            return params[0] if len(pixels) == high - low else params[0, pixels - low]
        row = np.cumsum(np.diff(images, prepend=images[0]) > 0)
        return params[row, pixels - low]

    def _values(self, some: slice | np.ndarray, first: int, last: int) -> Array:
        """(R, T) what `x` holds at the sites from `first` on, before `last`, in order."""
        return at_site(self.x).reshape(self.batch, -1)[some][:, self._order[first:last]]


class SumDecoder(RunDecoder):
    """A decoder of a network that sees the past through one sum, a_t = a_1 + Σ_{s<t} `_added`(x_s), (B, H).

    `begun` (B, blocks, H) are the sums where blocks begin, as far as images were made ready for them.
    """

    batched = ("x", "a", "begun")
    sites = 196

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        with torch.inference_mode():
            self.a = self.model.start(self.classes).clone()
        self.begun = self.a.new_zeros(batch, -(-self.spec.pixels // self.block), self.a.shape[1])
        self.begun[:, 0] = self.a

    def _added(self, values: Array, first: int) -> Array:
        """Values (R, T) of the sites from `first` on, in order -> (R, T, H), what each adds."""
        raise NotImplementedError

    def _outputs(self, a: Array, first: int) -> Array:
        """a_t (R, T, H) at the sites from `first` on -> their parameters (R, T, P)."""
        raise NotImplementedError

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        if start:
            size = self.block * self.spec.channels
            before = start - size
            added = torch.as_tensor(self._added(values[:, before:], before).sum(1))
            self.begun[some, start // size] = self.begun[some, before // size] + added

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        a = at_site(self.begun)[some, start // (self.block * self.spec.channels)][:, None]    # (R, 1, H)
        if values.shape[1] > 1:
            sums = self._added(values[:, :-1], start).cumsum(1)
            sums += a
            a = np.concatenate([a, sums], 1) if isinstance(a, np.ndarray) else torch.cat([a, sums], 1)
        return self._outputs(a[:, first - start:], first)

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        return torch.as_tensor(self._outputs(at_site(self.a)[:, None], self.position)[:, 0])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        a = at_site(self.a)
        a += self._added(at_site(value)[:, None], self.position)[:, 0]

    def _restart(self, position: int) -> int:
        self.a = self.begun[:, 0] + torch.as_tensor(self._added(self._values(slice(None), 0, position), 0).sum(1))
        return position


def outputs(h: Array, weight: Array, bias: Array) -> Array:
    """h (R, T, H), weights of each site (T, H, P) and its bias (T, P) -> (R, T, P)."""
    return (h.swapaxes(0, 1) @ weight).swapaxes(0, 1) + bias


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(−a)), of arrays through tanh, which does not overflow."""
    if not isinstance(a, np.ndarray):
        return torch.sigmoid(a)
    z = np.tanh(a * 0.5)
    z += 1
    z *= 0.5
    return z
