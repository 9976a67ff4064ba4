"""Drawing from a Gated PixelCNN: the vertical stack once a row, the horizontal stack for any run of a row's pixels.

Everything is a matrix product over the rows or pixels of many images, with as few passes over memory between two
products as can be. It is `GatedLayer` with constants moved between neighbouring operations (`gated_weights.py`), and the
laws of tests/exactness hold it to `GatedPixelCNN.forward`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from arstudio.models import threads
from arstudio.models.convolutions import Place
from arstudio.models.decoder import Decoder, inferring
from arstudio.models.gated_rows import few_rows, horizontal, vertical, views, whole_rows
from arstudio.models.gated_weights import may_be_tiled, prepared
from arstudio.models.layers import Array, at_site
from arstudio.models.one_piece import in_one_piece
from arstudio.models.row_products import AT, AT2, BT, BT2, TILE, buffer_shape, images_first, laid_out, place, taken

if TYPE_CHECKING:
    from arstudio.models.gated_pixelcnn import GatedPixelCNN

SHARED = 16      # images a thread should have at least to enter a row
MANY = 224       # pixels of a row in all images together from which tiled convolutions pay
TOGETHER = 57_344     # numbers of rows that go through a layer together, 16 of 28 pixels and 128 channels: what is between
                      # two products stays in a core's cache

Lists = list[list[Tensor]]    # each with a tensor of every layer


class GatedPixelCNNDecoder(Decoder):
    """Vertical stack once a row, horizontal stack once a pixel, or for many pixels at once with values guessed.

    State of each image: `rows`, the padded input of every vertical convolution, for the whole image, of tiled ones the last
    row, with what is `carried` from there to the next; `lines`, the padded input of every horizontal convolution, for the
    current row; `above`, what the vertical stack adds to that row; `entered`, the row; `stale`, whether its `lines` were left
    out. Where rows were let go, going back enters as many before as a row can see.
    """

    model: GatedPixelCNN
    batched = ("x", "rows", "carried", "lines", "above", "biases", "context", "ahead", "entered", "stale")
    counters = ("position", "ready", "done", "kept")

    def __init__(
        self, model: GatedPixelCNN, batch: int, y: Tensor | int | None = None, context: Tensor | None = None
    ) -> None:
        super().__init__(model, batch, y)
        layers, like = self.model.layers, self.model.head[1].weight
        height, width, p = self.spec.height, self.spec.width, self.model.config.channels
        self.block = width

        tiled = like.device.type == "cpu" and width % TILE == 0 and batch * width >= MANY and any(map(may_be_tiled, layers))
        self.prepared = prepared(self.model, tiled)
        self._shapes = [beside.shape for beside in self.prepared]
        lines = [(batch, conv.padding[1] + width, conv.inputs) for conv in (layer.horizontal_conv for layer in layers)]
        row = (TILE, batch, width // TILE, 2 * p) if tiled else (batch, width, 2 * p)
        self._tiled, self._tiles = tiled, [beside.tiled for beside in self.prepared]
        self._together = max(min(TOGETHER // (width * p), batch), 1) if like.device.type == "cpu" else batch    # images
        carried = [row if here else (batch, 0) for here in self._tiles]
        state = in_one_piece(like, [*self._buffers(batch), *carried, *[row] * len(layers)])
        self.rows, self.carried, self.above = (state[i * len(layers):(i + 1) * len(layers)] for i in range(3))
        self.lines = in_one_piece(like, lines, zero=True)                              # whole rows never touch most of it
        self._pad(self.rows)
        self._lay(images_first)
        self._reach = self.model.config.kernel // 2 * sum(self.model.config.dilations) if tiled else 0    # rows
        self.entered = torch.full((batch,), -1, device=like.device)
        self.stale = torch.zeros(batch, dtype=torch.bool, device=like.device)
        self.lines[0][:, self.prepared[0].pad:, -1] = 1
        with torch.inference_mode():
            biases = self.model.class_biases(self.classes)
        self.biases = [row.clone() for pair in biases for row in pair]                 # 2 per layer, (B, 2p)
        self.context = like.new_zeros(batch, height, width, 0) if context is None else context
        self.ahead: list[Tensor] = []                                                  # parameters of the next site, or none
        self.ready = -1                                                                # row that `above` belongs to
        self.done = -1                                                                 # site whose features are there
        self.kept = 0                                                                  # first row that can be entered again
        weights = [[p.conv, p.joined, p.link, p.taps.tensor, p.pair, p.out.tensor, p.out.shift] for p in self.prepared]
        self._convs, self._joined, self._links, self._taps, self._pairs, *outs = map(list, zip(*weights, strict=True))
        self._outs, self._shifts = outs
        self._few_pixels = min(width, *(p.taps.few for p in self.prepared))            # that arrays take as fast as tensors
        self._none = like.new_zeros(0)
        self._pads = [p.pad for p in self.prepared]
        self._sums, self._pair_sums = ([t.to(like.dtype).to(like.device) for t in pair] for pair in ((BT, AT), (BT2, AT2)))
        self._all = torch.zeros(0, dtype=torch.long, device=like.device)
        self._spare: list[list[Tensor]] = []
        self._look_again()

    def _lay(self, lay: Callable[[Tensor], Tensor]) -> None:
        """Apply to what lies in tiles; see `row_products`."""
        self.above = _where([self._tiled] * len(self.above), lay, self.above)
        self.rows = _where(self._tiles[:len(self.rows)], lay, self.rows)
        self.carried = _where(self._tiles, lay, self.carried)

    def _buffers(self, batch: int) -> list[tuple[int, ...]]:
        """Shapes in memory of the padded input of every vertical convolution."""
        spec, layers = self.spec, zip(self.prepared, self.model.layers, strict=True)
        return [
            buffer_shape(batch, p.shape[4] + spec.height, spec.width, p.shape[3], layer.vertical_conv.inputs, p.tiled)
            for p, layer in layers
        ]

    def _pad(self, rows: list[Tensor]) -> None:
        """Zero what nobody writes: all of the inputs with padding on both sides."""
        for part, tiled in zip(rows, self._tiles, strict=True):
            if not tiled:
                part.zero_()

    def _look_again(self) -> None:
        """Views of the state, after its tensors were exchanged."""
        self._known: dict[tuple[int, int], tuple[Lists, Lists]] = {}
        self._constants: tuple[list[Tensor], list[Tensor], list[Tensor]] | None = None
        self._windows = []
        for layer, line in zip(self.model.layers, self.lines, strict=True):
            conv, (image, step, one) = layer.horizontal_conv, line.stride()
            shape, strides = (len(line), self.spec.width, conv.side + 1, conv.inputs), (image, step, step * conv.dilation, one)
            if conv.dilation == 1:                                                     # neighbours lie side by side
                shape, strides = (*shape[:2], (conv.side + 1) * conv.inputs), (image, step, one)
            self._windows.append(line.as_strided(shape, strides))
        self._x, self._stale = at_site(self.x), at_site(self.stale)
        self._at_site = [[at_site(t) for t in tensors] for tensors in (self.above, self.lines, self._windows)]

    @inferring
    def enter(self, images: np.ndarray, block: int) -> None:
        if self._reach:
            entered = at_site(self.entered)
            lost = images[entered[images] != block - 1]
            for row in range(max(block - self._reach, 0), block if len(lost) else 0):
                for part in _runs(lost):
                    self._enter(part, row)
            entered[images] = block
        for part in _runs(images):
            self._enter(part, block)
        if self._tiled:
            self._stale[images] = False

    def _enter(self, part: slice, row: int) -> None:
        if row:
            above = at_site(place(self.rows[0][part], row - 1, self._shapes[0]))
            above[..., :-1] = self.model.scaled(self._x[part, :, row - 1]).swapaxes(1, 2)
            above[..., -1] = 1
        alike = row == 0 and self.model.context_bias is None and bool((self.classes[part] == self.classes[part.start]).all())
        some = slice(part.start, part.start + 1) if alike else part                    # with nothing above, one is all
        for few in self._parts(some):
            kept, (shifts, added, _) = self._views(few)
            if self.model.context_bias is not None:
                shifts, added = self._located(few, row)
            with self._spaces() as spaces:
                vertical(
                    *kept, self._convs, self._joined, self._links, shifts, added, self._shapes, self._sums, spaces, row
                )
        if alike:
            for rows, carried, above, p in zip(self.rows, self.carried, self.above, self.prepared, strict=True):
                first = rows if p.tiled else rows[:, :p.shape[4] + 1]
                first[part], carried[part], above[part] = first[some], carried[some], above[some]

    @contextmanager
    def _spaces(self) -> Iterator[list[Tensor]]:
        """Three flat tensors for a thread to work in, kept for the next one."""
        try:
            spaces = self._spare.pop()
        except IndexError:
            p, pixels = self.model.config.channels, self._together * self.spec.width
            most = max(2 * p, *(beside.most for beside in self.prepared))
            counts = (most, 3 * p, p + p // TILE + 1)
            spaces = in_one_piece(self.model.head[1].weight, [(pixels * count,) for count in counts])
        yield spaces
        self._spare.append(spaces)

    def _parts(self, images: slice) -> Iterator[slice]:
        """Those that go through a layer together."""
        for start in range(images.start, images.stop, self._together):
            yield slice(start, min(start + self._together, images.stop))

    def _views(self, part: slice) -> tuple[Lists, Lists]:
        """What is kept of some images, as `gated_rows.views` has it, and of them what classes add: see `_of_classes`."""
        found = self._known.get((part.start, part.stop))
        if found is None:
            kept = [views(*state, part) for state in zip(self.rows, self.carried, self.above, strict=True)]
            found = [list(each) for each in zip(*kept, strict=True)], [[a[part] for a in some] for some in self._of_classes()]
            if len(self._known) > self.batch:                                          # any images may follow one another
                self._known = {}
            self._known[part.start, part.stop] = found
        return found

    def _located(self, part: slice, row: int) -> tuple[list[Tensor], list[Tensor]]:
        """What classes and places add in each layer of some images: see `Prepared.constants`."""
        return self._prepare(self.model.located([bias[part, None] for bias in self.biases], self.context[part, row]))

    def _late_ones(self) -> list[Tensor]:
        """What classes add in each layer to what lies above all images, where `vertical` leaves it: (B, 1, 2p), or empty."""
        return self._of_classes()[2]

    def _of_classes(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """`_prepare` for all images, (B, 1, 2p) each, of one class one row for all; and of what is added that which `vertical`
        leaves to its readers, or nothing."""
        if self._constants is None:
            alike = len(self.classes) > 0 and bool((self.classes == self.classes[0]).all())
            constants = self._prepare([bias[:1 if alike else None, None] for bias in self.biases])
            shifts, added = ([a.expand(self.batch, -1, -1) for a in part] for part in constants)
            comes_late = self._tiled and self.model.context_bias is None
            late = [enters if comes_late and p.tiled and len(p.link) else self._none
                    for p, enters in zip(self.prepared, added, strict=True)]
            self._constants = shifts, added, late
        return self._constants

    def _prepare(self, biases: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        pairs = (p.constants(*pair) for p, *pair in zip(self.prepared, biases[::2], biases[1::2], strict=True))
        shifts, added = zip(*pairs, strict=True)
        return list(shifts), list(added)

    @inferring
    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        row = int(pixels[0]) // self.spec.width
        self._write(Place(0, images).some, row)
        outputs = self._outputs(images, pixels % self.spec.width, row)
        return torch.as_tensor(outputs).view(len(images), self.spec.channels, -1)

    def _write(self, some: slice | np.ndarray, row: int) -> None:
        """Write a row of some images where the first horizontal convolution reads it."""
        values = self.model.scaled(self._x[some, :, row])                              # (R, C, W)
        at_site(self.lines[0])[some, self.prepared[0].pad:, :self.spec.channels] = values.swapaxes(1, 2)

    def _outputs(self, images: np.ndarray, columns: np.ndarray, row: int) -> Array:
        """The horizontal stack and the head at (N,) places of a row that was entered -> (N, C·P), colour by colour."""
        if len(images) <= self._few_pixels and self.x.device.type == "cpu" and not self._stale[images].any():
            return self._head(self._few(images, columns))
        with self._spaces() as spaces:
            if self._tiled:
                return self._head(self._in_tiles(images, columns, row, spaces))
            h = horizontal(
                self.above, self._late_ones(), self.lines, self._windows, self._taps, self._outs, self._shifts, self._pads,
                spaces, self._together, *self._places(images, columns)
            )
            return self._head(at_site(h) if len(h) <= self.spec.width else h)            # of one image a row or less

    def _in_tiles(self, images: np.ndarray, columns: np.ndarray, row: int, spaces: list[Tensor]) -> Tensor:
        """(N,) places -> (N, p) features: of images that follow one another, of those of each long run, and of the rest."""
        each = images[np.flatnonzero(np.diff(images, prepend=-1))]
        runs = list(_runs(each))
        if len(runs) == 1:
            return self._tiles_of(runs[0], images, columns, row, spaces)
        runs = [run for run in runs if (run.stop - run.start) * self.spec.width >= MANY]
        found, rest = self.lines[-1].new_empty(len(images), self.model.config.channels), each
        for run in runs:
            here, rest = (images >= run.start) & (images < run.stop), rest[(rest < run.start) | (rest >= run.stop)]
            found[torch.from_numpy(here)] = self._tiles_of(run, images[here], columns[here], row, spaces)
        if len(rest):
            here = np.isin(images, rest)
            found[torch.from_numpy(here)] = self._tiles_of(rest, images[here], columns[here], row, spaces)
        return found

    def _tiles_of(
        self, some: slice | np.ndarray, images: np.ndarray, columns: np.ndarray, row: int, spaces: list[Tensor]
    ) -> Tensor:
        """The features at (N,) places of some images, from all tiles that have one of the places; where `lines` were left out,
        or would be read by images that do not follow one another, from whole rows, which leave them out."""
        width, first, last = self.spec.width, int(columns.min()), int(columns.max()) + 1
        afresh = not isinstance(some, slice) or bool(self._stale[some].any())
        if afresh:
            first, last = 0, width
        elif last - first > 1:
            first, last = first // TILE * TILE, -(-last // TILE) * TILE
        each = np.arange(some.start, some.stop) if isinstance(some, slice) else some
        known, weights = (self.above, self._late_ones()), (self._outs, self._shifts, self._pads)
        if last - first < width:
            h = horizontal(
                *known, self.lines, self._windows, self._taps, *weights, spaces, self._together,
                int(each[0]), int(each[-1]) + 1, first, last, self._all, self._all,
            )
        elif isinstance(some, slice) and len(each) * width >= MANY:
            h = self._whole(some, spaces)
        else:
            h = few_rows(*known, self._windows[0], self._taps, *weights, spaces, self._together, torch.from_numpy(each))
        self._stale[some] = last - first == width
        if len(images) == len(h):
            return h
        return h[torch.from_numpy(np.searchsorted(each, images) * (last - first) + columns - first)]

    def _whole(self, some: slice, spaces: list[Tensor]) -> Tensor:
        """The features (N, p) of whole rows of images that follow one another, which may lie in the second space."""
        tiles, count = self.spec.width // TILE, some.stop - some.start
        shape = (count, tiles, TILE, self.model.config.channels)
        found = taken(spaces[1], shape) if count <= self._together else spaces[1].new_empty(shape)
        for few in self._parts(some):
            (*_, above, _), (*_, late) = self._views(few)
            whole_rows(
                above, late, self.lines, self._windows, self._taps, self._pairs, self._outs, self._shifts, self._pads,
                self._pair_sums, spaces, few.start, few.stop, found[few.start - some.start:few.stop - some.start],
            )
        return found.view(count * self.spec.width, -1)

    def _head(self, h: Array) -> Array:
        """(N, p) features, overwritten -> (N, C·P)."""
        inner, outer = self.model.head[1], self.model.head[3]
        h = inner(np.maximum(h, 0, out=h) if isinstance(h, np.ndarray) else h.relu_())
        return outer(np.maximum(h, 0, out=h) if isinstance(h, np.ndarray) else h.relu_())

    def _few(self, images: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """What `horizontal` does, in arrays, whose calls cost less: (N, p) features."""
        h, place = None, Place(0, images, columns)
        image, run = place.beside
        here = (images, columns // TILE, columns % TILE) if self._tiled else place.beside
        for p, above, line, window, late in zip(self.prepared, *self._at_site, self._late_ones(), strict=True):
            if h is not None:
                line[image, _moved(run, p.pad)] = h
            z = above[here] if self._tiled else above[here].copy()
            if len(late):
                z += at_site(late)[image, 0]
            p.taps.add(z, window[place.beside].reshape(len(z), -1))
            np.tanh(z, out=z)
            half = z.shape[1] // 2
            z[:, half:] += 1
            z[:, :half] *= z[:, half:]
            if h is None:
                h = p.out.times(z[:, :half])
            else:
                p.out.add(h, z[:, :half])
        return h

    def _places(self, images: np.ndarray, columns: np.ndarray) -> tuple[int | Tensor, ...]:
        """(N,) places as `horizontal` takes them: a rectangle by its borders."""
        first, count = int(columns[0]), int(columns[-1]) + 1 - int(columns[0])           # pixels of each image
        if count > 0 and len(images) % count == 0:
            some, across = images[::count], columns.reshape(-1, count)
            follow = int(some[-1] - some[0]) == len(some) - 1 and (images.reshape(-1, count) == some[:, None]).all()
            if follow and (across == np.arange(first, first + count)).all():
                return int(some[0]), int(some[-1]) + 1, first, first + count, self._all, self._all
        return 0, 0, 0, 0, *(torch.from_numpy(index).to(self.x.device) for index in (images, columns))

    @inferring
    def follow(self, values: Tensor) -> Tensor:
        channels, width, (channel, row, column) = self.spec.channels, self.spec.width, self.site()
        count, more = divmod(values.shape[1], channels)
        if channel or more or column + count > width:                                  # not whole pixels of one row
            return super().follow(values)
        self._be_ready(row)
        values = at_site(values).reshape(-1, count, channels)
        self._x[:, :, row, column:column + count] = values.swapaxes(1, 2)
        pad = self.prepared[0].pad + column
        at_site(self.lines[0])[:, pad:pad + count, :channels] = self.model.scaled(values)
        across = min(count + 1, width - column)                                        # the pixel after them is wanted next
        found = self.above[0].new_empty(self.batch, across, channels, self.model.likelihood.num_params)

        @inferring                                                                     # a mode is a thread's own
        def see(images: np.ndarray) -> None:
            columns = np.tile(np.arange(column, column + across), len(images))
            here = found[int(images[0]):int(images[-1]) + 1]
            here.copy_(torch.as_tensor(self._outputs(np.repeat(images, across), columns, row)).view_as(here))

        threads.share(see, np.arange(self.batch), max(SHARED, SHARED * width // across))
        self.position += count * channels
        self.done, self.ahead = (self.position, [found[:, count, 0].contiguous()]) if across > count else (-1, [])
        return found[:, :count].flatten(1, 2)

    def _be_ready(self, row: int) -> None:
        if self.ready != row:
            threads.share(lambda part: self.enter(part, row), np.arange(self.batch), SHARED)
            self.ready = row

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        if self.ahead:
            return self.ahead[0]
        self._be_ready(row)
        self.done = self.position
        outputs = self._outputs(np.arange(self.batch), np.full(self.batch, column), row)
        first = channel * self.model.likelihood.num_params
        return torch.as_tensor(outputs[:, first:first + self.model.likelihood.num_params])

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        if channel == self.spec.channels - 1 and self.done != self.position:
            self._params(channel, row, column)    # a given pixel still leaves its features behind
        self.ahead = []
        at_site(self.lines[0])[:, self.prepared[0].pad + column, channel] = self.model.scaled(at_site(value))

    def select(self, index: Tensor) -> None:
        super().select(index)
        self._lay(laid_out)
        self._look_again()

    @torch.inference_mode()
    def resample(self, index: Tensor) -> None:
        row = self.position // (self.spec.width * self.spec.channels)
        column = self.position // self.spec.channels % self.spec.width
        under_way, same, rows = self.ready == row, len(index) == self.batch, self.rows
        self.kept = max(self.kept, row + under_way)
        constants = self._constants if same and bool((self.classes[index] == self.classes).all()) else None
        if same:                                                                       # particles that stay are not touched
            moved = (index != torch.arange(len(index), device=index.device)).nonzero()[:, 0]
            source = index[moved]
            if under_way:
                start = 0 if self._stale.any() else column // TILE * TILE if self._tiled else column    # looks begin here
                for p, line, above in zip(self.prepared, self.lines, self.above, strict=True):
                    read = slice(start, column + p.pad + 1)
                    line[moved, read] = line[source, read]
                    from_here = start // TILE if self._tiled else start
                    above[moved, from_here:] = above[source, from_here:]
            for part in (self.x, self.stale, *self.carried):
                part[moved] = part[source]
            self.classes, self.context = self.classes[index], self.context[index]
            self.biases, self.ahead = ([part[index] for part in parts] for parts in (self.biases, self.ahead))
        else:
            self.rows = []
            self.select(index)
            moved, source = slice(None), index
            self.rows = in_one_piece(rows[0], self._buffers(len(index)))
            self._pad(self.rows)
            self.rows = _where(self._tiles, images_first, self.rows)
        for p, old, new in zip(self.prepared, rows, self.rows, strict=True):
            read = slice(None) if p.tiled else slice(row + under_way, row + p.shape[4] + 1)    # by the rows to be entered
            new[moved, read] = old[source, read]
        self._look_again()
        self._constants = constants                                                    # what classes add is as it was

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._look_again()

    def _restart(self, position: int) -> int:
        row = position // (self.spec.width * self.spec.channels)
        self.ready = row if self.ready == row else -1                                  # what lies above it is as it was
        self.done, self.ahead = -1, []
        if row < self.kept:
            row = self.kept = 0
        return row * self.spec.width * self.spec.channels


def _where(tiled: list[bool], lay: Callable[[Tensor], Tensor], parts: list[Tensor]) -> list[Tensor]:
    return [lay(part) if here else part for here, part in zip(tiled, parts, strict=True)]


def _runs(images: np.ndarray) -> Iterator[slice]:
    """Images in ascending order as slices of those that follow one another."""
    ends = [*np.flatnonzero(np.diff(images) != 1), len(images) - 1]
    for first, last in zip([0, *(end + 1 for end in ends[:-1])], ends, strict=True):
        yield slice(int(images[first]), int(images[last]) + 1)


def _moved(run: slice | np.ndarray, by: int) -> slice | np.ndarray:
    return slice(run.start + by, run.stop + by) if isinstance(run, slice) else run + by
