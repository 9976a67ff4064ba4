"""Work beside the window: one function in one QThread, watched through a Qt-free Progress.

The worker stores its latest report and its latest partial result; the window looks at them thirty times a second or less,
so a fast worker cannot flood the event loop. `done`, `failed` or `cancelled` is delivered once, on the GUI thread.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, QEventLoop, QObject, QThread, QTimer, Signal, Slot

from arstudio.progress import Cancelled, Progress

_running: set[Task] = set()
_closing = False


class TaskProgress(Progress):
    """Progress across threads: latest value wins, an event cancels, another one pauses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._report: tuple[float | None, str] | None = None
        self._partial: Any = None
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()

    def report(self, fraction: float | None, text: str = "") -> None:
        with self._lock:
            self._report = (fraction, text)

    def publish(self, partial: Any) -> None:
        with self._lock:
            self._partial = partial

    def cancelled(self) -> bool:
        return self._stop.is_set()

    def pause_point(self, meanwhile: Callable[[], None] | None = None) -> None:
        while not self._go.wait(0.05):
            if self._stop.is_set():
                return
            if meanwhile is not None:
                meanwhile()

    def take(self) -> tuple[tuple[float | None, str] | None, Any]:
        """What was reported and published since the last call, None each if nothing was."""
        with self._lock:
            found = self._report, self._partial
            self._report = self._partial = None
        return found

    def cancel(self) -> None:
        """Ask the work to stop; it also wakes from a pause."""
        self._stop.set()
        self._go.set()

    def pause(self, paused: bool) -> None:
        """Hold the work at its next pause point, or let it go on."""
        if paused:
            self._go.clear()
        else:
            self._go.set()

    @property
    def paused(self) -> bool:
        """True while held."""
        return not self._go.is_set()


class Task(QThread):
    """Run `work(progress)` in a thread. Connect, then `start()`. Signals arrive on the thread that made the task.

    `reported(fraction or None, text)` and `partial(object)` carry the latest values only. A running task needs no
    parent: it is kept until it has been delivered, because a QThread destroyed while running ends the process.
    """

    reported = Signal(object, str)
    partial = Signal(object)
    done = Signal(object)
    failed = Signal(str, str)      # sentence for people, formatted traceback
    cancelled = Signal()

    def __init__(self, work: Callable[[TaskProgress], Any], name: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.progress = TaskProgress()
        self._work = work
        self._result: Any = None
        self._error: tuple[str, str] | None = None
        self._was_cancelled = False
        self._timer = QTimer(self, interval=33)
        self._timer.timeout.connect(self._look)
        self.finished.connect(self._deliver)

    def start(self, priority: QThread.Priority = QThread.Priority.InheritPriority) -> None:
        """Start the thread and the looking."""
        if _closing:    # the window is going: nothing new begins
            return
        _running.add(self)
        self._timer.start()
        super().start(priority)

    def run(self) -> None:
        """Qt calls this in the new thread."""
        try:
            self._result = self._work(self.progress)
        except Cancelled:
            self._was_cancelled = True
        except BaseException as error:
            self._error = (str(error) or type(error).__name__, traceback.format_exc())

    def look_every(self, milliseconds: int) -> None:
        """From now on so many are enough between two looks: every look takes a little from the work."""
        self._timer.setInterval(milliseconds)

    def cancel(self) -> None:
        """Ask the work to stop at its next safe place."""
        self.progress.cancel()
        self.requestInterruption()

    def stop_and_wait(self) -> None:
        """Cancel, wait for the thread, deliver nothing more. For replacing one piece of short work by another."""
        self.cancel()
        self.wait()
        self._timer.stop()
        self.blockSignals(True)    # a `finished` already queued would still reach its slots after a disconnect
        _running.discard(self)

    @Slot()
    def _look(self) -> None:
        report, partial = self.progress.take()
        if report is not None:
            self.reported.emit(*report)
        if partial is not None:
            self.partial.emit(partial)

    @Slot()
    def _deliver(self) -> None:
        self._timer.stop()
        self._look()
        _running.discard(self)
        if self._error is not None:
            self.failed.emit(*self._error)
        elif self._was_cancelled:
            self.cancelled.emit()
        else:
            self.done.emit(self._result)


class Latest(QObject):
    """Work of which only the latest asked for counts: asking cancels what runs, and begins when that has ended, so there
    is never more than one thread and never a wait. Nothing is delivered of what was superseded."""

    partial = Signal(object)
    done = Signal(object)
    failed = Signal(str)
    reported = Signal(object, str)

    def __init__(self, parent: QObject, name: str) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._task: Task | None = None
        self._waiting: Callable[[TaskProgress], Any] | None = None
        self._wanted = False

    @property
    def busy(self) -> bool:
        """True while an answer is to be expected."""
        return self._wanted

    def ask(self, work: Callable[[TaskProgress], Any]) -> None:
        """Do this instead of whatever was asked before."""
        self._waiting, self._wanted = work, True
        if self._task is None:
            self._begin()
        else:
            self._task.cancel()

    def forget(self) -> None:
        """Ask for nothing."""
        self._waiting, self._wanted = None, False
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task, self._waiting = Task(self._waiting, self.objectName()), None
        self._task.partial.connect(self._partial)
        self._task.reported.connect(self._reported)
        self._task.done.connect(self._done)
        self._task.failed.connect(self._failed)
        self._task.cancelled.connect(self._ended)
        self._task.start()

    @Slot(object, str)
    def _reported(self, fraction: float | None, text: str) -> None:
        if self._wanted and self._waiting is None:
            self.reported.emit(fraction, text)

    @Slot(object)
    def _partial(self, found: Any) -> None:
        if self._wanted and self._waiting is None:
            self.partial.emit(found)

    @Slot(object)
    def _done(self, found: Any) -> None:
        if self._ended():
            self._wanted = False
            self.done.emit(found)

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        if self._ended():
            self._wanted = False
            self.failed.emit(sentence)

    @Slot()
    def _ended(self) -> bool:
        """Begin what waits; True if nothing does and the answer is still wanted."""
        self._task = None
        if self._waiting is not None:
            self._begin()
            return False
        return self._wanted


def running() -> list[Task]:
    """Tasks that have been started and not yet delivered."""
    return list(_running)


def shut_down() -> None:
    """Cancel everything and wait until all of it is delivered, keeping the window alive meanwhile. Never kills."""
    global _closing
    _closing = True
    try:
        while running():
            for task in running():
                task.cancel()
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents, 20)
            QThread.msleep(5)
    finally:
        _closing = False
