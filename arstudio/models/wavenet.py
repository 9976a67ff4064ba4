"""WaveNet over the pixels of an image: dilated causal convolutions with two taps along the order of the sites.

    h_0(t) = A [x_{t−2}, 1] + B [x_{t−1}, 1] + place(t)                                 zeros before the first site
    z_l(t) = P_l h_l(t − d_l) + N_l h_l(t) + V_l y + b_l,   g_l = tanh(z_a) ⊙ σ(z_b)     gated unit
    h_{l+1}(t) = h_l(t) + O_l g_l(t)                                                    residual
    parameters = W_2 relu(W_1 relu(Σ_l S_l g_l(t)))                                     skip connections

van den Oord et al. 2016c, "WaveNet: A Generative Model for Raw Audio": dilations in section 2.1, the gated unit in
2.3, residuals and skips in 2.4, and the class as the global condition of 2.5.

A site sees the `receptive_field` sites before it and no others: 2 + Σ_l d_l of them, 128 with `small`, 1024 with
`medium` (all of a 28×28 image) and 2051 with `paper`. A dilation that skips sites leaves gaps in it.

Deviations: the sequence is the sites of an image in the model's order, R, G and B of a pixel one after the other.
An image is not stationary along that sequence, which does not know where a row ends, so embeddings of row and column
of the site to be drawn enter at the bottom (`position` switches them off); so does one of its colour for RGB. A channel
of ones tells padding from level values. The skip matrices S_l stand side by side in one; the last layer has no O.

Shapes: (B, D, p) inside, sites in order; parameters (B, P, C, H, W) outside.
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
from arstudio.models.layers import Array, Head, Linear, at_site, gate, groups, joined, plus, times
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder


@dataclass(frozen=True, kw_only=True)
class WaveNetConfig(ModelConfig):
    """`channels` is p, one layer per entry of `dilations` (in sites), `head` the width of the skip connections;
    `position` says whether row and column are told."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"channels": 24, "dilations": (1, 2, 4, 8, 16, 32) * 2, "head": 48},
        "medium": {},
        "paper": {"channels": 128, "dilations": (*(2**i for i in range(10)),) * 2 + (1, 2), "head": 512},
    }

    channels: int = 48
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256) * 2
    head: int = 96
    position: bool = True

    @property
    def receptive_field(self) -> int:
        """How many sites back a conditional can look."""
        return 2 + sum(self.dilations)

    def facts(self, spec: ImageSpec) -> dict[str, str]:
        field, sites = self.receptive_field, spec.sites - 1
        return {"receptive field": f"{field:,} sites" + (", all before any site" if field >= sites else f" of up to {sites:,}")}

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.channels >= 1 and self.head >= 1, "channels and head must be at least 1.")
        self.require(
            len(self.dilations) >= 1 and min(self.dilations) >= 1,
            f"dilations must be one or more whole numbers of at least 1, not {self.dilations}.",
        )

    def places(self, spec: ImageSpec) -> int:
        """Rows of the embeddings of row, column and colour."""
        return self.position * (spec.height + spec.width) + spec.channels * (spec.channels > 1)

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        p, layers, outputs = self.channels, len(self.dilations), self.outputs(spec)
        total = p * 4 + p * self.places(spec)
        total += layers * (2 * p * (2 * p + 1)) + (layers - 1) * p * p                  # taps, out
        total += self.head * (layers * p + 1) + self.head * (self.head + 1) + outputs * (self.head + 1)
        return total + (num_classes + 1) * layers * 2 * p * bool(num_classes)

    def activations(self, spec: ImageSpec) -> int:
        layers = len(self.dilations)
        return spec.sites * (layers * 6 * self.channels + 2 * self.head + 2 * self.outputs(spec))


