"""EoNADE, one deep network for the conditionals of every order, because it is told which sites are known.

With m the 0/1 mask of the sites known so far and x ⊙ m their values:

    a = c + Σ_s m_s (W_s φ(x_s) + U_s)      h¹ = relu(a),  hˡ = relu(Wˡ hˡ⁻¹ + bˡ)      params_s = V_s h + b_s

Uria et al. 2014, "A Deep and Tractable Density Estimator". Training takes for every image a random order o and a random
number d − 1 of sites that are known, and asks for all others at once:

    loss = D / (D − d + 1) · Σ_{t ≥ d} −log p(x_{o_t} | x_{o_<d})

Its mean over o and d is that of −log p_o(x) over all orders, so it is an unbiased estimate and not −log p(x) itself. One
pass of the network serves it. An exact log p(x) takes D passes, one for each number of known sites: the first layer
adds a site at a time as in NADE, the deeper ones have D times the work. `ensemble_log_prob` averages the
probabilities that several orders give to a whole image; that is the "E" and the "o" of the name.

Any order may be asked for, but training shows scattered sites, hardly ever whole rows with nothing below. The conditionals
of a raster are therefore its worst, and `order` is random unless something else is chosen.

Deviations: several levels and colours, any output family; d is spread evenly over a batch; orders of training permute
sites, which contains the orders of pixels with R, G, B inside each; an optional class adds a bias to a.

Shapes: φ with the mask as last entry (B, D, E + 1), hidden layers (B, H), in one order (B, T, H) for T positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, Linear, at_site, relu
from arstudio.models.registry import register
from arstudio.models.runs import SumDecoder, outputs
from arstudio.models.sitewise import Sitewise, SitewiseConfig

CHUNK = 2**21    # hidden activations of one layer held at a time by `network`, unless gradients need them all


@dataclass(frozen=True, kw_only=True)
class EoNADEConfig(SitewiseConfig):
    """`layers` hidden layers of `hidden` units; 2 × 500 in the paper."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden": 100}, "medium": {}, "paper": {"hidden": 500},
    }

    order: str = "random"
    hidden: int = 300
    layers: int = 2

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(
            self.hidden >= 1 and self.layers >= 1,
            f"hidden and layers must be at least 1, not {self.hidden} and {self.layers}.",
        )
        weights = self.parameters(spec)
        self.require(
            weights <= 200_000_000,
            f"An EoNADE of {self.layers} × {self.hidden} hidden units on {spec} needs {weights / 1e6:,.0f} million "
            "weights; choose fewer units, fewer levels or a smaller size.",
        )

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        outputs = self.outputs(spec)
        total = self.hidden * (spec.sites * (self.features(spec) + 1) + 1)
        total += (self.layers - 1) * self.hidden * (self.hidden + 1) + spec.sites * outputs * (self.hidden + 1)
        return total + (num_classes + 1) * self.hidden * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        return self.layers * self.hidden + spec.sites * (self.features(spec) + 2 + self.kept(spec))


