"""Convolutions along one row of many images as matrix products, for decoders on frozen weights.

    dense    every neighbourhood side by side, one product: kh · kw · in multiplications a site and output
    tiled    Winograd's minimal filters along the row, y = Aᵀ [(G g) ⊙ (Bᵀ d)] for the inputs d that four neighbouring
             outputs see and the weights g of a kernel row, with sums before and after that cost less than they save once
             there are enough rows: F(4, 3) takes six products in place of twelve, F(4, 2) five in place of eight

Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1 and its F(4×4, 3×3), taken along one
dimension; F(4, 2) is built in the same way from the points 0, ∞, 1, −1 and 2. The sums are exact to the same order as the
products: tests hold all to float64.

Kernels of the tiled way have two rows, A above B, and F(2, 2) down the image takes three products for two of its rows, an
even one and the one below it: with s = (A + B) x_r they are s − A (x_r − x_{r−1}) and s + B (x_{r+1} − x_r).

Rows are kept in buffers (B, rows, columns, in) with padding on both sides and come out as (R, W, out). On the tiled way,
for widths that are multiples of TILE, columns of the same remainder lie together, (TILE, R, W / TILE, in or out), so that
the sums before and after the products are products themselves, with Bᵀ and Aᵀ over long stretches of memory. `arranged`
gives a row in that arrangement. The last row is kept, (B, tiles, TILE, in) as a view of (TILE, B, tiles, in), and so is
Aᵀ s, `carried`, (B, tiles, TILE, out).

The functions keep to what `threads.native` can run without the interpreter's lock.
"""

from __future__ import annotations

from typing import NamedTuple

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


def dense_weight(kernel: Tensor, scale: Tensor, room: Tensor) -> None:
    """A kernel (kh, kw, in, out), times a `scale` (out) or (1), as `convolve` takes it, into a room (1, kh·kw·in, out)."""
    torch.mul(kernel, scale, out=room.view(kernel.shape))


def tiled_weight(kernel: Tensor, scale: Tensor, room: Tensor) -> None:
    """A kernel (2, 3, in, out), A and B, times a `scale` (out) or (1), as `convolve_tiles` takes it: G g of A + B, B and −A,
    into a room (3, 6, in, out), where all of it is made, as memory that others leave behind would outlive them."""
    taps, g = room[2, :3], G.to(kernel)
    torch.mul(kernel[1], scale, out=taps)
    torch.mm(g, taps.view(3, -1), out=room[1].view(6, -1))
    taps.addcmul_(kernel[0], scale)
    torch.mm(g, taps.view(3, -1), out=room[0].view(6, -1))
    torch.sub(room[1], room[0], out=room[2])


def pair_weight(left: Tensor, room: Tensor) -> None:
    """Weights (2, in, out) of a site's left neighbour and itself -> G g of F(4, 2), which begins with the two, into a room
    (5, in, out)."""
    torch.mm(G2.to(left), left.flatten(1), out=room.view(5, -1))