class Layer(nn.Module):
    """One gated layer: the tap `dilation` sites back, the tap at the site, and the way to the next layer."""

    def __init__(self, p: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.back = nn.Linear(p, 2 * p)
        self.here = Linear(p, 2 * p, bias=False)
        self.out = None if last else Linear(p, p, bias=False)

    def forward(self, h: Array, from_back: Array) -> tuple[Array, Array]:
        """h (…, p) and the other tap's share of z (…, 2p), class and bias in it -> (next h, what the head reads)."""
        g = gate(plus(from_back, h, self.here))
        return h if self.out is None else plus(h, g, self.out), g


def delayed(h: Tensor, steps: int) -> Tensor:
    """(B, D, F) -> what stood `steps` sites earlier, zeros before the first."""
    return F.pad(h, (0, 0, steps, 0))[:, :h.shape[1]]


@register("wavenet", "WaveNet", "van den Oord et al. 2016c", WaveNetConfig)
class WaveNet(AutoregressiveModel):
    """WaveNet along the order of an image's sites; see the module docstring."""

    config: WaveNetConfig
    in_blocks = True

    def __init__(self, spec: ImageSpec, config: WaveNetConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        p, count = config.channels, len(config.dilations)
        self.first = Linear(4, p, bias=False)
        self.place = nn.Embedding(config.places(spec), p) if config.places(spec) else None
        self.layers = nn.ModuleList(Layer(p, d, last=i == count - 1) for i, d in enumerate(config.dilations))
        self.skip = Linear(count * p, config.head)
        self.head = Head(*(groups(width, 1) for width in (config.head, config.head, self.likelihood.num_params)))
        self.class_bias = nn.Embedding(num_classes + 1, count * 2 * p) if num_classes else None
        for table in (self.place, self.class_bias):
            if table is not None:
                nn.init.normal_(table.weight, std=0.1)
        self.register_buffer("place_index", self._places(), persistent=False)

    @property
    def receptive_field(self) -> int:
        """How many sites back a conditional can look."""
        return self.config.receptive_field

    def _places(self) -> Tensor:
        """(D, 0 to 3) rows of `place` for each site in order: its row, its column, its colour."""
        spec, columns = self.spec, []
        colour, pixel = self.site_index // spec.pixels, self.site_index % spec.pixels
        if self.config.position:
            columns += [pixel // spec.width, spec.height + pixel % spec.width]
        if spec.channels > 1:
            columns += [self.config.position * (spec.height + spec.width) + colour]
        return torch.stack(columns, 1) if columns else self.site_index.new_empty(len(pixel), 0)

    def places(self) -> Tensor:
        """(D, p) what is told of each site in order, whatever the image."""
        if self.place is None:
            return torch.zeros(self.spec.sites, self.config.channels, dtype=self.dtype, device=self.device)
        return self.place(self.place_index).sum(1)

    def class_biases(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (layers, B, 2p)."""
        shape = (len(y), len(self.layers), 2 * self.config.channels)
        if self.class_bias is None:
            return torch.zeros(shape, dtype=self.dtype, device=self.device).transpose(0, 1)
        return self.class_bias(y).view(shape).transpose(0, 1)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        x = e[:, 0].flatten(1)[:, self.site_index]
        x = torch.stack([x, torch.ones_like(x)], dim=-1)                                # (B, D, 2)
        h = plus(self.places(), torch.cat([delayed(x, 2), delayed(x, 1)], dim=-1), self.first)
        skips = []
        for layer, bias in zip(self.layers, self.class_biases(y)[:, :, None], strict=True):
            h, g = layer(h, layer.back(delayed(h, layer.dilation)) + bias)              # (B, D, p)
            skips.append(g)
        params = self.head(self.skip(torch.cat(skips, dim=-1)))                         # (B, D, P)
        flat = params.new_empty(len(e), params.shape[2], self.spec.sites)
        return flat.index_copy(2, self.site_index, params.transpose(1, 2)).view(len(e), -1, *self.spec.shape)

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return WaveNetDecoder(self, batch, y)


class WaveNetDecoder(RunDecoder):
    """Every feature computed once, O(layers) a site (as in Le Paine et al. 2016, "Fast WaveNet").

    `history` holds the input of each layer at every site, after as many zeros as the longest dilation is long. The
    taps further back do not depend on a single site's own features, so there one product serves those of all layers.
    Features at a site depend on earlier values alone, so going back costs nothing.
    """

    model: WaveNet
    sites = 56
    batched = ("x", "inputs", "history", "biases", "skips")
    counters = ("position", "done")

    def __init__(self, model: WaveNet, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        layers, p, longest = self.model.layers, self.model.config.channels, max(self.model.config.dilations)
        like = self.model.first.weight
        with torch.inference_mode():
            self.back = at_site(torch.stack([layer.back.weight.t() for layer in layers]))   # (layers, p, 2p)
            shared = torch.stack([layer.back.bias for layer in layers])
            self.biases = shared + self.model.class_biases(self.classes).transpose(0, 1)
            self.places = at_site(self.model.places())
        self.longest, self.level = longest, at_site(torch.arange(len(layers), device=like.device))
        self.reach = at_site(torch.tensor([longest - layer.dilation for layer in layers], device=like.device))
        self.inputs = like.new_zeros(batch, 2 + self.spec.sites, 2)                     # two zeros, then sites in order
        self.inputs[:, 2:, 1] = 1
        self.history = like.new_zeros(batch, len(layers), longest + self.spec.sites, p)
        self.skips = like.new_zeros(batch, len(layers), p)                              # at site `done`
        self.done = -1

    def _features(self) -> None:
        t, history, skips = self.position, at_site(self.history), at_site(self.skips)
        back = history[:, self.level, self.reach + t].swapaxes(0, 1)                    # (layers, B, p)
        from_back = back @ self.back + at_site(self.biases).swapaxes(0, 1)
        h = plus(self.places[t], at_site(self.inputs)[:, t:t + 2].reshape(self.batch, 4), self.model.first)
        for i, layer in enumerate(self.model.layers):
            history[:, i, self.longest + t] = h
            h, skips[:, i] = layer(h, from_back[i])
        self.done = t

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        if self.done != self.position:
            self._features()
        return torch.as_tensor(self.model.head(self.model.skip(at_site(self.skips).reshape(self.batch, -1))))

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if self.done != self.position:
            self._features()    # a given site still leaves its features behind
        at_site(self.inputs)[:, 2 + self.position, 0] = self.model.scaled(at_site(value))

    def _begin(self, some: slice | np.ndarray, start: int, values: Array) -> None:
        if start:    # what is not in the block itself, but read there
            at_site(self.inputs)[some, 2:2 + start, 0] = self.model.scaled(values)

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        inputs, history, biases = map(at_site, (self.inputs, self.history, self.biases))
        last = start + values.shape[1]
        inputs[some, 2 + start:2 + last, 0] = self.model.scaled(values)
        u = joined(inputs[some, first:last], inputs[some, first + 1:last + 1])          # (R, T, 4)
        h, skips = plus(self.places[first:last], u, self.model.first), []               # (R, T, p)
        begin, end = self.longest + first, self.longest + last
        for i, layer in enumerate(self.model.layers):
            history[some, i, begin:end] = h
            from_back = times(history[some, i, begin - layer.dilation:end - layer.dilation], self.back[i])
            from_back += biases[some, i, None]
            h, g = layer(h, from_back)
            skips.append(g)
        return self.model.head(self.model.skip(joined(*skips)))

    def _restart(self, position: int) -> int:
        self.done = -1
        return position
