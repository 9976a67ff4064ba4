"""The timeline and the learning curves paint only what has changed, and what that leaves is what painting everything would."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QImage, QRegion

from arstudio.gui.widgets.controls import Reading
from arstudio.gui.widgets.curves import CurvePlot
from arstudio.gui.widgets.timeline import Timeline

ALL = QRect()


def noting(qtbot, widget, width, height):
    """The widget, which notes what it wants painted instead of asking Qt."""
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.wanted = []
    widget.update = lambda part=ALL: widget.wanted.append(part)
    return widget


def paint(widget, picture, part):
    part = widget.rect() if part.isNull() else part & widget.rect()
    widget.render(picture, part.topLeft() if not part.isNull() else QPoint(), QRegion(part))


def pictures(widget):
    return [QImage(widget.size(), QImage.Format.Format_RGB32) for _ in range(2)]


def known(bits, count):
    return np.where(np.arange(len(bits)) < count, bits, np.nan)


@pytest.mark.parametrize("width", [500, 1700])    # fewer and more columns than pixels
def test_pieces_of_the_timeline_add_up_to_the_whole(qtbot, width):
    line = noting(qtbot, Timeline(), width, 96)
    bits = np.random.default_rng(0).exponential(1.0, 784)
    bits[:3] = 9.0    # the highest at once, so that later pieces do not change the scale
    pieces, whole = pictures(line)
    for rank in (3, 5, 6, 90, 91, 300, 250, 700, 784, 10):
        line.wanted.clear()
        line.show_bits(known(bits, max(rank, 10)), rank, 2, 28)
        for part in line.wanted:
            paint(line, pieces, part)
        assert rank == 3 or all(not part.isNull() for part in line.wanted)    # only pieces, after the first
    paint(line, whole, ALL)
    assert pieces == whole


def test_another_scale_drawing_or_selection_of_the_timeline_is_painted_whole(qtbot):
    line = noting(qtbot, Timeline(), 500, 96)
    bits = np.ones(64)
    line.show_bits(known(bits, 8), 8, None, 8)
    for changed in ((known(3 * bits, 9), 9, None, 8), (known(3 * bits, 9), 9, 4, 8), (known(2 * bits, 9), 9, 4, 8)):
        line.wanted.clear()
        line.show_bits(*changed)
        assert line.wanted == [ALL]


def test_pieces_of_the_curves_add_up_to_the_whole(qtbot):
    plot = noting(qtbot, CurvePlot(), 700, 300)
    plot.show_frame(100.0, {"uniform": 540.0, "histogram": 200.0}, 1.0, "nats")
    seconds = np.arange(1.0, 100.0)
    train = np.column_stack([seconds, 150 + 90 * np.exp(-seconds / 20) + np.sin(seconds)])
    validation = np.column_stack([seconds[::7], 150 + 80 * np.exp(-seconds[::7] / 20)])
    raw = validation + np.array((0.0, 3.0))
    raw[1, 1] = np.nan
    pieces, whole = pictures(plot)
    wanted = []
    for count in (80, 81, 90, 90, 91, 99):
        plot.wanted.clear()
        shown = train[:count].copy()
        if count > 90:
            shown[85:, 1] += 2    # averages of neighbours change with them
        seen = -(-count // 7)
        plot.show_curves(shown, validation[:seen], raw[:seen], list(range(seen)))
        wanted.append(list(plot.wanted))
        for part in plot.wanted:
            paint(plot, pieces, part)
    assert wanted[0] == [ALL]
    assert wanted[3] == []
    assert all(0 < part.width() < 350 for parts in wanted[1:] for part in parts)
    paint(plot, whole, ALL)
    assert pieces == whole


def test_a_text_that_changes_keeps_its_room_until_it_does_not_fit(qtbot):
    line = Reading()
    qtbot.addWidget(line)
    line.setText("12.5 images/s")
    room = line.size()
    assert line.fontMetrics().horizontalAdvance(line.text()) < room.width() == line.minimumWidth() == line.maximumWidth()
    for text in ("88.8 images/s", "11.1 images/s"):
        line.setText(text)
        assert line.maximumSize() == line.minimumSize() == room
        assert line.fontMetrics().horizontalAdvance(text) <= room.width()
    line.setText("1,234,567.8 images/s, and more to come")
    assert line.fontMetrics().horizontalAdvance(line.text()) <= line.minimumWidth()
    line.setText("")
    assert line.maximumWidth() == 0
