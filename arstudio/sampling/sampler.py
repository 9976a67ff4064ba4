"""Samplers: draw images site by site into a Trace, stop anywhere, go back, change a pixel and draw on.

    incremental   the model's own decoder; every feature is computed once
    naive         one full forward pass per site; the reference, for comparison

Both take their decisions in `draw.py`, so one seed gives one result.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from arstudio.image import SpecMismatch
from arstudio.models import threads
from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Progress
from arstudio.sampling.draw import REFER, Referee, SampleSettings, SettingsError, decide, noise, reshape
from arstudio.sampling.trace import DRAWN, FORCED, KNOWN, Trace

METHODS = ("incremental", "naive")


class Sampler:
    """Draws `count` images. With `known` (H, W) or (C, H, W) bool and `x` (C, H, W) levels,
    known sites keep their value.

    y is None, a class or (count,) classes.
    Raises SettingsError, ConfigError or ClassRequired with one sentence.
    """

    def __init__(
        self, model: AutoregressiveModel, settings: SampleSettings, count: int = 1,
        y: Tensor | int | None = None, *, method: str = "incremental",
        x: np.ndarray | None = None, known: np.ndarray | None = None,
    ) -> None:
        if method not in METHODS:
            raise SettingsError(f"There is no sampling method {method!r}; choose {' or '.join(METHODS)}.")
        if count < 1:
            raise SettingsError(f"The number of images must be at least 1, not {count}.")
        self.model, self.settings, self.method = model, settings, method
        self.decoder = model.naive_decoder(count, y) if method == "naive" else model.decoder(count, y)
        self.trace = Trace(model.spec, model.order, count)
        rows = self.decoder.classes.cpu().numpy()
        self.trace.classes[:] = np.where(rows == model.num_classes, -1, rows)
        self.u = noise(count, model.spec.sites, settings.seed).to(self._wide(model.device))
        self.referee = Referee(self.decoder.model)    # frozen, so the original may go on training
        self._given: np.ndarray | None = None
        self._is_given = np.zeros(model.spec.sites, dtype=bool)
        self._forced: dict[int, dict[int, int]] = {}
        if x is not None and known is not None:
            model.spec.check(x)
            mask = np.broadcast_to(known, model.spec.shape)
            self._given = np.asarray(x).reshape(-1)[self.trace.sites].astype(np.int64)
            self._is_given = np.ascontiguousarray(mask).reshape(-1)[self.trace.sites]
            given = self._given[self._is_given]
            if len(given) and not 0 <= given.min() <= given.max() < model.spec.levels:
                raise SpecMismatch(
                    f"The known pixels hold levels {given.min()} to {given.max()}, "
                    f"but the model draws 0 to {model.spec.levels - 1}."
                )

    @staticmethod
    def _wide(device: torch.device) -> torch.device:
        return torch.device("cpu") if device.type == "mps" else device

    @torch.inference_mode()
    def step(self) -> bool:
        """Draw the next site of every image; False when the images are complete."""
        trace, t = self.trace, self.trace.cursor
        if t >= trace.spec.sites:
            return False
        site = self.decoder.site()
        params = self.decoder.params()
        wide = self._wide(params.device)
        log_pmf = self.model.likelihood.log_pmf(params.to(wide, torch.float64))             # (B, L)
        if self._is_given[t]:
            values = torch.full((trace.count,), int(self._given[t]), device=wide)
            origin = np.full(trace.count, KNOWN)
        else:
            values = self._decide(log_pmf, t, site)
            origin = np.full(trace.count, DRAWN)
            for index, value in self._forced.get(t, {}).items():
                values[index], origin[index] = value, FORCED
        pmf = log_pmf.exp()
        entropy = -(pmf * log_pmf.clamp(min=-1e30)).sum(1)
        chosen = log_pmf.gather(1, values[:, None])[:, 0]
        self.decoder.push(values.to(params.device))
        host = [part.cpu().numpy() for part in (values, chosen, entropy, pmf)]
        trace.write(host[0], host[1], host[2], origin, host[3])
        return True

    def _decide(self, log_pmf: Tensor, t: int, site: tuple[int, int, int]) -> Tensor:
        settings = self.settings
        pmf, margin = reshape(log_pmf, settings)
        values, distance = decide(pmf, self.u[:, t])
        near = REFER / min(settings.temperature or 1e-3, 1.0)
        close = (torch.minimum(margin, distance) < near) & (pmf.amax(1) < 1 - 1e-12) | (margin < near)
        if bool(close.any()):
            rows = close.nonzero()[:, 0]
            decoder = self.decoder
            on = rows.to(decoder.x.device)
            exact = self.referee.log_pmf(decoder.x[on], decoder.classes[on], site).to(log_pmf.device)
            values[rows] = decide(reshape(exact, settings)[0], self.u[rows, t])[0]
        return values

    def run(self, progress: Progress | None = None, until: int | None = None) -> Trace:
        """Draw until the images are complete or step `until`. Raises Cancelled if stopped;
        the trace stays valid."""
        progress = progress or Progress()
        sites = self.trace.spec.sites
        end = sites if until is None else min(until, sites)
        with threads.single() if self.method == "incremental" else nullcontext():
            while self.trace.cursor < end:
                progress.check()
                progress.pause_point()
                self.step()
                if self.trace.cursor % 16 == 0 or self.trace.cursor == end:
                    progress.report(self.trace.cursor / end, f"{self.trace.cursor} of {end} sites")
        return self.trace

    def rewind(self, step: int) -> None:
        """Go back to a step: what was drawn before it is kept, the rest will be drawn again."""
        self.decoder.rewind(step)
        self.trace.cursor = step

    def change(self, index: int, step: int, value: int) -> None:
        """Give image `index` another value at a step already drawn and go back there.

        The future is drawn again with the same noise, so every later difference is an effect of the change;
        the other images come out as they were. Raises SettingsError if value or step does not exist.
        """
        if not 0 <= value < self.trace.spec.levels:
            raise SettingsError(f"The value must be 0 to {self.trace.spec.levels - 1}, not {value}.")
        if not 0 <= index < self.trace.count:
            raise SettingsError(f"There is no image {index}: they are numbered 0 to {self.trace.count - 1}.")
        last = min(self.trace.cursor, self.trace.spec.sites - 1)
        if not 0 <= step <= last:
            raise SettingsError(f"Only pixels up to step {last} can be changed now, not {step}.")
        if self._is_given[step]:
            raise SettingsError("This pixel was given, so it cannot be changed; make it a hidden one first.")
        for t, forced in self._forced.items():
            if t > step:
                forced.pop(index, None)
        self._forced.setdefault(step, {})[index] = value
        self.rewind(step)

    def redraw(self, step: int, seed: int) -> None:
        """Go back to a step and draw the future anew, with the noise of another seed.

        Raises SettingsError if the step has not been reached.
        """
        if not 0 <= step <= self.trace.cursor:
            raise SettingsError(f"Only steps up to {self.trace.cursor} can be drawn anew now, not {step}.")
        fresh = noise(self.trace.count, self.trace.spec.sites, seed).to(self.u.device)
        self.u = torch.cat([self.u[:, :step], fresh[:, step:]], dim=1)
        self._forced = {t: v for t, v in self._forced.items() if t < step}
        self.rewind(step)


def sample(
    model: AutoregressiveModel, count: int, settings: SampleSettings | None = None,
    y: Tensor | int | None = None, *, method: str = "incremental", progress: Progress | None = None,
) -> Trace:
    """Draw `count` images -> their Trace. See `Sampler`."""
    return Sampler(model, settings or SampleSettings(), count, y, method=method).run(progress)


def balanced_classes(num_classes: int, count: int) -> Tensor | None:
    """(count,) classes 0, 1, 2, … in turn for a conditional model, None for others."""
    return torch.arange(count) % num_classes if num_classes else None

