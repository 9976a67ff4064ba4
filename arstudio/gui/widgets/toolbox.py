"""The tools beside the canvas, in two columns that never mix, and the row of masks below it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QButtonGroup, QFrame, QGridLayout, QHBoxLayout, QMenu, QToolButton, QWidget

from arstudio.gui.widgets.canvas import Canvas
from arstudio.gui.widgets.controls import icon_button, label, stop_at_chosen
from arstudio.gui.widgets.gesture import DRAW, HIDE
from arstudio.gui.widgets.ink import InkWell

KEYS = {
    "brush": "B", "line": "L", "block": "U", "fill": "F", "picker": "I",
    "mask": "M", "rectangle": "R", "eraser": "E", "keep": "K", "hint": "H",
}
ICONS = {"keep": "pin"}     # the others are called like their tool
WIDE, HIGH = 34, 32
MARGINS = 6    # of a quiet button, both sides
SIZES = (1, 2, 3, 4, 6, 8, 12, 16)


class ToolColumn(QWidget):
    """Drawing tools and inks on the left, hiding tools on the right, the width of the brush, undo and redo: for one
    canvas."""

    def __init__(self, canvas: Canvas, keys_in: QWidget) -> None:
        super().__init__()
        self._canvas = canvas
        self.buttons: dict[str, QToolButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        group = QButtonGroup(self)
        group.buttonToggled.connect(lambda _button, on: stop_at_chosen(group) if on else None)
        for side, (title, names) in enumerate(((self.tr("Draw"), DRAW), (self.tr("Hide"), HIDE))):
            heading = label(title, "small")
            heading.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            grid.addWidget(heading, 0, side)
            for row, name in enumerate(names, 1):
                button = self._button(ICONS.get(name, name), self._tip(name), checkable=True)
                button.clicked.connect(lambda _checked, name=name: self.set_tool(name))
                group.addButton(button)
                grid.addWidget(button, row, side)
                self.buttons[name] = button
                self._key(KEYS[name], lambda name=name: self.set_tool(name), keys_in)
        row = 1 + max(len(DRAW), len(HIDE))
        self.well = InkWell()
        self.well.picture = canvas.image
        self.well.chosen.connect(self._take_ink)
        grid.addWidget(self.well, row, 0)
        self.size = BrushSize()
        self.sizes = QMenu(self)
        for size in SIZES:
            self.sizes.addAction(self.tr("{0} px").format(size), lambda size=size: canvas.set_brush(size))
        self.size.clicked.connect(self._offer_sizes)
        grid.addWidget(self.size, row, 1)
        stack = canvas.undo_stack
        self.undo = self._button("undo", self.tr("Undo (Ctrl+Z)"))
        self.redo = self._button("redo", self.tr("Redo (Ctrl+Shift+Z)"))
        self.undo.clicked.connect(stack.undo)
        self.redo.clicked.connect(stack.redo)
        for side, (button, can) in enumerate(((self.undo, stack.canUndoChanged), (self.redo, stack.canRedoChanged))):
            button.setEnabled(False)
            can.connect(button.setEnabled)
            grid.addWidget(button, row + 1, side)
        grid.setRowStretch(row + 2, 1)
        self._key("X", canvas.swap_ink, keys_in)
        self._key("[", lambda: canvas.set_brush(canvas.brush - 1), keys_in)
        self._key("]", lambda: canvas.set_brush(canvas.brush + 1), keys_in)
        canvas.picked.connect(self._show_ink)
        canvas.resized_brush.connect(self.size.show_size)
        self.buttons[canvas.tool].setChecked(True)

    def set_tool(self, name: str) -> None:
        """Choose a tool by name."""
        self._canvas.set_tool(name)
        self.buttons[name].setChecked(True)

    def refresh(self) -> None:
        """Show the canvas's inks and brush, after a change of model."""
        self._show_ink(self._canvas.ink)
        self.size.show_size(self._canvas.brush)

    def _button(self, name: str, tip: str, *, checkable: bool = False) -> QToolButton:
        button = icon_button(name, tip, checkable=checkable)
        button.setFixedSize(WIDE, HIGH)
        button.setIconSize(QSize(18, 18))
        return button

    def _tip(self, name: str) -> str:
        return {
            "brush": self.tr("Brush (B)\nDraws with the ink; what you draw is known. Right button: other ink."),
            "line": self.tr("Line (L)\nDraws a straight line with the ink."),
            "block": self.tr("Rectangle (U)\nDraws a rectangle filled with the ink."),
            "fill": self.tr("Fill (F)\nFills joined pixels of one level with the ink."),
            "picker": self.tr("Picker (I)\nTakes the ink from the image."),
            "mask": self.tr("Mask (M)\nHides pixels, for the model to draw. Right button: makes them known."),
            "rectangle": self.tr("Hide a rectangle (R)\nRight button: makes it known again."),
            "eraser": self.tr("Eraser (E)\nTakes the mask away: hidden pixels are known again, as they were.\n"
                              "To erase what you drew, draw with the other ink (X)."),
            "hint": self.tr("Hint (H)\nTells about how bright hidden pixels are, in the ink; every stroke over them makes it\n"
                            "surer: 50 %, 75 %, 88 % … Right button: says nothing again. Counts with particles."),
            "keep": self.tr("Keep (K)\nOn a completion: what you paint over stays as the model drew it and is known\n"
                            "from now on; the rest stays hidden. Then complete again."),
        }[name]

    @staticmethod
    def _key(key: str, act: object, inside: QWidget) -> None:
        shortcut = QShortcut(QKeySequence(key), inside)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)

    def _take_ink(self, ink: object) -> None:
        self._canvas.ink = ink
        self._show_ink(ink)
        if self._canvas.tool not in DRAW or self._canvas.tool == "picker":
            self.set_tool("brush")

    def _show_ink(self, _ink: object) -> None:
        if self._canvas.spec is not None:
            self.well.show_inks(self._canvas.ink, self._canvas.other_ink, self._canvas.spec)

    def _offer_sizes(self) -> None:
        self.sizes.popup(self.size.mapToGlobal(QPoint(WIDE + 6, 0)))


