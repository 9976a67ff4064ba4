"""The column of tools beside the canvas, and the row of masks below it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from arstudio.gui.widgets.canvas import TOOLS, Canvas
from arstudio.gui.widgets.controls import icon_button, label
from arstudio.gui.widgets.ink import InkWell

KEYS = {"brush": "B", "mask": "M", "eraser": "E", "line": "L", "rectangle": "R", "fill": "F", "picker": "I"}


class ToolColumn(QWidget):
    """Seven tools, the inks, the width of the brush, undo and redo: for one canvas."""

    def __init__(self, canvas: Canvas, keys_in: QWidget) -> None:
        super().__init__()
        self._canvas = canvas
        self.buttons: dict[str, QToolButton] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        group = QButtonGroup(self)
        for name in TOOLS:
            button = self._button(name, self._tip(name), checkable=True)
            button.clicked.connect(lambda _checked, name=name: self.set_tool(name))
            group.addButton(button)
            column.addWidget(button)
            self.buttons[name] = button
            self._key(KEYS[name], lambda name=name: self.set_tool(name), keys_in)
        column.addSpacing(6)
        self.well = InkWell()
        self.well.chosen.connect(self._take_ink)
        column.addWidget(self.well)
        self.size = label("", "small")
        self.size.setFixedWidth(34)
        self.size.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self.size)
        column.addSpacing(2)
        undo, redo = canvas.undo_stack, canvas.undo_stack
        self.undo = self._button("undo", self.tr("Undo (Ctrl+Z)"))
        self.redo = self._button("redo", self.tr("Redo (Ctrl+Shift+Z)"))
        self.undo.clicked.connect(undo.undo)
        self.redo.clicked.connect(redo.redo)
        for button, can in ((self.undo, undo.canUndoChanged), (self.redo, redo.canRedoChanged)):
            button.setEnabled(False)
            can.connect(button.setEnabled)
            column.addWidget(button)
        column.addStretch()
        self._key("X", canvas.swap_ink, keys_in)
        self._key("[", lambda: canvas.set_brush(canvas.brush - 1), keys_in)
        self._key("]", lambda: canvas.set_brush(canvas.brush + 1), keys_in)
        canvas.picked.connect(self._show_ink)
        canvas.resized_brush.connect(self._show_size)
        self.buttons[canvas.tool].setChecked(True)

    def set_tool(self, name: str) -> None:
        """Choose a tool by name."""
        self._canvas.set_tool(name)
        self.buttons[name].setChecked(True)

    def refresh(self) -> None:
        """Show the canvas's inks and brush, after a change of model."""
        self._show_ink(self._canvas.ink)
        self._show_size(self._canvas.brush)

    def _button(self, name: str, tip: str, *, checkable: bool = False) -> QToolButton:
        button = icon_button(name, tip, checkable=checkable)
        button.setFixedSize(34, 32)
        button.setIconSize(QSize(18, 18))
        return button

    def _tip(self, name: str) -> str:
        return {
            "brush": self.tr("Brush (B)\nDraws with the ink; what you draw is known. Right button: other ink."),
            "mask": self.tr("Mask (M)\nHides pixels, for the model to draw. Right button: makes them known."),
            "eraser": self.tr("Eraser (E)\nTakes the mask away: hidden pixels are known again, as they were.\n"
                              "To erase what you drew, draw with the other ink (X)."),
            "line": self.tr("Line (L)\nDraws a straight line with the ink."),
            "rectangle": self.tr("Rectangle (R)\nHides a rectangle. Right button: makes it known again."),
            "fill": self.tr("Fill (F)\nFills joined pixels of one level with the ink."),
            "picker": self.tr("Picker (I)\nTakes the ink from the image."),
        }[name]

    @staticmethod
    def _key(key: str, act: object, inside: QWidget) -> None:
        shortcut = QShortcut(QKeySequence(key), inside)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)

    def _take_ink(self, ink: object) -> None:
        self._canvas.ink = ink
        self._show_ink(ink)
        if self._canvas.tool not in ("brush", "line", "fill"):
            self.set_tool("brush")

    def _show_ink(self, _ink: object) -> None:
        if self._canvas.spec is not None:
            self.well.show_inks(self._canvas.ink, self._canvas.other_ink, self._canvas.spec)

    def _show_size(self, size: int) -> None:
        self.size.setText(self.tr("{0} px").format(size))
        self.size.setToolTip(self.tr("Width of the brush: [ and ], or Ctrl and the wheel"))
        self.size.setAccessibleName(self.tr("Brush width {0} pixels").format(size))


class HideBar(QFrame):
    """Ready-made masks. `chosen(str)`: top, left, right, bottom, centre, random, invert, clear."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("segmented")
        row = QHBoxLayout(self)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        self.buttons: dict[str, QToolButton] = {}
        for key, text, tip in (
            ("top", self.tr("Top"), self.tr("Hide the upper half: drawn first, it knows nothing of what is below")),
            ("left", self.tr("Left"), self.tr("Hide the left half")),
            ("right", self.tr("Right"), self.tr("Hide the right half")),
            ("bottom", self.tr("Bottom"), self.tr("Hide the lower half: drawn last, it follows all that is known")),
            ("centre", self.tr("Centre"), self.tr("Hide the middle, half as wide and high as the image")),
            ("random", self.tr("Random"), self.tr("Hide a random half of the pixels, another at each click")),
            ("invert", self.tr("Invert"), self.tr("Hide what is known and make known what is hidden")),
            ("clear", self.tr("Clear"), self.tr("Hide nothing")),
        ):
            button = QToolButton(text=text)
            button.setToolTip(tip)
            button.setAccessibleName(self.tr("Hide: {0}").format(text))
            button.clicked.connect(lambda _checked, key=key: self.chosen.emit(key))
            row.addWidget(button)
            self.buttons[key] = button
