"""What the custom widgets paint, held beside pictures that were looked at: `snapshots/NAME.png`, 0.2 to 13 KB each.

Pictures are compared in cells of 8×8 device pixels. Where letters stand is found by painting the widget with other letters;
those cells and their neighbours do not count, so that another machine's fonts pass. Of all others, none may be off by more
than `MOST` of 255 in the mean of a colour. Every case also paints itself `moved`, one element a little off or missing, and
that must fail.

To renew them, look at what has changed and run: ARSTUDIO_RENEW_SNAPSHOTS=1 python -m pytest tests/gui/test_snapshots.py
"""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter
from PySide6.QtWidgets import QWidget

from arstudio.analysis.kernels import Kernel
from arstudio.gui import theme
from arstudio.gui.widgets.branch_lanes import BranchLanes, Lane
from arstudio.gui.widgets.course import Course
from arstudio.gui.widgets.curves import CurvePlot
from arstudio.gui.widgets.distribution_plot import DistributionPlot
from arstudio.gui.widgets.gallery import Gallery
from arstudio.gui.widgets.kernel_view import KernelView
from arstudio.gui.widgets.picture_grid import FittingGrid
from arstudio.gui.widgets.pixel_view import PixelView
from arstudio.gui.widgets.thin_bar import ThinBar
from arstudio.gui.widgets.timeline import Timeline
from arstudio.gui.widgets.trust import Lights
from arstudio.image import ImageSpec

FOLDER = Path(__file__).parent / "snapshots"
CELL = 8
MOST = 12
SPEC = ImageSpec(1, 8, 8, 16)
RGB = ImageSpec(3, 6, 6, 8)


def picture(seed=0, spec=SPEC):
    """An image that differs from its own shifts: a slanted ramp."""
    channel, row, column = np.indices(spec.shape)
    return ((2 * row + 3 * column + 5 * channel + seed) % spec.levels).astype(np.int16)


def bell(count, middle, width):
    p = np.exp(-0.5 * ((np.arange(count) - middle) / width) ** 2)
    return p / p.sum()


def pixels(moved):
    view = PixelView()
    view.resize(216, 200)
    image = picture()
    image[:, 5, 3:] = image[:, 6:] = -1
    view.show_image(image, SPEC)
    view.mark((2, 4), (5, 4 if moved else 3), (1, 1))
    return view


def pixels_of_colour(moved):
    view = PixelView()
    view.resize(200, 200)
    view.show_image(picture(moved, RGB), RGB)
    view.mark_difference((4, 2))
    return view


def overlay(moved):
    view = PixelView()
    view.resize(200, 200)
    view.show_image(picture(), SPEC)
    bits = np.full((8, 8), np.nan)
    bits[:4] = np.linspace(0, 4, 32).reshape(4, 8)
    blind = np.zeros((8, 8), bool)
    blind[5, 6 if moved else 5] = True
    view.show_overlay(bits, 0, 4, blind)
    return view


def timeline(moved):
    line = Timeline()
    line.resize(400, 96)
    bits = np.abs(np.sin(np.arange(64) * 0.7)) * 5
    bits[50:] = np.nan
    line.show_bits(bits, 42 + 2 * moved, 20, 8, np.roll(bits, 5))
    line.show_marks([10, 30], (10, 30))
    return line


def bars(moved):
    plot = DistributionPlot("accent")
    plot.resize(260, 150)
    plot.show_distribution(bell(16, 6, 2), 9 + moved, bell(16, 7, 4))
    return plot


def curve(moved):
    plot = DistributionPlot("good")
    plot.resize(260, 150)
    plot.show_distribution(bell(256, 90 + 12 * moved, 30), 100)
    plot.show_real(True, 0.4, None)
    return plot


def mixture(moved):
    plot = DistributionPlot("accent")
    plot.resize(260, 150)
    parts = np.stack([0.6 * bell(64, 20, 5), 0.4 * bell(64, 44 + 4 * moved, 6)])
    plot.show_distribution(parts.sum(0), 22, None, parts)
    return plot


def over_time(moved):
    course = Course()
    course.resize(260, 104)
    course.show_course([0, 10, 20, 30, 40], [0.1, 0.2, 0.15, 0.6 - 0.25 * moved, 0.8])
    return course


def kernel(moved):
    view = KernelView()
    allowed = np.ones((3, 5))
    allowed[2, 3 - moved:] = 0
    view.show_kernel(Kernel("first", (8, 1), allowed, np.arange(15).reshape(3, 5) * allowed))
    view.resize(200, view.height())
    return view


