"""The timeline paints only what has changed, and what it leaves is what painting all of it would give."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QImage, QRegion

from arstudio.gui.widgets.timeline import Timeline

ALL = QRect()


@pytest.fixture
def line(qtbot):
    """A timeline that notes what it wants painted instead of asking Qt."""
    line = Timeline()
    qtbot.addWidget(line)
    line.wanted = []
    line.update = lambda part=ALL: line.wanted.append(part)
    return line


def paint(line, picture, part):
    part = line.rect() if part.isNull() else part & line.rect()
    line.render(picture, part.topLeft() if not part.isNull() else QPoint(), QRegion(part))


def known(bits, count):
    return np.where(np.arange(len(bits)) < count, bits, np.nan)


@pytest.mark.parametrize("width", [500, 1700])    # fewer and more columns than pixels
def test_pieces_add_up_to_the_whole(line, width):
    line.resize(width, 96)
    bits = np.random.default_rng(0).exponential(1.0, 784)
    bits[:3] = 9.0    # the highest at once, so that later pieces do not change the scale
    pieces, whole = (QImage(width, 96, QImage.Format.Format_RGB32) for _ in range(2))
    for rank in (3, 5, 6, 90, 91, 300, 250, 700, 784, 10):
        line.wanted.clear()
        line.show_bits(known(bits, max(rank, 10)), rank, 2, 28)
        for part in line.wanted:
            paint(line, pieces, part)
        assert rank == 3 or all(not part.isNull() for part in line.wanted)    # only pieces, after the first
    paint(line, whole, ALL)
    assert pieces == whole


def test_another_scale_drawing_or_selection_is_painted_whole(line):
    line.resize(500, 96)
    bits = np.ones(64)
    line.show_bits(known(bits, 8), 8, None, 8)
    for changed in ((known(3 * bits, 9), 9, None, 8), (known(3 * bits, 9), 9, 4, 8), (known(2 * bits, 9), 9, 4, 8)):
        line.wanted.clear()
        line.show_bits(*changed)
        assert line.wanted == [ALL]
