"""Convolutions along one row of many images as matrix products, for decoders on frozen weights.

    dense    every neighbourhood side by side, one product: kh · kw · in multiplications a site and output
    tiled    Winograd's minimal filters along the row, y = Aᵀ [(G g) ⊙ (Bᵀ d)] for the inputs d that four neighbouring
             outputs see and the weights g of a kernel row, with sums before and after that cost less than they save once
             there are enough rows: F(4, 3) takes six products in place of twelve, F(4, 2) five in place of eight

Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1 and its F(4×4, 3×3), taken along one
dimension; F(4, 2) is built in the same way from the points 0, ∞, 1, −1 and 2. The sums are exact to the same order as the
products: tests hold all to float64.

Rows are kept in buffers (B, rows, columns, in) with padding on both sides and come out as (R, W, out). On the tiled way,
for widths that are multiples of TILE, columns of the same remainder lie together, (TILE, R, W / TILE, in or out), so that
the sums before and after the products are products themselves, with Bᵀ and Aᵀ over long stretches of memory. `arranged`
gives a row in that arrangement. Bᵀ d is formed once, when a row is written, and the last kh rows of it are kept,
(B, kh, 6, tiles, in), as a view of (kh, 6, B, tiles, in), where products find the tiles of all images in one piece.

The functions keep to what `threads.native` can run without the interpreter's lock.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arstudio.models.layers import Array, at_site

FEW = 4    # rows of a product up to which NumPy's calls cost less than torch's, however large
SMALL = 2**19    # multiply-adds of a product up to which they do
TILE = 4   # outputs of a tile

G = torch.tensor([[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
                  [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], dtype=torch.float64)
BT = torch.tensor([[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0],
                   [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]], dtype=torch.float64)
AT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64)
G2 = torch.tensor([[1.0, 0], [0, 1], [-1 / 2, -1 / 2], [-1 / 6, 1 / 6], [1 / 6, 1 / 3]], dtype=torch.float64)
BT2 = torch.tensor([[1.0, -1 / 2, -1, 1 / 2, 0], [0, 2, -1, -2, 1], [0, -2, -1, 1, 0], [0, 2, -3, 1, 0], [0, -1, 0, 1, 0]],
                   dtype=torch.float64)
AT2 = torch.tensor([[1.0, 0, 1, 1, 1], [0, 0, 1, -1, 2], [0, 0, 1, 1, 4], [0, 1, 1, -1, 8]], dtype=torch.float64)


class Matrix:
    """x W + b for a weight W (in, out): on a CPU also for arrays, sharing its memory."""

    def __init__(self, weight: Tensor, shift: Tensor | None = None) -> None:
        self.tensor = weight.contiguous()
        self.shift = weight.new_zeros(weight.shape[1]) if shift is None else shift
        self.array, self.at_site = at_site(self.tensor), at_site(self.shift)
        self.shifts, self.few = shift is not None, max(FEW, SMALL // weight.numel())

    def times(self, x: Array) -> Array:
        """x (N, in) -> x W + b."""
        if not isinstance(x, np.ndarray):
            return torch.addmm(self.shift, x, self.tensor) if self.shifts else torch.mm(x, self.tensor)
        if len(x) > self.few:
            return self.times(torch.from_numpy(x)).numpy()
        return x.dot(self.array) + self.at_site if self.shifts else x.dot(self.array)

    def add(self, z: Array, x: Array) -> None:
        """z += x W + b."""
        if not isinstance(z, np.ndarray):
            z.addmm_(x, self.tensor)
        elif len(x) <= self.few:
            z += x.dot(self.array)
        else:
            torch.from_numpy(z).addmm_(torch.from_numpy(x), self.tensor)
        if self.shifts:
            z += self.shift if isinstance(z, Tensor) else self.at_site


def dense_weight(kernel: Tensor) -> Tensor:
    """A kernel (kh, kw, in, out) as `convolve` takes it on the dense way: (1, kh·kw·in, out)."""
    return kernel.flatten(0, 2)[None]


def tiled_weight(kernel: Tensor) -> Tensor:
    """A kernel (kh, 3, in, out) as `convolve` takes it on the tiled way: G g of each of its rows, (kh, 6, in, out)."""
    kh, _, inputs, outputs = kernel.shape
    ready = kernel.new_empty(kh, 6, inputs, outputs)
    for row, made in zip(kernel, ready, strict=True):
        torch.mm(G.to(kernel), row.flatten(1), out=made.view(6, -1))
    return ready


def pair_weight(left: Tensor) -> Tensor:
    """Weights (2, in, out) of a site's left neighbour and itself -> (5, in, out), G g of F(4, 2), which begins with the two."""
    return torch.mm(G2.to(left), left.flatten(1)).view(5, *left.shape[1:])


