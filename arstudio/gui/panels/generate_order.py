"""The order in which an any-order model draws: raster, column, snake, diagonal, spiral or random from a seed."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QSpinBox, QWidget

from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import Choice, Field


class OrderChoice(QWidget):
    """`changed` when a person chose another order. Shown for models that allow every order only."""

    changed = Signal()

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self._quiet = False
        self.kind = Choice()
        for key, text in (
            ("", self.tr("As trained")), ("raster", self.tr("Raster")), ("column", self.tr("Column")),
            ("snake", self.tr("Snake")), ("diagonal", self.tr("Diagonal")), ("spiral", self.tr("Spiral")),
            ("random", self.tr("Random")),
        ):
            self.kind.addItem(text, key)
        self.seed = QSpinBox(maximum=99_999, keyboardTracking=False)
        self.seed.setFixedWidth(52)
        self.seed.setAccessibleName(self.tr("Seed of the random order"))
        field = Field(self.tr("Order"), self.kind)
        field.setToolTip(self.tr("Which pixel comes next: this model was trained to draw in any order, with the same weights"))
        self.seed_field = Field(self.tr("Seed"), self.seed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(field)
        row.addWidget(self.seed_field)
        self.kind.currentIndexChanged.connect(lambda _: self._choose(order=self.kind.currentData()))
        self.seed.valueChanged.connect(lambda value: self._choose(order_seed=value))
        studio.model_changed.connect(self.refresh)
        studio.settings_changed.connect(self.refresh)
        self.refresh()

    def _choose(self, **settings: object) -> None:
        if not self._quiet:
            self.studio.set(**settings)
            self.changed.emit()

    @Slot()
    def refresh(self) -> None:
        """Show the studio's order, or nothing where there is no choice."""
        self._quiet = True
        s = self.studio.settings
        self.kind.setCurrentIndex(max(self.kind.findData(s.order), 0))
        self.seed.setValue(s.order_seed)
        self.seed_field.setVisible(s.order == "random")
        self.setVisible(self.studio.model is not None and self.studio.model.any_order)
        self._quiet = False
