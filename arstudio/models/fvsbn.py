"""Logistic autoregression, the fully visible sigmoid belief network.

One logistic (or softmax) regression per site, on the sites before it:

    p(x_t = k | x_<t) = softmax_k( b_t + Σ_{s<t} W_ts φ(x_s) )

Frey 1998, "Graphical Models for Machine Learning and Digital Communication"; Bengio & Bengio 2000.

With D sites, P parameters a site and E numbers in φ, the regressions have

    context = 0    D(D−1)/2 · P · E weights     the whole past (stored as a D × D square, half of it never used)
    context = k    D · k · P · E weights        the k sites before in the order: a Markov chain of order k

of which the first k sites leave k(k+1)/2 · P · E without a site to look at, and D · P biases. On 28×28 binary
images that is 306,936 weights for the whole past and 23,520 for a context of 30 sites, little more than a row.

Deviations: more than two levels by a softmax, or any other output family; φ is the scaled level or, with
inputs="one_hot", its indicator vector; an optional class adds a bias per site.

Shapes: φ (B, D, E) and parameters (B, D, P) run over the sites *in order*; weights (D, P, D, E), or (D, P, k, E)
with tap j of site t on site t − k + j.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, at_site
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder
from arstudio.models.sitewise import Sitewise, SitewiseConfig


@dataclass(frozen=True, kw_only=True)
class FVSBNConfig(SitewiseConfig):
    """`inputs`: "scaled" (one number a site, [-1, 1]) or "one_hot" (an indicator a level). `context`: how many
    sites before it in the order a site looks at, 0 for all."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"small": {}, "medium": {}, "paper": {}}

    context: int = 0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(
            0 <= self.context < spec.sites,
            f"context must be 0 (the whole past) to {spec.sites - 1}, the sites there are before the last, "
            f"not {self.context}.",
        )
        weights = self.weights(spec)
        self.require(
            weights <= 200_000_000,
            f"An FVSBN on {spec} needs {weights / 1e6:,.0f} million weights; "
            "choose fewer levels, a smaller size or a context.",
        )

    def weights(self, spec: ImageSpec) -> int:
        """Number of stored weights, without biases."""
        return spec.sites * (self.context or spec.sites) * self.features(spec) * self.outputs(spec)

    def regressions(self, spec: ImageSpec, context: int) -> int:
        """Weights and biases of the regressions on the `context` sites before each, 0 for all, without gaps."""
        sites, taps = spec.sites, context or spec.sites
        pairs = taps * sites - taps * (taps + 1) // 2
        return self.outputs(spec) * (pairs * self.features(spec) + sites)

    def facts(self, spec: ImageSpec) -> dict[str, str]:
        row = self.context or min(spec.width * spec.channels, spec.sites - 1)
        counts = {"on the whole past": self.regressions(spec, 0)}
        if row:
            counts[f"on the {row} sites before"] = self.regressions(spec, row)
        return {"regressions": ", ".join(f"{where} {count:,} parameters" for where, count in counts.items())}

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        biases = spec.sites * self.outputs(spec)
        return self.weights(spec) + biases + (num_classes + 1) * biases * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        features, taps = self.features(spec), self.context or 1
        return spec.sites * (self.kept(spec) + self.outputs(spec) + features * (taps if features > 1 else 1))


