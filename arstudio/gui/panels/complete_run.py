"""One run of completions: the task that draws, the timer that looks at its trace, and what it leaves
behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.widgets.completions import Completions, collect, live_images
from arstudio.gui.widgets.sheet import Sheet
from arstudio.models.modelfile import ModelCard


@dataclass(frozen=True, eq=False)
class _Job:
    sheet: Sheet
    card: ModelCard
    start: float


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

    def start(self, sheet: Sheet, count: int) -> None:
        """Draw `count` completions of a sheet with the studio's model, class, seed and temperature."""
        studio = self._studio
        model, settings, y = studio.model, studio.sample_settings(), studio.chosen_class()
        job = _Job(sheet, studio.card, time.perf_counter())

        def draw(progress: TaskProgress) -> Completions:
            from arstudio.sampling.completion import completion_sampler

            sampler = completion_sampler(model, sheet.content, ~sheet.hidden, count, settings, y)
            progress.publish(sampler)
            sampler.run(progress)
            return collect(sampler, sheet, job.card, time.perf_counter() - job.start)

        self._job, self._sampler, self._seen = job, None, -1
        self._task = Task(draw, self.tr("Completing {0} images").format(count))
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
        sampler, job = self._sampler, self._job
        self._close()
        seconds = time.perf_counter() - job.start
        some = sampler is not None and sampler.trace.cursor > 0
        self.ended.emit(collect(sampler, job.sheet, job.card, seconds) if some else None)

    def _close(self) -> None:
        self._timer.stop()
        self._task.deleteLater()
        self._task = self._sampler = self._job = None
        self._studio.status.emit("", None)
