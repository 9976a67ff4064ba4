"""Where images are hard to predict: the mean bits of every pixel, at whole multiples, with its scale below."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QVBoxLayout, QWidget

from arstudio.gui.widgets.colour_scale import ColourScale, in_bits
from arstudio.gui.widgets.pixel_view import to_qimage
from arstudio.image import colour_map

LARGEST = 176      # side of the map, widget pixels


class LossMap(QWidget):
    """`show_map` (H, W) bits; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.map = _Map()
        self.scale = ColourScale()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.map, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.scale)
        self.hide()

    def show_map(self, bits: np.ndarray | None) -> None:
        """Show a map, from 0 to its largest value; nothing is painted again for one that is shown already."""
        self.setVisible(bits is not None)
        if bits is None or bits is self.map.bits:
            self.map.bits = bits
            return
        high = max(float(np.nanmax(bits, initial=0.0)), 1e-6)
        self.scale.set_high(high, self.tr("Mean −log₂ p(pixel | past) over validation images: dark is easy, bright is hard"))
        self.map.show_bits(bits, high)


class _Map(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.bits: np.ndarray | None = None
        self._picture = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Bits per pixel"))

    def show_bits(self, bits: np.ndarray, high: float) -> None:
        """Paint (H, W) bits, `high` brightest."""
        if self.bits is None or self.bits.shape != bits.shape:
            self.updateGeometry()
        self.bits, self._picture = bits, to_qimage(colour_map(bits / high))
        words = self.tr("From {0} to {1} a pixel, {2} on average")
        self.setAccessibleDescription(words.format(in_bits(bits.min()), in_bits(bits.max()), in_bits(bits.mean())))
        self.update()

    def sizeHint(self) -> QSize:
        """A whole multiple of the image."""
        if self.bits is None:
            return QSize(0, 0)
        height, width = self.bits.shape
        unit = max(1, LARGEST // max(height, width))
        return QSize(width * unit, height * unit)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """One square a pixel."""
        if self._picture is not None and self.bits is not None:
            QPainter(self).drawImage(QRectF(self.rect()), self._picture)

    def event(self, event: QEvent) -> bool:
        """The figure under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self.bits is not None:
            QToolTip.showText(event.globalPos(), self.tip(event.pos().x(), event.pos().y()), self)
            return True
        return super().event(event)

    def tip(self, x: int, y: int) -> str:
        """What is known of the pixel at a place of the widget."""
        height, width = self.bits.shape
        row, column = min(y * height // max(self.height(), 1), height - 1), min(x * width // max(self.width(), 1), width - 1)
        return self.tr("Row {0}, column {1}: {2} on average").format(row, column, in_bits(float(self.bits[row, column])))
