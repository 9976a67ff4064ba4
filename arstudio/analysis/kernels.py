"""The kernels of a model's convolutions as pictures: which taps a mask lets through, and how strong each has become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from arstudio.models.base import AutoregressiveModel


@dataclass(frozen=True, eq=False)
class Kernel:
    """One layer: `allowed` (rows, columns) is the share of the connections of each tap that the mask lets through,
    `strength` (rows, columns) the root mean square of the weights that are used there, `shape` (outputs, inputs)."""

    name: str
    shape: tuple[int, int]
    allowed: np.ndarray
    strength: np.ndarray

    @property
    def masked(self) -> bool:
        """True where the mask forbids anything."""
        return bool((self.allowed < 1).any())


def kernels(model: AutoregressiveModel) -> list[Kernel]:
    """Every layer whose weights are kernels over rows and columns, in the order in which the model holds them. A single
    tap counts where it has a mask (colours of a pixel, B after A). Empty for models without convolutions."""
    found = []
    for name, module in model.named_modules():
        weight, mask = getattr(module, "weight", None), getattr(module, "mask", None)
        if not isinstance(weight, Tensor) or weight.dim() not in (3, 4):
            continue
        weight = weight.detach().cpu().double().numpy()
        if weight.ndim == 3:    # (out, in, taps) along a row or a sequence
            weight = weight[:, :, None]
        if weight.shape[2:] == (1, 1) and not isinstance(mask, Tensor):
            continue
        keep = np.ones_like(weight)
        if isinstance(mask, Tensor):
            mask = mask.cpu().double().numpy()
            keep = np.broadcast_to(mask.reshape(*mask.shape, *[1] * (4 - mask.ndim)), weight.shape)
        allowed = keep.mean((0, 1))
        strength = np.sqrt((weight**2 * keep).sum((0, 1)) / np.maximum(keep.sum((0, 1)), 1))
        found.append(Kernel(name, weight.shape[:2], allowed, strength))
    return found

