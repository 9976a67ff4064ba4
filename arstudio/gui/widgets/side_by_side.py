"""One to four images side by side, as large as fit: two futures of a drawing, or the lanes of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import label
from arstudio.gui.widgets.hand import Hand
from arstudio.gui.widgets.pixel_picker import PixelPicker
from arstudio.image import ImageSpec

if TYPE_CHECKING:
    import numpy as np

MOST = 4
GAP = 24
ABOVE = 84      # height of what stands above an image
BESIDE = (150, 108)    # its width, where it stands beside the image: with all controls, or with fewer
BETWEEN = 8
NO_LIMIT = 2**24 - 1    # of the width of a widget, Qt's own


@dataclass(frozen=True, eq=False)
class Side:
    """One image: (C, H, W) levels or None, a title, a line of figures, and the pixel (row, column) at which it first
    differs."""

    image: np.ndarray | None
    spec: ImageSpec
    title: str = ""
    figures: str = ""
    differs: tuple[int, int] | None = None
    following: tuple[int, int] | None = None


class SideBySide(QWidget):
    """`clicked(side, row, column)`, `hovered(row, column)`, (−1, −1) when the mouse left; `tapped`: see `Hand`;
    `walked(side, row, column)` and `keys_changed`: see `PixelPicker`."""

    clicked = Signal(int, int, int)
    walked = Signal(int, int, int)
    keys_changed = Signal()
    hovered = Signal(int, int)
    tapped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.current = 0
        self.count = 1
        self.views: list[PixelPicker] = []
        self.heads: list[QVBoxLayout] = []
        self._titles, self._figures, self._cells, self._bars, self._words_of = [], [], [], [], []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self._columns, self._aside, self._large = 0, 0, 0
        self._words: tuple = ()    # as they stand, once something was shown
        self._named: list[str] = []   # the titles, whole
        self._said: list[str] = []    # the lines of figures, whole
        for index in range(MOST):
            self._add_cell(index)
        self._arrange(1)

    def _add_cell(self, index: int) -> None:
        cell, view = QWidget(self), PixelPicker(self.tr("Image"))
        view.zoomable = view.align_top = view.align_left = True
        view.stand_on("stage")
        view.clicked.connect(lambda row, column: self.clicked.emit(index, row, column))
        view.walked.connect(lambda row, column: self.walked.emit(index, row, column))
        view.hovered.connect(self.hovered)
        view.keys_changed.connect(self.keys_changed)
        Hand(view).tapped.connect(self.tapped)
        title, figures = label("", "strong"), label("", "small")
        for words in (title, figures):
            words.setMinimumWidth(0)
            words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        figures.setWordWrap(True)
        figures.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        bar = QFrame()
        bar.setFixedHeight(2)
        head = QVBoxLayout()    # for controls above the title
        head.addWidget(title)
        words = QWidget()
        column, whole = QVBoxLayout(words), QBoxLayout(QBoxLayout.Direction.TopToBottom, cell)
        for layout in (column, whole):
            layout.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(bar)
        column.addLayout(head)
        column.addWidget(figures)
        column.addStretch(1)
        whole.addWidget(words)
        whole.addWidget(view, 1)
        self.views.append(view)
        self.heads.append(head)
        self._titles.append(title)
        self._figures.append(figures)
        self._cells.append(cell)
        self._bars.append(bar)
        self._words_of.append(words)

    @property
    def view(self) -> PixelPicker:
        """The current side's image."""
        return self.views[self.current]

    def figures_of(self, side: int) -> str:
        """The line of figures above an image."""
        return self._said[side]

    def title_of(self, side: int) -> str:
        """The title above an image."""
        return self._named[side]

    def show_sides(self, sides: list[Side], current: int) -> None:
        """Show one to four images; the current one answers to overlays and marks."""
        if len(sides) != self.count or current != self.current:
            for view in self.views:
                view.show_overlay(None)
            self.count, self.current = len(sides), current
            self._arrange(len(sides))
        for view, side in zip(self.views, sides, strict=False):
            view.show_image(side.image, side.spec)
            view.mark_difference(side.differs)
        words = [(side.title, side.figures) for side in sides], current
        if words != self._words:
            self._words = words
            self._say(sides, current)

    def _say(self, sides: list[Side], current: int) -> None:
        """Titles, figures and the bar of the one in focus."""
        alone = len(sides) == 1
        for i, side in enumerate(sides):
            self.views[i].call(side.title or self.tr("Image"))
            self._titles[i].setVisible(not alone and bool(side.title))
            self._titles[i].setToolTip(side.title)
            self._bars[i].setVisible(not alone)
            _restyle(self._bars[i], "inFocus" if i == current else "")
            _restyle(self._titles[i], "strong" if i == current else "dim")
            self._figures[i].setVisible(not alone)
        self._named, self._said = [side.title for side in sides], [side.figures for side in sides]
        self._fit_words()

    def _fit_words(self) -> None:
        """Titles without their middle where they are long. Figures in one line each, or all of them broken at the same place,
        so that the images stand on one level."""
        wide = self.width() / self._columns - GAP - (self._large + BETWEEN if self._aside else 0)
        for shown, title in zip(self._titles, self._named, strict=False):
            shown.setText(shown.fontMetrics().elidedText(title, Qt.TextElideMode.ElideMiddle, int(wide)))
        metrics = self._figures[0].fontMetrics()
        broken = any(metrics.horizontalAdvance(figures) > wide for figures in self._said)
        for shown, figures in zip(self._figures, self._said, strict=False):
            shown.setText(figures.replace(" · ", "\n", 1) if broken else figures)

    def mark(
        self, selected: tuple[int, int] | None, following: list[tuple[int, int] | None],
        pointed: tuple[int, int] | None, value: int | None,
    ) -> None:
        """The same selection and pointed pixel on every side, the next pixel of each."""
        for i, (view, upcoming) in enumerate(zip(self.views, following, strict=False)):
            if view.spec is None:
                continue
            fits = [p if p is not None and p[0] < view.spec.height and p[1] < view.spec.width else None
                    for p in (selected, upcoming, pointed)]
            view.mark(*fits, value if i == self.current else None)

    def _arrange(self, count: int) -> None:
        columns, aside, large = self._columns, self._aside, self._large = self._best(count)
        for words, view, cell in zip(self._words_of, self.views, self._cells, strict=True):
            words.setMinimumWidth(aside)
            view.setMaximumWidth(large if aside else NO_LIMIT)    # words keep close to their own image
            cell.layout().setStretch(0, 1 if aside else 0)
            cell.layout().setStretch(1, 100)
            cell.layout().setDirection(QBoxLayout.Direction.RightToLeft if aside else QBoxLayout.Direction.TopToBottom)
            cell.layout().setSpacing(BETWEEN if aside else 6)
        for i, cell in enumerate(self._cells):
            self._grid.removeWidget(cell)
            cell.setVisible(i < count)
            if i < count:
                self._grid.addWidget(cell, *divmod(i, columns))
        rows = -(-count // columns)
        for i in range(MOST):
            self._grid.setColumnStretch(i, 1 if i < columns else 0)
            self._grid.setRowStretch(i, 1 if i < rows else 0)

    def _best(self, count: int) -> tuple[int, int, int]:
        """Columns, the least width of words that stand beside the images, 0 where they stand above, and that of the images:
        beside, where that shows the images larger, which are drawn at whole multiples of their pixels."""
        if count < 3:
            return count, 0, 0
        side = max((max(view.spec.height, view.spec.width) for view in self.views[:count] if view.spec is not None), default=1)

        def multiple(way: tuple[int, int]) -> int:
            columns, aside = way
            wide = (self.width() + GAP) / columns - GAP
            high = (self.height() + GAP) / -(-count // columns) - GAP
            room = min(wide - aside - BETWEEN, high) if aside else min(wide, high - ABOVE)
            return int(room // side)

        above = max(((count, 0), (2, 0)), key=multiple)
        beside = ((2, theme.px(width)) for width in BESIDE)
        best = next((way for way in beside if multiple(way) > multiple(above)), above)
        return *best, multiple(best) * side

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another shape may want other columns."""
        super().resizeEvent(event)
        if self._best(self.count) != (self._columns, self._aside, self._large):
            self._arrange(self.count)
        self._fit_words()

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs other room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and self._columns:
            self._fit_words()

    def sizeHint(self) -> QSize:
        """Room for a picture that can be read."""
        return QSize(360, 360)

    def reset_view(self) -> None:
        """Fit all images again."""
        for view in self.views:
            view.reset_view()


def _restyle(widget: QWidget, kind: str) -> None:
    if widget.objectName() != kind:
        widget.setObjectName(kind)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
