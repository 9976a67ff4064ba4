"""The two convolutions that mix positions, and what they remember while images are decoded.

Called with a whole image they convolve it; called with a `Cache` they take one more row, or some pixels, of their input
and give the output there. The mathematics of a network is thus written once, and its decoder only says which place comes
next. Tensors and arrays as in `layers.py`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.models.layers import Array, Ready, at_site, centre_mask, times


class Place:
    """Where a decoder evaluates: (N,) pixels of one row, at `columns` of `images`, or, without columns, that row of images as
    a whole; with an array of N rows, pixels anywhere. Images are in ascending order; on another device than the CPU both
    become tensors.

    `at` (image, row, column) and `beside` (image, column) are what arrays of all places are indexed with. Pixels of a single
    image follow one another: a slice, which gives a view instead of a copy.
    """

    __slots__ = ("_images", "at", "beside", "columns", "images", "row")

    def __init__(
        self, row: int | np.ndarray, images: np.ndarray, columns: np.ndarray | None = None, device: str = "cpu"
    ) -> None:
        self.row, self.images, self.columns, self._images = row, images, columns, images
        if device != "cpu":
            self.images = torch.from_numpy(images).to(device)
            self.columns = None if columns is None else torch.from_numpy(columns).to(device)
        self.at, self.beside = (self.images, row, self.columns), (self.images, self.columns)
        if columns is not None and images[0] == images[-1] and self.in_one_row:
            run = slice(int(columns[0]), int(columns[-1]) + 1)
            self.at, self.beside = (int(images[0]), row, run), (int(images[0]), run)

    @property
    def in_one_row(self) -> bool:
        """Whether what rows above add is the same sums for all the pixels."""
        return not isinstance(self.row, np.ndarray)

    @property
    def some(self) -> np.ndarray | slice:
        """The images, each once: a slice where they follow one another."""
        images = self._images
        first, last = int(images[0]), int(images[-1])
        if last - first > 1:
            images = images[np.flatnonzero(np.diff(images, prepend=-1))]
            if last - first != len(images) - 1:
                return images
        return slice(first, last + 1)


class Rows:
    """What a convolution remembers while images are decoded: its input so far, padded, and sums from rows above.

    Views, of arrays on a CPU: `line` (B, H, W, in) is the input, to be written; `around` (B, H, W, rows, taps, in) what a
    RowConv sees of it from each place, a SiteConv in the rows above; `left` (B, H, W, taps·in) what a SiteConv sees in its own.
    """

    def __init__(self, conv: RowConv | SiteConv, batch: int, height: int, width: int, like: Tensor) -> None:
        top, left, right = conv.padding
        self._conv, self._size = conv, (height, width)
        self.buffer = like.new_zeros(batch, top + height, left + width + right, conv.inputs)
        self.above = conv.bias.detach().expand(batch, width if isinstance(conv, SiteConv) else 0, -1).clone()

    @property
    def buffer(self) -> Tensor:
        """(B, rows, columns, in) the input so far, zero-padded."""
        return self._buffer

    @buffer.setter
    def buffer(self, tensor: Tensor) -> None:
        conv, size = self._conv, (len(tensor), *self._size)
        (rows, taps), (top, left, _), d = conv.kernel, conv.padding, conv.dilation
        image, row, column, one = tensor.stride()
        self._buffer, self.line = tensor, at_site(tensor[:, top:, left:left + size[2]])
        rows -= isinstance(conv, SiteConv)
        shape, strides = (*size, rows, taps, conv.inputs), (image, row, column, d * row, d * column, one)
        self.around = at_site(tensor.as_strided(shape, strides, tensor.storage_offset()))
        if isinstance(conv, SiteConv):
            shape, strides = (*size, conv.side + 1, conv.inputs), (image, row, column, d * column, one)
            if d == 1:    # neighbours lie side by side: one dimension
                shape, strides = (*size, (conv.side + 1) * conv.inputs), (image, row, column, one)
            self.left = at_site(tensor.as_strided(shape, strides, tensor.storage_offset() + top * row))

    @property
    def above(self) -> Tensor:
        """(B, W, out): what rows above and the bias add to a SiteConv in the row being decoded."""
        return self._above

    @above.setter
    def above(self, tensor: Tensor) -> None:
        self._above, self.sums = tensor, at_site(tensor)


Cache = tuple[Rows, Place]    # what a convolution remembers, and where it is to be evaluated
Padding = tuple[int, int, int] | None    # rows above, columns left and right; None for all that a convolution has


class _CausalConv(Ready):
    """Weights and bookkeeping shared by the two convolutions.
    Weight (out, in, kh, kw), taps in reading order."""

    padding: tuple[int, int, int]

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], dilation: int) -> None:
        super().__init__()
        self.inputs, self.outputs, self.kernel, self.dilation = inputs, outputs, kernel, dilation
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("mask", None, persistent=False)

    def reset(self, visible: float) -> None:
        """Uniform initial weights for `visible` taps per output, as torch does for a full kernel."""
        bound = 1.0 / math.sqrt(self.inputs * visible)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def masked_weight(self) -> Tensor:
        """(out, in, kh, kw) weight as applied; the stored weight is never changed."""
        return self.weight if self.mask is None else self.weight * self.mask

    def fold_mask(self) -> None:
        """Multiply the mask into the weight of a frozen copy, once."""
        with torch.no_grad():
            self.weight = nn.Parameter(self.masked_weight(), requires_grad=False)
        self.mask = None
        super().fold_mask()

    @property
    def taps(self) -> Tensor:
        """(rows, taps, in, out) weight of a frozen copy."""
        return self.once("taps", lambda: self.weight.detach().permute(2, 3, 1, 0).contiguous())

    @property
    def shift(self) -> Array:
        """(out,) bias of a frozen copy."""
        return self.once("shift", lambda: at_site(self.bias.detach()))

    def convolve(self, x: Tensor, top: int, left: int, right: int) -> Tensor:
        """(B, H, W, in) -> (B, H', W', out) after zero padding."""
        x = F.pad(x, (0, 0, left, right, top, 0)).permute(0, 3, 1, 2)
        weight = self.masked_weight().contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, dilation=self.dilation).permute(0, 2, 3, 1)


class RowConv(_CausalConv):
    """Row-causal convolution, for vertical stacks: output row r sees `up` + 1 rows of input ending at row r,
    or, with `above=True`, ending at row r − 1; columns on both sides."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, dilation: int = 1, above: bool = False
    ) -> None:
        up, side = kernel // 2 + (0 if above else 1), kernel // 2
        super().__init__(inputs, outputs, (max(up, 1), kernel), dilation)
        self.above = above
        self.padding = ((self.kernel[0] - 1) * dilation + int(above), side * dilation, side * dilation)
        self.reset(self.kernel[0] * kernel)

    @property
    def matrix(self) -> Array:
        """(rows·taps·in, out) weight of a frozen copy."""
        return self.once("matrix", lambda: at_site(self.taps.flatten(0, 2)))

    def forward(self, x: Array, cache: Cache | None = None, padding: Padding = None) -> Array:
        """(B, H, W, in) -> (B, H, W, out), or the next row (R, W, in) of some images -> theirs of the output. Less `padding`
        than it has gives less of the output; only without a cache."""
        if cache is None:
            return self.convolve(x[:, :-1] if self.above else x, *padding or self.padding)
        rows, place = cache
        row = place.row - int(self.above)    # x is this row of the input
        if row >= 0:
            rows.line[place.some, row] = x
        near = rows.around[place.some, place.row]                                     # (R, W, rows, taps, in)
        return (near.reshape(-1, len(self.matrix)) @ self.matrix + self.shift).reshape(*near.shape[:2], -1)


