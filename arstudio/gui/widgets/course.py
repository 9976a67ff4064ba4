"""A probability over the number of pixels known: how sure the model had become, step by step."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme


class Course(QWidget):
    """Points (known, p) joined by a line, p from 0 to the highest; the last is the pixel's own turn."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[int] = []
        self.p: list[float] = []
        self.density = False
        self.setMouseTracking(True)
        self.setMinimumHeight(96)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Probability of this pixel's value as more pixels were known"))

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(260, 104)

    def show_course(self, known: list[int], p: list[float], *, density: bool = False) -> None:
        """`known` (n,) ascending, `p` (n,) probabilities or densities; empty lists show nothing."""
        self.known, self.p, self.density = known, p, density
        self.update()

    def _area(self) -> QRectF:
        return QRectF(1, 16, self.width() - 2, self.height() - 34)

    def point(self, index: int) -> QPointF:
        """Where a point is drawn."""
        area = self._area()
        along, up = self.known[index] / max(self.known[-1], 1), self.p[index] / max(*self.p, 1e-12)
        return QPointF(area.left() + along * area.width(), area.bottom() - up * area.height())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what the nearest point is."""
        if self.known:
            near = min(range(len(self.known)), key=lambda i: abs(self.point(i).x() - event.position().x()))
            what = self.tr("density") if self.density else "p"
            words = self.tr("{0} pixels known: {1} = {2:.4g}").format(self.known[near], what, self.p[near])
            QToolTip.showText(event.globalPosition().toPoint(), words, self)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Line, points, the two ends of both axes."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self._area()
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        if not self.known:
            return
        points = [self.point(i) for i in range(len(self.known))]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("accent", 0.25))
        painter.drawPolygon(QPolygonF([QPointF(points[0].x(), area.bottom()), *points, QPointF(points[-1].x(), area.bottom())]))
        painter.setPen(QPen(theme.colour("accent"), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("selected"))
        painter.drawEllipse(points[-1] - QPointF(min(2.0, points[-1].x()), 0), 3, 3)
        font = painter.font()
        font.setPixelSize(theme.px(11))
        painter.setFont(font)
        painter.setPen(theme.colour("dim"))
        end = self.tr("{0} known").format(self.known[-1])
        painter.drawText(QPointF(area.left(), area.bottom() + 14), self.tr("nothing known"))
        painter.drawText(QPointF(area.right() - QFontMetricsF(font).horizontalAdvance(end), area.bottom() + 14), end)
        painter.drawText(QPointF(area.left(), area.top() - 4), f"{max(self.p):.3g}")
