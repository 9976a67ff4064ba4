"""Drawing from a Gated PixelCNN: the vertical stack once a row, the horizontal stack for any run of a row's pixels.

Everything is a matrix product over the rows or pixels of many images, with as few passes over memory between two
products as can be. It is `GatedLayer` with constants moved between neighbouring operations, and the laws of
tests/exactness hold it to `GatedPixelCNN.forward`:

    σ(b) = (1 + tanh(b / 2)) / 2, so one tanh does for both halves of a gate. The half inside goes into the weights that
    make b, the half outside into the weights that read the gate: t = tanh(z K), z' = t_a (1 + t_b), stored doubled.
    In the first and the last layer, the link L to the horizontal stack follows its convolution K without a gate
    between them that anybody needs, so the two are one matrix, K L.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from arstudio.models.base import Decoder
from arstudio.models.layers import Array, at_site, relu

if TYPE_CHECKING:
    from arstudio.models.gated_pixelcnn import GatedLayer, GatedPixelCNN

FEW = 4    # rows of a product up to which NumPy's calls cost less than torch's


@dataclass(frozen=True)
class Matrix:
    """A weight (in, out) as a tensor and, on a CPU, as the array that shares its memory."""

    tensor: Tensor
    array: Array

    @classmethod
    def of(cls, wide: Tensor, like: Tensor) -> Matrix:
        """A float64 matrix in the type and place of `like`."""
        tensor = wide.to(like).contiguous()
        return cls(tensor, at_site(tensor))

    def times(self, x: Array, out: Array | None = None) -> Array:
        """x (N, in) -> x W, into `out` if given."""
        if not isinstance(x, np.ndarray):
            return torch.mm(x, self.tensor) if out is None else torch.mm(x, self.tensor, out=out)
        if out is None:
            out = np.empty((len(x), self.array.shape[1]), x.dtype)
        if len(x) <= FEW:
            return np.dot(x, self.array, out=out)
        torch.mm(torch.from_numpy(x), self.tensor, out=torch.from_numpy(out))
        return out

    def add(self, z: Array, x: Array) -> None:
        """z += x W."""
        if not isinstance(z, np.ndarray):
            z.addmm_(x, self.tensor)
        elif len(x) <= FEW:
            z += x.dot(self.array)
        else:
            torch.from_numpy(z).addmm_(torch.from_numpy(x), self.tensor)


class Prepared:
    """The weights of one frozen layer, ready for products: see the module docstring. None where nothing is computed."""

    def __init__(self, layer: GatedLayer, last: bool) -> None:
        like, p = layer.out.weight, layer.out.in_features
        half = torch.ones(2 * p, dtype=torch.float64, device=like.device)
        half[p:] = 0.5
        vertical, horizontal = layer.vertical_conv, layer.horizontal_conv
        conv = vertical.weight.double().permute(2, 3, 1, 0).flatten(0, 2)               # (kh·kw·in, 2p)
        if not layer.first:
            conv = conv * 0.5                                                           # its input is stored doubled
        link = layer.link.weight.double().T * half                                      # (2p, 2p)
        joined = layer.first or last
        self.conv = None if last else Matrix.of(conv * half, like)
        self.joined = Matrix.of(conv @ link, like) if joined else None
        self.link = None if joined else Matrix.of(link / half[:, None], like)
        self.taps = Matrix.of(horizontal.left_taps.double() * half, like)
        self.out = Matrix.of(layer.out.weight.double().T * 0.5, like)
        self.shift = at_site(layer.out.bias)
        self._half, self._link = half, link if joined else torch.zeros_like(link)
        self._shifts = vertical.bias.double(), layer.link.bias.double() + horizontal.bias.double()

    def constants(self, vertical: Tensor, horizontal: Tensor) -> tuple[Array, Array]:
        """Biases (…, 2p) that classes and places add to the two stacks -> what is added to the vertical gate and, where the
        link has not seen that, to what enters the horizontal stack from above."""
        a, b = self._shifts
        z = vertical.double() + a
        enters = z @ self._link + (horizontal.double() + b) * self._half
        return at_site((z * self._half).to(vertical)), at_site(enters.to(vertical))


class GatedPixelCNNDecoder(Decoder):
    """Vertical stack once a row, horizontal stack once a pixel, or for many pixels at once with values guessed.

    State of each image: `rows`, the padded input of every vertical convolution, for the whole image; `lines`, the padded
    input of every horizontal convolution, for the current row; `above`, what the vertical stack adds to that row.
    """

    model: GatedPixelCNN
    batched = ("x", "rows", "lines", "above", "biases", "context")
    counters = ("position", "ready", "done")

    def __init__(
        self, model: GatedPixelCNN, batch: int, y: Tensor | int | None = None, context: Tensor | None = None
    ) -> None:
        super().__init__(model, batch, y)
        layers, like = self.model.layers, self.model.head[1].weight
        height, width, p = self.spec.height, self.spec.width, self.model.config.channels
        self.block = width

        def zeros(*shape: int) -> Tensor:
            if like.device.type != "cpu":
                return like.new_zeros(batch, *shape)
            return torch.from_numpy(np.zeros((batch, *shape), at_site(like).dtype))    # NumPy asks for large pages

        self.prepared = [Prepared(layer, last=layer is layers[-1]) for layer in layers]
        convs = [layer.vertical_conv for layer in layers]
        self.rows = [zeros(c.padding[0] + height, width + 2 * c.padding[1], c.inputs) for c in convs]
        self.lines = [zeros(c.padding[1] + width, c.inputs) for c in (m.horizontal_conv for m in layers)]
        self.lines[0][:, layers[0].horizontal_conv.padding[1]:, -1] = 1
        self.above = [zeros(width, 2 * p) for _ in layers]
        with torch.inference_mode():
            biases = self.model.class_biases(self.classes)
        self.biases = [row.clone() for pair in biases for row in pair]                 # 2 per layer, (B, 2p)
        self.context = like.new_zeros(batch, height, width, 0) if context is None else context
        self.ready = -1                                                                # row that `above` belongs to
        self.done = -1                                                                 # site whose features are there
        self._look_again()

    def _look_again(self) -> None:
        """Views of the state, after its tensors were exchanged."""
        self._constants: list[tuple[Array, Array]] = []
        self._rows, self._above = [at_site(t) for t in self.rows], [at_site(t) for t in self.above]
        self._flat = [at_site(t.view(-1, t.shape[-1])) for t in self.above]
        self._x, self._lines, self._windows, self._pads = at_site(self.x), [], [], []
        for layer, line in zip(self.model.layers, self.lines, strict=True):
            conv, (_, columns, inputs) = layer.horizontal_conv, line.shape
            pad, count = conv.padding[1], len(line) * columns - conv.padding[1]
            shape, strides = (count, conv.side + 1, inputs), (inputs, inputs * conv.dilation, 1)
            if conv.dilation == 1:                                                     # neighbours lie side by side
                shape, strides = (count, (conv.side + 1) * inputs), (inputs, 1)
            self._lines.append(at_site(line.view(-1, inputs)))
            self._windows.append(at_site(line.as_strided(shape, strides)))
            self._pads.append((pad, columns))

    @torch.inference_mode()
    def enter(self, images: np.ndarray, block: int) -> None:
        part, width = _part(images), self.spec.width
        biases = [bias[part, None] for bias in self.biases]
        if self.model.context_bias is not None:
            biases = self.model.located(biases, self.context[part, block])
            constants = [p.constants(*pair) for p, *pair in zip(self.prepared, biases[::2], biases[1::2], strict=True)]
        else:
            if not self._constants:
                whole = [bias[:, None] for bias in self.biases]
                self._constants = [p.constants(*pair) for p, *pair in zip(self.prepared, whole[::2], whole[1::2], strict=True)]
            constants = [(a[part], b[part]) for a, b in self._constants]
        if block:
            conv = self.model.layers[0].vertical_conv
            place = self._rows[0][part, conv.padding[0] + block - 1, conv.padding[1]:conv.padding[1] + width]
            place[..., :-1] = self.model.scaled(self._x[part, :, block - 1]).swapaxes(1, 2)
            place[..., -1] = 1
            self._rows[0][part, conv.padding[0] + block - 1, conv.padding[1]:conv.padding[1] + width] = place
        for i, (p, (shift, added)) in enumerate(zip(self.prepared, constants, strict=True)):
            window = self._neighbourhoods(i, part, block)                              # (R·W, kh·kw·in)
            if p.joined is not None:
                above = p.joined.times(window)
            if p.conv is not None:
                z = p.conv.times(window)
                z.reshape(-1, width, z.shape[1])[...] += shift
                if p.link is not None:
                    above = p.link.times(z)
                self._keep(i + 1, part, block, _gate(z))
            above = above.reshape(-1, width, above.shape[1])
            above += added
            self._above[i][part] = above

    def _neighbourhoods(self, layer: int, part: slice | np.ndarray, row: int) -> Array:
        """What a vertical convolution sees of each pixel of a row of some images, (R·W, kh·kw·in)."""
        conv, rows = self.model.layers[layer].vertical_conv, self.rows[layer]
        (kh, kw), d, (image, line, step, one) = conv.kernel, conv.dilation, rows.stride()
        shape, strides = (len(rows), self.spec.width, kh, kw, conv.inputs), (image, step, d * line, d * step, one)
        view = rows.as_strided(shape, strides, row * line)
        return at_site(view)[part].reshape(-1, kh * kw * conv.inputs)

    def _keep(self, layer: int, part: slice | np.ndarray, row: int, v: Array) -> None:
        """Write a row of features (R·W, p) as input of the next vertical convolution."""
        top, side, _ = self.model.layers[layer].vertical_conv.padding
        width = self.spec.width
        self._rows[layer][part, top + row, side:side + width] = v.reshape(-1, width, v.shape[1])

    @torch.inference_mode()
    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        first, width = self.model.layers[0].horizontal_conv, self.spec.width
        row = int(pixels[0]) // width
        some = images[np.flatnonzero(np.diff(images, prepend=-1))]
        values = self.model.scaled(self._x[some, :, row])                              # (R, C, W)
        at_site(self.lines[0])[some, first.padding[1]:, :self.spec.channels] = values.swapaxes(1, 2)
        outputs = self._outputs(images, pixels % width)
        return torch.as_tensor(outputs).view(len(images), self.spec.channels, -1)

    def _outputs(self, images: np.ndarray, columns: np.ndarray) -> Array:
        """The horizontal stack and the head at (N,) places of rows that were entered -> (N, C·P), colour by colour."""
        h, at = None, self._index(images * self.spec.width + columns)
        for i, p in enumerate(self.prepared):
            pad, stride = self._pads[i]
            place = self._index(images * stride + columns)
            if i:
                self._lines[i][place + pad] = h
            z = self._flat[i][at]
            p.taps.add(z, self._windows[i][place].reshape(len(z), -1))
            g = p.out.times(_gate(z))
            g += p.shift
            if i:
                g += h
            h = g
        inner, outer = self.model.head[1], self.model.head[3]
        return outer(relu(inner(relu(h))))

    def _index(self, index: np.ndarray) -> Array:
        return index if self.x.device.type == "cpu" else torch.from_numpy(index).to(self.x.device)

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        if self.ready != row:
            self.enter(np.arange(self.batch), row)
            self.ready = row
        self.done = self.position
        outputs = self._outputs(np.arange(self.batch), np.full(self.batch, column))
        first = channel * self.model.likelihood.num_params
        return torch.as_tensor(outputs[:, first:first + self.model.likelihood.num_params])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if channel == self.spec.channels - 1 and self.done != self.position:
            self._params(channel, row, column)    # a given pixel still leaves its features behind
        pad = self.model.layers[0].horizontal_conv.padding[1]
        at_site(self.lines[0])[:, pad + column, channel] = self.model.scaled(at_site(value))

    def select(self, index: Tensor) -> None:
        super().select(index)
        self._look_again()

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._look_again()

    def _restart(self, position: int) -> int:
        self.ready = self.done = -1
        return position - position % (self.spec.width * self.spec.channels)


def _part(images: np.ndarray) -> slice | np.ndarray:
    """Indices of images in ascending order, as a slice where they are consecutive."""
    first, last = int(images[0]), int(images[-1])
    return slice(first, last + 1) if last - first == len(images) - 1 else images


def _gate(z: Array) -> Array:
    """(N, 2p), overwritten -> (N, p) doubled gate: tanh a · (1 + tanh b)."""
    p = z.shape[-1] // 2
    np.tanh(z, out=z) if isinstance(z, np.ndarray) else z.tanh_()
    g = z[:, p:]
    g += 1
    g *= z[:, :p]
    return g
