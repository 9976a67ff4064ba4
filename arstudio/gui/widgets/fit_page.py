"""Fitting a picture to the model: on the left what is taken of it, on the right exactly the levels that come of it.

Drag the frame, turn the wheel over it to take more or less, or use arrows, + and −.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import Elided, Segmented, label, section
from arstudio.gui.widgets.fitting import Box, Fit, Incoming
from arstudio.gui.widgets.pixel_view import PixelView, to_qimage
from arstudio.image import ImageSpec

SHOWN = 800    # longest side, in pixels, of what the left side paints
OPPOSITE = 0.6    # difference of brightness, of 1, between the edge of a picture and that of what the model draws
CHECKS = 24    # squares along the longest side where a picture is transparent


class FitPage(QWidget):
    """`taken(content (C, H, W), hidden (H, W), name)` when the picture is accepted, `dropped()` when it is not."""

    taken = Signal(object, object, str)
    dropped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.incoming: Incoming | None = None
        self._spec: ImageSpec | None = None
        self._levels: np.ndarray | None = None
        self._hidden: np.ndarray | None = None
        self._suggested = False    # inverting was this page's idea
        self.title = Elided("title")
        self.frame = CropFrame()
        self.view = _Corner()
        self.view.setAccessibleName(self.tr("As the model will get it"))
        self.sentence = label("", "small", wrap=True)
        self.crop = Segmented(
            [("part", self.tr("A part")), ("whole", self.tr("All of it"))],
            {"part": self.tr("Take what is inside the frame: drag it, turn the wheel over it, or use arrows, + and −"),
             "whole": self.tr("Take the whole picture, with margins in the colour of its edge")},
        )
        self.crop.setFixedWidth(160)
        self.invert, self.stretch, self.hide_clear = (
            QToolButton(text=text, checkable=True) for text in
            (self.tr("Invert"), self.tr("Stretch contrast"), self.tr("Hide transparent"))
        )
        self.invert.setToolTip(self.tr("Exchange light and dark: for drawings on paper, when the model draws light on dark"))
        self.stretch.setToolTip(self.tr("The darkest pixel becomes black, the brightest white"))
        self.hide_clear.setToolTip(self.tr("Transparent parts are for the model to draw; otherwise they are black"))
        self.hide_clear.setChecked(True)
        self.use = QPushButton(self.tr("Use picture"))
        self.use.setObjectName("primary")
        self.use.setToolTip(self.tr("Put it on the canvas as shown on the right (Ctrl+Return)"))
        self.drop = QPushButton(self.tr("Cancel"))
        self.drop.setToolTip(self.tr("Leave the canvas as it is (Esc)"))
        self._lay_out()
        self.frame.moved.connect(self._refit)
        self.crop.chosen.connect(self._refit)
        for box in (self.invert, self.stretch, self.hide_clear):
            box.toggled.connect(self._refit)
        self.use.clicked.connect(self.accept)
        self.drop.clicked.connect(self.leave)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(10)
        column.addWidget(self.title)
        sides = QHBoxLayout()
        sides.setSpacing(24)
        for heading, widget in (
            (self.tr("The picture"), self.frame), (self.tr("As the model will get it"), self.view),
        ):
            side = QVBoxLayout()
            side.setSpacing(8)
            side.addWidget(section(heading))
            side.addWidget(widget, 1)
            sides.addLayout(side, 1)
        column.addLayout(sides, 1)
        column.addWidget(self.sentence)
        choices = QHBoxLayout()
        choices.setSpacing(8)
        for widget in (self.crop, self.invert, self.stretch, self.hide_clear):
            choices.addWidget(widget)
        choices.addStretch()
        column.addLayout(choices)
        act = QHBoxLayout()
        act.setSpacing(8)
        act.addWidget(self.use)
        act.addWidget(self.drop)
        act.addStretch()
        column.addLayout(act)

    def offer(self, incoming: Incoming, spec: ImageSpec, ground: float | None = None) -> None:
        """Show a picture, or the same one for another model, and what would come of it. `ground`: how bright the edge of
        what the model draws is, 0 to 1, None where that is not known; a grey picture on the opposite ground is inverted."""
        fresh = incoming is not self.incoming
        self.incoming, self._spec = incoming, spec
        if fresh:
            self._suggested = ground is not None and spec.channels == 1 and abs(incoming.brightness_of_edge - ground) > OPPOSITE
            for box, checked in ((self.invert, self._suggested), (self.stretch, False), (self.hide_clear, True)):
                box.blockSignals(True)
                box.setChecked(checked)
                box.blockSignals(False)
            self.crop.set_key("part")
        self.hide_clear.setVisible(incoming.alpha is not None)
        self.title.setText(self.tr("Fit {0}").format(incoming.name))
        self.frame.show_picture(incoming, spec)
        self.crop.setEnabled(self.frame.can_crop)
        self._refit()
        self.frame.setFocus()

    @property
    def fit(self) -> Fit:
        """What is chosen."""
        return Fit(
            self.frame.box if self.frame.moved_by_hand else None, self.crop.key() == "whole", self.invert.isChecked(),
            self.stretch.isChecked(), self.hide_clear.isChecked(),
        )

    @Slot()
    def _refit(self) -> None:
        if self.incoming is None:
            return
        fit, spec = self.fit, self._spec
        self.frame.set_whole(fit.whole)
        self._levels, self._hidden = self.incoming.levels(spec, fit), self.incoming.hidden(spec, fit)
        self.view.show_image(np.where(self._hidden, spec.hidden, self._levels).astype(spec.dtype), spec)
        self.frame.set_hiding(fit.hide)
        words = self.incoming.sentence(spec, fit)
        if self._suggested and fit.invert:
            ground = self.tr("black") if self.incoming.brightness_of_edge > 0.5 else self.tr("white")
            words += self.tr(" Inverted because this model draws on {0}.").format(ground)
        self.sentence.setText(words)

    @Slot()
    def accept(self) -> None:
        """Hand over what the right side shows."""
        if self.incoming is not None:
            name, self.incoming = self.incoming.name, None
            self.taken.emit(self._levels, self._hidden, name)

    @Slot()
    def leave(self) -> None:
        """Forget the picture."""
        if self.incoming is not None:
            self.incoming = None
            self.dropped.emit()


class _Corner(PixelView):
    """In the upper left corner, as the picture beside it."""

    def target(self) -> QRectF:
        """Where the image is painted."""
        found = super().target()
        found.moveTopLeft(QPointF(0, 0))
        return found


class CropFrame(QWidget):
    """The picture with a frame of the model's proportions. `moved()` after every change of `box`."""

    moved = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.moved_by_hand = False
        self._picture: QImage | None = None
        self._flat: np.ndarray | None = None    # (H, W, 3), what is transparent laid on black
        self._clear: np.ndarray | None = None   # (H, W) how transparent, 0 to 1
        self._hiding = True
        self._size = (1, 1)                     # of the picture the box speaks of
        self._box: Box = (0, 0, 1, 1)
        self._whole = False
        self._grip: QPointF | None = None       # where in the box it is held, in its pixels
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 120)
        self.setCursor(Qt.CursorShape.SizeAllCursor)
        self.setAccessibleName(self.tr("Which part of the picture is taken"))
        self.setAccessibleDescription(self.tr("Arrow keys move the frame, plus and minus change its size."))

    def show_picture(self, incoming: Incoming, spec: ImageSpec) -> None:
        """A picture with the largest frame in its middle."""
        self._size, self._box, self.moved_by_hand = incoming.picture.size, incoming.box(spec, Fit()), False
        shown, alpha = incoming.picture.copy(), None if incoming.alpha is None else incoming.alpha.copy()
        for part in (shown, alpha):
            if part is not None:
                part.thumbnail((SHOWN, SHOWN))
        self._flat = np.asarray(shown.convert("RGB"))
        self._clear = None if alpha is None else 1 - np.asarray(alpha) / 255
        self._picture = None
        self._proportions = spec.width / spec.height
        self._smallest = min(float(spec.width), self._box[2] - self._box[0])
        self.update()

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels of the incoming picture."""
        return self._box

    @property
    def can_crop(self) -> bool:
        """False for a picture that has the proportions and no pixel to spare."""
        wide = self._box[2] - self._box[0]
        return (wide, self._box[3] - self._box[1]) != self._size or wide > self._smallest

    def set_whole(self, whole: bool) -> None:
        """Without or with a frame."""
        if whole != self._whole:
            self._whole = whole
            self.update()

    def set_hiding(self, hiding: bool) -> None:
        """Transparent parts are for the model to draw, and checked as such, or black."""
        if hiding != self._hiding:
            self._hiding, self._picture = hiding, None
            self.update()

    def _compose(self) -> QImage:
        if self._clear is None or not self._hiding:
            return to_qimage(self._flat)
        size = max(1, max(self._clear.shape) // CHECKS)
        row, column = np.indices(self._clear.shape) // size
        squares = np.array([theme.colour(name).getRgb()[:3] for name in ("check_a", "check_b")])[(row + column) % 2]
        return to_qimage((self._flat + squares * self._clear[..., None]).round().clip(0, 255).astype(np.uint8))

    def changeEvent(self, event: QEvent) -> None:
        """A new palette needs another checkerboard."""
        if event.type() == QEvent.Type.PaletteChange:
            self._picture = None
            self.update()
        super().changeEvent(event)

    def sizeHint(self) -> QSize:
        """Half of a page."""
        return QSize(300, 300)

    def target(self) -> QRectF:
        """Where the picture is painted."""
        width, height = self._size
        scale = min(self.width() / width, self.height() / height)
        return QRectF(0, 0, width * scale, height * scale)

    def rect_of_box(self) -> QRectF:
        """Where the frame is painted."""
        target = self.target()
        scale, (left, top, right, bottom) = target.width() / self._size[0], self._box
        return QRectF(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale)

    def move_to(self, left: float, top: float, width: float | None = None) -> None:
        """Put the frame somewhere, kept inside the picture; `width` in pixels of it."""
        across, down = self._size
        wide = min(max(width or self._box[2] - self._box[0], self._smallest), across, down * self._proportions)
        high = min(wide / self._proportions, down)
        left, top = min(max(left, 0.0), across - wide), min(max(top, 0.0), down - high)
        box = left, top, min(left + wide, across), min(top + high, down)
        if box != self._box and not self._whole:
            self._box, self.moved_by_hand = box, True
            self.update()
            self.moved.emit()

    def _resize(self, factor: float, x: float, y: float) -> None:
        """Larger or smaller around a place, 0 to 1 across and down the box."""
        left, top, right, _ = self._box
        self.move_to(left, top, (right - left) * factor)
        grown = self._box[2] - self._box[0] - (right - left)
        self.move_to(left - grown * x, top - grown / self._proportions * y)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Hold the frame; a press beside it brings its middle there."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        rect = self.rect_of_box()
        self._grip = event.position() - rect.topLeft() if rect.contains(event.position()) else rect.center() - rect.topLeft()
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move it."""
        if self._grip is not None:
            scale = self._size[0] / max(1.0, self.target().width())
            corner = event.position() - self._grip
            self.move_to(corner.x() * scale, corner.y() * scale)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Let go."""
        self._grip = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Take less or more around the pointer."""
        rect, at = self.rect_of_box(), event.position()
        x, y = (at.x() - rect.left()) / max(1.0, rect.width()), (at.y() - rect.top()) / max(1.0, rect.height())
        self._resize(0.9 if event.angleDelta().y() > 0 else 1 / 0.9, min(max(x, 0), 1), min(max(y, 0), 1))
        event.accept()

    STEPS = {
        Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
    }
    SIZES = {Qt.Key.Key_Plus: 0.9, Qt.Key.Key_Equal: 0.9, Qt.Key.Key_Minus: 1 / 0.9}

    def event(self, event: QEvent) -> bool:
        """Its keys are not the window's while it has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in (*self.STEPS, *self.SIZES):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move by a twentieth of the frame, + and − change its size."""
        left, top, right, _ = self._box
        if event.key() in self.STEPS:
            x, y = self.STEPS[event.key()]
            step = max(1.0, (right - left) / 20)
            self.move_to(left + x * step, top + y * step)
        elif event.key() in self.SIZES:
            self._resize(self.SIZES[event.key()], 0.5, 0.5)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The picture, dim outside the frame."""
        if self._flat is None:
            return
        if self._picture is None:
            self._picture = self._compose()
        painter = QPainter(self)
        target, frame = self.target(), self.rect_of_box()
        few = max(self._size) <= 64
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not few)
        painter.drawImage(target, self._picture)
        if self._whole:
            return
        shade = QColor(theme.colour("stage", 0.72))
        for outside in (
            QRectF(0, 0, target.width(), frame.top()),
            QRectF(0, frame.bottom(), target.width(), target.height() - frame.bottom()),
            QRectF(0, frame.top(), frame.left(), frame.height()),
            QRectF(frame.right(), frame.top(), target.width() - frame.right(), frame.height()),
        ):
            painter.fillRect(outside, shade)
        painter.setPen(QPen(QColor(0, 0, 0, 140), 4))
        painter.drawRect(frame.adjusted(1, 1, -1, -1))
        painter.setPen(QPen(theme.colour("accent"), 2))
        painter.drawRect(frame.adjusted(1, 1, -1, -1))
