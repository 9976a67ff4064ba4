"""The runs below the curves: opened, resumed, compared, duplicated, exported, followed, deleted after asking."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
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
        self._listed: list[RunRow] = []               # as they lie on disk
        self._live: tuple[Session, bool] | None = None    # what trains here, and whether it is paused
        self._wanted: tuple[Path, ...] = ()           # to be selected once it is listed
        self._removing: Path | None = None
        self._reader = Latest(self, "read runs")
        self._reader.done.connect(self._read)
        self._told = Latest(self, "compare settings")
        self._told.done.connect(self._show_differences)
        self._told.failed.connect(self._complain)
        self.empty.hide()    # nothing is known yet
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

    @property
    def busy(self) -> bool:
        """True while the list is being read."""
        return self._reader.busy

    def read(self, active: Path | None) -> None:
        """List what is on disk, read beside the window; `active` is being trained now."""
        if active is None:
            self._live = None
        self._reader.ask(partial(_read_all, active, followed()))

    @Slot(object)
    def _read(self, rows: list[RunRow]) -> None:
        self._listed, wanted = rows, self._wanted
        self.show_rows(self._as_now())
        if wanted:
            self.select(*wanted)
        self._wanted = ()

    def show_live(self, session: Session, paused: bool) -> None:
        """The line of the run being trained, as it is now."""
        self._live = session, paused
        rows = self._as_now()
        if rows != self.rows():
            self.show_rows(rows)

    def _as_now(self) -> list[RunRow]:
        """What was read, with the figures of what trains here, which are newer than those on disk."""
        session, paused = self._live or (None, False)
        if session is None or session.live is None:
            return self._listed
        live = session.live
        best = session.bits_per_dim(live.best_nats) if live.points else None
        now = {"best": best, "seconds": live.seconds, "state": "paused" if paused else "training", "usable": bool(live.points)}
        return [replace(row, **now) if row.path == session.path else row for row in self._listed]

    def select(self, *paths: Path) -> None:
        """Select runs without a signal, those that are not listed yet as soon as they are."""
        super().select(*paths)
        self._wanted = () if set(paths) <= {row.path for row in self.rows()} else paths

    def _drop(self, path: Path) -> None:
        """List a run no more, and let everybody know."""
        self._listed = [row for row in self._listed if row.path != path]
        self.show_rows(self._as_now())
        self.gone.emit(path)
        self.studio.runs_changed.emit()

    @Slot(object)
    def open_run(self, path: Path) -> None:
        """Draw with a run's best weights in Generate."""
        self.studio.open_model(path, turn=True)

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
        self.show_rows(self._as_now())

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

    @Slot()
    def _differences(self) -> None:
        paths = self.selection()
        if len(paths) < 2:
            self.studio.message.emit("info", self.tr("Choose two runs or more, with Ctrl held down, to compare them."))
            return
        self._told.ask(lambda _progress: [Run.open(path) for path in paths])

    @Slot(object)
    def _show_differences(self, runs: list[Run]) -> None:
        DifferencesDialog(self, runs).open()

    @Slot(str)
    def _complain(self, sentence: str) -> None:
        self.studio.message.emit("error", sentence)

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

    @Slot(object)
    def _ask(self, path: Path) -> None:
        if path in followed():
            forget(path)
            self._drop(path)
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
        self._drop(path)


def _read_all(active: Path | None, elsewhere: list[Path], progress: TaskProgress) -> list[RunRow]:
    """The rows of the runs on this machine, then of those elsewhere that can be reached."""
    rows = [RunRow.of(run, active) for run in list_runs(runs_root())]
    for path in elsewhere:
        progress.check()
        try:
            rows.append(RunRow.of(Run.open(path), None, ours=False))
        except RunError:
            continue
    return rows
