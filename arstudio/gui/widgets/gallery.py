"""A row of completions: thumbnails at whole multiples, ranked, filling in while they are drawn.

Arrow keys and clicks choose one, a double click or Return takes it.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import pixels, to_qimage
from arstudio.image import ImageSpec

THUMB = 56            # wanted side in pixels
GAP, TIGHT = 10, 3    # between thumbnails; tight when one row then holds them all
FRAME = 3      # room for the frame of the chosen one


class Gallery(QScrollArea):
    """`chosen(image index)` when another thumbnail becomes current, `taken(image index)` on double click or
    Return."""

    chosen = Signal(int)
    taken = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(THUMB + 2 * FRAME)
        self.viewport().setAutoFillBackground(False)
        self.wall = _Wall(self)
        self.setWidget(self.wall)
        self.wall.setAutoFillBackground(False)

    def show_images(self, images: np.ndarray, spec: ImageSpec, order: list[int], tips: list[str]) -> None:
        """(N, C, H, W) levels, −1 where not drawn, in the order given (image indices); a tooltip per
        image."""
        self.wall.show_images(images, spec, order, tips)

    def clear(self) -> None:
        """Show nothing."""
        self.wall.clear()

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.wall.order)

    @property
    def order(self) -> list[int]:
        """Image indices as shown."""
        return self.wall.order

    @property
    def current(self) -> int | None:
        """Image index of the chosen thumbnail."""
        return self.wall.current

    def set_current(self, index: int | None) -> None:
        """Frame a thumbnail without a signal."""
        self.wall.current = index
        if index is not None and index in self.wall.order:
            self.ensureVisible(*self.centre_of(index).toTuple(), 0, THUMB // 2 + GAP)
        self.wall.update()

    def centre_of(self, index: int) -> QPoint:
        """Where to click on `wall` for an image."""
        return self.wall.rect_of(self.wall.order.index(index)).center()


class _Wall(QWidget):
    """Paints the thumbnails; rows as the width allows."""

    def __init__(self, gallery: Gallery) -> None:
        super().__init__()
        self._gallery = gallery
        self.order: list[int] = []
        self.current: int | None = None
        self._pictures: list[QPixmap] = []
        self._tips: list[str] = []
        self._side = QSize(THUMB, THUMB)
        self._gap = GAP
        self._one_row = False
        self._hover: int | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setAccessibleName(self.tr("Completions"))

    def show_images(self, images: np.ndarray, spec: ImageSpec, order: list[int], tips: list[str]) -> None:
        scale = max(1, round(THUMB / max(spec.height, spec.width)))
        self._side = QSize(spec.width * scale, spec.height * scale)
        self._pictures = [QPixmap.fromImage(to_qimage(pixels(image, spec))) for image in images]
        self._tips, self.order = tips, list(order)
        self._fit()
        self.update()

    def clear(self) -> None:
        self.order, self._pictures, self._tips, self.current = [], [], [], None
        self._fit()
        self.update()

    def _columns(self) -> int:
        if self._one_row:
            return max(1, len(self.order))
        return max(1, (self.width() - 2 * FRAME + self._gap) // (self._side.width() + self._gap))

    def _fit(self) -> None:
        count, room = len(self.order), self._gallery.width() - 2 * FRAME
        spare = (room - count * self._side.width()) // max(1, count - 1)
        self._one_row = spare >= TIGHT
        self._gap = min(spare, GAP) if self._one_row else GAP
        rows = -(-count // self._columns())
        self.setMinimumHeight(max(0, rows * (self._side.height() + self._gap) - self._gap + 2 * FRAME))

    def rect_of(self, place: int) -> QRect:
        """Rectangle of the thumbnail at a place in the order."""
        row, column = divmod(place, self._columns())
        across, down = self._side.width() + self._gap, self._side.height() + self._gap
        corner = QPoint(FRAME + column * across, FRAME + row * down)
        return QRect(corner, self._side)

    def _at(self, point: QPoint) -> int | None:
        half = self._gap // 2
        for place, index in enumerate(self.order):
            if self.rect_of(place).adjusted(-half, -half, half, half).contains(point):
                return index
        return None

    def _choose(self, index: int) -> None:
        self._gallery.set_current(index)
        self._gallery.chosen.emit(index)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose."""
        index = self._at(event.position().toPoint())
        if index is not None and event.button() == Qt.MouseButton.LeftButton:
            self._choose(index)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Take."""
        index = self._at(event.position().toPoint())
        if index is not None:
            self._gallery.taken.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up and explain."""
        index = self._at(event.position().toPoint())
        if index != self._hover:
            self._hover = index
            self.update()
        if index is not None and index < len(self._tips):
            QToolTip.showText(event.globalPosition().toPoint(), self._tips[index], self)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self._hover = None
        self.update()

    def event(self, event: QEvent) -> bool:
        """Arrows and Return are not the window's shortcuts while the gallery has the focus."""
        keys = (*_STEPS, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if event.type() == QEvent.Type.ShortcutOverride and not event.modifiers() and event.key() in keys:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move along the order; Return takes."""
        rows = {Qt.Key.Key_Up: -self._columns(), Qt.Key.Key_Down: self._columns()}
        step = _STEPS.get(event.key(), rows.get(event.key()))
        if not self.order or event.modifiers():
            super().keyPressEvent(event)
        elif step is not None:
            place = self.order.index(self.current) + step if self.current in self.order else 0
            self._choose(self.order[min(max(place, 0), len(self.order) - 1)])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.current is not None:
            self._gallery.taken.emit(self.current)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QEvent) -> None:
        """Show the focus."""
        self.update()
        super().focusInEvent(event)

    def focusOutEvent(self, event: QEvent) -> None:
        """Hide it."""
        self.update()
        super().focusOutEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other columns, other height."""
        self._fit()
        super().resizeEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Pictures, a frame on the chosen one and a thin one under the mouse."""
        painter = QPainter(self)
        for place, index in enumerate(self.order):
            rect = self.rect_of(place)
            painter.drawPixmap(rect, self._pictures[index])
            if index in (self.current, self._hover):
                chosen = index == self.current
                painter.setPen(QPen(theme.colour("accent" if chosen else "dim"), 2 if chosen else 1))
                painter.drawRect(QRectF(rect).adjusted(-2, -2, 2, 2))
        if self.hasFocus() and self.current is None and self.order:
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.drawRect(QRectF(self.rect_of(0)).adjusted(-2, -2, 2, 2))


_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -10**6, Qt.Key.Key_End: 10**6}
