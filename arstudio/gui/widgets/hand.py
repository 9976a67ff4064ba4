"""The hand: hold Space over a picture that is zoomed in and drag it. Space that is only tapped stays what it was."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QMouseEvent

from arstudio.gui.widgets.pixel_view import PixelView

KEYS = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease)
MOUSE = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease)


class Hand(QObject):
    """Watches a view while it is zoomed in. `tapped`: Space was let go and nothing was moved."""

    tapped = Signal()

    def __init__(self, view: PixelView) -> None:
        super().__init__(view)
        self.view = view
        self.held = False
        self._moved = False
        self._from: QPointF | None = None
        self._cursor = view.cursor()
        view.zoomed.connect(self._zoomed)

    @Slot()
    def _zoomed(self) -> None:
        """A picture that is seen whole cannot be moved, and its events need no look from here."""
        self.view.removeEventFilter(self)
        if self.view.zoom > 1:
            self.view.installEventFilter(self)
        else:
            self._let_go()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Space, and what the mouse does while it is held."""
        kind = event.type()
        if kind in KEYS and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space and not event.modifiers():
            return self._space(event)
        if kind in MOUSE and self.held:
            return self._drag(event)
        if kind == QEvent.Type.FocusOut:
            self._let_go()
        return False

    def _space(self, event: QKeyEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()    # the window's shortcut has to wait until it is let go
        elif event.isAutoRepeat():
            pass
        elif event.type() == QEvent.Type.KeyPress:
            self.held, self._moved, self._cursor = True, False, self.view.cursor()
            self.view.setCursor(Qt.CursorShape.OpenHandCursor)
        elif self.held:
            moved = self._moved
            self._let_go()
            if not moved:
                self.tapped.emit()
        return True

    def _drag(self, event: QMouseEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._from = event.position() - self.view.pan
            self.view.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.type() == QEvent.Type.MouseMove and self._from is not None:
            self._moved = True
            self.view.pan = event.position() - self._from
            self.view.update()
        elif event.type() == QEvent.Type.MouseButtonRelease:
            self._from = None
            self.view.setCursor(Qt.CursorShape.OpenHandCursor)
        return True

    def _let_go(self) -> None:
        if self.held:
            self.held, self._from = False, None
            self.view.setCursor(self._cursor)
