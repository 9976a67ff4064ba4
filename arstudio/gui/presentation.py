"""Presentation mode, for a projector: large type, and nothing but the model's name, stage, inspector, timeline, transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QObject, QSize, Qt, QTimer, Slot
from PySide6.QtWidgets import QWidget

from arstudio.gui import theme

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

TYPE = 1.4          # times the usual size of letters
INSPECTOR = 0.3    # share of the window's width
READ = 8000        # ms until the way out is known


class Presentation(QObject):
    """Turned on and off; when off everything is as it was."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.window = window
        self.on = False
        self._layout = QByteArray()
        self._hidden: list[QWidget] = []
        self._sizes: dict[str, QSize] = {}
        self._later = QTimer(self, singleShot=True, interval=0)    # letters of another size move docks once more
        self._later.timeout.connect(self._restore_sizes)
        self._read = QTimer(self, singleShot=True, interval=READ)
        self._read.timeout.connect(window.toolbar.words.clear)

    def toggle(self) -> None:
        """On or off."""
        self.on = not self.on
        if self.on:
            self._enter()
        else:
            self._leave()

    def _enter(self) -> None:
        window, docks = self.window, self.window.docks.by_name
        window.docks.held = True
        self._layout = window.saveState()
        self._sizes = {name: dock.size() for name, dock in docks.items()}
        around = (window.menuBar(), window.tabs, window.statusBar(), docks["library"])
        self._hidden = [part for part in around if part.isVisible()]
        for part in self._hidden:
            part.hide()
        window.toolbar.show_only_transport(True)
        for name in ("inspector", "timeline"):
            docks[name].show()
            docks[name].setTitleBarWidget(QWidget())
        theme.set_type_size(TYPE)
        window.inspector.area.verticalScrollBar().setValue(0)
        window.notice.hide()    # who turns to the presentation has read it
        window.toolbar.words.setText(self.tr("Esc or F5 ends the presentation"))    # where it covers nothing
        self._read.start()
        window.resizeDocks([docks["inspector"]], [int(window.width() * INSPECTOR)], Qt.Orientation.Horizontal)

    def _leave(self) -> None:
        window, docks = self.window, self.window.docks.by_name
        theme.set_type_size(1.0)
        window.toolbar.words.clear()
        for name in ("inspector", "timeline"):
            docks[name].setTitleBarWidget(None)
        for part in self._hidden:
            part.show()
        window.toolbar.show_only_transport(False)
        window.restoreState(self._layout)
        window.docks.held = False
        self._later.start()

    @Slot()
    def _restore_sizes(self) -> None:
        window, docks, sizes = self.window, self.window.docks.by_name, self._sizes
        across = [docks["library"], docks["inspector"]]
        window.resizeDocks(across, [sizes["library"].width(), sizes["inspector"].width()], Qt.Orientation.Horizontal)
        window.resizeDocks([docks["timeline"]], [sizes["timeline"].height()], Qt.Orientation.Vertical)
