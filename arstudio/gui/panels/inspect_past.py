"""What came before, drawn, and what if: a past pixel is given another value, and the distribution moves at once.

Nothing is drawn again: only the question to the model changes. To change the drawing itself, see "Another value".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSlider, QVBoxLayout, QWidget

from arstudio.gui.panels.inspect_reader import Reader
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import Segmented, label
from arstudio.gui.widgets.pixel_picker import PixelPicker
from arstudio.gui.widgets.pixel_view import same_image

if TYPE_CHECKING:
    import numpy as np

    from arstudio.analysis.conditionals import Conditional

REAL_STEPS = 255    # positions of the slider for reals


class PastSection(QWidget):
    """The context x_<t as a small picture to click, and a slider for the pixel chosen there. `moved` when the question
    to the model changed."""

    moved = Signal()

    def __init__(self, studio: Studio, reader: Reader) -> None:
        super().__init__()
        self.studio, self.reader = studio, reader
        self._image: np.ndarray | None = None     # the context as it is
        self._step: int | None = None
        self.pixel: tuple[int, int] | None = None
        self.value: float | None = None           # None: as it is
        self.view = PixelPicker(self.tr("What is known at this moment"))
        self.view.setFixedHeight(168)
        self.view.setToolTip(self.tr("x<t: everything the model knows at this moment. Click a pixel to ask what if."))
        self.view.clicked.connect(self._clicked)
        self.view.walked.connect(self._clicked)
        self.words = label("", "small", wrap=True)
        self.channel = Segmented((("0", "R"), ("1", "G"), ("2", "B")))
        self.channel.chosen.connect(self._channel_chosen)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(self.tr("What if the pixel had this value"))
        self.slider.valueChanged.connect(self._slid)
        self.reading = label("", "value")
        self.reading.setMinimumWidth(52)
        self.reading.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.back = QPushButton(self.tr("Put it back"))
        self.back.setObjectName("link")
        self.back.clicked.connect(self.put_back)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.slider, 1)
        row.addWidget(self.reading)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.view)
        column.addWidget(self.channel)
        column.addLayout(row)
        column.addWidget(self.words)
        column.addWidget(self.back)
        self._arrange()

    def site(self) -> tuple[int, int, int] | None:
        """The (channel, row, column) that is being changed."""
        if self.pixel is None or self.studio.trace is None:
            return None
        channel = int(self.channel.key()) if self.studio.trace.spec.channels == 3 else 0
        return channel, *self.pixel

    @property
    def active(self) -> bool:
        """True while a past pixel is supposed to be different, and that can be seen."""
        return self.value is not None and self.site() is not None and not self.studio.playing and self.isVisible()

    def changed_image(self) -> np.ndarray | None:
        """The context with the pixel changed; None while nothing is."""
        if self.value is None or self._image is None or self.site() is None:
            return None
        image = self._image.copy()
        image[self.site()] = self.value
        return image

    def conditional(self, found: Conditional) -> Conditional | None:
        """The conditional under the changed past, with the same value marked; None while nothing is changed or until it
        is computed."""
        image = self.changed_image()
        if image is None:
            return None
        moved = self.reader.at(found.site, image, self.reader.label, "what if", whole=False)
        if moved is None:
            return None
        density = None
        if moved.continuous and found.value is not None:
            import numpy as np

            density = float(np.log(max(moved.mixture.densities(np.array([found.value])).sum(), 1e-300)))
        return replace(moved, value=found.value, log_density=density)

    def show_step(self, step: int) -> None:
        """Follow the Inspector to a step whose past is on the screen."""
        image = self.reader.image(step)
        if self._image is not None and self._step == step and same_image(image, self._image):
            return
        self._image, self._step = image, step
        spec = self.studio.trace.spec
        if self.pixel is not None and not self._is_past(*self.pixel):
            self.pixel = None
        if self.value is not None:
            self.value = None    # another past: the question was about the old one
        self.view.show_image(image, spec)
        self.view.mark(self.pixel, self.studio.trace.site(step)[1:])
        self._arrange()

    def show_nothing(self) -> None:
        """There is no moment to look at."""
        self._image = self._step = self.pixel = self.value = None
        self.view.show_image(None, None)
        self._arrange()

    def _is_past(self, row: int, column: int) -> bool:
        trace = self.studio.trace
        inside = row < trace.spec.height and column < trace.spec.width
        return inside and any(trace.step(c, row, column) < self._step for c in range(trace.spec.channels))

    @Slot(int, int)
    def _clicked(self, row: int, column: int) -> None:
        if self._image is None or not self._is_past(row, column):
            self.words.setText(self.tr("Choose a pixel that came before this one."))
            return
        was, self.pixel, self.value = self.value, (row, column), None
        self.view.show_image(self._image, self.studio.trace.spec)
        self.view.mark(self.pixel, self.studio.trace.site(self._step)[1:])
        self._arrange()
        if was is not None:
            self.moved.emit()

    @Slot(str)
    def _channel_chosen(self, _key: str) -> None:
        self.put_back()

    @Slot(int)
    def _slid(self, position: int) -> None:
        site, spec = self.site(), self.studio.trace.spec if self.studio.trace is not None else None
        if site is None:
            return
        self.value = position if spec.levels else position / REAL_STEPS
        if spec.levels and self.value == self._image[site]:
            self.value = None
        self._arrange(keep_slider=True)
        changed = self.changed_image()
        self.view.show_image(self._image if changed is None else changed, spec)
        self.moved.emit()

    @Slot()
    def put_back(self) -> None:
        """As it was."""
        was, self.value = self.value, None
        if self._image is not None:
            self.view.show_image(self._image, self.studio.trace.spec)
        self._arrange()
        if was is not None:
            self.moved.emit()

    def say_how_far(self, bits: float | None) -> None:
        """How far the distribution moved from its own, None while that is being computed."""
        if self.value is not None:
            moved = self.tr("…") if bits is None else self.tr("the distribution moves by {0:.3f} bits").format(bits)
            self.words.setText(self._name() + self.tr(": ") + moved)

    def _name(self) -> str:
        return self.tr("If pixel ({0}, {1}) were different").format(*self.pixel)

    def _arrange(self, *, keep_slider: bool = False) -> None:
        trace, site = self.studio.trace, self.site()
        spec = trace.spec if trace is not None else None
        self.channel.setVisible(site is not None and spec.channels == 3)
        known = site is not None and self._image is not None and trace.step(*site) < (self._step or 0)
        computable = known and self.reader.model is not None
        for widget in (self.slider, self.reading):
            widget.setVisible(site is not None)
            widget.setEnabled(computable)
        self.back.setVisible(self.value is not None)
        if site is None:
            self.words.setText(self.tr("Click a past pixel, then move the slider: what if it had been different?"))
            return
        own = self._image[site].item() if known else None
        if not keep_slider:
            self.slider.blockSignals(True)
            self.slider.setRange(0, spec.levels - 1 if spec.levels else REAL_STEPS)
            self.slider.setValue(0 if own is None else round(own if spec.levels else min(max(own, 0), 1) * REAL_STEPS))
            self.slider.blockSignals(False)
        shown = own if self.value is None else self.value
        digits = "" if spec.levels else ".3f"
        self.reading.setText("–" if shown is None else f"{own:{digits}} → {shown:{digits}}" if self.value is not None
                             else f"{shown:{digits}}")
        if not computable:
            self.words.setText(self.tr("Open the model of this drawing to ask it.") if known else
                               self.tr("This colour of the pixel comes later."))
        elif self.value is None:
            self.words.setText(self.tr("Move the slider: pixel ({0}, {1}) changes, everything else stays.").format(*self.pixel))

    def pixel_point(self, row: int, column: int) -> QPoint:
        """Where a pixel of the small picture can be clicked."""
        return self.view.rect_of(row, column).center().toPoint()