@register("eonade", "EoNADE", "Uria et al. 2014", EoNADEConfig)
class EoNADE(Sitewise):
    """Deep NADE for every order; see the module docstring."""

    config: EoNADEConfig
    in_blocks = True
    binary_below = 48
    any_order = True

    def __init__(self, spec: ImageSpec, config: EoNADEConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        sites, hidden, outputs = spec.sites, config.hidden, self.likelihood.num_params
        self.W = nn.Parameter(torch.randn(sites, self.features + 1, hidden) / math.sqrt(2 * sites))    # U is its last row
        self.c = nn.Parameter(torch.zeros(hidden))
        self.deeper = nn.ModuleList(Linear(hidden, hidden) for _ in range(config.layers - 1))
        for layer in self.deeper:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / hidden))
        self.V = nn.Parameter(torch.randn(sites, outputs, hidden) * (0.1 / math.sqrt(hidden)))
        self.b = nn.Parameter(self.likelihood.first_guess().repeat(sites, 1))
        self.class_bias = nn.Embedding(num_classes + 1, hidden) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.05)

    def start(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, H) activation before any site is known."""
        return self.c.expand(len(y), -1) if self.class_bias is None else self.c + self.class_bias(y)

    def top(self, a: Array) -> Array:
        """(…, H) activation of the first hidden layer -> (…, H) values of the last."""
        h = relu(a)
        for layer in self.deeper:
            h = relu(layer(h))
        return h

    def loss(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B,) nats; in training the `estimate` for random orders and numbers of known sites,
        from torch's generator."""
        if not self.training:
            return super().loss(x, y)
        batch, sites = len(x), self.spec.sites
        rank = torch.rand(batch, sites).argsort(1).argsort(1)
        known = ((torch.randperm(batch) + torch.rand(batch)) * (sites / batch)).long().clamp(max=sites - 1)
        return self.estimate(x, y, rank.to(x.device), known.to(x.device))

    def estimate(self, x: Tensor, y: Tensor | int | None, rank: Tensor, known: Tensor) -> Tensor:
        """(B, C, H, W) levels, (B, D) place of each site in an order, (B,) how many are known, 0 … D−1 -> (B,) nats.

        The mean over `known`, and over all ranks, is the mean of −log p(x) over orders.
        """
        seen = rank < known[:, None]                                                # (B, D)
        phi = F.pad(self.encode(x).flatten(2).transpose(1, 2), (0, 1), value=1.0)   # (B, D, E + 1)
        phi = (phi * seen[:, :, None]).flatten(1)
        h = self.top(self.start(self.class_index(y, len(x))) + phi @ self.W.flatten(0, 1))    # (B, H)
        params = F.linear(h, self.V.flatten(0, 1), self.b.flatten())                # (B, D·P)
        params = params.view(*seen.shape, -1).transpose(1, 2)                       # (B, P, D)
        hidden = -self.likelihood.log_prob(params, x.flatten(1)).masked_fill(seen, 0.0)
        return hidden.sum(1) * (self.spec.sites / (self.spec.sites - known))

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        order, sites = self.site_index, self.spec.sites
        phi = F.pad(e.flatten(2)[:, :, order].transpose(1, 2), (0, 1), value=1.0)   # (B, D, E + 1), in order
        a, found = self.start(y), []
        for part in torch.arange(sites, device=e.device).split(max(1, CHUNK // a.numel())):
            added = torch.einsum("bte,teh->bth", phi[:, part], self.W[order[part]])
            past = F.pad(added[:, :-1].cumsum(1), (0, 0, 1, 0)) + a[:, None]        # (B, T, H)
            a = past[:, -1] + added[:, -1]
            found.append(torch.einsum("bth,tph->btp", self.top(past), self.V[order[part]]) + self.b[order[part]])
        params = torch.cat(found, 1).transpose(1, 2)                                # (B, P, D), in order
        return torch.empty_like(params).index_copy(2, order, params).unflatten(2, self.spec.shape)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return EoNADEDecoder(self, batch, y)


class EoNADEDecoder(SumDecoder):
    """Keeps the running activation a: a known site adds its row of W, O(E·H), and parameters need the deeper layers and
    one row of V, O(H² + P·H)."""

    model: EoNADE

    @torch.inference_mode()
    def __init__(self, model: EoNADE, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        model, order = self.model, self.model.site_index
        self.inputs = at_site(model.W[order])                                       # (D, E + 1, H), in order
        self.outputs = at_site(model.V[order].transpose(1, 2).contiguous())         # (D, H, P)
        self.bias = at_site(model.b[order])                                         # (D, P)

    def _added(self, values: Array, first: int) -> Array:
        weight = self.inputs[first:first + values.shape[1]]                         # (T, E + 1, H)
        codes = self.model.code(values.reshape(-1)).reshape(*values.shape, self.model.features)    # (R, T, E)
        if codes.shape[2] == 1:
            return codes * weight[:, 0] + weight[:, 1]
        return (codes.swapaxes(0, 1) @ weight[:, :-1]).swapaxes(0, 1) + weight[:, -1]

    def _outputs(self, a: Array, first: int) -> Array:
        sites = slice(first, first + a.shape[1])
        return outputs(self.model.top(a), self.outputs[sites], self.bias[sites])
