"""A convolution kernel as a picture: bright taps are strong, crossed taps are forbidden by the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.image import colour_map

if TYPE_CHECKING:
    from arstudio.analysis.kernels import Kernel


class KernelView(QWidget):
    """One `Kernel`, its taps as squares."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: Kernel | None = None
        self.setMouseTracking(True)
        self.setMinimumHeight(72)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Kernel of the chosen layer"))

    def sizeHint(self) -> QSize:
        """As high as its rows need."""
        rows = self.kernel.strength.shape[0] if self.kernel is not None else 2
        return QSize(260, min(28 * rows, 168) + 4)

    def show_kernel(self, kernel: Kernel | None) -> None:
        """Another layer."""
        self.kernel = kernel
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def tap(self, row: int, column: int) -> QRectF:
        """Square of a tap."""
        rows, columns = self.kernel.strength.shape
        side = min((self.height() - 4) / rows, (self.width() - 4) / columns, 28.0)
        return QRectF(2 + column * side, 2 + row * side, side - 2, side - 2)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what a tap is."""
        if self.kernel is None:
            return
        for row, column in self._taps():
            if self.tap(row, column).contains(event.position()):
                share, strength = float(self.kernel.allowed[row, column]), float(self.kernel.strength[row, column])
                words = self.tr("forbidden by the mask") if share == 0 else self.tr(
                    "{0:.0%} of the connections allowed · typical weight {1:.3g}").format(share, strength)
                QToolTip.showText(event.globalPosition().toPoint(), words, self)

    def _taps(self) -> list[tuple[int, int]]:
        rows, columns = self.kernel.strength.shape
        return [(row, column) for row in range(rows) for column in range(columns)]

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Squares by strength; a cross where nothing is allowed, a diagonal where only some connections are."""
        if self.kernel is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = colour_map(self.kernel.strength / max(float(self.kernel.strength.max()), 1e-12))
        for row, column in self._taps():
            rect, share = self.tap(row, column), float(self.kernel.allowed[row, column])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("raised") if share == 0 else QColor(*colours[row, column].tolist()))
            painter.drawRoundedRect(rect, 2, 2)
            if share < 1:
                inner = rect.adjusted(4, 4, -4, -4)
                painter.setPen(QPen(theme.colour("dim" if share == 0 else "text"), 1.2))
                painter.drawLine(inner.bottomLeft(), inner.topRight())
                if share == 0:
                    painter.drawLine(QPointF(inner.topLeft()), QPointF(inner.bottomRight()))
