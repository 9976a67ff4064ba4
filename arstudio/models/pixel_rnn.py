"""Recurrent network over the sites of an image, one site after the other, with a state of fixed size as its memory.

    u_t = [x_{t-1}, s_t, place_t + V y]                 what is put in at step t; s_t = 1 at the first site, else 0
    h_t = cell(u_t, h_{t-1}),   h_0 = 0                 the state, all that is kept of the sites before x_{t-1}
    p(x_t | x_<t) = likelihood(A h_t + b)

    tanh   h_t = tanh(W u_t + U h_{t-1})                                Elman 1990, "Finding structure in time"
    gru    h_t = (1 − z) ⊙ n + z ⊙ h_{t-1}, n = tanh(W u_t + r ⊙ U h_{t-1}), z and r = σ(…)   Cho et al. 2014
    lstm   c_t = f ⊙ c_{t-1} + i ⊙ g,  h_t = o ⊙ tanh(c_t)              Hochreiter & Schmidhuber 1997; f: Gers 2000

A recurrent network as a chain of conditionals over real sequences is Graves 2013, "Generating sequences with recurrent
neural networks", section 2. The past is in sight as a whole, but the pixel above lies a row of steps back and has
to be carried all the way; for what two dimensions change, compare Row LSTM.

Deviations: a cell that knows only the last value cannot tell where it is, so it is told where the next site lies: the
sum of a learned row, column and colour vector, place_t, to which an optional class adds a vector of its own. Several
layers are stacked plainly, without the connections that skip layers in Graves 2013. U begins orthogonal, and the
LSTM's forget gates begin open.

Shapes: u (B, D, 2 + E), h (B, D, H), parameters (B, D, P), sites *in order*; a state is a list of (B, H), h (and
for the LSTM c) of every layer.
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
from arstudio.models.layers import Array, at_site
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.registry import register
from arstudio.models.runs import RunDecoder

CELLS = {"tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
RUNS = {"tanh": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}
STEPS = {"tanh": torch.rnn_tanh_cell, "gru": torch.gru_cell, "lstm": torch.lstm_cell}
GATES = {"tanh": 1, "gru": 3, "lstm": 4}
PARTS = {"tanh": 1, "gru": 1, "lstm": 2}    # of a layer's state: h, or h and c


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(ModelConfig):
    """`cell` is "tanh", "gru" or "lstm", `hidden` H, in each of `layers` layers; `place` is E, the width of the
    vectors for row, column, colour and class."""

    likelihoods: ClassVar[tuple[str, ...]] = LIKELIHOODS
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden": 64, "place": 16}, "medium": {}, "paper": {"cell": "lstm", "hidden": 400, "layers": 3},
    }

    cell: str = "lstm"
    hidden: int = 128
    layers: int = 1
    place: int = 32

    def check(self, spec: ImageSpec) -> None:
        super().check(spec)
        self.require(self.cell in CELLS, f"cell is 'tanh', 'gru' or 'lstm', not {self.cell!r}.")
        for name in ("hidden", "layers", "place"):
            self.require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}.")

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        hidden, places = self.hidden, spec.height + spec.width + spec.channels
        widths = [2 + self.place] + [hidden] * (self.layers - 1)
        total = sum(GATES[self.cell] * hidden * (width + hidden + 2) for width in widths)
        total += (places + (num_classes + 1) * bool(num_classes)) * self.place
        return total + (hidden + 1) * self.outputs(spec)

    def activations(self, spec: ImageSpec) -> int:
        kept = {"tanh": 2, "gru": 8, "lstm": 16}[self.cell] * self.hidden
        return spec.sites * (self.layers * kept + 2 + self.place + 2 * self.outputs(spec))


@register("pixel_rnn", "RNN over pixels", "Elman 1990; Graves 2013", PixelRNNConfig)
class PixelRNN(AutoregressiveModel):
    """Recurrent network over the sites; see the module docstring."""

    config: PixelRNNConfig
    in_blocks = True
    binary_below = 16

    def __init__(self, spec: ImageSpec, config: PixelRNNConfig, num_classes: int = 0) -> None:
        super().__init__(spec, config, num_classes)
        width, hidden = config.place, config.hidden
        self.rows, self.columns, self.colours = (nn.Embedding(n, width) for n in (spec.height, spec.width, spec.channels))
        self.classes = nn.Embedding(num_classes + 1, width) if num_classes else None
        self.recurrence = CELLS[config.cell](2 + width, hidden, config.layers, batch_first=True)
        self.out = nn.Linear(hidden, self.likelihood.num_params)
        for name, p in self.recurrence.named_parameters():
            if name.startswith("weight_hh"):
                for block in p.data.split(hidden):
                    nn.init.orthogonal_(block)
            elif config.cell == "lstm" and name.startswith("bias_hh"):
                p.data[hidden:2 * hidden] = 1                                       # gates in the order i, f, g, o

    @property
    def places(self) -> Tensor:
        """(D, E) where each site lies, in order."""
        c, h, w = self.spec.shape
        where = self.colours.weight[:, None, None] + self.rows.weight[:, None] + self.columns.weight    # (C, H, W, E)
        return where.view(c * h * w, -1)[self.site_index]

    def class_vectors(self, y: Tensor) -> Tensor:
        """(B,) class rows -> (B, E) what the class adds to every place."""
        return self.rows.weight.new_zeros(len(y), self.config.place) if self.classes is None else self.classes(y)

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        h, _ = self.recurrence(self.inputs(e, y))
        found = self.out(h)                                                         # (B, D, P)
        params = found.new_empty(len(e), found.shape[2], self.spec.sites)
        params = params.index_copy(2, self.site_index, found.transpose(1, 2))
        return params.view(len(e), -1, *self.spec.shape)

    def inputs(self, e: Tensor, y: Tensor) -> Tensor:
        """What is put in at every step, (B, D, 2 + E)."""
        x = e.flatten(1)[:, self.site_index]                                        # (B, D), in order
        u = x.new_zeros(*x.shape, 2)
        u[:, 1:, 0], u[:, 0, 1] = x[:, :-1], 1
        return torch.cat([u, self.places + self.class_vectors(y)[:, None]], dim=2)

    def conditional(self, x: Tensor, y: Tensor | int | None, site: tuple[int, int, int]) -> Tensor:
        self.spec.check(x)
        channel, row, column = site
        place = (channel * self.spec.height + row) * self.spec.width + column
        t = int((self.site_index == place).nonzero())
        h, _ = self.recurrence(self.inputs(self.encode(x), self.class_index(y, len(x)))[:, :t + 1])
        return self.out(h[:, -1])

    def step(self, u: Tensor, state: list[Tensor]) -> list[Tensor]:
        """One step of `recurrence`, by torch's own form for single steps: (B, 2 + E) and a state -> the next state."""
        cell, parts, after = STEPS[self.config.cell], PARTS[self.config.cell], []
        for i, weights in enumerate(self.recurrence.all_weights):
            before = state[parts * i:parts * (i + 1)]
            found = cell(u, before if parts > 1 else before[0], *weights)
            after += found if parts > 1 else [found]
            u = after[-parts]
        return after

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        return PixelRNNDecoder(self, batch, y)


