"""MADE, an autoencoder whose weights are masked so that no output sees its own input or a later one.

Every site has a degree d, its rank 1 … D in the order, and every hidden unit a degree m, 1 … D−1: the last site it
may look at. A connection exists where the degrees do not fall, and to an output where they rise:

    h¹ = relu((W ⊙ [m¹_k ≥ d]) φ(x) + b)          hˡ = relu((Wˡ ⊙ [mˡ_k ≥ mˡ⁻¹_j]) hˡ⁻¹ + bˡ)
    params = (V ⊙ [d > m_k]) h + (A ⊙ [d > d′]) φ(x) + c

Germain et al. 2015, "MADE: Masked Autoencoder for Distribution Estimation", with its deep masks and its direct
connections A from inputs to outputs.

`masks` sets of hidden degrees are drawn from `mask_seed` (connectivity-agnostic training), and `orders` orders of the
pixels (order-agnostic training; 0: a new order for every batch). Each training batch takes one of each from torch's
generator. The masks follow from the order and the degrees, so the same weights serve all of them; they are multiplied
with the weights when these are used, never into them. `log_prob`, decoder and samplers use the model's own order
and the first set of degrees; `ensemble_log_prob` averages the probabilities of whole images over all.

Deviations: several levels and colours, any output family; an optional class adds a bias to the first hidden layer and
to the outputs; degrees are uniform as in the paper, but no lower than the smallest degree of the layer before.

Shapes: φ (B, D·E), hidden layers (B, H), parameters (B, D, P); sites in (C, H, W) reading order, whatever the order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel
from arstudio.models.decoder import Decoder
from arstudio.models.layers import Array, at_site, relu
from arstudio.models.orders import Order
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder
from arstudio.models.sitewise import Sitewise, SitewiseConfig


@dataclass(frozen=True, kw_only=True)
class MADEConfig(SitewiseConfig):
    """`layers` hidden layers of `hidden` units; `direct`: connections from inputs to outputs; `masks` sets of hidden
    degrees and `orders` orders (0: a new one every batch) to train on, drawn from `mask_seed`."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden": 100, "layers": 1}, "medium": {},
        "paper": {"hidden": 8000, "layers": 2, "masks": 32, "direct": False},
    }

    hidden: int = 300
    layers: int = 2
    direct: bool = True
    masks: int = 1
    orders: int = 1
    mask_seed: int = 0

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(
            self.hidden >= 1 and self.layers >= 1,
            f"hidden and layers must be at least 1, not {self.hidden} and {self.layers}.",
        )
        self.require(1 <= self.masks <= 1000, f"masks must be 1 to 1000, not {self.masks}.")
        self.require(
            0 <= self.orders <= 1000, f"orders must be 1 to 1000, or 0 for a new one every batch, not {self.orders}."
        )
        self.require(self.mask_seed >= 0, f"mask_seed must be 0 or more, not {self.mask_seed}.")
        weights = self.parameters(spec)
        self.require(
            weights <= 200_000_000,
            f"A MADE of {self.layers} × {self.hidden} hidden units on {spec} needs {weights / 1e6:,.0f} million "
            "weights; choose fewer units, no direct connections, fewer levels or a smaller size.",
        )

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        inputs, outputs = spec.sites * self.features(spec), spec.sites * self.outputs(spec)
        total = self.hidden * (inputs + 1) + (self.layers - 1) * self.hidden * (self.hidden + 1)
        total += outputs * (self.hidden + 1) + outputs * inputs * self.direct
        return total + (num_classes + 1) * (self.hidden + outputs) * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        return self.layers * self.hidden + spec.sites * (self.features(spec) + self.kept(spec))


