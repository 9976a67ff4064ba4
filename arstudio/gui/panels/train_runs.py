"""The runs below the curves: opened, resumed, compared, duplicated, exported, followed, deleted after asking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QDir, QFile, QStandardPaths, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMessageBox

from arstudio.gui.panels.train_exports import DifferencesDialog
from arstudio.gui.panels.train_follow import followed, forget, remember
from arstudio.gui.panels.train_session import Session
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.widgets.run_table import RunRow, RunTable
from arstudio.models.modelfile import WriteError
from arstudio.training.lock import writer_of
from arstudio.training.places import runs_root
from arstudio.training.runs import Remarks, Run, RunError, list_runs


class TrainRuns(RunTable):
    """A RunTable that knows where runs are. `gone(path)` after a run left the list, `duplicated(path)`,
    `exported(path, kind)` and `followed(path)` for the panel to do."""

    gone = Signal(object)
    duplicated = Signal(object)
    exported = Signal(object, str)
    followed = Signal(object)

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self._listed: list[RunRow] = []
        self._foreign: list[RunRow] = []
        self._removing: Path | None = None
        self._reader = Latest(self, "read runs elsewhere")
        self._reader.done.connect(self._foreign_read)
        self.opened.connect(self.open_run)
        self.revealed.connect(self._open_folder)
        self.removed.connect(self._ask)
        self.remarked.connect(self._remark)
        self.verbs: dict[str, QAction] = {}
        for key, text, tip in (
            ("duplicate", self.tr("Duplicate and change"), self.tr("Fill the choices above with what this run was told")),
            ("differences", self.tr("Compare settings…"), self.tr("What the selected runs were told differently")),
            ("", "", ""),
            ("model", self.tr("Export model file…"), self.tr("The best weights of this run")),
            ("csv", self.tr("Export figures as CSV…"), self.tr("Every validation of this run")),
            ("png", self.tr("Export curve as PNG…"), self.tr("The curves as they are shown")),
            ("html", self.tr("Export report page…"), self.tr("Curve, samples, settings and notes in one HTML file")),
            ("", "", ""),
            ("follow", self.tr("Follow a run elsewhere…"), self.tr("Watch a run directory that another program writes")),
        ):
            if not key:
                self.menu.addSeparator()
                continue
            action = self.verbs[key] = self.menu.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(getattr(self, f"_{key}", lambda _=False, kind=key: self._export(kind)))

    def read(self, active: Path | None) -> None:
        """List what is on disk; `active` is being trained now. Runs elsewhere are read beside the window."""
        self._listed = [RunRow.of(run, active) for run in list_runs(runs_root())]
        paths = followed()
        self._foreign = [row for row in self._foreign if row.path in paths]
        self.show_rows([*self._listed, *self._foreign])
        if paths:
            self._reader.ask(lambda progress: _read_all(paths, progress))

    @Slot(object)
    def _foreign_read(self, rows: list[RunRow]) -> None:
        self._foreign = rows
        self.show_rows([*self._listed, *self._foreign])

    def show_live(self, session: Session, paused: bool) -> None:
        """The line of the run being trained, as it is now."""
        live, rows = session.live, [*self._listed, *self._foreign]
        if live is None:
            return
        for i, row in enumerate(rows):
            if row.path == session.path:
                best = session.bits_per_dim(live.best_nats) if live.points else None
                state = "paused" if paused else "training"
                rows[i] = replace(row, best=best, seconds=live.seconds, state=state, usable=bool(live.points))
        if rows != self.rows():
            self.show_rows(rows)

    # -- one run --------------------------------------------------------------------------------------------

    @Slot(object)
    def open_run(self, path: Path) -> None:
        """Draw with a run's best weights in Generate."""
        self.studio.open_model(path)
        self.studio.tab_requested.emit("generate")

    @Slot(object)
    def _open_folder(self, path: Path) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    @Slot(object, object)
    def _remark(self, path: Path, remarks: Remarks) -> None:
        try:
            run = Run.open(path)
            if run.remarks() != remarks:
                run.save_remarks(remarks)
        except (RunError, WriteError) as error:
            self.studio.message.emit("error", str(error))
            return
        self._listed = [replace(row, remarks=remarks) if row.path == path else row for row in self._listed]
        self.show_rows([*self._listed, *self._foreign])

    def _one(self) -> Path | None:
        if self.selected() is None:
            self.studio.message.emit("info", self.tr("Choose a run in the list first."))
        return self.selected()

    @Slot()
    def _duplicate(self) -> None:
        if self._one() is not None:
            self.duplicated.emit(self.selected())

    def _export(self, kind: str) -> None:
        if self._one() is not None:
            self.exported.emit(self.selected(), kind)

    # -- several runs ---------------------------------------------------------------------------------------

    @Slot()
    def _differences(self) -> None:
        paths = self.selection()
        if len(paths) < 2:
            self.studio.message.emit("info", self.tr("Choose two runs or more, with Ctrl held down, to compare them."))
            return
        try:
            runs = [Run.open(path) for path in paths]
        except RunError as error:
            self.studio.message.emit("error", str(error))
            return
        DifferencesDialog(self, runs).open()

    # -- elsewhere ------------------------------------------------------------------------------------------

    @Slot()
    def _follow(self) -> None:
        dialog = QFileDialog(self, self.tr("Run directory to follow"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.follow)
        dialog.open()

    @Slot(str)
    def follow(self, path: str | Path) -> None:
        """List a run directory wherever it is, and show it."""
        path = Path(path)
        if path.parent != runs_root():
            remember(path)
        self.followed.emit(path)

    # -- deleting -------------------------------------------------------------------------------------------

    @Slot(object)
    def _ask(self, path: Path) -> None:
        if path in followed():
            forget(path)
            self._foreign = [row for row in self._foreign if row.path != path]
            self.gone.emit(path)
            self.studio.runs_changed.emit()
            return
        if writer := writer_of(path):
            sentence = self.tr("{0} is being written by {1}; stop that training before deleting it.")
            self.studio.message.emit("error", sentence.format(path.name, writer))
            return
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
            sentence = self.tr("{0} could not be moved to the trash and is still there; open its folder and delete it there.")
            self.studio.message.emit("error", sentence.format(path.name))
            return
        self.gone.emit(path)
        self.studio.runs_changed.emit()


def _read_all(paths: list[Path], progress: TaskProgress) -> list[RunRow]:
    """The rows of runs elsewhere, those that cannot be reached left out."""
    rows = []
    for path in paths:
        progress.check()
        try:
            rows.append(RunRow.of(Run.open(path), None, ours=False))
        except RunError:
            continue
    return rows
