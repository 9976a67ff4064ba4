"""The distribution of one site: a bar for each level, the drawn value marked, the T = 1 distribution as a ghost."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme


class DistributionPlot(QWidget):
    """Bars over levels 0 … L-1. `bar_clicked(level)` and `bar_hovered(level)`, −1 when the mouse leaves."""

    bar_clicked = Signal(int)
    bar_hovered = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._pmf: np.ndarray | None = None
        self._ghost: np.ndarray | None = None
        self._value: int | None = None
        self._hovered: int | None = None
        self.hint = ""
        self.empty = self.tr("No pixel yet")
        self.setMouseTracking(True)
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Distribution of the selected pixel"))

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(260, 150)

    def show_distribution(self, pmf: np.ndarray | None, value: int | None = None, ghost: np.ndarray | None = None) -> None:
        """pmf (levels,) as sampled from; `ghost` (levels,) the model's own where that differs; `value` marked if given."""
        same = pmf is not None and self._pmf is not None and np.array_equal(pmf, self._pmf)
        ghosts = (ghost is None and self._ghost is None) or (
            ghost is not None and self._ghost is not None and np.array_equal(ghost, self._ghost)
        )
        if same and value == self._value and ghosts:
            return
        self._pmf, self._value, self._ghost = pmf, value, ghost
        self.update()

    def pmf(self) -> np.ndarray | None:
        """What is shown."""
        return self._pmf

    def highlight(self, level: int | None) -> None:
        """Light up a bar."""
        if level != self._hovered:
            self._hovered = level
            self.update()

    def _area(self) -> QRectF:
        return QRectF(1, 16, self.width() - 2, self.height() - 16 - 18)

    def _bar(self, level: int, height: float = 1.0) -> QRectF:
        area, count = self._area(), len(self._pmf)
        width = area.width() / count
        gap = 0.0 if width < 4 else min(4.0, width * 0.18)
        return QRectF(
            area.left() + level * width + gap / 2, area.bottom() - height * area.height(), width - gap, height * area.height()
        )

    def level_at(self, point: QPointF) -> int | None:
        """Level of the bar whose column holds the point."""
        if self._pmf is None or not self.rect().contains(point.toPoint()):
            return None
        area = self._area()
        level = int((point.x() - area.left()) / area.width() * len(self._pmf))
        return min(max(level, 0), len(self._pmf) - 1)

    def bar_centre(self, level: int) -> QPointF:
        """A point inside a bar's column, for clicking."""
        bar = self._bar(level)
        return QPointF(bar.center().x(), bar.bottom() - 4)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point at a bar."""
        level = self.level_at(event.position())
        self.highlight(level)
        self.bar_hovered.emit(-1 if level is None else level)
        if level is not None:
            p = float(self._pmf[level])
            bits = "" if p <= 0 else f" · {-np.log2(p):.2f} bits"
            QToolTip.showText(event.globalPosition().toPoint(), f"{level}: p = {p:.4g}{bits}\n{self.hint}".strip(), self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a bar."""
        level = self.level_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and level is not None:
            self.bar_clicked.emit(level)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self.highlight(None)
        self.bar_hovered.emit(-1)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Bars, ghost, marked value, axis."""
        painter = QPainter(self)
        area = self._area()
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        if self._pmf is None:
            painter.setPen(theme.colour("dim"))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self.empty)
            return
        top = max(float(self._pmf.max()), 1e-9)
        if self._ghost is not None:
            top = max(top, float(self._ghost.max()))
        painter.setPen(Qt.PenStyle.NoPen)
        for level, p in enumerate(self._pmf):
            name = "selected" if level == self._value else "accent"
            strength = 1.0 if level in (self._value, self._hovered) else 0.8
            height = float(p) / top
            if height > 0.002:
                painter.fillRect(self._bar(level, height), theme.colour(name, strength))
        if self._value is not None:
            mark = self._bar(self._value)
            painter.fillRect(QRectF(mark.center().x() - 0.5, area.top(), 1, area.height()), theme.colour("selected", 0.55))
        if self._hovered is not None:
            painter.fillRect(self._bar(self._hovered), theme.colour("text", 0.08))
        if self._ghost is not None:
            self._paint_ghost(painter, top)
        self._paint_axis(painter, area, top)

    def _paint_ghost(self, painter: QPainter, top: float) -> None:
        painter.setPen(QPen(theme.colour("dim"), 1, Qt.PenStyle.DashLine))
        points = []
        for level, p in enumerate(self._ghost):
            bar = self._bar(level, float(p) / top)
            points += [QPointF(bar.left(), bar.top()), QPointF(bar.right(), bar.top())]
        painter.drawPolyline(points)

    def _paint_axis(self, painter: QPainter, area: QRectF, top: float) -> None:
        painter.setPen(theme.colour("dim"))
        metrics = QFontMetricsF(painter.font())
        count = len(self._pmf)
        ticks = sorted({0, count // 2, count - 1}) if count > 3 else range(count)
        for level in ticks:
            text = str(level)
            width = metrics.horizontalAdvance(text)
            x = min(max(self._bar(level).center().x() - width / 2, area.left()), area.right() - width)
            painter.drawText(QPointF(x, area.bottom() + 14), text)
        painter.drawText(QPointF(area.left(), area.top() - 4), f"{top:.2g}" if top < 0.995 else "1")
