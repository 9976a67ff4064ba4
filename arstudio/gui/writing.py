"""What changes files is done beside the window, each to its end, also if the window closes, and in order where it is the same
file: of two things that are asked for one after the other, the first is done before the second begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.long_work import LongWork
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress


class FileWork(QObject):
    """`failed(path, sentence)` for what could not be done; everything else comes back where `do` was told to bring it."""

    failed = Signal(object, str)

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self.studio = studio
        self._tasks: dict[Task, tuple[Path, Callable[[Any], None]]] = {}
        self._last: dict[Path, threading.Event] = {}    # set when what was asked for last at a path has ended
        self._long = LongWork(studio, self)

    @property
    def busy(self) -> bool:
        """True while something is being done."""
        return bool(self._tasks)

    def do(self, path: Path, words: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run `work()` in a thread of its own, after whatever was asked for at `path`, and call `then` with what it returns;
        the status line says `words` if it takes long."""
        before, ended = self._last.get(path), threading.Event()
        self._last[path] = ended

        def in_turn(_progress: TaskProgress) -> Any:
            try:
                if before is not None:
                    before.wait()
                return work()
            finally:
                ended.set()

        task = Task(in_turn, "files")
        task.done.connect(self._done)
        task.failed.connect(self._failed)
        self._tasks[task] = path, then
        task.start()
        self._long.begins(words)

    @Slot(object)
    def _done(self, found: Any) -> None:
        _, then = self._end()
        then(found)

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        path, _ = self._end()
        self.failed.emit(path, sentence)

    def _end(self) -> tuple[Path, Callable[[Any], None]]:
        path, then = self._tasks.pop(self.sender())
        if all(path != other for other, _ in self._tasks.values()):
            del self._last[path]
        if not self._tasks:
            self._long.ends()
        return path, then


class Writer(FileWork):
    """`written(path)` after each. What was written, or could not be, is said in one sentence; a failure leaves the old file."""

    written = Signal(object)

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(studio, parent)
        self.failed.connect(self._say)

    def write(self, path: Path, make: Callable[[], bytes]) -> None:
        """Write what `make` makes, which is called in a thread and must not look at the window."""
        from arstudio.models.modelfile import write_atomically

        def work() -> Path:
            write_atomically(path, make())
            return path

        self.do(path, self.tr("Writing {0}").format(path.name), work, self._written)

    def _written(self, path: Path) -> None:
        self.written.emit(path)
        self.studio.message.emit("info", self.tr("Saved {0}").format(path))

    @Slot(object, str)
    def _say(self, _path: Path, sentence: str) -> None:
        self.studio.message.emit("error", sentence)
