"""Keys of a picture: arrows go from pixel to pixel, Home and End along the row, Page up and Page down along the column."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

FAR = 10**6    # more pixels than a row or a column has
ALONG = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Home: (0, -FAR), Qt.Key.Key_End: (0, FAR),
}
ACROSS = {
    Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0), Qt.Key.Key_PageUp: (-FAR, 0), Qt.Key.Key_PageDown: (FAR, 0),
}
STEPS = ALONG | ACROSS
PRESS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


def plain(event: QKeyEvent) -> bool:
    """True without Ctrl, Shift and the like. The arrows of some keyboards say that they belong to the keypad."""
    return event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


def gone(key: int, at: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The (row, column) at which a key of STEPS arrives from another, inside a picture of that size."""
    row, column = (place + step for place, step in zip(at, STEPS[key], strict=True))
    return min(max(row, 0), height - 1), min(max(column, 0), width - 1)
