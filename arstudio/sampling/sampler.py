"""Samplers: draw images site by site into a Trace, stop anywhere, go back, change a pixel and draw on.

    incremental   the model's own decoder, site by site; every feature is computed once
    blocks        the model's own decoder, a run of sites at a time, guessed and corrected (`jacobi.py`)
    wavefront     the model's own decoder, all pixels at once that do not see each other (`wavefront.py`)
    captured      rows on the device, by steps recorded once and replayed, for CUDA (`captured.py`)
    jacobi        blocks with the whole image as one run, and a full forward pass to look at it
    naive         one full forward pass per site; the reference, for comparison
    auto          the fastest of these for the model, the batch and the device (`choice.py`)

All take their decisions in `draw.py`, so one seed gives one result. Models of reals draw with a float64 copy. With
guidance one decoder holds every image twice, with its class and, behind, without; both halves take the same values.
"""

from __future__ import annotations

import copy
import gc
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arstudio.image import ImageSpec, SpecMismatch
from arstudio.models import threads
from arstudio.models.base import AutoregressiveModel
from arstudio.models.decoder import Decoder
from arstudio.models.memory import available_bytes, out_of_memory
from arstudio.models.row_steps import RowSteps
from arstudio.progress import Progress
from arstudio.sampling.choice import Choice, choose, methods
from arstudio.sampling.draw import (
    REFER,
    REFER_REAL,
    Referee,
    SampleSettings,
    SettingsError,
    decide,
    decide_real,
    guide,
    noise,
    reshape,
)
from arstudio.sampling.trace import DRAWN, FORCED, KNOWN, Trace

METHODS = ("auto", "incremental", "blocks", "wavefront", "captured", "jacobi", "naive")
RECORD = 40    # bytes that a site of an image takes in the trace, the noise and the plan
ASK = 10**8    # bytes from which the system is asked whether it has them


