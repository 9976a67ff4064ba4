"""The card that explains a step of a lesson, and the ring around the part of the window it speaks of."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import icon_button, label

WIDTH = 308
GAP = 14    # between the card and what it points at
STEP = 12    # between two places that are tried
NEAR = 10.0    # a pixel of distance costs as much as so many that are covered
STAY = 8000.0    # by how much another place must be better before words that are being read move


class Ring(QWidget):
    """A frame of the accent colour around a part of the window; the mouse goes through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.hide()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """One rounded line."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.colour("accent"), 2))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)


class CoachCard(QFrame):
    """Heading, words, how far one has come, and three ways on. The buttons tell; whoever made the card listens."""

    next_wanted = Signal()
    back_wanted = Signal()
    close_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("coach")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName(self.tr("Lesson"))
        self.lesson = label("", "section", wrap=True)
        self.progress = label("", "small")
        self.title = label("", "title", wrap=True)
        self.text = label("", "value", wrap=True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.close_button = icon_button("close", self.tr("End the lesson"), kind="quiet")
        self.close_button.clicked.connect(self.close_wanted)
        self.back_button = QPushButton(self.tr("Back"))
        self.back_button.setObjectName("quiet")
        self.back_button.clicked.connect(self.back_wanted)
        self.next_button = QPushButton(self.tr("Next"))
        self.next_button.setObjectName("primary")
        self.next_button.clicked.connect(self.next_wanted)
        head = QHBoxLayout()
        head.addWidget(self.lesson, 1)
        head.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        foot = QHBoxLayout()
        foot.addWidget(self.back_button)
        foot.addStretch(1)
        foot.addWidget(self.progress)
        foot.addSpacing(8)
        foot.addWidget(self.next_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 10, 12, 14)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.title)
        column.addWidget(self.text)
        column.addSpacing(6)
        column.addLayout(foot)
        self.hide()

    def show_step(self, lesson: str, title: str, text: str, index: int, count: int) -> None:
        """Words of step `index` of `count`; the first has no way back, the last ends the lesson."""
        self.lesson.setText(lesson.upper())
        self.progress.setText(f"{index + 1} / {count}")
        self.title.setText(title)
        self.text.setText(text)
        self.back_button.setVisible(index > 0)
        self.next_button.setText(self.tr("Done") if index + 1 == count else self.tr("Next"))
        self.layout().activate()
        self.resize(WIDTH, self.layout().totalHeightForWidth(WIDTH))    # as high as the words need

    def place_beside(self, target: QRect, kept: list[tuple[QRect, float]], *, stay: bool = False) -> None:
        """Go where least is covered, near `target`: `kept` holds parts of the parent and what a covered square pixel of each
        costs. With `stay` only where that is much better than where it is."""
        room = self.parentWidget().rect().adjusted(GAP, GAP, -GAP, -GAP)
        self.move(best_place(self.size(), target, room, kept, self.pos() if stay else None))


def best_place(
    size: QSize, target: QRect, room: QRect, kept: list[tuple[QRect, float]], now: QPoint | None = None
) -> QPoint:
    """Upper left corner inside `room` that covers least of what is kept; of equals the one nearest to `target`. It is `now`
    if that is inside `room` and nowhere is much better."""
    boxes = [(r.left() - GAP, r.top() - GAP, r.right() + GAP, r.bottom() + GAP, cost) for r, cost in kept if r.isValid()]
    wide, high, near = size.width(), size.height(), target.center()

    def cost(x: int, y: int) -> float:
        covered = sum(
            c * max(0, min(x + wide, right) - max(x, left)) * max(0, min(y + high, bottom) - max(y, top))
            for left, top, right, bottom, c in boxes
        )
        return covered + NEAR * math.hypot(x + wide / 2 - near.x(), y + high / 2 - near.y())

    xs = range(room.left(), max(room.right() - wide, room.left()) + 1, STEP)
    ys = range(room.top(), max(room.bottom() - high, room.top()) + 1, STEP)
    best = min(((x, y) for x in xs for y in ys), key=lambda place: cost(*place))
    if now is not None and room.contains(QRect(now, size)) and cost(now.x(), now.y()) < cost(*best) + STAY:
        return now
    return QPoint(*best)
