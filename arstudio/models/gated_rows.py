"""The two stacks of a Gated PixelCNN for one row of many images, in terms of the weights that `Prepared` made ready.

Each is one call for all layers, and keeps to what `threads.native` can run without the interpreter's lock, so that two
threads really draw at the same time. Absent weights are empty tensors. Both work in three flat tensors, `spaces`, that
belong to the caller: memory taken anew for every product costs as much as a tenth of the products.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arstudio.models.row_products import arranged, convolve, place, settle, taken
from arstudio.models.threads import native


def gate(z: Tensor, out: Tensor) -> None:
    """z (…, 2p), overwritten -> `out` (…, p), the doubled gate: tanh a · (1 + tanh b)."""
    p = z.size(-1) // 2
    z.tanh_()
    torch.addcmul(z[..., :p], z[..., :p], z[..., p:], out=out)


@native
def vertical(
    rows: list[Tensor], above: list[Tensor], convs: list[Tensor], joined: list[Tensor], links: list[Tensor],
    shifts: list[Tensor], added: list[Tensor], shapes: list[list[int]], sums: list[Tensor],
    spaces: list[Tensor], together: int, first: int, last: int, row: int,
) -> None:
    """Images `first` to `last` enter a row: of every layer the padded inputs `rows` (B, …) and what lies `above` the row
    (B, W, 2p), both written; weights; what classes and places add, (R, 1 or W, 2p); (kh, kw, dilation, columns and rows of
    padding); [Bᵀ, Aᵀ]."""
    for i in range(len(rows)):
        end = first
        while end < last:                                                      # while the layer's weights are near
            start, end = end, min(end + together, last)
            here, over = rows[i][start:end], above[i][start:end]
            shift, enters = shifts[i][start - first:end - first], added[i][start - first:end - first]
            if joined[i].numel() > 0:
                z = convolve(here, joined[i], shapes[i], row, enters, sums, spaces)
                arranged(over, z).copy_(z)
            if convs[i].numel() > 0:
                z = convolve(here, convs[i], shapes[i], row, shift, sums, spaces)
                if links[i].numel() > 0:
                    linked = taken(spaces[0], z.size())
                    torch.mm(z.view(-1, z.size(-1)), links[i], out=linked.view(-1, z.size(-1)))
                    torch.add(linked, arranged(enters, z), out=arranged(over, z))
                below = rows[i + 1][start:end]
                target = place(below, row, shapes[i + 1], spaces[0])
                gate(arranged(z, target), arranged(target, z))
                settle(below, row, shapes[i + 1], sums, spaces[0])


@native
def horizontal(
    above: list[Tensor], lines: list[Tensor], windows: list[Tensor], taps: list[Tensor], outs: list[Tensor],
    shifts: list[Tensor], pads: list[int], spaces: list[Tensor], together: int,
    first: int, last: int, start: int, stop: int, images: Tensor, columns: Tensor,
) -> Tensor:
    """Pixels `start` to `stop` of images `first` to `last`, or, where those are given, (N,) images and columns -> (N, p)
    features. Of every layer what lies above the row (B, W, 2p), the padded row (B, …, in), written, and its neighbourhoods
    (B, W, …), weights and bias, and columns of padding. `together` images, or as many pixels as their rows have, at once."""
    scattered = images.numel() > 0
    count = images.size(0) if scattered else (last - first) * (stop - start)
    part = together * above[0].size(1)                                         # pixels, unless scattered of whole images
    if not scattered:
        part = max(part // (stop - start), 1) * (stop - start)
    h = spaces[2]
    if count * outs[0].size(1) > h.numel():
        h = torch.empty([count * outs[0].size(1)], dtype=h.dtype, device=h.device)
    h = taken(h, [count, outs[0].size(1)])
    for i in range(len(above)):
        end = 0
        while end < count:                                                     # while the layer's weights are near
            begin, end = end, min(end + part, count)
            some = h[begin:end]
            if scattered:
                rows, columns_ = images[begin:end], columns[begin:end]
                if i > 0:
                    lines[i][rows, columns_ + pads[i]] = some
                z, near = above[i][rows, columns_], windows[i][rows, columns_].view(end - begin, -1)
            else:
                a, b = first + begin // (stop - start), first + end // (stop - start)
                if i > 0:
                    lines[i][a:b, start + pads[i]:stop + pads[i]] = some.view(b - a, stop - start, -1)
                over, beside = above[i][a:b, start:stop], windows[i][a:b, start:stop]
                z, near = taken(spaces[1], over.size()), taken(spaces[0], beside.size())
                z.copy_(over)
                near.copy_(beside)
                z, near = z.view(end - begin, -1), near.view(end - begin, -1)
            z.addmm_(near, taps[i])
            gated = z[:, :z.size(1) // 2]
            gate(z, gated)
            if i > 0:
                some.addmm_(gated, outs[i]).add_(shifts[i])
            else:
                torch.addmm(shifts[i], gated, outs[i], out=some)
    return h
