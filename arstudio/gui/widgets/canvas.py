"""The canvas of the Complete panel: content and mask of one image, drawn on with seven tools, undone stroke
by stroke.

A *sheet* is what a person edits: `content`, a level for every site, and `hidden`, the pixels to be drawn by a
model. Content stays below the mask, so taking the mask away brings it back. A completion is shown as a
*preview*; it never touches the sheet.

    brush, line, fill    write the ink and make the pixels known      (right button: the other ink)
    mask, rectangle      hide pixels                                  (right button: make them known again)
    eraser               takes the mask away: hidden pixels become known again, as they were
    picker               takes the ink from the image
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QUndoCommand,
    QUndoStack,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.pixel_view import PixelView
from arstudio.gui.widgets.sheet import Cell, Sheet, box, disc, outline, region, stroke
from arstudio.image import ImageSpec, is_hidden

TOOLS = ("brush", "mask", "eraser", "line", "rectangle", "fill", "picker")
LARGEST_BRUSH = 16
Ink = tuple[int, ...]     # one level per channel


class Edit(QUndoCommand):
    """One stroke, preset or new picture: back to the sheet before it, forward to the one after it."""

    def __init__(self, canvas: Canvas, text: str, before: Sheet, after: Sheet) -> None:
        super().__init__(text)
        self._canvas, self._before, self._after = canvas, before, after

    def undo(self) -> None:
        """Called by the stack."""
        self._canvas.show_sheet(self._before)

    def redo(self) -> None:
        """Called by the stack, also on push."""
        self._canvas.show_sheet(self._after)


class Canvas(PixelView):
    """`edited` after every change of the sheet, `preview_left` when drawing ends a preview, `picked(Ink)`,
    `resized_brush(size)`."""

    edited = Signal()
    preview_left = Signal()
    picked = Signal(object)
    resized_brush = Signal(int)

    def __init__(self, undo_stack: QUndoStack, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = undo_stack
        self.tool = "mask"
        self.ink: Ink = (0,)
        self.other_ink: Ink = (0,)
        self.brush = 2
        self.zoomable = True
        self._sheet: Sheet | None = None
        self._preview: np.ndarray | None = None
        self._drawn: np.ndarray | None = None         # (H, W) what the preview's model drew
        self._before: Sheet | None = None             # a stroke is under way
        self._touched: np.ndarray | None = None
        self._anchor: Cell | None = None
        self._last: Cell | None = None
        self._other = False                           # the right button: other ink, unhide
        self._space = False
        self._wheel = 0
        self._cell: Cell | None = None                # under the mouse, or the keyboard's
        self._lines: tuple[bytes, list[QLineF]] = (b"", [])
        self.setAccessibleName(self.tr("Canvas"))
        self.setAccessibleDescription(
            self.tr("Arrow keys move, Return uses the tool; B, M, E, L, R, F and I choose it.")
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    # -- the sheet ------------------------------------------------------------------------------------------

    @property
    def sheet(self) -> Sheet | None:
        """What is on the canvas, a stroke under way included."""
        return self._sheet

    def begin(self, content: np.ndarray, hidden: np.ndarray, spec: ImageSpec) -> None:
        """A new image of a new size: forgets undo."""
        self._drop_stroke()
        self.undo_stack.clear()
        self._preview = self._sheet = None
        if self.spec is None or self.spec.shape != spec.shape or self.spec.levels != spec.levels:
            self.ink, self.other_ink = (spec.top,) * spec.channels, (0,) * spec.channels
            self.brush = max(1, round(min(spec.height, spec.width) / 14))
        self.spec = spec
        self.reset_view()
        self.show_sheet(Sheet.of(np.asarray(content, dtype=spec.dtype), hidden))
        self.resized_brush.emit(self.brush)

    def change(self, text: str, content: np.ndarray | None = None, hidden: np.ndarray | None = None) -> None:
        """Replace content, mask or both as one undoable command; nothing if nothing changes."""
        if self._sheet is None:
            return
        self._commit()
        before = self._sheet
        content = before.content if content is None else np.asarray(content, dtype=self.spec.dtype)
        after = Sheet.of(content, before.hidden if hidden is None else hidden)
        self.leave_preview()
        if not after.same(before):
            self.undo_stack.push(Edit(self, text, before, after))

    def show_sheet(self, sheet: Sheet) -> None:
        """Put a sheet on the canvas as it is: for commands. A stroke under way is dropped."""
        self._drop_stroke()
        self._sheet = sheet
        self.leave_preview()
        self._refresh()
        self.edited.emit()

    # -- preview --------------------------------------------------------------------------------------------

    def show_preview(self, image: np.ndarray | None, drawn: np.ndarray | None = None) -> None:
        """Show a completion (C, H, W), −1 where not yet drawn, with the outline of `drawn` (H, W); None: the
        sheet."""
        if self._before is not None or (image is None and self._preview is None):
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

    def _refresh(self) -> None:
        if self._sheet is not None:
            self.show_image(self._preview if self._preview is not None else self._sheet.shown(), self.spec)
            self.update()

    # -- tools ----------------------------------------------------------------------------------------------

    def set_tool(self, name: str) -> None:
        """Choose one of TOOLS. Raises ValueError for another name."""
        if name not in TOOLS:
            raise ValueError(f"There is no tool {name!r}; choose {', '.join(TOOLS)}.")
        self._commit()
        self.tool = name
        self.update()

    def set_brush(self, size: int) -> None:
        """Width of the brush in pixels, 1 to 16."""
        size = max(1, min(LARGEST_BRUSH, size))
        if size != self.brush:
            self.brush = size
            self.resized_brush.emit(size)
            self.update()

    def swap_ink(self) -> None:
        """Exchange the two inks."""
        self.ink, self.other_ink = self.other_ink, self.ink
        self.picked.emit(self.ink)

    def use(self, start: Cell, end: Cell | None = None, *, other: bool = False) -> None:
        """One whole gesture from cell to cell, as the mouse would make it."""
        self._press(start, other)
        self._drag(end or start)
        self._commit()

    def _press(self, cell: Cell, other: bool) -> None:
        self._commit()
        if self._sheet is None:
            return
        if self.tool == "picker":
            self._pick(cell)
            return
        self.leave_preview()
        if self.tool == "fill" and not self._inside(cell):
            return
        self._before, self._other, self._anchor, self._last = self._sheet, other, cell, cell
        self._touched = np.zeros(self._sheet.hidden.shape, dtype=bool)
        self._drag(cell)

    def _drag(self, cell: Cell) -> None:
        if self.tool == "picker":
            self._pick(cell)
        if self._before is None:
            return
        shape = self._touched.shape
        if self.tool == "rectangle":
            self._touched = box(self._anchor, cell, shape)
        elif self.tool == "line":
            self._touched = stroke(self._anchor, cell, self.brush, shape)
        elif self.tool == "fill":
            self._touched = region(self._before.content, self._before.hidden, self._anchor)
        else:
            self._touched |= stroke(self._last, cell, self.brush, shape)
        self._last = cell
        self._sheet = self._painted()
        self._refresh()

    def _painted(self) -> Sheet:
        content, hidden = self._before.content.copy(), self._before.hidden.copy()
        if self.tool in ("brush", "line", "fill"):
            content[:, self._touched] = np.array(self.other_ink if self._other else self.ink)[:, None]
            hidden[self._touched] = False
        else:
            hidden[self._touched] = self.tool != "eraser" and not self._other
        return Sheet(content, hidden)

    def _commit(self) -> None:
        """End the gesture under way as one command."""
        if self._before is None:
            return
        before, after = self._before, self._sheet
        self._drop_stroke()
        if not after.same(before):
            self.undo_stack.push(Edit(self, self._verb(), before, after))

    def _drop_stroke(self) -> None:
        if self._before is not None:
            self._sheet = self._before
        self._before = self._touched = self._anchor = self._last = None

    def _verb(self) -> str:
        return {
            "brush": self.tr("Draw"), "mask": self.tr("Hide"), "eraser": self.tr("Erase mask"),
            "line": self.tr("Line"), "rectangle": self.tr("Hide rectangle"), "fill": self.tr("Fill"),
        }[self.tool]

    def _pick(self, cell: Cell) -> None:
        if self._inside(cell):
            shown = self._image[:, cell[0], cell[1]]
            if not is_hidden(shown).any():
                self.ink = tuple(shown.tolist())
                self.picked.emit(self.ink)

    def _inside(self, cell: Cell) -> bool:
        return 0 <= cell[0] < self.spec.height and 0 <= cell[1] < self.spec.width

    def _cell_at(self, point: QPointF) -> Cell:
        """Like `pixel_at`, but goes on outside the image."""
        target, s = self.target(), self.scale()
        return int((point.y() - target.top()) // s), int((point.x() - target.left()) // s)

    # -- mouse ----------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a stroke; with Space or the middle button, begin to pan."""
        if self._sheet is None:
            return
        button = event.button()
        if button == Qt.MouseButton.MiddleButton or (self._space and button == Qt.MouseButton.LeftButton):
            self._dragging = event.position() - self.pan
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            self._press(self._cell_at(event.position()), button == Qt.MouseButton.RightButton)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with the stroke, or pan; tell which pixel is under the mouse."""
        if self._sheet is None:
            return
        if self._dragging is not None:
            self.pan = event.position() - self._dragging
            self.update()
            return
        cell = self._cell_at(event.position())
        if event.buttons() & (Qt.MouseButton.LeftButton | Qt.MouseButton.RightButton) and cell != self._last:
            self._drag(cell)
        self._point_at(cell)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The stroke becomes one command."""
        if self._dragging is not None:
            self._dragging = None
            self.setCursor(Qt.CursorShape.OpenHandCursor if self._space else Qt.CursorShape.CrossCursor)
        else:
            self._commit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; with Ctrl, change the brush."""
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        self._wheel += event.angleDelta().y()
        steps = int(self._wheel / 120)
        self._wheel -= 120 * steps
        self.set_brush(self.brush + steps)
        event.accept()

    def enterEvent(self, event: QEnterEvent) -> None:
        """The pointer becomes a cross."""
        self.setCursor(Qt.CursorShape.OpenHandCursor if self._space else Qt.CursorShape.CrossCursor)
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """The footprint goes with the mouse."""
        self._point_at(None)

    def _point_at(self, cell: Cell | None) -> None:
        if cell != self._cell:
            self._cell = cell
            self.hovered.emit(*(cell if cell is not None and self._inside(cell) else (-1, -1)))
            self.update()

    # -- keyboard -------------------------------------------------------------------------------------------

    ARROWS = {
        Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
    }

    def event(self, event: QEvent) -> bool:
        """Keys the canvas uses itself are not the window's shortcuts while it has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and not event.modifiers() and (
            event.key() in (*self.ARROWS, Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space pans; arrows move the footprint; Return uses the tool (twice for line and rectangle)."""
        key = event.key()
        if self._sheet is None or event.modifiers():
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space = True
                self.setCursor(Qt.CursorShape.OpenHandCursor)
        elif key in self.ARROWS:
            at, step = self._cell or (self.spec.height // 2, self.spec.width // 2), self.ARROWS[key]
            row = min(max(at[0] + step[0], 0), self.spec.height - 1)
            self._point_at((row, min(max(at[1] + step[1], 0), self.spec.width - 1)))
            if self._before is not None:
                self._drag(self._cell)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._cell is not None:
            if self._before is None:
                self._press(self._cell, False)
                if self.tool in ("line", "rectangle"):
                    return
            self._commit()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space released: back to drawing."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._space = False
            self.setCursor(Qt.CursorShape.CrossCursor)
        super().keyReleaseEvent(event)

    # -- painting -------------------------------------------------------------------------------------------

    def paint_marks(self, painter: QPainter) -> None:
        """The outline of what is hidden (or was drawn), and the footprint of the tool."""
        super().paint_marks(painter)
        preview = self._preview is not None
        mask = self._drawn if preview and self._drawn is not None else self._sheet.hidden
        if self._lines[0] != mask.tobytes():
            self._lines = mask.tobytes(), [QLineF(*line) for line in outline(mask)]
        tint = theme.colour("accent" if preview else "known")
        self._draw_lines(painter, self._lines[1], tint, theme.colour("stage", 0.6))
        if self._cell is not None and (self.underMouse() or self.hasFocus()) and not self._space:
            size = 1 if self.tool in ("rectangle", "fill", "picker") else self.brush
            footprint = disc(self._cell, size, self._sheet.hidden.shape)
            lines = [QLineF(*line) for line in outline(footprint)]
            self._draw_lines(painter, lines, QColor("white"), QColor(0, 0, 0, 160))

    def _draw_lines(self, painter: QPainter, lines: list[QLineF], tint: QColor, halo: QColor) -> None:
        if not lines:
            return
        width = 1.5
        painter.save()
        painter.translate(self.target().topLeft())
        painter.scale(self.scale(), self.scale())
        for colour, thick in ((halo, width + 2), (tint, width)):
            pen = QPen(colour, thick)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawLines(lines)
        painter.restore()
