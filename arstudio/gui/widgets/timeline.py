"""Bits per pixel over the drawing order: where information went. Drag to scrub, click to go there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from arstudio.gui import theme

if TYPE_CHECKING:
    import numpy as np


class Timeline(QWidget):
    """`scrubbed(pixel rank)` while dragging. Shows bits (P,), NaN where nothing is drawn, a playhead and a mark."""

    scrubbed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._bits: np.ndarray | tuple = ()
        self._rank = 0
        self._mark: int | None = None
        self._row = 1
        self.setMinimumHeight(64)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Timeline: bits per pixel in drawing order"))
        self.setToolTip(self.tr("−log₂ p of each pixel, in drawing order. Drag to move through time."))

    def sizeHint(self) -> QSize:
        """A strip."""
        return QSize(600, 96)

    def show_bits(self, bits: np.ndarray, rank: int, mark: int | None, row: int) -> None:
        """bits (P,) per pixel rank, playhead after `rank` pixels, marked rank or None, pixels per image row."""
        self._bits, self._rank, self._mark, self._row = bits, rank, mark, max(row, 1)
        self.update()

    def _area(self) -> QRectF:
        return QRectF(8, 6, max(self.width() - 16, 1), max(self.height() - 16, 1))

    def x_of(self, rank: float) -> float:
        """Widget x of a pixel rank."""
        area = self._area()
        return area.left() + rank / max(len(self._bits), 1) * area.width()

    def rank_at(self, x: float) -> int:
        """Pixel rank at a widget x."""
        area = self._area()
        share = (x - area.left()) / area.width()
        return int(min(max(round(share * len(self._bits)), 0), len(self._bits)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there."""
        if event.button() == Qt.MouseButton.LeftButton and len(self._bits):
            self.scrubbed.emit(self.rank_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub."""
        if event.buttons() & Qt.MouseButton.LeftButton and len(self._bits):
            self.scrubbed.emit(self.rank_at(event.position().x()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys belong to the transport actions."""
        event.ignore()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Area under the bits, row ticks, playhead, mark."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area, count = self._area(), len(self._bits)
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        if not count:
            return
        rows = count // self._row
        step = max(1, -(-rows // 32))
        for row in range(0, rows + 1, step):
            x = self.x_of(row * self._row)
            painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + 4))
        self._paint_bits(painter, area, count)
        if self._mark is not None:
            painter.setPen(QPen(theme.colour("selected"), 1.5, Qt.PenStyle.DotLine))
            x = self.x_of(self._mark + 0.5)
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        x = self.x_of(self._rank)
        painter.setPen(QPen(theme.colour("text"), 1.5))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setBrush(theme.colour("text"))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(QPointF(x, area.top()), 4, 4)

    def _paint_bits(self, painter: QPainter, area: QRectF, count: int) -> None:
        seen = self._bits[:self._rank]
        if not len(seen):
            return
        import numpy as np

        drawn = self._bits[~np.isnan(self._bits)]
        top = max(float(drawn.max()) if len(drawn) else 1.0, 0.5)
        columns = int(area.width())
        if count > columns:    # keep peaks: the largest value of each screen column
            at = np.minimum((np.arange(len(seen)) * columns) // count, columns - 1)
            heights = np.zeros(at[-1] + 1)
            np.maximum.at(heights, at, np.nan_to_num(seen))
            xs = area.left() + np.arange(len(heights)) * area.width() / columns
        else:
            heights = np.repeat(np.nan_to_num(seen), 2).clip(0)    # a sure real may cost less than nothing
            edges = np.arange(len(seen) + 1)
            xs = area.left() + np.repeat(edges, 2)[1:-1] / count * area.width()
        ys = area.bottom() - heights / top * (area.height() - 6)
        line = QPolygonF([QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)])
        shape = QPolygonF(line)
        shape.append(QPointF(float(xs[-1]), area.bottom()))
        shape.prepend(QPointF(float(xs[0]), area.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("accent", 0.35))
        painter.drawPolygon(shape)
        painter.setPen(QPen(theme.colour("accent"), 1))
        painter.drawPolyline(line)
