"""Captured sampling: the whole step of a site or of a row on the device, recorded once as a CUDA graph and replayed.

Site by site, a GPU waits for Python: a hundred kernels of a few microseconds each, and a question to the device after every
site. Here the parameters, the settings, the inverse CDF on the sites' own uniforms and the writing of the values are one
function of tensors that stay where they are (`models/row_steps.py`, `device_draw.py`), and the host asks once a row:

    few images     a look at the whole row, again and again until it reproduces itself, from a guess as in `jacobi.py`
    many images    a look at a site, for one site after the other

Which is faster was estimated from how many looks a row takes (`CapturedSampler.looks`, seed 0) and from a guess that 8,192
pixels take twice as long as one: with 1, 64 and 256 images 2.2, 6.6 and 7.6 for the 28 sites of `mnist-gated`, 5.9, 18.8 and
22.9 for those of `fashion-gated`, 11.4, 19.9 and 22.3 for the 48 of `emoji-gated`.

Both are exact. Decisions too close to call are marked on the device; when the row is through, the shared `Referee` takes
them, what it says is fixed, and where that is another value the row is drawn again from there. So values are those of every
other sampler, whatever the last bits of the device's sums. All is float32 (PyTorch leaves TF32 off in products; the margin
of `draw.REFER` is 1e-5, and bfloat16 or TF32 products err by more), decisions are float64.

On a device that records nothing the same functions are called, and that is how the tests hold them to the other samplers.
The few lines of `record` were written without a GPU at hand. If recording fails, or a row that was replayed is not the row
that comes without, the functions are called from then on, and `notice` says so.

PyTorch documentation, "CUDA semantics: CUDA Graphs": nothing may ask the device while recording, memory stays in place,
warming up happens on a side stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arstudio.models.memory import out_of_memory
from arstudio.models.row_steps import RowSteps
from arstudio.sampling.device_draw import decide, guide, reshape
from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import DRAWN, Trace

BINARY, PIXELS = 16384, 2048    # of a row in all images together up to which it is looked at as a whole, PIXELS for each colour
WARM_UP = 2                     # calls before recording: libraries load, choose and take memory


def record(functions: Sequence[Callable[[], None]], device: torch.device) -> list[Callable[[], None]]:
    """The functions as recordings that repeat them, on a CUDA device; on others the functions. They must work on tensors that
    stay where they are, and are called here, so their state is lost. Raises RuntimeError where the device refuses."""
    if device.type != "cuda":
        return list(functions)
    stream, graphs = torch.cuda.Stream(device), []
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):    # also brings the stream of before back where recording fails
        for function in functions * WARM_UP:
            function()
        for function in functions:
            graph = torch.cuda.CUDAGraph()
            pool = graphs[0].pool() if graphs else None    # what they use in between; results lie outside
            with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                function()
            graphs.append(graph)
    torch.cuda.current_stream(device).wait_stream(stream)
    return [graph.replay for graph in graphs]


class CapturedSampler(Sampler):
    """A Sampler whose `step` draws a row of every image. `reach` is how many sites are final; it may be ahead of the trace's
    cursor, and what comes again with the same noise is not drawn again."""

    decoder: RowSteps | None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reach = 0
        self._row: _Row | None = None
        self._entered = -1    # row that the decoder is ready for

    @property
    def looks(self) -> int:
        """How often rows or sites were looked at since the steps were recorded."""
        return 0 if self._row is None else self._row.looks

    @property
    def replays(self) -> bool:
        """Whether rows are drawn by recordings."""
        return self._row is not None and self._row.replay

    @torch.inference_mode()
    def step(self, limit: int | None = None) -> bool:
        """Draw what is missing of a row of every image; the cursor moves at most up to step `limit`. False when the images
        are complete."""
        sites = self.trace.spec.sites
        if self.trace.cursor >= sites:
            return False
        end = sites if limit is None else min(limit, sites)
        if self.reach < end:
            self._draw_row(self.reach // (self.trace.spec.width * self.trace.spec.channels))
        self.trace.cursor = max(self.trace.cursor, min(self.reach, end))
        return True

    def halve(self) -> None:
        self._row = None
        super().halve()

    def rewind(self, step: int) -> None:
        self.trace.cursor = step    # the same noise gives the same values: nothing is drawn again

    def change(self, index: int, step: int, value: float) -> None:
        super().change(index, step, value)
        self.reach = min(self.reach, step)

    def redraw(self, step: int, seed: int) -> None:
        super().redraw(step, seed)
        self.reach = min(self.reach, step)

    @torch.inference_mode()
    def take_up(self, trace: Trace, u: np.ndarray, forced: dict[int, dict[int, float]]) -> None:
        self.trace, self.u = trace, u
        self._force(forced)
        self.reach, self._entered = trace.cursor, -1
        x = self.decoder.x.flatten(1)
        values = torch.from_numpy(trace.values[:, :self.reach].astype(np.int64)).to(x.device)
        x[:, torch.from_numpy(trace.sites[:self.reach]).to(x.device)] = values.repeat(1 + self.guided, 1)

    def _draw_row(self, row: int) -> None:
        if self._row is None or self._row.pmfs.shape[1] != len(self.trace.pmfs):
            self._row, self._entered = _Row(self, len(self.trace.pmfs)), -1
            try:
                self._row.record()
            except Exception as error:
                if out_of_memory(error):
                    raise
                self._say(f"This device could not record the steps ({type(error).__name__})")
        values, log_probs, entropies, pmfs = self._proved_row(row) if self.replays else self._settle(row)
        size = len(values)
        first, here = row * size, slice(self.reach - row * size, size)
        steps = slice(self.reach, first + size)
        self.trace.put_steps(
            self.reach, values[here].T, log_probs[here].T, entropies[here].T, self._plan[:, steps], pmfs[here].swapaxes(0, 1)
        )
        self.reach = first + size

    def _say(self, what: str) -> None:
        self.notice = f"{what}, so every step is launched by itself: the images are the same, drawn more slowly."

    def _proved_row(self, row: int) -> tuple[np.ndarray, ...]:
        """`_settle` by what was recorded, and until that is proved, or if it fails, also without."""
        found = None
        try:
            found = self._settle(row)
        except Exception as error:
            if out_of_memory(error):
                raise
        if found is not None and self._row.proved:
            return found
        self._row.proved = row > 0 or self.trace.spec.height == 1    # the first row has nothing above it
        self._row.replay, self._entered = False, -1
        again = self._settle(row)
        self._row.replay = found is not None and self._row.same(found, again)
        if not self._row.replay:
            self._say("A recorded row was not the row that is drawn without")
        return again

    def _settle(self, row: int) -> tuple[np.ndarray, ...]:
        """Draw a row -> its final (n, B) values, log-probabilities and entropies, and (n, images kept, L) probabilities."""
        tables, size = self._row, self._row.size
        self._enter(row)
        first, last = row * size, (row + 1) * size
        fixed = np.where(self._plan[:, first:last] == DRAWN, -1, self._set[:, first:last]).T.astype(np.int64)
        kept = max(self.reach - first, 0)
        fixed[:kept] = self.trace.values[:, first:self.reach].T
        tables.begin(fixed, self.u[:, first:last].T, self._near)
        start: int | None = 0
        for _ in range(size + 1):    # each round settles one site more, and mostly there is one
            settled = tables.sweep(start)
            self._write(row)
            start = self._judge(fixed, first)
            if settled and start is None:
                return tables.found()
            start = start or 0
        raise RuntimeError("This device computes something else whenever the same is asked for.")

    def _write(self, row: int) -> None:
        """Give the decoder's images the row as it is drawn now."""
        channels, width, x = self.trace.spec.channels, self.trace.spec.width, self.decoder.x
        values = self._row.values.view(width, channels, -1).permute(2, 1, 0)
        x[:, :, row] = values.repeat(1 + self.guided, 1, 1)

    def _judge(self, fixed: np.ndarray, first: int) -> int | None:
        """Let the referee take what was too close to call in a row that begins at step `first`, and fix what it says in
        (n, B) `fixed` -> the first place whose value is another one now, None if there is none."""
        tables, start = self._row, None
        close = tables.close.cpu().numpy() & (fixed < 0)
        if not close.any():
            return None
        values = tables.values.cpu().numpy()
        right = np.ones(self.trace.count, dtype=bool)    # images in which nothing before was wrong
        for place in np.flatnonzero(close.any(1)):
            rows = np.flatnonzero(close[place] & right)
            if not len(rows):
                continue
            step = first + int(place)
            fixed[place, rows] = self._refer(rows, self.trace.site(step), self.u[rows, step])
            wrong = rows[fixed[place, rows] != values[place, rows]]
            if len(wrong) and start is None:
                start = int(place)
            right[wrong] = False
        tables.fixed.copy_(torch.from_numpy(fixed))
        return start

    def _enter(self, row: int) -> None:
        """Make the decoder ready for a row."""
        tables, x = self._row, self.decoder.x[:self.trace.count]
        if self._entered > row or self._entered < 0:
            self.decoder.reset()
            self._entered = -1
        for between in range(self._entered + 1, row + 1):
            if between:
                tables.above.copy_(x[:, :, between - 1].permute(2, 1, 0).reshape(tables.above.shape))
            tables.inside.fill_(between > 0)
            tables.enter()
        self._entered = row


