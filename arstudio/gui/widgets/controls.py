"""Small controls the panels share: section labels, labelled fields, segmented choices, figure rows, empty states."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme

SPARE = 12    # pixels of room that a text that changes has to spare at most


def label(text: str = "", kind: str = "", *, wrap: bool = False) -> QLabel:
    """A label in one of the styles of theme.py: section, dim, small, title, headline, value, strong."""
    widget = QLabel(text)
    widget.setObjectName(kind)
    widget.setWordWrap(wrap)
    return widget


class Reading(QLabel):
    """A line of text that changes often. It keeps room for somewhat more than it says, because a label that wants another
    size has the whole window laid out again."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.setObjectName(kind)

    def setText(self, text: str) -> None:
        """Say something else."""
        before = self.text()
        if text != before:
            super().setText(text)
            if len(text) != len(before):    # else the room to spare is enough
                self._fit()

    def _fit(self) -> None:
        self.ensurePolished()
        need, room = self.fontMetrics().size(0, self.text()), self.maximumSize()    # its hint is never below what it has
        if need.height() != room.height() or not need.width() <= room.width() <= need.width() + SPARE:
            self.setFixedSize(need.width() + SPARE // 2 if self.text() else 0, need.height())

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs other room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()


class Elided(QLabel):
    """A label on one line that never asks for the width of its text: what does not fit is left out in its middle, and all of
    it is the tooltip."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.setObjectName(kind)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        """Say something else."""
        super().setText(text)
        self.setToolTip(text)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Both ends of the text where there is no room for all of it."""
        shown = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)


class Choice(QComboBox):
    """A combo box whose list shows every entry in full, however narrow the box itself is."""

    BESIDE = 36    # what the list has beside the words: frame, padding and the margins of an entry

    def showPopup(self) -> None:
        """Open the list."""
        words = self.view().fontMetrics()
        longest = max((words.horizontalAdvance(self.itemText(i)) for i in range(self.count())), default=0)
        self.view().setMinimumWidth(longest + self.BESIDE)
        super().showPopup()


def scrolled_in(widget: QWidget | None) -> QScrollArea | None:
    """The area a widget scrolls in, if any."""
    while widget is not None and not isinstance(widget.parentWidget(), QScrollArea):
        widget = widget.parentWidget()
    return widget and widget.parentWidget()


def section(text: str) -> QLabel:
    """A quiet heading above a group, in capitals."""
    return label(text.upper(), "section")


class Field(QFrame):
    """A rounded box holding a quiet caption and one control, as in the toolbar."""

    def __init__(self, caption: str, control: QWidget, *more: QWidget) -> None:
        super().__init__()
        self.setObjectName("field")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(32)
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(10, 0, 6, 0)
        row.setSpacing(6)
        self.caption = QLabel(caption)
        self.caption.setBuddy(control)
        row.addWidget(self.caption)
        for widget in (control, *more):
            row.addWidget(widget)
            if not widget.accessibleName():
                widget.setAccessibleName(caption)

    @property
    def captioned(self) -> int:
        """The width that it takes with its caption, in sight or not."""
        beside = 0 if not self.caption.isHidden() else self.caption.sizeHint().width() + self._row.spacing()
        return self.sizeHint().width() + beside

    def stack(self) -> None:
        """The caption small above the control, where many stand side by side."""
        self._row.removeWidget(self.caption)
        self._row.setContentsMargins(10, 12, 6, 0)
        self.setFixedHeight(38)
        self.caption.setObjectName("stacked")
        self.caption.ensurePolished()
        self.caption.adjustSize()
        self.caption.move(10, 2)


def stop_at_chosen(group: QButtonGroup) -> None:
    """Tab comes to the chosen one of exclusive buttons only; arrows go from it to the others."""
    for button in group.buttons():
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus if button.isChecked() else Qt.FocusPolicy.NoFocus)


BESIDE = 8    # widget pixels that padding and margins of a segment take, see theme.py


