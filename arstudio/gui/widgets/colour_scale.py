"""The labelled scale of every map on screen."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import to_qimage
from arstudio.gui.wording import two_digits
from arstudio.image import colour_map


class ColourScale(QWidget):
    """The colour map with both ends labelled; from 0 to 1 bit at first."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(14)
        self.set_high(1.0, "")

    def set_high(self, bits: float, tooltip: str, *, beyond: bool = False) -> None:
        """From 0 to so many bits, or more with `beyond`: then the brightest colour stands for all that is larger, too."""
        self.high = bits
        self.show_ends(self.tr("0"), f"≥ {in_bits(bits)}" if beyond else in_bits(bits), tooltip)

    def show_ends(self, low: str, high: str, tooltip: str) -> None:
        """Labels of the dark and the bright end."""
        self.ends = low, high
        self.setToolTip(tooltip)
        self.setAccessibleName(self.tr("Colour scale from {0} to {1}").format(low, high))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """low ▁▂▃ high."""
        import numpy as np

        painter = QPainter(self)
        font = self.font()
        font.setPixelSize(theme.px(11))
        painter.setFont(font)
        painter.setPen(theme.colour("dim"))
        metrics, (low, high) = painter.fontMetrics(), self.ends
        left, right = metrics.horizontalAdvance(low) + 6, metrics.horizontalAdvance(high) + 6
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | middle, low)
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignRight | middle, high)
        bar = QRectF(left, 3, self.width() - left - right, 8)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, to_qimage(colour_map(np.linspace(0, 1, 128))[None]))


def in_bits(bits: float) -> str:
    """A number of bits as an end of a scale: 1 bit, 0.25 bits, 3 bits."""
    shown = f"{bits:.1f}".removesuffix(".0") if bits >= 1 else two_digits(bits)
    return f"{shown} bit" if shown == "1" else f"{shown} bits"
