"""An image of levels, drawn as pixels: nearest-neighbour at whole multiples, hidden sites as a quiet checkerboard.

Shows one image, an optional map over it, the next pixel, the selected pixel and the one under the mouse.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.image import ImageSpec, colour_map, is_hidden, to_display

if TYPE_CHECKING:
    import numpy as np

GRID_FROM = 8    # device pixels per image pixel from which the hairline grid is drawn


def pixels(image: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """(…, C, H, W) levels or reals -> (…, H, W, 3) uint8, the checkerboard where all channels are hidden (`is_hidden`)."""
    import numpy as np

    shown = np.moveaxis(to_display(image, spec.levels), -3, -1)
    board = _checkerboard(spec.height, spec.width, theme.colours().check_a, theme.colours().check_b)
    return np.where(is_hidden(image).all(-3)[..., None], board, shown)


def same_image(a: np.ndarray, b: np.ndarray) -> bool:
    """True if two images agree everywhere, hidden sites included."""
    import numpy as np

    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f" == b.dtype.kind)


@lru_cache(maxsize=16)
def _checkerboard(height: int, width: int, a: str, b: str) -> np.ndarray:
    import numpy as np

    colours = np.array([QColor(a).getRgb()[:3], QColor(b).getRgb()[:3]], dtype=np.uint8)
    return colours[np.add.outer(np.arange(height), np.arange(width)) % 2]


def to_qimage(rgb: np.ndarray) -> QImage:
    """(H, W, 3) uint8 -> QImage that owns its bytes, in the format that Qt scales fastest."""
    import numpy as np

    rgb = np.ascontiguousarray(rgb)
    height, width, _ = rgb.shape
    return QImage(rgb.data, width, height, 3 * width, QImage.Format.Format_RGB888).convertToFormat(QImage.Format.Format_RGB32)


@lru_cache(maxsize=16)
def _grid_tile(pixel: int, ratio: float) -> QPixmap:
    """Some image pixels of a grid, each `pixel` device pixels wide, with a hairline at their left and upper edges."""
    import numpy as np

    size = pixel * -(-64 // pixel)
    edge = np.arange(size) % pixel == 0
    grey = np.where(edge[:, None] | edge, 0x26131313, 0).astype(np.uint32)    # a seventh of middle grey, premultiplied
    tile = QPixmap.fromImage(QImage(grey.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied))
    tile.setDevicePixelRatio(ratio)
    return tile


class PixelView(QWidget):
    """One image. `clicked(row, column)`, `hovered(row, column)` or hovered(-1, -1) when the mouse leaves; with `brush`
    on, `painted(row, column)` for every pixel that the left button passes over, then `stroke_ended`. `zoomed`: in or out."""

    clicked = Signal(int, int)
    hovered = Signal(int, int)
    painted = Signal(int, int)
    stroke_ended = Signal()
    zoomed = Signal()

    def __init__(self, parent: QWidget | None = None, *, interactive: bool = True) -> None:
        super().__init__(parent)
        self.spec: ImageSpec | None = None
        self._image: np.ndarray | None = None
        self._picture: QImage | None = None
        self._overlay: np.ndarray | None = None
        self._overlay_range = (0.0, 1.0)
        self._blind: np.ndarray | None = None
        self._unit = ""
        self._ground = ""
        self.selected: tuple[int, int] | None = None
        self.next: tuple[int, int] | None = None
        self.pointed: tuple[int, int] | None = None
        self.marked_value: int | None = None
        self.differs: tuple[int, int] | None = None
        self.brush = False
        self._stroke: tuple[int, int] | None = None    # the pixel painted last
        self.zoom = 1.0
        self.pan = QPointF(0, 0)
        self.zoomable = False
        self.align_top = self.align_left = False
        self._dragging: QPointF | None = None
        self._interactive = interactive
        self.setMouseTracking(interactive)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(32, 32)
        self.setAccessibleName("Image")
        if interactive:
            self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    def stand_on(self, ground: str) -> None:
        """Paint the ground too, in a colour of the palette: what lies behind need not be painted for every frame."""
        self._ground = ground
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def show_image(self, image: np.ndarray | None, spec: ImageSpec | None) -> None:
        """(C, H, W) levels, hidden sites below 0. Repaints only what changed."""
        shown, alike = self._image, spec == self.spec
        part = None
        if image is not None and shown is not None and alike and image.shape == shown.shape:
            part = self._part(image, shown)
            if part is None:
                return
        if not alike:
            self.reset_view()
        self._image, self.spec = (None if image is None else image.copy()), spec
        self._picture = None
        if part is None:
            self.update()
        else:
            self.update(part)

    def _part(self, image: np.ndarray, shown: np.ndarray) -> QRect | None:
        """Where two images of one size differ, in the widget; None if they do not."""
        different = (image != shown).any(0)    # where both are NaN too, which paints a little more than needed
        rows, columns = different.any(1).nonzero()[0], different.any(0).nonzero()[0]
        if not len(rows) or (image.dtype.kind == "f" and same_image(image, shown)):
            return None
        return self._around([(rows[0], columns[0]), (rows[-1], columns[-1])])

    def _around(self, places: list[tuple[int, int]]) -> QRect:
        """The part of the widget that holds (row, column) pixels and their outlines. Plain numbers: while a model draws,
        every call of Qt may hand the interpreter to the drawing thread, and it takes long to come back."""
        left, top, s = self._place()
        rows, columns = [int(row) for row, _ in places], [int(column) for _, column in places]
        x, y = math.floor(left + min(columns) * s) - 3, math.floor(top + min(rows) * s) - 3
        right, bottom = math.ceil(left + (max(columns) + 1) * s) + 3, math.ceil(top + (max(rows) + 1) * s) + 3
        return QRect(x, y, right - x, bottom - y)

    def show_overlay(
        self, values: np.ndarray | None, low: float = 0.0, high: float = 1.0, blind: np.ndarray | None = None, unit: str = ""
    ) -> None:
        """(H, W) map drawn instead of the image's own colours where it is a number, NaN elsewhere; None to remove it.
        A picture, (H, W, 3) uint8, takes the image's place as it is. `blind` (H, W) bool pixels are tinted as unseen; `unit`,
        such as "{0:.2f} bits", says a pixel's value in its tooltip."""
        if values is None and self._overlay is None:
            return
        if values is not None and values.dtype != "uint8":
            values = values.astype("float64")
        self._overlay, self._blind, self._overlay_range, self._unit = values, blind, (low, high), unit
        self._picture = None
        self.update()

    def mark(
        self, selected: tuple[int, int] | None, following: tuple[int, int] | None,
        pointed: tuple[int, int] | None = None, value: int | None = None,
    ) -> None:
        """Outline the selected and the next pixel; light up the pointed one and every pixel with a value."""
        state = (selected, following, pointed, value)
        before = (self.selected, self.next, self.pointed, self.marked_value)
        if state == before:
            return
        self.selected, self.next, self.pointed, self.marked_value = state
        if value is not None or before[-1] is not None or self.spec is None:
            self.update()
            return
        moved = [p for new, old in zip(state[:-1], before[:-1], strict=True) if new != old for p in (new, old) if p]
        self.update(self._around(moved))

    def mark_difference(self, pixel: tuple[int, int] | None) -> None:
        """Ring the pixel at which this image first differs from the one beside it."""
        if pixel != self.differs:
            self.differs = pixel
            self.update()

    def image(self) -> np.ndarray | None:
        """What is shown."""
        return self._image

    def scale(self) -> float:
        """Widget pixels per image pixel: the largest whole number of device pixels that fits, times the zoom."""
        if self.spec is None:
            return 1.0
        ratio = self.devicePixelRatioF()
        fit = min(self.width() / self.spec.width, self.height() / self.spec.height) * ratio
        whole = max(1.0, float(int(fit)))
        if fit < 1:
            return fit / ratio
        return max(1.0, float(round(whole * self.zoom))) / ratio

    def target(self) -> QRectF:
        """Rectangle of the image in the widget."""
        if self.spec is None:
            return QRectF(self.rect())
        left, top, s = self._place()
        return QRectF(left, top, self.spec.width * s, self.spec.height * s)

    def _place(self) -> tuple[float, float, float]:
        """Left and upper edge of the image, and widget pixels per image pixel."""
        s, ratio = self.scale(), self.devicePixelRatioF()
        width, height = self.spec.width * s, self.spec.height * s
        beside = (self.width() - width) / 2
        if self.align_left and self.zoom == 1:
            beside = min(2.0, max(beside, 0))
        left = round((beside + self.pan.x()) * ratio) / ratio
        above = (self.height() - height) / 2
        if self.align_top and self.zoom == 1:
            above = min(4.0, max(above, 0))
        top = round((above + self.pan.y()) * ratio) / ratio
        return left, top, s

    def pixel_at(self, point: QPointF) -> tuple[int, int] | None:
        """(row, column) under a widget point, None outside the image."""
        if self.spec is None:
            return None
        target, s = self.target(), self.scale()
        column, row = int((point.x() - target.left()) // s), int((point.y() - target.top()) // s)
        inside = 0 <= row < self.spec.height and 0 <= column < self.spec.width
        return (row, column) if inside else None

    def rect_of(self, row: int, column: int) -> QRectF:
        """Widget rectangle of a pixel."""
        left, top, s = self._place() if self.spec is not None else (0.0, 0.0, 1.0)
        return QRectF(left + column * s, top + row * s, s, s)

    def reset_view(self) -> None:
        """Fit the image again."""
        was, self.zoom, self.pan = self.zoom, 1.0, QPointF(0, 0)
        if was != 1:
            self.zoomed.emit()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for a picture that can be read."""
        return QSize(360, 360)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Select a pixel, or begin to pan with the middle button."""
        if self.zoomable and event.button() == Qt.MouseButton.MiddleButton:
            self._dragging = event.position() - self.pan
            return
        found = self.pixel_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and found is not None:
            if self.brush:
                self._stroke = found
                self.painted.emit(*found)
            else:
                self.clicked.emit(*found)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell which pixel is under the mouse."""
        if self._dragging is not None:
            self.pan = event.position() - self._dragging
            self.update()
            return
        found = self.pixel_at(event.position())
        if self._stroke is not None and found not in (None, self._stroke):
            from arstudio.gui.widgets.sheet import segment

            for pixel in segment(self._stroke, found)[1:]:    # a fast mouse leaves no gaps
                self.painted.emit(*pixel)
            self._stroke = found
        self.hovered.emit(*(found or (-1, -1)))
        if found is not None and self._interactive:
            QToolTip.showText(event.globalPosition().toPoint(), self.tip(*found), self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End panning, or the stroke."""
        self._dragging = None
        if self._stroke is not None and event.button() == Qt.MouseButton.LeftButton:
            self._stroke = None
            self.stroke_ended.emit()

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self.hovered.emit(-1, -1)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor."""
        if not self.zoomable or event.angleDelta().y() == 0:
            super().wheelEvent(event)
            return
        before, target = self.scale(), self.target()
        anchor = event.position() - target.topLeft()
        self.zoom = min(16.0, max(1.0, self.zoom * (1.25 if event.angleDelta().y() > 0 else 0.8)))
        growth = self.scale() / before
        if self.zoom == 1.0:
            self.pan = QPointF(0, 0)
        else:
            moved = self.target()
            self.pan += event.position() - QPointF(moved.left() + anchor.x() * growth, moved.top() + anchor.y() * growth)
        self.zoomed.emit()
        self.update()

    def tip(self, row: int, column: int) -> str:
        """Tooltip of a pixel: where it is, what it holds, and what the map says of it."""
        values = self._image[:, row, column]
        shown = ", ".join("hidden" if is_hidden(v) else f"{v:.3f}" if v.dtype.kind == "f" else f"{v}" for v in values)
        if not is_hidden(values).all():
            shown = self.tr("value {0}").format(shown)
        words = self.tr("row {0}, column {1} · {2}").format(row, column, shown)
        mapped = self._overlay[row, column] if self._unit and self._overlay is not None else math.nan
        return words if math.isnan(mapped) else f"{words} · {self._unit.format(mapped)}"

    def changeEvent(self, event: QEvent) -> None:
        """A new palette needs a new checkerboard."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._picture = None
            self.update()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Picture, grid, marks."""
        painter, target, part = QPainter(self), self.target(), event.rect()
        empty = self._image is None or self.spec is None
        if self._ground and (empty or not target.contains(QRectF(part))):
            painter.fillRect(part, theme.colour(self._ground))
        if empty:
            return
        if self._picture is None:
            self._picture = to_qimage(self._compose())
        painter.drawImage(target, self._picture)
        if self._interactive:
            self._draw_grid(painter, target, part)
        self.paint_marks(painter)

    def _compose(self) -> np.ndarray:
        import numpy as np

        rgb = pixels(self._image, self.spec)
        if self._overlay is None or self._overlay.shape[:2] != rgb.shape[:2]:
            return rgb
        if self._overlay.ndim == 3:
            return self._overlay
        low, high = self._overlay_range
        known = ~np.isnan(self._overlay)
        mapped = colour_map((self._overlay - low) / max(high - low, 1e-12))
        rgb = np.where(known[..., None], mapped, rgb).astype(np.uint8)
        if self._blind is not None:
            tint = np.array(theme.colour("bad").getRgb()[:3])
            rgb = np.where(self._blind[..., None], rgb // 3 + tint * 2 // 3, rgb).astype(np.uint8)
        return rgb

    def _draw_grid(self, painter: QPainter, target: QRectF, part: QRect) -> None:
        """Hairlines between pixels, laid as tiles: many times faster than lines."""
        ratio = self.devicePixelRatioF()
        pixel = round(target.width() / self.spec.width * ratio)
        if pixel < GRID_FROM:
            return
        inside = QRectF(part).intersected(target.adjusted(1 / ratio, 1 / ratio, 0, 0))    # none at its left and upper edge
        painter.drawTiledPixmap(inside, _grid_tile(pixel, ratio), inside.topLeft() - target.topLeft())

    def paint_marks(self, painter: QPainter) -> None:
        """Outlines; subclasses add theirs."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.marked_value is not None:
            painter.setPen(QPen(theme.colour("selected", 0.9), 1))
            places = self._image if self.spec.levels else self._image * self.spec.bins // 1
            for row, column in zip(*(places == self.marked_value).any(0).nonzero(), strict=True):
                painter.drawRect(self.rect_of(int(row), int(column)).adjusted(1, 1, -1, -1))
        if self.differs is not None:
            ring = self.rect_of(*self.differs).adjusted(-3, -3, 3, 3)
            painter.setPen(QPen(QColor(0, 0, 0, 160), 3))
            painter.drawRect(ring)
            painter.setPen(QPen(theme.colour("text"), 1.5, Qt.PenStyle.DashLine))
            painter.drawRect(ring)
        for pixel, name, width in ((self.pointed, "text", 1), (self.next, "accent", 2), (self.selected, "selected", 2)):
            if pixel is None:
                continue
            rect = self.rect_of(*pixel)
            painter.setPen(QPen(QColor(0, 0, 0, 110), width + 2))
            painter.drawRect(rect)
            painter.setPen(QPen(theme.colour(name), width))
            painter.drawRect(rect)
