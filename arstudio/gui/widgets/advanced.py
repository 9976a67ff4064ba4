"""Sampling controls that are rarely needed, behind one button, each with a sentence that explains it in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QFrame, QPushButton, QSpinBox, QToolButton, QVBoxLayout, QWidget

from arstudio.gui.widgets.controls import Choice, Field, icon_button, label

if TYPE_CHECKING:
    from arstudio.gui.studio import Studio

METHODS = ("auto", "naive", "jacobi")    # the fastest for the model, and the two to compare it with


class AdvancedButton(QToolButton):
    """Opens the popup; ringed while one of its settings is not the usual one. `changed` when a person chose one."""

    changed = Signal()

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        template = icon_button("settings", self.tr("Advanced: top-k, top-p and the sampler"))
        self.setProperty("iconName", "settings")
        self.setIcon(template.icon())
        self.setIconSize(template.iconSize())
        self.setToolTip(template.toolTip())
        self.setAccessibleName(self.tr("Advanced sampling settings"))
        self.popup = AdvancedPopup(studio, self)
        self.popup.changed.connect(self.changed)
        self.clicked.connect(self.open)
        studio.settings_changed.connect(self._show)

    @Slot()
    def open(self) -> None:
        """Show the settings below the button."""
        self.popup.refresh()
        self.popup.adjustSize()
        corner = self.mapToGlobal(QPoint(0, self.height() + 6))
        corner.setX(min(corner.x(), self.window().mapToGlobal(QPoint(self.window().width(), 0)).x() - self.popup.width() - 8))
        self.popup.move(corner)
        self.popup.show()

    @Slot()
    def _show(self) -> None:
        s = self.studio.settings
        unusual = s.top_k > 0 or s.top_p < 1 or s.method not in ("auto", "incremental", "blocks", "wavefront", "captured")
        name = "unusual" if unusual else ""
        if self.objectName() != name:
            self.setObjectName(name)
            self.style().unpolish(self)
            self.style().polish(self)


class AdvancedPopup(QFrame):
    """Top-k, top-p and the sampler."""

    changed = Signal()

    def __init__(self, studio: Studio, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("popup")
        self.studio = studio
        self._quiet = False
        self.top_k = QSpinBox(maximum=256, specialValueText=self.tr("off"), keyboardTracking=False)
        self.top_p = QDoubleSpinBox(decimals=2, minimum=0.01, maximum=1, singleStep=0.05, keyboardTracking=False)
        self.method = Choice()
        for key, text in zip(METHODS, (self.tr("Fastest"), self.tr("Naive"), self.tr("Jacobi")), strict=True):
            self.method.addItem(text, key)
        for box in (self.top_k, self.top_p):
            box.setFixedWidth(60)
        self.reset = QPushButton(self.tr("Back to the model itself"))
        self.reset.setObjectName("link")
        self.reset.setToolTip(self.tr("T 1, no guidance, every value allowed"))
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 12)
        column.setSpacing(4)
        for caption, control, words in (
            (self.tr("Top k"), self.top_k, self.tr("Only the k most probable values can be drawn; 0 allows all.")),
            (self.tr("Top p"), self.top_p, self.tr(
                "Only the fewest most probable values that together hold this share can be drawn; 1 allows all."
            )),
            (self.tr("Sampler"), self.method, self.tr(
                "Fastest computes every feature once, or whole rows that are guessed and corrected; naive runs the whole "
                "network for each site, Jacobi settles many sites with each full pass. All three give the same pixels."
            )),
        ):
            column.addWidget(Field(caption, control))
            sentence = label(words, "small", wrap=True)
            sentence.setFixedWidth(350)
            sentence.ensurePolished()    # its letters are small
            sentence.setMinimumHeight(sentence.heightForWidth(350))
            column.addWidget(sentence)
            column.addSpacing(8)
        column.addWidget(label(self.tr("The Inspector keeps the distribution at T = 1 as a ghost behind."), "small"))
        column.addWidget(self.reset)
        self.top_k.valueChanged.connect(lambda value: self._choose(top_k=value))
        self.top_p.valueChanged.connect(lambda value: self._choose(top_p=round(value, 2)))
        self.method.currentIndexChanged.connect(lambda _: self._choose(method=self.method.currentData()))
        self.reset.clicked.connect(lambda: self._choose(top_k=0, top_p=1.0, temperature=1.0, guidance=0.0))

    def _choose(self, **settings: object) -> None:
        if not self._quiet:
            before = self.studio.settings
            self.studio.set(**settings)
            if self.studio.settings != before:
                self.changed.emit()
            self.refresh()

    def refresh(self) -> None:
        """Show the studio's settings."""
        self._quiet = True
        s = self.studio.settings
        self.top_k.setValue(s.top_k)
        self.top_p.setValue(s.top_p)
        self.method.setCurrentIndex(METHODS.index(s.method) if s.method in METHODS else 0)
        self._quiet = False
