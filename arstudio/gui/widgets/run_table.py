"""The runs on this machine, newest first: what was trained on what, how good it got, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStyle,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.widgets.controls import label
from arstudio.gui.wording import duration, state_words
from arstudio.image import ImageError, ImageSpec
from arstudio.models.modelfile import ModelCard
from arstudio.training.lock import state_of
from arstudio.training.runs import Remarks, Run

COLUMNS = ("run", "notes", "data", "model", "best", "time", "state")
NOTES, STATE = COLUMNS.index("notes"), COLUMNS.index("state")
NARROW = 680                            # below this width, model and time are left out
NARROWER = 520                          # below this one the data is, too, and the folder is opened from the menu


@dataclass(frozen=True)
class RunRow:
    """One line of the table. `state` is what `state_words` knows; `usable`: it holds weights to draw with; `ours`: it lies
    among this machine's runs, and may be written."""

    path: Path
    data: str
    model: str
    best: float | None
    seconds: float
    state: str
    usable: bool
    remarks: Remarks = field(default_factory=Remarks)
    ours: bool = True

    @classmethod
    def of(cls, run: Run, active: Path | None, ours: bool = True) -> RunRow:
        """What a run on disk says of itself; one marked as training that nobody writes was interrupted."""
        record = run.record
        best = min((p.validation_bits_per_dim for p in run.points), default=None)
        state = "training" if run.path == active else state_of(run)
        try:
            model = ModelCard(str(record["model"]), ImageSpec(**record["spec"]), {}).title
        except (KeyError, TypeError, ImageError):
            model = str(record.get("model", "?"))
        return cls(
            run.path, str(record.get("dataset", "?")), model, best,
            float(record.get("seconds") or (run.points[-1].seconds if run.points else 0.0)), state,
            (run.path / "best.safetensors").exists(), run.remarks(), ours,
        )


def remarks_of(text: str) -> Remarks:
    """What a person typed: words that begin with # are tags, the others notes."""
    words = text.split()
    tags = dict.fromkeys(word[1:] for word in words if len(word) > 1 and word[0] == "#")
    return Remarks(" ".join(word for word in words if word[0] != "#"), tuple(tags))


def text_of(remarks: Remarks) -> str:
    """Notes and tags as a person types them."""
    return " ".join([*(f"#{tag}" for tag in remarks.tags), *([remarks.notes] if remarks.notes else [])])


