"""Rows with a picture and two lines, for the Library."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from arstudio.gui import theme

FIGURE_EDGE = 4    # widget pixels right of the figures, and left of them at least
LEFT = 44          # where the words begin
TITLE, SECOND = (13, 12, 11), (11, 10)    # sizes of the lines: rather small than cut off


def fitting(font: QFont, sizes: tuple[int, ...], words: str, room: int) -> QFont:
    """The first size in which `words` fit in `room` widget pixels, the last one if they fit in none."""
    font = QFont(font)
    for size in sizes:
        font.setPixelSize(size)
        if QFontMetrics(font).horizontalAdvance(words) <= room:
            break
    return font


class LibraryRow(QAbstractButton):
    """A picture or icon, a title and a quiet second line with a figure at its end. Checkable: the row in use is raised."""

    def __init__(self, title: str, second: str, picture: Path | None = None, icon: str = "", figure: str = "") -> None:
        super().__init__()
        self.setText(title)
        self._second, self._figure = second, figure
        self._picture = QPixmap(str(picture)) if picture is not None and picture.exists() else None
        self._icon = icon
        self.setCheckable(True)
        self.setAutoExclusive(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(", ".join(words for words in (title, second, figure) if words))
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        """One row."""
        return QSize(190, 44)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Background when used or under the mouse, picture, two elided lines, the figure."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(0, 1, 0, -1)
        if self.isChecked() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("raised" if self.isChecked() else "hover", 1.0 if self.isChecked() else 0.5))
            painter.drawRoundedRect(area, 6, 6)
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        box = QRectF(6, (self.height() - 32) / 2, 32, 32)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        if self._picture is not None:
            painter.drawPixmap(box, self._picture, QRectF(self._picture.rect()))
        elif self._icon:
            theme.icon(self._icon, "dim").paint(painter, box.adjusted(6, 6, -6, -6).toRect())
        left, width = LEFT, self.width() - LEFT - FIGURE_EDGE
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal)
        font = fitting(font, TITLE, self.text(), width)
        painter.setFont(font)
        painter.setPen(theme.colour("text"))
        text = QFontMetrics(font).elidedText(self.text(), Qt.TextElideMode.ElideMiddle, width)    # runs differ at their end
        painter.drawText(QPoint(left, self.height() // 2 - 3), text)
        font.setPixelSize(SECOND[0])
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(theme.colour("dim"))
        below = self.height() // 2 + 13
        if self._figure:
            wide = QFontMetrics(font).horizontalAdvance(self._figure)
            painter.drawText(QPoint(self.width() - FIGURE_EDGE - wide, below), self._figure)
            width -= wide + FIGURE_EDGE
        font = fitting(font, SECOND, self._second, width)
        painter.setFont(font)
        painter.drawText(QPoint(left, below), QFontMetrics(font).elidedText(self._second, Qt.TextElideMode.ElideRight, width))

    def enterEvent(self, event: QEvent) -> None:
        """Light up."""
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """And down."""
        self.update()
        super().leaveEvent(event)