class SiteConv(_CausalConv):
    """Raster-causal convolution: `kernel` // 2 sites to the left and the site itself, and with `rows` > 1
    whole kernel rows above. At the site itself groups decide: mask A if `strict`, else mask B."""

    def __init__(
        self, inputs: Tensor, outputs: Tensor, kernel: int, *,
        rows: int = 1, dilation: int = 1, strict: bool = False,
    ) -> None:
        side = kernel // 2
        width = kernel if rows > 1 else side + 1
        super().__init__(len(inputs), len(outputs), (rows, width), dilation)
        self.padding = ((rows - 1) * dilation, side * dilation, (width - 1 - side) * dilation)
        mask = torch.ones(self.outputs, self.inputs, rows, width)
        mask[:, :, -1, side + 1:] = 0
        centre = centre_mask(inputs, outputs, strict)
        if centre is not None:
            mask[:, :, -1, side] = centre
        if bool((mask == 0).any()):
            self.mask = mask
        self.side = side
        self.reset(float(mask.sum()) / (self.outputs * self.inputs))

    @property
    def left_taps(self) -> Tensor:
        """(taps·in, out) weight of a frozen copy for the row of the site; taps right of it are zero."""
        return self.once("left_taps", lambda: self.taps[-1, :self.side + 1].flatten(0, 1))

    @property
    def matrix(self) -> Array:
        """`left_taps` as `at_site` has it."""
        return self.once("matrix", lambda: at_site(self.left_taps))

    @property
    def upper(self) -> Array:
        """(rows·taps·in, out) weight of a frozen copy for the rows above."""
        return self.once("upper", lambda: at_site(self.taps[:-1].flatten(0, 2)))

    def forward(
        self, x: Array | None, cache: Cache | None = None, added: Tensor | None = None, padding: Padding = None
    ) -> Array:
        """(B, H, W, in) -> (B, H, W, out), or the input (N, in) at a place -> the output there; None where `line` has it
        already. `added` (B, H, W, out) is what other paths contribute; at a place that is in `sums`. `padding` as in
        `RowConv`."""
        if cache is None:
            z = self.convolve(x, *padding or self.padding)
            return z if added is None else z + added
        rows, place = cache
        if x is not None:
            rows.line[place.at] = x
        left = rows.left[place.at]
        if left.ndim > 2:
            left = left.reshape(len(left), -1)
        elif isinstance(left, np.ndarray):
            left = np.ascontiguousarray(left)    # neighbours overlap in a view
        z = times(left, self.matrix)
        z += rows.sums[place.beside] if place.in_one_row else self.from_above(rows.around[place.at])
        return z

    def from_above(self, near: Array) -> Array:
        """Neighbours in the rows above (…, rows − 1, taps, in) -> (…, out), what they contribute, and the bias."""
        return (near.reshape(-1, len(self.upper)) @ self.upper + self.shift).reshape(*near.shape[:-3], -1)

    def begin_row(self, cache: Cache) -> None:
        """Sum once, for all sites of a row, what the rows above contribute, and the bias."""
        if len(self.upper):
            rows, place = cache
            rows.sums[place.some] = self.from_above(rows.around[place.some, place.row])    # (R, W, out)