class BrushSize(QToolButton):
    """How wide the brush is. The column is narrow: where the unit does not fit, the number stands alone."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 1
        self.setObjectName("quiet")
        self.setFixedSize(WIDE, WIDE)
        self.setToolTip(self.tr("Width of brush, mask and eraser: click to choose, [ and ], or Ctrl and the wheel"))

    def show_size(self, size: int) -> None:
        """Show a width in pixels of the image."""
        self._size = size
        self.setAccessibleName(self.tr("Brush width {0} pixels").format(size))
        self.ensurePolished()
        whole = self.tr("{0} px").format(size)
        self.setText(whole if self.fontMetrics().horizontalAdvance(whole) <= WIDE - MARGINS else str(size))

    def changeEvent(self, event: QEvent) -> None:
        """Larger letters need more room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.show_size(self._size)


class HideBar(QWidget):
    """Ready-made masks, and changes to the one there is. `chosen(str)`: top, left, right, bottom, centre, blob,
    random; invert, grow, shrink, clear."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self.buttons: dict[str, QToolButton] = {}
        self.names: dict[str, str] = {}
        self.folded = False
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.list = QToolButton(text=self.tr("Hide"))
        self.list.setObjectName("field")
        self.list.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.list.setToolTip(self.tr("Ready-made masks"))
        self.list.setMenu(self.menu)
        self.list.setFixedHeight(HIGH)
        self.list.hide()
        row.addWidget(self.list)
        line = self._frame(row)
        self._presets = line.parentWidget()
        for key, text, tip in (
            ("top", self.tr("Top"), self.tr("Hide the upper half: it is drawn first")),
            ("left", self.tr("Left"), self.tr("Hide the left half")),
            ("right", self.tr("Right"), self.tr("Hide the right half")),
            ("bottom", self.tr("Bottom"), self.tr("Hide the lower half: drawn last, it follows all that is known")),
            ("centre", self.tr("Centre"), self.tr("Hide the middle, half as wide and high as the image")),
            ("blob", self.tr("Blobs"), self.tr("Hide two fifths of the image in random blobs, others at each click")),
            ("random", self.tr("Random"), self.tr("Hide a random half of the pixels, another at each click")),
        ):
            self._add(key, QToolButton(text=text), text, tip, line)
            entry = self.menu.addAction(text)
            entry.setToolTip(tip)
            entry.triggered.connect(lambda _checked, key=key: self.chosen.emit(key))
        line = self._frame(row)
        self._changes = line.parentWidget()
        for key, icon, text, tip in (
            ("invert", "invert", self.tr("Invert"), self.tr("Hide what is known and make known what is hidden")),
            ("grow", "grow", self.tr("Grow"), self.tr("Hide one more pixel all round what is hidden")),
            ("shrink", "shrink", self.tr("Shrink"), self.tr("Make known the outermost pixels of what is hidden")),
            ("clear", "unmask", self.tr("Clear"), self.tr("Hide nothing")),
        ):
            button = icon_button(icon, text)
            button.setIconSize(QSize(16, 16))
            self._add(key, button, text, self.tr("{0}\n{1}").format(text, tip), line)

    def room(self) -> int:
        """The width that it takes with every mask in sight."""
        return self._presets.sizeHint().width() + self._changes.sizeHint().width() + self.layout().spacing()

    def fold(self, folded: bool) -> None:
        """The ready-made masks in a menu, or all in sight."""
        self.folded = folded
        self.list.setVisible(folded)
        self._presets.setVisible(not folded)

    def _frame(self, row: QHBoxLayout) -> QHBoxLayout:
        frame = QFrame()
        frame.setObjectName("segmented")
        frame.setFixedHeight(HIGH)
        line = QHBoxLayout(frame)
        line.setContentsMargins(1, 1, 1, 1)
        line.setSpacing(0)
        row.addWidget(frame)
        return line

    def _add(self, key: str, button: QToolButton, text: str, tip: str, line: QHBoxLayout) -> None:
        button.setToolTip(tip)
        button.setAccessibleName(self.tr("Hide: {0}").format(text))
        button.clicked.connect(lambda _checked: self.chosen.emit(key))
        line.addWidget(button)
        self.buttons[key], self.names[key] = button, text
