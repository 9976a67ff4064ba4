"""The two stacks of a Gated PixelCNN for one row of many images, in terms of the weights that `Prepared` made ready.

Each function is one call for all layers, and keeps to what `threads.native` can run without the interpreter's lock, so that
two threads really draw at the same time. Absent weights are empty tensors. Those for many images work in three flat tensors,
`spaces`, that belong to the caller: memory taken anew for every product costs as much as a tenth of the products.

Where many images are drawn, what lies above their row is kept in tiles, (B, tiles, TILE, 2p) as a view of
(TILE, B, tiles, 2p): the link's products write it there, and `whole_rows` reads it, without another pass over memory. What
classes add to it in tiled layers, `late` (B, 1, 2p) or nothing, is then left to those who read it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arstudio.models.row_products import (
    Rooms,
    arranged,
    convolve,
    convolve_tiles,
    in_memory,
    place,
    rooms,
    settle,
    taken,
)
from arstudio.models.threads import native


def gate(z: Tensor, out: Tensor) -> None:
    """z (…, 2p), overwritten -> `out` (…, p), the doubled gate: tanh a · (1 + tanh b)."""
    p = z.size(-1) // 2
    gate_halves(z, z[..., :p], z[..., p:], out)


def gate_halves(z: Tensor, a: Tensor, b: Tensor, out: Tensor) -> None:
    """`gate` of z with its halves a and b, for those who have them."""
    z.tanh_()
    torch.addcmul(a, a, b, out=out)


def views(rows: Tensor, carried: Tensor, above: Tensor, some: slice) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of a layer's padded inputs (B, …), what it carries and what lies above, (B, W, 2p) or in tiles, what `vertical` takes of
    some images, where those in tiles are as they lie in memory. Making views anew for every row would take time."""
    rows, carried, above = rows[some], carried[some], above[some]
    if carried.dim() == 4:
        rows, carried = in_memory(rows), in_memory(carried)
    if above.dim() == 4:
        above = in_memory(above)
    return rows, carried, carried.flatten(1), above, above.flatten(1, -2)


@native
def vertical(
    rows: list[Tensor], carried: list[Tensor], flat: list[Tensor], above: list[Tensor], linked: list[Tensor],
    convs: list[Tensor], joined: list[Tensor], links: list[Tensor], shifts: list[Tensor], added: list[Tensor],
    shapes: list[list[int]], sums: list[Tensor], spaces: list[Tensor], row: int,
) -> None:
    """R images enter a row: of every layer the `views` of what is kept of them, all written; weights; what classes and places
    add, (R, 1 or W, 2p); (kh, kw, dilation, columns and rows of padding); [Bᵀ, Aᵀ]."""
    room: Rooms | None = None
    if above[0].dim() == 4:
        p = above[0].size(3) // 2
        room = rooms(spaces, above[0].size(1), above[0].size(2), p, 2 * p, row)
    for i in range(len(rows)):
        over, shift, enters = above[i], shifts[i], added[i]
        tiled = carried[i].dim() == 4
        if joined[i].numel() > 0:
            if tiled and room is not None:
                z = convolve_tiles(carried[i], flat[i], joined[i], row, enters, sums, room)
            else:
                z = convolve(rows[i], joined[i], shapes[i], row, enters, spaces)
            over.copy_(arranged(z, over))
        if convs[i].numel() > 0:
            if tiled and room is not None:
                z = convolve_tiles(carried[i], flat[i], convs[i], row, shift, sums, room)
                if links[i].numel() > 0:
                    torch.bmm(room.flat_y, links[i].expand([4, -1, -1]), out=linked[i])
                    if enters.size(1) > 1:
                        over.add_(arranged(enters, over))
            else:
                z = convolve(rows[i], convs[i], shapes[i], row, shift, spaces)
                if links[i].numel() > 0:
                    product = taken(spaces[0], z.size())
                    torch.mm(z.view(-1, z.size(-1)), links[i], out=product.view(-1, z.size(-1)))
                    torch.add(arranged(product, over), arranged(enters, over), out=over)
            if carried[i + 1].dim() == 4 and room is not None:
                if tiled:
                    gate_halves(z, room.a, room.b, room.row)
                else:
                    gate(arranged(z, room.row), room.row)
                settle(rows[i + 1], row, sums, room)
            else:
                target = place(rows[i + 1], row, shapes[i + 1])
                gate(z, arranged(target, z))


