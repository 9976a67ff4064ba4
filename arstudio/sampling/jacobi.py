"""Jacobi sampling: many sites at once, again and again, until the beginning reproduces itself.

With one uniform u_t a site, an image is the solution of x_t = F⁻¹(u_t | x_<t) for all t. A Jacobi iteration looks at the
present guess of a block of sites at once and decides every site anew. Site t is right as soon as everything before it is,
so the first site that changed, and all before it, are final: each iteration settles at least one site, and usually many,
and the image is the one that site-by-site drawing gives, bit for bit.

    blocks   one block after the other, each by Jacobi iterations on the model's decoder (its `block`, often a row), which
             remembers everything before: Gauss-Seidel between the blocks, Jacobi inside
    jacobi   one block, the image, and a full forward pass for every look

Every image goes at its own pace: where one is settled already, the others are looked at alone. Large batches are shared
between threads, each with its own images and single-threaded products. There no image waits for the referee, whose verdict is
nearly always what float32 says: it goes on with that, and goes back if it turns out otherwise. A few questions wait until a
thread has nothing else to do.

Song, Meng, Liao & Ermon 2021, "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving".
They stop by an oracle or a tolerance; values here are discrete, so the settled prefix is known exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from arstudio.models import threads
from arstudio.progress import Muted, Progress
from arstudio.sampling.draw import invert
from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import DRAWN, Trace

PATIENCE = 4    # questions to the referee that may wait until a thread has nothing else to do


class Verdict:
    """What the referee is asked, and its answer when somebody has taken the time to hear it; a failure is raised by who hears
    it, and where the image goes back."""

    def __init__(self, question: Callable[[], np.ndarray]) -> None:
        self.question = question
        self.values: np.ndarray | None = None
        self.failure: Exception | None = None
        self._lock = threading.Lock()

    @property
    def heard(self) -> bool:
        return self.values is not None or self.failure is not None

    def hear(self) -> None:
        """Ask, unless it is answered; who comes meanwhile waits for that answer."""
        with self._lock:
            if not self.heard:
                try:
                    self.values = self.question()
                except Exception as error:
                    self.failure = error


class JacobiSampler(Sampler):
    """A Sampler whose `step` settles a run of sites by one look. `iterations` counts the looks, `looked` the pixels in them.

    `reach` (count,) is how many sites of each image are final; it may be ahead of the trace's cursor, and what a change
    leaves as it was is not drawn again.
    """

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        count = self.trace.count
        self.iterations = self.looked = 0
        self.reach = np.zeros(count, dtype=np.int64)
        self._entered = np.full(count, -1)                     # block each image is ready for, having been so for those before
        self._seen = np.zeros(count, dtype=np.int64)           # pixels whose features stand
        self._guess = np.zeros_like(self.trace.values)         # by steps; `decoder.x` holds the same
        self._guessed = np.zeros(count, dtype=np.int64)        # blocks that were guessed
        self._lock = threading.Lock()
        self._patient = False                                  # whether the referee may be heard later
        self._asked: dict[tuple[int, int], Verdict] = {}       # what it says of images and steps

    @torch.inference_mode()
    def step(self, limit: int | None = None) -> bool:
        """One look at the images that are furthest behind, to settle their next sites, at most up to step `limit`; False
        when the images are complete."""
        sites = self.trace.spec.sites
        if self.trace.cursor >= sites:
            return False
        end = sites if limit is None else min(limit, sites)
        self._advance(self._rows, end)
        return True

    def _run(self, progress: Progress | None, until: int | None) -> Trace:
        progress, sites = progress or Progress(), self.trace.spec.sites
        end = sites if until is None else min(until, sites)
        parts = min(threads.ALL, len(self._rows) // self.model.images_a_thread)
        shares = np.array_split(self._rows, max(1, parts))
        if self.method != "blocks" or len(shares) < 2:
            return super()._run(progress, until)

        failed, drawing = threading.Event(), set(range(len(shares)))

        def work(share: int, progress: Progress) -> None:
            torch.set_num_threads(1)
            images = shares[share]
            try:
                with torch.inference_mode():
                    while (self.reach[images] < end).any() and not failed.is_set():
                        progress.check()
                        progress.pause_point()
                        self._advance(images, end)
                        progress.report(self.trace.cursor / end, f"{self.trace.cursor} of {end} sites")
                drawing.discard(share)
                self._hear(lambda: bool(drawing) and not failed.is_set())
            except BaseException:
                failed.set()
                raise

        with threads.single(), self._patiently(), ThreadPoolExecutor(len(shares)) as pool:
            while True:
                others = [pool.submit(work, i, Muted(progress)) for i in range(1, len(shares))]
                work(0, progress)
                for other in others:
                    other.result()
                threads.use_all()
                if not self._go_back():
                    break
                drawing.update(range(len(shares)))
        self._move(end)
        progress.report(1.0, f"{end} of {end} sites")
        return self.trace

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        """Inside, no image waits for its own verdict; see `_decide_close`."""
        self._patient = True
        try:
            yield
        finally:                                               # somebody who stops is not left with what may be wrong
            self._patient = False
            try:
                self._go_back()
            finally:
                self._asked = {}

    def _decide_close(self, image: int, step: int, value: float) -> float:
        """What becomes of a site that is too close to call: the referee's verdict, or `value` where that may be heard later.
        Never at once: what else is asked in the same look is about the image as it is."""
        verdict = self._asked.get((image, step))
        if verdict is None:
            rows = np.array([image])
            verdict = Verdict(self._question(rows, self.trace.site(step), self.u[rows, step]))
            if not self._patient:
                return verdict.question()[0]
            self._asked[image, step] = verdict
            self._hear(lambda: True, PATIENCE)
            return value
        return value if verdict.values is None else verdict.values[0]

    def _hear(self, go_on: Callable[[], bool], left: int = 0) -> None:
        """Hear verdicts, the oldest first, until no more than `left` are open, or `go_on` says no."""
        while len(waiting := [verdict for verdict in list(self._asked.values()) if not verdict.heard]) > left and go_on():
            waiting[0].hear()
            if waiting[0].failure is not None:
                raise waiting[0].failure

    def _go_back(self) -> bool:
        """Hear all verdicts; an image goes back to the first that is not what it went on with. Whether any does."""
        wrong: dict[int, int] = {}
        failure = None
        for image, step in sorted(self._asked):
            if image in wrong:
                del self._asked[image, step]                   # asked about a past that is not the image's
                continue
            verdict = self._asked[image, step]
            verdict.hear()
            if verdict.failure is not None:
                wrong[image], failure = step, verdict.failure
            elif verdict.values[0] != self._guess[image, step]:
                wrong[image] = step
                self._put(image, slice(step, step + 1), verdict.values)
        for image, step in wrong.items():
            self._forget(slice(image, image + 1), step)
        self.trace.cursor = min([self.trace.cursor, *wrong.values()])
        if failure is not None:
            raise failure
        return bool(wrong)

    def rewind(self, step: int) -> None:
        self.trace.cursor = step    # the same noise gives the same values: nothing is drawn again

    def change(self, index: int, step: int, value: float) -> None:
        super().change(index, step, value)
        self._forget(slice(index, index + 1), step)

    def redraw(self, step: int, seed: int) -> None:
        super().redraw(step, seed)
        self._forget(slice(None), step)

    def take_up(self, trace: Trace, u: np.ndarray, forced: dict[int, dict[int, float]]) -> None:
        step, reached, before = trace.cursor, np.arange(trace.spec.sites) < self.reach[:, None], self.trace
        agree = (trace.values == self._guess) | ~reached
        plan, fixed = self._plan.copy(), self._set.copy()
        self._force(forced)
        as_it_was = agree & ((self.u == u) | ~reached) & (self._plan == plan) & (self._set == fixed)
        as_it_was &= (trace.log_probs == before.log_probs) | ~reached
        self.trace, self.u = trace, u
        for index in np.flatnonzero(~as_it_was.all(1) | (self.reach < step)):
            differs = np.flatnonzero(~agree[index, :step])
            self._forget(slice(index, index + 1), int(differs[0]) if len(differs) else step)
            self._put(int(index), slice(0, step), trace.values[index, :step])
            self.reach[index] = step

    def _forget(self, images: slice, step: int) -> None:
        """What these images hold from a step on is no longer final, but still a good guess."""
        pixel = step // self.trace.spec.channels
        block = pixel // self.decoder.block
        self.reach[images] = np.minimum(self.reach[images], step)
        self._seen[images] = np.minimum(self._seen[images], pixel)
        self._entered[images] = np.where(self._entered[images] > block, block - 1, self._entered[images])

    def _move(self, end: int) -> None:
        with self._lock:    # another thread may have found a later cursor meanwhile
            self.trace.cursor = max(self.trace.cursor, min(int(self.reach.min()), end))

    def _advance(self, images: np.ndarray, end: int) -> None:
        """One look at those of some images that are furthest behind and have not reached step `end`."""
        behind = images[self.reach[images] < end]
        if len(behind):
            size = self.decoder.block * self.trace.spec.channels
            blocks = self.reach[behind] // size
            block = int(blocks.min())
            behind = behind[blocks == block]
            self._enter(behind, block)
            self._look(behind, block)
        self._move(end)

    def _enter(self, images: np.ndarray, block: int) -> None:
        """Make images ready for a block: its first guess, and what the decoder needs."""
        images = images[self._entered[images] != block]
        if not len(images):
            return
        channels, size = self.trace.spec.channels, self.decoder.block
        fresh = images[self._guessed[images] <= block]
        if len(fresh):
            first = np.maximum(self.reach[fresh], block * size * channels)
            at, rows, steps, *_ = self._run_of(fresh, first, block)
            self._put(*at, self._draft(rows, steps))
            self._guessed[fresh] = block + 1
        for between in range(int(self._entered[images].min()) + 1, block + 1):
            some = images[self._entered[images] < between]
            self.decoder.enter(self._with_twins(some), between)
            self._entered[some], self._seen[some] = between, between * size
        if block == 0 and len(fresh) > 1 and self.trace.spec.levels:
            self._sketch(fresh)

    def _sketch(self, images: np.ndarray) -> None:
        """Guess the first block, above which there is nothing to guess from: what the distributions that one of the images
        has there, all its values zero, make of each image's own noise. Where all are alike that is their own first look."""
        channels = self.trace.spec.channels
        first = self._seen[images] * channels
        at, rows, steps, *_ = self._run_of(images, first, 0)
        free = self._plan[rows, steps] == DRAWN
        if not free.any():
            return
        pixels, times = self._run_of(images[:1], first[:1], 0)[2][::channels] // channels, 1 + self.guided
        params = self.decoder.look(self._with_twins(images[:1].repeat(len(pixels))), np.tile(pixels, times))
        params = params.flatten(0, 1).cpu().numpy().astype(np.float64)
        each = np.arange(len(params)).reshape(times, 1, -1).repeat(len(images), 1).ravel()
        values, _ = self._draw(params[each], self.model.likelihood.log_pmf_array(params)[each], self.u[rows, steps])
        self._put(*at, np.where(free, values, self._set[rows, steps]).astype(self._guess.dtype))
        self._count(len(pixels))

    def _count(self, pixels: int) -> None:
        with self._lock:
            self.iterations += 1
            self.looked += pixels

    def _run_of(
        self, images: np.ndarray, first: np.ndarray, block: int
    ) -> tuple[tuple[Any, Any], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The steps of (R,) images from (R,) first ones to the end of a block -> what arrays (image, step) are indexed with,
        for one image an integer and a slice, which gives views instead of copies; (N,) images and steps; and in those (R,)
        places where each image begins, and past its last."""
        last = min((block + 1) * self.decoder.block, self.trace.spec.pixels) * self.trace.spec.channels
        if len(images) == 1:
            image, start = int(images[0]), min(int(first[0]), last)
            count = np.array([last - start])
            return (image, slice(start, last)), np.full(last - start, image), np.arange(start, last), count - count, count
        counts = np.maximum(last - first, 0)
        ends = np.cumsum(counts)
        rows, steps = np.repeat(images, counts), np.arange(ends[-1]) + np.repeat(last - ends, counts)
        return (rows, steps), rows, steps, ends - counts, ends

    def _draft(self, rows: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """First guesses for (N,) images and steps: what is given; else what the distribution at the same place of the last row
        before the block makes of the site's own noise; in the first block zero."""
        trace, channels = self.trace, self.trace.spec.channels
        block, row = self.decoder.block * channels, trace.spec.width * channels
        before = steps - (steps % block // row + 1) * row                                     # in the last row before the block
        if not len(steps) or before[0] < 0:
            values = np.zeros(len(steps), dtype=self._guess.dtype)
        elif trace.spec.levels and rows[-1] < len(trace.pmfs):
            values = invert(trace.pmfs[rows, before], self.u[rows, steps])[0]
        else:
            values = trace.values[rows, before]
        free = self._plan[rows, steps] == DRAWN
        return values if free.all() else np.where(free, values, self._set[rows, steps])

    def _with_twins(self, rows: np.ndarray) -> np.ndarray:
        """Rows of images in the decoder: with guidance, behind them those without a class."""
        return np.concatenate([rows, rows + self.trace.count]) if self.guided else rows

    def _put(self, images: np.ndarray | int, steps: np.ndarray | slice, values: np.ndarray) -> None:
        """Guess (N,) values of (N,) images and steps, or of one image and a slice of steps."""
        self._guess[images, steps] = values
        x, sites = self.decoder.x.view(-1), self.trace.sites[steps]
        for half in range(1 + self.guided):
            at = (images + half * self.trace.count) * self.trace.spec.sites + sites
            if x.device.type == "cpu":
                x.numpy()[at] = values
            else:
                x[torch.from_numpy(at).to(x.device)] = torch.from_numpy(values).to(x)

    def _look(self, images: np.ndarray, block: int) -> None:
        """Look at what is not settled of a block, decide it anew and settle its beginning."""
        channels = self.trace.spec.channels
        at, rows, steps, starts, ends = self._run_of(images, self._seen[images] * channels, block)
        pixels = steps[::channels] // channels if channels > 1 else steps
        params = self.decoder.look(
            self._with_twins(rows[::channels]), np.concatenate([pixels, pixels]) if self.guided else pixels
        )                                                                                      # (N or 2N, C, P)
        params = params.flatten(0, 1).cpu().numpy().astype(np.float64)
        log_pmf = self.model.likelihood.log_pmf_array(params)
        values, close = self._draw(params, log_pmf, self.u[at])
        guess, free, open_ = self._guess[at], self._plan[at] == DRAWN, steps >= self.reach[rows]
        if not free.all():
            values = np.where(free, values, self._set[at])
        if not open_.all():
            values = np.where(open_, values, guess)
        values = values.astype(guess.dtype)
        place = np.arange(len(values))

        def settled() -> np.ndarray:
            """(R,) places, one past those that came out as guessed and the first that did not."""
            changed = np.where(values != guess, place, len(values))
            return np.minimum(np.minimum.reduceat(changed, starts) + 1, ends)

        until = settled()
        if close.any():
            close &= free & open_ & (place < np.repeat(until, ends - starts))
            for i in np.flatnonzero(close):
                values[i] = self._decide_close(int(rows[i]), int(steps[i]), values[i])
            until = np.minimum(settled(), until)
        if len(images) == 1:
            final, begin = slice(int(open_.argmax()), int(until[0])), at[1].start
            settling = at[0], slice(begin + final.start, begin + final.stop)
        else:
            final = np.flatnonzero(open_ & (place < np.repeat(until, ends - starts)))
            settling = rows[final], steps[final]
        self._record(*settling, params[final], log_pmf[final], values[final])
        if (values != guess).any():
            self._put(*at, values)
        self.reach[images] = steps[until - 1] + 1
        self._seen[images] = self.reach[images] // channels
        self._count(len(pixels))
