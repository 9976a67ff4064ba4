"""Telling "out of memory" from other errors: every kind of device says it in its own way."""

from __future__ import annotations

import torch

SIGNS = ("out of memory", "not enough memory", "can't allocate memory")    # CUDA and MPS; torch's allocator on CPUs; Linux


def out_of_memory(error: BaseException) -> bool:
    """True if the error says that a device or the machine has no memory left for what was asked."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)
