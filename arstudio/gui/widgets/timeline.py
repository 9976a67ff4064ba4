"""Bits per pixel over the drawing order: where information went. Drag to scrub, click to go there; marks and a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.colour_scale import in_bits

if TYPE_CHECKING:
    import numpy as np

EDGE = 8    # widget pixels that the playhead's marks reach beyond its place


class Timeline(QWidget):
    """`scrubbed(pixel rank)` while dragging and when a mark is clicked, `mark_removed(pixel rank)` on a right click on a
    mark, `pointed(pixel rank)` for the drawn pixel under the mouse, −1 when there is none. Shows bits (P,), NaN where
    nothing is drawn, those of another drawing as a ghost, playhead, selection and marks."""

    scrubbed = Signal(int)
    mark_removed = Signal(int)
    pointed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._bits: np.ndarray | tuple = ()
        self._rank = 0
        self._mark: int | None = None
        self._row = 1
        self._ghost: np.ndarray | None = None
        self._top = 0.5
        self._marks: list[int] = []
        self._loop: tuple[int, int] | None = None
        self._pointed = -1
        self.setMouseTracking(True)
        self.setMinimumHeight(64)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Timeline: bits per pixel in drawing order"))
        self.describe("")

    def describe(self, pixel: str) -> None:
        """Say in the tooltip what is pointed at, and always what the strip is."""
        words = self.tr("−log₂ p of each pixel, in drawing order. Drag to move through time.\n"
                        "Click a mark to jump to it, right click to remove it.")
        self.setToolTip(f"{pixel}\n{words}" if pixel else words)

    def sizeHint(self) -> QSize:
        """A strip."""
        return QSize(600, 96)

    def show_bits(
        self, bits: np.ndarray, rank: int, mark: int | None, row: int, ghost: np.ndarray | None = None
    ) -> None:
        """bits (P,) per pixel rank, playhead after `rank` pixels, selected rank or None, pixels per image row, and the
        bits (P,) of the drawing beside this one."""
        was, rank_was = (len(self._bits), self._top, self._mark, self._row), self._rank
        grown = ghost is None and self._ghost is None and self._agrees(bits, min(rank, rank_was))
        self._bits, self._rank, self._mark, self._row, self._ghost = bits, rank, mark, max(row, 1), ghost
        self._top = self._highest()
        if not grown or was != (len(bits), self._top, mark, self._row):
            self.update()
        elif rank != rank_was:    # only the piece between two places of the playhead
            left, right = (self.x_of(r) for r in sorted((rank, rank_was)))
            self.update(QRect(int(left) - EDGE, 0, int(right - left) + 2 * EDGE + 1, self.height()))

    def _agrees(self, bits: np.ndarray, count: int) -> bool:
        """True if the first bits are those that are shown."""
        return len(bits) == len(self._bits) > 0 and bool((bits[:count] == self._bits[:count]).all())

    def _highest(self) -> float:
        """Bits at the upper edge."""
        import numpy as np

        shown = [bits for bits in (self._bits, self._ghost) if bits is not None and len(bits)]
        return max([0.5, *(float(np.nanmax(bits)) for bits in shown if not np.isnan(bits).all())])

    def show_marks(self, marks: list[int], loop: tuple[int, int] | None) -> None:
        """Pixel ranks with a mark, and the ranks between which the playhead loops."""
        if (marks, loop) != (self._marks, self._loop):
            self._marks, self._loop = list(marks), loop
            self.update()

    def mark_near(self, x: float, y: float) -> int | None:
        """Rank of the mark whose flag is under a point."""
        near = [m for m in self._marks if abs(self.x_of(m) - x) <= 6]
        return min(near, key=lambda m: abs(self.x_of(m) - x)) if near and y <= self._area().top() + 12 else None

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

    def drawn_near(self, x: float) -> int:
        """Rank of the drawn pixel at a widget x, of those that share a screen column the dearest; −1 where none is drawn."""
        area, end = self._area(), min(self._rank, len(self._bits))
        each = len(self._bits) / area.width()    # pixels a screen column
        first = int((x - area.left()) * each)
        last = min(max(first + 1, int((x - area.left() + 1) * each)), end)
        if not area.left() <= x <= area.right() or first >= end:
            return -1
        return max(range(first, last), key=lambda rank: self._bits[rank])

    def _point_at(self, rank: int) -> None:
        if rank != self._pointed:
            self._pointed = rank
            self.pointed.emit(rank)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self._point_at(-1)
        super().leaveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there, exactly to a mark; the right button removes a mark."""
        mark = self.mark_near(event.position().x(), event.position().y())
        if event.button() == Qt.MouseButton.LeftButton and len(self._bits):
            self.scrubbed.emit(self.rank_at(event.position().x()) if mark is None else mark)
        elif event.button() == Qt.MouseButton.RightButton and mark is not None:
            self.mark_removed.emit(mark)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub, or point at a pixel."""
        if event.buttons() & Qt.MouseButton.LeftButton and len(self._bits):
            self.scrubbed.emit(self.rank_at(event.position().x()))
        self._point_at(self.drawn_near(event.position().x()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys belong to the transport actions."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Area under the bits, its scale, row ticks, playhead, mark."""
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
        if self._loop is not None:
            begin, end = (self.x_of(rank) for rank in self._loop)
            painter.fillRect(QRectF(begin, area.top(), end - begin, area.height()), theme.colour("accent", 0.12))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)    # steps are upright; smoothing them costs time
        self._paint_bits(painter, area, event.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for mark in self._marks:
            self._paint_mark(painter, area, self.x_of(mark))
        if self._mark is not None:
            painter.setPen(QPen(theme.colour("selected"), 1.5, Qt.PenStyle.DotLine))
            x = self.x_of(self._mark + 0.5)
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        self._paint_scale(painter, area)
        x, tint = self.x_of(self._rank), theme.colour("accent" if self.hasFocus() else "text")    # as a slider's handle
        painter.setPen(QPen(tint, 1.5))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setBrush(tint)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(QPointF(x, area.top()), 4, 4)

    def _paint_scale(self, painter: QPainter, area: QRectF) -> None:
        """How many bits the highest peak has, over a veil where the curve is behind it."""
        font = self.font()
        font.setPixelSize(theme.px(11))
        painter.setFont(font)
        words = in_bits(self._top)
        place = QRectF(area.left(), area.top(), painter.fontMetrics().horizontalAdvance(words) + 6, theme.px(13))
        painter.fillRect(place, theme.colour("panel", 0.7))
        painter.setPen(theme.colour("dim"))
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)

    def _paint_mark(self, painter: QPainter, area: QRectF, x: float) -> None:
        painter.setPen(QPen(theme.colour("dim"), 1))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("dim"))
        top = area.top()
        painter.drawPolygon(QPolygonF([QPointF(x, top), QPointF(x + 8, top + 4), QPointF(x, top + 8)]))

    def _paint_bits(self, painter: QPainter, area: QRectF, part: QRect) -> None:
        """What of the bits lies in a part of the widget."""
        first = max(self.rank_at(part.left() - EDGE) - 1, 0)
        end = min(self._rank, self.rank_at(part.right() + EDGE) + 1)
        if first >= end:
            return
        if self._ghost is not None and len(self._ghost) == len(self._bits):
            painter.setPen(QPen(theme.colour("dim"), 1, Qt.PenStyle.DotLine))
            painter.drawPolyline(self._outline(self._ghost, 0, self._rank, area))    # dots go on from its beginning
        line = self._outline(self._bits, first, end, area)
        shape = QPolygonF(line)
        shape.append(QPointF(line.last().x(), area.bottom()))
        shape.prepend(QPointF(line.first().x(), area.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("accent", 0.35))
        painter.drawPolygon(shape)
        painter.setPen(QPen(theme.colour("accent"), 1))
        painter.drawPolyline(line)

    def _outline(self, bits: np.ndarray, first: int, end: int, area: QRectF) -> QPolygonF:
        """The upper edge of some of the bits."""
        import numpy as np

        count, columns = len(bits), int(area.width())
        if count > columns:    # keep peaks: the largest value of each screen column
            column = first * columns // count
            seen = bits[-(-column * count // columns):end]
            at = np.minimum(np.arange(end - len(seen), end) * columns // count, columns - 1) - column
            heights = np.zeros(at[-1] + 1)
            np.maximum.at(heights, at, np.nan_to_num(seen))
            xs = area.left() + np.arange(column, column + len(heights)) * area.width() / columns
        else:
            heights = np.repeat(np.nan_to_num(bits[first:end]), 2).clip(0)    # a sure real may cost less than nothing
            xs = area.left() + np.repeat(np.arange(first, end + 1), 2)[1:-1] / count * area.width()
        ys = area.bottom() - heights / self._top * (area.height() - 6)
        return QPolygonF([QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)])
