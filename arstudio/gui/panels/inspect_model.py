"""Two sections about the model behind a pixel: how its distribution developed, and the kernels of its layers."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from arstudio.gui.panels.inspect_reader import Reader
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.widgets.controls import Choice, label
from arstudio.gui.widgets.course import Course
from arstudio.gui.widgets.kernel_view import KernelView


class DevelopmentSection(QWidget):
    """p of the pixel's final value, for models that can say it before the pixel's turn."""

    def __init__(self, studio: Studio, reader: Reader) -> None:
        super().__init__()
        self.studio, self.reader = studio, reader
        self._asked: tuple | None = None
        self.course = Course()
        self.words = label("", "small", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.course)
        column.addWidget(self.words)
        self._work = Latest(self, "over time")
        self._work.done.connect(self._done)
        self._work.failed.connect(self._sorry)
        self._soon = QTimer(self, singleShot=True, interval=60)
        self._soon.timeout.connect(self._ask)

    @Slot()
    def refresh(self) -> None:
        """Follow the inspected pixel, when the playhead rests."""
        if self.isVisible() and not self.studio.playing:
            self._soon.start()

    def _say(self, sentence: str) -> None:
        self._work.forget()
        self._asked = None
        self.course.hide()
        self.words.setText(sentence)

    @Slot()
    def _ask(self) -> None:
        studio, trace, model = self.studio, self.studio.trace, self.reader.model
        step = studio.inspected_step()
        if trace is None or step is None:
            self._say(self.tr("No pixel yet."))
        elif model is None:
            self._say(self.tr("Open the model of this drawing to ask it."))
        elif not model.any_order:
            self._say(self.tr(
                "{0} learned one order, so it knows this pixel's distribution at the pixel's own turn only: before it, every "
                "way the pixels between could come out would have to be summed. Models of any order, such as EoNADE, show "
                "here how p of the final value developed."
            ).format(model.title))
        elif step >= self.reader.shown:
            self._say(self.tr("Known once this pixel is drawn."))
        else:
            x, site, y = self.reader.image(step + 1), trace.site(step), self.reader.label
            from arstudio.analysis.readings import key_of

            question = (step, key_of(model, x, y))
            if question == self._asked:
                return
            self._asked = question
            self.words.setText(self.tr("Working it out…"))

            def work(progress: TaskProgress) -> Any:
                from arstudio.analysis.development import development

                return development(model, x, site, y, progress=progress)

            self._work.ask(work)

    @Slot(object)
    def _done(self, found: Any) -> None:
        p = [math.exp(min(c.log_prob, 700)) for c in found.conditionals]
        real = found.conditionals[0].continuous
        self.course.show()
        self.course.show_course(found.known.tolist(), p, density=real)
        gain = (found.conditionals[-1].log_prob - found.conditionals[0].log_prob) / math.log(2)
        verdict = self.tr("its context made the value {0:.2f} bits less surprising") if gain >= 0 else self.tr(
            "its context made the value {0:.2f} bits more surprising")
        self.words.setText(self.tr("p of the final value with the first k pixels known, exactly: {0}.").format(
            verdict.format(abs(gain))))

    @Slot(str)
    def _sorry(self, sentence: str) -> None:
        self._say(sentence)


class LayersSection(QWidget):
    """The kernel of a chosen layer, with what its mask forbids."""

    def __init__(self, studio: Studio, reader: Reader) -> None:
        super().__init__()
        self.studio, self.reader = studio, reader
        self._of: Any = None
        self._kernels: list = []
        self.layer = Choice()
        self.layer.setAccessibleName(self.tr("Layer"))
        self.layer.currentIndexChanged.connect(self._chosen)
        self.view = KernelView()
        self.words = label("", "small", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for widget in (self.layer, self.view, self.words):
            column.addWidget(widget)

    @Slot()
    def refresh(self) -> None:
        """List the layers of the model that is open."""
        model = self.studio.model
        if not self.isVisible() or (model is self._of and self._of is not None):
            return
        self._of = model
        if model is None:
            self._kernels = []
        else:
            from arstudio.analysis.kernels import kernels

            self._kernels = kernels(model)
        self.layer.blockSignals(True)
        self.layer.clear()
        for kernel in self._kernels:
            rows, columns = kernel.strength.shape
            self.layer.addItem(f"{kernel.name.replace('_', ' ')} · {rows}×{columns}")
        self.layer.blockSignals(False)
        for widget in (self.layer, self.view):
            widget.setVisible(bool(self._kernels))
        self._chosen()

    @Slot()
    def _chosen(self) -> None:
        if not self._kernels:
            title = self.studio.model.title if self.studio.model is not None else self.tr("No model")
            self.words.setText(self.tr("{0} has no convolutions.").format(title))
            return
        kernel = self._kernels[max(self.layer.currentIndex(), 0)]
        self.view.show_kernel(kernel)
        outputs, inputs = kernel.shape
        words = self.tr("{0} → {1} features. Bright taps weigh more.").format(inputs, outputs)
        if (kernel.allowed == 0).any():
            words += self.tr(" Crossed: forbidden by the mask, it would be the future.")
        if ((kernel.allowed > 0) & (kernel.allowed < 1)).any():
            words += self.tr(" Struck through: only some connections are allowed.")
        if not kernel.masked:
            words += self.tr(" No mask: the layer only reaches what came before.")
        self.words.setText(words)
        self.layout().activate()    # the picture has another height
