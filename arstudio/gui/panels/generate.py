"""Generate: images unfold pixel by pixel, one large and the others beside it, all from one trace."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import EmptyState, Field, label, section
from arstudio.gui.widgets.pixel_view import PixelView, pixels, same_image, to_qimage
from arstudio.gui.widgets.timeline import Timeline

if TYPE_CHECKING:
    import numpy as np

COUNTS = (1, 4, 9, 16, 25, 36, 64)


class ImageGrid(QWidget):
    """All images of a trace, small, in a grid that uses the room it has. `chosen(index)` on a click."""

    chosen = Signal(int)
    GAP = 8

    def __init__(self) -> None:
        super().__init__()
        self._pictures: list = []
        self._images: list[np.ndarray] = []
        self._spec = None
        self._focus = 0
        self._hover = -1
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("All images of this drawing"))

    def show_images(self, images: list[np.ndarray], spec: object, focus: int) -> None:
        """(C, H, W) levels each; only images that changed are converted again."""
        for i, image in enumerate(images):
            if i >= len(self._images) or spec != self._spec or not same_image(image, self._images[i]):
                picture = to_qimage(pixels(image, spec))
                if i < len(self._pictures):
                    self._pictures[i] = picture
                else:
                    self._pictures.append(picture)
        del self._pictures[len(images):]
        self._images, self._spec, self._focus = images, spec, focus
        self.update()

    def forget(self) -> None:
        """The palette changed: convert everything again."""
        self._images, self._pictures = [], []

    def layout_of(self, count: int) -> tuple[int, float]:
        """(columns, widget pixels per image pixel) that make the pictures as large as fit, at whole multiples if possible."""
        best, gap, ratio = (1, 0.0), self.GAP, self.devicePixelRatioF()
        wide, high = self._spec.width, self._spec.height
        for columns in range(1, count + 1):
            rows = -(-count // columns)
            unit = min(
                (self.width() - 4 - gap * (columns - 1)) / columns / wide, (self.height() - 4 - gap * (rows - 1)) / rows / high
            )
            unit = min(unit, 148 / max(wide, high))
            unit = int(unit * ratio) / ratio if unit * ratio >= 1 else unit
            if unit > best[1]:
                best = (columns, unit)
        return best

    def rect_of(self, index: int) -> QRectF:
        """Rectangle of an image."""
        columns, unit = self.layout_of(len(self._pictures))
        row, column = divmod(index, columns)
        width, height = self._spec.width * unit, self._spec.height * unit
        return QRectF(2 + column * (width + self.GAP), 2 + row * (height + self.GAP), width, height)

    def index_at(self, x: float, y: float) -> int:
        """Image under a point, −1 if none."""
        for i in range(len(self._pictures)):
            if self.rect_of(i).contains(x, y):
                return i
        return -1

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose an image."""
        index = self.index_at(event.position().x(), event.position().y())
        if index >= 0:
            self.chosen.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up the image under the mouse."""
        index = self.index_at(event.position().x(), event.position().y())
        if index != self._hover:
            self._hover = index
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self._hover = -1
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Pictures and the frame of the one shown large."""
        painter = QPainter(self)
        for i, picture in enumerate(self._pictures):
            rect = self.rect_of(i)
            painter.drawImage(rect, picture, QRectF(picture.rect()))
            if i in (self._focus, self._hover):
                painter.setPen(QPen(theme.colour("accent" if i == self._focus else "dim"), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(rect.adjusted(-1, -1, 1, 1))


class GeneratePanel(QWidget):
    """The stage of Generate. `bottom` is the timeline strip, for the dock below. `wanted` asks for new images."""

    wanted = Signal()

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.studio = studio
        self.view = PixelView()
        self.view.zoomable = self.view.align_top = True
        self.view.clicked.connect(self._clicked)
        self.view.hovered.connect(self._hovered)
        self.grid = ImageGrid()
        self.grid.chosen.connect(studio.select_image)
        self.caption = label("", "small")
        self.caption.setMinimumWidth(0)
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.draw_button = QPushButton(self.tr("Generate"))
        self.draw_button.setObjectName("primary")
        self.draw_button.setToolTip(self.tr("Draw new images with these settings (Ctrl+Return)"))
        self.draw_button.clicked.connect(self.wanted)
        self.branch_button = QPushButton(self.tr("Redraw from here"))
        self.branch_button.setToolTip(self.tr("Keep the past up to the playhead and draw the future with new noise (Ctrl+B)"))
        self.branch_button.clicked.connect(self.redraw)
        self.count = QComboBox()
        for n in COUNTS:
            self.count.addItem(str(n), n)
        self.count.setCurrentIndex(COUNTS.index(studio.settings.count))
        self.count.currentIndexChanged.connect(self._count_chosen)
        self.empty = EmptyState(self.tr("Getting ready"), self.tr("Loading the drawing engine. This takes a second or two."))
        self.empty.acted.connect(self.wanted)

        side = QVBoxLayout()
        side.setSpacing(8)
        self.grid_title = section(self.tr("All images"))
        side.addWidget(self.grid_title)
        side.addWidget(self.grid, 1)
        self.side_box = QWidget()
        self.side_box.setLayout(side)
        side.setContentsMargins(0, 0, 0, 0)

        pictures = QHBoxLayout()
        pictures.setSpacing(24)
        pictures.addWidget(self.view, 1)
        pictures.addWidget(self.side_box)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.draw_button)
        buttons.addWidget(Field(self.tr("Images"), self.count))
        buttons.addWidget(self.branch_button)
        buttons.addWidget(self.caption, 1)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(12)
        column.addLayout(pictures, 1)
        column.addLayout(buttons)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.stack)

        self.bottom = TimelineStrip(studio)
        self.overlay = "none"
        self.extra_overlay: tuple[np.ndarray, float, float] | None = None
        studio.trace_changed.connect(self._trace_changed)
        studio.position_changed.connect(self.refresh)
        studio.selection_changed.connect(self.refresh)
        studio.hover_changed.connect(self._mark)
        studio.model_changed.connect(self._model_changed)
        studio.settings_changed.connect(self._settings_changed)

    def sizeHint(self) -> QSize:
        """The stage takes what it gets."""
        return QSize(720, 520)

    @Slot()
    def _model_changed(self) -> None:
        if self.studio.trace is None and self.studio.model is not None:
            self.empty.show_state(
                self.tr("Ready to draw"), self.tr("The model draws one pixel after the other, each from its distribution."),
                self.tr("Generate"),
            )
        elif self.studio.model is None:
            self.empty.show_state(self.tr("No model is open"), self.tr("Choose a model in the Library on the left."))

    @Slot()
    def _settings_changed(self) -> None:
        wanted = self.count.findData(self.studio.settings.count)
        if wanted >= 0 and wanted != self.count.currentIndex():
            self.count.blockSignals(True)
            self.count.setCurrentIndex(wanted)
            self.count.blockSignals(False)

    @Slot(int)
    def _count_chosen(self, _index: int) -> None:
        self.studio.set(count=self.count.currentData())
        self.studio.generate()

    @Slot()
    def _trace_changed(self) -> None:
        self.extra_overlay = None    # it belonged to another drawing
        self.refresh()

    @Slot()
    def _mark(self) -> None:
        studio, trace = self.studio, self.studio.trace
        if trace is not None:
            position = min(studio.position, trace.cursor)
            following = trace.site(position)[1:] if position < trace.spec.sites else None
            selected = studio.selection[1:] if studio.selection else None
            self.view.mark(selected, following, studio.hover, studio.hover_value)

    @Slot()
    def redraw(self) -> None:
        """Draw the future again from the playhead."""
        self.studio.branch(self.studio.position)

    @Slot(int, int)
    def _clicked(self, row: int, column: int) -> None:
        channel = self.studio.selection[0] if self.studio.selection else 0
        same = self.studio.selection is not None and self.studio.selection[1:] == (row, column)
        self.studio.select(None if same else (channel, row, column))

    @Slot(int, int)
    def _hovered(self, row: int, column: int) -> None:
        self.studio.point_at((row, column) if row >= 0 else None)

    def show_overlay(self, name: str, extra: tuple[np.ndarray, float, float] | None = None) -> None:
        """Choose what is drawn over the image: none, surprise, entropy, or a ready (H, W) map with its range."""
        self.overlay, self.extra_overlay = name, extra
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Pull everything from the studio; widgets repaint only what changed."""
        studio, trace = self.studio, self.studio.trace
        if trace is None:
            self.stack.setCurrentIndex(0)
            return
        self.stack.setCurrentIndex(1)
        position = min(studio.position, trace.cursor)
        if self.isVisible():
            self.view.show_image(trace.image(studio.focus, position), trace.spec)
            self._refresh_overlay(position)
            self._mark()
            self.side_box.setVisible(trace.count > 1)
            if trace.count > 1:
                self.grid.show_images([trace.image(i, position) for i in range(trace.count)], trace.spec, studio.focus)
        self.caption.setText(self._caption(position))

    def _refresh_overlay(self, position: int) -> None:
        trace, focus = self.studio.trace, self.studio.focus
        if self.overlay in ("surprise", "entropy"):
            values = trace.map(self.overlay, focus, position).sum(0)
            top = max(1.0, math.log2(trace.spec.bins) * trace.spec.channels)
            self.view.show_overlay(values, 0.0, top)
        elif self.overlay != "none" and self.extra_overlay is not None:
            self.view.show_overlay(*self.extra_overlay)
        else:
            self.view.show_overlay(None)

    def _caption(self, position: int) -> str:
        trace = self.studio.trace
        if self.studio.branched_at is not None and self.studio.previous is not None:
            image, step = self.studio.branched_at
            end = trace.cursor
            different = int((trace.values[image, :end] != self.studio.previous[image, :end]).sum())
            words = self.tr("branched at row {0}, column {1} · {2} values differ from before")
            return words.format(*trace.site(step)[1:], different)
        if position >= trace.spec.sites:
            return self.tr("click a pixel or a bar")
        _, row, column = trace.site(position)
        return self.tr("row {0}, column {1} comes next").format(row, column)

    def changeEvent(self, event: QEvent) -> None:
        """New palette: new checkerboards."""
        if event.type() == QEvent.Type.PaletteChange:
            self.grid.forget()
            self.refresh()
        super().changeEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The large image is square-ish; the others get what is left beside it."""
        super().resizeEvent(event)
        room = self.width() - 72
        large = min(self.height() - 100, room * 0.72)
        self.side_box.setFixedWidth(int(min(max(room - large, 120), 340)))

    def showEvent(self, event: QEvent) -> None:
        """Catch up with what happened while hidden."""
        super().showEvent(event)
        self.refresh()


