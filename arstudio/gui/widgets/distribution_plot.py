"""The distribution of one site: a bar for each level, the drawn value marked, the T = 1 distribution as a ghost.

The density of a real is a curve over [0, 1], the mixture's components faint below it. What lies beyond [0, 1] is in
the first and the last of the 256 bins, so the curve may rise at its ends. A mixture over many levels is a curve too; the
share each component has in every level is faint over it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme

if TYPE_CHECKING:
    import numpy as np

    from arstudio.analysis.conditionals import Mixture


CURVE_FROM = 32    # levels from which a mixture is drawn as a curve


class DistributionPlot(QWidget):
    """Bars over levels 0 … L-1. `bar_clicked(level)` and `bar_hovered(level)`, −1 when the mouse leaves.

    `tint` is the palette's colour of the bars; `caption` stands in the upper right corner; `chosen` underlines it.
    """

    bar_clicked = Signal(int)
    bar_hovered = Signal(int)

    def __init__(self, tint: str = "accent", caption: str = "") -> None:
        super().__init__()
        self.tint, self.caption, self.chosen = tint, caption, False
        self._components: np.ndarray | None = None
        self._pmf: np.ndarray | None = None
        self._ghost: np.ndarray | None = None
        self._value: int | None = None
        self._hovered: int | None = None
        self._continuous = False
        self._real: float | None = None
        self._mixture: Mixture | None = None
        self.hint = ""
        self.empty = self._empty_shown = self.tr("No pixel yet")
        self.setMouseTracking(True)
        self.setMinimumHeight(88 if caption else 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Distribution of the selected pixel"))

    def sizeHint(self) -> QSize:
        """Wide and low; lower where three stand above each other."""
        return QSize(260, 96 if self.caption else 150)

    def show_distribution(
        self, pmf: np.ndarray | None, value: int | None = None, ghost: np.ndarray | None = None,
        components: np.ndarray | None = None,
    ) -> None:
        """pmf (levels,) as sampled from; `ghost` (levels,) the model's own where that differs; `value` marked if given;
        `components` (K, levels) what each component of a mixture adds to the pmf."""
        same = value == self._value and _same(ghost, self._ghost) and _same(components, self._components)
        if same and _same(pmf, self._pmf) and (pmf is not None or self._empty_shown == self.empty):
            return
        self._pmf, self._value, self._ghost, self._components = pmf, value, ghost, components
        self._empty_shown = self.empty
        if self._hovered is not None and (pmf is None or self._hovered >= len(pmf)):    # it was a bar of another pixel
            self._hovered = None
        self.update()

    def choose(self, on: bool) -> None:
        """Underline the caption: the figures below are about this one."""
        if on != self.chosen:
            self.chosen = on
            self.update()

    def show_real(self, continuous: bool, value: float | None, mixture: Mixture | None) -> None:
        """Whether the distribution is that of a real: then the bins are drawn as a curve, `value` is marked where it
        lies, and the components of `mixture` are shown if it is known."""
        state = (continuous, value if continuous else None, mixture if continuous else None)
        if state != (self._continuous, self._real, self._mixture):
            self._continuous, self._real, self._mixture = state
            self.update()

    def ghost(self) -> np.ndarray | None:
        """What is shown behind it."""
        return self._ghost

    def pmf(self) -> np.ndarray | None:
        """What is shown."""
        return self._pmf

    def highlight(self, level: int | None) -> None:
        """Light up a bar, if there is one."""
        if level is not None and (self._pmf is None or level >= len(self._pmf)):
            level = None
        if level != self._hovered:
            self._hovered = level
            self.update()

    def _area(self) -> QRectF:
        return QRectF(1, 16, self.width() - 2, self.height() - 16 - 18)

    def _bar(self, level: int, height: float = 1.0) -> QRectF:
        area, gap = self._area(), self._gap()
        width = area.width() / len(self._pmf)
        return QRectF(
            area.left() + level * width + gap / 2, area.bottom() - height * area.height(), width - gap, height * area.height()
        )

    def _gap(self) -> float:
        """Room between two bars."""
        width = self._area().width() / len(self._pmf)
        return 0.0 if width < 4 else min(4.0, width * 0.18)

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
            bits = "" if p <= 0 else f" · {-math.log2(p):.2f} bits"
            name, count = str(level), len(self._pmf)
            if self._continuous:
                low = f"{level / count:.3f}" if level else "−∞"
                high = f"{(level + 1) / count:.3f}" if level < count - 1 else "∞"
                name = self.tr("{0} to {1}").format(low, high)
            QToolTip.showText(event.globalPosition().toPoint(), f"{name}: p = {p:.4g}{bits}\n{self.hint}".strip(), self)

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
        font.setPixelSize(theme.px(11))
        painter.setFont(font)
        if self._pmf is None:
            painter.setPen(theme.colour("dim"))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self.empty)
            return
        top = max(float(self._pmf.max()), 1e-9)
        if self._ghost is not None:
            top = max(top, float(self._ghost.max()))
        painter.setPen(Qt.PenStyle.NoPen)
        if self._continuous:
            self._paint_curve(painter, area, top)
        else:
            self._paint_levels(painter, area, top)
        if self.caption:
            painter.setPen(theme.colour(self.tint if self.chosen else "dim"))
            font.setBold(self.chosen)
            painter.setFont(font)
            wide = painter.fontMetrics().horizontalAdvance(self.caption)
            painter.drawText(QPointF(area.right() - wide, area.top() - 4), self.caption)

    def _paint_levels(self, painter: QPainter, area: QRectF, top: float) -> None:
        count, strength = len(self._pmf), 0.8
        if self._components is not None and count >= CURVE_FROM:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            line = self._polyline(area, self._pmf, top)
            painter.setBrush(theme.colour(self.tint, 0.25))
            painter.drawPolygon(QPolygonF([area.bottomLeft(), *line, area.bottomRight()]))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour(self.tint), 1.5))
            painter.drawPolyline(line)
            painter.setPen(Qt.PenStyle.NoPen)
        elif area.width() / count < 4:    # no gaps: one outline costs a fraction of so many rectangles
            painter.setBrush(theme.colour(self.tint, strength))
            painter.drawPolygon(QPolygonF([area.bottomLeft(), *self._steps(self._pmf, top), area.bottomRight()]))
        else:
            painter.setBrush(theme.colour(self.tint, strength))
            painter.drawRects([self._bar(k, p / top) for k, p in enumerate(self._pmf.tolist()) if p / top > 0.002])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._components is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colour("text", 0.35), 1))
            for component in self._components:
                painter.drawPolyline(self._polyline(area, component, top))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        if self._value is not None:
            mark = self._bar(self._value, float(self._pmf[self._value]) / top)
            painter.fillRect(mark, theme.colour("selected"))
            painter.fillRect(QRectF(mark.center().x() - 0.5, area.top(), 1, area.height()), theme.colour("selected", 0.55))
        if self._hovered is not None:
            if self._hovered != self._value:    # the drawn one keeps its colour
                painter.fillRect(self._bar(self._hovered, float(self._pmf[self._hovered]) / top), theme.colour(self.tint))
            painter.fillRect(self._bar(self._hovered), theme.colour("text", 0.08))
        if self._ghost is not None:
            painter.setPen(QPen(theme.colour("dim"), 1, Qt.PenStyle.DashLine))
            painter.drawPolyline(QPolygonF(self._steps(self._ghost, top)))
        self._paint_axis(painter, area, top)

    def _paint_curve(self, painter: QPainter, area: QRectF, top: float) -> None:
        count = len(self._pmf)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.save()
        painter.setClipRect(area)
        line = self._polyline(area, self._pmf, top)
        painter.setBrush(theme.colour(self.tint, 0.25))
        painter.drawPolygon(QPolygonF([area.bottomLeft(), *line, area.bottomRight()]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._mixture is not None:
            import numpy as np

            v = np.linspace(0, 1, max(2 * int(area.width()), 2))
            for component in self._mixture.densities(v):
                painter.setPen(QPen(theme.colour("text", 0.35), 1))
                painter.drawPolyline(self._polyline(area, component / count, top, ends=True))
        painter.setPen(QPen(theme.colour(self.tint), 1.5))
        painter.drawPolyline(line)
        if self._ghost is not None:
            painter.setPen(QPen(theme.colour("dim"), 1, Qt.PenStyle.DashLine))
            painter.drawPolyline(self._polyline(area, self._ghost, top))
        if self._hovered is not None:
            painter.fillRect(self._bar(self._hovered), theme.colour("text", 0.2))
        if self._real is not None:
            x = area.left() + min(max(self._real, 0.0), 1.0) * area.width()
            painter.setPen(QPen(theme.colour("selected"), 2))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.restore()
        painter.setPen(theme.colour("dim"))
        metrics = QFontMetricsF(painter.font())
        for value, text in ((0.0, "0"), (0.25, "¼"), (0.5, "½"), (0.75, "¾"), (1.0, "1")):
            width = metrics.horizontalAdvance(text)
            x = min(max(area.left() + value * area.width() - width / 2, area.left()), area.right() - width)
            painter.drawText(QPointF(x, area.bottom() + 14), text)
        painter.drawText(QPointF(area.left(), area.top() - 4), self.tr("density {0:.3g}").format(top * count))

    @staticmethod
    def _polyline(area: QRectF, heights: np.ndarray, top: float, *, ends: bool = False) -> QPolygonF:
        """Heights at the middles of equal pieces of [0, 1], or from end to end, as points."""
        count, shift = len(heights), 0.0 if ends else 0.5
        last = count - 1 if ends else count
        return QPolygonF([
            QPointF(area.left() + (i + shift) / last * area.width(), area.bottom() - min(p / top, 2.0) * area.height())
            for i, p in enumerate(heights.tolist())
        ])

    def _steps(self, heights: np.ndarray, top: float) -> list[QPointF]:
        """The outline of all bars, from left to right."""
        area, points = self._area(), []
        width, gap, bottom, scale = area.width() / len(heights), self._gap(), area.bottom(), area.height() / top
        for level, p in enumerate(heights.tolist()):
            left, y = area.left() + level * width + gap / 2, bottom - p * scale
            points += (QPointF(left, y), QPointF(left + width - gap, y))
        return points

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


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    import numpy as np

    return np.array_equal(a, b)
