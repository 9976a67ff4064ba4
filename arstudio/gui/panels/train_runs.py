"""The runs of this machine, below the curves: opened, resumed, shown as files, deleted after asking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QDir, QFile, QStandardPaths, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QMessageBox

from arstudio.gui.panels.train_session import Session
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.run_table import RunRow, RunTable
from arstudio.training.places import runs_root
from arstudio.training.runs import list_runs


class TrainRuns(RunTable):
    """A RunTable that knows where runs are. `gone(path)` after a run went to the trash."""

    gone = Signal(object)

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self._listed: list[RunRow] = []
        self._removing: Path | None = None
        self.opened.connect(self.open_run)
        self.revealed.connect(self._reveal)
        self.removed.connect(self._ask)

    def read(self, active: Path | None) -> None:
        """List what is on disk; `active` is being trained now."""
        self._listed = [RunRow.of(run, active) for run in list_runs(runs_root())]
        self.show_rows(self._listed)

    def show_live(self, session: Session, paused: bool) -> None:
        """The line of the run being trained, as it is now."""
        live, rows = session.live, list(self._listed)
        if live is None:
            return
        for i, row in enumerate(rows):
            if row.path == session.path:
                best = session.bits_per_dim(live.best_nats) if live.points else None
                state = "paused" if paused else "training"
                rows[i] = replace(row, best=best, seconds=live.seconds, state=state, usable=bool(live.points))
        if rows != self.rows():
            self.show_rows(rows)

    @Slot(object)
    def open_run(self, path: Path) -> None:
        """Draw with a run's best weights in Generate."""
        self.studio.open_model(path)
        self.studio.tab_requested.emit("generate")

    @Slot(object)
    def _reveal(self, path: Path) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    @Slot(object)
    def _ask(self, path: Path) -> None:
        question = self.tr("Move the run {0} to the trash?").format(path.name)
        box = QMessageBox(QMessageBox.Icon.Question, self.tr("Delete a run"), question, parent=self)
        box.setInformativeText(self.tr("Its weights, curves and samples go with it."))
        delete = box.addButton(self.tr("Move to the trash"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._removing = path
        delete.clicked.connect(self._trash)
        box.open()

    @Slot()
    def _trash(self) -> None:
        path = self._removing
        place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
        QDir().mkpath(place)      # Qt finds no trash below a directory that is not there
        if not QFile(str(path)).moveToTrash():
            sentence = self.tr("{0} could not be moved to the trash; open its folder and delete it there.")
            self.studio.message.emit("error", sentence.format(path.name))
            return
        self.gone.emit(path)
        self.studio.runs_changed.emit()