@register("made", "MADE", "Germain et al. 2015", MADEConfig)
class MADE(Sitewise):
    """Masked autoencoder; see the module docstring."""

    config: MADEConfig
    in_blocks = True
    binary_below = 12
    any_order = True

    def __init__(self, spec: ImageSpec, config: MADEConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        sites, hidden, outputs, features = spec.sites, config.hidden, self.likelihood.num_params, self.features
        self.W = nn.Parameter(torch.randn(hidden, sites, features) / math.sqrt(sites))
        self.b = nn.Parameter(torch.zeros(hidden))
        self.deeper = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(config.layers - 1))
        for layer in self.deeper:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / hidden))
        self.V = nn.Parameter(torch.randn(sites, outputs, hidden) * (0.1 / math.sqrt(hidden)))
        self.A = nn.Parameter(torch.zeros(sites, outputs, sites, features)) if config.direct else None
        self.c = nn.Parameter(self.likelihood.first_guess().repeat(sites, 1))
        self.class_bias = nn.Embedding(num_classes + 1, hidden + sites * outputs) if num_classes else None
        if self.class_bias is not None:
            nn.init.normal_(self.class_bias.weight, std=0.05)
        rng = np.random.default_rng(config.mask_seed)
        self.register_buffer("degrees", torch.from_numpy(draw_degrees(config, sites, rng)), persistent=False)
        seeds = rng.integers(2**31, size=max(0, config.orders - 1)).tolist()
        others = [Order("random", spec.height, spec.width, seed) for seed in seeds]
        self.trained_orders = [self.order, *others]
        self.mask = 0    # which set of degrees is in use

    def variant(self, order: Order, mask: int) -> MADE:
        """The same weights under another order and another set of degrees; training one trains the other."""
        twin = self.reordered(order)
        assert isinstance(twin, MADE)
        twin.mask = mask
        return twin

    def members(self, orders: Sequence[Order] | None = None) -> list[AutoregressiveModel]:
        """The model under each of the orders (those it was trained on) with each set of degrees."""
        chosen = self.trained_orders if orders is None else orders
        return [self.variant(order, mask) for order in chosen for mask in range(self.config.masks)]

    def loss(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B,) −log p(x); in training under masks and order drawn from torch's generator."""
        config = self.config
        if not self.training or config.masks == config.orders == 1:
            return super().loss(x, y)
        mask = int(torch.randint(config.masks, ()))
        if config.orders:
            order = self.trained_orders[int(torch.randint(config.orders, ()))]
        else:
            order = Order.custom(torch.randperm(self.spec.pixels).tolist(), self.spec.height, self.spec.width)
        return -self.variant(order, mask).log_prob(x, y)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        return self._params(e, y, slice(None)).transpose(1, 2).unflatten(2, self.spec.shape)

    def conditional(self, x: Tensor, y: Tensor | int | None, site: tuple[int, int, int]) -> Tensor:
        """All the hidden units, which take little, and of the outputs only the site's."""
        self.spec.check(x)
        index = int(np.ravel_multi_index(site, self.spec.shape))
        return self._params(self.encode(x), self.class_index(y, len(x)), slice(index, index + 1))[:, 0]

    def _params(self, e: Tensor, y: Tensor, some: slice) -> Tensor:
        """Encoded images and class rows -> (B, S, P) at some of the sites."""
        degrees, rank = self.degrees[self.mask], torch.empty_like(self.site_index)
        rank[self.site_index] = torch.arange(1, self.spec.sites + 1, device=rank.device)
        first, out = self.biases(y)
        phi = e.flatten(2).transpose(1, 2).flatten(1)                               # (B, D·E)
        mask = degrees[0][:, None] >= rank                                          # (H, D)
        h = F.relu(F.linear(phi, (self.W * mask[:, :, None]).flatten(1)) + first)   # (B, H)
        for layer, before, after in zip(self.deeper, degrees[:-1], degrees[1:], strict=True):
            h = F.relu(F.linear(h, layer.weight * (after[:, None] >= before), layer.bias))
        mask = rank[some, None, None] > degrees[-1]                                 # (S, 1, H)
        params = F.linear(h, (self.V[some] * mask).flatten(0, 1))                   # (B, S·P)
        if self.A is not None:
            mask = (rank[some, None] > rank)[:, None, :, None]                      # (S, 1, D, 1)
            params = params + F.linear(phi, (self.A[some] * mask).flatten(2).flatten(0, 1))
        return params.unflatten(1, (-1, self.V.shape[1])) + out.unflatten(1, self.c.shape)[:, some]

    def biases(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) class rows -> (B, H) of the first hidden layer, (B, D·P) of the outputs."""
        plain = torch.cat([self.b, self.c.flatten()]).expand(len(y), -1)
        biases = plain if self.class_bias is None else plain + self.class_bias(y)
        return biases[:, :len(self.b)], biases[:, len(self.b):]

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return MADEDecoder(self, batch, y)


def draw_degrees(config: MADEConfig, sites: int, rng: np.random.Generator) -> np.ndarray:
    """(masks, layers, H) degrees, uniform on 1 … D−1 from the smallest of the layer before on; 0 for a single site."""
    found = np.zeros((config.masks, config.layers, config.hidden), dtype=np.int64)
    for degrees in found if sites > 1 else ():
        low = 1
        for layer in degrees:
            layer[:] = rng.integers(low, sites, size=config.hidden)
            low = layer.min()
    return found


class MADEDecoder(RunDecoder):
    """Computes every hidden unit once, when the last site it looks at is known.

    With the units of each layer sorted by degree and the sites in order, what a unit or an output sees are the first so
    many of the layer before: no masks, only slices, and each connection is used once for the whole image. Units
    beyond those slices hold what an earlier attempt left; they are written again before anything reads them. In a run of
    sites, units of different degrees are computed together, and there masks say what each of them sees.
    """

    model: MADE
    batched = ("x", "phi", "hidden", "start", "bias")

    @torch.inference_mode()
    def __init__(self, model: MADE, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        model, sites = self.model, self.spec.sites
        degrees, order = model.degrees[model.mask], model.site_index
        units = [layer.argsort(stable=True) for layer in degrees]
        counts = torch.searchsorted(
            degrees.sort(dim=1).values, torch.arange(sites + 1, device=degrees.device).repeat(len(degrees), 1), right=True
        )
        self.ready = counts.T.tolist()                                              # [t][layer]: units of degree ≤ t
        self.degrees = at_site(degrees.sort(dim=1).values)                          # (layers, H)
        first, out = model.biases(self.classes)
        self.start = first[:, units[0]]                                             # (B, H)
        self.bias = out.view(batch, sites, -1)[:, order]                            # (B, D, P), in order
        self.phi = self.start.new_zeros(batch, sites * model.features)
        self.hidden = [torch.zeros_like(self.start) for _ in units]
        self.weights = [at_site(model.W[units[0]][:, order].flatten(1))]            # (H, D·E)
        self.shifts = [None]
        for i, layer in enumerate(model.deeper):
            self.weights.append(at_site(layer.weight[units[i + 1]][:, units[i]].contiguous()))
            self.shifts.append(at_site(layer.bias[units[i + 1]]))
        self.outputs = at_site(model.V[order][:, :, units[-1]].transpose(1, 2).contiguous())    # (D, H, P)
        self.direct = None
        if model.A is not None:
            self.direct = at_site(model.A[order][:, :, order].flatten(2).transpose(1, 2).contiguous())    # (D, D·E, P)
        self._compute(0)

    def _compute(self, known: int) -> None:
        """The hidden units that look at site `known` last, now that it and all before it are there."""
        ready, old = self.ready[known], self.ready[known - 1] if known else [0] * len(self.hidden)
        seen = at_site(self.phi)[:, :known * self.model.features]
        for i, h in enumerate(self.hidden):
            new, h = slice(old[i], ready[i]), at_site(h)
            if old[i] < ready[i]:
                shift = self.shifts[i][new] if i else at_site(self.start)[:, new]
                h[:, new] = relu(seen @ self.weights[i][new, :seen.shape[1]].T + shift)
            seen = h[:, :ready[i]]

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        t = self.position
        seen = self.ready[t][-1]
        params = at_site(self.bias)[:, t] + at_site(self.hidden[-1])[:, :seen] @ self.outputs[t, :seen]
        if self.direct is not None:
            seen = t * self.model.features
            params = params + at_site(self.phi)[:, :seen] @ self.direct[t, :seen]
        return torch.as_tensor(params)

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        t, features = self.position, self.model.features
        at_site(self.phi)[:, t * features:(t + 1) * features] = self.model.code(at_site(value))
        self._compute(t + 1)

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        before = max(0, start - self.block * self.spec.channels)    # what precedes that block has been right since it began
        self._units(some, before, start, values[:, before:])

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        last, features = start + values.shape[1], self.model.features
        self._units(some, start, last, values)
        units, sites = self.ready[last][-1], self._host(np.arange(first, last))[:, None]
        seen = at_site(self.hidden[-1])[some, :units] * (self.degrees[-1][:units] <= sites)[:, None]    # (T, R, units)
        params = seen @ self.outputs[first:last, :units]                            # (T, R, P)
        if self.direct is not None:
            before = (self._host(np.arange(last * features)) < sites * features)[:, None]
            phi = at_site(self.phi)[some, :last * features] * before                # (T, R, ·)
            params = params + phi @ self.direct[first:last, :last * features]
        return params.swapaxes(0, 1) + at_site(self.bias)[some, first:last]

    def _host(self, index: np.ndarray) -> Array:
        return at_site(torch.from_numpy(index).to(self.phi.device))

    def _units(self, some: slice | np.ndarray, start: int, last: int, values: Array) -> None:
        """The hidden units of degrees `start` + 1 to `last`, and those of 0 for start 0, from (R, T) values of the sites from
        `start` on, before `last`."""
        features, old, ready = self.model.features, (self.ready[start] if start else [0] * len(self.hidden)), self.ready[last]
        codes = self.model.code(values.reshape(-1)).reshape(len(values), -1)
        phi = at_site(self.phi)
        phi[some, start * features:last * features] = codes
        seen, sees = phi[some, :last * features], self._host(np.repeat(np.arange(1, last + 1), features))
        for i, hidden in enumerate(self.hidden):
            new, h, degrees = slice(old[i], ready[i]), at_site(hidden), self.degrees[i]
            if old[i] < ready[i]:
                shift = self.shifts[i][new] if i else at_site(self.start)[some, new]
                weight = self.weights[i][new, :seen.shape[1]] * (sees <= degrees[new, None])
                h[some, new] = relu(seen @ weight.T + shift)
            seen, sees = h[some, :ready[i]], degrees[:ready[i]]

    def _restart(self, position: int) -> int:
        return position    # the units of the sites before it are still there