class Sampler:
    """Draws `count` images. With `known` (H, W) or (C, H, W) bool and `x` (C, H, W) levels,
    known sites keep their value.

    y is None, a class or (count,) classes; guidance needs one for every image. `classes` (count,) are their rows,
    num_classes means none. `method` is the way of drawing in use, and `choice` says why. `notice` says when memory ran out.
    Raises SettingsError, ConfigError or ClassRequired with one sentence.
    """

    divisible: ClassVar[bool] = True    # images have nothing to do with each other, so they can be drawn part by part

    def __new__(
        cls, model: AutoregressiveModel, settings: SampleSettings, count: int = 1, *args: Any, method: str = "auto",
        **options: Any
    ) -> Sampler:
        """The kind of sampler that `method` asks for."""
        if cls is not Sampler:
            return super().__new__(cls)
        way = choose(model, count).method if method == "auto" else method
        if way in ("blocks", "jacobi"):
            from arstudio.sampling.jacobi import JacobiSampler

            return super().__new__(JacobiSampler)
        if way == "wavefront":
            from arstudio.sampling.wavefront import WavefrontSampler

            return super().__new__(WavefrontSampler)
        if way == "captured":
            from arstudio.sampling.captured import CapturedSampler

            return super().__new__(CapturedSampler)
        return super().__new__(cls)

    def __init__(
        self, model: AutoregressiveModel, settings: SampleSettings, count: int = 1,
        y: Tensor | int | None = None, *, method: str = "auto",
        x: np.ndarray | None = None, known: np.ndarray | None = None,
    ) -> None:
        if method not in METHODS:
            raise SettingsError(f"There is no sampling method {method!r}; choose one of {', '.join(METHODS)}.")
        check_count(model.spec, count)
        self.model, self.settings = model, settings
        self.choice = choose(model, count) if method == "auto" else Choice(method, "Asked for.")
        self.method = method = self.choice.method
        self.size, self.notice = count, ""
        self.guided, real = settings.guidance > 0, model.spec.levels == 0
        self._classes = model.class_index(y, count)
        if self.guided:
            y = _with_and_without(model, y, count)
        drawer = copy.deepcopy(model).to(self._wide(model.device), torch.float64) if real else model
        if method not in methods(model):
            raise SettingsError(f"{model.title} cannot be drawn by {method}; choose one of {', '.join(methods(model))}.")
        self.drawn = drawer.frozen()    # so the original may go on training
        self.decoder: Decoder | RowSteps | None = None
        passes, make = self.drawn.naive_decoder, self.drawn.decoder
        try:
            make = {"naive": passes, "jacobi": passes, "captured": self.drawn.row_steps}.get(method, make)
            self.decoder = make(count * (1 + self.guided), y)
        except Exception as error:
            if count == 1 or not (self.divisible and out_of_memory(error)):
                raise
        self.trace = Trace(model.spec, model.order, count)
        self._rows = np.arange(count)
        rows = self.classes.cpu().numpy()
        self.trace.classes[:] = np.where(rows == model.num_classes, -1, rows)
        self.u = noise(count, model.spec.sites, settings.seed)
        self.referee = Referee(self.drawn)
        self._given: np.ndarray | None = None
        self._is_given = np.zeros(model.spec.sites, dtype=bool)
        self._plan = np.full((count, model.spec.sites), DRAWN, dtype=np.uint8)    # where each value is to come from
        self._set = np.zeros_like(self.trace.values)                              # what is given or forced
        if x is not None and known is not None:
            model.spec.check(x)
            self._given = np.asarray(x).reshape(-1)[self.trace.sites].astype(np.float64 if real else np.int64)
            self._is_given = np.ascontiguousarray(np.broadcast_to(known, model.spec.shape)).reshape(-1)[self.trace.sites]
            given = self._given[self._is_given]
            if real and not np.isfinite(given).all():
                raise SpecMismatch("A known pixel holds no number; hide it, so that it can be drawn.")
            if not real and len(given) and not 0 <= given.min() <= given.max() < model.spec.levels:
                raise SpecMismatch(
                    f"The known pixels hold levels {given.min()} to {given.max()}, "
                    f"but the model draws 0 to {model.spec.levels - 1}."
                )
            self._plan[:, self._is_given], self._set[:, self._is_given] = KNOWN, given
        if self.decoder is None:
            self.halve()

    @property
    def classes(self) -> Tensor:
        """(count,) class rows of the images; num_classes means none."""
        return self._classes

    @staticmethod
    def _wide(device: torch.device) -> torch.device:
        return torch.device("cpu") if device.type == "mps" else device

    @torch.inference_mode()
    def step(self, limit: int | None = None) -> bool:
        """Draw the next site of every image, or more where the method can, up to step `limit`; False when the images
        are complete."""
        trace, t = self.trace, self.trace.cursor
        if t >= trace.spec.sites:
            return False
        site, plan = self.decoder.site(), self._plan[:, t]
        params = _array(self.decoder.params())                             # (B, P), guided (2B, P)
        log_pmf = self.model.likelihood.log_pmf_array(params)              # (B, L), guided (2B, L)
        if plan.all():
            values = self._set[:, t].copy()
        else:
            values, close = self._draw(params, log_pmf, self.u[:, t])
            close &= plan == DRAWN
            if close.any():
                rows = np.flatnonzero(close)
                values[rows] = self._refer(rows, site, self.u[rows, t])
            values = np.where(plan == DRAWN, values, self._set[:, t])
        self._record(self._rows, np.full(trace.count, t), params, log_pmf, values)
        trace.cursor = t + 1
        pushed = np.concatenate([values, values]) if self.guided else values
        self.decoder.push(torch.from_numpy(pushed).to(self.decoder.x))
        return True

    def _record(
        self, images: np.ndarray | int, steps: np.ndarray | slice, params: np.ndarray, log_pmf: np.ndarray,
        values: np.ndarray,
    ) -> None:
        """Write (N,) final values of (N,) images and steps, or of one image and a slice of steps, into the trace, with their
        (N, P) parameters and (N, L) log-probabilities at T = 1; what guidance has behind them is left out. The caller moves
        the cursor."""
        params, log_pmf = params[:len(values)], log_pmf[:len(values)]
        pmf = np.exp(log_pmf)
        entropy = -(pmf * np.maximum(log_pmf, -1e30)).sum(1)
        if self.trace.spec.levels:
            chosen = log_pmf[np.arange(len(values)), values]
        else:
            chosen = self.model.likelihood.log_prob(torch.from_numpy(params), torch.from_numpy(values)).numpy()
        self.trace.put(images, steps, values, chosen, entropy, self._plan[images, steps], pmf)

    def _refer(self, rows: np.ndarray, site: tuple[int, int, int], u: np.ndarray) -> np.ndarray:
        """The values of (R,) images at a site that are too close to call, from float64 parameters and (R,) uniforms."""
        return self._question(rows, site, u)()

    def _question(self, rows: np.ndarray, site: tuple[int, int, int], u: np.ndarray) -> Callable[[], np.ndarray]:
        """What `_refer` does, to be called when it suits, with the images as they are now."""
        on = torch.from_numpy(rows).to(self.decoder.x.device)
        x, classes = self.decoder.x[on], self.decoder.classes[on]

        @torch.inference_mode()
        def answer() -> np.ndarray:
            exact = _array(self.referee.params(x, classes, site, guided=self.guided))
            return self._draw(exact, self.model.likelihood.log_pmf_array(exact), u)[0]

        return answer

    @property
    def _near(self) -> float:
        """How near to another value a decision is too close to call."""
        settings, refer = self.settings, REFER if self.trace.spec.levels else REFER_REAL
        return refer * (1 + 2 * settings.guidance) / min(settings.temperature or 1e-3, 1.0)

    def _draw(self, params: np.ndarray, log_pmf: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and log-probabilities with and, if guided, without the class, and (B,) uniforms -> (B,) values,
        and which of them were too close to call."""
        settings, real = self.settings, self.trace.spec.levels == 0
        own = target = log_pmf
        if self.guided:
            own = log_pmf[:len(u)]
            target = guide(own, log_pmf[len(u):], settings.guidance)
        pmf, margin = reshape(target, settings)
        near = self._near
        if real:
            middle = settings.temperature == 0
            values, distance = decide_real(pmf, own, u, self.model.likelihood, params[:len(u)], middle=middle)
            return values, np.minimum(margin, distance) < near
        values, distance = decide(pmf, u)
        if isinstance(margin, float):    # nothing was truncated
            close = distance < near
            return values, close & (pmf.max(1) < 1 - 1e-12) if close.any() else close
        return values, (np.minimum(margin, distance) < near) & (pmf.max(1) < 1 - 1e-12) | (margin < near)

    def run(self, progress: Progress | None = None, until: int | None = None) -> Trace:
        """Draw until the images are complete or step `until`. Raises Cancelled if stopped;
        the trace stays valid. Where memory runs out, goes on with half as many images at once and says so in `notice`."""
        try:
            return self._run(progress, until)
        except Exception as error:
            if self.trace.count == 1 or not (self.divisible and out_of_memory(error)):
                raise
        self.halve()    # here the error, and with it what it held, is gone
        return self.run(progress, until)

    def halve(self) -> None:
        """Let go of the decoder, and from now on draw half as many images at once; see `parts.py`."""
        from arstudio.sampling.parts import PartSampler

        before, self.size, self.decoder = self.size, -(-self.size // 2), None
        self.notice = f"Memory ran out with {before} images at once, so they are drawn {self.size} at a time."
        self.__class__ = PartSampler
        if threading.current_thread() is threading.main_thread():
            gc.collect()    # elsewhere it might destroy what belongs to a window
        if self.drawn.device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(self, progress: Progress | None, until: int | None) -> Trace:
        progress = progress or Progress()
        sites = self.trace.spec.sites
        end = sites if until is None else min(until, sites)
        with threads.single() if self.method in ("incremental", "blocks", "wavefront", "captured") else nullcontext():
            while self.trace.cursor < end:
                progress.check()
                progress.pause_point()
                self.step(end)
                if self.trace.cursor % 16 == 0 or self.trace.cursor == end:
                    progress.report(self.trace.cursor / end, f"{self.trace.cursor} of {end} sites")
        return self.trace

    def rewind(self, step: int) -> None:
        """Go back to a step: what was drawn before it is kept, the rest will be drawn again."""
        self.decoder.rewind(step)
        self.trace.cursor = step

    @torch.inference_mode()
    def take_up(self, trace: Trace, u: np.ndarray, forced: dict[int, dict[int, float]]) -> None:
        """Go on at the cursor of another trace of this drawing, with the (count, steps) noise and the values
        `forced[step][image]` that belong to it. Costs the steps in which the two traces do not agree."""
        step, decoder, kind = trace.cursor, self.decoder, np.int64 if trace.spec.levels else np.float64
        differ = (self.trace.values[:, :step] != trace.values[:, :step]).any(0)
        common = int(differ.argmax()) if differ.any() else step
        decoder.rewind(min(common, decoder.position))
        for t in range(decoder.position, step):
            pushed = np.concatenate([trace.values[:, t]] * (1 + self.guided)).astype(kind)
            decoder.push(torch.from_numpy(pushed).to(decoder.x.device))
        self.trace, self.u = trace, u
        self._force(forced)
        self.rewind(step)

    def _force(self, forced: dict[int, dict[int, float]]) -> None:
        """Let `forced[step][image]` be all the values that are forced."""
        self._plan[self._plan == FORCED] = DRAWN
        for step, values in forced.items():
            for index, value in values.items():
                self._plan[index, step], self._set[index, step] = FORCED, value

    def change(self, index: int, step: int, value: float) -> None:
        """Give image `index` another value at a step already drawn and go back there.

        The future is drawn again with the same noise, so every later difference is an effect of the change;
        the other images come out as they were. Raises SettingsError if value or step does not exist.
        """
        check_value(self.trace.spec, value)
        if not 0 <= index < self.trace.count:
            raise SettingsError(f"There is no image {index}: they are numbered 0 to {self.trace.count - 1}.")
        last = min(self.trace.cursor, self.trace.spec.sites - 1)
        if not 0 <= step <= last:
            raise SettingsError(f"Only pixels up to step {last} can be changed now, not {step}.")
        if self._plan[index, step] == KNOWN:
            raise SettingsError("This pixel was given, so it cannot be changed; make it a hidden one first.")
        self._unforce(slice(index, index + 1), step)
        self._plan[index, step], self._set[index, step] = FORCED, value
        self.rewind(step)

    def redraw(self, step: int, seed: int) -> None:
        """Go back to a step and draw the future anew, with the noise of another seed.

        Raises SettingsError if the step has not been reached.
        """
        if not 0 <= step <= self.trace.cursor:
            raise SettingsError(f"Only steps up to {self.trace.cursor} can be drawn anew now, not {step}.")
        fresh = noise(self.trace.count, self.trace.spec.sites, seed)
        self.u = np.concatenate([self.u[:, :step], fresh[:, step:]], axis=1)
        self._unforce(slice(None), step)
        self.rewind(step)

    def _unforce(self, images: slice, step: int) -> None:
        """Draw again what was forced from a step on."""
        plan = self._plan[images, step:]
        plan[plan == FORCED] = DRAWN


def _array(params: Tensor) -> np.ndarray:
    """Parameters in float64 on the host."""
    return params.cpu().numpy().astype(np.float64)


def check_count(spec: ImageSpec, count: int) -> None:
    """Raise SettingsError unless so many images can be drawn: at least one, and no more than memory can record."""
    if count < 1:
        raise SettingsError(f"The number of images must be at least 1, not {count}.")
    needed = RECORD * count * spec.sites
    free = available_bytes() if needed > ASK else None
    if free is not None and needed > free:
        raise SettingsError(
            f"The record of {count:,} images of {spec} needs {needed / 1e9:,.1f} GB of memory, and {free / 1e9:.1f} GB "
            "are free; draw fewer at once."
        )


def check_value(spec: ImageSpec, value: float) -> None:
    """Raise SettingsError unless a person may give a site this value: a level, or a real in [0, 1]."""
    if not 0 <= value <= spec.top:
        raise SettingsError(f"The value must be 0 to {spec.top:g}, not {value}.")


def _with_and_without(model: AutoregressiveModel, y: Tensor | int | None, count: int) -> Tensor:
    """(2 count,) classes: those of the images, then −1 for none. Raises SettingsError where guidance cannot be."""
    if not model.num_classes:
        raise SettingsError("Guidance needs a model of classes, and this one was trained without; set guidance to 0.")
    if model.config.class_dropout == 0:
        raise SettingsError(
            "Guidance compares with the model without a class, which this one never learned (class_dropout = 0); set guidance "
            "to 0."
        )
    rows = model.class_index(y, count)
    if bool((rows == model.num_classes).any()):
        raise SettingsError("Guidance leads towards a class: choose one for every image, or turn it off.")
    return torch.cat([rows, torch.full_like(rows, -1)])


def sample(
    model: AutoregressiveModel, count: int, settings: SampleSettings | None = None,
    y: Tensor | int | None = None, *, method: str = "auto", progress: Progress | None = None,
) -> Trace:
    """Draw `count` images of class y, one for all or (count,) of them -> their Trace. Raises what `Sampler` raises, and
    Cancelled."""
    return Sampler(model, settings or SampleSettings(), count, y, method=method).run(progress)


def balanced_classes(num_classes: int, count: int) -> Tensor | None:
    """(count,) classes 0, 1, 2, … in turn for a conditional model, None for others."""
    return torch.arange(count) % num_classes if num_classes else None

