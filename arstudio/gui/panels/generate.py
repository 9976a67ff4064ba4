"""Generate: images unfold pixel by pixel, one large and the others beside it, or two futures side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from arstudio.gui.compare import MOST
from arstudio.gui.panels.generate_brush import PaintTool
from arstudio.gui.panels.generate_lanes import LaneHead
from arstudio.gui.panels.generate_order import OrderChoice
from arstudio.gui.panels.generate_timeline import TimelineStrip
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import Choice, EmptyState, Field, icon_button, label, section
from arstudio.gui.widgets.picture_grid import FittingGrid
from arstudio.gui.widgets.pixel_picker import PixelPicker
from arstudio.gui.widgets.side_by_side import Side, SideBySide
from arstudio.gui.wording import per_dim

if TYPE_CHECKING:
    import numpy as np

    from arstudio.sampling import Trace

COUNTS = (1, 4, 9, 16, 25, 36, 64)
MOST_BESIDE = 620    # widget pixels for the images beside the large one


class GeneratePanel(QWidget):
    """The stage of Generate. `bottom` is the timeline strip, for the dock below. `wanted` asks for new images; `grown`:
    there are more controls than before."""

    wanted = Signal()
    grown = Signal()

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.studio = studio
        self.sides = SideBySide()
        self.sides.clicked.connect(self._clicked)
        self.sides.walked.connect(self._walked)
        self.sides.keys_changed.connect(self._say)
        self.sides.hovered.connect(self._hovered)
        self.sides.tapped.connect(studio.toggle)
        self.brush = PaintTool(studio, self.sides)
        self.grid = FittingGrid(self.tr("All images of this drawing"))
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
        self.compare_button = QPushButton(self.tr("Compare"))
        self.compare_button.setCheckable(True)
        self.compare_button.setToolTip(self.tr("Two to four models, temperatures or samplers on the same seed, in step"))
        self.compare_button.clicked.connect(studio.compare)
        self.add_button = icon_button("plus", self.tr("Compare with one more"))
        self.add_button.clicked.connect(self._add_lane)
        self.add_button.hide()
        self.order = OrderChoice(studio)
        self.order.changed.connect(studio.generate)
        self.count = Choice()
        self.count.setToolTip(self.tr("How many images to draw at once, from one seed"))
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
        pictures.addWidget(self.sides, 1)
        pictures.addWidget(self.side_box)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.draw_button)
        self.count_field = Field(self.tr("Images"), self.count)
        buttons.addWidget(self.count_field)
        buttons.addWidget(self.branch_button)
        buttons.addLayout(self.brush.row)
        buttons.addWidget(self.compare_button)
        buttons.addWidget(self.add_button)
        buttons.addStretch(1)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(10)
        column.addLayout(pictures, 1)
        below = QHBoxLayout()
        below.addWidget(self.caption, 1)
        below.addWidget(self.order)
        column.addLayout(below)
        column.addLayout(buttons)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.stack)

        self.bottom = TimelineStrip(studio)
        self._several = True    # images beside the large one
        self.overlay = "none"
        self.extra_overlay: tuple[np.ndarray, float, float] | None = None
        studio.trace_changed.connect(self._trace_changed)
        studio.position_changed.connect(self.refresh)
        for signal in (studio.words_due, studio.branches_changed, studio.comparison_changed):
            signal.connect(self._say)
        studio.selection_changed.connect(self.refresh)
        studio.hover_changed.connect(self._mark)
        studio.model_changed.connect(self._model_changed)
        studio.settings_changed.connect(self._settings_changed)
        studio.branches_changed.connect(self.refresh)
        studio.comparison_changed.connect(self._comparison_changed)
        self.heads: list[LaneHead] = []
        for key, act in (
            ("B", self.brush.button.click), ("X", self.brush.swap), ("[", self.brush.narrower), ("]", self.brush.wider),
        ):
            shortcut = QShortcut(QKeySequence(key), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    @property
    def view(self) -> PixelPicker:
        """The large image that overlays and the Inspector speak of."""
        return self.sides.view

    @property
    def begin_at(self) -> QWidget:
        """Where the keyboard goes when the panel comes into sight."""
        return self.view

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
        self.stack.setCurrentIndex(1)
        self._share_room()
        self.refresh()

    @Slot()
    def _mark(self) -> None:
        studio, trace = self.studio, self.studio.trace
        if trace is not None:
            position = min(studio.position, trace.cursor)
            selected = studio.selection[1:] if studio.selection else None
            if self._compared():
                lanes, share = studio.comparison, studio.comparison.position_of
                following = [lane.trace and _following(lane.trace, share(lane)) for lane in lanes.lanes]
            else:
                following = [_following(trace, position)] * self.sides.count
            self.sides.mark(selected, following, studio.hover, studio.hover_value)

    def _compared(self) -> bool:
        """True while lanes are on the stage."""
        return self.studio.comparison is not None and self.studio.comparison.ready

    @Slot()
    def _add_lane(self) -> None:
        self.studio.comparison.add()

    @Slot()
    def _comparison_changed(self) -> None:
        """Heads for the lanes, or none."""
        comparison = self.studio.comparison
        self.compare_button.setChecked(comparison is not None)
        self.count_field.setVisible(comparison is None)
        self.add_button.setVisible(comparison is not None and len(comparison.lanes) < MOST)
        if comparison is not None and not self.heads:
            self._make_heads()
        for i, head in enumerate(self.heads):
            head.setVisible(comparison is not None and i < len(comparison.lanes))
            if comparison is not None and i < len(comparison.lanes):
                head.offer(comparison.bundled, comparison.runs)
                head.show_lane(comparison.lanes[i], len(comparison.lanes))
        self.refresh()

    def _make_heads(self) -> None:
        for i, place in enumerate(self.sides.heads):
            head = LaneHead()
            head.changed.connect(lambda name, value, i=i: self.studio.comparison.change(i, **{name: value}))
            head.removed.connect(lambda i=i: self.studio.comparison.remove(i))
            place.insertWidget(0, head)
            head.lower()    # before its image, also for Tab
            self.heads.append(head)
        self.grown.emit()

    @Slot()
    def redraw(self) -> None:
        """Draw the future again from the playhead."""
        self.studio.branch(self.studio.position)

    @Slot(int, int, int)
    def _clicked(self, side: int, row: int, column: int) -> None:
        elsewhere = self._compared() and side != self.studio.comparison.focus
        if not elsewhere and self.studio.selection is not None and self.studio.selection[1:] == (row, column):
            self.studio.select(None)
        else:
            self._walked(side, row, column)

    @Slot(int, int, int)
    def _walked(self, side: int, row: int, column: int) -> None:
        channel = self.studio.selection[0] if self.studio.selection else 0
        if self._compared() and side != self.studio.comparison.focus:
            self.studio.comparison.focus_on(side)
            channel = 0
        self.studio.select((channel, row, column))

    @Slot(int, int)
    def _hovered(self, row: int, column: int) -> None:
        self.studio.point_at((row, column) if row >= 0 else None)

    def show_overlay(self, name: str, extra: tuple[np.ndarray, float, float] | None = None) -> None:
        """Choose what is drawn over the image: none, surprise, entropy, or a ready map as for `PixelView`."""
        self.overlay, self.extra_overlay = name, extra
        self.refresh()

    @Slot()
    def _say(self) -> None:
        """The words below the images, which are read, not watched."""
        if self.studio.trace is not None:
            self.caption.setText(self._caption(min(self.studio.position, self.studio.trace.cursor)))

    @Slot()
    def refresh(self) -> None:
        """Pull everything from the studio; widgets repaint only what changed."""
        studio, trace = self.studio, self.studio.trace
        if trace is None or not self.isVisible():
            return
        position = min(studio.position, trace.cursor)
        self._show_sides(position)
        self._refresh_overlay(position)
        self._mark()
        several = trace.count > 1 and self.sides.count == 1
        if several != self._several:
            self._several = several
            self.side_box.setVisible(several)
        if several:
            self.grid.show_images(trace.images(position), trace.spec, studio.focus)

    def _show_sides(self, position: int) -> None:
        """The large image alone, the lanes of a comparison, or the other future on its left."""
        studio, trace, focus = self.studio, self.studio.trace, self.studio.focus
        if self._compared():
            self._show_lanes()
            return
        other = studio.other_future()
        image = trace.image(focus, position)
        if other is None:
            self.sides.show_sides([Side(image, trace.spec)], 0)
            return
        now, before = studio.tree.current, other.trace.bits(focus, position)
        step = now.first_difference(other, focus)
        differs = trace.site(step)[1:] if step is not None and step < position else None
        delta = f"{trace.bits(focus, position) - before:+,.1f}".replace("-", "−")
        bits = self.tr("{0} bits").format(f"{before:,.1f}")
        more = self.tr("Δ {0} bits · {1}").format(delta, self._difference(step, position))
        self.sides.show_sides([
            Side(other.trace.image(focus, position), trace.spec, other.name, bits, differs),
            Side(image, trace.spec, now.name, more, differs),
        ], 1)

    def _show_lanes(self) -> None:
        """The lanes of the comparison, each with its bits per dimension and how they differ from the first."""
        comparison = self.studio.comparison
        first, sides = comparison.shown[0], []
        base = comparison.bits_per_dim(first)
        for lane in comparison.lanes:
            if lane.tree is None:
                way_out = self.tr("Choose another model for this lane, or take it away.")
                sides.append(Side(None, lane.card.spec, self.tr("Nothing to show"), f"{lane.error} {way_out}"))
                continue
            bits = comparison.bits_per_dim(lane)
            words = f"{bits:.3f}".replace("-", "−") + " " + per_dim(lane.trace.spec)
            delta = f"Δ\u00a0{bits - base:+.3f}".replace("-", "−") if lane is not first else "Δ\u00a00"
            words += " · " + (delta if lane.trace.spec == first.trace.spec else self.tr("other data"))
            sides.append(Side(lane.trace.image(0, comparison.position_of(lane)), lane.trace.spec, "", words))
        self.sides.show_sides(sides, comparison.focus)

    def _difference(self, step: int | None, position: int) -> str:
        """How the two futures differ so far, in words."""
        trace, other = self.studio.trace, self.studio.other_future().trace
        if step is None or step >= position:
            return self.tr("no pixel differs so far")
        end = min(position, other.cursor)
        count = int((trace.values[self.studio.focus, :end] != other.values[self.studio.focus, :end]).sum())
        return self.tr("{0} values differ").format(count)

    def _refresh_overlay(self, position: int) -> None:
        trace, focus = self.studio.trace, self.studio.focus
        if self.overlay in ("surprise", "entropy"):
            values = trace.map(self.overlay, focus, position).sum(0)
            top = max(1.0, math.log2(trace.spec.bins) * trace.spec.channels)
            self.view.show_overlay(values, 0.0, top, unit=self.tr("{0:.2f} bits"))
        elif self.overlay != "none" and self.extra_overlay is not None:
            self.view.show_overlay(*self.extra_overlay)
        else:
            self.view.show_overlay(None)

    def _caption(self, position: int) -> str:
        trace, tree = self.studio.trace, self.studio.tree
        if any(view.caret is not None for view in self.sides.views):
            return self.tr("arrows choose a pixel · Esc gives them back to the playhead")
        if any(view.framed for view in self.sides.views):
            return self.tr("up, down or Return chooses a pixel · left and right move the playhead")
        if self._compared():
            return self.tr("one seed, in step · click a lane to inspect it")
        if self.brush.on:
            words = self.tr("brush {0} px · paint over drawn pixels; on release the rest is drawn again")
            return words.format(self.brush.size)
        if tree is not None and tree.current.parent is not None:
            _, row, column = trace.site(tree.current.step)
            return self.tr("{0} leaves {1} at row {2}, column {3}").format(
                tree.current.name, tree.current.parent.name, row, column
            )
        if position >= trace.spec.sites:
            return self.tr("click a pixel to see its distribution, a bar to give the pixel that value")
        _, row, column = trace.site(position)
        return self.tr("row {0}, column {1} comes next").format(row, column)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The large image is square-ish; the others get what is left beside it."""
        super().resizeEvent(event)
        self.count_field.caption.setVisible(self.width() >= 480)
        self.branch_button.setText(self.tr("Redraw") if self.width() < 640 else self.tr("Redraw from here"))
        self._share_room()

    def _share_room(self) -> None:
        """As much for the others as the large image leaves at a whole multiple of its size."""
        room = self.width() - 72
        large = min(self.height() - 110, room * 0.61)
        if self.studio.trace is not None:
            side = max(self.studio.trace.spec.height, self.studio.trace.spec.width)
            large = max(large // side, 1) * side
        self.side_box.setFixedWidth(int(min(max(room - large, 120), MOST_BESIDE)))

    def showEvent(self, event: QEvent) -> None:
        """Catch up with what happened while hidden."""
        super().showEvent(event)
        self.refresh()


def _following(trace: Trace, position: int) -> tuple[int, int] | None:
    """The pixel that comes next, None after the last."""
    return trace.site(position)[1:] if position < trace.spec.sites else None