class Segmented(QFrame):
    """Exclusive choices in one row, or in rows of `columns`, fewer where they would not fit. `chosen(str)` carries the key."""

    chosen = Signal(str)

    def __init__(
        self, choices: Sequence[tuple[str, str]], tooltips: dict[str, str] | None = None, *, columns: int = 99
    ) -> None:
        super().__init__()
        self.setObjectName("segmented")
        self._rows, self._most, self._columns = QGridLayout(self), columns, columns
        self._rows.setContentsMargins(1, 1, 1, 1)
        self._rows.setSpacing(0)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QToolButton] = {}
        for place, (key, text) in enumerate(choices):
            button = QToolButton(text=text, checkable=True)
            button.setToolTip((tooltips or {}).get(key, ""))
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.setMinimumWidth(24)
            button.setProperty("key", key)
            self._group.addButton(button)
            self._buttons[key] = button
            self._rows.addWidget(button, *divmod(place, columns))
        self._group.buttonToggled.connect(self._toggled)
        self._group.buttonClicked.connect(self._clicked)
        self._key = choices[0][0]
        self._buttons[self._key].setChecked(True)

    def _toggled(self, button: QToolButton, on: bool) -> None:
        if on:
            self._key = button.property("key")
            stop_at_chosen(self._group)

    def _clicked(self, _button: QToolButton) -> None:
        self.chosen.emit(self._key)

    def key(self) -> str:
        """The chosen key."""
        return self._key

    def set_key(self, key: str) -> None:
        """Choose without a signal."""
        if key != self._key:
            self._buttons[key].setChecked(True)

    def button(self, key: str) -> QToolButton:
        """The button of a key, for tests and tooltips."""
        return self._buttons[key]

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width has room for other columns."""
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """As many columns as whole words leave room for; to be called when a choice was hidden or shown."""
        if self._most >= len(self._buttons):
            return
        room, wide, bolder = self.contentsRect().width() - 2, [], 0
        for button in self._buttons.values():
            words, font = button.text(), QFont(button.font())
            font.setWeight(QFont.Weight.Normal)
            plain = QFontMetrics(font).horizontalAdvance(words)
            wide.append(0 if button.isHidden() else plain + BESIDE)
            font.setWeight(QFont.Weight.DemiBold)
            bolder = max(bolder, QFontMetrics(font).horizontalAdvance(words) - plain)    # one of them, once it is chosen
        sizes = range(self._most, 1, -1)
        columns = next((n for n in sizes if sum(max(wide[i::n]) for i in range(n)) + bolder <= room), 1)
        if columns != self._columns:
            self._columns = columns
            for place, button in enumerate(self._buttons.values()):
                self._rows.addWidget(button, *divmod(place, columns))


class Figures(QWidget):
    """Rows of a quiet name and a figure on the right."""

    def __init__(self, names: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        self._values: dict[str, QLabel] = {}
        self._names: dict[str, QLabel] = {}
        for row, (key, name) in enumerate(names):
            self._names[key] = label(name, "dim", wrap=True)    # a narrow panel breaks a name rather than cut it off
            value = Reading("value")
            value.setText("–")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setAccessibleName(name)
            grid.addWidget(self._names[key], row, 0)
            grid.addWidget(value, row, 1, Qt.AlignmentFlag.AlignRight)
            self._values[key] = value

    def set(self, key: str, text: str, kind: str = "") -> None:
        """Show a figure; `kind` restyles it (value, strong, selectedValue)."""
        value = self._values[key]
        value.setText(text)
        if kind and value.objectName() != kind:
            value.setObjectName(kind)
            value.style().unpolish(value)
            value.style().polish(value)

    def rename(self, key: str, name: str) -> None:
        """Another name for a row."""
        self._names[key].setText(name)
        self._values[key].setAccessibleName(name)

    def explain(self, key: str, tooltip: str) -> None:
        """Tooltip with the formula, on name and figure."""
        self._names[key].setToolTip(tooltip)
        self._values[key].setToolTip(tooltip)

    def text(self, key: str) -> str:
        """The figure as shown."""
        return self._values[key].text()


LINE = 400    # widget pixels of a line that is read easily


class EmptyState(QWidget):
    """What a panel shows when there is nothing: a sentence and the one button that changes it."""

    acted = Signal()

    def __init__(self, headline: str, sentence: str, action: str = "") -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.addStretch(2)
        self.headline = label(headline, "headline")
        self.sentence = label(sentence, "dim", wrap=True)
        for widget in (self.headline, self.sentence):
            widget.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        self._fit()
        self.button = QPushButton(action)
        self.button.setObjectName("primary")
        self.button.clicked.connect(self.acted)
        column.addSpacing(12)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        self.button.setVisible(bool(action))
        column.addStretch(3)

    def show_state(self, headline: str, sentence: str, action: str = "") -> None:
        """Change what is said: also used for loading and error states."""
        self.headline.setText(headline)
        self.sentence.setText(sentence)
        self.button.setText(action)
        self.button.setVisible(bool(action))
        self._fit()

    def _fit(self) -> None:
        """Room for all lines: an aligned, wrapping label does not ask for it."""
        self.sentence.ensurePolished()
        margins = self.layout().contentsMargins()
        wide = max(1, min(LINE, self.width() - margins.left() - margins.right()))
        self.sentence.setFixedWidth(wide)
        self.sentence.setMinimumHeight(max(0, self.sentence.heightForWidth(wide)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow panel breaks the sentence earlier."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs other room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()


def icon_button(name: str, tooltip: str, *, checkable: bool = False, kind: str = "") -> QToolButton:
    """A square button with an icon; call `retint` on theme changes."""
    button = QToolButton()
    button.setProperty("iconName", name)
    button.setIcon(theme.icon(name, "on_accent" if kind == "primary" else "text"))
    button.setIconSize(QSize(18, 18))
    button.setToolTip(tooltip)
    button.setAccessibleName(tooltip.split("\n")[0])
    button.setCheckable(checkable)
    if kind:
        button.setObjectName(kind)
    if kind == "quiet":
        button.setIconSize(QSize(16, 16))
        button.setFixedSize(26, 26)
    return button


def retint(root: QWidget) -> None:
    """Give every icon button below `root` icons in the palette in use."""
    for button in root.findChildren(QToolButton):
        name = button.property("iconName")
        if name:
            button.setIcon(theme.icon(name, "on_accent" if button.objectName() == "primary" else "text"))
