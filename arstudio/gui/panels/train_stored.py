"""What the Train panel does with runs that lie on disk: shows, follows, compares, resumes, duplicates and exports them.

Runs are read beside the window. What is asked for last is what happens: it takes the place of what is still being read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from arstudio.data import DataView
from arstudio.gui.long_work import LongWork
from arstudio.gui.panels.train_exports import ask_where, bytes_of, picture_of
from arstudio.gui.panels.train_session import Session, resume
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.writing import Writer
from arstudio.image import ImageError, ImageSpec
from arstudio.training.lock import writer_of
from arstudio.training.runs import Run, RunError


class StoredRuns(QWidget):
    """The part of `train.TrainPanel` that needs no training; it has made the parts that are used here."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self.writer = Writer(studio, self)
        self._reader = Latest(self, "read a run")
        self._reader.done.connect(self._was_read)
        self._reader.failed.connect(self._not_read)
        self._asked: Path | None = None                       # the run being read
        self._then: Callable[[Any], None] = self._show        # what is done with it here
        self._long = LongWork(studio, self)

    @property
    def reading(self) -> bool:
        """True while a run is being read."""
        return self._reader.busy

    def _read(self, path: Path, work: Callable[[TaskProgress], Any], then: Callable[[Any], None]) -> None:
        self._asked, self._then = path, then
        self._reader.ask(work)
        self._long.begins(self.tr("Reading {0}").format(path.name))

    def _read_nothing(self) -> None:
        """Whatever is being read is not wanted any more."""
        self._reader.forget()
        self._asked = None
        self._long.ends()

    @Slot(object)
    def _was_read(self, found: Any) -> None:
        self._read_nothing()
        self._then(found)

    @Slot(str)
    def _not_read(self, sentence: str) -> None:
        self._read_nothing()
        self._complain(sentence)

    @Slot(object)
    def show_run(self, path: Path) -> None:
        """Show the curves and film of a run on disk, and follow one that another program writes; while one trains here, that
        one stays."""
        if not self.training:
            self._read(path, partial(_session, path), self._show)

    def _show(self, session: Session) -> None:
        self.follower.stop()
        self.session = session
        self.stack.setCurrentWidget(self.page)
        self.view.show_session(session)
        self._say_writer()
        self._show_figures()
        self._show_buttons()
        self.bottom.read(None)
        self.bottom.select(session.path)
        if session.writer:
            self.follower.watch(session.path)

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
        """Show the curves of the selected runs over each other: the one on screen, and the others. One alone is shown by
        `show_run`, unless another one trains here."""
        if len(paths) > 1 or self.training:
            there = self.training or (self.session is not None and self.session.path in paths)
            first = self._asked if self._asked in paths else paths[0]
            self._read(first, partial(_several, paths, None if there else first), self._show_several)

    def _show_several(self, found: tuple[Session | None, list[Run]]) -> None:
        session, runs = found
        if session is not None and not self.training:
            self._show(session)
            self.bottom.select(*(run.path for run in runs))
        self.view.compare(runs)

    @Slot(object)
    def resume(self, path: Path | str) -> None:
        """Go on with a run: for the rest of its budget, or for the time chosen when that is spent."""
        if not self._busy():
            self._read(Path(path), partial(_record, Path(path)), self._go_on)

    def _go_on(self, found: tuple[Run, str]) -> None:
        run, writer = found
        if self._busy():
            return
        if self.bottom.leaves(run.path):
            self._complain(self.tr("{0} is on its way to the trash.").format(run.path.name))
            return
        if writer:
            words = self.tr("{0} is being written by {1}: only one program trains a run. It can be followed here meanwhile.")
            self._complain(words.format(run.path.name, writer))
            return
        more, record = {}, run.record
        if record.get("status") in ("finished", "early"):
            # as long again as is chosen, or as it was, in the unit in which it counts
            unit = "minutes" if record["training"].get("minutes") else "epochs"
            chosen = dict(zip(("minutes", "epochs"), self.choices.budget(), strict=True))
            more = {unit: chosen[unit] or record["training"][unit]}
        session = Session(run.path)
        self._begin(session, resume(session, **more))

    @Slot(object)
    def _duplicate(self, path: Path) -> None:
        """Fill the choices with what a run was told, to be changed and started anew."""
        if not self._busy():
            self._read(path, partial(_told, path), self._fill)

    def _fill(self, told: Told) -> None:
        if self._busy():
            return
        self._rest()
        minutes, epochs = (told.training.get(unit, 0.0) for unit in ("minutes", "epochs"))
        self.choices.choose_all(told.view, f"{Path(told.view.dataset).name} · {told.images}", told.model, minutes, epochs)
        self.side.fill(told.training, told.model, told.settings, told.classes)
        words = self.tr("The choices are those of {0}: change what you like, then start.")
        self.studio.message.emit("info", words.format(told.name))

    @Slot(object, str)
    def _export(self, path: Path, kind: str) -> None:
        shown = self.session is not None and self.session.path == path
        if kind == "png" and not shown:
            if self.training:
                words = self.tr("The curve of {0} can be exported when no run trains: it has to be on the screen.")
                self.studio.message.emit("info", words.format(path.name))
            else:
                self._read(path, partial(_session, path), self._show_and_export)
            return
        where = ask_where(self, self.tr("Export {0}").format(path.name), path.name, kind)
        if where is not None and kind == "png":
            picture = picture_of(self.view.plot)    # painted here; all else is read beside the window
            self.writer.write(where, lambda: picture)
        elif where is not None:
            self.writer.write(where, partial(bytes_of, path, kind))

    def _show_and_export(self, session: Session) -> None:
        self._show(session)
        self._export(session.path, "png")


@dataclass(frozen=True)
class Told:
    """What a run was told: its data, with the size of its images in words, its model, how it trains, and whether by classes."""

    name: str
    view: DataView
    images: str
    model: str
    settings: dict[str, Any]
    training: dict[str, Any]
    classes: bool


def _session(path: Path, _progress: TaskProgress) -> Session:
    return Session.stored(Run.open(path))


def _several(paths: list[Path], first: Path | None, progress: TaskProgress) -> tuple[Session | None, list[Run]]:
    """The runs, and the one of them that is to be shown."""
    session, runs = None if first is None else _session(first, progress), []
    for path in paths:
        progress.check()
        runs.append(Run.open(path))
    return session, runs


def _record(path: Path, _progress: TaskProgress) -> tuple[Run, str]:
    """A run, and who else writes it."""
    return Run.open(path), writer_of(path)


def _told(path: Path, _progress: TaskProgress) -> Told:
    record = Run.open(path).record
    try:
        return Told(
            path.name, DataView(**record["view"]), str(ImageSpec(**record["spec"])).replace(" · ", ", "),
            str(record["model"]), dict(record["config"]), dict(record["training"]), bool(record.get("num_classes")),
        )
    except (KeyError, TypeError, ValueError, ImageError) as error:
        raise RunError(f"{path} has a damaged run.json ({error}).") from None
