"""The canvas of the Complete panel: a `SheetView` on which the tools of `gesture.py` work, undone stroke by stroke.

Mouse, pen and keyboard lead one gesture at a time, and a gesture that ends is one command. A completion that is shown is
never touched, but the tool `keep` takes pixels of it over into the sheet.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPointingDevice,
    QTabletEvent,
    QUndoCommand,
    QUndoStack,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.gesture import DRAW, SIZED, TOOLS, TWO_ENDED, Gesture, Ink
from arstudio.gui.widgets.keys import PRESS, STEPS, gone, plain
from arstudio.gui.widgets.pixel_picker import BY_KEYS
from arstudio.gui.widgets.sheet import Cell, Sheet, disc, outline
from arstudio.gui.widgets.sheet_view import SheetView
from arstudio.image import ImageSpec, is_hidden, to_display

LARGEST_BRUSH = 16


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


class Canvas(SheetView):
    """`stroked` whenever a stroke under way changes the sheet, `edited` after every change that stays,
    `nothing_to_keep` when there is no completion to keep of, `picked(Ink)`, `resized_brush(size)`."""

    stroked = Signal()
    edited = Signal()
    nothing_to_keep = Signal()
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
        self._gesture: Gesture | None = None          # a stroke is under way
        self._pressure: float | None = None           # of a tablet's pen, 0 to 1
        self._tool_of_pen: str | None = None          # the tool to come back to when the pen's other end is lifted
        self._keeping = False                         # an edit that leaves the preview where it is
        self._space = False
        self._wheel = 0
        self._cell: Cell | None = None                # under the mouse, or the keyboard's
        self.setAccessibleName(self.tr("Canvas"))
        self.setAccessibleDescription(
            self.tr("Arrows, Home, End, Page up and Page down move, Return uses the tool; B, L, U, F, I, M, R, E, K and H "
                    "choose it.")
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def begin(self, content: np.ndarray, hidden: np.ndarray, spec: ImageSpec) -> None:
        """A new image of a new size: forgets undo."""
        self._drop_stroke()
        self.undo_stack.clear()
        self._preview = self._sheet = self._ghost = None
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
        like = before if content is None else None
        content = before.content if content is None else np.asarray(content, dtype=self.spec.dtype)
        after = Sheet.of(content, before.hidden if hidden is None else hidden, like)
        self.leave_preview()
        if not after.same(before):
            self.undo_stack.push(Edit(self, text, before, after))

    def show_sheet(self, sheet: Sheet) -> None:
        """Put a sheet on the canvas as it is: for commands. A stroke under way is dropped."""
        self._drop_stroke()
        self._sheet = sheet
        if not self._keeping:
            self.leave_preview()
        self._refresh()
        self.edited.emit()

    def show_preview(self, image: np.ndarray | None, drawn: np.ndarray | None = None) -> None:
        """As `SheetView` does, but not during a stroke."""
        if self._gesture is None:
            super().show_preview(image, drawn)

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

    @property
    def footprint(self) -> int:
        """Width of the tool here and now, in pixels: the brush, thinner under a light pen, or 1."""
        if self.tool not in SIZED:
            return 1
        return self.brush if self._pressure is None else max(1, round(self.brush * self._pressure))

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
        if self.tool != "keep":
            self.leave_preview()
        if self.tool == "fill" and not self._inside(cell):
            return
        shown = self._preview if self._preview is not None else self._ghost
        if self.tool == "keep" and shown is None:
            self.nothing_to_keep.emit()
            return
        ink = self.other_ink if other else self.ink
        self._gesture = Gesture(self.tool, self._sheet, cell, ink, other=other, shown=shown)
        self._drag(cell)

    def _drag(self, cell: Cell) -> None:
        if self.tool == "picker":
            self._pick(cell)
        if self._gesture is not None:
            self._sheet = self._gesture.move(cell, self.footprint)
            if self.tool == "keep" and self._drawn is not None:
                self._drawn = self._drawn & self._sheet.hidden
            self._refresh()
            self.stroked.emit()

    def _commit(self) -> None:
        """End the gesture under way as one command."""
        if self._gesture is None:
            return
        before, after = self._gesture.before, self._sheet
        self._drop_stroke()
        if not after.same(before):
            self._keeping = self.tool == "keep"
            self.undo_stack.push(Edit(self, self._verb(), before, after))
            self._keeping = False

    def _drop_stroke(self) -> None:
        if self._gesture is not None:
            self._sheet = self._gesture.before
        self._gesture = None

    def _verb(self) -> str:
        return {
            "brush": self.tr("Draw"), "line": self.tr("Line"), "block": self.tr("Draw rectangle"), "fill": self.tr("Fill"),
            "mask": self.tr("Hide"), "rectangle": self.tr("Hide rectangle"), "eraser": self.tr("Erase mask"),
            "keep": self.tr("Keep"), "hint": self.tr("Hint"),
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
        held = event.buttons() & (Qt.MouseButton.LeftButton | Qt.MouseButton.RightButton)
        if held and (self._gesture is None or cell != self._gesture.last):
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

    def tabletEvent(self, event: QTabletEvent) -> None:
        """A pen draws as the left button does, its other end erases the mask, and pressure sets the width of the brush."""
        kind, cell = event.type(), self._cell_at(event.position())
        if self._sheet is None or self._space or event.button() == Qt.MouseButton.MiddleButton:
            event.ignore()                    # Qt makes a mouse event of it, and the mouse pans
            return
        self._pressure = event.pressure() if kind != QEvent.Type.TabletRelease else None
        if kind == QEvent.Type.TabletPress:
            tool = self.tool
            if event.pointerType() == QPointingDevice.PointerType.Eraser:
                self.set_tool("eraser")
            self._press(cell, event.button() == Qt.MouseButton.RightButton)
            self._tool_of_pen = tool
        elif kind == QEvent.Type.TabletMove:
            if self._gesture is not None or (event.buttons() and self.tool == "picker"):
                self._drag(cell)
            else:
                self._pressure = None         # a hovering pen shows the whole brush
        else:
            self._commit()
            if self._tool_of_pen is not None:
                self.tool, self._tool_of_pen = self._tool_of_pen, None
        self._point_at(cell)
        self.update()
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

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Who comes by keys sees where the tool stands."""
        super().focusInEvent(event)
        if event.reason() in BY_KEYS and self._sheet is not None:
            self._point_at(self._cell or self._middle())

    def _middle(self) -> Cell:
        return self.spec.height // 2, self.spec.width // 2

    def event(self, event: QEvent) -> bool:
        """Keys the canvas uses itself are not the window's shortcuts while it has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and plain(event) and event.key() in (*STEPS, *PRESS, Qt.Key.Key_Space):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space pans; the keys of STEPS move the footprint; Return uses the tool (twice for lines and rectangles)."""
        key = event.key()
        if self._sheet is None or not plain(event):
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space = True
                self.setCursor(Qt.CursorShape.OpenHandCursor)
        elif key in STEPS:
            self._point_at(gone(key, self._cell or self._middle(), self.spec.height, self.spec.width))
            if self._gesture is not None:
                self._drag(self._cell)
        elif key in PRESS and self._cell is not None:
            if self._gesture is None:
                self._press(self._cell, False)
                if self.tool in TWO_ENDED:
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

    def paint_marks(self, painter: QPainter) -> None:
        """What belongs to the sheet, and the footprint of the tool."""
        super().paint_marks(painter)
        if self._cell is not None and (self.underMouse() or self.hasFocus()) and not self._space:
            footprint = disc(self._cell, self.footprint, self._sheet.hidden.shape)
            self._paint_footprint(painter, footprint)

    def _paint_footprint(self, painter: QPainter, footprint: np.ndarray) -> None:
        """Drawing tools carry their ink, hiding tools are an empty frame: seen before the first click."""
        if self.tool in DRAW and self.tool != "picker":
            ink = to_display(np.array(self.ink), self.spec.levels).tolist()
            for row, column in zip(*footprint.nonzero(), strict=True):
                painter.fillRect(self.rect_of(int(row), int(column)), QColor(*(ink * 3 if len(ink) == 1 else ink)))
        lines = [QLineF(*line) for line in outline(footprint)]
        tint = QColor("white") if self.tool in DRAW else theme.colour("known")
        self._draw_lines(painter, lines, tint, QColor(0, 0, 0, 160))
