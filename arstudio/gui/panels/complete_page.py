"""The page of the Complete panel: tools, easel, caption, ready-made masks and the row that starts a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.panels.complete_run import Plan
from arstudio.gui.widgets.agreement import AgreementColumn
from arstudio.gui.widgets.canvas import Canvas
from arstudio.gui.widgets.controls import Choice, Elided, Field, label
from arstudio.gui.widgets.easel import Easel
from arstudio.gui.widgets.toolbox import HideBar, ToolColumn
from arstudio.image import is_hidden

if TYPE_CHECKING:
    from arstudio.sampling.completion import Completion

COUNTS = (4, 8, 12, 16, 32, 64)
PARTICLES = (32, 128, 512, 2048)
BUDGET = 20.0    # seconds that Auto may plan for
NARROW = 420    # width that the rows need at least, with the masks in a menu
SIDES = 48      # margins of the page
ROW = 30     # height of the controls below the canvas


class CompletePage(QWidget):
    """Widgets only; the panel connects them."""

    def __init__(self, canvas: Canvas, keys_in: QWidget) -> None:
        super().__init__()
        self.canvas = canvas
        self.tools = ToolColumn(canvas, keys_in)
        self.agreement = AgreementColumn()
        self.easel = Easel(canvas, self.agreement)
        self.caption = Caption()
        self.as_class = QPushButton(checkable=True)
        self.as_class.setObjectName("link")
        self.as_class.setCursor(Qt.CursorShape.PointingHandCursor)
        self.as_class.hide()
        self.hide_bar = HideBar()
        self.hide_words = label(self.tr("Hide"), "dim")
        self.go = QPushButton(self.tr("Complete"))
        self.go.setObjectName("primary")
        self.go.setMinimumWidth(88)          # the same for Stop, so that nothing jumps
        tip = self.tr("Draw the hidden pixels, keeping the known ones (Ctrl+Return)")
        self.go.setToolTip(tip)
        self.count = Choice()
        self.count.addItems([str(n) for n in COUNTS])
        self.count.setCurrentText("12")
        self.count.setToolTip(self.tr("How many completions to draw"))
        self.method = Choice()
        for text, key in (
            (self.tr("Auto"), ("auto", 128)), *((self.tr("Particles · {0:,}").format(n), ("particles", n)) for n in PARTICLES),
            (self.tr("Exact"), ("exact", 128)), (self.tr("Clamp"), ("clamp", 128)),
        ):
            self.method.addItem(text, key)
        self.method.setMinimumContentsLength(len("Particles"))
        self.method.setToolTip(self.tr(
            "Auto: exact where the model and the mask allow it, else particles. It says which and why.\n"
            "Particles: N images are drawn side by side; those that do not lead to the known pixels die out.\n"
            "Exact: for models of any order, and wherever everything known comes first.\n"
            "Clamp: each hidden pixel is drawn from p(xₜ | x₍<t₎); known pixels that come later do not influence it."
        ))
        self.live = QToolButton(text=self.tr("Live sketch"), checkable=True)
        self.live.setToolTip(self.tr(
            "Continue my sketch: complete again and again while you draw.\nWhat the model adds is seen through what is hidden."
        ))
        self.new = QToolButton(text=self.tr("New"))
        self.new.setObjectName("field")
        self.new.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.new.setToolTip(self.tr("Put another picture on the canvas"))
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.new.setMenu(self.menu)
        self._lay_out()

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.setSpacing(18)
        above.addWidget(self.tools)
        above.addWidget(self.easel, 1)
        hide = self._hide = QHBoxLayout()
        hide.setSpacing(10)
        hide.addWidget(self.hide_words)
        hide.addWidget(self.hide_bar)
        hide.addStretch()
        act = self._act = QHBoxLayout()
        act.setSpacing(6)
        self._fields = Field(self.tr("Method"), self.method), Field(self.tr("Images"), self.count)
        for widget in (self.go, *self._fields, self.live, self.new):
            widget.setFixedHeight(ROW)
            act.addWidget(widget)
        act.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 14, 24, 12)
        column.setSpacing(0)
        column.addLayout(above, 1)
        column.addSpacing(6)
        under = QHBoxLayout()
        under.setSpacing(12)
        under.addWidget(self.caption, 1)
        under.addWidget(self.as_class)
        column.addLayout(under)
        column.addSpacing(10)
        column.addLayout(hide)
        column.addSpacing(10)
        column.addLayout(act)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow page does without some words; a narrower one has its masks in a menu, and what is drawn on beside it."""
        folded = self.width() - SIDES < self.hide_bar.room()
        if folded != self.hide_bar.folded:
            self.hide_bar.fold(folded)
            policy = Choice.SizeAdjustPolicy
            self.method.setSizeAdjustPolicy(
                policy.AdjustToMinimumContentsLengthWithIcon if folded else policy.AdjustToContentsOnFirstShow
            )
            place, other = (self._hide, self._act) if folded else (self._act, self._hide)
            other.removeWidget(self.new)
            place.insertWidget(place.count() - 1, self.new)
        self.hide_words.setVisible(self.width() >= theme.px(600))
        for field in self._fields:
            field.caption.setVisible(self.width() >= theme.px(640))
        super().resizeEvent(event)

    def minimumSizeHint(self) -> QSize:
        """As narrow as it is then; below that the panel scrolls."""
        return QSize(NARROW, super().minimumSizeHint().height())

    def plan(self) -> Plan:
        """What is chosen below the canvas."""
        method, particles = self.method.currentData()
        return Plan(
            int(self.count.currentText()), method, particles, seconds=BUDGET if method == "auto" else 0.0,
            classed=self.as_class.isHidden() or self.as_class.isChecked(),
        )

    def offer_class(self, name: str) -> None:
        """Let a person say that the picture is of the class in the toolbar, "" where there is nothing to choose."""
        self.as_class.setVisible(bool(name))
        used = self.as_class.isChecked()
        self.as_class.setText(
            (self.tr("as class {0} · leave open") if used else self.tr("class left open · use {0}")).format(name)
        )
        self.as_class.setToolTip(
            self.tr("The model is told that the picture is of class {0}. Click to leave it open.").format(name) if used else
            self.tr("The model is not told what the picture shows. Click if it is of class {0}, the one above.").format(name)
        )

    @staticmethod
    def more_particles(found: Completion) -> int:
        """The number of particles to try after a completion, 0 where there is no larger one."""
        people = found.population
        now = people.particles * people.repeats if people is not None else PARTICLES[0]
        return next((n for n in PARTICLES if n > now), 0)

    def choose_particles(self, number: int) -> None:
        """Choose a number of PARTICLES."""
        choices = [self.method.itemData(i) for i in range(self.method.count())]
        self.method.setCurrentIndex(choices.index(("particles", number)))

    def show_running(self, running: bool) -> None:
        """The primary button completes, or stops."""
        self.go.setEnabled(True)
        self.go.setText(self.tr("Stop") if running else self.tr("Complete"))

    def show_stopping(self) -> None:
        """The step under way ends first."""
        self.go.setEnabled(False)
        self.go.setText(self.tr("Stopping…"))


