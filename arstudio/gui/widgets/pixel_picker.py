"""A picture whose pixels are chosen by mouse or by keys alone.

Left, Right, Home and End belong to the playhead until Up, Down, Page up, Page down or Return bring a caret out. Then they
move it, and the pixel under it is the chosen one; Return or Esc put it away, and so does going elsewhere.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QLineF, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter, QPen

from arstudio.gui import theme
from arstudio.gui.widgets.keys import ALONG, PRESS, STEPS, gone, plain
from arstudio.gui.widgets.pixel_view import PixelView

BY_KEYS = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.ShortcutFocusReason)
FOR_A_MOMENT = (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason, Qt.FocusReason.MenuBarFocusReason)
CORNER = 0.4    # of a pixel's side is each line of the caret long


class PixelPicker(PixelView):
    """`walked(row, column)`: the caret came there. `keys_changed`: they mean something else now, see `framed`, `caret`."""

    walked = Signal(int, int)
    keys_changed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.caret: tuple[int, int] | None = None
        self.framed = False    # the focus came by keys
        self._name = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.call(name)

    def call(self, name: str) -> None:
        """Give it a name, which says what keys do, or where the caret stands, too."""
        self._name = name
        words = self.tr("Up, Down or Return chooses a pixel") if self.caret is None else self.tip(*self.caret)
        if (whole := f"{name}: {words}") != self.accessibleName():
            self.setAccessibleName(whole)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Bring the caret out, move it, use it, put it away."""
        key, walking = event.key(), self.caret is not None
        if self._image is None or not plain(event) or (key in ALONG and not walking):
            super().keyPressEvent(event)
        elif key in STEPS:
            at = self.caret or self.selected
            self._walk_to(self._begin() if at is None else gone(key, at, self.spec.height, self.spec.width))
        elif key in PRESS:
            self._press(self.caret or self.selected)
        elif key == Qt.Key.Key_Escape and walking:
            self.put_away()
        else:
            super().keyPressEvent(event)

    def _begin(self) -> tuple[int, int]:
        return self.next or (self.spec.height // 2, self.spec.width // 2)

    def _press(self, at: tuple[int, int] | None) -> None:
        """As a click on the pixel does; it has chosen the one under the caret already."""
        if at is None:
            self._walk_to(self._begin())
        elif self.brush:
            self.painted.emit(*at)
            self.stroke_ended.emit()
        elif self.caret is not None:
            self.put_away()
        else:
            self.clicked.emit(*at)

    def _walk_to(self, at: tuple[int, int]) -> None:
        if self.caret is None:
            self.installEventFilter(self)    # only now: while a model draws, every look at an event costs it time
        self.caret = at
        self._reveal(at)
        self.walked.emit(*at)
        self._keys_changed()

    def put_away(self) -> None:
        """No caret; the pixel stays chosen."""
        if self.caret is not None:
            self.removeEventFilter(self)
            self.caret = None
            self._keys_changed()

    def _keys_changed(self) -> None:
        self.call(self._name)
        self.update()
        self.keys_changed.emit()

    def reset_view(self) -> None:
        """Fit the image again, or another one, of which nothing is chosen yet."""
        self.put_away()
        super().reset_view()

    def _reveal(self, at: tuple[int, int]) -> None:
        """Move a picture that is zoomed in until the pixel can be seen."""
        rect = self.rect_of(*at)
        x = max(0.0, -rect.left()) - max(0.0, rect.right() - self.width())
        y = max(0.0, -rect.top()) - max(0.0, rect.bottom() - self.height())
        if self.zoom > 1:
            self.pan += QPointF(x, y)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """While the caret is out the keys that move it are not the window's shortcuts."""
        claimed = event.type() == QEvent.Type.ShortcutOverride and event.key() in (*ALONG, Qt.Key.Key_Escape)
        if claimed and plain(event):
            event.accept()
            return True
        return super().eventFilter(watched, event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Framed for whoever came by keys."""
        super().focusInEvent(event)
        if event.reason() not in FOR_A_MOMENT:
            self.framed = event.reason() in BY_KEYS
            self._keys_changed()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Without the keys there is no caret, unless they come back in a moment."""
        super().focusOutEvent(event)
        if event.reason() not in FOR_A_MOMENT:
            self.framed = False
            self.put_away()
            self._keys_changed()

    def paint_marks(self, painter: QPainter) -> None:
        """The marks, then the caret's four corners and the frame."""
        super().paint_marks(painter)
        if self.caret is not None:
            self._paint_caret(painter)
        if self.framed:
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawRect(self.target().adjusted(-1, -1, 1, 1).intersected(self.rect().toRectF().adjusted(1, 1, -1, -1)))

    def _paint_caret(self, painter: QPainter) -> None:
        rect = self.rect_of(*self.caret)
        long = max(4.0, rect.width() * CORNER)
        rect.adjust(-4, -4, 4, 4)
        lines = []
        for corner, x, y in (
            (rect.topLeft(), long, long), (rect.topRight(), -long, long),
            (rect.bottomLeft(), long, -long), (rect.bottomRight(), -long, -long),
        ):
            lines += [QLineF(corner, corner + QPointF(x, 0)), QLineF(corner, corner + QPointF(0, y))]
        for tint, width in ((QColor(0, 0, 0, 170), 5), (QColor("white"), 2)):
            painter.setPen(QPen(tint, width))
            painter.drawLines(lines)
