"""Words in the status line for work beside the window that takes longer than a moment; shorter work is not spoken of."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from arstudio.gui.studio import SHORT, Studio


class LongWork(QObject):
    """`begins(words)`, and `ends()` whatever came of it."""

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self._studio, self._words, self._said = studio, "", False
        self._timer = QTimer(self, singleShot=True, interval=int(1000 * SHORT))
        self._timer.timeout.connect(self._say)

    def begins(self, words: str) -> None:
        """There is work, also instead of what was being done."""
        self._words = words
        self._timer.start()

    def ends(self) -> None:
        """There is none."""
        self._timer.stop()
        if self._said:
            self._said = False
            self._studio.status.emit("", None)

    @Slot()
    def _say(self) -> None:
        self._said = True
        self._studio.status.emit(self._words, None)
