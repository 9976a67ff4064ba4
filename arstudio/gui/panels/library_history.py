"""The history in the Library: thumbnails to restore, a search, and for the chosen one a pin and a bin."""

from __future__ import annotations

import time

from PySide6.QtCore import QPoint, Qt, Slot
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QSizePolicy, QVBoxLayout, QWidget

from arstudio.gui.history import HistoryItem
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import icon_button, label, section
from arstudio.gui.widgets.picture_grid import WrappingGrid, pixmap_of

MOST_SHOWN = 96


class HistorySection(QWidget):
    """Heading, search field, grid, and a line about the drawing that was chosen last."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self.items: list[HistoryItem] = []
        self._pictures: dict[HistoryItem, QPixmap] = {}
        self._chosen: HistoryItem | None = None
        self.search = QLineEdit(placeholderText=self.tr("Search history"), clearButtonEnabled=True)
        self.search.setAccessibleName(self.tr("Search history"))
        self.search.setToolTip(self.tr("Words of model, data, class or seed, such as “fashion pullover seed 42”"))
        self.search.textChanged.connect(self.refresh)
        self.grid = WrappingGrid(self.tr("History of drawings"))
        self.grid.chosen.connect(self._choose)
        self.grid.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.grid.customContextMenuRequested.connect(self._menu)
        self.empty = label("", "small", wrap=True)
        self.about = label("", "small", wrap=True)
        self.about.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.pin = icon_button("pin", self.tr("Pin: never drop this drawing"), checkable=True, kind="quiet")
        self.pin.clicked.connect(self._pin)
        self.bin = icon_button("trash", self.tr("Delete this drawing from the history (Del)"), kind="quiet")
        self.bin.clicked.connect(self.delete)
        self.line = QWidget()
        row = QHBoxLayout(self.line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.about, 1)
        row.addWidget(self.pin)
        row.addWidget(self.bin)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(section(self.tr("History")))
        for widget in (self.search, self.empty, self.grid, self.line):
            column.addWidget(widget)
        self.line.hide()
        studio.history_changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show what the search finds, pinned drawings first."""
        history = self.studio.history
        self.items = history.search(self.search.text())[:MOST_SHOWN]
        self.search.setVisible(len(history) > 0)
        self.empty.setVisible(not self.items)
        words = self.tr("No drawing holds all these words.") if len(history) else self.tr("Finished drawings appear here.")
        self.empty.setText(words)
        if self.items or self.grid.count():
            self._pictures = {i: self._pictures.get(i) or pixmap_of(i.image, i.spec) for i in self.items}
            self.grid.show_items([(self._pictures[item], self._tip(item)) for item in self.items])
        self.grid.mark_places({i for i, item in enumerate(self.items) if item.pinned})
        if self._chosen not in self.items:
            self._chosen = None
        self.grid.set_current(self.items.index(self._chosen) if self._chosen else None)
        self._show_line()

    def _tip(self, item: HistoryItem) -> str:
        s, lines = item.settings, [item.label]
        if s.class_index >= 0:
            lines.append(self.tr("Class {0}").format(item.card.class_name(s.class_index)))
        lines.append(self.tr("{0} · T {1:.2f} · {2} images").format(item.card.kind, s.temperature, s.count))
        lines.append(time.strftime("%Y-%m-%d %H:%M", time.localtime(item.when)))
        return "\n".join(lines)

    @Slot(int)
    def _choose(self, place: int) -> None:
        """Restore a drawing."""
        self._chosen = self.items[place]
        self._show_line()
        self.studio.recall(self._chosen)

    def _show_line(self) -> None:
        item = self._chosen
        self.line.setVisible(item is not None)
        if item is not None:
            s = item.settings
            self.about.setText(self.tr("{0}\nseed {1} · T {2:.2f}").format(item.card.title, s.seed, s.temperature))
            self.pin.setChecked(item.pinned)

    @Slot(bool)
    def _pin(self, on: bool) -> None:
        if self._chosen is not None:
            self.studio.history.pin(self._chosen, on)

    @Slot()
    def delete(self) -> None:
        """Forget the chosen drawing; the next one is chosen, without being shown."""
        if self._chosen is not None:
            place = self.items.index(self._chosen)
            rest = [item for item in self.items if item is not self._chosen]
            gone, self._chosen = self._chosen, rest[min(place, len(rest) - 1)] if rest else None
            self.studio.history.delete(gone)

    @Slot(QPoint)
    def _menu(self, point: QPoint) -> None:
        place = self.grid.place_at(point.toPointF())
        if place >= 0:
            self.menu_of(place).popup(self.grid.mapToGlobal(point))

    def menu_of(self, place: int) -> QMenu:
        """Restore, pin and delete for one thumbnail."""
        item, menu = self.items[place], QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("Restore")).triggered.connect(lambda: self._choose(place))
        text = self.tr("Unpin") if item.pinned else self.tr("Pin")
        menu.addAction(text).triggered.connect(lambda: self.studio.history.pin(item, not item.pinned))
        menu.addAction(self.tr("Delete")).triggered.connect(lambda: self.studio.history.delete(item))
        return menu

    def keyPressEvent(self, event: object) -> None:
        """Del deletes the chosen drawing."""
        if event.key() == Qt.Key.Key_Delete and self.grid.hasFocus():
            self.delete()
        else:
            super().keyPressEvent(event)
