"""Logistic autoregression, the fully visible sigmoid belief network.

One logistic (or softmax) regression per site, on the sites before it:

    p(x_t = k | x_<t) = softmax_k( b_t + Σ_{s<t} W_ts φ(x_s) )

Frey 1998, "Graphical Models for Machine Learning and Digital Communication"; Bengio & Bengio 2000.
Deviations: more than two levels by a softmax; φ is the scaled level or, with inputs="one_hot", its indicator
vector; an optional class adds a bias per site. With D sites there are D(D−1)/2 · P · E weights.

Shapes: φ (B, D, E) and logits (B, D, P) run over the sites *in order*.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, Decoder, ModelConfig
from arstudio.models.registry import register


@dataclass(frozen=True, kw_only=True)
class FVSBNConfig(ModelConfig):
    """`inputs`: "scaled" (one number a site, [-1, 1]) or "one_hot" (an indicator a level)."""

    inputs: str = "scaled"

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        known = self.inputs in ("scaled", "one_hot")
        self.require(known, f"inputs is 'scaled' or 'one_hot', not {self.inputs!r}.")
        features = 1 if self.inputs == "scaled" else spec.levels
        outputs = self.outputs(spec)
        weights = spec.sites**2 * features * outputs
        self.require(
            weights <= 200_000_000,
            f"An FVSBN on {spec} needs {weights / 1e6:,.0f} million weights; "
            "choose fewer levels or a smaller size.",
        )


    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        features, outputs = 1 if self.inputs == "scaled" else spec.levels, self.outputs(spec)
        biases = spec.sites * outputs
        return biases * spec.sites * features + biases + (num_classes + 1) * biases * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        return spec.sites * (2 * self.outputs(spec) + (1 if self.inputs == "scaled" else spec.levels))


@register("fvsbn", "FVSBN", "Frey 1998; Bengio & Bengio 2000", FVSBNConfig)
class FVSBN(AutoregressiveModel):
    """Logistic autoregression; see the module docstring."""

    config: FVSBNConfig

    def __init__(self, spec: ImageSpec, config: FVSBNConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        sites, outputs = spec.sites, self.likelihood.num_params
        self.features = 1 if config.inputs == "scaled" else spec.levels
        self.weight = nn.Parameter(torch.zeros(sites, outputs, sites, self.features))
        self.bias = nn.Parameter(torch.zeros(sites, outputs))
        self.class_bias = nn.Embedding(num_classes + 1, sites * outputs) if num_classes else None
        if self.class_bias is not None:
            nn.init.zeros_(self.class_bias.weight)
        before = torch.ones(sites, sites).tril(-1)[:, None, :, None]
        self.register_buffer("before", before, persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        if self.config.inputs == "scaled":
            return super().encode(x)
        return F.one_hot(x.long(), self.spec.levels).movedim(-1, 1).to(self.dtype)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        sites, outputs = self.bias.shape
        phi = e.flatten(2)[:, :, self.site_index].transpose(1, 2)                   # (B, D, E), in order
        weight = (self.weight * self.before).reshape(sites * outputs, -1)           # (D·P, D·E)
        logits = phi.flatten(1) @ weight.T + self.biases(y)                         # (B, D·P)
        params = logits.new_empty(len(e), outputs, sites)
        params = params.index_copy(2, self.site_index, logits.view(-1, sites, outputs).transpose(1, 2))
        return params.view(len(e), outputs, *self.spec.shape)

    def biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, D·P) biases, sites in order."""
        bias = self.bias.flatten()
        return bias.expand(len(y), -1) if self.class_bias is None else bias + self.class_bias(y)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return FVSBNDecoder(self, batch, y)


class FVSBNDecoder(Decoder):
    """Keeps φ of the sites seen so far; a site costs one product with its own row of weights, O(t·P·E)."""

    model: FVSBN
    batched = ("x", "phi", "bias")

    def __init__(self, model: FVSBN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        sites, outputs = model.bias.shape
        with torch.inference_mode():
            self.phi = torch.zeros(batch, sites * model.features, dtype=model.dtype, device=model.device)
            self.bias = self.model.biases(self.classes).view(batch, sites, outputs).clone()

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        t, seen = self.position, self.position * self.model.features
        weight = self.model.weight[t].flatten(1)[:, :seen]                          # (P, t·E)
        return torch.addmm(self.bias[:, t], self.phi[:, :seen], weight.T)

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        t, features = self.position, self.model.features
        if features == 1:
            self.phi[:, t] = value.to(self.phi.dtype) * (2.0 / (self.spec.levels - 1)) - 1.0
        else:
            here = slice(t * features, (t + 1) * features)
            self.phi[:, here] = F.one_hot(value.long(), features).to(self.phi.dtype)

    def _restart(self, position: int) -> int:
        return position
