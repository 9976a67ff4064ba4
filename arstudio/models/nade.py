"""NADE, the neural autoregressive distribution estimator.

One hidden layer whose activation grows by one site at a time, so all D conditionals together cost O(D·H):

    a_1 = c,   h_t = g(a_t),   p(x_t | x_<t) = softmax(b_t + V_t h_t),   a_{t+1} = a_t + W_t φ(x_t)

Larochelle & Murray 2011, "The Neural Autoregressive Distribution Estimator". W and c are shared by all conditionals,
and g is the sigmoid (`units`).
Deviations: more than two levels by a softmax with φ the indicator vector of the level; an optional class adds
a bias to a_1; binary inputs are ±1 instead of 0/1, which only moves constants into c. `small` and `medium` have rectified
linear units, g(a) = max(0, a), which learn far more in the first minutes: see tests/benchmarks/README.md.

Shapes: φ (B, D, E), activations (B, D, H), logits (B, D, P), sites *in order*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, at_site, relu
from arstudio.models.registry import register
from arstudio.models.runs import SumDecoder, outputs, sigmoid

UNITS = {"sigmoid": sigmoid, "relu": relu}


@dataclass(frozen=True, kw_only=True)
class NADEConfig(ModelConfig):
    """`hidden` is H, 500 in the paper; `units` is "sigmoid", as there, or "relu"."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden": 100, "units": "relu"}, "medium": {"units": "relu"}, "paper": {"hidden": 500},
    }

    hidden: int = 200
    units: str = "sigmoid"

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.hidden >= 1, f"hidden must be at least 1, not {self.hidden}.")
        self.require(self.units in UNITS, f"units is 'sigmoid' or 'relu', not {self.units!r}.")
        outputs = self.outputs(spec)
        weights = 2 * spec.sites * self.hidden * outputs
        self.require(
            weights <= 200_000_000,
            f"A NADE of {self.hidden} hidden units on {spec} needs {weights / 1e6:,.0f} million weights; "
            "choose fewer units, fewer levels or a smaller size.",
        )

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        outputs, features = self.outputs(spec), 1 if spec.levels == 2 else spec.levels
        total = spec.sites * (self.hidden * (features + outputs) + outputs) + self.hidden
        return total + (num_classes + 1) * self.hidden * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        features = 1 if spec.levels == 2 else spec.levels
        return spec.sites * (2 * self.hidden + features + 2 * self.outputs(spec))


@register("nade", "NADE", "Larochelle & Murray 2011", NADEConfig)
class NADE(AutoregressiveModel):
    """Neural autoregressive distribution estimator; see the module docstring."""

    config: NADEConfig
    in_blocks = True
    binary_below = 12

    def __init__(self, spec: ImageSpec, config: NADEConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        sites, hidden, outputs = spec.sites, config.hidden, self.likelihood.num_params
        self.features = 1 if spec.levels == 2 else spec.levels
        self.W = nn.Parameter(torch.randn(sites, self.features, hidden) * 0.05)
        self.c = nn.Parameter(torch.zeros(hidden))
        self.V = nn.Parameter(torch.randn(sites, outputs, hidden) * 0.05)
        self.b = nn.Parameter(torch.zeros(sites, outputs))
        self.class_bias = nn.Embedding(num_classes + 1, hidden) if num_classes else None

    def encode(self, x: Tensor) -> Tensor:
        if self.features == 1:
            return super().encode(x)
        return F.one_hot(x.long(), self.spec.levels).movedim(-1, 1).to(self.dtype)

    def start(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, H) activation before any site is seen."""
        return self.c.expand(len(y), -1) if self.class_bias is None else self.c + self.class_bias(y)

    def output(self, a: Tensor, t: int | slice) -> Tensor:
        """Activation (B, H) at site t, or (B, T, H) at a slice of sites -> logits (B, P) or (B, T, P)."""
        h = UNITS[self.config.units](a)
        if isinstance(t, int):
            return torch.addmm(self.b[t], h, self.V[t].T)
        return torch.einsum("bth,tph->btp", h, self.V[t]) + self.b[t]

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        phi = e.flatten(2)[:, :, self.site_index].transpose(1, 2)                   # (B, D, E), in order
        added = torch.einsum("bde,deh->bdh", phi, self.W)                           # W_t φ(x_t)
        past = F.pad(added[:, :-1].cumsum(1), (0, 0, 1, 0))                         # Σ_{s<t}
        logits = self.output(self.start(y)[:, None] + past, slice(None))            # (B, D, P)
        params = logits.new_empty(len(e), logits.shape[2], self.spec.sites)
        params = params.index_copy(2, self.site_index, logits.transpose(1, 2))
        return params.view(len(e), -1, *self.spec.shape)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return NADEDecoder(self, batch, y)


class NADEDecoder(SumDecoder):
    """Keeps the running activation a_t; a site costs one product with V_t and one added row of W_t, O(H)."""

    model: NADE

    def __init__(self, model: NADE, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.W, self.V, self.b = (at_site(p.detach()) for p in (self.model.W, self.model.V, self.model.b))
        self.units = UNITS[model.config.units]

    def _added(self, values: Array, first: int) -> Array:
        weight = self.W[first:first + values.shape[1]]                              # (T, E, H)
        if self.model.features == 1:
            return self.model.scaled(values)[..., None] * weight[:, 0]
        return weight[np.arange(values.shape[1]), values]

    def _outputs(self, a: Array, first: int) -> Array:
        sites = slice(first, first + a.shape[1])
        return outputs(self.units(a), self.V[sites].swapaxes(1, 2), self.b[sites])
