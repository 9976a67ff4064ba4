"""The branches of the shown drawing: change a pixel or draw anew, walk from one future to another, two side by side.

A part of the Studio, which gives it the model, the task that draws and the line for messages.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from arstudio.gui.playhead import Playhead
from arstudio.gui.tasks import TaskProgress

if TYPE_CHECKING:
    from arstudio.sampling import Branch, BranchTree, Change, Redraw


class Futures(Playhead):
    """`tree` is None for a record that cannot be drawn on; `beside` is the other future, for side by side."""

    branches_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tree: BranchTree | None = None
        self.beside: Branch | None = None
        self.side_by_side = True

    def branch(self, step: int, value: float | None = None) -> None:
        """Redraw the future of the shown images from `step`. With a value, the focused image takes it there and keeps
        the same noise, so that what changes is its effect; without one, the future gets fresh noise."""
        from arstudio.sampling import Change, Redraw

        if self.trace is not None and step >= self.trace.spec.sites:
            self.message.emit("info", "Nothing follows the last pixel: go back to where the future should change.")
        elif value is None:
            self.grow(Redraw(step, self.settings.seed + 1 + int(time.time() * 1000) % 1_000_000))
        else:
            self.grow([Change(self.focus, step, value)])

    def grow(self, edits: list[Change] | Redraw) -> None:
        """Draw another future of the shown branch. What was drawn stays beside it in the tree."""
        from arstudio.sampling import SettingsError

        if not self._can_draw_on:
            self.message.emit("info", "This drawing is a record without its model; generate again to branch from it.")
            return
        self.stop_drawing()
        try:
            branch = self.tree.grow(edits)
        except SettingsError as error:
            self.message.emit("error", str(error))
            return
        self.beside = branch.parent
        self._show_branch(branch, branch.step)
        self._draw_on()

    def walk_to(self, branch: Branch) -> None:
        """Show another branch of the tree at the same moment; one that is not finished is drawn on."""
        if self.tree is None or branch is self.tree.current or branch not in self.tree.branches():
            return
        self.stop_drawing()
        self.beside = self.tree.current
        self.tree.walk_to(branch)
        self._show_branch(branch, min(self.position, branch.trace.cursor))
        if not branch.trace.complete:
            self._draw_on()

    def step_branches(self, count: int) -> None:
        """Walk to the branch before (−1) or after (1) in the tree."""
        if self.tree is not None:
            branches = self.tree.branches()
            self.walk_to(branches[(branches.index(self.tree.current) + count) % len(branches)])

    def rename_branch(self, branch: Branch, name: str) -> None:
        """Give a branch another name; an empty one leaves it as it is."""
        if name.strip():
            branch.name = name.strip()
            self.branches_changed.emit()

    def set_side_by_side(self, on: bool) -> None:
        """Show the other future beside this one, or not."""
        if on != self.side_by_side:
            self.side_by_side = on
            self.branches_changed.emit()

    def other_future(self) -> Branch | None:
        """The branch shown beside the current one, None if there is none or it is not wanted."""
        return self.beside if self.tree is not None and self.side_by_side and self.beside is not self.tree.current else None

    def _turn_to(self, tree: BranchTree | None) -> None:
        """Another drawing's branches; the sampler of the one before, with its caches, is let go."""
        if self.tree is not None and self.tree is not tree:
            self.tree.rest()
        self.tree, self.beside = tree, None

    @property
    def _can_draw_on(self) -> bool:
        """True where the sampler of the shown drawing is at hand, or can be made from the open model."""
        return self.tree is not None and (self.tree.sampler is not None or self.trace_card is self.card)

    def _show_branch(self, branch: Branch, position: int) -> None:
        self.show_trace(branch.trace, self.trace_card, focus=self.focus, position=position)

    def _draw_on(self) -> None:
        tree, lanes = self.tree, self.comparison.lanes if self.comparison is not None else []
        others = [lane.tree for lane in lanes if lane.tree is not None and lane.tree is not tree]

        def draw(progress: TaskProgress) -> Any:
            progress.publish(tree)
            tree.run(progress)
            for other in others:    # lanes that were stopped in the middle
                if not other.current.trace.complete:
                    other.run(progress)
            return tree

        self._start_drawing(draw, "Drawing the branch")
