"""The card that explains a step of a lesson, and the ring around the part of the window it speaks of."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.controls import icon_button, label

WIDTH = 308
GAP = 14    # between the card and what it points at


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

    def place_beside(self, target: QRect) -> None:
        """Go where the window has room: right, left, below or above `target` (in the parent's coordinates), else its corner."""
        self.move(_free_place(self.size(), target, self.parentWidget().rect().adjusted(GAP, GAP, -GAP, -GAP)))

    def place_over(self, target: QRect) -> None:
        """Go to the upper left corner of `target`, as far as the window allows."""
        room = self.parentWidget().rect().adjusted(GAP, GAP, -GAP, -GAP)
        left, top = room.right() - self.width(), room.bottom() - self.height()
        self.move(max(room.left(), min(target.left(), left)), max(room.top(), min(target.top() + 4 * GAP, top)))


def _free_place(size: QSize, target: QRect, room: QRect) -> QPoint:
    def within(value: int, low: int, high: int) -> int:
        return max(low, min(value, high))

    across = within(target.top(), room.top(), room.bottom() - size.height())
    along = within(target.center().x() - size.width() // 2, room.left(), room.right() - size.width())
    choices = (
        QPoint(target.right() + GAP, across), QPoint(target.left() - GAP - size.width(), across),
        QPoint(along, target.bottom() + GAP), QPoint(along, target.top() - GAP - size.height()),
    )
    for point in choices:
        if room.contains(QRect(point, size)):
            return point
    return QPoint(room.right() - size.width(), room.bottom() - size.height())
