"""How a site enters the models that know no neighbourhood, FVSBN, MADE and EoNADE.

    inputs = "scaled"     φ(x) = 2x / (L − 1) − 1            E = 1, one number in [-1, 1]
    inputs = "one_hot"    φ(x) = indicator vector of x        E = L
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.layers import Array
from arstudio.models.likelihoods import LIKELIHOODS, Mixture


@dataclass(frozen=True, kw_only=True)
class SitewiseConfig(ModelConfig):
    """`inputs`: "scaled" (one number a site, [-1, 1]) or "one_hot" (an indicator a level)."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS

    inputs: str = "scaled"

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        known = self.inputs in ("scaled", "one_hot")
        self.require(known, f"inputs is 'scaled' or 'one_hot', not {self.inputs!r}.")
        self.require(spec.levels > 0 or self.inputs == "scaled", "Real values have no indicator; choose inputs 'scaled'.")

    def features(self, spec: ImageSpec) -> int:
        """E, how many numbers stand for one site."""
        return 1 if self.inputs == "scaled" else spec.levels

    def kept(self, spec: ImageSpec) -> int:
        """How many scalars a site's log-probability keeps for the backward pass, about."""
        likelihood = self.make_likelihood(spec)
        return (6 if isinstance(likelihood, Mixture) else 1) * likelihood.num_params + 1


class Sitewise(AutoregressiveModel):
    """A model whose sites enter as φ(x), E = `features` numbers each."""

    config: SitewiseConfig

    def __init__(self, spec: ImageSpec, config: SitewiseConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        self.features = config.features(spec)

    def encode(self, x: Tensor) -> Tensor:
        if self.config.inputs == "scaled":
            return super().encode(x)
        return F.one_hot(x.long(), self.spec.levels).movedim(-1, 1).to(self.dtype)

    def code(self, value: Array) -> Array:
        """(B,) values of one site -> (B, E)."""
        if self.config.inputs == "scaled":
            return self.scaled(value)[:, None]
        if isinstance(value, np.ndarray):
            return value[:, None] == np.arange(self.features)
        return (value[:, None] == torch.arange(self.features, device=value.device)).to(self.dtype)
