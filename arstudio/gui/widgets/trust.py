"""How far completions can be trusted: four lights and a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import label, section

if TYPE_CHECKING:
    from arstudio.sampling.completion import Completion

LEVELS = ("poor", "fair", "good", "exact")
COLOURS = {"poor": "bad", "fair": "selected", "good": "good", "exact": "good"}


class TrustGauge(QWidget):
    """Heading, lights, words, and where they would help a button for more particles: `more_wanted()`."""

    more_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.lights = Lights()
        self.words = label("", "small", wrap=True)
        self.more = QPushButton()
        self.more.setObjectName("link")
        self.more.setCursor(Qt.CursorShape.PointingHandCursor)
        self.more.clicked.connect(self.more_wanted)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(section(self.tr("How far to trust this")))
        for widget in (self.lights, self.words):
            column.addWidget(widget)
        column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)

    def show_completion(self, found: Completion, offer: str) -> None:
        """What a completion says of itself; `offer` is the text of the button, "" for none."""
        trust = found.trust
        self.lights.show_level(trust.level)
        self.words.setText(trust.words)
        self.more.setText(offer)
        self.more.setVisible(bool(offer))
        self.setToolTip(_figures(found))


def _figures(found: Completion) -> str:
    people = found.population
    if people is None:
        return ""
    lines = [
        f"Effective number of particles: {people.effective:.1f} of {people.particles * people.repeats}, 1 / Σ w²",
        f"Different first halves of the hidden pixels left: {people.ancestors}",
        f"Resampled {people.resamplings} times",
        f"log Ẑ = {people.log_evidence:.1f} nats, the estimate of log p(known)",
    ]
    if people.repeats > 1:
        lines[-1] += f", ±{people.spread:.2f} between {people.repeats} repeats"
    if people.moves:
        lines.append(f"{people.accepted:.0%} of the particles took a move that draws hidden pixels anew")
    return "\n".join(lines)


class Lights(QWidget):
    """Four bars, lit from the left in the colour of the level."""

    def __init__(self) -> None:
        super().__init__()
        self.level = "poor"
        self.setFixedHeight(6)

    def show_level(self, level: str) -> None:
        """poor, fair, good or exact."""
        self.level = level
        self.setAccessibleName(self.tr("Trust: {0}").format(level))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The bars."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        width, lit = (self.width() - 3 * 4) / 4, LEVELS.index(self.level) + 1
        for i in range(4):
            painter.setBrush(theme.colour(COLOURS[self.level] if i < lit else "raised"))
            painter.drawRoundedRect(QRectF(i * (width + 4), 0, width, self.height()), 3, 3)
