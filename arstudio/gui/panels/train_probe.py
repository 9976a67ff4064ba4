"""What the choice will cost: measured after the person has stopped choosing, and the line that says it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from arstudio.data import Shelf
from arstudio.gui import theme
from arstudio.gui.panels.train_session import Choice, Probed, probe
from arstudio.gui.tasks import Task
from arstudio.gui.widgets.controls import label
from arstudio.gui.wording import count, duration, size
from arstudio.training.runs import RunError

SETTLE = 400           # ms without a change before a choice is measured


class CostProbe(QObject):
    """`learned(Probed)`, more complete each time, or `refused(sentence)`; `ended` after each probe."""

    learned = Signal(object)
    refused = Signal(str)
    ended = Signal()

    def __init__(self, choose: Callable[[], Choice], shelf: Shelf, parent: QObject) -> None:
        super().__init__(parent)
        self._choose, self._shelf = choose, shelf
        self._task: Task | None = None
        self._stale = self._again = False
        self._settle = QTimer(self, interval=SETTLE, singleShot=True)
        self._settle.timeout.connect(self._measure)

    @property
    def busy(self) -> bool:
        """True while a thread measures, also one whose result nobody wants any more."""
        return self._task is not None

    def ask(self) -> None:
        """Measure what is chosen soon; whatever is being measured now is out of date."""
        self._abandon()
        self._settle.start()

    def cancel(self) -> None:
        """Measure nothing; a probe under way ends within a step and says so with `ended`."""
        self._settle.stop()
        self._abandon()
        self._again = False

    def _abandon(self) -> None:
        if self._task is not None:
            self._stale = True
            self._task.cancel()

    @Slot()
    def _measure(self) -> None:
        if self._task is not None:
            self._again = True
            return
        try:
            work = probe(self._choose(), self._shelf)
        except RunError as error:
            self.refused.emit(str(error))
            return
        self._stale = self._again = False
        self._task = Task(work, "measure a choice")
        self._task.partial.connect(self._partial)
        self._task.done.connect(self._done)
        self._task.failed.connect(self._failed)
        self._task.cancelled.connect(self._end)
        self._task.start()

    @Slot(object)
    def _partial(self, probed: Probed) -> None:
        if not self._stale:
            self.learned.emit(probed)

    @Slot(object)
    def _done(self, probed: Probed) -> None:
        self._partial(probed)
        self._end()

    @Slot(str, str)
    def _failed(self, sentence: str, trace: str) -> None:
        if not self._stale:
            self.refused.emit(for_people(sentence, trace))
        self._end()

    @Slot()
    def _end(self) -> None:
        self._task.deleteLater()
        self._task = None
        self.ended.emit()
        if self._again:
            self._measure()


class CostLine(QWidget):
    """One quiet line under the choices: what they cost, then how the run ended. Errors get a frame."""

    def __init__(self) -> None:
        super().__init__()
        self._sentence, self._bad, self._notes = "", False, ""
        self.text = label("", "small")
        self.text.setAccessibleName(self.tr("What this training will cost"))
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.error = label("", wrap=True)
        self.error.setAccessibleName(self.tr("What is wrong"))
        self.frame = QFrame()
        self.frame.setObjectName("notice")
        self.frame.setProperty("kind", "error")
        inside = QHBoxLayout(self.frame)
        inside.setContentsMargins(12, 6, 12, 6)
        inside.addWidget(self.error, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text)
        column.addWidget(self.frame)
        self.say("")

    def say(self, sentence: str, *, bad: bool = False) -> None:
        """Show a quiet sentence on one line; `bad` tints it, for an outcome that is reported elsewhere in full."""
        self._sentence, self._bad, self._notes = sentence, bad, ""
        self.error.setText("")
        self.text.show()
        self.frame.hide()
        self._fit()

    def tell(self, notes: list[str]) -> None:
        """Show what happened on the way: the last of it, and all as the tooltip."""
        earlier = f" ({len(notes) - 1} earlier)" if len(notes) > 1 else ""
        self.say(notes[-1] + earlier)
        self._notes = "\n".join(notes)
        self._fit()

    def complain(self, sentence: str) -> None:
        """Show what is wrong, in full."""
        self._sentence = ""
        self.error.setText(sentence)
        self.text.hide()
        self.frame.show()

    def _fit(self) -> None:
        width = self.width() if self.isVisible() else 10_000
        shown = self.text.fontMetrics().elidedText(self._sentence, Qt.TextElideMode.ElideRight, width)
        self.text.setText(shown)
        self.text.setToolTip(self._notes or self._sentence)
        colour = theme.colours().bad if self._bad else theme.colours().accent if self._notes else ""
        self.text.setStyleSheet(f"color: {colour};" if colour else "")

    def resizeEvent(self, event: object) -> None:
        """Cut the line to the width."""
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """A new palette: tint again."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "frame"):
            self._fit()
        super().changeEvent(event)

    def show_cost(self, probed: Probed, minutes: float, epochs: float) -> None:
        """Parameters, memory, time of an epoch, and how far the time chosen goes, or how long the epochs take."""
        found = probed.estimate
        each = found.seconds_per_epoch
        passes, minutes = (found.epochs(minutes), minutes) if minutes else (epochs, epochs * each / 60)
        many = self.tr("about {0:,.0f} epochs in {1}")
        few = self.tr("{0:.1f} epochs in {1}")
        self.say(" · ".join((
            self.tr("{0} parameters").format(count(found.parameters)),
            size(found.bytes),
            self.tr("{0} per epoch").format(f"{each:.2g} s" if each < 10 else duration(each)),
            (many if passes >= 1.5 else few).format(passes, duration(60 * minutes)),
        )))


def for_people(sentence: str, trace: str) -> str:
    """An error for people: our own sentences as they are, others with what to do."""
    first = next(iter(sentence.strip().splitlines()), "?")
    if trace.rstrip().rpartition("\n")[2].startswith("arstudio."):
        return first
    return f"The work failed ({first}). What was saved is kept: resume the run, or try other settings."
