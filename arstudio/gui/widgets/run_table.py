"""The runs on this machine, newest first: what was trained on what, how good it got, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.widgets.controls import label
from arstudio.gui.wording import duration
from arstudio.image import ImageError, ImageSpec
from arstudio.models.modelfile import ModelCard
from arstudio.training.runs import Run

COLUMNS = ("run", "data", "model", "best", "time", "state")
NARROW = 680                            # below this width, model and time are left out


@dataclass(frozen=True)
class RunRow:
    """One line of the table. `state` is a key of RunTable.states; `usable`: it holds weights to draw with."""

    path: Path
    data: str
    model: str
    best: float | None
    seconds: float
    state: str
    usable: bool

    @classmethod
    def of(cls, run: Run, active: Path | None) -> RunRow:
        """What a run on disk says of itself; one marked as training that nobody trains was interrupted."""
        record = run.record
        best = min((p.validation_bits_per_dim for p in run.points), default=None)
        state = str(record.get("status", "new"))
        if run.path == active:
            state = "training"
        elif state in ("training", "new"):
            state = "interrupted"
        try:
            model = ModelCard(str(record["model"]), ImageSpec(**record["spec"]), {}).title
        except (KeyError, TypeError, ImageError):
            model = str(record.get("model", "?"))
        return cls(
            run.path, str(record.get("dataset", "?")), model, best,
            float(record.get("seconds") or (run.points[-1].seconds if run.points else 0.0)), state,
            (run.path / "best.safetensors").exists(),
        )


class RunTable(QWidget):
    """`opened`, `resumed`, `revealed`, `removed` and `chosen` carry the path of a run."""

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
        self.states = {
            "training": self.tr("training"), "paused": self.tr("paused"), "finished": self.tr("finished"),
            "early": self.tr("stopped early"), "stopped": self.tr("stopped, can resume"),
            "interrupted": self.tr("interrupted, can resume"), "diverged": self.tr("diverged, best kept"),
        }
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setAccessibleName(self.tr("Runs"))
        names = (
            self.tr("Run"), self.tr("Data"), self.tr("Model"), self.tr("Best"), self.tr("Time"),
            self.tr("State"),
        )
        self.table.setHorizontalHeaderLabels(names)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(24)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setStyleSheet("QHeaderView { background: transparent; }")
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(len(COLUMNS)):
            self.table.horizontalHeaderItem(column).setTextAlignment(_alignment(column))
        self.table.itemSelectionChanged.connect(self._chosen)
        self.table.itemDoubleClicked.connect(self._open)
        self.empty = label(self.tr("Every training leaves a run here, to open, resume or compare."), "dim")
        draw = self.tr("Draw with the best weights of this run")
        self.open_button = self._button(self.tr("Open in Generate"), draw)
        self.resume_button = self._button(self.tr("Resume"), self.tr("Go on where this run was last saved"))
        self.folder_button = self._button(self.tr("Open folder"), self.tr("Show the files of this run"))
        trash = self.tr("Move this run to the trash, after asking")
        self.delete_button = self._button(self.tr("Delete…"), trash)
        self.open_button.clicked.connect(self._open)
        self.resume_button.clicked.connect(self._resume)
        self.folder_button.clicked.connect(self._reveal)
        self.delete_button.clicked.connect(self._remove)
        self.hint = label(self.tr("double-click draws with a run"), "small")
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.hint)
        top.addStretch(1)
        for button in (self.open_button, self.resume_button, self.folder_button, self.delete_button):
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
        keep = self.selected()
        self.table.blockSignals(True)
        if len(rows) != self.table.rowCount():
            self.table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            best = "–" if row.best is None else self.tr("{0:.3f} bits/dim").format(row.best)
            state = self.states.get(row.state, row.state)
            texts = (row.path.name, row.data, row.model, best, duration(row.seconds), state)
            for column, text in enumerate(texts):
                item = self.table.item(i, column)
                if item is None:
                    item = QTableWidgetItem()
                    item.setTextAlignment(_alignment(column))
                    self.table.setItem(i, column, item)
                if item.text() != text:
                    item.setText(text)
                    item.setToolTip(text if column else str(row.path))
            self._tint(i, row)
        self._rows = list(rows)
        self.table.blockSignals(False)
        if keep is not None and keep != self.selected():
            self.select(keep)
        self.empty.setVisible(not rows)
        self.hint.setVisible(bool(rows))
        self.table.setVisible(bool(rows))
        self._enable()

    def _tint(self, index: int, row: RunRow) -> None:
        live = row.state in ("training", "paused")
        self.table.item(index, 5).setForeground(theme.colour("accent" if live else "text"))
        font = self.table.font()
        font.setBold(live)
        self.table.item(index, 0).setFont(font)

    def select(self, path: Path) -> None:
        """Select a run without a signal, if it is listed."""
        self.table.blockSignals(True)
        self.table.clearSelection()
        for i, row in enumerate(self._rows):
            if row.path == path:
                self.table.selectRow(i)
        self.table.blockSignals(False)
        self._enable()

    def selected(self) -> Path | None:
        """The selected run."""
        row = self._row()
        return row.path if row else None

    def _row(self) -> RunRow | None:
        found = self.table.selectionModel().selectedRows() if self._rows else []
        return self._rows[found[0].row()] if found and found[0].row() < len(self._rows) else None

    def _enable(self) -> None:
        row = self._row()
        idle = row is not None and row.state not in ("training", "paused")
        self.open_button.setEnabled(row is not None and row.usable)
        self.resume_button.setEnabled(idle)
        self.folder_button.setEnabled(row is not None)
        self.delete_button.setEnabled(idle)
        for button in (self.open_button, self.resume_button, self.folder_button, self.delete_button):
            button.setVisible(bool(self._rows))

    @Slot()
    def _chosen(self) -> None:
        self._enable()
        if self.selected() is not None:
            self.chosen.emit(self.selected())

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
        for column in (2, 4):
            self.table.setColumnHidden(column, self.width() < NARROW)
        self.hint.setText(self.tr("double-click draws with a run") if self.width() >= NARROW else "")

    def changeEvent(self, event: QEvent) -> None:
        """A new palette: tint the states again."""
        if event.type() == QEvent.Type.PaletteChange:
            for i, row in enumerate(self._rows):
                self._tint(i, row)
        super().changeEvent(event)


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter
