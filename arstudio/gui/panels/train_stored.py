"""What the Train panel does with runs that lie on disk: shows, follows, compares, duplicates and exports them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from arstudio.data import DataView
from arstudio.gui.panels.train_exports import ask_where, export
from arstudio.gui.panels.train_session import Session
from arstudio.image import ImageSpec
from arstudio.training.runs import Run, RunError


class StoredRuns(QWidget):
    """The part of `train.TrainPanel` that needs no training; it has made the parts that are used here."""

    @Slot(object)
    def show_run(self, path: Path) -> None:
        """Show the curves and film of a run on disk, and follow one that another program writes; while one trains here, that
        one stays."""
        if self.training:
            return
        self.follower.stop()
        try:
            self.session = Session.stored(Run.open(path))
        except RunError as error:
            self._complain(str(error))
            return
        self.stack.setCurrentWidget(self.page)
        self.view.show_session(self.session)
        self._say_writer()
        self._show_figures()
        self._show_buttons()
        self.bottom.read(None)
        self.bottom.select(self.session.path)
        if self.session.writer:
            self.follower.watch(self.session.path)

    def _say_writer(self) -> None:
        words = self.tr("Followed: {0} trains it. It is read once a second, and nothing is written there.")
        if self.session.writer:
            self.cost.say(words.format(self.session.writer))
        elif self.session.live.notes:
            self.cost.tell(self.session.live.notes)
        else:
            self.cost.say("")

    @Slot(object)
    def _followed(self, session: Session) -> None:
        """There is more of the run that is followed."""
        if self.training or self.session is None or self.session.path != session.path:
            return
        ended = self.session.writer and not session.writer
        self.session = session
        self.view.go_on(session)
        self._say_writer()
        self._show_figures()
        if ended:
            self._show_buttons()
            self.read_runs()

    @Slot(object)
    def _compare(self, paths: list[Path]) -> None:
        """Show the curves of the selected runs over each other: the one on screen, and the others."""
        if not self.training and (self.session is None or self.session.path not in paths):
            self.show_run(paths[0])
            self.bottom.select(*paths)
        try:
            self.view.compare([Run.open(path) for path in paths])
        except RunError as error:
            self._complain(str(error))

    @Slot(object)
    def _duplicate(self, path: Path) -> None:
        """Fill the choices with what a run was told, to be changed and started anew."""
        if self._busy():
            return
        try:
            record = Run.open(path).record
            view, training = DataView(**record["view"]), dict(record["training"])
            model, settings = str(record["model"]), dict(record["config"])
        except (RunError, KeyError, TypeError) as error:
            self._complain(str(error) if isinstance(error, RunError) else self.tr("{0} has a damaged run.json.").format(path))
            return
        words = str(ImageSpec(**record["spec"])).replace(" · ", ", ")
        self._rest()
        self.choices.choose_all(
            view, f"{Path(view.dataset).name} · {words}", model, training.get("minutes", 0.0), training.get("epochs", 0.0)
        )
        self.side.fill(training, model, settings, bool(record.get("num_classes")))
        words = self.tr("The choices are those of {0}: change what you like, then start.")
        self.studio.message.emit("info", words.format(path.name))

    @Slot(object, str)
    def _export(self, path: Path, kind: str) -> None:
        try:
            run = Run.open(path)
        except RunError as error:
            self._complain(str(error))
            return
        if kind == "png" and (self.session is None or self.session.path != path):
            self.show_run(path)
        where = ask_where(self, self.tr("Export {0}").format(path.name), path.name, kind)
        if where is not None:
            export(self.studio, run, kind, where, self.view.plot)
