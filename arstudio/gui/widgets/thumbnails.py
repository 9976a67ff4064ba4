"""Small pictures: rows with a picture and two lines for the Library, and a grid of pictures for the history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import pixels, to_qimage
from arstudio.image import ImageSpec

if TYPE_CHECKING:
    import numpy as np


class LibraryRow(QAbstractButton):
    """A picture or icon, a title and a quiet second line. Checkable: the row in use is raised."""

    def __init__(self, title: str, second: str, picture: Path | None = None, icon: str = "") -> None:
        super().__init__()
        self.setText(title)
        self._second = second
        self._picture = QPixmap(str(picture)) if picture is not None and picture.exists() else None
        self._icon = icon
        self.setCheckable(True)
        self.setAutoExclusive(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"{title}, {second}")
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        """One row."""
        return QSize(190, 44)

    def set_second(self, text: str) -> None:
        """Change the second line."""
        if text != self._second:
            self._second = text
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Background when used or under the mouse, picture, two elided lines."""
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
        box = QRectF(8, (self.height() - 32) / 2, 32, 32)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        if self._picture is not None:
            painter.drawPixmap(box, self._picture, QRectF(self._picture.rect()))
        elif self._icon:
            theme.icon(self._icon, "dim").paint(painter, box.adjusted(6, 6, -6, -6).toRect())
        left, width = 50, self.width() - 58
        font = QFont(self.font())
        font.setPixelSize(13)
        font.setWeight(QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(theme.colour("text"))
        text = QFontMetrics(font).elidedText(self.text(), Qt.TextElideMode.ElideRight, width)
        painter.drawText(QPoint(left, self.height() // 2 - 3), text)
        font.setPixelSize(11)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(theme.colour("dim"))
        text = QFontMetrics(font).elidedText(self._second, Qt.TextElideMode.ElideRight, width)
        painter.drawText(QPoint(left, self.height() // 2 + 13), text)

    def enterEvent(self, event: QEvent) -> None:
        """Light up."""
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """And down."""
        self.update()
        super().leaveEvent(event)


class ThumbnailGrid(QWidget):
    """Pictures of past drawings, newest first. `chosen(index)` on a click."""

    chosen = Signal(int)
    CELL, GAP = 44, 6

    def __init__(self) -> None:
        super().__init__()
        self._pictures: list[QPixmap] = []
        self._tips: list[str] = []
        self._hover = -1
        self.setMouseTracking(True)
        self.setAccessibleName(self.tr("History of drawings"))
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_items(self, items: list[tuple[np.ndarray, ImageSpec, str]]) -> None:
        """(image levels (C, H, W), spec, tooltip) each."""
        self._pictures = [QPixmap.fromImage(to_qimage(pixels(image, spec))) for image, spec, _ in items]
        self._tips = [tip for _, _, tip in items]
        self.setMinimumHeight(self.heightForWidth(max(self.width(), 150)))
        self.updateGeometry()
        self.update()

    def count(self) -> int:
        """How many are shown."""
        return len(self._pictures)

    def _columns(self, width: int) -> int:
        return max(1, (width + self.GAP) // (self.CELL + self.GAP))

    def heightForWidth(self, width: int) -> int:
        """As many rows as needed."""
        rows = -(-len(self._pictures) // self._columns(width))
        return max(0, rows * (self.CELL + self.GAP) - self.GAP)

    def rect_of(self, index: int) -> QRectF:
        """Where a picture is."""
        row, column = divmod(index, self._columns(self.width()))
        return QRectF(column * (self.CELL + self.GAP), row * (self.CELL + self.GAP), self.CELL, self.CELL)

    def _at(self, event: QMouseEvent) -> int:
        for i in range(len(self._pictures)):
            if self.rect_of(i).contains(event.position()):
                return i
        return -1

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose."""
        index = self._at(event)
        if index >= 0:
            self.chosen.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up and explain."""
        index = self._at(event)
        if index != self._hover:
            self._hover = index
            self.update()
        if index >= 0:
            QToolTip.showText(event.globalPosition().toPoint(), self._tips[index], self)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self._hover = -1
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Pictures, and a frame under the mouse."""
        painter = QPainter(self)
        for i, picture in enumerate(self._pictures):
            painter.drawPixmap(self.rect_of(i), picture, QRectF(picture.rect()))
        if self._hover >= 0:
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawRect(self.rect_of(self._hover).adjusted(-1, -1, 1, 1))
