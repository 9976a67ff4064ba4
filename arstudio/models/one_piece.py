"""Tensors that lie together in memory of their own, in large pages where the system has them.

Products that stream through megabytes spend a part of their time on the tables of small pages, and small pages that happen
to share places in a core's cache push each other out of it.
"""

from __future__ import annotations

import math
import mmap
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from arstudio.models.layers import at_site

LARGE = 2**21    # bytes of a large page
LINE = 64        # of a line of the cache


def in_one_piece(like: Tensor, shapes: list[tuple[int, ...]], *, zero: bool = False) -> list[Tensor]:
    """Tensors of the type and place of `like`, with anything in them, each beginning a line of the cache; or `zero`, and then
    small pages on a CPU, so that only what is written takes memory. Raises MemoryError."""
    if like.device.type != "cpu":
        return [like.new_zeros(shape) for shape in shapes]
    kind = at_site(like[:0]).dtype
    sizes = [-(-math.prod(shape) * kind.itemsize // LINE) * LINE // kind.itemsize for shape in shapes]
    parts = torch.from_numpy(_numbers(sum(sizes), kind, zero)).split(sizes)
    return [part[:math.prod(shape)].view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _numbers(count: int, kind: np.dtype, zero: bool) -> np.ndarray:
    """From the system where there are many: what others freed would be resident, or in small pages."""
    size, edge = count * kind.itemsize, LINE
    if size <= LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):    # which only Linux has
        room = np.zeros(size + edge, np.uint8) if zero else np.empty(size + edge, np.uint8)
    else:
        room, edge = _pages(-(-size // LARGE) * LARGE + LARGE, large=not zero), LARGE
    return room[-room.ctypes.data % edge:][:size].view(kind)


def _pages(size: int, *, large: bool) -> np.ndarray:
    try:
        room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"There is no memory left for {size / 1e6:,.0f} MB more.") from error
    with suppress(OSError):    # a kernel without large pages
        room.madvise(mmap.MADV_HUGEPAGE if large else mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(room, np.uint8)