class PixelRNNDecoder(RunDecoder):
    """One step of the network a site; a run of sites is one call of torch's form for sequences. The states at the start of
    every W pixels are kept, by runs those at the start of blocks, so going back replays less than a row's worth of steps."""

    model: PixelRNN
    batched = ("x", "inputs", "kept", "state", "class_vectors")
    counters = ("position", "done")

    def __init__(self, model: PixelRNN, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        config, model = self.model.config, self.model
        self.stretch = self.spec.width * self.spec.channels    # sites between states that are kept
        like = model.out.weight
        self.layers, self.parts = config.layers, PARTS[config.cell]
        self.state = [like.new_zeros(batch, config.hidden) for _ in range(self.layers * self.parts)]
        kept = batch, self.spec.height + 1, self.layers, config.hidden
        self.kept = [like.new_zeros(kept) for _ in range(self.parts)]                       # h, or h and c
        self.inputs = like.new_zeros(batch, 2 + config.place)
        with torch.inference_mode():
            self.places = F.pad(model.places, (2, 0))                                       # (D, 2 + E), what is put in but x
            self.places[0, 1] = 1
            self.class_vectors = F.pad(model.class_vectors(self.classes), (2, 0))           # (B, 2 + E)
        self.done = -1                                         # site whose step has been taken
        self._weights = [part for layer in model.recurrence.all_weights for part in layer]

    def _advance(self) -> None:
        t, value = self.position, self.inputs[:, 0].clone()
        torch.add(self.class_vectors, self.places[t], out=self.inputs)
        if t:
            self.inputs[:, 0] = value
        self.state = self.model.step(self.inputs, self.state)
        self.done = t

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        if self.done != self.position:
            self._advance()
        return self.model.out(self.state[-self.parts])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if self.done != self.position:
            self._advance()    # a given value still passes through the state
        self.inputs[:, 0] = self.model.scaled(value)
        stretch, rest = divmod(self.position + 1, self.stretch)
        if rest == 0:
            for i, kept in enumerate(self.kept):
                kept[:, stretch] = torch.stack(self.state[i::self.parts], dim=1)

    def _run(self, some: slice | np.ndarray, start: int, first: int, values: Array) -> Array:
        last = start + values.shape[1]
        u = self.places[start:last] + self.class_vectors[some][:, None]                      # (R, T, 2 + E)
        before = max(start - 1, 0)    # every site is told the value before it, the first that there is none
        at_site(u)[:, int(start == 0):, 0] = self.model.scaled(self._values(some, before, last - 1))
        state = [kept[some, start // self.stretch].transpose(0, 1).contiguous() for kept in self.kept]       # (layers, R, H)
        h, *after = RUNS[self.model.config.cell](
            u, state if self.parts > 1 else state[0], self._weights, True, self.layers, 0.0, False, False, True
        )
        if last - start == self.block * self.spec.channels:
            for kept, part in zip(self.kept, after, strict=True):
                kept[some, last // self.stretch] = part.transpose(0, 1)
        return self.model.out(h[:, first - start:])

    def _restart(self, position: int) -> int:
        stretch = position // self.stretch
        start = stretch * self.stretch
        kept = [part[:, stretch].unbind(1) for part in self.kept]
        self.state, self.done = [part.clone() for layer in zip(*kept, strict=True) for part in layer], -1
        if start:
            self.inputs[:, 0] = self.model.scaled(self.x.flatten(1)[:, self.model.site_index[start - 1]])
        return start
