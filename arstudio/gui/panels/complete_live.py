"""Continue my sketch: the canvas is completed again and again while a person draws.

A stroke that begins and one that ends restart the work at once; while the pen moves, the run under way finishes and the
next one begins with the newest sheet. So the screen is never more than two short runs behind the pen, and one after it is
lifted. What a run may cost follows from how long the last one took (`Pace`).
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from arstudio.gui.panels.complete_run import CompletionRun, Plan
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.canvas import Canvas
from arstudio.gui.widgets.completions import Completions
from arstudio.gui.widgets.sheet import Sheet

COUNT = 4                      # completions of a run, of which one is seen
SMALL = 256                    # pixels of an image
QUICK, PATIENT = 0.15, 0.75    # seconds that a run of an image so small, and of a larger one, may take


@dataclass
class Pace:
    """How many particles a run takes: fewer after one that took longer than `seconds`, more again after one of half of that.
    0 stands for clamping, the least there is."""

    seconds: float = QUICK
    particles: int = 32

    STEPS = (32, 16, 0)

    def took(self, seconds: float) -> None:
        """A run of as many particles took so long."""
        step = self.STEPS.index(self.particles) + (seconds > self.seconds) - (seconds < self.seconds / 2)
        self.particles = self.STEPS[min(max(step, 0), len(self.STEPS) - 1)]

    def plan(self, chosen: Plan, sheet: Sheet) -> Plan:
        """The next run for what is chosen; only `auto` may be clamped, and only where nothing is hinted at."""
        clamped = chosen.method == "auto" and not self.particles and not sheet.hinted.any()
        particles = self.particles or min(filter(None, self.STEPS))
        return Plan(COUNT, "clamp" if clamped else chosen.method, particles, repeats=1, classed=chosen.classed)


class LiveSketch(QObject):
    """`switched(bool)`. Everything else is seen on the canvas."""

    switched = Signal(bool)

    def __init__(self, studio: Studio, canvas: Canvas, run: CompletionRun, parent: QObject) -> None:
        super().__init__(parent)
        self.on = False
        self.chosen, self.pace = Plan(COUNT), Pace()
        self._studio, self._canvas, self._run = studio, canvas, run
        self._stale = False          # the sheet has changed since the run under way began
        self._moving = False         # a stroke has been under way since then
        canvas.stroked.connect(self._stroked)
        canvas.edited.connect(self.refresh)
        run.ended.connect(self._ran)
        self._patience = QTimer(self, singleShot=True)
        self._patience.timeout.connect(self._give_up)

    @Slot(bool)
    def switch(self, on: bool) -> None:
        """Begin, or end and forget what is under way."""
        if on != self.on:
            self.on = on
            self._stale = self._moving = False
            if not on and self._run.running:
                self._run.drop()
            self._canvas.show_ghost(None)
            self.switched.emit(on)
            self.refresh()

    @Slot()
    def refresh(self) -> None:
        """What is to be completed has changed for good: begin anew with it."""
        self._moving = False
        if not self.on:
            return
        self._stale = True
        if self._run.running:
            self._run.drop()
        else:
            self.go_on()

    @Slot()
    def _stroked(self) -> None:
        if not self.on:
            return
        begins, self._moving, self._stale = not self._moving, True, True
        if not self._run.running:
            self.go_on()
        elif begins:
            self._run.drop()

    @Slot()
    def _give_up(self) -> None:
        """A run takes far too long: begin anew with less, where there is less."""
        before = self.pace.particles
        if self.on and self._run.running:
            self.pace.took(self._patience.interval() / 1000)
            if self.pace.particles != before:
                self._stale = True
                self._run.drop()

    @Slot(object)
    def _ran(self, found: Completions | None) -> None:
        self._patience.stop()
        if self.on and found is not None:
            self.pace.took(found.seconds)

    def go_on(self) -> bool:
        """Start the next run if the sheet has changed since the last one began; True if it was started."""
        sheet = self._canvas.sheet
        if not (self.on and self._stale) or self._run.running or sheet is None:
            return False
        if self._studio.card is None or self._studio.card.spec != self._canvas.spec:
            return False             # another model: its picture is on the way, and will be an edit
        self._stale = False
        if not sheet.hidden.any():
            self._canvas.show_ghost(None)
            return False
        self.pace.seconds = QUICK if self._canvas.spec.pixels <= SMALL else PATIENT
        self._patience.start(round(1500 * self.pace.seconds))
        self._run.start(sheet, self.pace.plan(self.chosen, sheet))
        return True