class Caption(Elided):
    """The line below the canvas: the pixel under the mouse, or what is on the canvas. `words` say where that came from."""

    def __init__(self) -> None:
        super().__init__("small")
        self.words = ""

    def describe(self, canvas: Canvas, row: int = -1, column: int = -1) -> None:
        """Say it anew; row −1 when no pixel is pointed at."""
        sheet = canvas.sheet
        if sheet is None:
            return
        if row >= 0:
            values = canvas.image()[:, row, column]
            state = self.tr("level {0}").format(", ".join(f"{v:.3g}" for v in values))
            if is_hidden(values).any():
                state = self.tr("not drawn yet") if canvas.previewing else self.tr("hidden")
            if sheet.hinted[row, column] and not canvas.previewing:
                about = ", ".join(f"{v:.3g}" for v in sheet.hint[:, row, column])
                state = self.tr("hidden, about level {0} · {1:.0%} sure").format(about, float(sheet.certainty[row, column]))
            words = self.tr("row {0}, column {1} · {2}").format(row, column, state)
        elif canvas.previewing:
            words = self.tr("A completion · Esc or drawing goes back to your canvas")
        else:
            words = self.tr("{0} of {1} pixels hidden").format(int(sheet.hidden.sum()), sheet.hidden.size)
            words = f"{self.words} · {words}" if self.words else words
        if words != self.text():
            self.setText(words)
