"""A section that unfolds: a quiet heading to click, and below it what it hides. It stays as the person left it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSettings, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import scrolled_in


class Fold(QWidget):
    """`unfolded(bool)` when it opens or closes. `name` is the key under which its state is remembered."""

    unfolded = Signal(bool)

    def __init__(self, name: str, title: str, *widgets: QWidget, tooltip: str = "", open_at_first: bool = False) -> None:
        super().__init__()
        self._name = f"inspect/{name}"
        self.header = QToolButton(text=title.upper(), checkable=True)
        self.header.setObjectName("fold")
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setIconSize(QSize(12, 12))
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.setAccessibleName(title)
        self.header.setToolTip(tooltip)
        self.body = QWidget()
        column = QVBoxLayout(self.body)
        column.setContentsMargins(0, 2, 0, 4)
        column.setSpacing(6)
        for widget in widgets:
            column.addWidget(widget)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addWidget(self.header)
        whole.addWidget(self.body)
        remembered = QSettings().value(self._name)
        self.header.setChecked(open_at_first if remembered is None else remembered == "true")
        self._show()
        self.header.toggled.connect(self._toggled)
        self.header.clicked.connect(self._reveal)

    @property
    def is_open(self) -> bool:
        """True while its contents are shown."""
        return self.header.isChecked()

    def retint(self) -> None:
        """An arrow in the palette in use."""
        self.header.setIcon(theme.icon("chevron-down" if self.is_open else "chevron-right", "dim"))

    def changeEvent(self, event: QEvent) -> None:
        """New palette, new arrow."""
        if event.type() == QEvent.Type.PaletteChange:
            self.retint()
        super().changeEvent(event)

    @Slot(bool)
    def _toggled(self, on: bool) -> None:
        QSettings().setValue(self._name, "true" if on else "false")
        self._show()
        self.unfolded.emit(on)

    @Slot(bool)
    def _reveal(self, on: bool) -> None:
        """Opened by a person: scroll as far as what it holds needs, but never past its heading."""
        area = scrolled_in(self)
        if on and area is not None:
            area.widget().layout().activate()
            area.ensureWidgetVisible(self.body, 0, 8)
            area.ensureWidgetVisible(self.header, 0, 0)

    def _show(self) -> None:
        self.body.setVisible(self.is_open)
        self.retint()
