"""The one place for messages: a sentence over the window, so that nothing moves under the hand that draws."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from arstudio.gui.widgets.controls import label

MARGIN, TOP, GAP, EDGE = 24, 6, 16, 8


class Notice(QFrame):
    """One sentence at the top of `stage`, right of `tabs`; errors stay until closed, news goes by itself. One that is too
    long for that lies over the lower edge of what stands below the stage, `foot`, where it covers no tool and no button."""

    def __init__(self, window: QWidget, stage: QWidget, tabs: QWidget, foot: Callable[[], QWidget | None]) -> None:
        super().__init__(window)
        self._stage, self._tabs, self._foot = stage, tabs, foot
        self.setObjectName("notice")
        self.text = label("", "value", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._close = QPushButton(self.tr("Dismiss"))
        self._close.setObjectName("quiet")
        self._close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.addWidget(self.text, 1)
        row.addWidget(self._close)
        self._timer = QTimer(self, singleShot=True, interval=8000)
        self._timer.timeout.connect(self.hide)
        stage.installEventFilter(self)
        self.hide()

    @Slot(str, str)
    def show_message(self, kind: str, sentence: str) -> None:
        """Show a sentence; kind is info or error."""
        self.text.setText(sentence)
        self.setProperty("kind", kind)
        self.style().unpolish(self)
        self.style().polish(self)
        self._place()
        self.show()
        if kind == "error":
            self._timer.stop()
        else:
            self._timer.start()

    def _place(self) -> None:
        """Beside the tabs, as wide as the sentence, where two lines are enough for it; else at the foot, or below the tabs if
        nothing stands below the stage."""
        stage, tabs, row, foot = self._stage, self._tabs.geometry(), self.layout(), self._foot()
        beside = tabs.right() + GAP if self._tabs.isVisible() else MARGIN
        around = row.contentsMargins().left() + row.contentsMargins().right() + row.spacing() + self._close.sizeHint().width()
        metrics, right = self.text.fontMetrics(), stage.width() - MARGIN
        wide, top = min(metrics.horizontalAdvance(self.text.text()) + 4 + around, right - beside), TOP
        corner = stage.mapTo(self.parentWidget(), QPoint(0, 0))
        row.activate()
        if self.text.heightForWidth(wide - around) > 2 * metrics.lineSpacing() + 2:
            wide, top = right - MARGIN, tabs.bottom() + 2
            high = row.totalHeightForWidth(wide)
            if foot is not None and foot.height() > high:
                top = foot.geometry().bottom() - EDGE - high - corner.y()
        self.setGeometry(corner.x() + right - wide, corner.y() + top, wide, row.totalHeightForWidth(wide))
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The stage has another size or place."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move) and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)
