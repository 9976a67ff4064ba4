"""The labelled scale of every map on screen."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import to_qimage
from arstudio.image import colour_map


class ColourScale(QWidget):
    """The colour map from 0 to `high` bits, with both ends labelled."""

    def __init__(self) -> None:
        super().__init__()
        self.high = 1.0
        self.setFixedHeight(14)
        self._show()

    def set_high(self, bits: float, tooltip: str) -> None:
        """Upper end of the scale."""
        self.high = bits
        self.setToolTip(tooltip)
        self._show()

    def _show(self) -> None:
        self.setAccessibleName(self.tr("Colour scale from 0 to {0:g} bits").format(round(self.high, 1)))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """0 bits ▁▂▃ high bits."""
        import numpy as np

        painter = QPainter(self)
        font = self.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(theme.colour("dim"))
        low = self.tr("0")
        high = self.tr("{0:g} bits").format(round(self.high, 1)) if self.high != 1 else self.tr("1 bit")
        metrics = painter.fontMetrics()
        left, right = metrics.horizontalAdvance(low) + 6, metrics.horizontalAdvance(high) + 6
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | middle, low)
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignRight | middle, high)
        bar = QRectF(left, 3, self.width() - left - right, 8)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, to_qimage(colour_map(np.linspace(0, 1, 128))[None]))
