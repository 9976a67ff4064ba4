"""A thin bar of progress that is painted with the next frame: QProgressBar repaints, and with it all that waits to be
painted, before `setValue` returns, which takes five milliseconds from the event loop."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from arstudio.gui import theme


class ThinBar(QWidget):
    """A share of 0 to 1, or None while nobody knows how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self.share: float | None = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """A line."""
        return QSize(120, 4)

    def show_share(self, share: float | None) -> None:
        """How far it is."""
        if share != self.share:
            self.share = share
            self.setAccessibleDescription("" if share is None else f"{share:.0%}")
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The groove, and what is done of it; a quiet whole bar while that is unknown."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("raised"))
        painter.drawRoundedRect(QRectF(self.rect()), 2, 2)
        painter.setBrush(theme.colour("accent", 0.4 if self.share is None else 1.0))
        share = 1.0 if self.share is None else min(max(self.share, 0.0), 1.0)
        painter.drawRoundedRect(QRectF(0, 0, self.width() * share, self.height()), 2, 2)
