"""An image of levels, drawn as pixels: nearest-neighbour at whole multiples, hidden sites as a quiet checkerboard.

Shows one image, an optional map over it, the next pixel, the selected pixel and the one under the mouse.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QLineF, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.image import ImageSpec, colour_map, is_hidden, to_display

if TYPE_CHECKING:
    import numpy as np

GRID_FROM = 8    # device pixels per image pixel from which the hairline grid is drawn


def pixels(image: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """(C, H, W) levels or reals -> (H, W, 3) uint8 with the checkerboard where all channels are hidden (`is_hidden`)."""
    import numpy as np

    shown = to_display(image, spec.levels).transpose(1, 2, 0)
    board = _checkerboard(spec.height, spec.width, theme.colours().check_a, theme.colours().check_b)
    return np.where(is_hidden(image).all(0)[..., None], board, shown)


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
    """(H, W, 3) uint8 -> QImage that owns its bytes."""
    import numpy as np

    rgb = np.ascontiguousarray(rgb)
    height, width, _ = rgb.shape
    return QImage(rgb.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


class PixelView(QWidget):
    """One image. `clicked(row, column)`, `hovered(row, column)` or hovered(-1, -1) when the mouse leaves; with `brush`
    on, `painted(row, column)` for every pixel that the left button passes over, then `stroke_ended`."""

    clicked = Signal(int, int)
    hovered = Signal(int, int)
    painted = Signal(int, int)
    stroke_ended = Signal()

    def __init__(self, parent: QWidget | None = None, *, interactive: bool = True) -> None:
        super().__init__(parent)
        self.spec: ImageSpec | None = None
        self._image: np.ndarray | None = None
        self._picture: QImage | None = None
        self._overlay: np.ndarray | None = None
        self._overlay_range = (0.0, 1.0)
        self._blind: np.ndarray | None = None
        self._ground = ""
        self._grid: list[QLineF] = []
        self._grid_place: tuple[float, ...] = ()
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

    # -- content --------------------------------------------------------------------------------------------

    def show_image(self, image: np.ndarray | None, spec: ImageSpec | None) -> None:
        """(C, H, W) levels, hidden sites below 0. Repaints only what changed."""
        shown, alike = self._image, spec == self.spec
        part = None
        if image is not None and shown is not None and alike and image.shape == shown.shape:
            if same_image(image, shown):
                return
            part = self._part(image, shown)
        if not alike:
            self.reset_view()
        self._image, self.spec = (None if image is None else image.copy()), spec
        self._picture = None
        if part is None:
            self.update()
        else:
            self.update(part)

    def _part(self, image: np.ndarray, shown: np.ndarray) -> QRect:
        """Where two images of one size differ, in the widget."""
        different = (image != shown).any(0)    # where both are NaN too, which paints a little more than needed
        rows, columns = different.any(1).nonzero()[0], different.any(0).nonzero()[0]
        first, last = self.rect_of(int(rows[0]), int(columns[0])), self.rect_of(int(rows[-1]), int(columns[-1]))
        return first.united(last).adjusted(-2, -2, 2, 2).toAlignedRect()

    def show_overlay(
        self, values: np.ndarray | None, low: float = 0.0, high: float = 1.0, blind: np.ndarray | None = None
    ) -> None:
        """(H, W) map drawn instead of the image's own colours where it is a number, NaN elsewhere; None to remove it.
        A picture, (H, W, 3) uint8, takes the image's place as it is. `blind` (H, W) bool pixels are tinted as unseen."""
        if values is None and self._overlay is None:
            return
        if values is not None and values.dtype != "uint8":
            values = values.astype("float64")
        self._overlay, self._blind, self._overlay_range = values, blind, (low, high)
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
        for new, old in zip(state[:-1], before[:-1], strict=True):
            for pixel in {new, old} - {None} if new != old else ():
                self.update(self.rect_of(*pixel).adjusted(-3, -3, 3, 3).toAlignedRect())

    def mark_difference(self, pixel: tuple[int, int] | None) -> None:
        """Ring the pixel at which this image first differs from the one beside it."""
        if pixel != self.differs:
            self.differs = pixel
            self.update()

    def image(self) -> np.ndarray | None:
        """What is shown."""
        return self._image

    # -- geometry -------------------------------------------------------------------------------------------

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
        return QRectF(left, top, width, height)

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
        target = self.target()
        s = target.width() / self.spec.width if self.spec is not None else 1.0
        return QRectF(target.left() + column * s, target.top() + row * s, s, s)

    def reset_view(self) -> None:
        """Fit the image again."""
        self.zoom, self.pan = 1.0, QPointF(0, 0)
        self.update()

    def sizeHint(self) -> QSize:
        """Room for a picture that can be read."""
        return QSize(360, 360)

    # -- events ---------------------------------------------------------------------------------------------

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
        self.update()

    def tip(self, row: int, column: int) -> str:
        """Tooltip of a pixel: where it is and what it holds."""
        values = self._image[:, row, column] if self._image is not None else []
        shown = ", ".join("hidden" if is_hidden(v) else f"{v:.3f}" if v.dtype.kind == "f" else f"{v}" for v in values)
        return self.tr("row {0}, column {1} · {2}").format(row, column, shown)

    def changeEvent(self, event: QEvent) -> None:
        """A new palette needs a new checkerboard."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._picture = None
            self.update()
        super().changeEvent(event)

    # -- painting -------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Picture, grid, marks."""
        painter, target, s = QPainter(self), self.target(), self.scale()
        empty = self._image is None or self.spec is None
        if self._ground and (empty or not target.contains(QRectF(event.rect()))):
            painter.fillRect(event.rect(), theme.colour(self._ground))
        if empty:
            return
        if self._picture is None:
            self._picture = to_qimage(self._compose())
        painter.drawImage(target, self._picture, QRectF(0, 0, self.spec.width, self.spec.height))
        if s * self.devicePixelRatioF() >= GRID_FROM and self._interactive:
            self._draw_grid(painter, target, s, event.rect())
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

    def _draw_grid(self, painter: QPainter, target: QRectF, s: float, part: QRect) -> None:
        painter.setPen(QPen(QColor(128, 128, 128, 38), 0))
        inside = QRectF(part).intersected(target)
        if inside.height() < target.height() / 2:    # a line costs what it is long, whatever of it is to be seen
            xs = range(max(1, int((inside.left() - target.left()) / s)), self.spec.width)
            ys = range(max(1, int((inside.top() - target.top()) / s)), self.spec.height)
            upright = (target.left() + x * s for x in xs)
            level = (target.top() + y * s for y in ys)
            lines = [QLineF(x, inside.top(), x, inside.bottom()) for x in upright if x <= inside.right()]
            lines += [QLineF(inside.left(), y, inside.right(), y) for y in level if y <= inside.bottom()]
            painter.drawLines(lines)
            return
        place = (target.left(), target.top(), s, self.spec.width, self.spec.height)
        if place != self._grid_place:    # a list of lines is drawn at once, fifty calls are not
            self._grid_place = place
            xs = [target.left() + column * s for column in range(1, self.spec.width)]
            ys = [target.top() + row * s for row in range(1, self.spec.height)]
            self._grid = [QLineF(x, target.top(), x, target.bottom()) for x in xs]
            self._grid += [QLineF(target.left(), y, target.right(), y) for y in ys]
        painter.drawLines(self._grid)

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
