"""What a token of a sequence model is: a site, a pixel seen through a palette, or a patch.

The three kinds answer alike. `embed` gives the vector of a complete token, `read` turns a hidden state into z, and `site`
gives the parameters of site s from z and the sites before s of the same token, so every kind is exact on the original
levels.

    levels    z is the parameters

    patches   NADE inside the patch:   a_s = z + c_s + Σ_{i<s} W_i e_i        parameters = V_s gelu(a_s) + b_s

    palette   into the network    Σ_k a_k vector_k,  a = softmax_k(−β |v − colour_k|²)      a soft choice, differentiable
              out of it           p(r, g, b) = Σ_k w_k T_r[k, r] T_g[k, g] T_b[k, b],  w = softmax(z)
              hence               p(g | r) = Σ_k w'_k T_g[k, g],  w'_k ∝ w_k T_r[k, r],  and so on

T_c[k] is a logistic around channel c of colour k, discretised, with a width of its own; a share SPREAD of it lies on
all levels alike, so no image is impossible. Colours and widths are trained; k-means is where they begin
(Chen et al. 2020, section 3.2, keep the palette of k-means fixed).

Shapes: tokens of S sites with E features each, (…, S, E), one-hot for a palette; vectors (…, width); z (…, Z). At one
place arrays do as well as tensors, see `layers.py`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from arstudio.models.attention import gelu
from arstudio.models.layers import Array, Linear, at_site
from arstudio.models.likelihoods import DiscretizedLogisticMixture

SPREAD = 1e-4


class LevelTokens(nn.Module):
    """A token is one site, and z its parameters."""

    def __init__(self, features: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embed_level = Linear(features, width)
        self.read = Linear(width, outputs)

    def embed(self, t: Array) -> Array:
        """(…, S, E) -> (…, width)."""
        return self.embed_level(t[..., 0, :])

    def site(self, z: Array, t: Array, s: int) -> Array:
        """z (…, Z) and tokens (…, S, E), read up to s only -> (…, P)."""
        return z


class PatchTokens(nn.Module):
    """A token is a patch; one NADE for all patches, begun by z, models the sites inside it.

    Decoding sums W e anew for every site, over at most a patch: the same one product that adding a site would take.
    """

    def __init__(self, sites: int, features: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embed_patch = Linear(sites * features, width)
        self.read = Linear(width, width)
        self.W = nn.Parameter(torch.randn(sites - 1, features, width) * 0.1)
        self.c = nn.Parameter(torch.randn(sites, width) * 0.1)
        self.V = nn.Parameter(torch.randn(sites, width, outputs) * 0.02)
        self.b = nn.Parameter(torch.zeros(sites, outputs))

    def embed(self, t: Array) -> Array:
        """(…, S, E) -> (…, width)."""
        return self.embed_patch(t.reshape(*t.shape[:-2], t.shape[-2] * t.shape[-1]))

    def site(self, z: Array, t: Array, s: int) -> Array:
        """z (…, width) and tokens (…, S, E), read up to s only -> (…, P)."""
        w, c, v, b = self.folded if isinstance(z, np.ndarray) else (self.W, self.c, self.V, self.b)
        a = z + c[s]
        if s:
            a = a + t[..., :s, :].reshape(*t.shape[:-2], s * t.shape[-1]) @ w[:s].reshape(-1, w.shape[-1])
        return gelu(a) @ v[s] + b[s]

    def fold_mask(self) -> None:
        """Prepare a frozen copy for arrays."""
        self.folded = [at_site(p) for p in (self.W, self.c, self.V, self.b)]


class Palette(nn.Module):
    """A token is a pixel, seen and predicted through K colours. `binary` asks for the one
    parameter of a Bernoulli instead of logarithms of two probabilities."""

    def __init__(self, count: int, channels: int, levels: int, width: int, binary: bool = False) -> None:
        super().__init__()
        self.levels, self.binary = levels, binary
        self.colours = nn.Parameter(spread_colours(count, channels))                     # (K, C) in [-1, 1]
        self.log_scales = nn.Parameter(torch.full((count, channels), math.log(count ** (-1 / channels))))
        self.log_precision = nn.Parameter(torch.zeros(1))                                # log β
        self.embedding = nn.Parameter(torch.randn(count, width) * 0.15)
        self.read = Linear(width, count)
        self.folded: Tensor | None = None
        self._separate()

    def embed(self, t: Array) -> Array:
        """One-hot pixels (…, C, L) -> (…, width): the mean of the colours' vectors under the soft assignment."""
        if isinstance(t, np.ndarray):
            return self.embed(torch.as_tensor(t)).numpy()
        v = t @ torch.linspace(-1, 1, self.levels, dtype=t.dtype, device=t.device)       # (…, C)
        near = self.log_precision.exp() * (2 * v @ self.colours.T - self.colours.square().sum(1))
        return near.softmax(-1) @ self.embedding

    def site(self, z: Array, t: Array, s: int) -> Tensor:
        """Weights z (…, K) and the pixel's colours before s -> logarithms of p, or their difference if binary."""
        z, t, tables = torch.as_tensor(z), torch.as_tensor(t), self.tables()
        for c in range(s):
            z = z + (t[..., c, :] @ tables[c].T).log()                                   # posterior weights
        log_p = (z.softmax(-1) @ tables[s]).log()                                        # (…, L)
        return log_p[..., 1:] - log_p[..., :1] if self.binary else log_p

    def tables(self) -> Tensor:
        """T, (C, K, L): for each channel and colour the probabilities of the levels."""
        if self.folded is not None and self.folded.dtype == self.colours.dtype:
            return self.folded
        mean, log_scale = self.colours.T, self.log_scales.T
        logistic = DiscretizedLogisticMixture(self.levels, 1)
        log_t = logistic.log_pmf(torch.stack([torch.zeros_like(mean), mean, log_scale], 1))    # (C, L, K)
        return (log_t.exp() * (1 - SPREAD) + SPREAD / self.levels).transpose(1, 2)

    def fold_mask(self) -> None:
        """Prepare a frozen copy for decoding: T computed once."""
        self.folded = self.tables()

    @torch.no_grad()
    def fit(self, v: Tensor, rounds: int = 10) -> None:
        """k-means on colours v (M, C) in [-1, 1]; deterministic. Colours that no pixel needs stay where they are."""
        v, weight = v.unique(dim=0, return_counts=True)
        weight, generator = weight.to(v.dtype), torch.Generator().manual_seed(0)
        count = min(len(self.colours), len(v))
        centres, far = v[weight.argmax()][None], torch.full_like(weight, math.inf)
        while len(centres) < count:    # k-means++ (Arthur & Vassilvitskii 2007)
            far = torch.minimum(far, (v - centres[-1]).square().sum(1))
            pick = torch.multinomial((weight * far).cpu(), 1, generator=generator)
            centres = torch.cat([centres, v[pick.to(v.device)]])
        variance = torch.zeros_like(centres)
        for _ in range(rounds):
            nearest = torch.cdist(v, centres).argmin(1)
            mass = torch.zeros_like(centres[:, 0]).index_add_(0, nearest, weight)[:, None]
            sums = torch.zeros_like(centres).index_add_(0, nearest, v * weight[:, None])
            centres = torch.where(mass > 0, sums / mass.clamp(min=1), centres)
            spread = torch.zeros_like(centres).index_add_(0, nearest, (v - centres[nearest]).square() * weight[:, None])
            variance = spread / mass.clamp(min=1)
        quarter_bin = 0.25 / (self.levels - 1)
        self.colours[:count] = centres
        self.log_scales[:count] = 0.5 * (variance * 3 / math.pi**2 + quarter_bin**2).log()
        self._separate()

    @torch.no_grad()
    def _separate(self) -> None:
        """Set β so that a colour half-way between two neighbours belongs to both, and a palette colour to itself."""
        apart = torch.cdist(self.colours, self.colours).fill_diagonal_(math.inf).amin(1).median()
        self.log_precision.fill_(math.log(4.0) - 2 * math.log(max(float(apart), 1e-3)))


def spread_colours(count: int, channels: int) -> Tensor:
    """(count, channels) colours evenly over [-1, 1]: a ramp of greys, or for RGB the low-discrepancy sequence of
    multiples of g⁻¹, g⁻², g⁻³ modulo 1, where g⁴ = g + 1 (Roberts 2018)."""
    if channels == 1:
        return torch.linspace(-1, 1, count)[:, None]
    g = 1.2207440846057596
    steps = torch.tensor([g ** -(c + 1) for c in range(channels)], dtype=torch.float64)
    return (((torch.arange(count, dtype=torch.float64)[:, None] + 0.5) * steps) % 1 * 2 - 1).float()