def branches(moved):
    lanes = BranchLanes()
    lanes.resize(400, 60)
    lanes.show_lanes([Lane("First", -1, 0, 1), Lane("Branch 1", 0, 0.4 + 0.1 * moved, 1), Lane("Branch 2", 1, 0.7, 0.9)], 1)
    return lanes


def grid(moved):
    images = FittingGrid("images")
    images.resize(200, 200)
    images.show_images(np.stack([picture(k) for k in range(4)]), SPEC, 2 + moved)
    return images


def completions(moved):
    gallery = Gallery()
    gallery.resize(360, 120)
    gallery.show_images(np.stack([picture(k) for k in range(4)]), SPEC, [0, 1, 2, 3][::-1 if moved else 1], [])
    gallery.set_current(1)
    return gallery


def progress(moved):
    bar = ThinBar()
    bar.setFixedSize(240, 8)
    bar.show_share(0.6 + 0.05 * moved)
    return bar


def trust(moved):
    lights = Lights()
    lights.resize(120, 24)
    lights.show_level("good" if moved else "fair")
    return lights


def training(moved):
    plot = CurvePlot()
    plot.resize(420, 240)
    plot.show_frame(60.0, {"uniform": 170.0}, 1.0, "nats")
    seconds = np.linspace(1, 55, 40)
    loss = 60 + 110 * np.exp(-seconds / 12)
    plot.show_curves(
        np.stack([seconds, loss], 1), np.stack([seconds[::8], loss[::8] + 3 + 40 * moved], 1), np.empty((0, 2)), [20.0, 40.0]
    )
    return plot


CASES = (pixels, pixels_of_colour, overlay, timeline, bars, curve, mixture, over_time, kernel, branches, grid, completions,
         progress, trust, training)


def painted(widget: QWidget, letters: float = 100.0) -> np.ndarray:
    """(H, W, 3) the widget on the ground of the theme; other letters if `letters` is not 100 %."""
    font = QFont(widget.font())
    font.setLetterSpacing(QFont.SpacingType.PercentageSpacing, letters)
    font.setBold(letters > 150)
    widget.setFont(font)
    widget.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    widget.show()
    image = QImage(widget.size(), QImage.Format.Format_RGB888)
    image.fill(QColor(theme.colours().panel))
    painter = QPainter(image)
    widget.render(painter, QPoint(0, 0), renderFlags=QWidget.RenderFlag.DrawChildren)
    painter.end()
    widget.hide()
    return bytes_of(image)


def bytes_of(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return flat[:, :3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def cells(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (rows, columns, 3) means of cells, the last ones filled up with the edge."""
    high, wide = (-(-n // CELL) * CELL for n in rgb.shape[:2])
    whole = np.pad(rgb.astype(float), ((0, high - rgb.shape[0]), (0, wide - rgb.shape[1]), (0, 0)), mode="edge")
    return whole.reshape(high // CELL, CELL, wide // CELL, CELL, 3).mean((1, 3))


def off(case, moved: int, reference: np.ndarray, letters: float = 100.0) -> np.ndarray:
    """(rows, columns) by how much each cell without letters differs from the reference, at most over the colours."""
    shown = painted(case(moved), letters)
    assert shown.shape == reference.shape, "the widget has another size than its snapshot"
    now, other = cells(shown), cells(painted(case(moved), 160.0))
    letters = np.abs(now - other).max(-1) > 1
    near = sliding_window_view(np.pad(letters, 2), (5, 5)).any((2, 3))
    return np.where(near, 0.0, np.abs(now - cells(reference)).max(-1))


@pytest.fixture(autouse=True)
def dark(settings):
    theme.choose("dark")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_it_is_painted_as_it_was_and_a_displaced_element_shows(case, qapp):
    path = FOLDER / f"{case.__name__}.png"
    if os.environ.get("ARSTUDIO_RENEW_SNAPSHOTS"):
        rgb = painted(case(0))
        FOLDER.mkdir(exist_ok=True)
        QImage(rgb.data, rgb.shape[1], rgb.shape[0], 3 * rgb.shape[1], QImage.Format.Format_RGB888).save(str(path))
    reference = bytes_of(QImage(str(path)))
    assert off(case, 0, reference).max() <= MOST
    assert off(case, 0, reference, 108.0).max() <= MOST, "another font would fail"
    assert off(case, 1, reference).max() > MOST, "what is out of place would not be noticed"
