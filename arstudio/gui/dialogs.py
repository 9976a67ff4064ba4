"""Small dialogs: preferences, about, the model's card, the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QSettings, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from arstudio import __version__
from arstudio.gui import theme
from arstudio.gui.actions import ACTIONS
from arstudio.gui.lessons import LESSONS, lesson
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import Choice, label, section
from arstudio.models.modelfile import Facts

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow


class Preferences(QDialog):
    """Theme, and whether a model opens and draws at the start. Applied at once."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setWindowTitle(self.tr("Preferences"))
        self.scheme = Choice()
        for name, text in (("auto", self.tr("As the system")), ("dark", self.tr("Dark")), ("light", self.tr("Light"))):
            self.scheme.addItem(text, name)
        self.scheme.setCurrentIndex(self.scheme.findData(theme.scheme()))
        self.scheme.currentIndexChanged.connect(lambda _: window.choose_theme(self.scheme.currentData()))
        self.start = QCheckBox(self.tr("Open a model and draw when the program starts"))
        self.start.setChecked(QSettings().value("autostart", "true") == "true")
        self.start.toggled.connect(lambda on: QSettings().setValue("autostart", "true" if on else "false"))
        form = QFormLayout()
        form.addRow(self.tr("Theme"), self.scheme)
        form.addRow("", self.start)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(16)
        column.addLayout(form)
        column.addWidget(buttons)


class LessonList(QDialog):
    """The lessons, each with what it is about and a button. `chosen(name)`."""

    chosen = Signal(str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setWindowTitle(self.tr("Lessons"))
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(24, 20, 24, 24)
        grid.setHorizontalSpacing(32)
        grid.setVerticalSpacing(4)
        words = self.tr("Each takes two or three minutes and drives the real program. All controls stay in your hands.")
        grid.addWidget(label(words, "dim"), 0, 0, 1, 2)
        for number, name in enumerate(LESSONS):
            found, row = lesson(name), 3 * number + 1
            grid.setRowMinimumHeight(row, 12)
            grid.addWidget(label(QCoreApplication.translate("Lesson", found.title), "title"), row + 1, 0)
            grid.addWidget(label(QCoreApplication.translate("Lesson", found.summary), "dim"), row + 2, 0)
            button = self.buttons[name] = QPushButton(self.tr("Begin"))
            button.setAccessibleName(self.tr("Begin the lesson: {0}").format(found.title))
            button.clicked.connect(lambda _=False, name=name: self._choose(name))
            grid.addWidget(button, row + 1, 1, 2, 1, Qt.AlignmentFlag.AlignVCenter)
        grid.setColumnStretch(0, 1)

    def _choose(self, name: str) -> None:
        self.accept()
        self.chosen.emit(name)


def about(window: QWidget) -> None:
    """Version, licence, data."""
    box = QMessageBox(window)
    box.setWindowTitle(window.tr("About AR Studio"))
    box.setTextFormat(Qt.TextFormat.RichText)
    box.setText(
        f"<b>AR Studio {__version__}</b><br>Train autoregressive image models, watch them draw, complete pictures, "
        "read every conditional.<br><br>MIT licence. Data: digits (UCI, CC BY 4.0), MNIST subset (CC BY-SA 3.0), "
        "Fashion-MNIST (MIT), Noto emoji (OFL 1.1)."
    )
    box.open()


def about_model(window: QWidget, studio: Studio) -> None:
    """The card of the model in use."""
    card, facts = studio.card, studio.card.facts
    rows = [
        (window.tr("Architecture"), card.title), (window.tr("Images"), str(card.spec)),
        (window.tr("Data"), f"{facts.dataset}, {facts.protocol}" if facts.dataset else ""),
        (window.tr("Parameters"), f"{studio.model.num_parameters:,}" if studio.model else ""),
        (window.tr("Figure"), _figure(facts)),
        (window.tr("Training"), _training(facts)), (window.tr("Known failures"), facts.failures),
        (window.tr("Command"), facts.command), (window.tr("Data licence"), facts.licence),
        (window.tr("File"), str(card.path or "")),
    ]
    dialog = QDialog(window)
    dialog.setWindowTitle(window.tr("About this model"))
    form = QFormLayout(dialog)
    form.setContentsMargins(24, 24, 24, 24)
    form.setVerticalSpacing(8)
    for name, text in rows:
        if text:
            value = QLabel(text)
            value.setWordWrap(True)
            value.setMinimumWidth(420)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            head = label(name, "dim")
            head.setAlignment(Qt.AlignmentFlag.AlignTop)
            form.addRow(head, value)
    dialog.open()


def _figure(facts: Facts) -> str:
    if facts.nats is None:
        return ""
    return f"{facts.split}: {facts.nats:.2f} nats, {facts.bits_per_dim:.3f} bits/dim on {facts.images:,} images"


def _training(facts: Facts) -> str:
    return f"{facts.epochs:g} epochs, {facts.seconds / 60:.0f} min, {facts.machine}" if facts.epochs else ""


def show_keys(window: QWidget, made: dict[str, QAction]) -> None:
    """Every shortcut, by menu."""
    dialog = QDialog(window)
    dialog.setWindowTitle(window.tr("Keys and mouse"))
    grid = QGridLayout(dialog)
    grid.setContentsMargins(24, 24, 24, 24)
    grid.setHorizontalSpacing(24)
    rows = [
        (spec.menu, spec.text.replace("&", ""), made[spec.slot].shortcut().toString(QKeySequence.SequenceFormat.NativeText))
        for spec in ACTIONS if spec.text and not made[spec.slot].shortcut().isEmpty()
    ]
    rows += [
        ("Picture", window.tr("Choose a pixel"), window.tr("Up, Down, Return")),
        ("Picture", window.tr("Then move on"), window.tr("Arrows, Home, End, PgUp, PgDown")),
        ("Picture", window.tr("Arrows back to the playhead"), window.tr("Return, Esc")),
        ("Canvas", window.tr("Move, use the tool"), window.tr("Arrows, Return")),
        ("Canvas", window.tr("Brush, line, rectangle, fill, picker"), "B, L, U, F, I"),
        ("Canvas", window.tr("Mask, hide a rectangle, eraser, keep, hint"), "M, R, E, K, H"),
        ("Canvas", window.tr("Swap ink"), "X"),
        ("Canvas", window.tr("Brush size"), "[  ], Ctrl+wheel"), ("Canvas", window.tr("Zoom, pan"), "Wheel, middle drag"),
    ]
    last, line, column = "", 0, 0
    for menu, text, keys in rows:
        if menu != last:
            if line > 16:
                line, column = 0, column + 2
            grid.addWidget(section(menu), line, column)
            last, line = menu, line + 1
        grid.addWidget(QLabel(text), line, column)
        grid.addWidget(label(keys, "dim"), line, column + 1)
        line += 1
    dialog.open()