class _Table(QTableWidget):
    """Framed while it has the keyboard. F2 edits the notes of the run, wherever in its row that is."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Rows; the frame lies over them, because a border would take room from them."""
        super().paintEvent(event)
        if self.hasFocus():
            painter = QPainter(self.viewport())
            painter.setPen(theme.colour("accent"))
            painter.drawRect(self.viewport().rect().adjusted(0, 0, -1, -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Edit, or do what tables do."""
        notes = self.item(self.currentRow(), NOTES)
        if event.key() != Qt.Key.Key_F2 or notes is None:
            super().keyPressEvent(event)
        elif notes.flags() & Qt.ItemFlag.ItemIsEditable and self.state() != QAbstractItemView.State.EditingState:
            self.editItem(notes)


class RunTable(QWidget):
    """`opened`, `resumed`, `revealed`, `removed` and `chosen` carry the path of a run, `compared` those of several, and
    `remarked` a path and its Remarks. Notes are edited in their column, by a double click or F2."""

    compared = Signal(object)
    remarked = Signal(object, object)
    opened = Signal(object)
    resumed = Signal(object)
    revealed = Signal(object)
    removed = Signal(object)
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._rows: list[RunRow] = []
        self.table = _Table(0, len(COLUMNS))
        self.table.setAccessibleName(self.tr("Runs"))
        names = (
            self.tr("Run"), self.tr("Notes"), self.tr("Data"), self.tr("Model"), self.tr("Best"), self.tr("Time"),
            self.tr("State"),
        )
        self.table.setHorizontalHeaderLabels(names)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(24)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        triggers = QAbstractItemView.EditTrigger
        self.table.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        beside = 8 + 1 + self.table.style().pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin)    # as the text of an item
        header.setStyleSheet(f"QHeaderView {{ background: transparent; }} QHeaderView::section {{ padding-left: {beside}px; }}")
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NOTES, QHeaderView.ResizeMode.Stretch)
        for column in range(len(COLUMNS)):
            self.table.horizontalHeaderItem(column).setTextAlignment(_alignment(column))
        self.table.itemSelectionChanged.connect(self._chosen)
        self.table.itemDoubleClicked.connect(self._double_clicked)
        self.table.itemChanged.connect(self._edited)
        self.empty = label(self.tr("Every training leaves a run here, to open, resume or compare."), "dim")
        draw = self.tr("Draw with the best weights of this run")
        self.open_button = self._button(self.tr("Open in Generate"), draw)
        self.resume_button = self._button(self.tr("Resume"), self.tr("Go on where this run was last saved"))
        self.folder_button = self._button(self.tr("Open folder"), self.tr("Show the files of this run"))
        trash = self.tr("Move this run to the trash, after asking")
        self.delete_button = self._button(self.tr("Delete…"), trash)
        self.more = QToolButton(text=self.tr("More…"))
        self.more.setObjectName("quiet")
        self.more.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.more.setToolTip(self.tr("Duplicate, compare, export, follow"))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.more)
        self.menu.setToolTipsVisible(True)
        self.more.setMenu(self.menu)
        self.folder_verb = self.menu.addAction(self.folder_button.text())
        self.folder_verb.triggered.connect(self._reveal)
        self.open_button.clicked.connect(self._open)
        self.resume_button.clicked.connect(self._resume)
        self.folder_button.clicked.connect(self._reveal)
        self.delete_button.clicked.connect(self._remove)
        self.hint = label(self._hint(), "small")
        self.hint.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.hint, 1)
        for button in (self.open_button, self.resume_button, self.folder_button, self.delete_button, self.more):
            top.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 6, 24, 4)
        column.setSpacing(2)
        column.addLayout(top)
        column.addWidget(self.empty, 1, Qt.AlignmentFlag.AlignTop)
        column.addWidget(self.table, 1)
        self.show_rows([])

    def _button(self, text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName("quiet")
        button.setToolTip(tooltip)
        return button

    def rows(self) -> list[RunRow]:
        """What is listed."""
        return list(self._rows)

    def show_rows(self, rows: list[RunRow]) -> None:
        """List runs, keeping the selection; only cells that changed are touched."""
        keep = self.selection()
        self.table.blockSignals(True)
        if len(rows) != self.table.rowCount():
            self.table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            best = "–" if row.best is None else self.tr("{0:.3f} bits/dim").format(row.best)
            state = state_words(row.state)
            texts = (row.path.name, text_of(row.remarks), row.data, row.model, best, duration(row.seconds), state)
            for column, text in enumerate(texts):
                item = self.table.item(i, column)
                if item is None:
                    item = QTableWidgetItem()
                    item.setTextAlignment(_alignment(column))
                    self.table.setItem(i, column, item)
                tip = text if column else str(row.path)
                if column == NOTES:
                    tip = text or self.tr("Notes and #tags: double-click to write")
                if (item.text(), item.toolTip()) != (text, tip):
                    item.setText(text)
                    item.setToolTip(tip)
                editable = column == NOTES and row.ours
                flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
                flags |= Qt.ItemFlag.ItemIsEditable if editable else Qt.ItemFlag.NoItemFlags
                if item.flags() != flags:    # to set anything has a cell painted again
                    item.setFlags(flags)
            if self._rows[i:i + 1] != [row]:
                self._tint(i, row)
        self._rows = list(rows)
        self.table.blockSignals(False)
        if keep != self.selection():
            self.select(*keep)
        self.empty.setVisible(not rows)
        self.hint.setText(self._hint())
        self.table.setVisible(bool(rows))
        self._enable()

    def _tint(self, index: int, row: RunRow) -> None:
        live = row.state in ("training", "paused", "elsewhere")
        self.table.item(index, STATE).setForeground(theme.colour("accent" if live else "text"))
        font = self.table.font()
        font.setBold(live)
        self.table.item(index, 0).setFont(font)

    def select(self, *paths: Path) -> None:
        """Select runs without a signal, as far as they are listed."""
        self.table.blockSignals(True)
        self.table.clearSelection()
        chosen, last = self.table.selectionModel(), len(COLUMNS) - 1
        for i, row in enumerate(self._rows):
            if row.path in paths:
                area = QItemSelection(self.table.model().index(i, 0), self.table.model().index(i, last))
                chosen.select(area, QItemSelectionModel.SelectionFlag.Select)
        self.table.blockSignals(False)
        self._enable()

    def selection(self) -> list[Path]:
        """All selected runs, from the top."""
        found = sorted(index.row() for index in self.table.selectionModel().selectedRows()) if self._rows else []
        return [self._rows[i].path for i in found if i < len(self._rows)]

    def selected(self) -> Path | None:
        """The selected run, the first of several."""
        row = self._row()
        return row.path if row else None

    def _row(self) -> RunRow | None:
        paths = self.selection()
        return next((row for row in self._rows if paths and row.path == paths[0]), None)

    def _enable(self) -> None:
        row = self._row()
        idle = row is not None and row.state not in ("training", "paused", "elsewhere", "leaving")
        self.open_button.setEnabled(row is not None and row.usable)
        self.resume_button.setEnabled(idle and row.ours)
        self.folder_button.setEnabled(row is not None)
        self.delete_button.setEnabled(idle or (row is not None and not row.ours))
        ours = row is None or row.ours
        self.delete_button.setText(self.tr("Delete…") if ours else self.tr("Forget"))
        for button in (self.open_button, self.resume_button, self.delete_button):
            button.setVisible(bool(self._rows))
        self._place_folder()

    def _place_folder(self) -> None:
        tight = self.width() < theme.px(NARROWER)
        self.folder_button.setVisible(bool(self._rows) and not tight)
        self.folder_verb.setVisible(bool(self._rows) and tight)
        self.folder_verb.setEnabled(self.folder_button.isEnabled())

    @Slot()
    def _chosen(self) -> None:
        self._enable()
        paths = self.selection()
        if len(paths) == 1:
            self.chosen.emit(paths[0])
        if paths:
            self.compared.emit(paths)

    @Slot(QTableWidgetItem)
    def _double_clicked(self, item: QTableWidgetItem) -> None:
        if item.column() != NOTES:
            self._open()

    @Slot(QTableWidgetItem)
    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() == NOTES and item.row() < len(self._rows):
            self.remarked.emit(self._rows[item.row()].path, remarks_of(item.text()))

    def _hint(self) -> str:
        if not self._rows:
            return ""
        return self.tr("double-click draws · Ctrl+click compares") if self.width() >= NARROW else ""

    @Slot()
    def _open(self) -> None:
        if self._row() is not None and self._row().usable:
            self.opened.emit(self.selected())

    @Slot()
    def _resume(self) -> None:
        self.resumed.emit(self.selected())

    @Slot()
    def _reveal(self) -> None:
        self.revealed.emit(self.selected())

    @Slot()
    def _remove(self) -> None:
        self.removed.emit(self.selected())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return opens, Delete asks to delete."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open()
        elif event.key() == Qt.Key.Key_Delete and self.delete_button.isEnabled():
            self._remove()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: object) -> None:
        """Leave out what a narrow window has no room for."""
        for name in ("model", "time"):
            self.table.setColumnHidden(COLUMNS.index(name), self.width() < NARROW)
        self.table.setColumnHidden(COLUMNS.index("data"), self.width() < NARROWER)
        self.hint.setText(self._hint())
        self._place_folder()

    def changeEvent(self, event: QEvent) -> None:
        """A new palette: tint the states again."""
        if event.type() == QEvent.Type.PaletteChange:
            for i, row in enumerate(self._rows):
                self._tint(i, row)
        super().changeEvent(event)


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column <= NOTES else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter
