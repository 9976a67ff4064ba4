"""Lays out the canvas at the largest whole multiple that fits, and the agreement column beside it when there
is room."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from arstudio.gui.widgets.agreement import AgreementColumn
from arstudio.gui.widgets.canvas import Canvas

GAP = 24
NARROWEST, WIDEST = 168, 420
MARGIN = 2      # around the image, for outlines


class Easel(QWidget):
    """Canvas on the left, column on the right, tops aligned."""

    def __init__(self, canvas: Canvas, column: AgreementColumn) -> None:
        super().__init__()
        self.canvas, self.column = canvas, column
        canvas.setParent(self)
        column.setParent(self)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(180, 180)

    def arrange(self) -> None:
        """Fit both to the size and the image."""
        spec = self.canvas.spec
        if spec is None:
            return
        ratio = self.devicePixelRatioF()

        def multiple(width: float) -> int:
            room = min((width - 2 * MARGIN) / spec.width, (self.height() - 2 * MARGIN) / spec.height)
            return max(1, int(room * ratio))

        alone, beside = multiple(self.width()), multiple(self.width() - GAP - NARROWEST)
        shown = beside >= 0.75 * alone and self.height() >= 230
        chosen = beside if shown else alone
        width = min(self.width(), round(spec.width * chosen / ratio) + 2 * MARGIN)
        height = min(self.height(), round(spec.height * chosen / ratio) + 2 * MARGIN)
        self.canvas.setGeometry(0, 0, width, height)
        self.column.setVisible(shown)
        if shown:
            left = width + GAP
            room = min(self.width() - left, max(200, int(0.6 * width)), WIDEST)
            self.column.fit(room, self.height(), spec)
            self.column.setGeometry(left, MARGIN, room, self.height() - MARGIN)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange again."""
        super().resizeEvent(event)
        self.arrange()
