"""How many threads torch uses on a CPU: all for training and whole images, one for drawing site by site.

A decoder's matrix products are so small that waking a second thread for each costs more than it gives: measured on 2
cores, one 28×28 image of the 11×128 Gated PixelCNN takes 1.3 s with one thread and 3.3 s with two. The same holds for
NumPy's products, which have threads of their own.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

Function = TypeVar("Function", bound=Callable[..., Any])

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


def share(work: Callable[[np.ndarray], None], images: np.ndarray, least: int) -> None:
    """Let threads do `work`, each on its own part of (R,) images and with single-threaded products; here and now where
    there are not `least` images for each of two."""
    parts = np.array_split(images, max(1, min(ALL, len(images) // least)))

    def alone(part: np.ndarray) -> None:
        torch.set_num_threads(1)
        work(part)

    if len(parts) == 1:
        work(images)
        return
    with ThreadPoolExecutor(len(parts) - 1) as pool:
        others = [pool.submit(alone, part) for part in parts[1:]]
        work(parts[0])
        for other in others:
            other.result()


def native(function: Function) -> Function:
    """Compile a function of tensors so that it runs without the interpreter's lock; where torch cannot, as it is.

    TorchScript is the only part of torch that needs neither the interpreter nor a compiler at run time. It is deprecated,
    and nothing depends on it: the same function then runs in Python, and threads wait for each other.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.script(function)
    except (AttributeError, RuntimeError) as error:
        logging.getLogger(__name__).info("%s runs in Python: %s", function.__name__, error)
        return function


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
