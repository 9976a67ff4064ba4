"""The strip below Generate: branches, bits per pixel in drawing order, marks and the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.branch_lanes import BranchLanes, Lane
from arstudio.gui.widgets.controls import Reading, icon_button, section
from arstudio.gui.widgets.timeline import Timeline

if TYPE_CHECKING:
    from arstudio.sampling import Branch, Trace


class TimelineStrip(QWidget):
    """Heading, figures, the lanes of the branches and the timeline of the focused image."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("side")
        self.studio = studio
        self._branches: list[Branch] = []    # as the lanes show them
        self.timeline = Timeline()
        self.timeline.scrubbed.connect(self._scrubbed)
        self.timeline.mark_removed.connect(studio.toggle_mark)
        self.timeline.pointed.connect(self._pointed)
        self.lanes = BranchLanes()
        self.lanes.walked.connect(self._walked)
        self.lanes.renamed.connect(self._renamed)
        self.figures = Reading("small")
        self.figures.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.heading = section(self.tr("Bits per pixel, in drawing order"))
        self.heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.mark = icon_button("pin", self.tr("Put a mark at the playhead, or take it away (Ctrl+M)"), kind="quiet")
        self.mark.clicked.connect(lambda: studio.toggle_mark())
        self.loop = icon_button(
            "refresh", self.tr("Loop: play the part between the marks around the playhead again and again (Ctrl+L)"),
            checkable=True, kind="quiet",
        )
        self.loop.clicked.connect(studio.set_loop)
        self.beside = icon_button(
            "compare", self.tr("Side by side: show the other future beside this one; the first pixel that differs is ringed"),
            checkable=True, kind="quiet",
        )
        self.beside.clicked.connect(studio.set_side_by_side)
        self.beside.hide()
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.figures)
        head.addSpacing(6)
        for button in (self.beside, self.mark, self.loop):
            head.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 4, 16, 4)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.lanes)
        column.addWidget(self.timeline, 1)
        for signal in (studio.curve_due, studio.selection_changed, studio.branches_changed, studio.marks_changed):
            signal.connect(self.refresh)

    @Slot(int)
    def _scrubbed(self, rank: int) -> None:
        if self.studio.trace is not None:
            self.studio.seek(rank * self.studio.trace.spec.channels)

    @Slot(int)
    def _pointed(self, rank: int) -> None:
        """Show on the image which pixel the mouse is on, and say what it cost."""
        trace = self.studio.trace
        if rank < 0 or trace is None:
            self.studio.point_at(None)
            self.timeline.describe("")
            return
        _, row, column = trace.site(rank * trace.spec.channels)
        bits = float(trace.pixel_bits(self.studio.focus)[rank])
        self.studio.point_at((row, column))
        self.timeline.describe(self.tr("row {0}, column {1} · {2:.2f} bits").format(row, column, bits))

    @Slot(int)
    def _walked(self, lane: int) -> None:
        self.studio.walk_to(self._branches[lane])

    @Slot(int, str)
    def _renamed(self, lane: int, name: str) -> None:
        self.studio.rename_branch(self._branches[lane], name)

    def rename_current(self) -> None:
        """Open the field for another name of the branch shown."""
        tree = self.studio.tree
        if tree is not None and self.lanes.count > 1:
            self.lanes.rename(tree.branches().index(tree.current))
        else:
            self.studio.message.emit("info", self.tr("There are no branches yet: change a pixel or redraw from the playhead."))

    @Slot()
    def refresh(self) -> None:
        """Pull bits, branches, marks and playhead."""
        studio, trace = self.studio, self.studio.trace
        if trace is None or not self.isVisible():
            return
        spec, position = trace.spec, min(studio.position, trace.cursor)
        rank = position // spec.channels
        selection = studio.selection
        mark = int(trace.order.rank[selection[1], selection[2]]) if selection else None
        self._show_lanes()
        other = self._other()
        ghost = None if other is None else other.pixel_bits(min(studio.focus, other.count - 1))
        self.timeline.show_bits(trace.pixel_bits(studio.focus), rank, mark, spec.width, ghost)
        self.timeline.show_marks(studio.marks, studio.loop)
        self.loop.setChecked(studio.loop is not None)
        unit = self.tr("bits so far") if spec.levels else self.tr("bits at 1/256")
        bits = f"{trace.bits(studio.focus, position):,.1f}"
        self.figures.setText(self.tr("{0} of {1} pixels · {2} {3}").format(rank, spec.pixels, bits, unit))

    def _other(self) -> Trace | None:
        """The drawing whose bits are shown behind: the other future, or another lane of a comparison."""
        comparison = self.studio.comparison
        if comparison is not None and comparison.ready:
            return comparison.lanes[0 if comparison.focus else 1].trace
        other = self.studio.other_future()
        return None if other is None else other.trace

    def _show_lanes(self) -> None:
        tree = self.studio.tree
        branches = self._branches = tree.branches() if tree is not None else []
        sites = self.studio.trace.spec.sites
        lanes = [
            Lane(
                b.name, branches.index(b.parent) if b.parent else -1, b.step / sites, b.trace.cursor / sites, self._tip(b),
            ) for b in branches
        ]
        self.lanes.show_lanes(lanes, branches.index(tree.current) if tree is not None else 0)
        self.beside.setVisible(len(branches) > 1)
        self.beside.setChecked(self.studio.side_by_side)

    def _tip(self, branch: Branch) -> str:
        if branch.parent is None:
            return self.tr("The first drawing\nClick to go there, double click to rename")
        _, row, column = branch.trace.site(branch.step)
        values = [f"{e.value:g}" for e in branch.edits if hasattr(e, "value")]
        what = self.tr("changed to {0}").format(", ".join(values[:6])) if values else self.tr("drawn with other noise")
        return self.tr("Leaves {0} at row {1}, column {2}: {3}\nClick to go there, double click to rename").format(
            branch.parent.name, row, column, what
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A shorter heading where there is little room."""
        super().resizeEvent(event)
        text = self.tr("Bits per pixel, in drawing order") if self.width() >= theme.px(640) else self.tr("Bits per pixel")
        self.heading.setText(text.upper())

    def showEvent(self, event: QEvent) -> None:
        """Catch up."""
        super().showEvent(event)
        self.refresh()
