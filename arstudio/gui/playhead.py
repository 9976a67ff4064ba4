"""The playhead: which moment of a trace the screen shows. It plays, steps, loops and remembers marks.

It moves over the trace or follows the trace's cursor; whoever draws is never held up by it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Signal, SignalInstance, Slot

if TYPE_CHECKING:
    from arstudio.sampling import Trace

FULL_SPEED = math.inf
SMOOTH, FOLLOWING = 16, 25    # ms between two looks at the trace; while following, every look costs the drawing time
LAST = 8    # ms between the last turns of what is read, when all is shown
READ, READ_FOLLOWING = 0.08, 0.2    # seconds between two times when figures and words are due


class Playhead(QObject):
    """`position` counts the steps shown of `trace`. `marks` are pixel ranks in drawing order; `loop` is a pair of ranks,
    begin and end, or None.

    `position_changed` is for what is watched, at every look while the playhead moves. What is read has its turn now and
    then while it moves, one at a look, so that no look takes long, and all together when it was put somewhere:
    `figures_due` (of a pixel), `curve_due` (over the order), `words_due` (lines of text). `trace_changed`: another trace, or
    another of its images, with all that belongs to it; no `position_changed` comes besides.
    """

    trace_changed = Signal()
    position_changed = Signal()
    figures_due = Signal()
    curve_due = Signal()
    words_due = Signal()
    playing_changed = Signal()
    marks_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.trace: Trace | None = None
        self.position = 0
        self.speed = 10.0                              # pixels or rows per second
        self.speed_in_rows = True
        self.playing = False
        self.marks: list[int] = []
        self.loop: tuple[int, int] | None = None
        self._seen = -1
        self._exact = 0.0
        self._last = 0.0
        self._read = 0.0           # when the turns of what is read began last
        self._unread = False       # something moved since
        self._turns: list[SignalInstance] = []     # what is to be read at the next looks
        self._clock = QTimer(self, interval=16)
        self._clock.setTimerType(Qt.TimerType.PreciseTimer)
        self._clock.timeout.connect(self._tick)

    @property
    def drawing(self) -> bool:
        """True while somebody writes the trace."""
        return False

    def play(self) -> None:
        """Move the playhead; from the start, or that of the loop, if it is at the end."""
        if self.trace is None:
            return
        if self.loop is not None:
            begin, end = (rank * self.trace.spec.channels for rank in self.loop)
            if not begin <= self.position < end:
                self._set_position(min(begin, self.trace.cursor))
        elif self.position >= self.trace.spec.sites and self.trace.complete:
            self._set_position(0)
        self.playing, self._last = True, time.perf_counter()
        self._clock.start(FOLLOWING if math.isinf(self.speed) else SMOOTH)
        self.playing_changed.emit()

    def pause(self) -> None:
        """Hold the playhead. Drawing goes on behind it."""
        self.playing = False
        self._clock.stop()
        self.playing_changed.emit()
        if self._unread or self._turns:
            self._figures()
        else:
            self.figures_due.emit()    # some are known at rest only

    def toggle(self) -> None:
        """Play or pause."""
        if self.playing:
            self.pause()
        else:
            self.play()

    def seek(self, step: int) -> None:
        """Pause at a step, as far as the trace goes."""
        if self.trace is None:
            return
        if self.playing:
            self.pause()
        self._set_position(max(0, min(step, self.trace.cursor)))

    def step_channels(self, count: int) -> None:
        """Move the playhead by sites: channels of a pixel."""
        if self.trace is not None:
            self.seek(self.position + count)

    def step_pixels(self, count: int) -> None:
        """Move the playhead by whole pixels."""
        if self.trace is not None:
            c = self.trace.spec.channels
            self.seek((self.position // c + count) * c if self.position % c == 0 or count > 0 else self.position // c * c)

    def step_rows(self, count: int) -> None:
        """Move the playhead by rows of the image (as many pixels as a row has)."""
        if self.trace is not None:
            row = self.trace.spec.width * self.trace.spec.channels
            target = (self.position // row + count) * row
            if count < 0 and self.position % row:
                target += row
            self.seek(target)

    def set_speed(self, per_second: float, *, rows: bool = False) -> None:
        """Speed of the playhead in pixels or rows a second; math.inf follows the drawing."""
        self.speed, self.speed_in_rows = per_second, rows
        self._clock.setInterval(FOLLOWING if math.isinf(per_second) else SMOOTH)

    def _set_position(self, step: int) -> None:
        self._exact, self.position = float(step), step
        self.position_changed.emit()
        if not self.playing:
            self._figures()

    def _figures(self) -> None:
        """Everything that is read, now."""
        self._begin_turns()
        while self._turns:
            self._turns.pop(0).emit()

    def _begin_turns(self) -> None:
        self._read, self._unread = time.perf_counter(), False
        self._turns = [self.figures_due, self.curve_due, self.words_due]

    @Slot()
    def _tick(self) -> None:
        trace, now = self.trace, time.perf_counter()
        if trace is None:
            return
        cursor = trace.cursor
        if self.playing:
            per_unit = trace.spec.channels * (trace.spec.width if self.speed_in_rows else 1)
            advance = math.inf if math.isinf(self.speed) else self.speed * per_unit * (now - self._last)
            end = cursor if self.loop is None else min(cursor, self.loop[1] * trace.spec.channels)
            if self.loop is not None and self._exact >= self.loop[1] * trace.spec.channels:
                self._exact = float(min(self.loop[0] * trace.spec.channels, cursor))    # the end was on the screen
            else:
                self._exact = min(float(end), self._exact + advance)
        self._last = now
        position = int(self._exact)
        if (position, cursor) != (self.position, self._seen):
            self.position, self._seen, self._unread = position, cursor, True
            self.position_changed.emit()
        ended = position >= trace.spec.sites and not self.drawing and self.loop is None
        if ended:
            self._clock.setInterval(LAST)
        if self._turns:
            self._turns.pop(0).emit()
        elif self._unread and (ended or now - self._read >= (READ_FOLLOWING if math.isinf(self.speed) else READ)):
            self._begin_turns()
        elif ended:
            self.pause()

    @property
    def rank(self) -> int:
        """Pixels shown."""
        return self.position // self.trace.spec.channels if self.trace is not None else 0

    def toggle_mark(self, rank: int | None = None) -> None:
        """Put a mark at a pixel rank (by default at the playhead), or take away the one that is there."""
        if self.trace is None:
            return
        rank = self.rank if rank is None else rank
        self.marks = [m for m in self.marks if m != rank] if rank in self.marks else sorted([*self.marks, rank])
        if self.loop is not None:
            self.loop = self._around(self.loop[0])
        self.marks_changed.emit()

    def to_mark(self, direction: int) -> None:
        """Jump to the next mark (1) or the one before (−1); to the end or the start if there is none."""
        if self.trace is not None:
            here, pixels = self.rank, self.trace.spec.pixels
            later, earlier = [m for m in self.marks if m > here], [m for m in self.marks if m < here]
            rank = (later[0] if later else pixels) if direction > 0 else (earlier[-1] if earlier else 0)
            self.seek(rank * self.trace.spec.channels)

    def set_loop(self, on: bool) -> None:
        """Play the part between the marks around the playhead again and again, all of it without marks."""
        self.loop = self._around(self.rank) if on and self.trace is not None else None
        self.marks_changed.emit()

    def _around(self, rank: int) -> tuple[int, int]:
        pixels = self.trace.spec.pixels
        begin = max((m for m in self.marks if m <= rank), default=0)
        end = min((m for m in self.marks if m > begin), default=pixels)
        return (begin, end) if begin < end else (0, pixels)

    def _forget_marks(self) -> None:
        """Marks and loop belong to images of one size."""
        if self.marks or self.loop is not None:
            self.marks, self.loop = [], None
            self.marks_changed.emit()
