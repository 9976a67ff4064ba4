"""Convolutions of one row of many images as matrix products, for decoders on frozen weights.

    Dense    every neighbourhood side by side, one product: kh · kw · in multiplications a site and output
    Tiled    Winograd's F(4, 3) along the row: four outputs from six products in place of twelve,
             y = Aᵀ [(G g) ⊙ (Bᵀ d)] for six inputs d and the three weights g of each kernel row, so half the
             multiplications, and sums before and after that cost less than they save once there are enough rows

Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1 and its F(4×4, 3×3), taken along one
dimension. The sums are exact to the same order as the products: tests hold both to float64.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arstudio.models.layers import Array, at_site

FEW = 4    # rows of a product up to which NumPy's calls cost less than torch's
TILE = 4   # outputs of a tile

G = np.array([[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
              [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]])
BT = np.array([[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0],
               [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])
AT = np.array([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class Matrix:
    """A weight (in, out): `tensor`, and on a CPU `array`, sharing its memory. Made from float64, in the type of `like`."""

    def __init__(self, wide: Tensor, like: Tensor) -> None:
        self.tensor = wide.to(like).contiguous()
        self.array = at_site(self.tensor)

    def times(self, x: Array) -> Array:
        """x (N, in) -> x W."""
        if not isinstance(x, np.ndarray):
            return torch.mm(x, self.tensor)
        if len(x) <= FEW:
            return x.dot(self.array)
        return torch.mm(torch.from_numpy(x), self.tensor).numpy()

    def add(self, z: Array, x: Array) -> None:
        """z += x W."""
        if not isinstance(z, np.ndarray):
            z.addmm_(x, self.tensor)
        elif len(x) <= FEW:
            z += x.dot(self.array)
        else:
            torch.from_numpy(z).addmm_(torch.from_numpy(x), self.tensor)


class Dense:
    """A kernel (kh, kw, in, out), its rows and columns `dilation` apart. Rows are kept as (B, rows, columns, in) and come out
    as (R, W, out)."""

    def __init__(self, kernel: Tensor, dilation: int, like: Tensor) -> None:
        self.height, self.width, self.dilation = *kernel.shape[:2], dilation
        self.matrix = Matrix(kernel.flatten(0, 2), like)

    def shape(self, rows: int, columns: int) -> tuple[int, ...]:
        """What a buffer of padded rows looks like for one image, without its features."""
        return rows, columns

    def __call__(self, buffer: Array, part: slice, row: int, shift: Array) -> Array:
        """Some images of a buffer (B, rows, W + (kw − 1) · dilation, in), from a row on, and what is added, (R, 1 or W, out)
        -> (R, W, out)."""
        rows = buffer[part, row:row + (self.height - 1) * self.dilation + 1:self.dilation]
        images, kh, columns, inputs = rows.shape
        width = columns - (self.width - 1) * self.dilation
        shape = images, width, kh, self.width, inputs
        if isinstance(rows, np.ndarray):
            a, b, c, d = rows.strides
            view = np.lib.stride_tricks.as_strided(rows, shape, (a, c, b, c * self.dilation, d))
        else:
            a, b, c, d = rows.stride()
            view = rows.as_strided(shape, (a, c, b, c * self.dilation, d))
        z = self.matrix.times(view.reshape(images * width, -1)).reshape(images, width, -1)
        z += shift
        return z

    @staticmethod
    def places(buffer: Array, part: slice, row: int, side: int) -> list[Array]:
        """Where a row without its padding belongs, as one piece (R, W, in)."""
        return [buffer[part, row, side:buffer.shape[2] - side]]


class Tiled:
    """A kernel (kh, 3, in, out) on a CPU, for rows whose width is a multiple of TILE. Rows are kept with columns of the same
    remainder by TILE together, (B, rows, TILE, columns / TILE, in), and come out as (TILE, R, W / TILE, out), so that the sums
    before and after the products are products themselves, with Bᵀ and Aᵀ over long stretches of memory."""

    def __init__(self, kernel: Tensor, like: Tensor) -> None:
        spread = torch.einsum("tk,hkio->thio", torch.from_numpy(G).to(kernel), kernel)
        self.weights = spread.flatten(1, 2).to(like).contiguous()                    # (6, kh·in, out)
        self.height = len(kernel)
        self.before, self.after = (torch.from_numpy(matrix).to(like) for matrix in (BT, AT))

    def shape(self, rows: int, columns: int) -> tuple[int, ...]:
        """As `Dense.shape`."""
        return rows, TILE, -(-columns // TILE)

    def __call__(self, buffer: Array, part: slice, row: int, shift: Array) -> np.ndarray:
        """Some images of a buffer, from a row on, and what is added, (R, 1 or W, out) -> (TILE, R, W / TILE, out)."""
        rows = torch.as_tensor(buffer[part, row:row + self.height]).permute(2, 0, 3, 1, 4)    # (TILE, R, W / TILE + 1, kh, in)
        images, tiles = rows.shape[1], rows.shape[2] - 1
        d = rows.new_empty(6, images, tiles, *rows.shape[3:])
        d[:TILE] = rows[:, :, :-1]
        d[TILE:] = rows[:2, :, 1:]
        u = torch.mm(self.before, d.view(6, -1)).view(6, images * tiles, -1)
        m = torch.bmm(u, self.weights)                                               # (6, R·W / TILE, out)
        if shift.shape[1] == 1:
            m[1].view(images, tiles, -1).add_(torch.as_tensor(shift))                # m1 enters all four with weight 1
        y = torch.mm(self.after, m.view(6, -1)).view(TILE, images, tiles, -1).numpy()
        if shift.shape[1] > 1:
            for z, constant in zip(y, pieces(shift, TILE), strict=True):
                z += constant
        return y

    @staticmethod
    def places(buffer: np.ndarray, part: slice, row: int, side: int) -> list[np.ndarray]:
        """Where a row without its padding belongs, as TILE pieces (R, W / TILE, in)."""
        rows = buffer[part, row]
        return [*(rows[:, j, :-1] for j in range(1, TILE)), rows[:, 0, 1:]]          # padded by one column on the left


def pieces(z: Array, count: int) -> list[Array]:
    """A row that came out of either, (R, W, out) or (TILE, R, W / TILE, out), in 1 or TILE pieces as `places` has them."""
    if count == 1:
        return [z]
    if z.ndim == 3:
        z = z.reshape(len(z), -1, TILE, z.shape[2]).swapaxes(1, 2).swapaxes(0, 1)
    return list(z)