def buffer_shape(images: int, rows: int, width: int, side: int, inputs: int, tiled: bool) -> tuple[int, ...]:
    """What a buffer of rows with `side` columns of padding looks like in memory; see `images_first`."""
    return (TILE, images, width // TILE, inputs) if tiled else (images, rows, width + 2 * side, inputs)


def images_first(row: Tensor) -> Tensor:
    """A row in tiles, as it lies in memory -> with a row per image, as the others take it."""
    return row.permute(1, 2, 0, 3)


def laid_out(row: Tensor) -> Tensor:
    """A row in tiles, with a row per image, copied if it does not lie in memory as it should."""
    return images_first(in_memory(row).contiguous())


def in_memory(row: Tensor) -> Tensor:
    """A row in tiles, with a row per image -> as it lies in memory, (TILE, R, tiles, F)."""
    return row.permute(2, 0, 1, 3)


class Rooms(NamedTuple):
    """Where a row of R images lies on the tiled way between two products, the same for all layers: views of two flat
    tensors, made once, as making them for every product takes time. Of even rows Bᵀ d is formed of the row and its change,
    G = 2, of odd ones of the change alone, G = 1."""

    row: Tensor             # (TILE, R, tiles, in), written by whoever has it
    change: Tensor          # the same, how it differs from the row above
    outside: list[Tensor]   # two (G, R, in) of d, the columns beside the image, which are zero
    beside: list[Tensor]    # two (G, R, tiles − 1, in) of d, the columns left and right of a tile …
    inside: list[Tensor]    # … and where the tiles next to it have them
    d: Tensor               # (6, G·R·tiles·in)
    u: Tensor               # the same, Bᵀ d
    near: Tensor            # (6, R·tiles, in), that of the row, in even rows …
    turn: Tensor            # … and that of the change
    m: Tensor               # (6, R·tiles, out), the products …
    m1: Tensor              # … (R, tiles, out), those that enter all four outputs with weight 1 …
    products: Tensor        # … (6, R·tiles·out), all of them
    y: Tensor               # (TILE, R, tiles, out), the sums of products …
    flat_y: Tensor          # … (TILE, R·tiles, out), all of them …
    a: Tensor               # … (TILE, R, tiles, out / 2), their first half …
    b: Tensor               # … and their second …
    outputs: Tensor         # … (TILE, R·tiles·out), all of them


def rooms(spaces: list[Tensor], images: int, tiles: int, inputs: int, outputs: int, row: int) -> Rooms:
    """Rooms for a row of some images: d and the products in one flat tensor, Bᵀ d and y in the other, as neither are needed
    together, and what is between two products should stay in a core's cache."""
    groups, size = 2 - row % 2, images * tiles * inputs
    d = taken(spaces[0], [6, groups, images, tiles, inputs])
    u = taken(spaces[1], d.size())
    new = d[1:5, 0] if groups == 2 else taken(spaces[0][6 * size:], [4, images, tiles, inputs])
    m, y = taken(spaces[0], [6, images * tiles, outputs]), taken(spaces[1], [4, images, tiles, outputs])
    return Rooms(
        new, d[1:5, -1], [d[0, :, :, 0], d[5, :, :, -1]], [d[0, :, :, 1:], d[5, :, :, :-1]], [d[4, :, :, :-1], d[1, :, :, 1:]],
        d.flatten(1), u.flatten(1), u[:, 0].flatten(1, 2), u[:, -1].flatten(1, 2), m, m[1].view(images, tiles, outputs),
        m.flatten(1), y, y.flatten(1, 2), y[..., :outputs // 2], y[..., outputs // 2:], y.flatten(1),
    )


def settle(last: Tensor, row: int, sums: list[Tensor], rooms: Rooms) -> None:
    """To follow the writing of a row into its room: it is kept as the last one, the images' part of a buffer as it lies in
    memory, and Bᵀ d is formed."""
    if row == 0:
        last.zero_()                                                                     # which is what lies above the image
    torch.sub(rooms.row, last, out=rooms.change)
    last.copy_(rooms.row)
    for i in range(2):
        rooms.outside[i].zero_()
        rooms.beside[i].copy_(rooms.inside[i])
    torch.mm(sums[0], rooms.d, out=rooms.u)


def convolve_tiles(
    carried: Tensor, flat: Tensor, weight: Tensor, row: int, shift: Tensor, sums: list[Tensor], rooms: Rooms
) -> Tensor:
    """The images' part of what is carried, as it lies in memory, and the same as (TILE, …), a weight, the row of the image that
    has settled, what is added, (R, 1 or W, out), and [Bᵀ, Aᵀ] -> a row in tiles, (TILE, R, tiles, out), in its room."""
    if row % 2 == 0:
        torch.bmm(rooms.near, weight[0], out=rooms.m)
        if shift.size(1) == 1:
            rooms.m1.add_(shift)
        torch.mm(sums[1], rooms.products, out=flat)
        torch.baddbmm(rooms.m, rooms.turn, weight[2], out=rooms.m)
        torch.mm(sums[1], rooms.products, out=rooms.outputs)
    else:
        torch.bmm(rooms.turn, weight[1], out=rooms.m)
        torch.mm(sums[1], rooms.products, out=rooms.outputs)
        rooms.y.add_(carried)
    if shift.size(1) > 1:
        rooms.y.add_(arranged(shift, rooms.y))
    return rooms.y


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


def place(rows: Tensor, row: int, shape: list[int]) -> Tensor:
    """Where a row of (R, …) images is written in their part of a buffer of a `shape` as `convolve` takes it, without its
    padding."""
    return rows[:, shape[4] + row, shape[3]:rows.size(2) - shape[3]]


def convolve(
    rows: Tensor, weight: Tensor, shape: list[int], row: int, shift: Tensor, spaces: list[Tensor]
) -> Tensor:
    """The (R, …) images' part of a buffer, a weight, (kh, kw, dilation, columns of padding, rows of padding above), a row of
    the image, which and those above it are read, what is added, (R, 1 or W, out), and two flat tensors to work in -> the row
    (R, W, out), in the second of them."""
    height, width, dilation = shape[0], shape[1], shape[2]
    some = rows[:, row:row + (height - 1) * dilation + 1:dilation]
    images, columns, inputs = some.size(0), some.size(2) - (width - 1) * dilation, some.size(3)
    a, b, c, d = some.stride(0), some.stride(1), some.stride(2), some.stride(3)
    near = some.as_strided([images, columns, height, width, inputs], [a, c, b, c * dilation, d], some.storage_offset())
    beside = taken(spaces[0], near.size())
    beside.copy_(near)
    z = taken(spaces[1], [images * columns, weight.size(2)])
    torch.mm(beside.view(images * columns, -1), weight[0], out=z)
    return z.view(images, columns, -1).add_(shift)
