"""Where completions agree: an entropy map over the dimmed image, its colour scale, and what the outlines
mean."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.colour_scale import ColourScale
from arstudio.gui.widgets.completions import Completions
from arstudio.gui.widgets.controls import label, section
from arstudio.gui.widgets.pixel_view import PixelView
from arstudio.gui.widgets.sheet import Sheet
from arstudio.image import ImageSpec, is_hidden


class AgreementMap(PixelView):
    """The image, dimmed, with bits of entropy in colour where pixels were drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.setAccessibleName(self.tr("Agreement map"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def tip(self, row: int, column: int) -> str:
        """Entropy of a pixel."""
        if self._overlay is None or np.isnan(self._overlay[row, column]):
            return super().tip(row, column)
        return self.tr("row {0}, column {1} · H = {2:.2f} bits over {3} completions").format(
            row, column, float(self._overlay[row, column]), self.count
        )

    def _compose(self) -> np.ndarray:
        rgb = super()._compose()
        stage = theme.colour("stage")
        ground = np.array([stage.red(), stage.green(), stage.blue()])
        fits = self._overlay is not None and self._overlay.shape == self._image.shape[1:]
        quiet = np.isnan(self._overlay) if fits else ~is_hidden(self._image).any(0)
        return np.where(quiet[..., None], rgb * 0.4 + ground * 0.6, rgb).astype(np.uint8)


class LegendMark(QLabel):
    """A small square: an outline in a colour of the palette, or the checkerboard."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.setFixedSize(QSize(14, 14))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The square."""
        painter = QPainter(self)
        if self._name in ("hidden", "hint"):
            for i in range(4):
                side = theme.colour("check_b" if i in (0, 3) else "check_a")
                painter.fillRect(QRectF(1 + 6 * (i % 2), 1 + 6 * (i // 2), 6, 6), side)
            if self._name == "hint":
                painter.fillRect(QRectF(4, 4, 6, 6), theme.colour("dim"))
            painter.setPen(QPen(theme.colour("known"), 1.5))
        else:
            painter.setPen(QPen(theme.colour(self._name), 1.5))
        painter.drawRect(QRectF(1, 1, 12, 12))


class AgreementColumn(QWidget):
    """The map with its heading, scale, a sentence, and the legend of the canvas. `picture` is square in the
    layout."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        self.heading = section(self.tr("Agreement"))
        self.map = AgreementMap()
        self.scale = ColourScale()
        self.words = label("", "small", wrap=True)
        for widget in (self.heading, self.map, self.scale, self.words):
            column.addWidget(widget)
        column.addSpacing(8)
        column.addWidget(section(self.tr("On the canvas")))
        self._legend: dict[str, QWidget] = {}
        for name, text in (
            ("hidden", self.tr("hidden, to be drawn")), ("hint", self.tr("hidden, about this bright")),
            ("accent", self.tr("drawn by the model")),
        ):
            self._legend[name] = QWidget()
            row = QHBoxLayout(self._legend[name])
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(8)
            row.addWidget(LegendMark(name))
            row.addWidget(label(text, "small"), 1)
            column.addWidget(self._legend[name])
        self.show_hints(False)
        column.addStretch()

    def show_hints(self, some: bool) -> None:
        """Explain hints where there are some."""
        self._legend["hint"].setVisible(some)

    def fit(self, width: int, height: int, spec: ImageSpec) -> None:
        """Take a size; the map gets the largest whole multiple that leaves room for the words."""
        multiple = max(1, min(width // spec.width, (height - 170) // spec.height))
        self.map.setFixedSize(spec.width * multiple, spec.height * multiple)
        self.scale.setFixedWidth(min(width, max(120, spec.width * multiple)))

    def show_sheet(self, sheet: Sheet, spec: ImageSpec, words: str = "") -> None:
        """Before there are completions: what is known, and `words` or an invitation."""
        self.heading.setText(self.tr("Agreement").upper())
        self.map.show_overlay(None)
        self.map.show_image(sheet.shown(), spec)
        self.words.setText(
            words or self.tr("Complete the picture to see where the completions agree and where they differ.")
        )
        self.scale.setVisible(False)

    def show_completions(self, found: Completions, spec: ImageSpec) -> None:
        """Entropy over the completions, pixel by pixel."""
        bits, high = found.agreement()
        self.heading.setText(self.tr("Agreement of {0}").format(found.count).upper())
        self.map.count = found.count
        self.map.show_image(found.images[0], spec)
        self.map.show_overlay(bits, 0.0, high)
        explanation = self.tr(
            "H = −Σ p log₂ p over the completions, 0 where all agree.\n"
            "{0} images of {1} levels can differ by at most log₂ {2} = {3:.3g} bits."
        ).format(found.count, spec.bins, min(spec.bins, max(found.count, 2)), high)
        if spec.channels > 1:
            explanation += self.tr("\nShown is the mean over the channels.")
        self.scale.set_high(high, explanation)
        self.scale.setVisible(True)
        self.map.setToolTip(explanation)
        mean = float(np.nanmean(bits)) if not np.isnan(bits).all() else 0.0
        words = self.tr("On average {0:.2f} bits per hidden site; dark means they agree.")
        self.words.setText(words.format(mean))
