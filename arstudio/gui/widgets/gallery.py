"""A row of completions: thumbnails at whole multiples, ranked, filling in while they are drawn.

Arrow keys and clicks choose one, a double click or Return takes it.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QScrollArea, QSizePolicy

from arstudio.gui.widgets.picture_grid import PictureGrid, pixmap_of
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
        self._current: int | None = None
        self.wall.chosen.connect(self._chosen)
        self.wall.taken.connect(self._taken)
        self.setWidget(self.wall)
        self.wall.setAutoFillBackground(False)

    def show_images(self, images: np.ndarray, spec: ImageSpec, order: list[int], tips: list[str]) -> None:
        """(N, C, H, W) levels, −1 where not drawn, in the order given (image indices); a tooltip per
        image."""
        self.wall.show_images(images, spec, order, tips)
        self.set_current(self._current)

    def clear(self) -> None:
        """Show nothing."""
        self._current = None
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
        return self._current

    def set_current(self, index: int | None) -> None:
        """Frame a thumbnail without a signal."""
        self._current = index
        self.wall.set_current(self.wall.order.index(index) if index in self.wall.order else None)

    @Slot(int)
    def _chosen(self, place: int) -> None:
        self._current = self.wall.order[place]
        self.chosen.emit(self._current)

    @Slot(int)
    def _taken(self, place: int) -> None:
        self.taken.emit(self.wall.order[place])

    def centre_of(self, index: int) -> QPoint:
        """Where to click on `wall` for an image."""
        return self.wall.rect_of(self.wall.order.index(index)).center().toPoint()


class _Wall(PictureGrid):
    """Lays the thumbnails out in rows as the width allows; places are those of `order`."""

    def __init__(self, gallery: Gallery) -> None:
        super().__init__(self.tr("Completions"))
        self._gallery = gallery
        self.order: list[int] = []
        self._side = QSize(THUMB, THUMB)
        self._gap = GAP
        self._one_row = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def show_images(self, images: np.ndarray, spec: ImageSpec, order: list[int], tips: list[str]) -> None:
        scale = max(1, round(THUMB / max(spec.height, spec.width)))
        self._side = QSize(spec.width * scale, spec.height * scale)
        self.pictures = [pixmap_of(images[index], spec) for index in order]
        self.tips, self.order = [tips[index] for index in order] if tips else [], list(order)
        self._fit()
        self.update()

    def clear(self) -> None:
        self.order, self.pictures, self.tips, self.current = [], [], [], None
        self._fit()
        self.update()

    def columns(self) -> int:
        if self._one_row:
            return max(1, len(self.order))
        return max(1, (self.width() - 2 * FRAME + self._gap) // (self._side.width() + self._gap))

    def _fit(self) -> None:
        count, room = len(self.order), self._gallery.width() - 2 * FRAME
        spare = (room - count * self._side.width()) // max(1, count - 1)
        self._one_row = spare >= TIGHT
        self._gap = min(spare, GAP) if self._one_row else GAP
        rows = -(-count // self.columns())
        self.setMinimumHeight(max(0, rows * (self._side.height() + self._gap) - self._gap + 2 * FRAME))

    def rect_of(self, place: int) -> QRectF:
        row, column = divmod(place, self.columns())
        across, down = self._side.width() + self._gap, self._side.height() + self._gap
        return QRectF(FRAME + column * across, FRAME + row * down, self._side.width(), self._side.height())

    def set_current(self, place: int | None) -> None:
        super().set_current(place)
        if place is not None:
            self._gallery.ensureVisible(*self.rect_of(place).center().toPoint().toTuple(), 0, THUMB // 2 + GAP)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other columns, other height."""
        self._fit()
        super().resizeEvent(event)
