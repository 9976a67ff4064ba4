"""Small pictures in rows: hover, focus and keys for every grid of them. Subclasses say where each picture lies.

Arrow keys, Home and End move the chosen picture, a click chooses, Return or a double click takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.keys import plain
from arstudio.gui.widgets.pixel_view import pixels, same_image, to_qimage
from arstudio.image import ImageSpec

if TYPE_CHECKING:
    import numpy as np

STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -10**6, Qt.Key.Key_End: 10**6}
KEYS = (*STEPS, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter)


def pixmap_of(image: np.ndarray, spec: ImageSpec) -> QPixmap:
    """(C, H, W) levels -> one device pixel each."""
    return QPixmap.fromImage(to_qimage(pixels(image, spec)))


class PictureGrid(QWidget):
    """`chosen(place)` when a picture is chosen, `taken(place)` on Return or a double click. `current` is framed."""

    chosen = Signal(int)
    taken = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.pictures: list[QPixmap] = []
        self.tips: list[str] = []
        self.current: int | None = None
        self.hovered = -1
        self.marked: set[int] = set()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)

    def columns(self) -> int:
        """Pictures in a row."""
        raise NotImplementedError

    def rect_of(self, place: int) -> QRectF:
        """Where a picture lies."""
        raise NotImplementedError

    def count(self) -> int:
        """How many are shown."""
        return len(self.pictures)

    def set_current(self, place: int | None) -> None:
        """Frame a picture without a signal."""
        if place != self.current:
            self.current = place
            self.update()

    def mark_places(self, places: set[int]) -> None:
        """Put a dot on some pictures."""
        if places != self.marked:
            self.marked = places
            self.update()

    def place_at(self, point: QPointF) -> int:
        """Picture under a point, −1 if none."""
        return next((i for i in range(self.count()) if self.rect_of(i).contains(point)), -1)

    def _choose(self, place: int) -> None:
        self.set_current(place)
        self.chosen.emit(place)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose."""
        place = self.place_at(event.position())
        if place >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._choose(place)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Take."""
        place = self.place_at(event.position())
        if place >= 0:
            self.taken.emit(place)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up and explain."""
        place = self.place_at(event.position())
        if place != self.hovered:
            self.hovered = place
            self.update()
        if 0 <= place < len(self.tips):
            QToolTip.showText(event.globalPosition().toPoint(), self.tips[place], self)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self.hovered = -1
        self.update()

    def event(self, event: QEvent) -> bool:
        """Arrows and Return are not the window's shortcuts while the grid has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and plain(event) and event.key() in KEYS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move; Return takes."""
        rows = {Qt.Key.Key_Up: -self.columns(), Qt.Key.Key_Down: self.columns()}
        step = STEPS.get(event.key(), rows.get(event.key()))
        if not self.count() or not plain(event):
            super().keyPressEvent(event)
        elif step is not None:
            place = self.current + step if self.current is not None else 0
            self._choose(min(max(place, 0), self.count() - 1))
        elif event.key() in KEYS and self.current is not None:
            self.taken.emit(self.current)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Pictures, a frame on the chosen one and a quiet one under the mouse or the focus."""
        painter = QPainter(self)
        for place in range(self.count()):
            rect = self.rect_of(place)
            self._paint_picture(painter, place, rect)
            if place in self.marked:
                painter.setPen(QPen(theme.colour("panel"), 1.5))
                painter.setBrush(theme.colour("accent"))
                painter.drawEllipse(rect.topRight() + QPointF(-6, 6), 4, 4)
                painter.setBrush(Qt.BrushStyle.NoBrush)
            if place in (self.current, self.hovered):
                chosen = place == self.current
                painter.setPen(QPen(theme.colour("accent" if chosen else "dim"), 2 if chosen else 1))
                painter.drawRect(rect.adjusted(-2, -2, 2, 2))
            if self.hasFocus() and place == (self.current or 0):
                painter.setPen(QPen(theme.colour("text", 0.7), 1, Qt.PenStyle.DotLine))
                painter.drawRect(rect.adjusted(0, 0, -1, -1))

    def _paint_picture(self, painter: QPainter, place: int, rect: QRectF) -> None:
        painter.drawPixmap(rect, self.pictures[place], QRectF(self.pictures[place].rect()))


class FittingGrid(PictureGrid):
    """The images of a drawing, as large as the room allows."""

    GAP, LARGEST = 8, 148

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._images: np.ndarray | None = None
        self._sheet: QImage | None = None    # all images below each other, made when they are painted
        self._spec: ImageSpec | None = None
        self._layout: tuple[tuple, tuple[int, float]] = ((), (1, 0.0))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_images(self, images: np.ndarray, spec: ImageSpec, current: int) -> None:
        """(N, C, H, W) levels."""
        self.set_current(current)
        if self._images is None or spec != self._spec or not same_image(images, self._images):
            self._images, self._spec, self._sheet = images, spec, None
            self.update()

    def count(self) -> int:
        return 0 if self._images is None else len(self._images)

    def _paint_picture(self, painter: QPainter, place: int, rect: QRectF) -> None:
        if self._sheet is None:
            self._sheet = to_qimage(pixels(self._images, self._spec).reshape(-1, self._spec.width, 3))
        high = self._spec.height
        painter.drawImage(rect, self._sheet, QRectF(0, place * high, self._spec.width, high))

    def changeEvent(self, event: QEvent) -> None:
        """A new palette needs a new checkerboard."""
        if event.type() == QEvent.Type.PaletteChange:
            self._sheet = None
            self.update()
        super().changeEvent(event)

    def layout_of(self, count: int) -> tuple[int, float]:
        """(columns, widget pixels per image pixel) that make the pictures as large as fit, at whole multiples if possible."""
        key = (count, self._spec, self.width(), self.height(), self.devicePixelRatioF())
        if self._layout[0] != key:
            self._layout = key, self._best_layout(count)
        return self._layout[1]

    def _best_layout(self, count: int) -> tuple[int, float]:
        best, gap, ratio = (0.0, 0, 0), self.GAP, self.devicePixelRatioF()
        chosen = 1
        wide, high = self._spec.width, self._spec.height
        for columns in range(1, count + 1):
            rows = -(-count // columns)
            unit = min(
                (self.width() - 4 - gap * (columns - 1)) / columns / wide, (self.height() - 4 - gap * (rows - 1)) / rows / high
            )
            unit = min(unit, self.LARGEST / max(wide, high))
            unit = int(unit * ratio) / ratio if unit * ratio >= 1 else unit
            fit = (unit, -rows * columns, -abs(rows - columns))    # of equals the one without gaps, then the squarest
            if fit > best:
                best, chosen = fit, columns
        return chosen, best[0]

    def columns(self) -> int:
        return self.layout_of(self.count())[0]

    def rect_of(self, place: int) -> QRectF:
        columns, unit = self.layout_of(self.count())
        row, column = divmod(place, columns)
        width, height = self._spec.width * unit, self._spec.height * unit
        return QRectF(2 + column * (width + self.GAP), 2 + row * (height + self.GAP), width, height)


class WrappingGrid(PictureGrid):
    """Pictures of one size in as many rows as they need."""

    CELL, GAP, EDGE = 44, 6, 2

    def __init__(self, name: str) -> None:
        super().__init__(name)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_items(self, items: list[tuple[QPixmap, str]]) -> None:
        """(picture, tooltip) each."""
        self.pictures, self.tips = [picture for picture, _ in items], [tip for _, tip in items]
        self.setMinimumHeight(self.heightForWidth(max(self.width(), 150)))
        self.updateGeometry()
        self.update()

    def _fit(self, width: int) -> int:
        return max(1, (width - 2 * self.EDGE + self.GAP) // (self.CELL + self.GAP))

    def columns(self) -> int:
        return self._fit(self.width())

    def heightForWidth(self, width: int) -> int:
        """As many rows as needed."""
        rows = -(-len(self.pictures) // self._fit(width))
        return max(0, rows * (self.CELL + self.GAP) - self.GAP + 2 * self.EDGE)

    def rect_of(self, place: int) -> QRectF:
        row, column = divmod(place, self.columns())
        step = self.CELL + self.GAP
        return QRectF(self.EDGE + column * step, self.EDGE + row * step, self.CELL, self.CELL)