class TimelineStrip(QWidget):
    """Heading, figures and the timeline of the focused image."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("side")
        self.studio = studio
        self._shown = 0.0
        self.timeline = Timeline()
        self.timeline.scrubbed.connect(self._scrubbed)
        self.figures = label("", "small")
        head = QHBoxLayout()
        head.addWidget(section(self.tr("Bits per pixel, in drawing order")))
        head.addStretch(1)
        head.addWidget(self.figures)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 4)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.timeline, 1)
        studio.trace_changed.connect(self.refresh)
        studio.position_changed.connect(self.refresh)
        studio.selection_changed.connect(self.refresh)
        studio.playing_changed.connect(self.refresh)

    @Slot(int)
    def _scrubbed(self, rank: int) -> None:
        if self.studio.trace is not None:
            self.studio.seek(rank * self.studio.trace.spec.channels)

    @Slot()
    def refresh(self) -> None:
        """Pull bits and playhead."""
        trace = self.studio.trace
        if trace is None or not self.isVisible():
            return
        now = time.monotonic()
        if self.studio.playing and now - self._shown < 0.08:    # a dozen times a second is enough for a strip
            return
        self._shown = now
        spec, position = trace.spec, min(self.studio.position, trace.cursor)
        rank = position // spec.channels
        selection = self.studio.selection
        mark = int(trace.order.rank[selection[1], selection[2]]) if selection else None
        bits = trace.pixel_bits(self.studio.focus)
        self.timeline.show_bits(bits, rank, mark, spec.width)
        total = trace.nats(self.studio.focus, position) / math.log(2)
        words = self.tr("{0} of {1} pixels · {2} bits so far")
        if not spec.levels:    # as the strip shows them
            total += min(position, trace.cursor) * math.log2(spec.bins)
            words = self.tr("{0} of {1} pixels · {2} bits at 1/256")
        self.figures.setText(words.format(rank, spec.pixels, f"{total:,.1f}"))

    def showEvent(self, event: QEvent) -> None:
        """Catch up."""
        super().showEvent(event)
        self.refresh()
