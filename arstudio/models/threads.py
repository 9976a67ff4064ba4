"""How many threads torch uses on a CPU: all for training and whole images, one for drawing site by site.

A decoder's matrix products are so small that waking a second thread for each costs more than it gives: measured on 2
cores, one 28×28 image of the 11×128 Gated PixelCNN takes 1.3 s with one thread and 3.3 s with two. The same holds for
NumPy's products, which have threads of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController

ALL = torch.get_num_threads()    # before anybody changes it; OMP_NUM_THREADS is respected


def use_all() -> None:
    """Let this thread's work use every thread: a drawing elsewhere may have left the default at one."""
    torch.set_num_threads(ALL)


@contextmanager
def single() -> Iterator[None]:
    """Use one thread inside the block."""
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(ALL)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
