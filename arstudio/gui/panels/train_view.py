"""Curves and film of one run, live or from disk. It pulls from a `Session` and paints what is new."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QSize, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from arstudio.gui.panels.train_session import Session
from arstudio.gui.widgets.controls import EmptyState, Segmented, label, section
from arstudio.gui.widgets.curves import CurvePlot, OtherRun
from arstudio.gui.widgets.film_strip import FilmStrip
from arstudio.gui.widgets.thinned import Thinned
from arstudio.image import ImageError, ImageSpec
from arstudio.training.runs import Run

LOW = 270            # below this height, the film makes room for the curves
SPACE = 12           # between the film's heading and what is said of it


class RunView(QWidget):
    """`show_session`, then `look` as often as one likes. `acted`: the empty state's button was pressed."""

    acted = Signal()
    unit_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.session: Session | None = None
        self._train = Thinned()
        self._validated = -1
        self._compared: list[Run] = []
        self.plot = CurvePlot()
        self.film = FilmStrip()
        self.heading = section(self.tr("Bits per dimension"))
        self.unit = Segmented(
            [("bits", self.tr("bits/dim")), ("nats", self.tr("nats"))],
            {"bits": self.tr("−log₂ p(x) / number of sites: comparable between sizes"),
             "nats": self.tr("−ln p(x) of a whole image")},
        )
        self.empty = EmptyState("", "", self.tr("Start training"))
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.plot)
        self.film_note = label(self.tr("drawn at eight moments, from the same random numbers"), "small")
        top, strip = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.heading)
        top.addStretch(1)
        top.addWidget(self.unit)
        strip.setSpacing(SPACE)
        self.film_heading = section(self.tr("The same seed, as it learns"))
        strip.addWidget(self.film_heading)
        strip.addWidget(self.film_note, 1)
        self.film_note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.stack, 1)
        column.addLayout(strip)
        column.addWidget(self.film)
        self.empty.acted.connect(self.acted)
        self.unit.chosen.connect(self._unit_chosen)

    def say(self, headline: str, sentence: str, action: str = "") -> None:
        """Show a state instead of curves: empty, getting ready, or failed."""
        self.empty.show_state(headline, sentence, action)
        self.stack.setCurrentWidget(self.empty)

    def show_session(self, session: Session | None) -> None:
        """Make a run, or none, the one on screen."""
        self.session = session
        self._train, self._validated = Thinned(), -1
        self._compared = []
        self.plot.clear()
        self.film.show_film([], [], None)
        self._show_note()
        self.look()

    def go_on(self, session: Session) -> None:
        """The same run, read again from a directory that another program writes."""
        self.session = session
        if self._validated >= 0:
            self._show_frame()
        self.look()

    def compare(self, runs: list[Run]) -> None:
        """Show the validation curves of other runs beside the one on screen."""
        self._compared = runs
        self._show_others()

    def _show_others(self) -> None:
        session, others = self.session, []
        if session is None or session.spec is None:
            return
        bits, one = self.unit.key() == "bits", session.spec.bits_per_dim(1.0)
        for place, run in enumerate(run for run in self._compared if run.path != session.path):
            try:
                spec = ImageSpec(**run.record["spec"])
            except (KeyError, TypeError, ImageError):
                continue
            native = int(run.record.get("native_levels", 0))
            points = [
                (p.seconds, p.validation_bits_per_dim / one if bits else spec.comparable_nats(p.validation_nats, native))
                for p in run.points
            ]
            others.append(OtherRun(run.path.name, np.array(points).reshape(-1, 2), place))
        self.plot.show_others(others)

    def look(self) -> bool:
        """Show what is new; True the first time there is anything."""
        session = self.session
        live = session.live if session else None
        if live is None:
            return False
        first = self._validated < 0
        if first:
            self.stack.setCurrentWidget(self.plot)
            self._show_frame()
        points, frames = list(live.points), list(live.film)
        if self._train.feed(live.step_seconds, live.step_nats) or len(points) != self._validated:
            self._validated = len(points)
            curves = _curves(points, self._train.points())
            for curve in curves:
                curve[:, 1] += session.comparable(0.0)    # _curves makes new arrays
            self.plot.show_curves(*curves, [p.epoch for p in points])
        if first or len(frames) != self.film.frames:
            self.film.show_film(frames, session.plan, session.spec)
        return first

    def _show_frame(self) -> None:
        session = self.session
        if session is None or session.spec is None:
            return
        bits = self.unit.key() == "bits"
        per_unit = 1 / session.spec.bits_per_dim(1.0) if bits else 1.0
        self.plot.show_frame(session.limit, session.baselines, per_unit, "bits/dim" if bits else "nats")

    @Slot(str)
    def _unit_chosen(self, key: str) -> None:
        text = self.tr("Bits per dimension") if key == "bits" else self.tr("Nats per image")
        self.heading.setText(text.upper())
        self._show_frame()
        self._show_others()
        self.unit_changed.emit()

    def minimumSizeHint(self) -> QSize:
        """Curves alone."""
        return QSize(420, 180)

    def _show_note(self) -> None:
        needed = self.film_heading.sizeHint().width() + SPACE + self.film_note.sizeHint().width()
        self.film_note.setVisible(self.session is None and self.width() >= needed and self.height() >= LOW)

    def resizeEvent(self, event: object) -> None:
        """More rows of samples where there is room, none where there is too little."""
        low = self.height() < LOW
        self.film.setVisible(not low)
        self.film_heading.setVisible(not low)
        self._show_note()
        row = self.film.height_for(self.width(), 2) - self.film.height_for(self.width(), 1)
        self.film.set_rows(1 + max(0, min(2, (self.height() - 400) // row)))

    def changeEvent(self, event: QEvent) -> None:
        """A new palette: everything paints with it."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "plot"):
            self.plot.update()
        super().changeEvent(event)


def _curves(points: list[Any], train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 2) seconds and nats of training, validation, and validation without averaging. Before a resume, training is known
    at validations only."""
    start = train[0, 0] if len(train) else np.inf
    early = [(p.seconds, p.train_nats) for p in points if p.seconds < start and np.isfinite(p.train_nats)]
    train = np.vstack([np.array(early).reshape(-1, 2), train]) if early else train
    validation = np.array([(p.seconds, p.validation_nats) for p in points]).reshape(-1, 2)
    raw = np.array([(p.seconds, p.raw_nats) for p in points]).reshape(-1, 2)
    return train, validation, raw
