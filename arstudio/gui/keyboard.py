"""The window by keys alone: controls keep those they need, Tab goes through the window as it is read, a start has its place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QAbstractSlider, QApplication, QComboBox, QTabBar, QWidget

from arstudio.gui.widgets.keys import PRESS, plain

CONTROLS = (QAbstractButton, QAbstractSlider, QTabBar, QComboBox, QAbstractItemView)
ARROWS = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down)
MOVE = (*ARROWS, Qt.Key.Key_Home, Qt.Key.Key_End)


class Keyboard(QObject):
    """Lets a control of a window that has the focus keep its keys before single-key shortcuts see them: Space and Return
    press a button, arrows, Home and End move a slider, a tab bar, a list or the choice in a row of buttons, Space opens a
    list of choices, F2 edits in a table."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        QApplication.instance().focusChanged.connect(self._focus_changed)

    def guard(self, root: QWidget) -> None:
        """Watch every control below `root`."""
        for kind in CONTROLS:
            for control in root.findChildren(kind):
                self._watch(control)

    @Slot(QWidget, QWidget)
    def _focus_changed(self, _old: QWidget | None, now: QWidget | None) -> None:
        """Controls are also made later."""
        if isinstance(now, CONTROLS) and self._window.isAncestorOf(now):
            self._watch(now)

    def _watch(self, control: QWidget) -> None:
        control.removeEventFilter(self)
        control.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Claim keys; Return presses a button as Space does."""
        if not isinstance(event, QKeyEvent) or not plain(event):
            return False
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in _kept(watched):
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress and isinstance(watched, QAbstractButton) and event.key() in PRESS:
            watched.click()
            return True
        return False

    def order(self, parts: Iterable[QWidget]) -> None:
        """Tab goes through these parts of the window one after the other, and through what each holds as it was put there."""
        stops = [
            stop for part in parts for stop in (part, *part.findChildren(QWidget))
            if (stop.focusPolicy() & Qt.FocusPolicy.TabFocus or _exclusive(stop))
            and stop.focusProxy() is None and stop.window() is self._window
        ]    # not by nextInFocusChain, after which PySide takes widgets that are still there for deleted
        policies = [stop.focusPolicy() for stop in stops]
        for stop in stops:
            stop.setFocusPolicy(Qt.FocusPolicy.TabFocus)    # without any Qt leaves a widget where it is
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)
        for stop, policy in zip(stops, policies, strict=True):
            stop.setFocusPolicy(policy)


def _exclusive(control: QObject) -> bool:
    """Whether a control is one of several buttons of which one is chosen."""
    return isinstance(control, QAbstractButton) and control.group() is not None and control.group().exclusive()


def _kept(control: QObject) -> tuple[Qt.Key, ...]:
    if isinstance(control, QAbstractButton):
        return (Qt.Key.Key_Space, *PRESS, *(ARROWS if _exclusive(control) else ()))
    if isinstance(control, QComboBox):
        return (*MOVE, Qt.Key.Key_Space)
    return (*MOVE, Qt.Key.Key_Space, Qt.Key.Key_F2) if isinstance(control, QAbstractItemView) else MOVE
