"""Train: choose, see what it will cost, start, watch, stop whenever, lose nothing.

The training runs in a Task at full speed and writes a `Session`; the screen looks at it twice a second
and paints only what changed. A probe and a training never run at the same time, because both use torch's
global generator.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from arstudio.data import SOURCES, DataView, Shelf
from arstudio.gui.panels.train_choices import TrainChoices
from arstudio.gui.panels.train_data import DataPage
from arstudio.gui.panels.train_follow import Follower
from arstudio.gui.panels.train_live import BEST, NOW, rate_of
from arstudio.gui.panels.train_probe import CostLine, CostProbe, for_people
from arstudio.gui.panels.train_runs import TrainRuns
from arstudio.gui.panels.train_session import Choice, Probed, Session, train
from arstudio.gui.panels.train_side import TrainSide
from arstudio.gui.panels.train_stored import StoredRuns
from arstudio.gui.panels.train_view import RunView
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task
from arstudio.training.places import free_name, new_path, runs_root, stem_of
from arstudio.training.recipes import size_settings
from arstudio.training.runs import RunError

__all__ = ["TrainPanel", "runs_root"]

LOOK = 500             # ms between looks at a training: a painted curve takes a core from it for some milliseconds
SLOW = 2               # figures beside the curves change every so many looks
log = logging.getLogger("arstudio")


class TrainPanel(StoredRuns):
    """The page. `side` belongs beside it and `bottom`, the table of runs, below."""

    def __init__(self, studio: Studio) -> None:
        super().__init__(studio)
        self.setObjectName("stage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.task: Task | None = None
        self.session: Session | None = None
        self.probed: Probed | None = None
        self._next: tuple[Session, Any] | None = None       # waits for a cancelled probe to end
        self._stopping = self._paused = self._dirty = False
        self._looks = self._snapshots = self._told = 0
        self._first: int | None = None    # the step a training began at, until it has made one
        self._report: tuple[float | None, str] | None = None
        self.choices = TrainChoices()
        self.begin_at = self.choices.data    # where the keyboard goes when the panel comes into sight
        self.side = TrainSide()
        self.bottom = TrainRuns(studio)
        self.cost = CostLine()
        self.view = RunView()
        self.follower = Follower(self)
        self.shelf = Shelf()
        self.images = DataPage(self.shelf)
        self.probe = CostProbe(self.choice, self.shelf, self)
        self._build()
        self._connect()
        self._rest()

    def _build(self) -> None:
        self.page = QWidget()
        column = QVBoxLayout(self.page)
        column.setContentsMargins(24, 16, 24, 12)
        column.setSpacing(8)
        column.addWidget(self.choices)
        column.addWidget(self.cost)
        column.addWidget(self.view, 1)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.page)
        self.stack.addWidget(self.images)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.stack)

    def _connect(self) -> None:
        self._clock = QTimer(self, interval=LOOK)
        self._clock.timeout.connect(self._look)
        self.choices.changed.connect(self._choice_changed)
        self.choices.offered.connect(self.offer)
        self.choices.looked.connect(self._look_at)
        self.images.taken.connect(self._images_taken)
        self.images.left.connect(self._images_left)
        self.side.changed.connect(self._choice_changed)
        self.choices.start.clicked.connect(self.start)
        self.view.acted.connect(self.start)
        self.view.unit_changed.connect(self._show_figures)
        self.choices.pause.clicked.connect(self._toggle_pause)
        self.choices.stop.clicked.connect(self.stop)
        self.choices.resume.clicked.connect(self._resume_shown)
        self.side.live.weights_wanted.connect(self._use)
        self.side.live.rate_wanted.connect(self._change_rate)
        self.side.live.snapshot_wanted.connect(self._take_snapshot)
        self.probe.learned.connect(self._learned)
        self.probe.refused.connect(self._refused)
        self.probe.ended.connect(self._probe_ended)
        self.bottom.resumed.connect(self.resume)
        self.bottom.chosen.connect(self.show_run)
        self.bottom.gone.connect(self._gone)
        self.bottom.compared.connect(self._compare)
        self.bottom.duplicated.connect(self._duplicate)
        self.bottom.exported.connect(self._export)
        self.bottom.followed.connect(self.show_run)
        self.follower.changed.connect(self._followed)
        self.follower.lost.connect(self._complain)
        self.studio.runs_changed.connect(self.read_runs)

    def choice(self) -> Choice:
        """What is chosen now. Raises RunError naming a field that is no number."""
        model = self.choices.model_name()
        return Choice(
            self.choices.view(), model, self.choices.base(), self.choices.size_name(), self.side.model_settings(model),
            *self.choices.budget(), self.side.fields["name"].text().strip() or self._free_name(), self.side.training(),
            self.side.classes.isChecked(),
        )

    def choose_dataset(self, name: str) -> None:
        """Choose a bundled dataset, as the Library asks."""
        if not self._busy():
            self.stack.setCurrentWidget(self.page)
            self.choices.choose_dataset(name)

    @Slot(str)
    def offer(self, which: str) -> None:
        """Look at a folder or file of one's own, or a dataset that can be fetched, as when one is dropped on the window."""
        if self._busy():
            return
        self.stack.setCurrentWidget(self.images)
        self.probe.cancel()
        if which in SOURCES:
            self.images.open_source(which)
        else:
            self.images.open_path(which)

    @Slot(object)
    def _look_at(self, view: DataView) -> None:
        self.stack.setCurrentWidget(self.images)
        self.probe.cancel()
        self.images.open_view(view)

    @Slot(object, object, str)
    def _images_taken(self, view: DataView, _data: object, name: str) -> None:
        self.stack.setCurrentWidget(self.page)
        self.choices.choose_view(view, name)

    @Slot()
    def _images_left(self) -> None:
        self.stack.setCurrentWidget(self.page)
        self._choice_changed()

    def _free_name(self) -> str:
        return free_name(stem_of(Path(self.choices.view().dataset).name, self.choices.model_name()))

    @Slot()
    def _choice_changed(self) -> None:
        self.side.show_recipe(self.choices.base())
        self.side.fields["name"].setPlaceholderText(self._free_name())
        if self.training:
            return
        self.probed = None
        self.cost.say(self.tr("Measuring two batches…"))
        self._show_figures()
        if self.isVisible():
            self.probe.ask()

    @Slot(object)
    def _learned(self, probed: Probed) -> None:
        if self.training:
            return
        self.probed = probed
        self.side.show_fields(probed, size_settings(probed.model, self.choices.size_name()) | self.choices.base().changes)
        if probed.estimate is not None:
            self.cost.show_cost(probed, *self.choices.budget())
        self._show_figures()

    @Slot(str)
    def _refused(self, sentence: str) -> None:
        if not self.training:
            self.cost.complain(sentence)

    @Slot()
    def _probe_ended(self) -> None:
        if self._next is not None:
            session, work = self._next
            self._next = None
            self._run(session, work)

    @property
    def training(self) -> bool:
        """True from the start to the delivery of the outcome."""
        return self.task is not None or self._next is not None

    @Slot()
    def start(self) -> None:
        """Train what is chosen."""
        if self._busy():
            return
        try:
            choice = self.choice()
            session = Session(new_path(choice.name))
            session.probed, session.budget = self.probed, self.choices.budget()
        except RunError as error:
            self._complain(str(error))
            return
        self.stack.setCurrentWidget(self.page)
        self._begin(session, train(session, choice, self.shelf))

    def _busy(self) -> bool:
        if self.training:
            sentence = self.tr("One run trains at a time: stop {0} first.").format(self.session.name)
            self.studio.message.emit("info", sentence)
        return self.training

    def _complain(self, sentence: str) -> None:
        self.probe.cancel()    # what it learns would take the sentence away
        self.cost.complain(sentence)
        if not self.isVisible():
            self.studio.message.emit("error", sentence)

    def _begin(self, session: Session, work: Any) -> None:
        self.probe.cancel()
        self.follower.stop()
        self._read_nothing()
        if session.probed is None or session.probed.estimate is None:
            self.cost.say("")
        self.session, self._told = session, 0
        self.view.show_session(session)
        self.view.say(self.tr("Getting ready"), self.tr("Loading the images and building the network."))
        if self.probe.busy:
            self._next = (session, work)
        else:
            self._run(session, work)
        self._show_figures()
        self._show_buttons()

    def _run(self, session: Session, work: Any) -> None:
        self.task = Task(work, session.name)
        self.task.partial.connect(self._mark)
        self.task.reported.connect(self._reported)
        self.task.done.connect(self._done)
        self.task.failed.connect(self._failed)
        self.task.cancelled.connect(self._cancelled)
        self.task.look_every(LOOK)
        self.task.start()
        self._clock.start()

    def pause(self, paused: bool) -> None:
        """Hold the training between two steps, or let it go on."""
        if self.task is None or self._stopping:
            return
        self.task.progress.pause(paused)
        self._paused = paused
        if paused:
            self.studio.status.emit(self.tr("{0} is paused").format(self.session.name), None)
        self._show_buttons()
        self.bottom.show_live(self.session, paused)

    @Slot()
    def _toggle_pause(self) -> None:
        self.pause(not self._paused)

    @Slot()
    def stop(self) -> None:
        """End the training after this step. It is saved and can be resumed."""
        if self._next is not None:
            self._next = None
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
        self._report = (fraction, text)

    @Slot()
    def _look(self) -> None:
        """Twice a second while training: show what is new."""
        self._looks += 1
        if self._dirty:
            self._dirty = False
            self._show_live()
        if self._looks % SLOW == 0:
            self._show_figures()
            self.bottom.show_live(self.session, self._paused)
            if self._report is not None and not self._paused:
                (fraction, text), self._report = self._report, None
                line = self.tr("Training {0} · {1}").format(self.session.name, text)
                self.studio.status.emit(line, fraction)

    def _show_live(self) -> None:
        if self.view.look():
            self._snapshots, self._first = len(self.session.live.snapshots), self.session.live.step
            self.studio.runs_changed.emit()
        elif self._first is not None and self.session.live is not None and self.session.live.step > self._first:
            self._first = None    # it has the run now, as whoever asks who writes it will hear
            self.studio.runs_changed.emit()
        if self.session.live is not None:
            self._show_answers()

    @Slot(object)
    def _done(self, outcome: Any) -> None:
        self._end(outcome.status, outcome.sentence, "error" if outcome.status == "diverged" else "info")

    @Slot(str, str)
    def _failed(self, sentence: str, trace: str) -> None:
        log.error("training failed\n%s", trace)
        self._end("interrupted", for_people(sentence, trace), "error")

    @Slot()
    def _cancelled(self) -> None:
        self._end("stopped", self.tr("Stopped before the first step."), "info")

    def _end(self, status: str, sentence: str, kind: str) -> None:
        if self.task is not None:
            self.task.deleteLater()
            self.task = None
        self._clock.stop()
        self._stopping = self._paused = False
        self._report = None
        self.studio.status.emit("", None)
        self.session.status, self.session.trainer = status, None
        if self.session.live is None:
            failed, nothing = self.tr("The training could not start"), self.tr("Nothing was trained")
            self.session = None
            self.view.show_session(None)
            self.view.say(failed if kind == "error" else nothing, sentence, self.tr("Start training"))
        else:
            self._show_live()
            self.cost.say(sentence, bad=kind == "error")
        self.side.fields["name"].blockSignals(True)
        self.side.fields["name"].clear()
        self.side.fields["name"].setPlaceholderText(self._free_name())
        self.side.fields["name"].blockSignals(False)
        self._show_figures()
        self._show_buttons()
        if kind == "error" or self.session is None or not self.isVisible():    # else the line under the choices says it
            self.studio.message.emit(kind, sentence)
        self.studio.runs_changed.emit()

    @Slot()
    def read_runs(self) -> None:
        """List the runs on disk again."""
        self.bottom.read(self.session.path if self.training else None)
        if self.training:
            self.bottom.show_live(self.session, self._paused)

    @Slot(object)
    def _gone(self, path: Path) -> None:
        if path == self._asked:
            self._read_nothing()
        if self.session is not None and self.session.path == path:
            self._rest()

    @Slot(object)
    def _use(self, which: object) -> None:
        """Draw with weights of the shown run: those of this moment come when the step under way has ended."""
        if which == NOW and self.session.trainer is not None and self.training:
            self.session.trainer.share()
        else:
            self.bottom.open_run(self.session.path if which in (NOW, BEST) else which)

    @Slot(str)
    def _change_rate(self, text: str) -> None:
        try:
            self.session.trainer.change_rate(rate_of(text))
        except RunError as error:
            self._complain(str(error))

    @Slot()
    def _take_snapshot(self) -> None:
        self.session.trainer.snapshot()

    def _show_answers(self) -> None:
        """What the trainer has done of what was asked."""
        live = self.session.live
        if len(live.notes) > self._told:
            self._told = len(live.notes)
            self.cost.tell(live.notes)
            if not self.isVisible():    # here it stands above the curves
                self.studio.message.emit("info", live.notes[-1])
        if live.shared is not None:
            model, card = live.shared
            live.shared = None
            self.studio.use_model(model, card)
            self.studio.tab_requested.emit("generate")
        if len(live.snapshots) > self._snapshots:
            self._snapshots = len(live.snapshots)
            words = self.tr("Snapshot of step {0:,} kept: {1:.3f} bits/dim.")
            figure = live.points[-1].validation_bits_per_dim
            self.studio.message.emit("info", words.format(int(live.snapshots[-1].stem), figure))

    def _rest(self) -> None:
        """Nothing to show yet: say what this is."""
        self.follower.stop()
        self.session = None
        self.view.show_session(None)
        self.view.say(
            self.tr("Train a model of your own"),
            self.tr("Choose images and a model above. Curves and samples grow here while it learns; "
                    "stop whenever you like, nothing is lost."),
            self.tr("Start training"),
        )
        self._choice_changed()
        self._show_buttons()

    @Slot()
    def _show_figures(self) -> None:
        line = self.side.fields["name"]
        name = line.text().strip() or line.placeholderText()
        probed = self.session.probed if self.session else self.probed
        self.side.show_probe(probed, probed.passes(*self.session.budget if self.session else self.choices.budget())
                             if probed else 0.0)
        self.side.show_session(self.session, name, self.view.unit.key(), self.training)

    def _show_buttons(self) -> None:
        resumable = self.session is not None and self.session.resumable
        self.choices.set_state(
            training=self.training, paused=self._paused, stopping=self._stopping, resumable=resumable
        )

    def showEvent(self, event: QShowEvent) -> None:
        """Read the runs and measure the choice when the page is first seen: early enough for torch."""
        super().showEvent(event)
        self.read_runs()
        if self.probed is None and not self.training:
            self.probe.ask()
