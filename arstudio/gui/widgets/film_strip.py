"""The same seed, as it learns: one column of samples for each moment at which the trainer drew some.

Moments still to come are quiet checkerboards with their time, so nothing moves when a picture arrives.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QHelpEvent, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import pixels, to_qimage
from arstudio.gui.wording import duration
from arstudio.image import ImageSpec

FRAMES = 8
GAP, LABEL = 8, 18
LARGEST, SMALLEST = 96, 48       # side of a frame, widget pixels

Frame = tuple[float, np.ndarray]    # seconds, (n, C, H, W) levels


class FilmStrip(QWidget):
    """`show_film` with the frames so far and the times planned; `rows` images of each."""

    def __init__(self) -> None:
        super().__init__()
        self._frames: list[Frame] = []
        self._pictures: list[list[QImage]] = []
        self._plan: list[float] = []
        self._spec: ImageSpec | None = None
        self.rows = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Samples of one seed over the training"))

    def sizeHint(self) -> QSize:
        """As high as its rows."""
        return QSize(640, self.height_for(self.width(), self.rows))

    def minimumSizeHint(self) -> QSize:
        """One row of the smallest frames in a narrow window."""
        return QSize(320, self.sizeHint().height())

    def height_for(self, width: int, rows: int) -> int:
        """Height with a number of rows at a width."""
        return int(rows * (self._cell(width)[1] + GAP) - GAP + LABEL + 2)

    def resizeEvent(self, event: object) -> None:
        """Frames follow the width."""
        self.updateGeometry()

    @property
    def frames(self) -> int:
        """Number of moments with pictures."""
        return len(self._frames)

    def set_rows(self, rows: int) -> None:
        """Show that many images of each moment."""
        if rows != self.rows:
            self.rows = rows
            self._pictures = []
            self.updateGeometry()
            self.update()

    def show_film(self, frames: list[Frame], plan: list[float], spec: ImageSpec | None) -> None:
        """Frames in order of time, and the seconds at which all are due (empty: unknown)."""
        if spec != self._spec:
            self._pictures = []
            self._spec = spec
            self.updateGeometry()
        self._frames, self._plan = list(frames), list(plan)
        self.update()

    def _cell(self, width: int) -> tuple[float, float]:
        """(width, height) of a frame: whole multiples of the pixels where FRAMES fit, never tiny."""
        room = (width - (FRAMES - 1) * GAP) / FRAMES
        if self._spec is None:
            side = float(int(min(max(room, SMALLEST), 80)))
            return side, side
        ratio = self.devicePixelRatioF()
        side = max(self._spec.width, self._spec.height) / ratio
        scale = max(int(min(room, LARGEST) // side), -(-SMALLEST // side), 1)
        return self._spec.width * scale / ratio, self._spec.height * scale / ratio

    def _columns(self) -> list[tuple[float, int | None]]:
        """(seconds or −1, frame or None) of every column: all that fits, the first and the newest kept."""
        columns: list[tuple[float, int | None]] = [(frame[0], i) for i, frame in enumerate(self._frames)]
        last = self._frames[-1][0] if self._frames else -1.0
        planned = self._plan if self._plan or self._frames else [-1.0] * FRAMES
        columns += [(seconds, None) for seconds in planned if seconds > last or not self._frames]
        fit = max(2, int((self.width() + GAP) // (self._cell(self.width())[0] + GAP)))
        while len(columns) > fit:
            drop = 1 if len(self._frames) > fit // 2 else len(columns) - 2
            del columns[drop]
        return columns

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Pictures, places for those to come, times."""
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(theme.px(11))
        painter.setFont(font)
        width, height = self._cell(self.width())
        while len(self._pictures) < len(self._frames):
            images = self._frames[len(self._pictures)][1]
            self._pictures.append([to_qimage(pixels(image, self._spec)) for image in images[:self.rows]])
        for column, (seconds, frame) in enumerate(self._columns()):
            x = column * (width + GAP)
            for row in range(self.rows):
                rect = QRectF(x, row * (height + GAP), width, height)
                if frame is not None and row < len(self._pictures[frame]):
                    picture = self._pictures[frame][row]
                    painter.drawImage(rect, picture, QRectF(picture.rect()))
                else:
                    _board(painter, rect)
            if seconds >= 0:
                painter.setPen(theme.colour("text" if frame is not None else "dim", 0.85))
                text = duration(seconds) if column else "0"    # the first is drawn before the first step
                painter.drawText(QPointF(x, self.rows * (height + GAP) - GAP + 14), text)

    def event(self, event: QEvent) -> bool:
        """Tooltips of frames; a new palette needs new checkerboards."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._tip(event.pos().x()), self)
            return True
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._pictures = []
            self.update()
        return super().event(event)

    def _tip(self, x: float) -> str:
        index = int(x // (self._cell(self.width())[0] + GAP))
        columns = self._columns()
        if index >= len(columns):
            return ""
        seconds, frame = columns[index]
        if frame is not None:
            return self.tr("Drawn after {0} of training. Every column uses the same random numbers.").format(
                duration(seconds)
            )
        if seconds < 0:
            return ""
        return self.tr("Will be drawn after {0} of training.").format(duration(seconds))


def _board(painter: QPainter, rect: QRectF, squares: int = 8) -> None:
    painter.fillRect(rect, QColor(theme.colours().check_a))
    side_x, side_y = rect.width() / squares, rect.height() / squares
    painter.setPen(Qt.PenStyle.NoPen)
    for row in range(squares):
        for column in range(row % 2, squares, 2):
            cell = QRectF(rect.left() + column * side_x, rect.top() + row * side_y, side_x, side_y)
            painter.fillRect(cell, QColor(theme.colours().check_b))
