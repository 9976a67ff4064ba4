"""What the Inspector's sections read: the conditionals of the focused image, from the trace or from a forward pass.

The trace knows the pmf of every site it drew. Mixtures, other classes, changed images and images too many to keep are
read by one pass in a thread and kept (`analysis/readings.py`); a question asked while another runs replaces the one of
the same kind that waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress

if TYPE_CHECKING:
    import numpy as np

    from arstudio.analysis.conditionals import Conditional
    from arstudio.analysis.readings import Reading, Readings
    from arstudio.models import AutoregressiveModel


class Reader(QObject):
    """`arrived` when a reading that was asked for is there: ask again."""

    arrived = Signal()

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self.studio = studio
        self._readings: Readings | None = None
        self._waiting: dict[str, tuple] = {}    # kind of question -> (key, model, image, class), the latest
        self._running: Any = None               # key
        self._twin: Any = None                  # model, order, the model in that order
        self._failed: Any = None                # key that could not be read; not asked again

    # -- where we are ---------------------------------------------------------------------------------------

    @property
    def model(self) -> AutoregressiveModel | None:
        """The model of the shown drawing, in the order of that drawing; None where it is not open."""
        s = self.studio
        if s.model is None or s.trace is None or s.trace_card is not s.card or s.trace.spec != s.model.spec:
            return None
        if s.trace.order == s.model.order:
            return s.model
        if not s.model.any_order:
            return None
        if self._twin is None or self._twin[:2] != (s.model, s.trace.order):
            self._twin = s.model, s.trace.order, s.model.reordered(s.trace.order)
        return self._twin[2]

    @property
    def shown(self) -> int:
        """Steps the screen shows."""
        return min(self.studio.position, self.studio.trace.cursor)

    @property
    def label(self) -> int:
        """Class of the focused image, −1 for none."""
        return int(self.studio.trace.classes[self.studio.focus])

    def image(self, step: int | None = None) -> np.ndarray:
        """(C, H, W) the focused image as far as it is drawn, or before a step."""
        return self.studio.trace.image(self.studio.focus, step)

    def past(self, step: int) -> np.ndarray:
        """(C, H, W) an image to ask about a step: all of it once the drawing is complete, so that one pass serves every
        pixel, else what lies before the step."""
        return self.image() if self.studio.trace.complete else self.image(step)

    # -- asking ---------------------------------------------------------------------------------------------

    def reading(self, x: np.ndarray, y: int, kind: str) -> Reading | None:
        """Everything the model says of an image of class y (−1: none); None while it is computed, or if it cannot be."""
        model = self.model
        if model is None:
            return None
        from arstudio.analysis.readings import Readings, key_of

        if self._readings is None:
            self._readings = Readings()
        key = key_of(model, x, y)
        found = self._readings.get(key)
        if found is None and key not in (self._running, self._failed):
            self._waiting[kind] = (key, model, x, y)
            self._begin()
        elif found is not None:
            self._waiting.pop(kind, None)
        return found

    def conditional(self, step: int) -> Conditional | None:
        """The model's own conditional (T = 1) at a step of the focused image; None if it is not known or not yet."""
        from arstudio.analysis.conditionals import Conditional

        trace, focus = self.studio.trace, self.studio.focus
        if step >= trace.spec.sites or step > trace.cursor or (step == trace.cursor and self.studio.drawing):
            return None
        real, kept = trace.spec.levels == 0, step < trace.cursor and focus < len(trace.pmfs)
        value = trace.values[focus, step].item() if step < self.shown else None
        reading = None
        if not kept or (self._mixture and not self.studio.playing):    # the trace does not know components
            reading = self.reading(self.past(step), self.label, "own")
        if reading is not None:
            found = reading.at(trace.site(step))
        elif kept:
            found = Conditional(trace.pmfs[focus, step], None, step, trace.site(step), real)
        else:
            return None
        density = float(trace.log_probs[focus, step]) if real and value is not None else None
        return replace(found, value=value, log_density=density)

    def without_class(self, step: int) -> Conditional | None:
        """The conditional of the same image without its class."""
        reading = self.reading(self.past(step), -1, "without")
        return None if reading is None else reading.at(self.studio.trace.site(step))

    @property
    def _mixture(self) -> bool:
        return self.model is not None and hasattr(self.model.likelihood, "components")

    # -- computing ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._running is not None or not self._waiting:
            return
        key, model, x, y = self._waiting.pop(next(iter(self._waiting)))
        self._running = key

        def work(progress: TaskProgress) -> Any:
            from arstudio.analysis.readings import key_of, read

            reading = read(model, x, y)
            return key_of(model, x, y), reading    # of the weights as they were read, should somebody have changed them

        self._task = Task(work, "inspect")
        self._task.done.connect(self._done)
        self._task.failed.connect(self._sorry)
        self._task.start()

    @Slot(object)
    def _done(self, result: tuple) -> None:
        self._running = None
        self._readings.keep(*result)
        self._begin()
        self.arrived.emit()

    @Slot(str, str)
    def _sorry(self, sentence: str, _trace: str) -> None:
        self._failed, self._running = self._running, None
        self.studio.message.emit("error", sentence)
        self._begin()
