"""What the Inspector's sections read: the conditionals of the focused image, from the trace or from a forward pass.

The trace knows the pmf of every site it drew. Mixtures, other classes, changed images and images too many to keep are
read by one pass in a thread and kept (`analysis/readings.py`); where a model can say less for less, the one site that was
asked for comes first, and the pass when no more questions come. There is one thread for sites and one for images; a question
asked while another runs replaces the one of the same kind that waits.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress

if TYPE_CHECKING:
    import numpy as np

    from arstudio.analysis.conditionals import Conditional
    from arstudio.analysis.readings import Reading, Readings
    from arstudio.models import AutoregressiveModel


GLIMPSES = 64    # sites read alone that are kept


class Reader(QObject):
    """`arrived` when a reading that was asked for is there: ask again."""

    arrived = Signal()

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self.studio = studio
        self._readings: Readings | None = None
        self._glimpses: OrderedDict[tuple, Conditional] = OrderedDict()    # (key, site) -> what was read of it alone
        self._waiting: dict[bool, dict[str, tuple]] = {True: {}, False: {}}    # whole? -> kind -> the latest question
        self._running: dict[bool, Any] = {True: None, False: None}              # whole? -> key and site
        self._fresh: tuple | None = None        # model and key of what was read just now
        self._twin: Any = None                  # model, order, the model in that order
        self._failed: Any = None                # key and site that could not be read; not asked again
        self._later = QTimer(self, singleShot=True, interval=250)
        self._later.timeout.connect(self._rested)

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

    def reading(self, x: np.ndarray, y: int, kind: str) -> Reading | None:
        """Everything the model says of an image of class y (−1: none); None while it is computed, or if it cannot be."""
        model = self.model
        if model is None:
            return None
        key = self._key(model, x, y)
        found = self._readings.get(key)
        if found is None:
            self._ask(kind, (key, model, x, y, None))
            self._begin(True)
        else:
            self._waiting[True].pop(kind, None)
        return found

    def at(self, site: tuple[int, int, int], x: np.ndarray, y: int, kind: str, *, whole: bool = True) -> Conditional | None:
        """What the model says of one site (channel, row, column) of an image, before everything else; `whole`: and read
        the rest afterwards, because more questions will follow. None while it is computed, or if it cannot be."""
        model = self.model
        if model is None:
            return None
        from arstudio.analysis.conditionals import sees_less

        key = self._key(model, x, y)
        reading = self._readings.get(key)
        for waiting in self._waiting.values():
            waiting.pop(kind, None)
        if reading is not None:
            return reading.at(site)
        if not sees_less(model):
            self._ask(kind, (key, model, x, y, None))
            self._begin(True)
            return None
        found = self._glimpses.get((key, site))
        if found is None:
            self._ask(kind, (key, model, x, y, site))
            self._begin(False)
        elif whole:
            self._ask(kind, (key, model, x, y, None))
            self._later.start()
        return found

    def _key(self, model: AutoregressiveModel, x: np.ndarray, y: int) -> tuple:
        from arstudio.analysis.readings import Readings, key_of

        if self._readings is None:
            self._readings = Readings()
        if self._fresh is not None and self._fresh[0] is model:    # its weights were looked at a moment ago
            key = self._fresh[1]
            if key[1:] == (str(x.dtype), x.shape, x.tobytes(), y):
                return key
        return key_of(model, x, y)

    def _ask(self, kind: str, question: tuple) -> None:
        """Let (key, model, image, class, site or None) wait for its turn, unless it has come."""
        about, whole = (question[0], question[-1]), question[-1] is None
        if about not in (self._running[whole], self._failed):
            self._waiting[whole][kind] = question

    def conditional(self, step: int) -> Conditional | None:
        """The model's own conditional (T = 1) at a step of the focused image; None if it is not known or not yet."""
        from arstudio.analysis.conditionals import Conditional

        trace, focus = self.studio.trace, self.studio.focus
        if step >= trace.spec.sites or step > trace.cursor or (step == trace.cursor and self.studio.drawing):
            return None
        real, kept = trace.spec.levels == 0, step < trace.cursor and focus < len(trace.pmfs)
        value = trace.values[focus, step].item() if step < self.shown else None
        found = None
        if not kept or (self._mixture and not self.studio.playing):    # the trace does not know components
            found = self.at(trace.site(step), self.past(step), self.label, "own")
        if found is None and kept:
            found = Conditional(trace.pmfs[focus, step], None, step, trace.site(step), real)
        if found is None:
            return None
        density = float(trace.log_probs[focus, step]) if real and value is not None else None
        return replace(found, value=value, log_density=density)

    def without_class(self, step: int) -> Conditional | None:
        """The conditional of the same image without its class."""
        return self.at(self.studio.trace.site(step), self.past(step), -1, "without")

    @property
    def _mixture(self) -> bool:
        return self.model is not None and hasattr(self.model.likelihood, "components")

    @Slot()
    def _rested(self) -> None:
        self._begin(True)

    def _begin(self, whole: bool) -> None:
        waiting = self._waiting[whole]
        if self._running[whole] is not None or not waiting:
            return
        key, model, x, y, site = waiting.pop(next(iter(waiting)))
        self._running[whole] = key, site

        def work(progress: TaskProgress) -> Any:
            from arstudio.analysis.conditionals import conditional
            from arstudio.analysis.readings import key_of, read
            from arstudio.models import threads

            if site is None:
                threads.use_all()
                found = read(model, x, y)
            else:
                with threads.single():    # a part of the image is too little for two
                    found = conditional(model, x, site, y)
            return model, key_of(model, x, y), site, found    # of the weights as they were read, not as they were

        task = Task(work, "inspect")
        task.done.connect(self._done)
        task.failed.connect(self._sorry if whole else self._sorry_for_site)
        task.start()

    @Slot(object)
    def _done(self, result: tuple) -> None:
        model, key, site, found = result
        self._running[site is None] = None
        if site is None:
            self._readings.keep(key, found)
        else:
            self._glimpses[key, site] = found
            while len(self._glimpses) > GLIMPSES:
                self._glimpses.popitem(last=False)
        self._fresh = model, key
        try:
            self.arrived.emit()
        finally:
            self._fresh = None
        self._begin(site is None)

    @Slot(str, str)
    def _sorry(self, sentence: str, _trace: str, whole: bool = True) -> None:
        self._failed, self._running[whole] = self._running[whole], None
        self.studio.message.emit("error", sentence)
        self._begin(whole)

    @Slot(str, str)
    def _sorry_for_site(self, sentence: str, trace: str) -> None:
        self._sorry(sentence, trace, whole=False)
