"""The branches of a drawing above the timeline: one lane each, leaving its parent at the moment where it was changed.

A click or the arrow keys walk to a branch; a double click or F2 gives it another name.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPointF, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFont, QFontMetricsF, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLineEdit, QScrollArea, QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.gui.widgets.keys import plain

LANE = 20
MOST_SHOWN = 4
MARGIN = 8    # as the timeline's


@dataclass(frozen=True)
class Lane:
    """A branch: name, lane of its parent (−1: none), share of the drawing where it begins and how far it is drawn."""

    name: str
    parent: int
    begin: float
    end: float
    tip: str = ""


class BranchLanes(QScrollArea):
    """`walked(lane)` and `renamed(lane, name)`. Hidden while there is one branch only."""

    walked = Signal(int)
    renamed = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.tree = _Tree(self)
        self.setWidget(self.tree)
        self.tree.setAutoFillBackground(False)
        self.hide()

    def show_lanes(self, lanes: list[Lane], current: int) -> None:
        """Lanes, parents before children; the current one stands out."""
        if (lanes, current) == (self.tree.lanes, self.tree.current):
            return
        self.tree.lanes, self.tree.current = lanes, current
        self.tree.setMinimumHeight(LANE * len(lanes))
        self.setFixedHeight(LANE * min(len(lanes), MOST_SHOWN))
        self.setVisible(len(lanes) > 1)
        self.ensureVisible(0, LANE * current + LANE // 2, 0, LANE)
        self.tree.update()

    @property
    def count(self) -> int:
        """Number of branches."""
        return len(self.tree.lanes)

    def rename(self, lane: int) -> None:
        """Open the field for another name."""
        self.tree.edit(lane)


class _Tree(QWidget):
    """Paints the lanes and takes mouse and keys."""

    def __init__(self, area: BranchLanes) -> None:
        super().__init__()
        self._area = area
        self.lanes: list[Lane] = []
        self.current = 0
        self._hover = -1
        self._edited = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Branches of this drawing"))
        self.field = QLineEdit(self)
        self.field.setAccessibleName(self.tr("Name of the branch"))
        self.field.hide()
        self.field.installEventFilter(self)
        self.field.editingFinished.connect(self._named)

    def sizeHint(self) -> QSize:
        """As high as its lanes."""
        return QSize(400, LANE * len(self.lanes))

    def x_of(self, share: float) -> float:
        """Widget x of a share of the drawing, aligned with the timeline."""
        return MARGIN + share * max(self.width() - 2 * MARGIN, 1)

    def middle_of(self, lane: int) -> QPointF:
        """A point on a lane, where a click walks to it."""
        return QPointF(self.x_of((self.lanes[lane].begin + 1) / 2), LANE * lane + LANE / 2)

    def lane_at(self, y: float) -> int:
        """Lane under a y, −1 if none."""
        lane = int(y // LANE)
        return lane if 0 <= lane < len(self.lanes) else -1

    def edit(self, lane: int) -> None:
        """Rename a lane in place."""
        self._edited = lane
        self.field.setText(self.lanes[lane].name)
        self.field.setGeometry(QRect(int(self._name_rect(lane).left()) - 6, LANE * lane, 160, LANE))
        self.field.setStyleSheet("padding: 0 5px;")
        self.field.show()
        self.field.setFocus()
        self.field.selectAll()

    @Slot()
    def _named(self) -> None:
        lane, self._edited = self._edited, -1
        self._close_field()
        if lane >= 0:
            self._area.renamed.emit(lane, self.field.text())

    def _close_field(self) -> None:
        if self.field.hasFocus():    # else the person is elsewhere already
            self.setFocus()
        self.field.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Esc in the field gives the new name up, and is not the window's."""
        if event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            if event.type() == QEvent.Type.KeyPress:
                self._edited = -1
                self._close_field()
            return True
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Walk there."""
        lane = self.lane_at(event.position().y())
        if lane >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._area.walked.emit(lane)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Rename."""
        lane = self.lane_at(event.position().y())
        if lane >= 0:
            self.edit(lane)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up."""
        lane = self.lane_at(event.position().y())
        if lane != self._hover:
            self._hover = lane
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self._hover = -1
        self.update()

    def event(self, event: QEvent) -> bool:
        """Up, Down and F2 belong to the branches while they have the focus; tooltips say what changed."""
        mine = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_F2)
        if event.type() == QEvent.Type.ShortcutOverride and plain(event) and event.key() in mine:
            event.accept()
            return True
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            lane = self.lane_at(event.pos().y())
            QToolTip.showText(event.globalPos(), self.lanes[lane].tip if lane >= 0 else "", self)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Walk up and down; F2 renames."""
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            lane = self.current + (1 if event.key() == Qt.Key.Key_Down else -1)
            if 0 <= lane < len(self.lanes):
                self._area.walked.emit(lane)
        elif event.key() == Qt.Key.Key_F2:
            self.edit(self.current)
        else:
            super().keyPressEvent(event)

    def _font(self, lane: int) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.px(11))
        font.setWeight(QFont.Weight.DemiBold if lane == self.current else QFont.Weight.Normal)
        return font

    def _name_rect(self, lane: int) -> QRectF:
        """Where the name is written: right of where the lane begins, left of it where there is no room."""
        width = QFontMetricsF(self._font(lane)).horizontalAdvance(self.lanes[lane].name) + 8
        left = self.x_of(self.lanes[lane].begin) + 12
        if left + width > self.width() - MARGIN:
            left = max(MARGIN, self.x_of(self.lanes[lane].begin) - width - 12)
        return QRectF(left, LANE * lane, width, LANE)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Lines from the parent, along the lane, with its name on it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for i, lane in enumerate(self.lanes):
            y, x = LANE * i + LANE / 2, self.x_of(lane.begin)
            if i == self._hover:
                painter.fillRect(QRectF(0, LANE * i, self.width(), LANE), theme.colour("hover", 0.4))
            name = "accent" if i == self.current else "dim"
            painter.setPen(QPen(theme.colour(name, 1.0 if i == self.current else 0.7), 2 if i == self.current else 1))
            if lane.parent >= 0:
                painter.drawLine(QPointF(x, LANE * lane.parent + LANE / 2), QPointF(x, y))
            painter.drawLine(QPointF(x, y), QPointF(self.x_of(max(lane.end, lane.begin)), y))
        for i in range(len(self.lanes)):
            box = self._name_rect(i)
            painter.fillRect(box.adjusted(0, 2, 0, -2), theme.colour("panel"))
            painter.setFont(self._font(i))
            painter.setPen(theme.colour("text" if i == self.current else "dim"))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.lanes[i].name)
            painter.setPen(QPen(theme.colour("panel"), 2))
            painter.setBrush(theme.colour("accent" if i == self.current else "dim"))
            painter.drawEllipse(QPointF(self.x_of(self.lanes[i].begin), LANE * i + LANE / 2), 4, 4)
        if self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(0.5, LANE * self.current + 0.5, self.width() - 1, LANE - 1), 4, 4)
