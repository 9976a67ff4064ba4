"""RNADE, the real-valued neural autoregressive density estimator: NADE with a mixture of Gaussians at each site.

    a_1 = c,   h_t = max(0, ρ_t a_t),   a_{t+1} = a_t + W_t x_t
    p(x_t | x_<t) = Σ_k α_k N(x_t; μ_k, σ_k²),   α = softmax(A_t h_t + a'_t),  μ = M_t h_t + m_t,  log σ = S_t h_t + s_t

Uria, Murray & Larochelle 2013, "RNADE: The real-valued neural autoregressive density-estimator". W and c are
shared by all sites, so all D densities together cost O(D·H·K). a_t is a sum of t terms and grows with t, but h_t should
not: the rescaling ρ_t, one trained number a site, takes care of it.

Two kinds of images. Reals (levels = 0) get a density. Images of levels ≥ 2 get the mass of each level's bin, so that
figures compare with every other model; then `objective` says what training descends:

    discretised   −log p(x), the very figure that is evaluated
    dequantised   −log density at x + u, u uniform within the bin, plus D log of the bins a unit: a bound

Evaluation is the mass of the bins for either. Deviations: inputs are scaled to [-1, 1]; the means begin spread over it;
no rescaling of the gradients of μ by σ, for which Adam leaves no need; an optional class adds a bias to a_1.

Shapes: inputs (B, D), activations (B, D, H), parameters (B, D, 3K), sites *in order*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ModelConfig
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, at_site, relu
from arstudio.models.likelihoods import MixtureOfGaussians
from arstudio.models.registry import register
from arstudio.models.runs import SumDecoder, outputs

OBJECTIVES = ("discretised", "dequantised")


@dataclass(frozen=True, kw_only=True)
class RNADEConfig(ModelConfig):
    """`hidden` is H, `components` K;
    `objective` ("discretised" or "dequantised") matters for images of levels only."""

    likelihoods: ClassVar[tuple[str, ...]] = ("gaussian",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden": 100}, "medium": {}, "paper": {"hidden": 512, "components": 20},
    }

    likelihood: str = "gaussian"
    components: int = 8
    hidden: int = 200
    objective: str = "discretised"

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.hidden >= 1, f"hidden must be at least 1, not {self.hidden}.")
        self.require(
            self.objective in OBJECTIVES, f"objective is 'discretised' or 'dequantised', not {self.objective!r}."
        )
        weights = spec.sites * self.hidden * (1 + self.outputs(spec))
        self.require(
            weights <= 200_000_000,
            f"An RNADE of {self.hidden} hidden units and {self.components} components on {spec} needs "
            f"{weights / 1e6:,.0f} million weights; choose fewer of them or a smaller size.",
        )

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        outputs = self.outputs(spec)
        total = spec.sites * (self.hidden * (1 + outputs) + outputs + 1) + self.hidden
        return total + (num_classes + 1) * self.hidden * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        return spec.sites * (3 * self.hidden + 6 * self.outputs(spec))


@register("rnade", "RNADE", "Uria et al. 2013", RNADEConfig)
class RNADE(AutoregressiveModel):
    """Real-valued neural autoregressive density estimator; see the module docstring."""

    config: RNADEConfig
    in_blocks = True
    binary_below = 48
    likelihood: MixtureOfGaussians

    def __init__(self, spec: ImageSpec, config: RNADEConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        sites, hidden, outputs = spec.sites, config.hidden, self.likelihood.num_params
        self.W = nn.Parameter(torch.randn(sites, hidden) * 0.05)
        self.c = nn.Parameter(torch.randn(hidden) * 0.05)
        self.rho = nn.Parameter(torch.ones(sites))
        self.V = nn.Parameter(torch.randn(sites, outputs, hidden) * 0.02)
        self.b = nn.Parameter(self.likelihood.first_guess().repeat(sites, 1))
        self.class_bias = nn.Embedding(num_classes + 1, hidden) if num_classes else None

    def start(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, H) activation before any site is seen."""
        return self.c.expand(len(y), -1) if self.class_bias is None else self.c + self.class_bias(y)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        x = e.flatten(1)[:, self.site_index]                                        # (B, D), in order
        added = x[:, :-1, None] * self.W[:-1]                                       # W_t x_t
        a = self.start(y)[:, None] + F.pad(added.cumsum(1), (0, 0, 1, 0))           # (B, D, H)
        h = F.relu(a * self.rho[:, None])
        found = torch.einsum("bth,tph->btp", h, self.V) + self.b                    # (B, D, 3K)
        params = found.new_empty(len(e), found.shape[2], self.spec.sites)
        params = params.index_copy(2, self.site_index, found.transpose(1, 2))
        return params.view(len(e), -1, *self.spec.shape)

    def loss(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) -> (B,) nats: −log p(x), or with the dequantised objective a random bound on it."""
        levels = self.spec.levels
        if not levels or self.config.objective == "discretised":
            return super().loss(x, y)
        u = torch.rand(x.shape, device=x.device, dtype=self.dtype)
        v = (x + u - 0.5) / (levels - 1)        # uniform in the bin that the likelihood gives to the level
        log_density = self.likelihood.log_density(self(x, y), v).flatten(1).sum(1)
        return self.spec.sites * math.log(levels - 1) - log_density

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return RNADEDecoder(self, batch, y)


class RNADEDecoder(SumDecoder):
    """Keeps the running activation a_t; a site costs one product with V_t and one added row of W, O(H·K)."""

    model: RNADE

    def __init__(self, model: RNADE, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        parts = self.model.W, self.model.rho, self.model.V, self.model.b
        self.W, self.rho, self.V, self.b = (at_site(p.detach()) for p in parts)

    def _added(self, values: Array, first: int) -> Array:
        return self.model.scaled(values)[..., None] * self.W[first:first + values.shape[1]]

    def _outputs(self, a: Array, first: int) -> Array:
        sites = slice(first, first + a.shape[1])
        return outputs(relu(a * self.rho[sites, None]), self.V[sites].swapaxes(1, 2), self.b[sites])
