"""A picture on which a person works, as it is seen: its sheet, what is hidden of it and hinted about, and completions of it.

A *sheet* is what a person edits: `content`, a level for every site, and `hidden`, the pixels to be drawn by a
model. Content stays below the mask, so taking the mask away brings it back. A completion is shown as a
*preview* in place of the sheet, or as a *ghost* through what is hidden; neither touches the sheet.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import PixelView
from arstudio.gui.widgets.sheet import Sheet, outline
from arstudio.image import to_display


class SheetView(PixelView):
    """`preview_left` when the sheet is seen again after a preview."""

    preview_left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sheet: Sheet | None = None
        self._preview: np.ndarray | None = None
        self._drawn: np.ndarray | None = None         # (H, W) what the preview's model drew
        self._ghost: np.ndarray | None = None         # a completion seen through what is hidden, while drawing goes on
        self._lines: tuple[bytes, list[QLineF]] = (b"", [])

    @property
    def sheet(self) -> Sheet | None:
        """What is on the canvas, a stroke under way included."""
        return self._sheet

    def show_preview(self, image: np.ndarray | None, drawn: np.ndarray | None = None) -> None:
        """Show a completion (C, H, W), −1 where not yet drawn, with the outline of `drawn` (H, W); None: the
        sheet."""
        if image is None and self._preview is None:
            return
        self._preview, self._drawn = image, drawn
        self._refresh()

    def leave_preview(self) -> None:
        """Back to the sheet; says so if there was a preview."""
        if self._preview is not None:
            self._preview = None
            self._refresh()
            self.preview_left.emit()

    @property
    def previewing(self) -> bool:
        """True while a completion is shown."""
        return self._preview is not None

    def show_ghost(self, image: np.ndarray | None) -> None:
        """Let a completion (C, H, W) be seen where the sheet is hidden, while drawing goes on; None: no more."""
        if image is not None or self._ghost is not None:
            self._ghost = image
            self._refresh()

    @property
    def haunted(self) -> bool:
        """True while a completion is seen through what is hidden."""
        return self._ghost is not None

    def _refresh(self) -> None:
        sheet, shown = self._sheet, self._preview
        if sheet is None:
            return
        if shown is None:
            shown = sheet.shown() if self._ghost is None else np.where(sheet.hidden, self._ghost, sheet.content)
        self.show_image(shown.astype(self.spec.dtype), self.spec)
        self.update()

    def paint_marks(self, painter: QPainter) -> None:
        """Hints, and the outline of what is hidden (or was drawn)."""
        super().paint_marks(painter)
        preview = self._preview is not None
        if not preview and self._ghost is None:
            self._paint_hints(painter)
        mask = self._drawn if preview and self._drawn is not None else self._sheet.hidden
        if self._lines[0] != mask.tobytes():
            self._lines = mask.tobytes(), [QLineF(*line) for line in outline(mask)]
        tint = theme.colour("accent" if preview or self._ghost is not None else "known")
        self._draw_lines(painter, self._lines[1], tint, theme.colour("stage", 0.6))

    def _paint_hints(self, painter: QPainter) -> None:
        """A square of the hinted brightness in the middle of each pixel, the larger the surer."""
        tints = to_display(self._sheet.hint, self.spec.levels)
        painter.setPen(QPen(theme.colour("dim", 0.5), 0))
        for row, column in zip(*self._sheet.hinted.nonzero(), strict=True):
            tint = tints[:, row, column].tolist()
            edge = self.scale() * 0.45 * (1 - float(self._sheet.certainty[row, column]))
            painter.setBrush(QColor(*(tint * 3 if len(tint) == 1 else tint)))
            painter.drawRect(self.rect_of(int(row), int(column)).adjusted(edge, edge, -edge, -edge))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_lines(self, painter: QPainter, lines: list[QLineF], tint: QColor, halo: QColor) -> None:
        if not lines:
            return
        width = 1.5 * self.devicePixelRatioF()    # cosmetic pens are as wide as they say in the screen's own pixels
        painter.save()
        painter.translate(self.target().topLeft())
        painter.scale(self.scale(), self.scale())
        for colour, thick in ((halo, width * 7 / 3), (tint, width)):
            pen = QPen(colour, thick)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawLines(lines)
        painter.restore()
