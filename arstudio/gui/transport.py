"""Transport actions of the main window: play, steps, marks, the loop, branches and seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow


OF_A_DRAWING = (
    "redraw", "toggle", "next_pixel", "previous_pixel", "next_row", "previous_row", "next_channel", "previous_channel",
    "to_start", "to_end", "toggle_mark", "next_mark", "previous_mark", "toggle_loop", "next_branch", "previous_branch",
    "rename_branch", "toggle_side_by_side",
)


class Transport(QObject):
    """What the Generate menu and its keys do with the playhead."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.window, self.studio = window, window.studio

    def offer(self, drawing_in_sight: bool) -> None:
        """Let these actions act, or not while another job than Generate is in front: nobody would see what they do."""
        for slot in OF_A_DRAWING:
            self.window.actions_by_slot[slot].setEnabled(drawing_in_sight)
        self.window.toolbar.offer_transport(drawing_in_sight)

    def redraw(self) -> None:
        """Draw the future again."""
        self.window.generate_panel.redraw()

    def toggle(self) -> None:
        """Play or pause."""
        self.studio.toggle()

    def next_pixel(self) -> None:
        """Forward one pixel."""
        self.studio.step_pixels(1)

    def previous_pixel(self) -> None:
        """Back one pixel."""
        self.studio.step_pixels(-1)

    def next_row(self) -> None:
        """Forward one row."""
        self.studio.step_rows(1)

    def previous_row(self) -> None:
        """Back one row."""
        self.studio.step_rows(-1)

    def next_channel(self) -> None:
        """Forward one channel."""
        self.studio.step_channels(1)

    def previous_channel(self) -> None:
        """Back one channel."""
        self.studio.step_channels(-1)

    def toggle_mark(self) -> None:
        """A mark at the playhead, or none."""
        self.studio.toggle_mark()

    def next_mark(self) -> None:
        """Forward to a mark."""
        self.studio.to_mark(1)

    def previous_mark(self) -> None:
        """Back to a mark."""
        self.studio.to_mark(-1)

    def toggle_loop(self) -> None:
        """Loop between marks, or not."""
        self.studio.set_loop(self.studio.loop is None)

    def next_branch(self) -> None:
        """The branch below."""
        self.studio.step_branches(1)

    def previous_branch(self) -> None:
        """The branch above."""
        self.studio.step_branches(-1)

    def rename_branch(self) -> None:
        """Another name for the branch shown."""
        self.window.generate_panel.bottom.rename_current()

    def toggle_side_by_side(self) -> None:
        """One future, or two."""
        self.studio.set_side_by_side(not self.studio.side_by_side)

    def to_start(self) -> None:
        """Nothing drawn yet."""
        self.studio.seek(0)

    def to_end(self) -> None:
        """Everything drawn so far."""
        if self.studio.trace is not None:
            self.studio.seek(self.studio.trace.spec.sites)

    def new_seed(self) -> None:
        """Another seed."""
        self.window.toolbar.new_seed()
