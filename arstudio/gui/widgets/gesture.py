"""One gesture with one tool, from the press to the release: which sheet comes of it. No Qt.

Two families of tools, and no tool belongs to both:

    DRAW    brush, line, block, fill    write an ink and make the pixels known     picker takes the ink
    HIDE    mask, rectangle             hide pixels                                (`other`: make them known again)
            hint                        hides pixels and says how bright they are about, the surer the more
                                        strokes pass over them                     (`other`: says nothing again)
            eraser                      makes hidden pixels known again, as they were
            keep                        makes pixels of a completion known, as the completion has them
"""

from __future__ import annotations

import numpy as np

from arstudio.gui.widgets.sheet import Cell, Sheet, box, region, stroke
from arstudio.image import is_hidden

DRAW = ("brush", "line", "block", "fill", "picker")
HIDE = ("mask", "rectangle", "eraser", "keep", "hint")
TOOLS = DRAW + HIDE
SIZED = ("brush", "line", "mask", "eraser", "keep", "hint")     # tools that are as wide as the brush
TWO_ENDED = ("line", "block", "rectangle")              # drawn from one end to the other
SURER = 0.5                                             # the share of doubt that a stroke of `hint` takes away
Ink = tuple[float, ...]                                 # one level per channel


class Gesture:
    """Begun at a cell of a sheet; `move` after move, `sheet` is what it would leave.

    `ink` is written by drawing tools; `other` turns hiding into showing; `shown` (C, H, W) is the completion that
    `keep` keeps pixels of.
    """

    def __init__(
        self, tool: str, before: Sheet, start: Cell, ink: Ink, *, other: bool = False, shown: np.ndarray | None = None
    ) -> None:
        self.tool, self.before, self.last = tool, before, start
        self._start, self._ink, self._other, self._shown = start, ink, other, shown
        self._touched = np.zeros(before.hidden.shape, dtype=bool)

    def move(self, cell: Cell, size: int) -> Sheet:
        """Go on to a cell with a brush `size` pixels wide there; returns the sheet as it is now."""
        shape = self._touched.shape
        if self.tool in ("rectangle", "block"):
            self._touched = box(self._start, cell, shape)
        elif self.tool == "line":
            self._touched = stroke(self._start, cell, size, shape)
        elif self.tool == "fill":
            self._touched = region(self.before.content, self.before.hidden, self._start)
        else:
            self._touched |= stroke(self.last, cell, size, shape)
        self.last = cell
        return self._painted()

    def _painted(self) -> Sheet:
        before, touched = self.before, self._touched
        content, hidden = before.content.copy(), before.hidden.copy()
        if self.tool == "hint":
            return self._hinted()
        if self.tool in DRAW:
            content[:, touched] = np.array(self._ink)[:, None]
            hidden[touched] = False
        elif self.tool == "keep":
            if self._shown is not None:
                kept = touched & hidden & ~is_hidden(self._shown).any(0)
                content[:, kept] = self._shown[:, kept]
                hidden[kept] = False
        else:
            hidden[touched] = self.tool != "eraser" and not self._other
        certainty = np.where(hidden & ~(touched & (self.tool != "keep")), before.certainty, np.float32(0))
        return Sheet(content, hidden, before.hint, certainty)

    def _hinted(self) -> Sheet:
        before, touched = self.before, self._touched
        hint, certainty = before.hint.copy(), before.certainty.copy()
        if self._other:
            certainty[touched] = 0
            return Sheet(before.content, before.hidden, hint, certainty)
        ink = np.array(self._ink, dtype=hint.dtype)[:, None]
        again = (hint[:, touched] == ink).all(0)                    # another ink begins anew
        certainty[touched] = 1 - (1 - np.where(again, certainty[touched], 0)) * (1 - SURER)
        hint[:, touched] = ink
        return Sheet(before.content, before.hidden | touched, hint, certainty)