def buffer_shape(images: int, rows: int, width: int, side: int, inputs: int, tiled: bool) -> tuple[int, ...]:
    """What a buffer of rows with `side` columns of padding looks like in memory; see `images_first`."""
    return (rows, 6, images, width // TILE, inputs) if tiled else (images, rows, width + 2 * side, inputs)


def images_first(buffer: Tensor) -> Tensor:
    """A buffer, or a row in tiles, as it lies in memory -> with a row per image, as the others take it."""
    return buffer.permute(2, 0, 1, 3, 4) if buffer.dim() == 5 else buffer.permute(1, 2, 0, 3)


def laid_out(rows: Tensor) -> Tensor:
    """A tiled buffer, or a row in tiles, with a row per image, copied if it does not lie in memory as it should."""
    return images_first((rows.permute(1, 2, 0, 3, 4) if rows.dim() == 5 else rows.permute(2, 0, 1, 3)).contiguous())


def place(rows: Tensor, row: int, shape: list[int], space: Tensor) -> Tensor:
    """Where a row of (R, …) images is to be written, without its padding: in their part of a buffer of a `shape` as
    `convolve` takes it, or, if that is tiled, in a flat tensor from where `settle` takes it up."""
    if rows.dim() == 5:
        return taken(space, [6, rows.size(0), rows.size(3), rows.size(4)])[1:5]
    return rows[:, shape[4] + row, shape[3]:rows.size(2) - shape[3]]


def settle(rows: Tensor, row: int, sums: list[Tensor], space: Tensor) -> None:
    """To follow the writing of a row into `place`: a tiled buffer keeps Bᵀ d of it."""
    if rows.dim() == 5:
        d = taken(space, [6, rows.size(0), rows.size(3), rows.size(4)])
        d[0, :, 0].zero_()
        d[0, :, 1:].copy_(d[4, :, :-1])
        d[5, :, :-1].copy_(d[1, :, 1:])
        d[5, :, -1].zero_()
        torch.mm(sums[0], d.view(6, -1), out=rows[:, row % rows.size(1)].transpose(0, 1).view(6, -1))


def arranged(row: Tensor, like: Tensor) -> Tensor:
    """(R, 1 or W, F), arranged as another row is if that is tiled, sharing memory."""
    if row.dim() >= like.dim() or row.size(1) == 1:
        return row
    return row.unflatten(1, [-1, 4]).permute(2, 0, 1, 3)    # TILE; scripts know no globals


def taken(space: Tensor, shape: list[int]) -> Tensor:
    """The beginning of a flat tensor as one of some shape."""
    count = 1
    for size in shape:
        count *= size
    return space[:count].view(shape)


def convolve(
    rows: Tensor, weight: Tensor, shape: list[int], row: int, shift: Tensor, sums: list[Tensor], spaces: list[Tensor]
) -> Tensor:
    """The (R, …) images' part of a buffer, a weight, (kh, kw, dilation, columns of padding, rows of padding above), a row of
    the image, which and those above it are read, what is added, (R, 1 or W, out), [Bᵀ, Aᵀ] in its type and two flat tensors
    to work in -> a row, arranged as the buffer is, in the second of them."""
    height, width, dilation = shape[0], shape[1], shape[2]
    if rows.dim() == 4:
        some = rows[:, row:row + (height - 1) * dilation + 1:dilation]
        images, columns, inputs = some.size(0), some.size(2) - (width - 1) * dilation, some.size(3)
        a, b, c, d = some.stride(0), some.stride(1), some.stride(2), some.stride(3)
        near = some.as_strided([images, columns, height, width, inputs], [a, c, b, c * dilation, d], some.storage_offset())
        beside = taken(spaces[0], near.size())
        beside.copy_(near)
        z = taken(spaces[1], [images * columns, weight.size(2)])
        torch.mm(beside.view(images * columns, -1), weight[0], out=z)
        return z.view(images, columns, -1).add_(shift)
    images, tiles = rows.size(0), rows.size(3)
    m = taken(spaces[0], [6, images * tiles, weight.size(3)])
    for j in range(height):
        above = row - j                                                              # its rows over the image are zero
        if above >= 0:
            u = rows[:, above % height].transpose(0, 1).flatten(1, 2)
            if j == 0:
                torch.bmm(u, weight[height - 1], out=m)
            else:
                torch.baddbmm(m, u, weight[height - 1 - j], out=m)
    if shift.size(1) == 1:
        m[1].view(images, tiles, -1).add_(shift)                                     # m1 enters all four with weight 1
    y = taken(spaces[1], [4, images, tiles, weight.size(3)])
    torch.mm(sums[1], m.view(6, -1), out=y.view(4, -1))
    if shift.size(1) > 1:
        y.add_(arranged(shift, y))
    return y
