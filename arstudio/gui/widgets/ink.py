"""The ink: a well with two levels or colours, and a popup to choose from every level the model has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QColorDialog, QFrame, QPushButton, QToolButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import label
from arstudio.gui.widgets.gesture import Ink
from arstudio.gui.widgets.keys import PRESS, STEPS, plain
from arstudio.image import ImageSpec, is_hidden, quantise, to_display

_HUES = ((0, 0), (0, 200), (28, 220), (50, 220), (120, 170), (180, 180), (215, 200), (275, 160), (325, 160))


def ink_colour(ink: Ink, spec: ImageSpec) -> QColor:
    """The colour an ink is shown in."""
    shown = [int(v) for v in to_display(np.array(ink), spec.levels)]
    return QColor(*(shown * 3 if len(shown) == 1 else shown))


def swatches(spec: ImageSpec) -> list[list[Ink]]:
    """Rows of inks to choose from: every level for grey (17 of the reals), a palette in the model's levels for RGB."""
    if spec.channels == 1 and not spec.levels:
        return [[(k / 16,) for k in range(17)]]
    if spec.channels == 1:
        columns = spec.levels if spec.levels <= 17 else 16
        levels = [(v,) for v in range(spec.levels)]
        return [levels[i:i + columns] for i in range(0, len(levels), columns)]
    rows = []
    for value in (90, 150, 205, 255):
        row = []
        for hue, saturation in _HUES:
            shade = {90: 0, 150: 90, 205: 170, 255: 255}[value] if saturation == 0 else value
            row.append(_nearest(QColor.fromHsv(hue, saturation, shade), spec))
        rows.append(row)
    return rows


def used(image: np.ndarray, spec: ImageSpec) -> list[Ink]:
    """The colours that most pixels of an RGB image (C, H, W) have, at most as many as a row of swatches holds."""
    known = image[:, ~is_hidden(image).any(0)].T
    if spec.channels == 1 or not len(known):
        return []
    colours, counts = np.unique(known, axis=0, return_counts=True)
    return [tuple(colour) for colour in colours[np.argsort(-counts, kind="stable")[:len(_HUES)]].tolist()]


def _nearest(colour: QColor, spec: ImageSpec) -> Ink:
    rgb = np.array([colour.red(), colour.green(), colour.blue()]) / 255
    return tuple(quantise(rgb, spec.levels).tolist())


def _words(ink: Ink) -> str:
    return ", ".join(f"{v:.3g}" for v in ink)


class InkWell(QToolButton):
    """Shows the two inks; a click opens the choice. `chosen(Ink)`."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._spec: ImageSpec | None = None
        self._ink: Ink = (0,)
        self._other: Ink = (0,)
        self.picture: Callable[[], np.ndarray | None] = lambda: None    # whose colours are offered first
        self.setObjectName("quiet")
        self.setFixedSize(34, 34)
        self.clicked.connect(self.open)
        self.popup = _Choice(self)
        self.popup.chosen.connect(self.chosen)

    def show_inks(self, ink: Ink, other: Ink, spec: ImageSpec) -> None:
        """Show the ink in use and the other one."""
        self._ink, self._other, self._spec = ink, other, spec
        text = _words(ink)
        self.setAccessibleName(self.tr("Ink level {0}").format(text))
        self.setToolTip(
            self.tr("Ink: level {0} of 0 to {1}\nClick to choose, X exchanges it with the other, "
                    "I takes it from the image.\nThe right button draws with the other ink, level {2}.")
            .format(text, f"{spec.top:g}", _words(self._other))
        )
        self.update()

    def open(self) -> None:
        """Open the choice beside the well."""
        if self._spec is not None:
            image = self.picture()
            first = used(image, self._spec) if image is not None else []
            self.popup.open_at(self.mapToGlobal(QPoint(self.width() + 6, 0)), self._ink, self._spec, first)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Two overlapping squares."""
        super().paintEvent(event)
        if self._spec is None:
            return
        painter = QPainter(self)
        for ink, corner in ((self._other, 14), (self._ink, 6)):
            painter.setPen(QPen(theme.colour("panel"), 3))
            painter.drawRect(QRectF(corner, corner, 14, 14))
            painter.setPen(QPen(theme.colour("dim"), 1))
            painter.setBrush(ink_colour(ink, self._spec))
            painter.drawRect(QRectF(corner, corner, 14, 14))
            painter.setBrush(Qt.BrushStyle.NoBrush)


