"""Train: choose, see what it will cost, start, watch, stop whenever, lose nothing.

The training runs in a Task at full speed. The screen looks at its `Session` ten times a second and paints only what
changed. Before a start, a short probe measures two batches of the choice, after the person has stopped choosing.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QFile, Qt, QTimer, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMessageBox, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from arstudio.gui.panels.train_choices import TrainChoices
from arstudio.gui.panels.train_session import Choice, Probed, Session, probe, resume, train
from arstudio.gui.panels.train_side import TrainSide
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task
from arstudio.gui.widgets.controls import EmptyState, Segmented, label, section
from arstudio.gui.widgets.curves import CurvePlot, Thinned
from arstudio.gui.widgets.film_strip import FilmStrip
from arstudio.gui.widgets.run_table import RunRow, RunTable
from arstudio.gui.wording import count, duration, size
from arstudio.training.places import free_name, new_path, runs_root, stem_of
from arstudio.training.recipes import size_settings
from arstudio.training.runs import Run, RunError, list_runs

__all__ = ["TrainPanel", "runs_root"]

SETTLE = 400           # ms without a change of choice before it is measured
LOOK = 100             # ms between looks at a training
SLOW = 5               # figures beside the curves change every so many looks
log = logging.getLogger("arstudio")


class TrainPanel(QWidget):
    """The page. `side` belongs beside it and `bottom`, the table of runs, below."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.studio = studio
        self.task: Task | None = None
        self.session: Session | None = None
        self.probed: Probed | None = None
        self._probing: Task | None = None
        self._probe_again = False
        self._begin_next: tuple[Session, Any] | None = None     # waits for a cancelled probe to end
        self._waiting_name = ""
        self._stopping = self._paused = self._dirty = False
        self._looks = 0
        self._train_curve = Thinned()
        self._validated = -1
        self.choices = TrainChoices()
        self.side = TrainSide()
        self.bottom = RunTable()
        self.plot = CurvePlot()
        self.film = FilmStrip()
        self._build()
        self._connect()
        self._rest()

    # -- building -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.cost = label("", "small")
        self.cost.setAccessibleName(self.tr("What this training will cost"))
        self.cost.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.notice = QFrame()
        self.notice.setObjectName("notice")
        self.notice_text = label("", wrap=True)
        self.notice_text.setAccessibleName(self.tr("Message"))
        inside = QHBoxLayout(self.notice)
        inside.setContentsMargins(12, 6, 12, 6)
        inside.addWidget(self.notice_text, 1)
        self.notice.hide()
        self.unit_heading = section(self.tr("Bits per dimension"))
        self.unit = Segmented(
            [("bits", self.tr("bits/dim")), ("nats", self.tr("nats"))],
            {"bits": self.tr("−log₂ p(x) / number of sites: comparable between sizes"),
             "nats": self.tr("−ln p(x) of a whole image")},
        )
        self.empty = EmptyState("", "", self.tr("Start training"))
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.plot)
        heading = QHBoxLayout()
        heading.addWidget(self.unit_heading)
        heading.addStretch(1)
        heading.addWidget(self.unit)
        self.film_note = label(self.tr("drawn at eight moments, always with the same random numbers"), "small")
        film_heading = QHBoxLayout()
        film_heading.setSpacing(12)
        film_heading.addWidget(section(self.tr("The same seed, as it learns")))
        film_heading.addWidget(self.film_note)
        film_heading.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 12)
        column.setSpacing(8)
        column.addWidget(self.choices)
        column.addWidget(self.cost)
        column.addWidget(self.notice)
        column.addLayout(heading)
        column.addWidget(self.stack, 1)
        column.addSpacing(4)
        column.addLayout(film_heading)
        column.addWidget(self.film)

    def _connect(self) -> None:
        self._settle = QTimer(self, interval=SETTLE, singleShot=True)
        self._settle.timeout.connect(self._measure)
        self._clock = QTimer(self, interval=LOOK)
        self._clock.timeout.connect(self._look)
        self.choices.changed.connect(self._choice_changed)
        self.side.changed.connect(self._choice_changed)
        self.choices.start.clicked.connect(self.start)
        self.empty.acted.connect(self.start)
        self.choices.pause.clicked.connect(self._toggle_pause)
        self.choices.stop.clicked.connect(self.stop)
        self.choices.resume.clicked.connect(self._resume_shown)
        self.side.use.clicked.connect(self._use)
        self.unit.chosen.connect(self._unit_chosen)
        self.bottom.opened.connect(self.open_run)
        self.bottom.resumed.connect(self.resume)
        self.bottom.revealed.connect(self._reveal)
        self.bottom.removed.connect(self._ask_remove)
        self.bottom.chosen.connect(self.show_run)
        self.studio.runs_changed.connect(self.list_runs)

    # -- the choice and its cost ----------------------------------------------------------------------------

    def choice(self) -> Choice:
        """What is chosen now. Raises RunError naming a field that is no number."""
        name, levels, folder = self.choices.dataset()
        model = self.choices.model_name()
        settings = size_settings(model, self.choices.size_name()) | self.side.model_settings(model)
        side = None
        if folder:
            side, levels = int(self.side.number("side")), int(self.side.number("levels"))
        return Choice(
            name, levels, side, model, settings, self.choices.budget(), self._name(), self.side.training(),
            self.side.classes.isChecked(),
        )

    def _name(self) -> str:
        chosen = self.side.fields["name"].text().strip()
        return chosen or free_name(stem_of(Path(self.choices.dataset()[0]).name, self.choices.model_name()))

    @Slot()
    def _choice_changed(self) -> None:
        self.side.set_folder(self.choices.dataset()[2])
        self.side.fields["name"].setPlaceholderText(
            free_name(stem_of(Path(self.choices.dataset()[0]).name, self.choices.model_name()))
        )
        if self.training:
            return
        self._say("")
        self.probed = None
        self._show_cost(self.tr("Measuring two batches…"))
        self._show_figures()
        if self.isVisible():
            self._settle.start()

    @Slot()
    def _measure(self) -> None:
        """Probe the choice, after the probe before it has ended."""
        if self.training or not self.isVisible():
            return
        if self._probing is not None:
            self._probe_again = True
            self._probing.cancel()
            return
        try:
            work = probe(self.choice())
        except RunError as error:
            self._say(str(error), "error")
            self._show_cost("")
            return
        self._probe_again = False
        self._probing = Task(work, "measure", self)
        self._probing.partial.connect(self._probed)
        self._probing.done.connect(self._probe_done)
        self._probing.failed.connect(self._probe_failed)
        self._probing.cancelled.connect(self._probe_ended)
        self._probing.start()

    @Slot(object)
    def _probed(self, probed: Probed) -> None:
        if self._probe_again or self.training or probed.model != self.choices.model_name():
            return
        self.side.show_fields(probed, size_settings(probed.model, self.choices.size_name()))
        self.probed = probed
        found = probed.estimate
        if found is not None:
            minutes = self.choices.budget()
            passes = self.tr("about {0:,.0f} epochs in {1}") if found.epochs(minutes) >= 1.5 else self.tr(
                "{0:.1f} epochs in {1}: images will be seen once at most"
            )
            each = found.seconds_per_epoch
            self._show_cost(" · ".join((
                self.tr("{0} parameters").format(count(found.parameters)), size(found.bytes),
                self.tr("{0} per epoch").format(f"{each:.2g} s" if each < 10 else duration(each)),
                passes.format(found.epochs(minutes), duration(60 * minutes)),
            )))
            self._show_figures()

    @Slot(object)
    def _probe_done(self, probed: Probed) -> None:
        self._probed(probed)
        self._probe_ended()

    @Slot(str, str)
    def _probe_failed(self, sentence: str, trace: str) -> None:
        if not (self._probe_again or self.training):
            self._show_cost("")
            self._say(_sentence(sentence, trace), "error")
        self._probe_ended()

    @Slot()
    def _probe_ended(self) -> None:
        self._probing.deleteLater()
        self._probing = None
        if self._begin_next is not None:
            session, work = self._begin_next
            self._begin_next = None
            self._run(session, work)
        elif self._probe_again:
            self._measure()

    # -- training -------------------------------------------------------------------------------------------

    @property
    def training(self) -> bool:
        """True from the start to the delivery of the outcome."""
        return self.task is not None or self._begin_next is not None

    @Slot()
    def start(self) -> None:
        """Train what is chosen."""
        if self._busy():
            return
        try:
            choice = self.choice()
            session = Session(new_path(choice.name))
        except RunError as error:
            self._say(str(error), "error")
            self.studio.message.emit("error", str(error))
            return
        self._begin(session, train(session, choice))

    @Slot(object)
    def resume(self, path: Path | str) -> None:
        """Go on with a run: for the rest of its budget, or for the time chosen when that is spent."""
        if self._busy():
            return
        try:
            run = Run.open(path)
        except RunError as error:
            self._say(str(error), "error")
            self.studio.message.emit("error", str(error))
            return
        spent = run.record.get("status") in ("finished", "early")
        session = Session(Path(path))
        self._begin(session, resume(session, self.choices.budget() if spent else 0.0))

    def _busy(self) -> bool:
        if self.training:
            sentence = self.tr("One run trains at a time: stop {0} first.").format(self.session.name)
            self.studio.message.emit("info", sentence)
        return self.training

    def _begin(self, session: Session, work: Any) -> None:
        self._settle.stop()
        self._probe_again = False
        session.probed = self.probed
        self._show(session)
        self._say("")
        self.empty.show_state(
            self.tr("Getting ready"), self.tr("Loading the images and building the network."), ""
        )
        if self._probing is not None:
            self._begin_next = (session, work)
            self._probing.cancel()
        else:
            self._run(session, work)
        self._show_buttons()

    def _run(self, session: Session, work: Any) -> None:
        self.task = Task(work, session.name, self)
        self.task.partial.connect(self._mark)
        self.task.reported.connect(self._reported)
        self.task.done.connect(self._done)
        self.task.failed.connect(self._failed)
        self.task.cancelled.connect(self._cancelled)
        self.task.start()
        self._clock.start()
        self._show_buttons()

    def pause(self, paused: bool) -> None:
        """Hold the training between two steps, or let it go on."""
        if self.task is None or self._stopping:
            return
        self.task.progress.pause(paused)
        self._paused = paused
        if paused:
            self.studio.status.emit(self.tr("{0} is paused").format(self.session.name), None)
        self._show_buttons()
        self._show_rows()

    @Slot()
    def _toggle_pause(self) -> None:
        self.pause(not self._paused)

    @Slot()
    def stop(self) -> None:
        """End the training after this step. It is saved and can be resumed."""
        if self._begin_next is not None:
            self._begin_next = None
            self._cancelled()
        elif self.task is not None:
            self._stopping = True
            self.task.cancel()
            self._show_buttons()

    @Slot()
    def _resume_shown(self) -> None:
        if self.session is not None:
            self.resume(self.session.path)

    @Slot(object)
    def _mark(self, _live: object) -> None:
        self._dirty = True

    @Slot(object, str)
    def _reported(self, fraction: float | None, text: str) -> None:
        if not self._paused:
            self._report = (fraction, text)

    @Slot()
    def _look(self) -> None:
        """Ten times a second while training: show what is new."""
        self._looks += 1
        if self._dirty:
            self._dirty = False
            self._show_live()
        if self._looks % SLOW == 0:
            self._show_figures()
            self._show_rows()
            if self._report is not None and not self._paused:
                fraction, text = self._report
                self._report = None
                self.studio.status.emit(self.tr("Training {0} · {1}").format(self.session.name, text), fraction)

    @Slot(object)
    def _done(self, outcome: Any) -> None:
        self.session.status = outcome.status
        kind = "error" if outcome.status == "diverged" else "info"
        self._end(outcome.sentence, kind)

    @Slot(str, str)
    def _failed(self, sentence: str, trace: str) -> None:
        log.error("training failed\n%s", trace)
        self.session.status = "interrupted"
        self._end(_sentence(sentence, trace), "error")

    @Slot()
    def _cancelled(self) -> None:
        self.session.status = "stopped"
        self._end(self.tr("Stopped before the first step."), "info")

    def _end(self, sentence: str, kind: str) -> None:
        if self.task is not None:
            self.task.deleteLater()
            self.task = None
        self._clock.stop()
        self._stopping = self._paused = False
        self.studio.status.emit("", None)
        self._show_live()
        if self.session.live is None:
            began = kind != "error"
            heading = self.tr("Nothing was trained") if began else self.tr("The training could not start")
            self.empty.show_state(heading, sentence, self.tr("Start training"))
            self.session = None
        else:
            self._say(sentence, kind)
        self.side.fields["name"].clear()
        self._show_figures()
        self._show_buttons()
        self.studio.message.emit(kind, sentence)
        self.studio.runs_changed.emit()

    # -- runs -----------------------------------------------------------------------------------------------

    @Slot()
    def list_runs(self) -> None:
        """Read the runs directory and list what is there."""
        active = self.session.path if self.training and self.session else None
        self._listed = [RunRow.of(run, active) for run in list_runs(runs_root())]
        self._show_rows()

    def _show_rows(self) -> None:
        rows = list(self._listed)
        live = self.session.live if self.session else None
        if self.training and live is not None:
            for i, row in enumerate(rows):
                if row.path == self.session.path:
                    best = self.session.spec.bits_per_dim(live.best_nats) if live.points else None
                    state = "paused" if self._paused else "training"
                    rows[i] = RunRow(row.path, row.data, row.model, best, live.seconds, state, bool(live.points))
        if rows != self.bottom.rows():
            self.bottom.show_rows(rows)

    @Slot(object)
    def show_run(self, path: Path) -> None:
        """Show the curves and film of a run on disk; while one trains, that one stays."""
        if self.training:
            return
        try:
            self._show(Session.stored(Run.open(path)))
            self._say("")
        except RunError as error:
            self._say(str(error), "error")

    @Slot(object)
    def open_run(self, path: Path) -> None:
        """Draw with a run's best weights in Generate."""
        self.studio.open_model(path)
        self.studio.tab_requested.emit("generate")

    @Slot()
    def _use(self) -> None:
        self.open_run(self.session.path)

    @Slot(object)
    def _reveal(self, path: Path) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    @Slot(object)
    def _ask_remove(self, path: Path) -> None:
        box = QMessageBox(QMessageBox.Icon.Question, self.tr("Delete a run"), self.tr(
            "Move the run {0} to the trash?"
        ).format(path.name), parent=self)
        box.setInformativeText(self.tr("Its weights, curves and samples go with it."))
        delete = box.addButton(self.tr("Move to the trash"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._removing = path
        delete.clicked.connect(self._remove)
        box.open()

    @Slot()
    def _remove(self) -> None:
        path = self._removing
        if not QFile(str(path)).moveToTrash():
            self.studio.message.emit("error", self.tr(
                "{0} could not be moved to the trash; open its folder and delete it there."
            ).format(path.name))
            return
        if self.session is not None and self.session.path == path:
            self._rest()
        self.studio.runs_changed.emit()

    # -- showing --------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Nothing to show yet: say what this is."""
        self.session = None
        self._listed: list[RunRow] = []
        self._report: tuple[float | None, str] | None = None
        self.empty.show_state(
            self.tr("Train a model of your own"),
            self.tr("Choose images and a model above. Its curves and samples grow here while it learns; "
                    "stop whenever you like, nothing is lost."),
            self.tr("Start training"),
        )
        self.stack.setCurrentWidget(self.empty)
        self.film.show_film([], [], None)
        self.film_note.show()
        self._choice_changed()
        self._show_buttons()

    def _show(self, session: Session) -> None:
        """Make a run the one on screen."""
        self.session = session
        self._train_curve, self._validated, self._looks = Thinned(), -1, 0
        self.plot.clear()
        self.film.show_film([], [], None)
        self.stack.setCurrentWidget(self.empty if session.live is None else self.plot)
        self._show_live()
        self._show_figures()
        self._show_buttons()

    def _show_live(self) -> None:
        """Curves and film, as far as they changed."""
        session = self.session
        live = session.live if session else None
        if live is None:
            return
        if self.stack.currentWidget() is not self.plot:
            self.stack.setCurrentWidget(self.plot)
            self.list_runs()
            self.studio.runs_changed.emit()
        points = list(live.points)
        frames = list(live.film)
        if self._validated < 0:
            self._show_frame()
        if self._train_curve.feed(live.step_seconds, live.step_nats) or len(points) != self._validated:
            self._validated = len(points)
            self.plot.show_curves(*_curves(points, self._train_curve), [p.epoch for p in points])
        if len(frames) != self.film.frames or self.film_note.isVisible() or not frames:
            self.film_note.setVisible(False)
            self.film.show_film(frames, session.plan, session.spec)

    def _show_frame(self) -> None:
        session = self.session
        if session is None or session.spec is None:
            return
        bits = self.unit.key() == "bits"
        per_unit = 1 / session.spec.bits_per_dim(1.0) if bits else 1.0
        self.plot.show_frame(session.limit, session.baselines, per_unit, "bits/dim" if bits else "nats")

    @Slot(str)
    def _unit_chosen(self, key: str) -> None:
        self.unit_heading.setText((self.tr("Bits per dimension") if key == "bits" else self.tr("Nats per image")).upper())
        self._show_frame()
        self._show_figures()

    def _show_figures(self) -> None:
        self.side.show_probe(getattr(self.session, "probed", None) if self.session else self.probed)
        name = self.side.fields["name"]
        self.side.show_session(
            self.session, name.text().strip() or name.placeholderText(), self.unit.key(), self.training
        )

    def _show_buttons(self) -> None:
        resumable = self.session is not None and self.session.live is not None and self.session.resumable
        self.choices.set_state(
            training=self.training, paused=self._paused, stopping=self._stopping, resumable=resumable
        )

    def _show_cost(self, text: str) -> None:
        self.cost.setText(text)
        self.cost.setToolTip(text)

    def _say(self, sentence: str, kind: str = "info") -> None:
        """Show a sentence above the curves, or take it away."""
        self.notice_text.setText(sentence)
        self.notice.setProperty("kind", kind)
        self.notice.style().unpolish(self.notice)
        self.notice.style().polish(self.notice)
        self.notice.setVisible(bool(sentence))
        self.cost.setVisible(not sentence)

    def choose_dataset(self, name: str) -> None:
        """Choose a bundled dataset, as the Library asks."""
        if not self.training:
            self.choices.choose_dataset(name)

    def choose_folder(self, path: str) -> None:
        """Choose a folder of pictures, as when one is dropped on the window."""
        if not self.training:
            self.choices.choose_folder(path)

    def showEvent(self, event: QShowEvent) -> None:
        """Read the runs and measure the choice when the page is first seen: that is early enough for torch."""
        super().showEvent(event)
        self.list_runs()
        if self.probed is None and not self.training:
            self._settle.start()

    def resizeEvent(self, event: object) -> None:
        """More rows of samples where there is room."""
        spare = self.height() - 470
        self.film.set_rows(1 + max(0, min(2, spare // 130)))

    def changeEvent(self, event: QEvent) -> None:
        """A new palette: everything paints with it."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "plot"):
            self.plot.update()
        super().changeEvent(event)


def _curves(points: list[Any], thinned: Thinned) -> tuple[Any, Any]:
    """(n, 2) training and validation, seconds and nats. Before a resume, training is known at validations only."""
    import numpy as np

    train = thinned.points()
    start = train[0, 0] if len(train) else np.inf
    early = [(p.seconds, p.train_nats) for p in points if p.seconds < start and np.isfinite(p.train_nats)]
    train = np.vstack([np.array(early).reshape(-1, 2), train]) if early else train
    validation = np.array([(p.seconds, p.validation_nats) for p in points]).reshape(-1, 2)
    return train, validation


def _sentence(sentence: str, trace: str) -> str:
    """The last line of an error for people: our own sentences as they are, others with what to do."""
    first = sentence.strip().splitlines()[0] if sentence.strip() else "?"
    if trace.rstrip().rpartition("\n")[2].startswith("arstudio."):
        return first
    return f"The work failed ({first}). What was saved is kept: resume the run, or try other settings."
