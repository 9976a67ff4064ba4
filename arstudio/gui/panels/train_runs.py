"""The runs below the curves: opened, resumed, compared, duplicated, exported, followed, deleted after asking."""

from __future__ import annotations

import os
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
from arstudio.gui.writing import FileWork
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
        self._typed: dict[Path, Remarks] = {}         # what is not written yet, or could not be
        self._removing: Path | None = None            # the run that is asked about
        self._leaving: set[Path] = set()              # on their way to the trash
        self._files = FileWork(studio, self)
        self._files.failed.connect(self._not_done)
        self._writer = Latest(self, "who writes a run")
        self._writer.done.connect(self._ask)
        self._writer.failed.connect(self._complain)
        self._reader = Latest(self, "read runs")
        self._reader.done.connect(self._read)
        self._told = Latest(self, "compare settings")
        self._told.done.connect(self._show_differences)
        self._told.failed.connect(self._complain)
        self.empty.hide()    # nothing is known yet
        self.opened.connect(self.open_run)
        self.revealed.connect(self._open_folder)
        self.removed.connect(self._remove_run)
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
        """True while the list is being read, or a run is changed on disk or about to be."""
        return self._reader.busy or self._files.busy or self._writer.busy

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
        """What was read, with what is newer than the disk: the figures of what trains here, notes, and what is leaving."""
        session, paused = self._live or (None, False)
        live = None if session is None else session.live
        rows = []
        for row in self._listed:
            if live is not None and row.path == session.path:
                best = session.bits_per_dim(live.best_nats) if live.points else None
                state = "paused" if paused else "training"
                row = replace(row, best=best, seconds=live.seconds, state=state, usable=bool(live.points))
            if row.path in self._leaving:
                row = replace(row, state="leaving", usable=False)
            rows.append(replace(row, remarks=self._typed.get(row.path, row.remarks)))
        return rows

    def select(self, *paths: Path) -> None:
        """Select runs without a signal, those that are not listed yet as soon as they are."""
        super().select(*paths)
        self._wanted = () if set(paths) <= {row.path for row in self.rows()} else paths

    def leaves(self, path: Path) -> bool:
        """True while a run is on its way to the trash."""
        return path in self._leaving

    def _drop(self, path: Path) -> None:
        """List a run no more, and let everybody know."""
        self._leaving.discard(path)
        self._typed.pop(path, None)
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
        self._typed[path] = remarks
        self.show_rows(self._as_now())
        words = self.tr("Writing the notes of {0}").format(path.name)
        self._files.do(path, words, partial(_remarked, path, remarks), partial(self._written, path))

    def _written(self, path: Path, remarks: Remarks) -> None:
        if self._typed.get(path) is remarks:    # nothing else was typed since
            del self._typed[path]
        self._listed = [replace(row, remarks=remarks) if row.path == path else row for row in self._listed]
        self.show_rows(self._as_now())
        if self._reader.busy:    # it may have read what was there before
            self.studio.runs_changed.emit()

    @Slot(object, str)
    def _not_done(self, path: Path, sentence: str) -> None:
        self._leaving.discard(path)
        self.show_rows(self._as_now())
        self._complain(sentence)

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
    def _remove_run(self, path: Path) -> None:
        if path in followed():
            forget(path)
            self._drop(path)
        else:
            self._writer.ask(partial(_writer_of, path))

    @Slot(object)
    def _ask(self, found: tuple[Path, str]) -> None:
        path, writer = found
        if writer:
            self._complain(_written_by(path, writer))
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
        self._leaving.add(path)
        self.show_rows(self._as_now())
        words = self.tr("Moving {0} to the trash").format(path.name)
        self._files.do(path, words, partial(_to_the_trash, path), self._drop)


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


def _remarked(path: Path, remarks: Remarks) -> Remarks:
    run = Run.open(path)
    try:
        if run.remarks() != remarks:
            run.save_remarks(remarks)
    except WriteError as error:
        reason = os.strerror(error.errno) if error.errno else "the disk refuses"
        words = "they stay in this list until the window closes; change them to try again"
        raise RunError(f"The notes of {path.name} could not be written ({reason}): {words}.") from None
    return remarks


def _writer_of(path: Path, progress: TaskProgress) -> tuple[Path, str]:
    """A run, and who writes it."""
    found = path, writer_of(path)
    progress.check()    # nobody is asked once the window closes
    return found


def _to_the_trash(path: Path) -> Path:
    if writer := writer_of(path):    # since the question was asked
        raise RunError(_written_by(path, writer))
    place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    QDir().mkpath(place)      # Qt finds no trash below a directory that is not there
    if not QFile(str(path)).moveToTrash():
        raise RunError(f"{path.name} could not be moved to the trash and is still there; open its folder and delete it there.")
    return path


def _written_by(path: Path, writer: str) -> str:
    return f"{path.name} is being written by {writer}; stop that training before deleting it."