class _Choice(QFrame):
    """The popup: swatches, the level under the mouse in words, and for RGB any other colour."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._spec: ImageSpec | None = None
        self.grid = SwatchGrid()
        self.words = label("", "small")
        self.more = QPushButton(self.tr("Other colour…"))
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 10, 8)
        column.setSpacing(6)
        for widget in (self.grid, self.words, self.more):
            column.addWidget(widget)
        self.grid.pointed.connect(self._say)
        self.grid.chosen.connect(self._take)
        self.more.clicked.connect(self._ask)

    def open_at(self, point: QPoint, ink: Ink, spec: ImageSpec, first: list[Ink]) -> None:
        """Show the inks of a model below a row of those that come `first`, with one chosen."""
        self._spec, self._ink = spec, ink
        self.setStyleSheet(
            f"_Choice {{ background: {theme.colours().panel}; border: 1px solid {theme.colours().line}; }}"
        )
        self.grid.show_inks([*([first] if first else []), *swatches(spec)], ink, spec)
        self.more.setVisible(spec.channels == 3)
        self._say(ink)
        self.adjustSize()
        self.move(point)
        self.show()
        self.grid.setFocus()

    def _say(self, ink: Ink) -> None:
        self.words.setText(self.tr("level {0} of 0 to {1}").format(_words(ink), f"{self._spec.top:g}"))

    def _take(self, ink: Ink) -> None:
        self.hide()
        self.chosen.emit(ink)

    def _ask(self) -> None:
        self.hide()
        colour = QColorDialog.getColor(ink_colour(self._ink, self._spec), self.parentWidget(), self.tr("Ink"))
        if colour.isValid():
            self.chosen.emit(_nearest(colour, self._spec))


class SwatchGrid(QWidget):
    """Cells to choose from by mouse or arrow keys and Return. `pointed(Ink)`, `chosen(Ink)`."""

    pointed = Signal(object)
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[list[Ink]] = []
        self._spec: ImageSpec | None = None
        self._at = (0, 0)
        self._side = 20
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Levels"))

    def show_inks(self, rows: list[list[Ink]], ink: Ink, spec: ImageSpec) -> None:
        """Rows of inks, one of them marked."""
        self._rows, self._spec = rows, spec
        places = [(r, c) for r, row in enumerate(rows) for c, value in enumerate(row) if value == ink]
        self._at = places[0] if places else (0, 0)
        side = 20 if len(rows) <= 5 else 16
        self._side = 32 if sum(len(row) for row in rows) <= 4 else side
        self.setFixedSize(self.sizeHint())

    def sizeHint(self) -> QSize:
        """All cells."""
        columns = max((len(row) for row in self._rows), default=0)
        return QSize(columns * self._side + 2, len(self._rows) * self._side + 2)

    def rect_of(self, row: int, column: int) -> QRectF:
        """Rectangle of a cell."""
        return QRectF(1 + column * self._side, 1 + row * self._side, self._side, self._side)

    def _find(self, event: QMouseEvent) -> bool:
        row, column = int(event.position().y() - 1) // self._side, int(event.position().x() - 1) // self._side
        if 0 <= row < len(self._rows) and 0 <= column < len(self._rows[row]):
            self._go(row, column)
            return True
        return False

    def _go(self, row: int, column: int) -> None:
        row = min(max(row, 0), len(self._rows) - 1)
        self._at = row, min(max(column, 0), len(self._rows[row]) - 1)
        self.pointed.emit(self._rows[self._at[0]][self._at[1]])
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point."""
        self._find(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Choose."""
        if self._find(event):
            self.chosen.emit(self._rows[self._at[0]][self._at[1]])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows and Return."""
        if event.key() in STEPS:
            down, across = STEPS[event.key()]
            self._go(self._at[0] + down, self._at[1] + across)
        elif event.key() in (*PRESS, Qt.Key.Key_Space):
            self.chosen.emit(self._rows[self._at[0]][self._at[1]])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Every plain key is the popup's."""
        if event.type() == QEvent.Type.ShortcutOverride and plain(event):
            event.accept()
            return True
        return super().event(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Cells, and a frame on the one pointed at."""
        painter = QPainter(self)
        for r, row in enumerate(self._rows):
            for c, ink in enumerate(row):
                painter.fillRect(self.rect_of(r, c), ink_colour(ink, self._spec))
        rect = self.rect_of(*self._at)
        painter.setPen(QPen(QColor(0, 0, 0, 140), 4))
        painter.drawRect(rect.adjusted(1, 1, -1, -1))
        painter.setPen(QPen(theme.colour("accent"), 2))
        painter.drawRect(rect.adjusted(1, 1, -1, -1))
