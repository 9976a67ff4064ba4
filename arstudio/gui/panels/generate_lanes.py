"""The heads of a comparison's lanes: which model, temperature and sampler each one draws with."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.compare import FEWEST, CompareLane
from arstudio.gui.widgets.advanced import METHODS
from arstudio.gui.widgets.controls import Choice, Field, icon_button
from arstudio.models.modelfile import ModelCard


class LaneHead(QWidget):
    """`changed(name, value)` when the card, temperature or method was chosen; `removed` for the cross."""

    changed = Signal(str, object)
    removed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._quiet = False
        self._names = "", ""    # of the model, and of what it learned
        self._bundled: list[ModelCard] = []
        self._runs: list[ModelCard] = []
        self.model = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        self.model.setObjectName("field")
        self.model.setAccessibleName(self.tr("Model of this lane"))
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill)
        self.model.setMenu(self.menu)
        self.cross = icon_button("close", self.tr("Take this lane away"), kind="quiet")
        self.cross.clicked.connect(self.removed)
        self.temperature = QDoubleSpinBox(decimals=2, minimum=0, maximum=5, singleStep=0.05)
        self.temperature.setKeyboardTracking(False)
        self.temperature.setFixedWidth(46)
        self.temperature.setAccessibleName(self.tr("Temperature of this lane"))
        self.temperature.valueChanged.connect(lambda value: self._say("temperature", round(value, 2)))
        self.method = Choice()
        self.method.setAccessibleName(self.tr("Sampler of this lane"))
        self.method.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for key, text in zip(METHODS, (self.tr("Fastest"), self.tr("Naive"), self.tr("Jacobi")), strict=True):
            self.method.addItem(text, key)
        self.method.setToolTip(self.tr(
            "Fastest: every feature is computed once, or whole rows are guessed and corrected.\n"
            "Naive: the whole network for each site.\n"
            "Jacobi: full passes that each settle as many sites as they can. All three give the same pixels."
        ))
        self.method.currentIndexChanged.connect(lambda _: self._say("method", self.method.currentData()))
        self.top, self.below = top, below = QHBoxLayout(), QHBoxLayout()
        for row in (top, below):
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(6)
        top.addWidget(self.model, 1)
        top.addWidget(self.cross)
        field = Field(self.tr("T"), self.temperature)
        field.setToolTip(self.tr("Temperature: draw from p(x)^(1/T)"))
        below.addWidget(field)
        below.addWidget(self.method, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(top)
        column.addLayout(below)

    def _say(self, name: str, value: object) -> None:
        if not self._quiet:
            self.changed.emit(name, value)

    def _fill(self) -> None:
        """The bundled models and the runs, as they were read last."""
        self.menu.clear()
        for card in self._bundled:
            self._offer(card, f"{card.title}\t{card.kind}")
        self.menu.addSeparator()
        for card in self._runs:
            self._offer(card, card.name)

    def _offer(self, card: ModelCard, text: str) -> None:
        self.menu.addAction(text).triggered.connect(lambda _=False: self.changed.emit("card", card))

    def offer(self, bundled: list[ModelCard], runs: list[ModelCard]) -> None:
        """What may be chosen the next time the menu opens."""
        self._bundled, self._runs = bundled, runs

    def show_lane(self, lane: CompareLane, lanes: int) -> None:
        """Show what a lane draws with."""
        self._quiet = True
        self._names = lane.card.title, lane.card.facts.dataset or lane.card.name
        self.model.setToolTip(f"{lane.card.title}\n{lane.card.kind}")
        if not self.temperature.hasFocus():
            self.temperature.setValue(lane.temperature)
        self.method.setCurrentIndex(METHODS.index(lane.method) if lane.method in METHODS else 0)
        self.cross.setVisible(lanes > FEWEST)
        self._quiet = False
        self._fit()

    def _fit(self) -> None:
        """Words as the width allows: the model's name above its data where lanes are narrow; in the narrowest the sampler is
        left to the toolbar's advanced settings."""
        narrow, two_lines = self.width() < theme.px(150), self.width() < theme.px(250)
        self.method.setVisible(not narrow)
        self.temperature.setFixedWidth(theme.px(36 if self.width() < theme.px(190) else 46))
        place, other = (self.below, self.top) if narrow else (self.top, self.below)
        if other.indexOf(self.cross) >= 0:
            other.removeWidget(self.cross)
            place.addWidget(self.cross)
        if self.model.property("tight") != two_lines:
            self.model.setProperty("tight", two_lines)
            self.model.style().unpolish(self.model)
            self.model.style().polish(self.model)
        metrics, room = QFontMetrics(self.model.font()), self.width()
        room -= 0 if narrow else self.cross.width() + self.top.spacing()
        if two_lines:
            (title, data), elide = self._names, Qt.TextElideMode.ElideMiddle
            lines = metrics.elidedText(title, elide, room - 14), metrics.elidedText(data, elide, room - 30)
            self.model.setText("\n".join(lines))
        else:
            self.model.setText(metrics.elidedText(" · ".join(self._names), Qt.TextElideMode.ElideMiddle, max(room - 36, 20)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the words again."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Larger letters need more room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and any(self._names):
            self._fit()