@register("fvsbn", "FVSBN", "Frey 1998; Bengio & Bengio 2000", FVSBNConfig)
class FVSBN(Sitewise):
    """Logistic autoregression; see the module docstring."""

    config: FVSBNConfig
    in_blocks = True

    def __init__(self, spec: ImageSpec, config: FVSBNConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        sites, outputs = spec.sites, self.likelihood.num_params
        self.weight = nn.Parameter(torch.zeros(sites, outputs, config.context or sites, self.features))
        self.bias = nn.Parameter(self.likelihood.first_guess().repeat(sites, 1))
        self.class_bias = nn.Embedding(num_classes + 1, sites * outputs) if num_classes else None
        if self.class_bias is not None:
            nn.init.zeros_(self.class_bias.weight)
        before = None if config.context else torch.ones(sites, sites).tril(-1)[:, None, :, None]
        self.register_buffer("before", before, persistent=False)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        sites, outputs = self.bias.shape
        phi = e.flatten(2)[:, :, self.site_index].transpose(1, 2)                   # (B, D, E), in order
        found = self.from_context(phi) if self.config.context else self.from_past(phi)
        found = (found + self.biases(y)).view(-1, sites, outputs)                   # (B, D, P)
        params = found.new_empty(len(e), outputs, sites)
        params = params.index_copy(2, self.site_index, found.transpose(1, 2))
        return params.view(len(e), outputs, *self.spec.shape)

    def from_past(self, phi: Tensor) -> Tensor:
        """φ (B, D, E) -> (B, D·P), what all sites before contribute to each."""
        weight = (self.weight * self.before).reshape(-1, phi[0].numel())            # (D·P, D·E)
        return phi.flatten(1) @ weight.T

    def from_context(self, phi: Tensor) -> Tensor:
        """φ (B, D, E) -> (B, D·P), what the k sites before contribute; before the first site there are zeros."""
        taps = self.config.context
        seen = F.pad(phi, (0, 0, taps, 0))[:, :-1].unfold(1, taps, 1)               # (B, D, E, k)
        return torch.einsum("btej,tpje->btp", seen, self.weight).flatten(1)

    def biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, D·P) biases, sites in order."""
        bias = self.bias.flatten()
        return bias.expand(len(y), -1) if self.class_bias is None else bias + self.class_bias(y)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return FVSBNDecoder(self, batch, y)


class FVSBNDecoder(RunDecoder):
    """Keeps φ of the sites seen so far; a site costs one product with its own row of weights, O(t·P·E), or
    O(k·P·E) with a context of k sites. What sites before a block add to those inside is one product."""

    model: FVSBN
    batched = ("x", "phi", "bias", "past")

    @torch.inference_mode()
    def __init__(self, model: FVSBN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        sites, outputs = model.bias.shape
        self.lead = model.config.context * model.features                           # zeros before the first site
        self.phi = torch.zeros(batch, self.lead + sites * model.features, dtype=model.dtype, device=model.device)
        self.bias = self.model.biases(self.classes).view(batch, sites, outputs).clone()
        self.past = self.bias.new_zeros(batch, self.block * self.spec.channels, outputs)
        self.weights = at_site(self.model.weight.flatten(2))                        # (D, P, D·E) or (D, P, k·E)
        if self.model.before is not None:
            self.weights = at_site((self.model.weight * self.model.before).flatten(2))

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        t, features = self.position, self.model.features
        weight = self.weights[t] if self.lead else self.weights[t, :, :t * features]
        begin = t * features if self.lead else 0
        phi = at_site(self.phi)[:, begin:begin + weight.shape[1]]
        return torch.as_tensor(phi @ weight.T + at_site(self.bias)[:, t])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        begin = self.lead + self.position * self.model.features
        at_site(self.phi)[:, begin:begin + self.model.features] = self.model.code(at_site(value))

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        phi = self._codes(some, values)
        if not start:
            self.past[some] = 0
        elif not self.lead:
            weight = self.weights[start:start + self.past.shape[1], :, :start * self.model.features]    # (S, P, start·E)
            inside = phi @ weight.reshape(-1, weight.shape[2]).T
            at_site(self.past)[some, :len(weight)] = inside.reshape(len(phi), len(weight), -1)

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        last, features, phi = start + values.shape[1], self.model.features, self._codes(some, values, start)
        bias = at_site(self.bias)[some, first:last]
        if self.lead:
            begins = np.arange(first, last)[:, None] * features + np.arange(self.lead)
            seen = at_site(self.phi)[some][:, begins]                               # (R, T, k·E)
            return bias + (self.weights[first:last] @ seen[..., None])[..., 0]
        weight = self.weights[first:last, :, start * features:last * features]      # (T, P, ·)
        inside = (phi @ weight.reshape(-1, weight.shape[2]).T).reshape(bias.shape)
        return bias + at_site(self.past)[some, first - start:last - start] + inside

    def _codes(self, some: slice | np.ndarray, values: Array, start: int = 0) -> Array:
        """Write the codes of (R, T) values of the sites from `start` on, and return them, (R, T·E)."""
        codes = self.model.code(values.reshape(-1)).reshape(len(values), -1)
        if codes.shape[1]:
            begin = self.lead + start * self.model.features
            at_site(self.phi)[some, begin:begin + codes.shape[1]] = codes
        return at_site(self.phi)[some, self.lead + start * self.model.features:][:, :codes.shape[1]]

    def _restart(self, position: int) -> int:
        return position
