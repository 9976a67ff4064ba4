"""Every action of the window as data: text, shortcut, icon, menu. Menus, tooltips and the command palette come from it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QAction, QIcon, QKeySequence, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.widgets.keys import PRESS

K = QKeySequence.StandardKey


@dataclass(frozen=True)
class ActionSpec:
    """One action. `slot` is a method of the main window, its `files` or its `transport`; an empty text is a separator."""

    menu: str
    text: str = ""
    slot: str = ""
    keys: tuple[str | K, ...] = ()
    icon: str = ""
    tip: str = ""
    checkable: bool = False


ACTIONS = (
    ActionSpec("File", "&Open…", "open_file", (K.Open,), "open", "Open a model file, a run or a picture"),
    ActionSpec("File"),
    ActionSpec("File", "&Save image", "save_picture", (K.Save,), "save", "Save the image as PNG, with its settings inside"),
    ActionSpec("File", "Save image &as…", "save_picture_as", (K.SaveAs, "Ctrl+Shift+S"), "save"),
    ActionSpec("File", "&Export…", "export", ("Ctrl+E",), "export", "PNG, GIF, animated PNG, CSV or Python"),
    ActionSpec("File"),
    ActionSpec("File", "&Preferences…", "preferences", ("Ctrl+,",), "settings"),
    ActionSpec("File"),
    ActionSpec("File", "&Quit", "close", (K.Quit, "Ctrl+Q")),
    ActionSpec("Edit", "&Copy image", "copy_image", (K.Copy,), "copy"),
    ActionSpec("Edit", "Copy P&ython", "copy_snippet", ("Ctrl+Shift+C",), "clipboard", "Python that draws this image again"),
    ActionSpec("Edit", "&Paste image", "paste_image", (K.Paste,), "paste", "Paste a picture to complete it"),
    ActionSpec("View", "&Generate", "show_generate", ("Ctrl+1",), "generate"),
    ActionSpec("View", "&Complete", "show_complete", ("Ctrl+2",), "complete"),
    ActionSpec("View", "&Train", "show_train", ("Ctrl+3",), "train"),
    ActionSpec("View"),
    ActionSpec("View", "&Fit image", "fit_image", ("Ctrl+0",)),
    ActionSpec("View", "F&ull screen", "full_screen", ("F11",), "fullscreen"),
    ActionSpec("View", "&Presentation mode", "present", ("F5",), "eye", "Large type; only stage, inspector and transport"),
    ActionSpec("View", "Command palett&e…", "command_palette", ("Ctrl+Shift+P",), "search"),
    ActionSpec("View", "&Reset layout", "reset_layout"),
    ActionSpec("Model", "&Open model file…", "open_model_file", (), "folder"),
    ActionSpec("Model", "&Save model as…", "save_model_as", (), "save"),
    ActionSpec("Model", "&About this model", "about_model", (), "info"),
    ActionSpec("Generate", "&Generate or complete", "go", ("Ctrl+Return", "Ctrl+Enter"), "generate"),
    ActionSpec("Generate", "&Redraw from here", "redraw", ("Ctrl+B",), "branch"),
    ActionSpec("Generate", "&Cancel", "cancel", ("Esc",), "close"),
    ActionSpec("Generate"),
    ActionSpec("Generate", "&Play or pause", "toggle", ("Space",), "play"),
    ActionSpec("Generate", "Next pixel", "next_pixel", ("Right",), "step-forward"),
    ActionSpec("Generate", "Previous pixel", "previous_pixel", ("Left",), "step-back"),
    ActionSpec("Generate", "Next row", "next_row", ("Shift+Right",)),
    ActionSpec("Generate", "Previous row", "previous_row", ("Shift+Left",)),
    ActionSpec("Generate", "Next channel", "next_channel", ("Alt+Right",), "", "Forward one channel of a pixel"),
    ActionSpec("Generate", "Previous channel", "previous_channel", ("Alt+Left",), "", "Back one channel of a pixel"),
    ActionSpec("Generate", "To the start", "to_start", ("Home",), "skip-start"),
    ActionSpec("Generate", "To the end", "to_end", ("End",), "skip-end"),
    ActionSpec("Generate"),
    ActionSpec("Generate", "&Mark", "toggle_mark", ("Ctrl+M",), "pin", "Put a mark at the playhead, or take it away"),
    ActionSpec("Generate", "Next mark", "next_mark", ("Ctrl+Right",)),
    ActionSpec("Generate", "Previous mark", "previous_mark", ("Ctrl+Left",)),
    ActionSpec("Generate", "&Loop", "toggle_loop", ("Ctrl+L",), "refresh", "Play the part between two marks again and again"),
    ActionSpec("Generate"),
    ActionSpec("Generate", "Next branch", "next_branch", ("Alt+Down",)),
    ActionSpec("Generate", "Previous branch", "previous_branch", ("Alt+Up",)),
    ActionSpec("Generate", "Re&name branch", "rename_branch", ("F2",)),
    ActionSpec("Generate", "S&ide by side", "toggle_side_by_side", ("Ctrl+D",), "compare", "Show the other future beside"),
    ActionSpec("Generate"),
    ActionSpec("Generate", "New &seed", "new_seed", ("Ctrl+R",), "dice"),
    ActionSpec("Help", "Take the &tour", "take_tour", (), "play", "What is where, in six steps"),
    ActionSpec("Help", "&Lessons…", "show_lessons", (), "help", "Five short lessons in the real program"),
    ActionSpec("Help"),
    ActionSpec("Help", "&Keys and mouse", "show_keys", ("F1",), "help"),
    ActionSpec("Help", "&About AR Studio", "about", (), "info"),
)


def build(window: QWidget) -> dict[str, QAction]:
    """Make every action, wired to the methods of the window, its `files` or its `transport`. Keys: slot name."""
    made = {}
    for spec in ACTIONS:
        if not spec.text:
            continue
        action = QAction(spec.text, window)
        action.setObjectName(spec.slot)
        action.setMenuRole(QAction.MenuRole.QuitRole if spec.slot == "close" else QAction.MenuRole.NoRole)
        keys = {QKeySequence(key).toString(): QKeySequence(key) for key in spec.keys}    # the same key twice is ambiguous
        action.setShortcuts([key for text, key in keys.items() if text])
        shortcut = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        plain = spec.text.replace("&", "")
        action.setToolTip(f"{spec.tip or plain} ({shortcut})" if shortcut else spec.tip or plain)
        action.triggered.connect(next(
            getattr(part, spec.slot) for part in (window, window.files, window.transport) if hasattr(part, spec.slot)
        ))
        window.addAction(action)
        made[spec.slot] = action
    return made


def retint(actions: dict[str, QAction]) -> None:
    """Icons in the palette in use."""
    for spec in ACTIONS:
        if spec.icon:
            actions[spec.slot].setIcon(theme.icon(spec.icon))


class CommandPalette(QDialog):
    """Type a few letters, press Return: any action of the window."""

    chosen = Signal(str)

    def __init__(self, window: QWidget, actions: dict[str, QAction]) -> None:
        super().__init__(window)
        self.setWindowTitle(self.tr("Command palette"))
        self.setMinimumSize(420, 320)
        self._actions = actions
        self.field = QLineEdit(placeholderText=self.tr("Type a command"))
        self.field.setAccessibleName(self.tr("Command"))
        self.list = QTreeWidget()
        self.list.setColumnCount(2)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setIconSize(QSize(16, 16))
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._blank = QPixmap(16, 16)    # where an action has no icon its words stand below the others'
        self._blank.fill(Qt.GlobalColor.transparent)
        column = QVBoxLayout(self)
        column.addWidget(self.field)
        column.addWidget(self.list, 1)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list.itemActivated.connect(self._run)
        self._filter("")

    def _filter(self, text: str) -> None:
        self.list.clear()
        letters = text.lower().split()
        for slot, action in self._actions.items():
            plain = action.text().replace("&", "")
            if action.isEnabled() and all(part in plain.lower() for part in letters):
                keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
                item = QTreeWidgetItem([plain, keys])
                item.setIcon(0, QIcon(self._blank) if action.icon().isNull() else action.icon())
                item.setForeground(1, theme.colour("dim"))
                item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setData(0, Qt.ItemDataRole.UserRole, slot)
                self.list.addTopLevelItem(item)
        self._go_to(0)

    def _go_to(self, row: int) -> None:
        """Make a row the one that Return runs."""
        count = self.list.topLevelItemCount()
        self.list.setCurrentItem(self.list.topLevelItem(max(0, min(count - 1, row))) if count else None)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows and Return in the field act on the list."""
        if event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                step = 1 if event.key() == Qt.Key.Key_Down else -1
                self._go_to(self.list.indexOfTopLevelItem(self.list.currentItem()) + step)
                return True
            if event.key() in PRESS and self.list.currentItem():
                self._run(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _run(self, item: QTreeWidgetItem) -> None:
        self.accept()
        self.chosen.emit(item.data(0, Qt.ItemDataRole.UserRole))
