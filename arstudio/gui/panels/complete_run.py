"""One run of completions: the task that draws, the timer that looks at its trace, and what it leaves
behind."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.widgets.completions import Completions, collect, live_images
from arstudio.gui.widgets.sheet import Sheet
from arstudio.models.modelfile import ModelCard
from arstudio.progress import Cancelled


@dataclass(frozen=True)
class Plan:
    """How to complete: `count` images, by `method` (auto, particles, exact, clamp), with `particles` in `repeats`
    populations together, within about `seconds` (0: as long as it takes), of the class in the toolbar if `classed`."""

    count: int
    method: str = "auto"
    particles: int = 128
    repeats: int = 2
    seconds: float = 0.0
    classed: bool = True


@dataclass(frozen=True, eq=False)
class _Job:
    sheet: Sheet
    card: ModelCard
    start: float
    keep: threading.Event      # set while a stopped run is to bring what it has


class CompletionRun(QObject):
    """`began` when the sampler exists, `grew(images (N, C, H, W))` at most 30 times a second and only when
    the trace grew, `ended(Completions or None)` once, also after Stop; `failed(sentence)` instead of it after
    an error."""

    began = Signal()
    grew = Signal(object)
    ended = Signal(object)
    failed = Signal(str)

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self._studio = studio
        self._task: Task | None = None
        self._job: _Job | None = None
        self._sampler: Any = None
        self._seen = -1
        self._timer = QTimer(self, interval=33)
        self._timer.timeout.connect(self._pull)

    @property
    def running(self) -> bool:
        """True from `start` until it has ended."""
        return self._task is not None

    @property
    def sheet(self) -> Sheet | None:
        """The canvas being completed."""
        return self._job.sheet if self._job is not None else None

    @property
    def trace(self) -> Any:
        """The trace being written, None before it exists."""
        return self._sampler.trace if self._sampler is not None else None

    def start(self, sheet: Sheet, plan: Plan) -> None:
        """Draw completions of a sheet with the studio's model, class, seed and temperature."""
        studio = self._studio
        model, settings, y = studio.model, studio.sample_settings(), studio.chosen_class() if plan.classed else None
        job = _Job(sheet, studio.card, time.perf_counter(), threading.Event())
        job.keep.set()

        def draw(progress: TaskProgress) -> Completions:
            from arstudio.sampling.completion import Evidence, ParticleSettings, completion_sampler

            evidence = Evidence(sheet.hint, sheet.certainty) if sheet.hinted.any() else None
            particles = ParticleSettings(particles=max(2, plan.particles // plan.repeats), repeats=plan.repeats)
            sampler = completion_sampler(
                model, sheet.content, ~sheet.hidden, plan.count, settings, y, method=plan.method, particles=particles,
                evidence=evidence, seconds=plan.seconds,
            )
            progress.publish(sampler)
            try:
                sampler.run(progress)
            except Cancelled:
                if sampler.trace.cursor == 0 or not job.keep.is_set():
                    raise
            return collect(sampler, sheet, job.card, time.perf_counter() - job.start)

        self._job, self._sampler, self._seen = job, None, -1
        self._task = Task(draw, self.tr("Completing {0} images").format(plan.count))
        self._task.partial.connect(self._began)
        self._task.reported.connect(self._reported)
        self._task.done.connect(self._done)
        self._task.failed.connect(self._failed)
        self._task.cancelled.connect(self._cancelled)
        self._reported(None, "")
        self._task.start()

    def stop(self) -> None:
        """Stop drawing; `ended` brings what is there."""
        if self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        """Stop drawing as soon as can be; `ended` brings None."""
        if self._task is not None:
            self._job.keep.clear()
            self._task.cancel()

    def abandon(self) -> None:
        """Stop and forget, at once: for a change of model."""
        if self._task is not None:
            self._task.stop_and_wait()
            self._close()

    @Slot(object)
    def _began(self, sampler: Any) -> None:
        self._sampler = sampler
        self._timer.start()
        self.began.emit()
        self._pull()

    @Slot(object, str)
    def _reported(self, fraction: float | None, text: str) -> None:
        if self._task is not None:
            name = self._task.objectName()
            self._studio.status.emit(f"{name} · {text}" if text else name, fraction)

    @Slot()
    def _pull(self) -> None:
        trace = self.trace
        if trace is not None and trace.cursor != self._seen:
            self._seen = trace.cursor
            self.grew.emit(live_images(trace, self._job.sheet))

    @Slot(object)
    def _done(self, found: Completions) -> None:
        self._close()
        self.ended.emit(found)

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        self._close()
        self.failed.emit(sentence)

    @Slot()
    def _cancelled(self) -> None:
        self._close()
        self.ended.emit(None)

    def _close(self) -> None:
        self._timer.stop()
        self._task.deleteLater()
        self._task = self._sampler = self._job = None
        self._studio.status.emit("", None)
