"""The one place for messages: a sentence above the stage."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from arstudio.gui.widgets.controls import label


class Notice(QFrame):
    """One sentence above the stage; errors stay until closed, news goes by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("notice")
        self.text = label("", "value", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QPushButton(self.tr("Dismiss"))
        close.setObjectName("quiet")
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.addWidget(self.text, 1)
        row.addWidget(close)
        self._timer = QTimer(self, singleShot=True, interval=8000)
        self._timer.timeout.connect(self.hide)
        self.hide()

    @Slot(str, str)
    def show_message(self, kind: str, sentence: str) -> None:
        """Show a sentence; kind is info or error."""
        self.text.setText(sentence)
        self.setProperty("kind", kind)
        self.style().unpolish(self)
        self.style().polish(self)
        self.show()
        if kind == "error":
            self._timer.stop()
        else:
            self._timer.start()