@native
def horizontal(
    above: list[Tensor], late: list[Tensor], lines: list[Tensor], windows: list[Tensor], taps: list[Tensor],
    outs: list[Tensor], shifts: list[Tensor], pads: list[int], spaces: list[Tensor], together: int,
    first: int, last: int, start: int, stop: int, images: Tensor, columns: Tensor,
) -> Tensor:
    """Pixels `start` to `stop` of images `first` to `last`, in tiles whole ones or a single pixel, or, where those are given,
    (N,) images and columns -> (N, p) features. Of every layer what lies above the row, what classes add late, the padded row
    (B, …, in), written, and its neighbourhoods (B, W, …), weights and bias, and columns of padding. `together` images, or as
    many pixels as their rows have, at once."""
    scattered = images.numel() > 0
    count = images.size(0) if scattered else (last - first) * (stop - start)
    part = together * windows[0].size(1)                                        # pixels, unless scattered of whole images
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
                near = windows[i][rows, columns_].view(end - begin, -1)
                z = above[i][rows, columns_]
            else:
                a, b = first + begin // (stop - start), first + end // (stop - start)
                if i > 0:
                    lines[i][a:b, start + pads[i]:stop + pads[i]] = some.view(b - a, stop - start, -1)
                beside = windows[i][a:b, start:stop]
                z, near = taken(spaces[1], [end - begin, taps[i].size(1)]), taken(spaces[0], beside.size())
                if above[i].dim() == 3:
                    z.view(b - a, stop - start, -1).copy_(above[i][a:b, start:stop])
                else:
                    tile = above[i].size(2)
                    if stop - start == 1:
                        z.copy_(above[i][a:b, start // tile, start % tile])
                    else:
                        z.view(b - a, -1, tile, z.size(1)).copy_(above[i][a:b, start // tile:stop // tile])
                    if late[i].numel() > 0:
                        z.view(b - a, stop - start, -1).add_(late[i][a:b])
                near.copy_(beside)
                near = near.view(end - begin, -1)
            z.addmm_(near, taps[i])
            gated = z[:, :z.size(1) // 2]
            gate(z, gated)
            if i > 0:
                some.addmm_(gated, outs[i]).add_(shifts[i])
            else:
                torch.addmm(shifts[i], gated, outs[i], out=some)
    return h


@native
def whole_rows(
    above: list[Tensor], late: list[Tensor], lines: list[Tensor], windows: list[Tensor], taps: list[Tensor],
    pairs: list[Tensor], outs: list[Tensor], shifts: list[Tensor], pads: list[int], sums: list[Tensor],
    spaces: list[Tensor], first: int, last: int, found: Tensor,
) -> None:
    """All pixels of a row of images `first` to `last`, what is above it in tiles as they lie in memory, and what classes add
    late, of those -> features `found` (R, tiles, TILE, p), which may lie in the second space. As `horizontal`, with the weights
    of F(4, 2), or none, and its [Bᵀ, Aᵀ]; but with those `lines` are not written, which costs more than to look at the few
    rows again that somebody comes back to."""
    images, tiles, side, p = found.size(0), found.size(1), found.size(2), found.size(3)
    d = taken(spaces[2], [side + 1, images, tiles, p])                         # h, and what is left of each tile
    h, left, left_from, flat_d = d[1:], d[0, :, 1:], d[side, :, :-1], d.flatten(1)
    flat = h.view(-1, p)
    u, m = taken(spaces[1], [side + 1, images * tiles, p]), taken(spaces[0], [side + 1, images * tiles, 2 * p])
    flat_u, m2, flat_m = u.flatten(1), m[2].view(images, tiles, -1), m.flatten(1)
    y = taken(spaces[1], [side, images, tiles, 2 * p])
    a, b, flat_y = y[..., :p], y[..., p:], y.flatten(1)
    gated = taken(spaces[0], h.size())
    flat_gated = gated.view(-1, p)
    d[0, :, 0].zero_()
    for i in range(len(above)):
        if pairs[i].numel() > 0:
            left.copy_(left_from)
            torch.mm(sums[0], flat_d, out=flat_u)
            torch.bmm(u, pairs[i], out=m)
            if late[i].numel() > 0:
                m2.add_(late[i])                                               # it enters all four outputs with weight 1
            torch.mm(sums[1], flat_m, out=flat_y)
            y.add_(above[i])
        else:
            if i > 0:
                in_memory(lines[i][first:last, pads[i]:].unflatten(1, [tiles, side])).copy_(h)
            beside = windows[i][first:last].unflatten(1, [tiles, side])
            near = taken(spaces[0], [side, images * tiles, taps[i].size(0)])
            if beside.dim() == 5:
                near.view(side, images, tiles, beside.size(3), beside.size(4)).copy_(beside.permute(2, 0, 1, 3, 4))
            else:
                near.view(side, images, tiles, -1).copy_(in_memory(beside))
            y.copy_(above[i])
            y.view(-1, 2 * p).addmm_(near.view(-1, taps[i].size(0)), taps[i])
        gate_halves(y, a, b, gated)
        if i > 0:
            flat.addmm_(flat_gated, outs[i]).add_(shifts[i])
        else:
            torch.addmm(shifts[i], flat_gated, outs[i], out=flat)
    in_memory(found).copy_(h)


@native
def few_rows(
    above: list[Tensor], late: list[Tensor], window: Tensor, taps: list[Tensor], outs: list[Tensor], shifts: list[Tensor],
    pads: list[int], spaces: list[Tensor], together: int, images: Tensor,
) -> Tensor:
    """All pixels of a row of a few images, (R,), what is above it in tiles -> (R·W, p) features, which may lie in the third
    space, from nothing but that and the first layer's neighbourhoods (B, W, …). For kernels of width 3, which see one
    neighbour. `together` images at once."""
    count, width, p = images.size(0), window.size(1), outs[0].size(1)
    found = spaces[2]
    if count > together or count * width * p > found.numel():
        found = torch.empty([count * width * p], dtype=found.dtype, device=found.device)
    found = taken(found, [count, width, p])
    end = 0
    while end < count:
        start, end = end, min(end + together, count)
        some, here = images[start:end], found[start:end]
        flat = here.view(-1, p)
        z = taken(spaces[1], [end - start, above[0].size(1), above[0].size(2), 2 * p])
        flat_z, of_image = z.view(-1, 2 * p), z.view(end - start, width, 2 * p)
        gated = flat_z[:, :p]
        near = taken(spaces[0], [end - start, width, 2, p])                    # the site's left neighbour and itself
        left, itself, flat_near = near[:, :, 0], near[:, :, 1], near.view(-1, 2 * p)
        for i in range(len(above)):
            torch.index_select(above[i], 0, some, out=z)
            if late[i].numel() > 0:
                of_image.add_(late[i].index_select(0, some))
            if i > 0:
                left[:, :pads[i]].zero_()
                left[:, pads[i]:].copy_(here[:, :-pads[i]])
                itself.copy_(here)
                flat_z.addmm_(flat_near, taps[i])
                gate(flat_z, gated)
                flat.addmm_(gated, outs[i]).add_(shifts[i])
            else:
                flat_z.addmm_(window.index_select(0, some).view(flat_z.size(0), -1), taps[i])
                gate(flat_z, gated)
                torch.addmm(shifts[i], gated, outs[i], out=flat)
    return found.view(-1, p)