class _Row:
    """The tensors that the recorded functions work on, for n = C·W sites of B images in drawing order, and the functions.

    (n, B): uniforms `u`, `fixed` values or −1, `values` as guessed or drawn, `close` where they are too close to call, log-
    probabilities and entropies at T = 1; (n, images kept, L) `pmfs`; and where rows are looked at as a whole `draft`, the
    (n, B, L) probabilities that the last row was drawn from. `columns` and `colours` are where `look` looks.
    """

    def __init__(self, sampler: CapturedSampler, kept: int) -> None:
        spec, batch, device = sampler.trace.spec, sampler.trace.count, sampler.decoder.x.device
        self.decoder, self.settings, self.likelihood = sampler.decoder, sampler.settings, sampler.model.likelihood
        self.spec, self.batch, self.halves = spec, batch, 1 + sampler.guided
        self.size = spec.channels * spec.width
        most = BINARY if spec.levels == 2 else PIXELS * spec.channels
        self.whole, self.looks = spec.width * batch * self.halves <= most, 0
        n, levels, real = (self.size, batch), spec.levels, torch.float64
        self.u, self.log_probs, self.entropies = (torch.zeros(n, dtype=real, device=device) for _ in range(3))
        self.fixed, self.values, self.above = (torch.zeros(n, dtype=torch.long, device=device) for _ in range(3))
        self.close, self.changed = (torch.zeros(shape, dtype=torch.bool, device=device) for shape in (n, ()))
        self.pmfs = torch.zeros(self.size, kept, levels, device=device)
        self.draft = torch.zeros(*n, levels, dtype=real, device=device) if self.whole else None
        self.columns = torch.arange(spec.width if self.whole else 1, device=device)
        self.colours = torch.arange(spec.channels if self.whole else 1, device=device)
        self.inside = torch.zeros(1, dtype=sampler.model.dtype, device=device)
        self.near = torch.zeros((), dtype=real, device=device)
        self._plain = self._replayed = [self._enter, self._look]
        self.replay = self.proved = False

    def record(self) -> None:
        """Record the functions, where the device can; what they leave behind is no state."""
        self._replayed = record(self._plain, self.u.device)
        self.replay = self._replayed != self._plain

    def enter(self) -> None:
        """Let the decoder go to the next row, with `above` and `inside`."""
        (self._replayed if self.replay else self._plain)[0]()

    def begin(self, fixed: np.ndarray, u: np.ndarray, near: float) -> None:
        """Take what belongs to a row, (n, B) each, and guess its values: by what the row above was drawn from."""
        self.fixed.copy_(torch.from_numpy(fixed))
        self.u.copy_(torch.from_numpy(np.ascontiguousarray(u)))
        self.near.fill_(near)
        if self.whole:
            self.values.copy_(decide(self.draft, self.u)[0])
        self.values.copy_(torch.where(self.fixed < 0, self.values, self.fixed))

    def sweep(self, start: int) -> bool:
        """Draw the sites of the row from place `start` on; False if a row looked at as a whole did not reproduce itself."""
        if self.whole:
            for _ in range(self.size + 1):    # a look settles at least one site of every image, and the last one changes none
                self._look_on()
                if not self.changed:
                    return True
            return False
        for place in range(start, self.size):
            self.columns.fill_(place // self.spec.channels)
            self.colours.fill_(place % self.spec.channels)
            self._look_on()
        return True

    def _look_on(self) -> None:
        self.looks += 1
        (self._replayed if self.replay else self._plain)[1]()

    def found(self) -> tuple[np.ndarray, ...]:
        """Values, log-probabilities, entropies and probabilities, copied to the host."""
        return tuple(t.to("cpu", copy=True).numpy() for t in (self.values, self.log_probs, self.entropies, self.pmfs))

    @staticmethod
    def same(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> bool:
        """Whether two findings agree: values in every bit, figures as float32 can."""
        return np.array_equal(one[0], other[0]) and np.allclose(one[1], other[1], rtol=0, atol=1e-3)

    def _levels(self, values: Tensor) -> Tensor:
        """(n, B) -> (W, C, B), with guidance twice."""
        return values.view(self.spec.width, self.spec.channels, -1).repeat(1, 1, self.halves)

    def _enter(self) -> None:
        self.decoder.enter(self._levels(self.above), self.inside)

    def _look(self) -> None:
        params = self.decoder.look(self._levels(self.values), self.columns)                  # (m, B or 2B, C, P)
        params = params.index_select(2, self.colours).transpose(1, 2)                        # (m, k, B or 2B, P)
        steps = (self.columns[:, None] * self.spec.channels + self.colours).view(-1)         # (s,)
        log_pmf = self.likelihood.log_pmf(params.reshape(-1, params.shape[3]).double())
        log_pmf = log_pmf.view(len(steps), -1, self.spec.levels)
        own = target = log_pmf[:, :self.batch]                                               # (s, B, L)
        if self.halves > 1:
            target = guide(own, log_pmf[:, self.batch:], self.settings.guidance)
        pmf, margin = reshape(target, self.settings)
        drawn, distance = decide(pmf, self.u.index_select(0, steps))                         # (s, B)
        fixed, before = self.fixed.index_select(0, steps), self.values.index_select(0, steps)
        values = torch.where(fixed < 0, drawn, fixed)
        close = (torch.minimum(margin, distance) < self.near) & (pmf.amax(-1) < 1 - 1e-12) | (margin < self.near)
        mass = own.exp()
        self.changed.copy_((values != before).any())
        self.values.index_copy_(0, steps, values)
        self.close.index_copy_(0, steps, close & (fixed < 0))
        self.log_probs.index_copy_(0, steps, own.gather(2, values[..., None])[..., 0])
        self.entropies.index_copy_(0, steps, -(mass * own.clamp(min=-1e30)).sum(2))
        self.pmfs.index_copy_(0, steps, mass[:, :self.pmfs.shape[1]].float())
        if self.draft is not None:
            self.draft.index_copy_(0, steps, pmf)
