"""Files that take a while to make are made and written beside the window, each to its end, also if the window closes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.long_work import LongWork
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress


class Writer(QObject):
    """`written(path)` after each. What was written, or could not be, is said in one sentence; a failure leaves the old file."""

    written = Signal(object)

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self.studio = studio
        self._tasks: dict[Task, Path] = {}
        self._long = LongWork(studio, self)

    @property
    def busy(self) -> bool:
        """True while something is being written."""
        return bool(self._tasks)

    def write(self, path: Path, make: Callable[[], bytes]) -> None:
        """Write what `make` makes, which is called in a thread of its own."""
        from arstudio.models.modelfile import write_atomically

        def work(_progress: TaskProgress) -> None:
            write_atomically(path, make())

        task = Task(work, "write")
        task.done.connect(self._done)
        task.failed.connect(self._failed)
        self._tasks[task] = path
        task.start()
        self._long.begins(self.tr("Writing {0}").format(path.name))

    @Slot(object)
    def _done(self, _nothing: object) -> None:
        path = self._end()
        self.written.emit(path)
        self.studio.message.emit("info", self.tr("Saved {0}").format(path))

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        self._end()
        self.studio.message.emit("error", sentence)

    def _end(self) -> Path:
        path = self._tasks.pop(self.sender())
        if not self._tasks:
            self._long.ends()
        return path
