"""Decoding in runs: networks along the order of the sites, whatever pixels those are, that take a run of sites together.

`look` is asked for a few pixels of each image. Here it evaluates the same run of all these images, from the first pixel
that any of them is asked for to the last, so that the work is products of whole matrices; features of sites before an
image's own first pixel come out as they were.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arstudio.models.base import AutoregressiveModel, Decoder
from arstudio.models.layers import Array, Place, at_site


class RunDecoder(Decoder):
    """A decoder of such a network. Subclasses give `_run`, and `_begin` if something is computed once a block.

    Indices `some` of images are a slice or ascending integers.
    """

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.block = self.spec.width
        self._order = self.model.site_index.cpu().numpy()

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        """Make images ready for the block that begins at site `start`; `values` (R, start) are all before it, in order."""

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        """Values (R, T) of the sites from `start`, where the block begins, in order -> parameters (R, ·, P) of the sites from
        `first` to the last of them."""
        raise NotImplementedError

    @torch.inference_mode()
    def enter(self, images: np.ndarray, block: int) -> None:
        start, some = block * self.block * self.spec.channels, Place(0, images).some
        self._begin(some, start, self._values(some, 0, start))

    @torch.inference_mode()
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


def running(a: Array, added: Array) -> Array:
    """a (R, H) at the beginning and what each site adds, (R, T, H) -> (R, T, H), the sum before each site."""
    sums = added[:, :-1].cumsum(1)
    if isinstance(sums, np.ndarray):
        return np.concatenate([a[:, None], a[:, None] + sums], axis=1)
    return torch.cat([a[:, None], a[:, None] + sums], dim=1)


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
